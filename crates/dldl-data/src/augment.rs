//! Random augmentation of aligned crops for training, with the transformations of the
//! paper's code (specification 3.4).

use dldl_net::Crop;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use crate::color::{ColorJitter, mean_gray};
use crate::resample::{resample, to_u8};

/// The strengths of the augmentations. A strength of 0 disables an augmentation (for
/// `min_scale`, 1 does). In serialized form, missing fields are those of
/// [`Augment::none`], and unknown fields are errors.
///
/// The order is that of the paper: flip, gray, low resolution, rotation, scaling to the
/// target size, colors. The geometric steps are composed into one antialiased reduction to
/// the low resolution and one bilinear pass, the colors into one affine map per pixel.
/// Two differences from the paper's code: rotation repeats the border instead of filling
/// with black, and the reduction uses a triangle filter instead of a cubic one.
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
            ("saturation", self.saturation, unit),
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
    /// state of `rng`.
    ///
    /// # Panics
    /// `size` is 0, or a field is out of range (see [`Augment::check`]).
    pub fn apply(&self, crop: &Crop, size: usize, rng: &mut impl Rng) -> Crop {
        let flip = rng.random_bool(self.flip);
        let gray = rng.random_bool(self.gray);
        let lowest = ((self.min_scale * size as f64).round() as usize).clamp(1, size);
        let low = rng.random_range(lowest..=size);
        let map = Affine {
            angle: symmetric(rng, self.rotation).to_radians(),
            zoom: 1.0 + symmetric(rng, self.zoom),
            shift: [symmetric(rng, self.shift), symmetric(rng, self.shift)],
            flip,
        };
        let mut pixels = resample(crop, low);
        if low != size || !map.is_identity() {
            pixels = map.warp(&pixels, low, size);
        }
        let mut color = ColorJitter::new(mean_gray(&pixels));
        if gray {
            color.saturation(0.0);
        }
        let mut order = [0, 1, 2];
        for last in [2, 1] {
            order.swap(last, rng.random_range(0..=last));
        }
        for step in order {
            match step {
                0 => color.brightness(1.0 + symmetric(rng, self.brightness) as f32),
                1 => color.contrast(1.0 + symmetric(rng, self.contrast) as f32),
                _ => color.saturation(1.0 + symmetric(rng, self.saturation) as f32),
            }
        }
        let rgb = pixels.chunks_exact(3).flat_map(|p| color.apply(p).map(to_u8)).collect();
        Crop::new(size, rgb).expect("every pixel is set")
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
fn symmetric(rng: &mut impl Rng, strength: f64) -> f64 {
    strength * (2.0 * rng.random::<f64>() - 1.0)
}

/// The geometric map: flip, rotation and magnification about the center, then a shift in
/// units of the side.
struct Affine {
    angle: f64,
    zoom: f64,
    shift: [f64; 2],
    flip: bool,
}

impl Affine {
    fn is_identity(&self) -> bool {
        self.angle == 0.0 && self.zoom == 1.0 && self.shift == [0.0; 2] && !self.flip
    }

    /// One bilinear pass over interleaved RGB, from side `from` to side `to`. Pixels outside
    /// repeat the border.
    fn warp(&self, src: &[f32], from: usize, to: usize) -> Vec<f32> {
        let (sin, cos) = self.angle.sin_cos();
        let mirror = if self.flip { -1.0 } else { 1.0 };
        // Pixels of the source per pixel of the result, along its x and y.
        let step = from as f64 / (to as f64 * self.zoom);
        let along_x = [(mirror * cos * step) as f32, (-sin * step) as f32];
        let along_y = [(mirror * sin * step) as f32, (cos * step) as f32];
        let middle = (from as f64 - 1.0) / 2.0;
        let origin = [
            (middle - mirror * self.shift[0] * from as f64) as f32,
            (middle - self.shift[1] * from as f64) as f32,
        ];
        let center = (to as f32 - 1.0) / 2.0;
        let limit = (from - 1) as f32;
        let mut out = Vec::with_capacity(3 * to * to);
        for y in 0..to {
            let v = y as f32 - center;
            for x in 0..to {
                let u = x as f32 - center;
                let sx = (origin[0] + u * along_x[0] + v * along_y[0]).clamp(0.0, limit);
                let sy = (origin[1] + u * along_x[1] + v * along_y[1]).clamp(0.0, limit);
                let (x0, y0) = (sx as usize, sy as usize);
                let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
                let right = if x0 + 1 < from { 3 } else { 0 };
                let below = if y0 + 1 < from { 3 * from } else { 0 };
                let at = 3 * (y0 * from + x0);
                let top = &src[at..at + 3];
                let top_right = &src[at + right..at + right + 3];
                let bottom = &src[at + below..at + below + 3];
                let bottom_right = &src[at + below + right..at + below + right + 3];
                for c in 0..3 {
                    let a = top[c] + fx * (top_right[c] - top[c]);
                    let b = bottom[c] + fx * (bottom_right[c] - bottom[c]);
                    out.push(a + fy * (b - a));
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resize;
    use proptest::prelude::*;

    fn pattern(n: usize) -> Crop {
        let rgb = (0..3 * n * n).map(|i| ((i * i + 13 * i) % 251) as u8).collect();
        Crop::new(n, rgb).unwrap()
    }

    fn geometry() -> Augment {
        Augment { shift: 0.1, zoom: 0.2, ..colorless() }
    }

    fn colorless() -> Augment {
        Augment { gray: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, ..Augment::paper() }
    }

    #[test]
    fn none_only_resizes() {
        let crop = pattern(40);
        let mut rng = sample_rng(1, 2, 3);
        assert_eq!(Augment::none().apply(&crop, 40, &mut rng), crop);
        assert_eq!(Augment::none().apply(&crop, 24, &mut rng), resize(&crop, 24));
    }

    #[test]
    fn flip_mirrors() {
        let crop = pattern(31);
        let always = Augment { flip: 1.0, ..Augment::none() };
        assert_eq!(always.apply(&crop, 31, &mut sample_rng(0, 0, 0)), crop.flipped());
        let half = Augment { flip: 0.5, ..Augment::none() };
        let flips =
            (0..1000).filter(|&i| half.apply(&crop, 31, &mut sample_rng(0, 0, i)) != crop).count();
        assert!((440..560).contains(&flips), "{flips} of 1000");
    }

    #[test]
    fn crops_depend_on_seed_epoch_and_sample() {
        let crop = pattern(64);
        let run =
            |seed, epoch, i| Augment::paper().apply(&crop, 48, &mut sample_rng(seed, epoch, i));
        assert_eq!(run(1, 2, 3), run(1, 2, 3));
        assert_ne!(run(1, 2, 3), run(2, 2, 3));
        assert_ne!(run(1, 2, 3), run(1, 3, 3));
        assert_ne!(run(1, 2, 3), run(1, 2, 4));
    }

    #[test]
    fn rotation_by_90_degrees_and_shifts_are_exact() {
        let crop = pattern(12);
        let map = |angle: f64, shift| Affine { angle, zoom: 1.0, shift, flip: false };
        let source: Vec<f32> = crop.rgb().iter().map(|&v| f32::from(v)).collect();
        let turned = map(90f64.to_radians(), [0.0; 2]).warp(&source, 12, 12);
        let shifted = map(0.0, [0.25, -0.5]).warp(&source, 12, 12);
        for y in 0..12 {
            for x in 0..12 {
                let at = |x: usize, y: usize| 3 * (12 * y + x);
                let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-3, "{a} {b} at {x} {y}");
                close(turned[at(x, y)], source[at(y, 11 - x)]);
                // Three pixels to the right, six up; the border is repeated.
                close(shifted[at(x, y)], source[at(x.saturating_sub(3), (y + 6).min(11))]);
            }
        }
    }

    #[test]
    fn zoom_magnifies_about_the_center() {
        // A disc of radius 8 becomes a disc of radius 12.
        let disc = |r: f32| {
            let inside = move |i: usize| {
                let (x, y) = ((i % 64) as f32 - 31.5, (i / 64) as f32 - 31.5);
                x * x + y * y < r * r
            };
            (0..64 * 64).flat_map(move |i| [if inside(i) { 255.0f32 } else { 0.0 }; 3])
        };
        let map = Affine { angle: 0.3, zoom: 1.5, shift: [0.0; 2], flip: true };
        let out = map.warp(&disc(8.0).collect::<Vec<f32>>(), 64, 64);
        let wrong = out.iter().zip(disc(12.0)).filter(|(a, b)| (*a - b).abs() > 128.0).count();
        assert!(wrong < 3 * 60, "{wrong} of {} values", out.len());
    }

    #[test]
    fn low_resolution_removes_detail() {
        // Stripes one pixel wide survive at full size and not at half of it.
        let rgb = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0u8 } else { 250 }; 3]).collect();
        let stripes = Crop::new(64, rgb).unwrap();
        let contrast = |crop: &Crop| {
            let sum: u32 = crop.rgb().iter().map(|v| u32::from(v.abs_diff(125))).sum();
            sum as f64 / crop.rgb().len() as f64
        };
        let low = Augment { min_scale: 0.5, ..Augment::none() };
        let mut rng = sample_rng(5, 0, 0);
        let seen: Vec<f64> =
            (0..300).map(|_| contrast(&low.apply(&stripes, 64, &mut rng))).collect();
        assert!(seen.contains(&125.0), "the full size is in the range: {seen:?}");
        assert!(seen.iter().any(|&c| c < 5.0), "half the size is in the range: {seen:?}");
    }

    #[test]
    fn gray_has_equal_channels() {
        let gray = Augment { gray: 1.0, ..Augment::paper() };
        let out = gray.apply(&pattern(32), 32, &mut sample_rng(0, 0, 9));
        assert!(
            out.rgb().chunks_exact(3).all(|p| p[0].abs_diff(p[1]) <= 1 && p[1].abs_diff(p[2]) <= 1)
        );
    }

    #[test]
    fn strengths_are_parsed_and_checked() {
        let paper = serde_json::to_string(&Augment::paper()).unwrap();
        assert_eq!(serde_json::from_str::<Augment>(&paper).unwrap(), Augment::paper());
        let some: Augment = serde_json::from_str(r#"{"flip": 0.5, "rotation": 10}"#).unwrap();
        assert_eq!(some, Augment { flip: 0.5, rotation: 10.0, ..Augment::none() });
        assert!(serde_json::from_str::<Augment>(r#"{"rotate": 10}"#).is_err());
        assert_eq!(Augment::paper().check(), Ok(()));
        assert_eq!(Augment::none().check(), Ok(()));
        let wrong = Augment { min_scale: 0.0, ..Augment::paper() }.check().unwrap_err();
        assert_eq!(wrong.name, "min_scale");
        assert!(Augment { flip: f64::NAN, ..Augment::paper() }.check().is_err());
    }

    proptest! {
        #[test]
        fn the_border_is_never_black(seed: u64, color in [1u8.., 1u8.., 1u8..], size in 8usize..70) {
            let crop = Crop::new(50, color.repeat(2500)).unwrap();
            let out = geometry().apply(&crop, size, &mut sample_rng(seed, 0, 0));
            prop_assert_eq!(out.rgb(), color.repeat(size * size));
        }
    }
}
