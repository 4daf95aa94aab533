//! Antialiased resampling of square crops. Affine warps are in [`crate::augment`];
//! pictures are scaled in `dldl-face`.

use dldl_net::Crop;

/// Resizes a crop by antialiased bilinear resampling: a triangle filter whose support
/// grows with the reduction, like Pillow's `BILINEAR` and torchvision's `antialias=True`.
/// Enlarging interpolates bilinearly.
///
/// # Panics
/// `size` is 0.
pub fn resize(crop: &Crop, size: usize) -> Crop {
    if size == crop.size() {
        return crop.clone();
    }
    let rgb = resample(crop, size).into_iter().map(to_u8).collect();
    Crop::new(size, rgb).expect("every pixel is set")
}

/// Rounds to the nearest byte, saturating.
pub(crate) fn to_u8(v: f32) -> u8 {
    (v + 0.5) as u8
}

/// The weights of the input pixels for one output pixel.
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
            let center = (i as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(from);
            let weight = |k: usize| {
                let d = (k as f64 + 0.5 - center) / support;
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
    let n = crop.size();
    if size == n {
        return crop.rgb().iter().map(|&v| f32::from(v)).collect();
    }
    let taps = taps(n, size);
    let mut out = vec![0.0f32; 3 * size * size];
    // Columns first: adding whole rows vectorizes, and only the remaining rows are
    // reduced along x.
    let mut row = vec![0.0f32; 3 * n];
    for (t, out_row) in taps.iter().zip(out.chunks_exact_mut(3 * size)) {
        row.fill(0.0);
        for (&w, src) in t.weights.iter().zip(crop.rgb()[3 * n * t.first..].chunks_exact(3 * n)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A pattern with detail at all scales, the same as in `tools/golden_data.py`.
    fn pattern(n: usize) -> Crop {
        let value =
            |x: usize, y: usize, c: usize| ((x * x + 3 * y * y + 7 * x * y + 50 * c) % 251) as u8;
        let rgb = (0..n * n).flat_map(|i| [0, 1, 2].map(|c| value(i % n, i / n, c))).collect();
        Crop::new(n, rgb).unwrap()
    }

    #[test]
    fn agrees_with_pillow() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/data/pillow_resize.json")).unwrap();
        let cases = golden.as_array().unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let number = |key: &str| case[key].as_u64().unwrap() as usize;
            let small = resize(&pattern(number("from")), number("to"));
            let expected: Vec<u8> = serde_json::from_value(case["rgb"].clone()).unwrap();
            assert_eq!(small.rgb().len(), expected.len());
            // Pillow also rounds to bytes between its two passes.
            for (i, (a, b)) in small.rgb().iter().zip(&expected).enumerate() {
                assert!(
                    a.abs_diff(*b) <= 1,
                    "{} to {}, byte {i}: {a}, Pillow {b}",
                    case["from"],
                    case["to"]
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_uniform_crop_stays_uniform(from in 1usize..90, to in 1usize..90, color: [u8; 3]) {
            let crop = Crop::new(from, color.repeat(from * from)).unwrap();
            prop_assert_eq!(resize(&crop, to).into_rgb(), color.repeat(to * to));
        }

        #[test]
        fn mirroring_and_resizing_commute(from in 1usize..40, to in 1usize..40) {
            let crop = pattern(from);
            let (a, b) = (resize(&crop.flipped(), to), resize(&crop, to).flipped());
            for (a, b) in a.rgb().iter().zip(b.rgb()) {
                prop_assert!(a.abs_diff(*b) <= 1);
            }
        }
    }
}
