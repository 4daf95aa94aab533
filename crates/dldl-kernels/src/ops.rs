//! The linear layer, forward only.

/// `y = W x + b` for each row of `input`: `[n, cin]` to `[n, cout]`, with `weight`
/// `[cout, cin]` and `bias` `[cout]`.
///
/// # Panics
/// If the lengths do not match these shapes.
pub fn linear(input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    assert!(!bias.is_empty(), "linear: bias is empty");
    let cin = weight.len() / bias.len();
    assert!(cin > 0 && input.len().is_multiple_of(cin), "linear: input is not [n, cin]");
    let mut output = vec![0.0; input.len() / cin * bias.len()];
    for (x, y) in input.chunks_exact(cin).zip(output.chunks_exact_mut(bias.len())) {
        linear_into(x, weight, bias, y);
    }
    output
}

/// [`linear`] for one row, `[cin]` to `[cout]`, into an existing buffer.
///
/// # Panics
/// As [`linear`].
pub fn linear_into(input: &[f32], weight: &[f32], bias: &[f32], output: &mut [f32]) {
    assert_eq!(weight.len(), bias.len() * input.len(), "linear: weight is not [cout, cin]");
    assert_eq!(output.len(), bias.len(), "linear: output is not [cout]");
    let rows = weight.chunks_exact(input.len());
    for ((y, w), b) in output.iter_mut().zip(rows).zip(bias) {
        *y = b + dot(w, input);
    }
}

/// Number of independent partial sums, which let the compiler use vectors.
const LANES: usize = 16;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut acc = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            acc[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    acc.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn linear_matches_the_reference(
            rows in 0usize..4,
            cout in 1usize..20,
            values in prop::collection::vec(-1f32..1.0, 90 * 24),
            cin in 1usize..90,
        ) {
            let (weight, rest) = values.split_at(cout * cin);
            let bias = &values[..cout];
            let input = &rest[..rows * cin];
            let tolerance = 1e-6 * (cin as f32).sqrt() + 1e-6;
            let got = linear(input, weight, bias);
            let expected = reference::linear(input, weight, bias);
            prop_assert_eq!(got.len(), expected.len());
            for (g, e) in got.iter().zip(&expected) {
                prop_assert!((g - e).abs() <= tolerance, "{}, expected {}", g, e);
            }
        }
    }
}
