//! The convolution: stride 1, zero padding, as a register-blocked matrix
//! product over a padded copy of the input. Forward only; other ways to
//! convolve (Winograd) and the gradients live elsewhere.
//!
//! The trick that spares the usual im2col copy: in the padded input of width
//! `wp = width + 2 pad` the pixel that tap `(ky, kx)` needs for output pixel
//! `q = y * wp + x` lies at `q + ky * wp + kx`, for every `q`. So each row of
//! the im2col matrix is a plain slice of the padded input, and the product
//! runs on those slices directly. It computes `wp - wo` junk columns at the
//! end of every row, which are dropped when the result is copied out. Without
//! padding the input is used where it lies.

use crate::{Level, simd};
use rayon::prelude::*;
use std::borrow::Cow;

/// How much of the input (in floats, summed over the channels) one task works
/// on: small enough to stay in a second-level cache beside the weights.
const BLOCK_FLOATS: usize = 48 * 1024;

/// Below this many multiplications a convolution runs on the calling thread.
const PARALLEL_FROM: usize = 4_000_000;

/// A two-dimensional convolution (cross-correlation, as in PyTorch's
/// `conv2d`) with stride 1 and zero padding, its weights packed once.
#[derive(Clone, Debug)]
pub struct Conv2d {
    level: Level,
    cout: usize,
    cin: usize,
    kernel: usize,
    pad: usize,
    panels: Vec<Panel>,
}

/// Up to eight output channels that are computed together.
#[derive(Clone, Debug)]
struct Panel {
    rows: usize,
    /// `[cin * kernel * kernel, rows]`
    weight: Vec<f32>,
    /// `[rows]`
    bias: Vec<f32>,
}

impl Conv2d {
    /// Packs `weight` (`[cout, cin, kernel, kernel]`) and `bias` (`[cout]`)
    /// for the vector instructions of the running processor.
    ///
    /// # Panics
    /// If a slice's length does not fit the shape, or a dimension is zero.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        cout: usize,
        cin: usize,
        kernel: usize,
        pad: usize,
    ) -> Self {
        Self::with_level(Level::detect(), weight, bias, cout, cin, kernel, pad)
    }

    pub(crate) fn with_level(
        level: Level,
        weight: &[f32],
        bias: &[f32],
        cout: usize,
        cin: usize,
        kernel: usize,
        pad: usize,
    ) -> Self {
        assert!(cout > 0 && cin > 0 && kernel > 0, "conv2d: a dimension is zero");
        let depth = cin * kernel * kernel;
        assert_eq!(weight.len(), cout * depth, "conv2d: weight is not [cout, cin, kernel, kernel]");
        assert_eq!(bias.len(), cout, "conv2d: bias is not [cout]");
        let mut panels = Vec::new();
        let mut first = 0;
        while first < cout {
            // The largest power of two that fits, so that e.g. 10 channels
            // cost 8 + 2 rows and not 16.
            let mut rows = level.max_rows();
            while rows > cout - first {
                rows /= 2;
            }
            let mut packed = vec![0.0; depth * rows];
            for (r, row) in weight[first * depth..].chunks_exact(depth).take(rows).enumerate() {
                for (k, &w) in row.iter().enumerate() {
                    packed[k * rows + r] = w;
                }
            }
            panels.push(Panel { rows, weight: packed, bias: bias[first..first + rows].to_vec() });
            first += rows;
        }
        Self { level, cout, cin, kernel, pad, panels }
    }

    /// Number of output channels.
    pub fn output_channels(&self) -> usize {
        self.cout
    }

    /// Number of input channels.
    pub fn input_channels(&self) -> usize {
        self.cin
    }

    /// Height and width of the output for an input of `height` x `width`.
    ///
    /// # Panics
    /// If the padded input is smaller than the kernel.
    pub fn output_size(&self, height: usize, width: usize) -> (usize, usize) {
        let (hp, wp) = (height + 2 * self.pad, width + 2 * self.pad);
        assert!(
            hp >= self.kernel && wp >= self.kernel,
            "conv2d: input {height}x{width} is smaller than the kernel"
        );
        (hp - self.kernel + 1, wp - self.kernel + 1)
    }

    /// `input` is `[cin, height, width]`; the result is `[cout, ho, wo]` with
    /// `(ho, wo)` of [`Conv2d::output_size`]. Every output value is summed in
    /// the same order whatever the number of threads.
    ///
    /// # Panics
    /// If the input's length does not fit, or it is smaller than the kernel.
    pub fn forward(&self, input: &[f32], height: usize, width: usize) -> Vec<f32> {
        self.run(input, height, width, false)
    }

    /// [`Conv2d::forward`] followed by `max(0, x)`, in one pass.
    ///
    /// # Panics
    /// As [`Conv2d::forward`].
    pub fn forward_relu(&self, input: &[f32], height: usize, width: usize) -> Vec<f32> {
        self.run(input, height, width, true)
    }

    fn run(&self, input: &[f32], height: usize, width: usize, relu: bool) -> Vec<f32> {
        assert_eq!(input.len(), self.cin * height * width, "conv2d: input is not [cin, h, w]");
        let (ho, wo) = self.output_size(height, width);
        let (hp, wp) = (height + 2 * self.pad, width + 2 * self.pad);
        let taps = self.taps(hp, wp);
        let columns = self.level.columns();
        let mut output = vec![0.0; self.cout * ho * wo];

        let block = (BLOCK_FLOATS / (self.cin * wp)).clamp(1, ho);
        // From the first to the last pixel of a block of so many rows.
        let pixels = |rows: usize| (rows - 1) * wp + wo;
        let last_block = ho - (ho.div_ceil(block) - 1) * block;
        // A block of less than one tile reads beyond the input's end.
        let source = if self.pad == 0 && pixels(last_block) >= columns {
            Cow::Borrowed(input)
        } else {
            Cow::Owned(self.padded(input, height, width))
        };
        // One entry per block of rows: that block's slice of every channel.
        let mut blocks: Vec<Vec<&mut [f32]>> =
            (0..ho.div_ceil(block)).map(|_| Vec::with_capacity(self.cout)).collect();
        for plane in output.chunks_exact_mut(ho * wo) {
            for (slot, rows) in blocks.iter_mut().zip(plane.chunks_mut(block * wo)) {
                slot.push(rows);
            }
        }
        let scratch_len = self.level.max_rows() * (block * wp).max(columns);
        let work = |scratch: &mut Vec<f32>, (b, mut planes): (usize, Vec<&mut [f32]>)| {
            let rows = planes[0].len() / wo;
            let stride = (rows * wp).max(columns);
            let mut first = 0;
            for panel in &self.panels {
                let out = &mut scratch[..panel.rows * stride];
                let input = &source[b * block * wp..];
                run_panel(self.level, panel, &taps, input, out, pixels(rows));
                for (r, plane) in planes[first..first + panel.rows].iter_mut().enumerate() {
                    let from = scratch[r * stride..].chunks(wp);
                    for (to, from) in plane.chunks_exact_mut(wo).zip(from) {
                        if relu {
                            to.iter_mut().zip(from).for_each(|(t, &f)| *t = f.max(0.0));
                        } else {
                            to.copy_from_slice(&from[..wo]);
                        }
                    }
                }
                first += panel.rows;
            }
        };
        let blocks = blocks.into_iter().enumerate();
        if self.cout * taps.len() * ho * wo < PARALLEL_FROM {
            let mut scratch = vec![0.0; scratch_len];
            blocks.for_each(|block| work(&mut scratch, block));
        } else {
            let blocks: Vec<_> = blocks.collect();
            blocks.into_par_iter().for_each_init(|| vec![0.0; scratch_len], work);
        }
        output
    }

    /// The input with its zero border, `[cin, hp, wp]`, and as many zeros
    /// behind it as a tile may read.
    fn padded(&self, input: &[f32], height: usize, width: usize) -> Vec<f32> {
        let (hp, wp) = (height + 2 * self.pad, width + 2 * self.pad);
        let slack = self.level.columns();
        let mut padded = vec![0.0; self.cin * hp * wp + slack];
        if height == 0 || width == 0 {
            return padded;
        }
        for (to, from) in padded.chunks_exact_mut(hp * wp).zip(input.chunks_exact(height * width)) {
            let to = to[self.pad * wp..].chunks_exact_mut(wp);
            for (to, from) in to.zip(from.chunks_exact(width)) {
                to[self.pad..self.pad + width].copy_from_slice(from);
            }
        }
        padded
    }

    /// Where the pixel of each tap lies, relative to the output pixel's index
    /// in the padded plane; in the order of the weights.
    fn taps(&self, hp: usize, wp: usize) -> Vec<usize> {
        let mut taps = Vec::with_capacity(self.cin * self.kernel * self.kernel);
        for c in 0..self.cin {
            for ky in 0..self.kernel {
                for kx in 0..self.kernel {
                    taps.push((c * hp + ky) * wp + kx);
                }
            }
        }
        taps
    }
}

/// One panel of output channels over the first `pixels` pixels of a block;
/// `out` is `[panel.rows, stride]`, with a stride of at least `pixels` and of
/// the level's columns.
fn run_panel(
    level: Level,
    panel: &Panel,
    taps: &[usize],
    input: &[f32],
    out: &mut [f32],
    pixels: usize,
) {
    match panel.rows {
        8 => run_rows::<8>(level, panel, taps, input, out, pixels),
        4 => run_rows::<4>(level, panel, taps, input, out, pixels),
        2 => run_rows::<2>(level, panel, taps, input, out, pixels),
        _ => run_rows::<1>(level, panel, taps, input, out, pixels),
    }
}

fn run_rows<const ROWS: usize>(
    level: Level,
    panel: &Panel,
    taps: &[usize],
    input: &[f32],
    out: &mut [f32],
    pixels: usize,
) {
    let (weights, _) = panel.weight.as_chunks::<ROWS>();
    let bias: &[f32; ROWS] = panel.bias.as_slice().try_into().expect("a bias per row");
    let stride = out.len() / ROWS;
    // The last tile ends with the last pixel and may overlap the one before.
    let last = pixels.saturating_sub(level.columns());
    let mut q = 0;
    loop {
        simd::tile(level, weights, bias, taps, &input[q..], &mut out[q..], stride);
        if q == last {
            return;
        }
        q = (q + level.columns()).min(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    /// The integration tests see the best level only; here all of them.
    #[test]
    fn every_level_agrees_with_the_reference() {
        let value = |i: usize| ((i * 2654435761) % 1009) as f32 / 504.5 - 1.0;
        let (cout, cin, h, w) = (15, 5, 21, 34);
        let weight: Vec<f32> = (0..cout * cin * 9).map(value).collect();
        let bias: Vec<f32> = (0..cout).map(value).collect();
        let input: Vec<f32> = (0..cin * h * w).map(value).collect();
        let expected = reference::conv2d(&input, &weight, &bias, cin, h, w, 3, 1);
        for level in Level::available() {
            let conv = Conv2d::with_level(level, &weight, &bias, cout, cin, 3, 1);
            for (got, expected) in conv.forward(&input, h, w).iter().zip(&expected) {
                assert!((got - expected).abs() < 2e-5, "{level:?}: {got} instead of {expected}");
            }
        }
    }
}
