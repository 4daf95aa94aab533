//! The 3x3 convolution of the inference engine: stride 1, padding 1, bias,
//! ReLU and, where asked for, 2x2 max pooling, by Winograd's F(4x4, 3x3). Each
//! 4x4 tile of the output takes 36 multiplications a channel instead of 144.
//! `docs/engine.md` explains layout, tiling and register blocking.

// Indexed loops: see `product`.
#![allow(clippy::needless_range_loop)]

mod fused;
mod product;
mod transform;

use fearless_simd::{Simd, f32x16, prelude::*};
use rayon::prelude::*;
use std::ops::Range;

use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes, Planes, TILE};
use transform::COEFFICIENTS;

/// How many bytes of transformed input and output a step works on: they stay
/// in a second-level cache, beside the weights that stream through it.
const STEP_BYTES: usize = 900 * 1024;

/// A 3x3 convolution with its weights transformed once.
#[derive(Clone, Debug)]
pub struct Conv3x3 {
    level: Level,
    cout: usize,
    cin: usize,
    pool: bool,
    panels: Vec<Panel>,
    /// `[panel][coefficient][input channel][block of the panel]`
    weights: Vec<Lanes>,
    /// `[block of output channels]`
    bias: Vec<Lanes>,
}

/// One or two blocks of output channels that are computed together.
#[derive(Clone, Copy, Debug)]
struct Panel {
    /// The first of its blocks.
    first: usize,
    blocks: usize,
}

/// Working memory of one thread, which grows to what the largest layer needs.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Transformed windows: `[coefficient][group][input block][tile of the group]`.
    windows: Vec<Lanes>,
    /// Products of one panel: `[coefficient][group][tile of the group][block]`.
    sums: Vec<Lanes>,
    /// Rows of a convolution that is fused with the one before it.
    strip: Vec<Lanes>,
}

impl Scratch {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let buffers = [&self.windows, &self.sums, &self.strip];
        size_of::<Lanes>() * buffers.map(Vec::capacity).iter().sum::<usize>()
    }
}

impl Conv3x3 {
    /// Transforms `weight` (`[cout, cin, 3, 3]`) for the level; `bias` is
    /// `[cout]`. With `pool`, 2x2 max pooling follows.
    ///
    /// # Panics
    /// If a slice's length does not fit the shape, or a dimension is zero.
    pub fn new(
        level: Level,
        weight: &[f32],
        bias: &[f32],
        cout: usize,
        cin: usize,
        pool: bool,
    ) -> Self {
        assert!(cout > 0 && cin > 0, "conv3x3: a dimension is zero");
        assert_eq!(weight.len(), cout * cin * 9, "conv3x3: weight is not [cout, cin, 3, 3]");
        assert_eq!(bias.len(), cout, "conv3x3: bias is not [cout]");
        let blocks = cout.div_ceil(LANES);
        let most = at_level!(level, simd => panel_limit(simd));
        let panels: Vec<Panel> = (0..blocks)
            .step_by(most)
            .map(|first| Panel { first, blocks: most.min(blocks - first) })
            .collect();
        let mut weights = vec![Lanes::default(); COEFFICIENTS * cin * blocks];
        let (kernels, _) = weight.as_chunks::<9>();
        for panel in &panels {
            let start = panel.first * COEFFICIENTS * cin;
            for i in 0..cin {
                for channel in 0..(panel.blocks * LANES).min(cout - panel.first * LANES) {
                    let o = panel.first * LANES + channel;
                    let transformed = transform::kernel(&kernels[o * cin + i]);
                    for (c, value) in transformed.into_iter().enumerate() {
                        let at = start + (c * cin + i) * panel.blocks + channel / LANES;
                        weights[at].0[channel % LANES] = value;
                    }
                }
            }
        }
        let bias = Lanes::blocks(bias);
        Self { level, cout, cin, pool, panels, weights, bias }
    }

    /// Number of output channels.
    pub fn output_channels(&self) -> usize {
        self.cout
    }

    /// Bytes that its weights take.
    pub fn bytes(&self) -> usize {
        size_of::<Lanes>() * (self.weights.len() + self.bias.len())
    }

    /// The shape of the output for an input of `height` x `width`.
    pub fn output_planes(&self, height: usize, width: usize) -> Planes {
        let full = Planes { channels: self.cout, height, width };
        if self.pool { full.pooled() } else { full }
    }

    /// `input` is of `height` x `width`, laid out as [`Planes`]; `output` as
    /// [`Conv3x3::output_planes`], its border included. Works in as many bands
    /// of rows as there are `scratch`es, in parallel; their number does not
    /// change a bit of the result.
    ///
    /// # Panics
    /// If a buffer is too short or there is no scratch.
    pub fn forward(
        &self,
        input: &[Lanes],
        height: usize,
        width: usize,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
    ) {
        let from = Planes { channels: self.cin, height, width };
        let to = self.output_planes(height, width);
        assert!(input.len() >= from.size(), "conv3x3: the input is too short");
        self.bands(from, to, output, scratch, |rows, output, scratch| {
            let input = &input[rows.start * TILE * from.row_stride()..];
            at_level!(self.level, simd => {
                self.band(simd, input, from, to, rows.len(), output, scratch);
            });
        });
    }

    /// `work` on each band: its rows of tiles, their rows of the output, and
    /// the scratch that is the band's own.
    fn bands(
        &self,
        from: Planes,
        to: Planes,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
        work: impl Fn(Range<usize>, &mut [Lanes], &mut Scratch) + Sync,
    ) {
        let output = to.rows(output);
        if output.is_empty() {
            return;
        }
        let rows = from.tile_rows();
        let rows_a_band = rows.div_ceil(scratch.len());
        let band = rows_a_band * self.tile_height() * to.row_stride();
        let work = |(b, (output, scratch)): (usize, (&mut [Lanes], &mut Scratch))| {
            let first = b * rows_a_band;
            work(first..(first + rows_a_band).min(rows), output, scratch);
        };
        if let [scratch] = scratch {
            work((0, (output, scratch)));
        } else {
            let bands = output.par_chunks_mut(band).zip(scratch.par_iter_mut());
            bands.enumerate().for_each(work);
        }
    }

    /// Rows of the output that a row of tiles makes.
    fn tile_height(&self) -> usize {
        if self.pool { TILE / 2 } else { TILE }
    }

    /// How many rows of tiles a step takes.
    fn rows_a_step(&self, from: Planes, rows: usize) -> usize {
        let blocks = from.blocks() + self.panels[0].blocks;
        let bytes_a_row = COEFFICIENTS * from.tile_columns() * blocks * size_of::<Lanes>();
        let steps = rows.div_ceil((STEP_BYTES / bytes_a_row).max(1));
        rows.div_ceil(steps)
    }

    /// So many rows of tiles: `input` begins with the border above them,
    /// `output` with the first row that they make.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it is one call's context")]
    fn band<S: Simd>(
        &self,
        s: S,
        input: &[Lanes],
        from: Planes,
        to: Planes,
        rows: usize,
        output: &mut [Lanes],
        scratch: &mut Scratch,
    ) {
        for row in output.chunks_exact_mut(to.row_stride()) {
            to.clear_sides(row);
        }
        let rows_a_step = self.rows_a_step(from, rows);
        for first in (0..rows).step_by(rows_a_step) {
            let step = first..(first + rows_a_step).min(rows);
            let tiles = step.len() * from.tile_columns();
            // Groups of the same size, as few as the registers allow; the last
            // may hold tiles that nobody reads.
            let groups = tiles.div_ceil(product::group_limit::<S>());
            let group = tiles.div_ceil(groups);
            let layout = Layout { groups, group, blocks: from.blocks() };
            layout.reserve(scratch, self.panels[0].blocks);
            self.transform_windows(s, input, from, step.clone(), &layout, &mut scratch.windows);
            for panel in &self.panels {
                self.multiply(s, *panel, &layout, scratch);
                let start = step.start * self.tile_height() * to.row_stride();
                let output = &mut output[start..];
                self.transform_sums(
                    s,
                    *panel,
                    &layout,
                    &scratch.sums,
                    from,
                    to,
                    step.len(),
                    output,
                );
            }
        }
    }

    #[inline(always)]
    fn transform_windows<S: Simd>(
        &self,
        s: S,
        input: &[Lanes],
        from: Planes,
        rows: Range<usize>,
        layout: &Layout,
        windows: &mut [Lanes],
    ) {
        let stride = layout.window_stride();
        let mut tile = 0;
        for row in rows {
            for column in 0..from.tile_columns() {
                let start = row * TILE * from.row_stride() + column * TILE;
                for block in 0..layout.blocks {
                    let input = &input[start + block * from.columns()..];
                    let output = &mut windows[layout.window(tile, block)..];
                    transform::input(s, input, from.row_stride(), output, stride);
                }
                tile += 1;
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Simd>(&self, s: S, panel: Panel, layout: &Layout, scratch: &mut Scratch) {
        let size = self.cin * panel.blocks;
        let start = panel.first * COEFFICIENTS * self.cin;
        let windows = scratch.windows.chunks(layout.window_stride());
        let sums = scratch.sums.chunks_mut(layout.sum_stride(panel.blocks));
        for (c, (windows, sums)) in windows.zip(sums).take(COEFFICIENTS).enumerate() {
            let (weights, next) = self.weights[start + c * size..].split_at(size);
            // The weights stream by once; who waits for them waits long. Each
            // group asks for a part of the next coefficient's.
            let next = if next.len() >= size { &next[..size] } else { weights };
            let values = windows.chunks_exact(layout.blocks * layout.group);
            let sums = sums.chunks_exact_mut(layout.group * panel.blocks);
            for (g, (values, sums)) in values.zip(sums).take(layout.groups).enumerate() {
                let ahead = &next[(g * size / layout.groups).min(size - self.cin)..][..self.cin];
                let shape = (layout.group, panel.blocks);
                product::group(s, shape, values, weights, ahead, sums);
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it is one call's context")]
    fn transform_sums<S: Simd>(
        &self,
        s: S,
        panel: Panel,
        layout: &Layout,
        sums: &[Lanes],
        from: Planes,
        to: Planes,
        rows: usize,
        output: &mut [Lanes],
    ) {
        let stride = layout.sum_stride(panel.blocks);
        for p in 0..panel.blocks {
            let bias = f32x16::load_array_ref(s, &self.bias[panel.first + p].0);
            let mut tile = 0;
            for row in 0..rows {
                for column in 0..from.tile_columns() {
                    let sums = &sums[tile * panel.blocks + p..];
                    let values = transform::output(s, sums, stride);
                    let side = self.tile_height();
                    let x = (panel.first + p) * to.columns() + 1 + column * side;
                    let start = row * side * to.row_stride() + x;
                    let width = to.width.saturating_sub(column * side);
                    let place = start.min(output.len());
                    let place = &mut output[place..];
                    if self.pool {
                        store(s, pooled(values), bias, place, to.row_stride(), width);
                    } else {
                        store(s, values, bias, place, to.row_stride(), width);
                    }
                    tile += 1;
                }
            }
        }
    }
}

/// See [`product::panel_limit`]; the token is there for its type.
fn panel_limit<S: Simd>(_: S) -> usize {
    product::panel_limit::<S>()
}

/// Where the numbers of one step lie in the scratch.
struct Layout {
    groups: usize,
    /// Tiles of a group.
    group: usize,
    /// Blocks of input channels.
    blocks: usize,
}

impl Layout {
    /// From one coefficient of the windows to the next. Odd, so that the 36
    /// places of a window do not fall into the same few sets of the cache.
    fn window_stride(&self) -> usize {
        (self.groups * self.group * self.blocks) | 1
    }

    /// From one coefficient of the sums to the next; odd as above.
    fn sum_stride(&self, panel_blocks: usize) -> usize {
        (self.groups * self.group * panel_blocks) | 1
    }

    fn window(&self, tile: usize, block: usize) -> usize {
        let (group, tile) = (tile / self.group, tile % self.group);
        (group * self.blocks + block) * self.group + tile
    }

    fn reserve(&self, scratch: &mut Scratch, panel_blocks: usize) {
        let grow = |buffer: &mut Vec<Lanes>, stride: usize| {
            if buffer.len() < COEFFICIENTS * stride {
                buffer.resize(COEFFICIENTS * stride, Lanes::default());
            }
        };
        grow(&mut scratch.windows, self.window_stride());
        grow(&mut scratch.sums, self.sum_stride(panel_blocks));
    }
}

/// The maxima of the four 2x2 parts of a tile.
#[inline(always)]
fn pooled<S: Simd>(tile: [[f32x16<S>; TILE]; TILE]) -> [[f32x16<S>; TILE / 2]; TILE / 2] {
    let mut maxima = [[tile[0][0]; TILE / 2]; TILE / 2];
    for y in 0..TILE / 2 {
        for x in 0..TILE / 2 {
            let above = tile[2 * y][2 * x].max(tile[2 * y][2 * x + 1]);
            let below = tile[2 * y + 1][2 * x].max(tile[2 * y + 1][2 * x + 1]);
            maxima[y][x] = above.max(below);
        }
    }
    maxima
}

/// Adds the bias, applies ReLU and stores a tile's pixels: `width` of its
/// columns, and the rows that `output` has.
#[inline(always)]
fn store<S: Simd, const N: usize>(
    s: S,
    tile: [[f32x16<S>; N]; N],
    bias: f32x16<S>,
    output: &mut [Lanes],
    row_stride: usize,
    width: usize,
) {
    let zero = f32x16::splat(s, 0.0);
    for y in 0..N {
        for x in 0..N.min(width) {
            if let Some(to) = output.get_mut(y * row_stride + x) {
                (tile[y][x] + bias).max(zero).store_array(&mut to.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
