//! How activations lie in memory between the layers of the inference engine,
//! and the two operations on them that are no convolution.
//!
//! Channels are in blocks of [`LANES`]; a pixel of a block is one [`Lanes`]. A
//! row of the picture holds its channel blocks one after the other, and each
//! of those its columns: `[row][channel block][column][lane]`. So a band of
//! rows is contiguous, and threads can take bands. Around the pixels is a
//! border of one zero and as many more zeros as make the size a multiple of
//! [`TILE`], so that reading a tile never meets a border case.

use rayon::prelude::*;

/// Channels of a block: one vector of AVX-512, two of AVX2, four of NEON.
pub const LANES: usize = 16;

/// Side of a tile of output pixels.
pub const TILE: usize = 4;

/// One pixel of a block of channels. Its alignment is that of a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    /// Numbers by channel in blocks, filled up with zeros.
    pub(crate) fn blocks(values: &[f32]) -> Vec<Self> {
        let block = |values: &[f32]| {
            let mut lanes = Self::default();
            lanes.0[..values.len()].copy_from_slice(values);
            lanes
        };
        values.chunks(LANES).map(block).collect()
    }
}

/// The shape of a layer's activations, and where what lies in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planes {
    /// Channels that mean something; the lanes beyond are zero.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl Planes {
    /// Blocks of channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Rows of tiles.
    pub fn tile_rows(&self) -> usize {
        self.height.div_ceil(TILE)
    }

    /// Tiles in a row of tiles.
    pub fn tile_columns(&self) -> usize {
        self.width.div_ceil(TILE)
    }

    /// Columns with the border.
    pub fn columns(&self) -> usize {
        self.tile_columns() * TILE + 2
    }

    /// [`Lanes`] from a row to the next.
    pub fn row_stride(&self) -> usize {
        self.blocks() * self.columns()
    }

    /// [`Lanes`] of the whole, border included.
    pub fn size(&self) -> usize {
        (self.tile_rows() * TILE + 2) * self.row_stride()
    }

    /// What 2x2 max pooling leaves of it; a last odd row or column is dropped.
    pub fn pooled(&self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..*self }
    }

    /// From `[channels, height, width]`, for tests and for layers that were
    /// computed elsewhere.
    ///
    /// # Panics
    /// If `values` does not have that many numbers.
    pub fn pack(&self, values: &[f32]) -> Vec<Lanes> {
        assert_eq!(values.len(), self.channels * self.height * self.width, "planes: wrong length");
        let mut packed = vec![Lanes::default(); self.size()];
        for (i, &value) in values.iter().enumerate() {
            let (row, x) = (i / self.width, i % self.width);
            let (c, y) = (row / self.height, row % self.height);
            packed[self.at(c / LANES, y, x)].0[c % LANES] = value;
        }
        packed
    }

    /// To `[channels, height, width]`, without the border.
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

    /// Index of the pixel `(y, x)` of a block of channels.
    fn at(&self, block: usize, y: usize, x: usize) -> usize {
        (y + 1) * self.row_stride() + block * self.columns() + x + 1
    }

    /// Splits the pixels' rows from the border above and below, which becomes
    /// zero. The rows begin with the border to their left.
    pub(crate) fn rows<'a>(&self, output: &'a mut [Lanes]) -> &'a mut [Lanes] {
        assert!(output.len() >= self.size(), "planes: the buffer is too short");
        let stride = self.row_stride();
        let (above, rest) = output[..self.size()].split_at_mut(stride);
        let (rows, below) = rest.split_at_mut(self.height * stride);
        above.fill(Lanes::default());
        below.fill(Lanes::default());
        rows
    }

    /// Makes the border to the left and right of one row zero.
    pub(crate) fn clear_sides(&self, row: &mut [Lanes]) {
        for block in row.chunks_exact_mut(self.columns()) {
            block[0] = Lanes::default();
            block[self.width + 1..].fill(Lanes::default());
        }
    }
}

/// 2x2 max pooling, where it could not be joined with a convolution: `input`
/// as `planes`, the result as [`Planes::pooled`] of them. In parallel over
/// rows where the calling thread pool has several threads.
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
/// If `input` is too short, `means` has not as many numbers as there are
/// channels, or there is no pixel.
pub fn average_planes(planes: &Planes, input: &[Lanes], means: &mut [f32]) {
    assert_eq!(means.len(), planes.channels, "average: means are not [channels]");
    let pixels = planes.height * planes.width;
    assert!(pixels > 0, "average: there is no pixel");
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
