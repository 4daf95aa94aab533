//! Memory layout of activations between the layers of the inference engine, with
//! pooling and averaging.
//!
//! Channels are grouped in blocks of [`LANES`]; a pixel of a block is one [`Lanes`].
//! The layout is `[row][channel block][column][lane]`: a band of rows is contiguous,
//! so threads can share the rows. The pixels are surrounded by a border of one zero,
//! plus zeros that pad the size to a multiple of [`TILE`], so that tiles can be read
//! without special cases at the border.

use rayon::prelude::*;

/// Channels in a block: one vector of AVX-512, two of AVX2, four of NEON.
pub const LANES: usize = 16;

/// Side length of a tile of output pixels.
pub const TILE: usize = 4;

/// One pixel of a block of channels, aligned to a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    /// Splits per-channel numbers into blocks; the last one is padded with zeros.
    pub(crate) fn blocks(values: &[f32]) -> Vec<Self> {
        let block = |values: &[f32]| {
            let mut lanes = Self::default();
            lanes.0[..values.len()].copy_from_slice(values);
            lanes
        };
        values.chunks(LANES).map(block).collect()
    }
}

/// The shape of a layer's activations, and the offsets in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// Number of channels; lanes beyond them are zero.
    pub channels: usize,
    /// Number of rows of pixels.
    pub height: usize,
    /// Number of columns of pixels.
    pub width: usize,
}

impl Planes {
    /// Number of channel blocks.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Number of rows of tiles.
    pub fn tile_rows(&self) -> usize {
        self.height.div_ceil(TILE)
    }

    /// Number of tiles in a row of tiles.
    pub fn tile_columns(&self) -> usize {
        self.width.div_ceil(TILE)
    }

    /// Number of columns including the border.
    pub fn columns(&self) -> usize {
        self.tile_columns() * TILE + 2
    }

    /// Distance between rows, in [`Lanes`].
    pub fn row_stride(&self) -> usize {
        self.blocks() * self.columns()
    }

    /// Total number of [`Lanes`], including the border.
    pub fn size(&self) -> usize {
        (self.tile_rows() * TILE + 2) * self.row_stride()
    }

    /// The shape after 2x2 max pooling; a last odd row or column is dropped.
    pub fn pooled(&self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..*self }
    }

    /// Converts from `[channels, height, width]`.
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn pack(&self, values: &[f32]) -> Vec<Lanes> {
        assert_eq!(
            values.len(),
            self.channels * self.height * self.width,
            "planes: values are not [channels, height, width]"
        );
        let mut packed = vec![Lanes::default(); self.size()];
        for (i, &value) in values.iter().enumerate() {
            let (row, x) = (i / self.width, i % self.width);
            let (c, y) = (row / self.height, row % self.height);
            packed[self.at(c / LANES, y, x)].0[c % LANES] = value;
        }
        packed
    }

    /// Converts to `[channels, height, width]`, without the border.
    ///
    /// # Panics
    /// If `packed` is shorter than [`Planes::size`].
    pub fn unpack(&self, packed: &[Lanes]) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.channels * self.height * self.width);
        for c in 0..self.channels {
            for y in 0..self.height {
                let row = &packed[self.at(c / LANES, y, 0)..][..self.width];
                values.extend(row.iter().map(|pixel| pixel.0[c % LANES]));
            }
        }
        values
    }

    /// Index of pixel `(y, x)` of a channel block.
    fn at(&self, block: usize, y: usize, x: usize) -> usize {
        (y + 1) * self.row_stride() + block * self.columns() + x + 1
    }

    /// The rows of pixels, each starting with its left border. Sets the border above
    /// and below them to zero.
    pub(crate) fn rows<'a>(&self, output: &'a mut [Lanes]) -> &'a mut [Lanes] {
        assert!(output.len() >= self.size(), "planes: buffer too short");
        let stride = self.row_stride();
        let (above, rest) = output[..self.size()].split_at_mut(stride);
        let (rows, below) = rest.split_at_mut(self.height * stride);
        above.fill(Lanes::default());
        below.fill(Lanes::default());
        rows
    }

    /// Sets the left and right border of one row to zero.
    pub(crate) fn clear_sides(&self, row: &mut [Lanes]) {
        for block in row.chunks_exact_mut(self.columns()) {
            block[0] = Lanes::default();
            block[self.width + 1..].fill(Lanes::default());
        }
    }
}

/// 2x2 max pooling that is not fused with a convolution, from `planes` to
/// [`Planes::pooled`]. Parallel over rows in the current Rayon pool.
///
/// # Panics
/// If a slice is too short.
pub fn max_pool_planes(planes: &Planes, input: &[Lanes], output: &mut [Lanes]) {
    let pooled = planes.pooled();
    let (from_stride, to_stride) = (planes.row_stride(), pooled.row_stride());
    let input = &input[..planes.size()];
    pooled.rows(output).par_chunks_exact_mut(to_stride).enumerate().for_each(|(y, row)| {
        pooled.clear_sides(row);
        let (above, below) =
            input[(2 * y + 1) * from_stride..][..2 * from_stride].split_at(from_stride);
        let blocks = above.chunks_exact(planes.columns()).zip(below.chunks_exact(planes.columns()));
        for (to, (above, below)) in row.chunks_exact_mut(pooled.columns()).zip(blocks) {
            for (x, to) in to[1..][..pooled.width].iter_mut().enumerate() {
                let x = 2 * x + 1;
                let four = [&above[x].0, &above[x + 1].0, &below[x].0, &below[x + 1].0];
                to.0 =
                    std::array::from_fn(|l| four[1..].iter().fold(four[0][l], |m, p| m.max(p[l])));
            }
        }
    });
}

/// Mean of each channel over all pixels.
///
/// # Panics
/// If `input` is too short, the length of `means` is not the number of channels, or
/// there are no pixels.
pub fn average_planes(planes: &Planes, input: &[Lanes], means: &mut [f32]) {
    assert_eq!(means.len(), planes.channels, "average: means are not [channels]");
    let pixels = planes.height * planes.width;
    assert!(pixels > 0, "average: no pixels");
    for (block, means) in means.chunks_mut(LANES).enumerate() {
        let mut sum = [0.0f32; LANES];
        for y in 0..planes.height {
            for pixel in &input[planes.at(block, y, 0)..][..planes.width] {
                sum.iter_mut().zip(&pixel.0).for_each(|(s, v)| *s += v);
            }
        }
        means.iter_mut().zip(sum).for_each(|(m, s)| *m = s / pixels as f32);
    }
}
