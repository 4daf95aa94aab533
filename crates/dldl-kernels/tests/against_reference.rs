//! Every kernel against the naive reference, on random shapes and values.

use dldl_kernels::{Conv2d, global_average, linear, max_pool, prelu, reference, relu};
use proptest::prelude::*;

/// Reproducible values in -1..1 from a small linear congruential generator.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Sums of `terms` products of values in -1..1, in f32 against f64.
fn assert_close(got: &[f32], expected: &[f32], terms: usize) {
    assert_eq!(got.len(), expected.len());
    let tolerance = 1e-6 * (terms as f32).sqrt() + 1e-6;
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tolerance, "at {i}: {g} instead of {e} (within {tolerance})");
    }
}

proptest! {
    #[test]
    fn convolution(
        seed: u64,
        cout in 1usize..20,
        cin in 1usize..9,
        kernel in 1usize..5,
        pad in 0usize..3,
        h in 4usize..40,
        w in 4usize..40,
    ) {
        let weight = values(seed, cout * cin * kernel * kernel);
        let bias = values(!seed, cout);
        let input = values(seed ^ 0x5555, cin * h * w);
        let expected = reference::conv2d(&input, &weight, &bias, cin, h, w, kernel, pad);
        let conv = Conv2d::new(&weight, &bias, cout, cin, kernel, pad);
        let (ho, wo) = conv.output_size(h, w);
        prop_assert_eq!(expected.len(), cout * ho * wo);
        assert_close(&conv.forward(&input, h, w), &expected, cin * kernel * kernel);
        let mut rectified = conv.forward(&input, h, w);
        relu(&mut rectified);
        prop_assert_eq!(conv.forward_relu(&input, h, w), rectified);
    }

    #[test]
    fn pooling_in_pytorchs_sizes(
        seed: u64,
        channels in 1usize..5,
        h in 4usize..30,
        w in 4usize..30,
        kernel in 1usize..5,
        stride in 1usize..5,
        ceil_mode: bool,
    ) {
        let input = values(seed, channels * h * w);
        let (got, ho, wo) = max_pool(&input, channels, h, w, kernel, stride, ceil_mode);
        // The definition of the output size: windows that fit, or (ceil) that
        // start inside and are needed to see pixels that no window before saw.
        let count = |len: usize| {
            (0..len)
                .step_by(stride)
                .enumerate()
                .filter(|&(i, start)| {
                    let seen = if i == 0 { 0 } else { (i - 1) * stride + kernel };
                    start + kernel <= len || (ceil_mode && seen < len)
                })
                .count()
        };
        prop_assert_eq!((ho, wo), (count(h), count(w)));
        let expected = reference::max_pool(&input, channels, h, w, kernel, stride, ho, wo);
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn average(seed: u64, channels in 1usize..5, pixels in 1usize..200) {
        let input = values(seed, channels * pixels);
        let expected = reference::global_average(&input, channels);
        assert_close(&global_average(&input, channels), &expected, pixels);
    }

    #[test]
    fn fully_connected(seed: u64, rows in 0usize..4, cin in 1usize..90, cout in 1usize..20) {
        let weight = values(seed, cout * cin);
        let bias = values(!seed, cout);
        let input = values(seed ^ 0x5555, rows * cin);
        let expected = reference::linear(&input, &weight, &bias);
        assert_close(&linear(&input, &weight, &bias), &expected, cin);
    }
}

/// Big enough to be split over threads and blocks of rows.
#[test]
fn a_wide_convolution_in_many_blocks() {
    let (cout, cin, h, w) = (13, 24, 90, 130);
    let weight = values(1, cout * cin * 9);
    let bias = values(2, cout);
    let input = values(3, cin * h * w);
    for pad in [0, 1] {
        let expected = reference::conv2d(&input, &weight, &bias, cin, h, w, 3, pad);
        let conv = Conv2d::new(&weight, &bias, cout, cin, 3, pad);
        assert_close(&conv.forward(&input, h, w), &expected, cin * 9);
    }
}

#[test]
fn activations() {
    let mut x = vec![-2.0, 3.0, -4.0, 0.0];
    prelu(&mut x, 2, &[0.5, 0.25]);
    assert_eq!(x, [-1.0, 3.0, -1.0, 0.0]);
    relu(&mut x);
    assert_eq!(x, [0.0, 3.0, 0.0, 0.0]);
}

#[test]
#[should_panic(expected = "smaller than the kernel")]
fn an_input_smaller_than_the_kernel_is_refused() {
    Conv2d::new(&[0.0; 9], &[0.0], 1, 1, 3, 0).forward(&[0.0; 4], 2, 2);
}
