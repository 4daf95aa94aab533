//! The first convolution of a network (the stem): 3x3 over an interleaved image of few
//! channels (3 for RGB), for which Winograd's transforms would cost more than they
//! save. Direct, with bias and ReLU, to the layout of [`Planes`].

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};
use rayon::prelude::*;

use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes, Planes};

/// Largest number of pixels in a register block, over all levels.
const PIXELS: usize = 14;

/// A 3x3 convolution (stride 1, padding 1) with bias and ReLU, from an interleaved
/// image.
#[derive(Clone, Debug)]
pub struct StemConv {
    pub(crate) level: Level,
    cout: usize,
    cin: usize,
    /// `[block of output channels][tap row][tap column][input channel]`
    weights: Vec<Lanes>,
    /// `[block of output channels]`
    bias: Vec<Lanes>,
}

impl StemConv {
    /// Packs `weight` (`[cout, cin, 3, 3]`) for the level; `bias` is `[cout]`.
    ///
    /// # Panics
    /// If the length of a slice does not match its shape, or a dimension is zero.
    pub fn new(level: Level, weight: &[f32], bias: &[f32], cout: usize, cin: usize) -> Self {
        assert!(cout > 0 && cin > 0, "stem: a dimension is zero");
        assert_eq!(weight.len(), cout * cin * 9, "stem: weight is not [cout, cin, 3, 3]");
        assert_eq!(bias.len(), cout, "stem: bias is not [cout]");
        let blocks = cout.div_ceil(LANES);
        let mut weights = vec![Lanes::default(); blocks * 9 * cin];
        for (o, kernels) in weight.chunks_exact(9 * cin).enumerate() {
            for (c, kernel) in kernels.chunks_exact(9).enumerate() {
                for (tap, &w) in kernel.iter().enumerate() {
                    weights[(o / LANES * 9 + tap) * cin + c].0[o % LANES] = w;
                }
            }
        }
        let bias = Lanes::blocks(bias);
        Self { level, cout, cin, weights, bias }
    }

    /// Number of output channels.
    pub fn output_channels(&self) -> usize {
        self.cout
    }

    /// Size of the packed weights in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Lanes>() * (self.weights.len() + self.bias.len())
    }

    /// Distance between rows of the image, in numbers, for a width in pixels.
    pub fn row_stride(&self, width: usize) -> usize {
        (width + 2) * self.cin
    }

    /// Length of the image buffer: the image with its border, plus what a register block
    /// may read beyond the end.
    pub fn picture_len(&self, height: usize, width: usize) -> usize {
        (height + 2) * self.row_stride(width) + PIXELS * self.cin
    }

    /// Computes the convolution. `picture` is `[height + 2, width + 2, cin]` with a
    /// border of zeros, in a buffer of [`StemConv::picture_len`]; `output` is laid out as
    /// [`Planes`] of `height` x `width`. With `parallel`, rows are shared by the current
    /// Rayon pool.
    ///
    /// # Panics
    /// If a buffer is too short.
    pub fn forward(
        &self,
        picture: &[f32],
        height: usize,
        width: usize,
        output: &mut [Lanes],
        parallel: bool,
    ) {
        let planes = Planes { channels: self.cout, height, width };
        assert!(picture.len() >= self.picture_len(height, width), "stem: picture too short");
        let stride = self.row_stride(width);
        let work = |(y, row): (usize, &mut [Lanes])| {
            planes.clear_sides(row);
            let rows = &picture[y * stride..];
            at_level!(self.level, simd => self.row(simd, rows, &planes, row));
        };
        let rows = planes.rows(output);
        if parallel {
            rows.par_chunks_exact_mut(planes.row_stride()).enumerate().for_each(work);
        } else {
            rows.chunks_exact_mut(planes.row_stride()).enumerate().for_each(work);
        }
    }

    /// One row of the output from the three rows of the image around it; its left and
    /// right border are not written.
    #[inline(always)]
    pub(crate) fn row<S: Simd>(&self, s: S, rows: &[f32], planes: &Planes, output: &mut [Lanes]) {
        let (columns, width) = (planes.columns(), planes.width);
        let mut outputs = output.chunks_exact_mut(columns);
        let panel = if S::f32s::LEN >= LANES { 2 } else { 1 };
        for (b, weights) in self.weights.chunks(panel * 9 * self.cin).enumerate() {
            let bias = &self.bias[b * panel..];
            let first = &mut outputs.next().expect("one plane per block")[1..][..width];
            match (S::f32s::LEN, weights.len() / (9 * self.cin)) {
                (16.., 2) => {
                    let second = &mut outputs.next().expect("one plane per block")[1..][..width];
                    self.block::<S, 14, 2>(s, rows, width, weights, bias, [first, second]);
                }
                (16.., _) => self.block::<S, 14, 1>(s, rows, width, weights, bias, [first]),
                (8.., _) => self.block::<S, 6, 1>(s, rows, width, weights, bias, [first]),
                _ if cfg!(target_arch = "aarch64") => {
                    self.block::<S, 6, 1>(s, rows, width, weights, bias, [first]);
                }
                _ => self.block::<S, 2, 1>(s, rows, width, weights, bias, [first]),
            }
        }
    }

    /// `P` blocks of output channels along a row, `G` pixels at a time.
    #[inline(always)]
    fn block<S: Simd, const G: usize, const P: usize>(
        &self,
        s: S,
        rows: &[f32],
        width: usize,
        weights: &[Lanes],
        bias: &[Lanes],
        output: [&mut [Lanes]; P],
    ) {
        let taps = 3 * self.cin;
        let stride = self.row_stride(width);
        for x in (0..width).step_by(G) {
            let mut acc = [[f32x16::splat(s, 0.0); P]; G];
            for t in 0..G {
                for p in 0..P {
                    acc[t][p] = f32x16::load_array_ref(s, &bias[p].0);
                }
            }
            for y in 0..3 {
                // The taps of pixel `t` are `t * cin` after those of the first pixel.
                let row = &rows[y * stride + x * self.cin..][..taps + (G - 1) * self.cin];
                for k in 0..taps {
                    let mut w = [f32x16::splat(s, 0.0); P];
                    for p in 0..P {
                        w[p] = f32x16::load_array_ref(s, &weights[(p * 3 + y) * taps + k].0);
                    }
                    for t in 0..G {
                        let value = f32x16::splat(s, row[k + t * self.cin]);
                        for p in 0..P {
                            acc[t][p] = value.mul_add(w[p], acc[t][p]);
                        }
                    }
                }
            }
            let zero = f32x16::splat(s, 0.0);
            for t in 0..G {
                for p in 0..P {
                    if let Some(to) = output[p].get_mut(x + t) {
                        acc[t][p].max(zero).store_array(&mut to.0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_matches_the_reference(
            seed in 0usize..1000,
            cout in 1usize..70,
            cin in 1usize..5,
            h in 1usize..12,
            w in 1usize..34,
            parallel: bool,
        ) {
            let value = |i: usize| (((i + seed) * 2654435761) % 1009) as f32 / 504.5 - 1.0;
            let weight: Vec<f32> = (0..cout * cin * 9).map(value).collect();
            let bias: Vec<f32> = (0..cout).map(value).collect();
            let input: Vec<f32> = (0..cin * h * w).map(|i| value(7 * i)).collect();
            let mut expected = reference::conv2d(&input, &weight, &bias, cin, h, w, 3, 1);
            expected.iter_mut().for_each(|v| *v = v.max(0.0));
            let planes = Planes { channels: cout, height: h, width: w };
            for level in Level::available() {
                let conv = StemConv::new(level, &weight, &bias, cout, cin);
                let mut picture = vec![0.0; conv.picture_len(h, w)];
                for (i, &v) in input.iter().enumerate() {
                    let (c, y, x) = (i / (h * w), i / w % h, i % w);
                    picture[(y + 1) * conv.row_stride(w) + (x + 1) * cin + c] = v;
                }
                let mut output = vec![Lanes([f32::NAN; LANES]); planes.size()];
                conv.forward(&picture, h, w, &mut output, parallel);
                let got = planes.unpack(&output);
                for (i, (g, e)) in got.iter().zip(&expected).enumerate() {
                    prop_assert!((g - e).abs() <= 1e-5, "{level} at {i}: {g}, expected {e}");
                }
                // Border, padding and unused lanes are zero.
                prop_assert_eq!(planes.pack(&got), output);
            }
        }
    }
}
