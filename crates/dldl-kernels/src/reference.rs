//! Reference implementations: naive scalar loops with sums in f64, for tests.

/// Convolution with stride 1 and zero padding: `[cin, height, width]` to
/// `[cout, ho, wo]`.
#[allow(clippy::too_many_arguments)]
pub fn conv2d(
    input: &[f32],
    weight: &[f32],
    bias: &[f32],
    cin: usize,
    height: usize,
    width: usize,
    kernel: usize,
    pad: usize,
) -> Vec<f32> {
    let (ho, wo) = (height + 2 * pad + 1 - kernel, width + 2 * pad + 1 - kernel);
    let mut output = Vec::new();
    for (o, &b) in bias.iter().enumerate() {
        let mut sums = vec![f64::from(b); ho * wo];
        for (c, ky, kx) in triples(cin, kernel) {
            let w = f64::from(weight[((o * cin + c) * kernel + ky) * kernel + kx]);
            // Output pixels whose input pixel for this tap is inside the image.
            for y in pad.saturating_sub(ky)..ho.min(height + pad - ky) {
                let row = &input[(c * height + y + ky - pad) * width..][..width];
                for x in pad.saturating_sub(kx)..wo.min(width + pad - kx) {
                    sums[y * wo + x] += w * f64::from(row[x + kx - pad]);
                }
            }
        }
        output.extend(sums.into_iter().map(|sum| sum as f32));
    }
    output
}

/// All (input channel, tap row, tap column).
fn triples(cin: usize, kernel: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let taps = kernel * kernel;
    (0..cin * taps).map(move |i| (i / taps, i % taps / kernel, i % kernel))
}

/// Max pooling, as PyTorch's `max_pool2d`, for an output of `ho` x `wo`.
#[allow(clippy::too_many_arguments)]
pub fn max_pool(
    input: &[f32],
    channels: usize,
    h: usize,
    w: usize,
    kernel: usize,
    stride: usize,
    ho: usize,
    wo: usize,
) -> Vec<f32> {
    let mut output = Vec::new();
    for c in 0..channels {
        for oy in 0..ho {
            for ox in 0..wo {
                let mut best = f32::NEG_INFINITY;
                for y in oy * stride..(oy * stride + kernel).min(h) {
                    for x in ox * stride..(ox * stride + kernel).min(w) {
                        best = best.max(input[(c * h + y) * w + x]);
                    }
                }
                output.push(best);
            }
        }
    }
    output
}

/// `y = W x + b` for each row, as [`linear`](crate::linear).
pub fn linear(input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let cin = weight.len() / bias.len();
    let mut output = Vec::new();
    for x in input.chunks(cin) {
        for (o, &b) in bias.iter().enumerate() {
            let mut sum = f64::from(b);
            for i in 0..cin {
                sum += f64::from(weight[o * cin + i]) * f64::from(x[i]);
            }
            output.push(sum as f32);
        }
    }
    output
}
