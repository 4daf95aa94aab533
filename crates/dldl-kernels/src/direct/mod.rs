//! Direct convolution, one row of pixels at a time: stride 1, no padding, fused with a
//! parametric ReLU. For small networks on small inputs, with few channels and rows that
//! stay in the cache; for 3x3 kernels and many channels, Winograd's algorithm is faster.
//!
//! The layout of a row is `[channel block][pixel][lane]`, that of
//! [`Planes`](crate::Planes) without the border. A vector holds output channels of one
//! pixel, to all of which an input value is broadcast, so any number of pixels is
//! possible. The inner loops are in `tile`, depthwise convolution is in `depthwise`, pooling
//! in `pool`.

mod depthwise;
mod pool;
#[cfg(test)]
mod tests;
mod tile;

pub use depthwise::DepthwiseConv;
pub use pool::max_pool_rows;

use crate::{LANES, Lanes, Level};

/// A pixel of an input row, with its channels or a block of them. Implemented for
/// [`Lanes`] and `[f32; 4]` alone.
pub trait Pixel: Copy + Default + Send + Sync + row::ConvolveRow {
    /// Number of channels.
    const CHANNELS: usize;

    /// Channel `c`, modulo the number of channels.
    fn channel(&self, c: usize) -> f32;
}

impl Pixel for Lanes {
    const CHANNELS: usize = LANES;

    #[inline(always)]
    fn channel(&self, c: usize) -> f32 {
        self.0[c % LANES]
    }
}

/// Red, green, blue and an unused value: the input of a network.
impl Pixel for [f32; 4] {
    const CHANNELS: usize = 4;

    #[inline(always)]
    fn channel(&self, c: usize) -> f32 {
        self[c % 4]
    }
}

/// The inner loops for each kind of pixel, compiled once here and not in every crate that
/// names a `DirectConv`.
mod row {
    use super::tile::Row;
    use crate::level::at_level;
    use crate::{Lanes, Level};

    pub trait ConvolveRow: Sized {
        fn convolve_row(level: Level, job: &Row<Self>, out: &mut [Lanes]);
    }

    impl ConvolveRow for Lanes {
        fn convolve_row(level: Level, job: &Row<Self>, out: &mut [Lanes]) {
            at_level!(level, simd => super::tile::row(simd, job, out));
        }
    }

    impl ConvolveRow for [f32; 4] {
        fn convolve_row(level: Level, job: &Row<Self>, out: &mut [Lanes]) {
            at_level!(level, simd => super::tile::row(simd, job, out));
        }
    }
}

/// A convolution (cross-correlation, as in PyTorch's `conv2d`) with stride 1 and without
/// padding, followed by a parametric ReLU: `x` if positive, else `slope * x`. With a 1x1
/// kernel it is a dense layer, whose batch are the pixels of a row.
///
/// `T` is the type of the input pixels.
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
pub struct Group {
    blocks: usize,
    /// By kernel row, input block, kernel column, input channel, output block.
    weight: Vec<Lanes>,
    /// By output block.
    bias: Vec<Lanes>,
    /// By output block.
    slope: Vec<Lanes>,
}

impl<T: Pixel> DirectConv<T> {
    /// Packs `weight` (`[outputs, inputs, kernel, kernel]`), `bias` (`[outputs]`) and the
    /// slopes of the activation (`[outputs]`; `None` for no activation).
    ///
    /// # Panics
    /// If the length of a slice does not match its shape, or a dimension is zero.
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

    /// Number of blocks of output channels.
    pub fn output_blocks(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Number of blocks of input channels.
    pub fn input_blocks(&self) -> usize {
        self.inputs.div_ceil(T::CHANNELS)
    }

    /// Computes one row of the output. `rows` are `kernel` rows of the input, each
    /// `[input_blocks, width]`; `out` is `[output_blocks, width - kernel + 1]`. Lanes
    /// beyond the last channel become zero. The value of a pixel does not depend on its
    /// position in the row.
    ///
    /// # Panics
    /// If a slice has another shape, or the row is narrower than the kernel.
    pub fn row(&self, rows: &[&[T]], width: usize, out: &mut [Lanes]) {
        assert!(width >= self.kernel, "direct: the row is narrower than the kernel");
        assert_eq!(rows.len(), self.kernel, "direct: expected one row per kernel row");
        let columns = width + 1 - self.kernel;
        assert_eq!(out.len(), self.output_blocks() * columns, "direct: out is not [blocks, width]");
        let fits = |row: &&[T]| row.len() == self.input_blocks() * width;
        assert!(rows.iter().all(fits), "direct: a row is not [blocks, width]");
        let mut rest = out;
        for group in &self.groups {
            let out = rest.split_off_mut(..group.blocks * columns).expect("all blocks are in out");
            let job = tile::Row { rows, width, inputs: self.inputs, kernel: self.kernel, group };
            T::convolve_row(self.level, &job, out);
        }
    }

    /// Computes all rows: `input` is `[height, input_blocks, width]`, `out` is
    /// overwritten with `[height - kernel + 1, output_blocks, width - kernel + 1]`.
    ///
    /// # Panics
    /// If the input has another shape or is smaller than the kernel.
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
