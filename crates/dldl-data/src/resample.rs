//! Antialiased resampling of square crops. The affine part of the augmentation
//! is in [`crate::augment`]; pictures are scaled in `dldl-face`.

use dldl_net::Crop;

/// The crop at another size: antialiased bilinear resampling (a triangle
/// filter whose support grows with the reduction, as Pillow's `BILINEAR` and
/// torchvision's `antialias=True` do), so that nothing aliases however small
/// `size` is. Larger sizes are interpolated bilinearly.
///
/// # Panics
/// If `size` is 0.
pub fn resize(crop: &Crop, size: usize) -> Crop {
    if size == crop.size {
        return crop.clone();
    }
    let rgb = resample(crop, size).into_iter().map(to_u8).collect();
    Crop { size, rgb }
}

/// Rounds a grey value 0..=255 to the nearest byte, saturating.
pub(crate) fn to_u8(v: f32) -> u8 {
    (v + 0.5) as u8
}

/// The weights of the input pixels that make one output pixel.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

/// Pillow's `precompute_coeffs` for the triangle filter.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let last = ((centre + support + 0.5) as usize).min(from);
            let weight = |k: usize| {
                let d = (k as f64 + 0.5 - centre) / support;
                (1.0 - d.abs()).max(0.0)
            };
            let total: f64 = (first..last).map(weight).sum();
            Taps { first, weights: (first..last).map(|k| (weight(k) / total) as f32).collect() }
        })
        .collect()
}

/// [`resize`] without the rounding: `3 * size * size` interleaved values 0..=255.
pub(crate) fn resample(crop: &Crop, size: usize) -> Vec<f32> {
    assert!(size > 0, "a crop needs at least one pixel");
    let n = crop.size;
    if size == n {
        return crop.rgb.iter().map(|&v| f32::from(v)).collect();
    }
    let taps = taps(n, size);
    let mut out = vec![0.0f32; 3 * size * size];
    // Columns first: whole rows are added up, which the compiler vectorises,
    // and only the few rows that remain are reduced along x.
    let mut row = vec![0.0f32; 3 * n];
    for (t, out_row) in taps.iter().zip(out.chunks_exact_mut(3 * size)) {
        row.fill(0.0);
        for (&w, src) in t.weights.iter().zip(crop.rgb[3 * n * t.first..].chunks_exact(3 * n)) {
            for (acc, &v) in row.iter_mut().zip(src) {
                *acc += w * f32::from(v);
            }
        }
        for (t, pixel) in taps.iter().zip(out_row.chunks_exact_mut(3)) {
            let mut sum = [0.0f32; 3];
            for (&w, src) in t.weights.iter().zip(row[3 * t.first..].chunks_exact(3)) {
                for c in 0..3 {
                    sum[c] += w * src[c];
                }
            }
            pixel.copy_from_slice(&sum);
        }
    }
    out
}
