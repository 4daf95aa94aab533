//! What happens to pictures before they reach a program: blur, faded prints, covered
//! faces, noise, compression. The part of [`crate::augment`] that is not the paper's.

use dldl_face::{Chroma, encode_jpeg};
use dldl_net::Crop;
use rand::{Rng, RngExt};

use crate::Augment;
use crate::augment::{sample_rng, symmetric};

/// The patches that cover a face, as left, top, right and bottom in units of the crop's
/// side: a mask over nose, mouth and chin, and dark glasses (template `face-43`, whose eyes
/// are at a height of 0.21 and whose mouth is at 0.67).
const PATCHES: [[f64; 4]; 2] = [[0.1, 0.45, 0.9, 1.0], [0.1, 0.1, 0.9, 0.33]];

/// The brown of an old print, as the factors of its gray.
const BROWN: [f32; 3] = [1.07, 0.98, 0.82];

/// The qualities of JPEG compression.
const QUALITIES: [u8; 2] = [10, 95];

/// What happens to one crop. Lengths are in units of its side, brightness in 0..=1.
pub(crate) struct Damage {
    blur: f64,
    tint: [f32; 3],
    /// The degrees of brown, of gray blacks and of dull whites, 0..=1.
    faded: Option<[f32; 3]>,
    cover: Option<([f64; 4], [f32; 3])>,
    noise: f64,
    noise_seed: u64,
    jpeg: Option<u8>,
}

impl Damage {
    /// Draws from the strengths of `augment`; the blur only if `is_low`.
    pub(crate) fn draw(augment: &Augment, is_low: bool, rng: &mut impl Rng) -> Self {
        let blur = augment.blur * rng.random::<f64>();
        let tint = [(); 3].map(|()| 1.0 + symmetric(rng, augment.tint) as f32);
        let faded = rng.random_bool(augment.fade);
        let degrees = [(); 3].map(|()| rng.random::<f32>());
        let covered = rng.random_bool(augment.cover);
        let patch = PATCHES[usize::from(rng.random_bool(0.5))];
        // The edges vary by a twentieth of the side.
        let patch = patch.map(|edge| edge + symmetric(rng, 0.05));
        let color = [(); 3].map(|()| 255.0 * rng.random::<f32>());
        let noise = augment.noise * rng.random::<f64>();
        let noise_seed = rng.next_u64();
        let compressed = rng.random_bool(augment.jpeg);
        let quality = rng.random_range(QUALITIES[0]..=QUALITIES[1]);
        Self {
            blur: if is_low { blur } else { 0.0 },
            tint,
            faded: faded.then_some(degrees),
            cover: covered.then_some((patch, color)),
            noise,
            noise_seed,
            jpeg: compressed.then_some(quality),
        }
    }

    /// Gaussian blur of interleaved RGB with a side of `size`, if it reaches beyond a pixel.
    pub(crate) fn blur(&self, pixels: &mut [f32], size: usize) {
        let sigma = self.blur * size as f64;
        if sigma < 0.3 {
            return;
        }
        let reach = (2.5 * sigma).ceil() as usize;
        let weight = |i: usize| (-0.5 * (i as f64 / sigma).powi(2)).exp() as f32;
        let weights: Vec<f32> = (0..=reach).map(weight).collect();
        // The middle is added from both sides as well.
        let weights: Vec<f32> =
            weights.iter().enumerate().map(|(i, w)| if i == 0 { 0.5 * w } else { *w }).collect();
        let sum = 2.0 * weights.iter().sum::<f32>();
        // Whole rows are added, which vectorizes; the border is repeated.
        let row = 3 * size;
        let mut padded = vec![0.0; row + 6 * reach];
        for line in pixels.chunks_exact_mut(row) {
            padded[3 * reach..][..row].copy_from_slice(line);
            for k in 0..reach {
                let end = 3 * (reach + size + k);
                padded[3 * k..3 * k + 3].copy_from_slice(&line[..3]);
                padded[end..end + 3].copy_from_slice(&line[row - 3..]);
            }
            line.fill(0.0);
            for (k, weight) in weights.iter().enumerate() {
                let (before, after) = (&padded[3 * (reach - k)..], &padded[3 * (reach + k)..]);
                add(line, before, after, weight / sum);
            }
        }
        let from = pixels.to_vec();
        for (y, line) in pixels.chunks_exact_mut(row).enumerate() {
            line.fill(0.0);
            for (k, weight) in weights.iter().enumerate() {
                let (above, below) = (y.saturating_sub(k), (y + k).min(size - 1));
                add(line, &from[row * above..], &from[row * below..], weight / sum);
            }
        }
    }

    /// Color cast, fading, cover and noise on interleaved RGB, 0..=255, with a side of
    /// `size`.
    pub(crate) fn print(&self, pixels: &mut [f32], size: usize) {
        let pixels = pixels.as_chunks_mut::<3>().0;
        for pixel in pixels.iter_mut() {
            *pixel = std::array::from_fn(|c| pixel[c] * self.tint[c]);
        }
        if let Some([brown, black, white]) = self.faded {
            let (low, high) = (70.0 * black, 255.0 - 60.0 * white);
            for pixel in pixels.iter_mut() {
                let gray = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
                *pixel = std::array::from_fn(|c| {
                    let v = pixel[c] + brown * (gray * BROWN[c] - pixel[c]);
                    low + (high - low) / 255.0 * v
                });
            }
        }
        if let Some((patch, color)) = self.cover {
            let [left, top, right, bottom] =
                patch.map(|edge| (edge.clamp(0.0, 1.0) * size as f64).round() as usize);
            for row in pixels.chunks_exact_mut(size).take(bottom).skip(top) {
                row[left..right].fill(color);
            }
        }
        if self.noise > 0.0 {
            let mut rng = sample_rng(self.noise_seed, 0, 0);
            let strength = 255.0 * self.noise as f32;
            for value in pixels.as_flattened_mut() {
                // The sum of four uniform numbers is close to normal: variance 4 / 12.
                let bits = rng.next_u64();
                let sum: f32 = (0..4).map(|k| ((bits >> (16 * k)) & 0xffff) as f32).sum();
                *value += strength * 3f32.sqrt() * (sum / 65535.0 - 2.0);
            }
        }
    }

    /// Compresses a crop.
    pub(crate) fn compress(&self, crop: Crop) -> Crop {
        let Some(quality) = self.jpeg else { return crop };
        let size = crop.size();
        // Neither can fail for a crop; without the compression it is still a crop.
        let encoded = encode_jpeg(crop.rgb(), size, size, quality, Chroma::ByQuality);
        let decoded = encoded.ok().and_then(|jpeg| dldl_face::decode(&jpeg).ok());
        match decoded.map(|picture| Crop::new(size, picture.into_rgb())) {
            Some(Ok(compressed)) => compressed,
            _ => crop,
        }
    }
}

/// Adds `weight * (a + b)` to `line`.
fn add(line: &mut [f32], a: &[f32], b: &[f32], weight: f32) {
    for ((v, a), b) in line.iter_mut().zip(a).zip(b) {
        *v += weight * (a + b);
    }
}
