//! Everything that is not a convolution: activations, pooling, the linear
//! layer. Forward only.

/// Parametric ReLU in place: `x` where positive, else `slope * x`, with one
/// slope per channel. `x` is `[channels, pixels]`.
///
/// # Panics
/// If `x` does not divide into `channels`, or `slopes` is not `[channels]`.
pub fn prelu(x: &mut [f32], channels: usize, slopes: &[f32]) {
    assert_eq!(slopes.len(), channels, "prelu: slopes are not [channels]");
    assert!(channels > 0 && x.len().is_multiple_of(channels), "prelu: x is not [channels, pixels]");
    if x.is_empty() {
        return;
    }
    let pixels = x.len() / channels;
    for (plane, &slope) in x.chunks_exact_mut(pixels).zip(slopes) {
        for v in plane {
            *v = if *v > 0.0 { *v } else { slope * *v };
        }
    }
}

/// ReLU in place: `max(0, x)`, a NaN becoming 0.
pub fn relu(x: &mut [f32]) {
    for v in x {
        *v = v.max(0.0);
    }
}

/// Length of a pooled axis, as PyTorch's `max_pool2d` without padding: the
/// last window is a partial one with `ceil_mode`, and left out without.
fn pooled(len: usize, kernel: usize, stride: usize, ceil_mode: bool) -> usize {
    assert!(kernel > 0 && stride > 0, "max_pool: kernel or stride is zero");
    assert!(len > 0 && (len >= kernel || ceil_mode), "max_pool: input is smaller than the kernel");
    let room = len.saturating_sub(kernel);
    if !ceil_mode {
        return room / stride + 1;
    }
    let out = room.div_ceil(stride) + 1;
    // A window must start inside the input.
    if (out - 1) * stride >= len { out - 1 } else { out }
}

/// Maximum over windows of `kernel` x `kernel` at every `stride` pixels, no
/// padding. `input` is `[channels, h, w]`, finite; returns `[channels, ho, wo]`
/// with `ho` and `wo`. With `ceil_mode` windows that hang over the edge count
/// (PyTorch's rule).
///
/// # Panics
/// If the input's length does not fit or it is smaller than the window.
pub fn max_pool(
    input: &[f32],
    channels: usize,
    h: usize,
    w: usize,
    kernel: usize,
    stride: usize,
    ceil_mode: bool,
) -> (Vec<f32>, usize, usize) {
    assert_eq!(input.len(), channels * h * w, "max_pool: input is not [channels, h, w]");
    let (ho, wo) = (pooled(h, kernel, stride, ceil_mode), pooled(w, kernel, stride, ceil_mode));
    let mut output = vec![f32::NEG_INFINITY; channels * ho * wo];
    for (to, from) in output.chunks_exact_mut(ho * wo).zip(input.chunks_exact(h * w)) {
        for (oy, to) in to.chunks_exact_mut(wo).enumerate() {
            for from in from.chunks_exact(w).skip(oy * stride).take(kernel) {
                if kernel == 2 && stride == 2 {
                    row_maximum_2(to, from);
                } else {
                    row_maximum(to, from, kernel, stride);
                }
            }
        }
    }
    (output, ho, wo)
}

/// Folds one row of the input into a row of maxima.
fn row_maximum(to: &mut [f32], from: &[f32], kernel: usize, stride: usize) {
    for kx in 0..kernel.min(from.len()) {
        for (t, &f) in to.iter_mut().zip(from[kx..].iter().step_by(stride)) {
            *t = greater(*t, f);
        }
    }
}

/// The common case, windows of two side by side, in a form that becomes
/// vector instructions.
fn row_maximum_2(to: &mut [f32], from: &[f32]) {
    let (pairs, rest) = from.as_chunks::<2>();
    for (t, &[a, b]) in to.iter_mut().zip(pairs) {
        *t = greater(*t, greater(a, b));
    }
    // A window that hangs over the edge.
    if let (Some(t), Some(&f)) = (to.get_mut(pairs.len()), rest.first()) {
        *t = greater(*t, f);
    }
}

/// The greater of two finite numbers: one instruction, where `f32::max` spends
/// more on NaN.
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Mean of each channel: `[channels, pixels]` to `[channels]`.
///
/// # Panics
/// If `input` is empty or does not divide into `channels`.
pub fn global_average(input: &[f32], channels: usize) -> Vec<f32> {
    assert!(
        channels > 0 && !input.is_empty() && input.len().is_multiple_of(channels),
        "global_average: input is not [channels, pixels]"
    );
    let pixels = input.len() / channels;
    input.chunks_exact(pixels).map(|plane| sum(plane) / pixels as f32).collect()
}

/// `y = W x + b` for each of the rows of `input`: `[n, cin]` to `[n, cout]`,
/// with `weight` `[cout, cin]` and `bias` `[cout]`.
///
/// # Panics
/// If the lengths do not fit together.
pub fn linear(input: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    assert!(!bias.is_empty(), "linear: there is no output");
    let cin = weight.len() / bias.len();
    assert!(cin > 0 && input.len().is_multiple_of(cin), "linear: input is not [n, cin]");
    let mut output = vec![0.0; input.len() / cin * bias.len()];
    for (x, y) in input.chunks_exact(cin).zip(output.chunks_exact_mut(bias.len())) {
        linear_into(x, weight, bias, y);
    }
    output
}

/// [`linear`] for one row, `[cin]` to `[cout]`, into memory that is there.
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

/// Independent partial sums, so that the compiler may keep them in vectors.
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

fn sum(x: &[f32]) -> f32 {
    let (x, rest) = x.as_chunks::<LANES>();
    let mut acc = [0.0f32; LANES];
    for x in x {
        for i in 0..LANES {
            acc[i] += x[i];
        }
    }
    acc.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
