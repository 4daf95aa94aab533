//! Random augmentation of aligned crops for training, with the transformations of the
//! paper's code (specification 3.4).

use dldl_net::Crop;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::color::{ColorJitter, mean_gray};
use crate::damage::Damage;
use crate::resample::{resample, to_u8};
use crate::warp::Affine;

/// The strengths of the augmentations. A strength of 0 disables an augmentation (for
/// `min_scale`, 1 does). In serialized form, missing fields are those of
/// [`Augment::none`], and unknown fields are errors.
///
/// The order is that of the paper: flip, gray, low resolution, rotation, scaling to the
/// target size, colors. The geometric steps are composed into one antialiased reduction to
/// the low resolution and one bilinear pass, the colors into one affine map per pixel.
/// Two differences from the paper's code: rotation repeats the border instead of filling
/// with black, and the reduction uses a triangle filter instead of a cubic one.
///
/// The fields from [`low_resolution`](Self::low_resolution) on are not the paper's: they
/// make crops look like other people's pictures (small, compressed, faded, covered).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Probability of a horizontal flip, 0..=1.
    pub flip: f64,
    /// Probability of conversion to gray, 0..=1.
    #[serde(alias = "grey")]
    pub gray: f64,
    /// The crop is reduced to a lower resolution, with a side uniform in
    /// `round(min_scale * size) ..= size`; 0 < `min_scale` <= 1.
    pub min_scale: f64,
    /// Rotation about the center, uniform in ± this many degrees.
    pub rotation: f64,
    /// Shift along x and along y, each uniform in ± this fraction of the side.
    pub shift: f64,
    /// Magnification, uniform in 1 ± this, 0..=0.9.
    pub zoom: f64,
    /// Brightness is multiplied by 1 ± up to this.
    pub brightness: f64,
    /// The distance to the mean gray is multiplied by 1 ± up to this.
    pub contrast: f64,
    /// The distance to the pixel's gray is multiplied by 1 ± up to this.
    pub saturation: f64,
    /// Probability that the resolution is reduced (`min_scale`) and the crop blurred
    /// (`blur`), 0..=1. Default: 1.
    pub low_resolution: f64,
    /// Gaussian blur with a standard deviation uniform in 0 ..= this fraction of the side,
    /// 0..=0.2.
    pub blur: f64,
    /// Color cast: red, green and blue are each multiplied by 1 ± up to this, 0..=0.9.
    pub tint: f64,
    /// Probability of the colors of an old print: brownish, with gray blacks and dull
    /// whites, each to a random degree; 0..=1.
    pub fade: f64,
    /// Probability that the mouth or the eyes are covered by a patch of one color, as by a
    /// mask or dark glasses, each equally often; 0..=1.
    pub cover: f64,
    /// Noise with a standard deviation uniform in 0 ..= this fraction of full brightness,
    /// 0..=0.5.
    pub noise: f64,
    /// Probability of JPEG compression of a quality uniform in 10..=95; 0..=1.
    pub jpeg: f64,
}

/// A strength that is out of range.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("invalid augmentation `{name} = {value}`: expected a number from {low} to {high}")]
#[non_exhaustive]
pub struct AugmentError {
    /// The field of [`Augment`].
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// The lowest valid value.
    pub low: f64,
    /// The highest valid value.
    pub high: f64,
}

impl Augment {
    /// The strengths of the paper (specification 3.4): flip and gray with a probability
    /// of 0.5, reduction down to one half, rotation by ±15 degrees, brightness, contrast
    /// and saturation ±0.4; no shift, no zoom.
    pub fn paper() -> Augment {
        Augment {
            flip: 0.5,
            gray: 0.5,
            min_scale: 0.5,
            rotation: 15.0,
            shift: 0.0,
            zoom: 0.0,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            ..Augment::none()
        }
    }

    /// No augmentation: [`Augment::apply`] only resizes.
    pub fn none() -> Augment {
        Augment {
            flip: 0.0,
            gray: 0.0,
            min_scale: 1.0,
            rotation: 0.0,
            shift: 0.0,
            zoom: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            low_resolution: 1.0,
            blur: 0.0,
            tint: 0.0,
            fade: 0.0,
            cover: 0.0,
            noise: 0.0,
            jpeg: 0.0,
        }
    }

    /// Checks the ranges of all fields.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn check(&self) -> Result<(), AugmentError> {
        let unit = 0.0..=1.0;
        let fields = [
            ("flip", self.flip, unit.clone()),
            ("gray", self.gray, unit.clone()),
            ("min_scale", self.min_scale, f64::MIN_POSITIVE..=1.0),
            ("rotation", self.rotation, 0.0..=180.0),
            ("shift", self.shift, unit.clone()),
            ("zoom", self.zoom, 0.0..=0.9),
            ("brightness", self.brightness, unit.clone()),
            ("contrast", self.contrast, unit.clone()),
            ("saturation", self.saturation, unit.clone()),
            ("low_resolution", self.low_resolution, unit.clone()),
            ("blur", self.blur, 0.0..=0.2),
            ("tint", self.tint, 0.0..=0.9),
            ("fade", self.fade, unit.clone()),
            ("cover", self.cover, unit.clone()),
            ("noise", self.noise, 0.0..=0.5),
            ("jpeg", self.jpeg, unit),
        ];
        for (name, value, range) in fields {
            if !range.contains(&value) {
                let (low, high) = (*range.start(), *range.end());
                return Err(AugmentError { name, value, low, high });
            }
        }
        Ok(())
    }

    /// A random augmentation of `crop`, with a side of `size` pixels. It depends only on the
    /// state of `rng`; from the same state, another size gives the same augmentation at that
    /// size (except for noise and the unit of the low resolution, which is a pixel).
    ///
    /// # Panics
    /// `size` is 0, or a field is out of range (see [`Augment::check`]).
    pub fn apply(&self, crop: &Crop, size: usize, rng: &mut impl Rng) -> Crop {
        let flip = rng.random_bool(self.flip);
        let gray = rng.random_bool(self.gray);
        // A share of the range, not a number of it: every size takes one number.
        let lowness: f64 = rng.random();
        let map = Affine {
            angle: symmetric(rng, self.rotation).to_radians(),
            zoom: 1.0 + symmetric(rng, self.zoom),
            shift: [symmetric(rng, self.shift), symmetric(rng, self.shift)],
            flip,
        };
        let mut order = [0, 1, 2];
        for last in [2, 1] {
            order.swap(last, rng.random_range(0..=last));
        }
        let changes = order.map(|step| {
            let strength = [self.brightness, self.contrast, self.saturation][step];
            (step, 1.0 + symmetric(rng, strength) as f32)
        });
        let is_low = rng.random_bool(self.low_resolution);
        let damage = Damage::draw(self, is_low, rng);

        let lowest = ((self.min_scale * size as f64).round() as usize).clamp(1, size);
        let low = match is_low {
            true => lowest + (lowness * (size - lowest + 1) as f64) as usize,
            false => size,
        };
        let mut pixels = resample(crop, low);
        if low != size || !map.is_identity() {
            pixels = map.warp(&pixels, low, size);
        }
        damage.blur(&mut pixels, size);
        let mut color = ColorJitter::new(mean_gray(&pixels));
        if gray {
            color.saturation(0.0);
        }
        for (step, a) in changes {
            match step {
                0 => color.brightness(a),
                1 => color.contrast(a),
                _ => color.saturation(a),
            }
        }
        for pixel in pixels.as_chunks_mut::<3>().0 {
            *pixel = color.apply(pixel);
        }
        damage.print(&mut pixels, size);
        let rgb = pixels.into_iter().map(to_u8).collect();
        damage.compress(Crop::new(size, rgb).expect("every pixel is set"))
    }
}

impl Default for Augment {
    /// [`Augment::none`].
    fn default() -> Augment {
        Augment::none()
    }
}

/// The random generator of one sample in one epoch, independent of the order and the
/// thread in which samples are augmented. PCG is used because its stream is specified,
/// so that a recipe with a seed stays reproducible.
pub fn sample_rng(seed: u64, epoch: u64, sample: u64) -> Pcg64 {
    let mut bytes = [0; 32];
    for (part, value) in bytes.chunks_exact_mut(8).zip([seed, epoch, sample, seed ^ !sample]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    let mut rng = Pcg64::from_seed(bytes);
    // Neighboring seeds give correlated first outputs: skip them.
    for _ in 0..4 {
        rng.next_u64();
    }
    rng
}

/// Uniform in ± `strength`.
pub(crate) fn symmetric(rng: &mut impl Rng, strength: f64) -> f64 {
    strength * (2.0 * rng.random::<f64>() - 1.0)
}

#[cfg(test)]
mod tests;
