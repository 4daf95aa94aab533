//! The direct convolution, one row of pixels at a time: stride 1, no padding,
//! the parametric ReLU in the same pass. It serves small networks on small
//! inputs, whose channels are few and whose rows stay in the cache; what has
//! 3x3 kernels and many channels is better served by Winograd's algorithm.
//!
//! A row holds its channel blocks one after the other, each of them with its
//! pixels, each of those with the block's [`LANES`] channels: the layout of
//! [`planes`](crate::Planes), without its border. One vector holds output
//! channels of one pixel, so an input value is broadcast to all of them, and
//! pixels can come in any number. The innermost loops are in `tile`, pooling
//! in `pool`.

mod pool;
#[cfg(test)]
mod tests;
mod tile;

pub use pool::max_pool_rows;

use crate::level::at_level;
use crate::{LANES, Lanes, Level};

/// A pixel of a row, with its channels or a block of them.
pub trait Pixel: Copy + Default + Send + Sync {
    /// How many channels it has room for.
    const CHANNELS: usize;

    /// One of them, counted modulo their number.
    fn channel(&self, c: usize) -> f32;
}

impl Pixel for Lanes {
    const CHANNELS: usize = LANES;

    #[inline(always)]
    fn channel(&self, c: usize) -> f32 {
        self.0[c % LANES]
    }
}

/// Red, green, blue and one unused: the input of a network.
impl Pixel for [f32; 4] {
    const CHANNELS: usize = 4;

    #[inline(always)]
    fn channel(&self, c: usize) -> f32 {
        self[c % 4]
    }
}

/// A convolution (cross-correlation, as in PyTorch's `conv2d`) with stride 1
/// and without padding, followed by a parametric ReLU: `x` where positive, else
/// `slope * x`. A kernel of one pixel makes it a dense layer, and the pixels of
/// a row its batch.
///
/// `T` is what the pixels of the input are made of.
#[derive(Clone, Debug)]
pub struct DirectConv<T> {
    level: Level,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    groups: Vec<Group>,
    pixel: std::marker::PhantomData<T>,
}

/// One or two blocks of output channels that are computed together.
#[derive(Clone, Debug)]
struct Group {
    blocks: usize,
    /// By kernel row, input block, kernel column, input channel, output block.
    weight: Vec<Lanes>,
    /// By output block.
    bias: Vec<Lanes>,
    /// By output block.
    slope: Vec<Lanes>,
}

impl<T: Pixel> DirectConv<T> {
    /// Packs `weight` (`[outputs, inputs, kernel, kernel]`), `bias`
    /// (`[outputs]`) and the slopes of the activation (`[outputs]`; none for
    /// no activation).
    ///
    /// # Panics
    /// If a slice's length does not fit the shape, or a dimension is zero.
    pub fn new(
        weight: &[f32],
        bias: &[f32],
        slopes: Option<&[f32]>,
        inputs: usize,
        kernel: usize,
    ) -> Self {
        Self::with_level(Level::detect(), weight, bias, slopes, inputs, kernel)
    }

    fn with_level(
        level: Level,
        weight: &[f32],
        bias: &[f32],
        slopes: Option<&[f32]>,
        inputs: usize,
        kernel: usize,
    ) -> Self {
        let outputs = bias.len();
        assert!(outputs > 0 && inputs > 0 && kernel > 0, "direct: a dimension is zero");
        let depth = inputs * kernel * kernel;
        assert_eq!(weight.len(), outputs * depth, "direct: weight is not [out, in, k, k]");
        // A slope of 1 is no activation.
        let ones = vec![1.0; outputs];
        let slopes = slopes.unwrap_or(&ones);
        assert_eq!(slopes.len(), outputs, "direct: slopes are not [outputs]");
        let blocks = outputs.div_ceil(LANES);
        let lanes = |block: usize, value: &dyn Fn(usize) -> f32| {
            let mut lanes = Lanes::default();
            let from = block * LANES;
            for o in from..outputs.min(from + LANES) {
                lanes.0[o - from] = value(o);
            }
            lanes
        };
        let mut groups = Vec::new();
        let mut first = 0;
        while first < blocks {
            let group = first..(first + tile::blocks_together(level)).min(blocks);
            first = group.end;
            let mut packed = Vec::with_capacity(depth * group.len());
            for ky in 0..kernel {
                for from in (0..inputs).step_by(T::CHANNELS) {
                    for kx in 0..kernel {
                        for c in from..inputs.min(from + T::CHANNELS) {
                            let tap = (c * kernel + ky) * kernel + kx;
                            packed.extend(
                                group.clone().map(|b| lanes(b, &|o| weight[o * depth + tap])),
                            );
                        }
                    }
                }
            }
            groups.push(Group {
                blocks: group.len(),
                weight: packed,
                bias: group.clone().map(|b| lanes(b, &|o| bias[o])).collect(),
                slope: group.clone().map(|b| lanes(b, &|o| slopes[o])).collect(),
            });
        }
        Self { level, inputs, outputs, kernel, groups, pixel: std::marker::PhantomData }
    }

    /// Number of output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of input channels.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Height and width of the kernel.
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// Blocks that the output channels fill.
    pub fn output_blocks(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Blocks that the input channels fill.
    pub fn input_blocks(&self) -> usize {
        self.inputs.div_ceil(T::CHANNELS)
    }

    /// One row of the output. `rows` are as many rows of the input as the
    /// kernel is high, each `[input_blocks, width]`; `out` is `[output_blocks,
    /// width - kernel + 1]`. Lanes beyond the last channel become zero. What a
    /// pixel becomes does not depend on where it stands in the row.
    ///
    /// # Panics
    /// If a slice does not have that shape, or the row is narrower than the kernel.
    pub fn row(&self, rows: &[&[T]], width: usize, out: &mut [Lanes]) {
        assert!(width >= self.kernel, "direct: the row is narrower than the kernel");
        assert_eq!(rows.len(), self.kernel, "direct: not one row for each of the kernel's");
        let columns = width + 1 - self.kernel;
        assert_eq!(out.len(), self.output_blocks() * columns, "direct: out is not [blocks, width]");
        let fits = |row: &&[T]| row.len() == self.input_blocks() * width;
        assert!(rows.iter().all(fits), "direct: a row is not [blocks, width]");
        let mut rest = out;
        for group in &self.groups {
            let out = rest.split_off_mut(..group.blocks * columns).expect("a block for each");
            let job = tile::Row { rows, width, inputs: self.inputs, kernel: self.kernel, group };
            at_level!(self.level, simd => tile::row(simd, &job, out));
        }
    }

    /// All rows: `input` is `[height, input_blocks, width]`, the result
    /// `[height - kernel + 1, output_blocks, width - kernel + 1]`. It replaces
    /// what `out` held, whose memory is used again.
    ///
    /// # Panics
    /// If the input does not have that shape or is smaller than the kernel.
    pub fn forward(&self, input: &[T], height: usize, width: usize, out: &mut Vec<Lanes>) {
        let stride = self.input_blocks() * width;
        assert_eq!(input.len(), height * stride, "direct: input is not [h, blocks, w]");
        assert!(
            height >= self.kernel && width >= self.kernel,
            "direct: input {height}x{width} is smaller than the kernel"
        );
        let row = self.output_blocks() * (width + 1 - self.kernel);
        out.resize((height + 1 - self.kernel) * row, Lanes::default());
        let mut rows = Vec::with_capacity(self.kernel);
        for (y, out) in out.chunks_exact_mut(row).enumerate() {
            rows.clear();
            rows.extend(input[y * stride..].chunks_exact(stride).take(self.kernel));
            self.row(&rows, width, out);
        }
    }
}
