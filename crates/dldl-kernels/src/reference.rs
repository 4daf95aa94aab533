//! The same operations as naive scalar loops in f64: slow, obviously right,
//! and what every kernel is tested against. Not for use in a network.

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
        for y in 0..ho {
            for x in 0..wo {
                let mut sum = f64::from(b);
                for c in 0..cin {
                    for ky in 0..kernel {
                        for kx in 0..kernel {
                            let (iy, ix) = (y + ky, x + kx);
                            let inside =
                                iy >= pad && ix >= pad && iy < height + pad && ix < width + pad;
                            if inside {
                                let i = (c * height + iy - pad) * width + ix - pad;
                                let w = ((o * cin + c) * kernel + ky) * kernel + kx;
                                sum += f64::from(input[i]) * f64::from(weight[w]);
                            }
                        }
                    }
                }
                output.push(sum as f32);
            }
        }
    }
    output
}

/// Maximum pooling of one window at a time; as PyTorch's
/// `max_pool2d`, for an output of `ho` x `wo`.
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

/// `y = W x + b` for each row; as [`linear`](crate::linear).
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
