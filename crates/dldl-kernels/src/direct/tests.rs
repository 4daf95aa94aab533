//! Comparison of every level with the reference, on random shapes and values.

use super::pool::max_pool_at;
use super::*;
use crate::reference;
use proptest::prelude::*;

/// Pseudorandom values in -1..1.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// `[channels, h, w]` to `[h, blocks, w]`, with arbitrary values in unused lanes.
fn packed(input: &[f32], channels: usize, h: usize, w: usize) -> Vec<Lanes> {
    let blocks = channels.div_ceil(LANES);
    let mut out = vec![Lanes([7.0; LANES]); h * blocks * w];
    for (i, &v) in input.iter().enumerate() {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        out[(y * blocks + c / LANES) * w + x].0[c % LANES] = v;
    }
    out
}

fn unpacked(input: &[Lanes], channels: usize, h: usize, w: usize) -> Vec<f32> {
    let blocks = channels.div_ceil(LANES);
    assert_eq!(input.len(), h * blocks * w);
    let at = |i: usize| (i / (h * w), i / w % h, i % w);
    (0..channels * h * w)
        .map(at)
        .map(|(c, y, x)| input[(y * blocks + c / LANES) * w + x].0[c % LANES])
        .collect()
}

proptest! {
    #[test]
    fn convolution_of_blocks_matches_the_reference(
        seed: u64,
        outputs in 1usize..70,
        inputs in 1usize..40,
        kernel in 1usize..4,
        h in 3usize..6,
        w in 3usize..40,
        activated: bool,
    ) {
        let weight = values(seed, outputs * inputs * kernel * kernel);
        let bias = values(!seed, outputs);
        let slopes = values(seed ^ 0xAAAA, outputs);
        let slopes = activated.then_some(&slopes[..]);
        let input = values(seed ^ 0x5555, inputs * h * w);
        let mut expected = reference::conv2d(&input, &weight, &bias, inputs, h, w, kernel, 0);
        let (ho, wo) = (h + 1 - kernel, w + 1 - kernel);
        if let Some(slopes) = slopes {
            for (i, v) in expected.iter_mut().enumerate() {
                *v = if *v > 0.0 { *v } else { *v * slopes[i / (ho * wo)] };
            }
        }
        let tolerance = 2e-6 * ((inputs * kernel * kernel) as f32).sqrt() + 1e-6;
        for level in Level::available() {
            let conv =
                DirectConv::<Lanes>::with_level(level, &weight, &bias, slopes, inputs, kernel);
            // A buffer with previous contents.
            let mut out = vec![Lanes([f32::NAN; LANES]); seed as usize % 50];
            conv.forward(&packed(&input, inputs, h, w), h, w, &mut out);
            let got = unpacked(&out, outputs, ho, wo);
            for (g, e) in got.iter().zip(&expected) {
                let tolerance = tolerance * e.abs().max(1.0);
                prop_assert!((g - e).abs() <= tolerance, "{level}: {g}, expected {e}");
            }
            // Unused lanes are zero.
            let last = out.chunks(wo).skip(outputs.div_ceil(LANES) - 1);
            for lanes in last.step_by(outputs.div_ceil(LANES)).flatten() {
                let used = (outputs - 1) % LANES + 1;
                prop_assert!(lanes.0[used..].iter().all(|&v| v == 0.0));
            }
        }
    }

    #[test]
    fn convolution_of_rgb_matches_the_reference(seed: u64, outputs in 1usize..40, w in 3usize..60) {
        let weight = values(seed, outputs * 27);
        let bias = values(!seed, outputs);
        let input = values(seed ^ 0x5555, 9 * w);
        let expected = reference::conv2d(&input, &weight, &bias, 3, 3, w, 3, 0);
        let pixels: Vec<[f32; 4]> =
            (0..3 * w).map(|i| [input[i], input[3 * w + i], input[6 * w + i], 9.0]).collect();
        for level in Level::available() {
            let conv =
                DirectConv::<[f32; 4]>::with_level(level, &weight, &bias, None, 3, 3);
            let mut out = Vec::new();
            conv.forward(&pixels, 3, w, &mut out);
            for (g, e) in unpacked(&out, outputs, 1, w - 2).iter().zip(&expected) {
                prop_assert!((g - e).abs() <= 7e-6, "{level}: {g}, expected {e}");
            }
        }
    }

    /// The value of a pixel does not depend on its position in the tiles, to the bit.
    #[test]
    fn pixels_do_not_depend_on_their_position_in_a_row(seed: u64, w in 5usize..50, cut in 1usize..40) {
        let cut = cut.min(w - 3);
        let input = packed(&values(seed, 20 * w), 20, 3, w);
        let row = |from: usize| -> Vec<Lanes> {
            input.chunks(w).flat_map(|block| &block[from..]).copied().collect()
        };
        let (weight, bias) = (values(!seed, 33 * 20 * 9), values(seed, 33));
        for level in Level::available() {
            let conv = DirectConv::<Lanes>::with_level(level, &weight, &bias, None, 20, 3);
            let (mut whole, mut part) = (Vec::new(), Vec::new());
            conv.forward(&row(0), 3, w, &mut whole);
            conv.forward(&row(cut), 3, w - cut, &mut part);
            for (whole, part) in whole.chunks(w - 2).zip(part.chunks(w - cut - 2)) {
                prop_assert_eq!(&whole[cut..], part);
            }
        }
    }

    #[test]
    fn depthwise_convolution_matches_the_reference(
        seed: u64,
        channels in 1usize..40,
        h in 1usize..5,
        w in 1usize..40,
        relu: bool,
    ) {
        let weight = values(seed, 9 * channels);
        let bias = values(!seed, channels);
        let input = values(seed ^ 0x5555, channels * h * w);
        let mut expected = Vec::new();
        for c in 0..channels {
            let (plane, taps) = (&input[c * h * w..][..h * w], &weight[9 * c..][..9]);
            expected.extend(reference::conv2d(plane, taps, &bias[c..=c], 1, h, w, 3, 1));
        }
        if relu {
            expected.iter_mut().for_each(|v| *v = v.max(0.0));
        }
        let lanes = packed(&input, channels, h, w);
        let stride = channels.div_ceil(LANES) * w;
        let zeros = vec![Lanes::default(); stride];
        for level in Level::available() {
            let conv = DepthwiseConv::with_level(level, &weight, &bias, relu);
            let mut out = vec![Lanes([f32::NAN; LANES]); h * stride];
            for (y, out) in out.chunks_exact_mut(stride).enumerate() {
                let row = |y: usize| lanes.chunks_exact(stride).nth(y).unwrap_or(&zeros);
                let above = if y == 0 { &zeros } else { row(y - 1) };
                conv.row([above, row(y), row(y + 1)], w, out);
            }
            for (g, e) in unpacked(&out, channels, h, w).iter().zip(&expected) {
                prop_assert!((g - e).abs() <= 4e-6, "{level}: {g}, expected {e}");
            }
        }
    }

    #[test]
    fn pooling_of_rows_matches_the_reference(seed: u64, channels in 1usize..40, h in 1usize..4, w in 3usize..40) {
        let input = values(seed, channels * h * w);
        let lanes = packed(&input, channels, h, w);
        let blocks = channels.div_ceil(LANES);
        let rows: Vec<&[Lanes]> = lanes.chunks(blocks * w).collect();
        for kernel in [2, 3] {
            let wo = (w - kernel).div_ceil(2) + 1;
            // One window over all rows; the reference has square windows.
            let used = h.min(kernel);
            let shape = (channels, h, w);
            let expected = reference::max_pool(&input, shape.0, shape.1, shape.2, kernel, 2, 1, wo);
            for level in Level::available() {
                let mut out = vec![Lanes::default(); blocks * wo];
                max_pool_at(level, &rows[..used], w, kernel, &mut out);
                prop_assert_eq!(&unpacked(&out, channels, 1, wo), &expected);
            }
        }
    }
}

#[test]
#[should_panic(expected = "smaller than the kernel")]
fn inputs_smaller_than_the_kernel_panic() {
    let conv = DirectConv::<[f32; 4]>::new(&[0.0; 27], &[0.0], None, 3, 3);
    conv.forward(&[[0.0; 4]; 8], 2, 4, &mut Vec::new());
}
