//! Comparison of the convolution with the reference, on every level.

use proptest::prelude::*;

use super::*;
use crate::{StemConv, reference};

/// Pseudorandom values in -1..1.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The expected output, `[cout, h, w]`.
fn expected(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    cin: usize,
    (h, w): (usize, usize),
    pool: bool,
) -> Vec<f32> {
    let mut output = reference::conv2d(input, weight, bias, cin, h, w, 3, 1);
    output.iter_mut().for_each(|v| *v = v.max(0.0));
    match pool {
        true => reference::max_pool(&output, bias.len(), h, w, 2, 2, h / 2, w / 2),
        false => output,
    }
}

proptest! {
    #[test]
    fn every_level_matches_the_reference(
        seed: u64,
        cout in 1usize..70,
        cin in 1usize..40,
        h in 1usize..20,
        w in 1usize..20,
        bands in 1usize..4,
        pool: bool,
    ) {
        let weight = values(seed, cout * cin * 9);
        let bias = values(!seed, cout);
        let input = values(seed ^ 0x5555, cin * h * w);
        let expected = expected(&input, &weight, &bias, cin, (h, w), pool);
        let packed = Planes { channels: cin, height: h, width: w }.pack(&input);
        let levels = Level::available().into_iter();
        for (level, winograd) in levels.flat_map(|l| Winograd::ALL.map(|w| (l, w))) {
            let conv = Conv3x3::new(level, winograd, &weight, &bias, (cout, cin), pool);
            let planes = conv.output_planes(h, w);
            // Previous contents of the buffers must not matter.
            let mut output = vec![Lanes([f32::NAN; LANES]); planes.size()];
            let mut scratch = vec![Scratch::default(); bands];
            conv.forward(&packed, h, w, &mut output, &mut scratch);
            let got = planes.unpack(&output);
            let tolerance = 2e-5 * (cin as f32 * 9.0).sqrt();
            for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
                prop_assert!((g - e).abs() <= tolerance, "{level}, {winograd:?} at {i}: {g}, expected {e}");
            }
            // Border, padding and unused lanes are zero.
            prop_assert_eq!(planes.pack(&got), output);
        }
    }
}

#[test]
fn fusion_with_the_stem_does_not_change_the_result() {
    let (cin, middle, cout, h, w) = (3, 20, 40, 30, 42);
    let cases = |l| Winograd::ALL.map(|w| [(l, w, false), (l, w, true)]).concat();
    for (level, winograd, pool) in Level::available().into_iter().flat_map(cases) {
        let stem =
            StemConv::new(level, &values(1, middle * cin * 9), &values(2, middle), middle, cin);
        let (weight, bias) = (values(3, cout * middle * 9), values(4, cout));
        let conv = Conv3x3::new(level, winograd, &weight, &bias, (cout, middle), pool);
        // A border with arbitrary values: both must read the same numbers.
        let picture = values(5, stem.picture_len(h, w));
        let mut between =
            vec![Lanes::default(); Planes { channels: middle, height: h, width: w }.size()];
        stem.forward(&picture, h, w, &mut between, false);
        let mut expected = vec![Lanes::default(); conv.output_planes(h, w).size()];
        conv.forward(&between, h, w, &mut expected, &mut [Scratch::default()]);
        for bands in 1..4 {
            let mut output = vec![Lanes([f32::NAN; LANES]); expected.len()];
            let mut scratch = vec![Scratch::default(); bands];
            conv.forward_with_stem(&stem, &picture, h, w, &mut output, &mut scratch);
            assert!(output == expected, "{level}, {winograd:?}, {bands} bands");
        }
    }
}

#[test]
fn result_does_not_depend_on_the_number_of_bands() {
    let (cout, cin, h, w) = (48, 24, 30, 26);
    let (weight, bias) = (values(1, cout * cin * 9), values(2, cout));
    let input = Planes { channels: cin, height: h, width: w }.pack(&values(3, cin * h * w));
    let levels = Level::available().into_iter();
    for (level, winograd) in levels.flat_map(|l| Winograd::ALL.map(|w| (l, w))) {
        let conv = Conv3x3::new(level, winograd, &weight, &bias, (cout, cin), true);
        let run = |bands: usize| {
            let mut output = vec![Lanes::default(); conv.output_planes(h, w).size()];
            conv.forward(&input, h, w, &mut output, &mut vec![Scratch::default(); bands]);
            output
        };
        let one = run(1);
        assert!((2..12).all(|bands| run(bands) == one), "{level}, {winograd:?}");
    }
}
