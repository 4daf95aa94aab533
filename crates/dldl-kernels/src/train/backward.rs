//! The gradients of [`super::forward`] with respect to the weights and to the layer
//! below, including that layer's ReLU.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use fearless_simd::{Simd, f32x16, prelude::*};
use rayon::prelude::*;

use super::forward::{signs, windows};
use super::kernels::{Kernels, Panel, unpack};
use super::maps::{Chain, Maps, Source, Sums};
use super::outer;
use super::small;
use super::step::{Grid, ONE_BY_ONE, Scratch, Tiles, Work, multiply, pictures_per_task};
use super::transform::{COEFFICIENTS, TILE, WINDOW, all, gather, spread};
use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes};

/// The gradient from the layer above.
#[derive(Clone, Copy)]
pub struct Gradient<'a> {
    /// With respect to the output of batch norm, after the pool if there is one.
    pub values: &'a [Lanes],
    /// Distance between images, in [`Lanes`].
    pub stride: usize,
    /// The layer's gamma if a 2x2 max pool follows; else empty.
    pub pool: &'a [f32],
    /// The chain rule from batch norm's output to its input.
    pub chain: &'a Chain,
}

/// Gradients of a batch: with respect to the weights, `[cout, cin, 3, 3]`, into `weights`;
/// with respect to the output of the batch norm of `source` in place of the convolution's
/// output `z`. There, the gradient of each image starts where the image did, laid out as
/// `source.maps`. Returns the sums of that gradient `g` and of `g (z - mean)`, with `z` and
/// `mean` of `source`.
///
/// # Panics
/// If the length of a slice does not match its shape, or the layer has fewer blocks of
/// output channels than of input channels.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn backward(
    level: Level,
    batch: usize,
    source: Source,
    kernels: &Kernels,
    gradient: Gradient,
    z: &mut [Lanes],
    weights: &mut [f32],
    scratch: &mut Scratch,
) -> Sums {
    let above = Maps { channels: kernels.cout, ..source.maps };
    let (cin, cout) = (source.maps.blocks(), above.blocks());
    assert!(cin <= cout, "train: the gradient does not fit into z");
    assert_eq!(kernels.cin, source.maps.channels, "train: kernels for other channels");
    assert_eq!(source.values.len(), batch * source.maps.size(), "train: wrong length of the input");
    assert_eq!(z.len(), batch * above.size(), "train: wrong length of z");
    assert!(
        gradient.values.len() >= batch * gradient.stride,
        "train: wrong length of the gradient"
    );
    assert_eq!(weights.len(), 9 * kernels.cin * kernels.cout, "train: wrong length of the weights");
    let pictures = pictures_per_task(batch, &above, kernels.cin.max(kernels.cout));
    let count = batch.div_ceil(pictures);
    let (works, parts) = scratch.parts(count);
    let parallel = count < rayon::current_num_threads();
    let pool = if gradient.pool.is_empty() { Vec::new() } else { signs(gradient.pool, cout) };
    let task = Task { level, source, kernels, gradient, signs: &pool, above };
    let sums = if count == 1 {
        small::run(&task, z, &mut parts[0], works)
    } else {
        let tasks = z.par_chunks_mut(pictures * above.size()).zip(parts.par_iter_mut());
        let run = |(i, (z, part)): (usize, (&mut [Lanes], &mut Vec<Lanes>))| {
            // Zeroed by each task, in parallel, since it is large.
            part.clear();
            part.resize(COEFFICIENTS * cin * LANES * cout, Lanes::default());
            let task = task.from(i * pictures);
            Scratch::with(works, |work| task.run(z, part, work, parallel))
        };
        tasks.enumerate().with_max_len(ONE_BY_ONE).map(run).collect()
    };
    unpack(level, parts, kernels.cout, kernels.cin, weights);
    Sums::total(&sums)
}

/// The backward pass of some images.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub level: Level,
    pub source: Source<'a>,
    pub kernels: &'a Kernels,
    gradient: Gradient<'a>,
    signs: &'a [Lanes],
    /// Shape of the convolution's output.
    pub above: Maps,
}

impl Task<'_> {
    /// The same task starting at another image.
    pub fn from(&self, first: usize) -> Self {
        let (mut source, mut gradient) = (self.source, self.gradient);
        source.values = &source.values[first * source.maps.size()..];
        gradient.values = &gradient.values[first * gradient.stride..];
        Self { source, gradient, ..*self }
    }

    fn run(&self, z: &mut [Lanes], part: &mut [Lanes], work: &mut Work, parallel: bool) -> Sums {
        let (level, grid) = (self.level, Grid::new(&self.above));
        let (cin, cout) = (self.source.maps.blocks(), self.above.blocks());
        let mut sums = Sums::new(cin);
        self.reserve_carry(work);
        let rows = z.len() / self.above.size() * grid.rows;
        let rows_per_step = grid.rows_per_step(rows, cin + cout + 2);
        for first in (0..rows).step_by(rows_per_step) {
            let step = first..(first + rows_per_step).min(rows);
            let tiles = Tiles::new(level, step.len() * grid.columns);
            self.transform(step.clone(), &tiles, z, work);
            let size = cin * LANES * cout;
            let add = |(c, part): (usize, &mut [Lanes])| {
                let windows = &work.windows[c * tiles.stride(cin)..];
                let gradients = &work.gradients[c * tiles.stride(cout)..];
                at_level!(level, simd => outer::add(simd, &tiles, (cin, cout), windows, gradients, part));
            };
            if parallel {
                part.par_chunks_mut(size).enumerate().for_each(add);
            } else {
                part.chunks_mut(size).enumerate().for_each(add);
            }
            let mut weights = &self.kernels.backward[..];
            for panel in Panel::all(level, cin) {
                let channels = self.kernels.cout;
                let (values, to) = (&work.gradients, &mut work.sums);
                multiply(level, &tiles, panel, channels, values, weights, to, parallel);
                weights = &weights[COEFFICIENTS * channels * panel.blocks..];
                let products = (&work.sums[..], tiles.stride(panel.blocks));
                let carry = &mut work.carry;
                at_level!(level, simd => {
                    self.store(simd, panel, step.clone(), products, carry, z, &mut sums);
                });
            }
        }
        sums
    }

    /// Allocates the carry buffer of [`store`](Self::store).
    pub fn reserve_carry(&self, work: &mut Work) {
        let columns = columns(&Grid::new(&self.above));
        work.carry.clear();
        work.carry.resize(self.source.maps.blocks() * 2 * columns, Lanes::default());
    }

    /// Transforms the operands of some rows of tiles: the windows, and the gradient with
    /// respect to the convolution's output.
    pub fn transform(&self, rows: Range<usize>, tiles: &Tiles, z: &[Lanes], work: &mut Work) {
        let (windows_to, gradients_to) = (&mut work.windows, &mut work.gradients);
        tiles.reserve(windows_to, self.source.maps.blocks());
        tiles.reserve(gradients_to, self.above.blocks());
        at_level!(self.level, simd => {
            windows(simd, &self.source, rows.clone(), tiles, windows_to);
            self.gradients(simd, rows, tiles, z, gradients_to);
        });
    }

    /// Transforms the gradient with respect to the convolution's output.
    #[inline(always)]
    fn gradients<S: Simd>(
        &self,
        s: S,
        rows: Range<usize>,
        tiles: &Tiles,
        z: &[Lanes],
        to: &mut [Lanes],
    ) {
        let (maps, grid, zero) = (self.above, Grid::new(&self.above), all(s, 0.0));
        let (blocks, pooled) = (maps.blocks(), maps.pooled());
        let stride = tiles.stride(blocks);
        let chain = self.gradient.chain;
        let mut tile = 0;
        for row in rows {
            let picture = row / grid.rows;
            let z = &z[picture * maps.size()..][..maps.size()];
            let g = &self.gradient.values[picture * self.gradient.stride..];
            for column in 0..grid.columns {
                let (y, x) = (row % grid.rows * TILE, column * TILE);
                let (rows, columns) = (TILE.min(maps.height - y), TILE.min(maps.width - x));
                for block in 0..blocks {
                    let scale = f32x16::load_array_ref(s, &chain.scale[block].0);
                    let slope = f32x16::load_array_ref(s, &chain.slope[block].0);
                    let offset = f32x16::load_array_ref(s, &chain.offset[block].0);
                    let mut d = [[zero; TILE]; TILE];
                    if !self.signs.is_empty() {
                        let sign = f32x16::load_array_ref(s, &self.signs[block].0);
                        let mut v = [[zero; TILE]; TILE];
                        for i in 0..rows {
                            let from = &z[maps.at(y + i, block) + x..][..columns];
                            for j in 0..columns {
                                v[i][j] = f32x16::load_array_ref(s, &from[j].0);
                                d[i][j] = v[i][j].mul_add(slope, offset);
                            }
                        }
                        for i in 0..rows / 2 {
                            for j in 0..columns / 2 {
                                let at = pooled.at(y / 2 + i, block) + x / 2 + j;
                                let g = f32x16::load_array_ref(s, &g[at].0) * scale;
                                unpool(s, &v, &mut d, (2 * i, 2 * j), sign, g);
                            }
                        }
                    } else if (rows, columns) == (TILE, TILE) {
                        for i in 0..TILE {
                            let at = maps.at(y + i, block) + x;
                            let z: &[Lanes; TILE] = z[at..].first_chunk().expect("a row");
                            let g: &[Lanes; TILE] = g[at..].first_chunk().expect("a row");
                            for j in 0..TILE {
                                let z = f32x16::load_array_ref(s, &z[j].0);
                                let g = f32x16::load_array_ref(s, &g[j].0);
                                d[i][j] = g.mul_add(scale, z.mul_add(slope, offset));
                            }
                        }
                    } else {
                        for i in 0..rows {
                            for j in 0..columns {
                                let at = maps.at(y + i, block) + x + j;
                                let z = f32x16::load_array_ref(s, &z[at].0);
                                let g = f32x16::load_array_ref(s, &g[at].0);
                                d[i][j] = g.mul_add(scale, z.mul_add(slope, offset));
                            }
                        }
                    }
                    spread(s, d, &mut to[tiles.at(tile, block, blocks)..], stride);
                }
                tile += 1;
            }
        }
    }

    /// Transforms the products back, adds overlapping windows, applies the gradient of the
    /// ReLU below and stores the result. `from` holds the products of the panel, `stride`
    /// is the distance between coefficients.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    pub fn store<S: Simd>(
        &self,
        s: S,
        panel: Panel,
        rows: Range<usize>,
        (from, stride): (&[Lanes], usize),
        carry: &mut [Lanes],
        z: &mut [Lanes],
        sums: &mut Sums,
    ) {
        let (maps, grid) = (self.source.maps, Grid::new(&self.above));
        let wide = columns(&grid);
        for p in 0..panel.blocks {
            let block = panel.first + p;
            let carry = &mut carry[block * 2 * wide..][..2 * wide];
            for (i, row) in rows.clone().enumerate() {
                let (picture, row) = (row / grid.rows, row % grid.rows);
                let place = Place {
                    source: &self.source.values[picture * maps.size()..][..maps.size()],
                    maps,
                    block,
                };
                let to = &mut z[picture * self.above.size()..][..self.above.size()];
                if row == 0 {
                    carry.fill(Lanes::default());
                }
                let from = &from[i * grid.columns * panel.blocks + p..];
                let stride = (stride, panel.blocks);
                self.row(s, &place, row, Some((from, stride)), &grid, carry, to, sums);
                if row + 1 == grid.rows {
                    // The last windows extend one row further.
                    self.row(s, &place, grid.rows, None, &grid, carry, to, sums);
                }
            }
        }
    }

    /// Adds the windows of one row of tiles (`None` after the last row, for what the
    /// windows above carry) and stores four rows, starting one row above the tiles.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    fn row<S: Simd>(
        &self,
        s: S,
        place: &Place,
        row: usize,
        from: Option<(&[Lanes], (usize, usize))>,
        grid: &Grid,
        carry: &mut [Lanes],
        to: &mut [Lanes],
        sums: &mut Sums,
    ) {
        let (maps, zero) = (place.maps, all(s, 0.0));
        let scale = f32x16::load_array_ref(s, &self.source.norm.scale[place.block].0);
        let shift = f32x16::load_array_ref(s, &self.source.norm.shift[place.block].0);
        let mean = f32x16::load_array_ref(s, &self.source.norm.mean[place.block].0);
        let (above, below) = carry.split_at_mut(columns(grid));
        let mut held = [[zero; 2]; WINDOW];
        let (mut first, mut second) = (zero, zero);
        for column in 0..=grid.columns {
            let mut window = match from {
                Some((from, (stride, blocks))) if column < grid.columns => {
                    gather(s, &from[column * blocks..], stride)
                }
                _ => [[zero; WINDOW]; WINDOW],
            };
            for i in 0..WINDOW {
                for j in 0..2 {
                    window[i][j] += held[i][j];
                    held[i][j] = window[i][j + TILE];
                }
            }
            for j in 0..TILE {
                let (a, b) = (&mut above[column * TILE + j].0, &mut below[column * TILE + j].0);
                window[0][j] += f32x16::load_array_ref(s, a);
                window[1][j] += f32x16::load_array_ref(s, b);
                window[TILE][j].store_array(a);
                window[TILE + 1][j].store_array(b);
            }
            for i in 0..TILE {
                // The window starts one pixel before the tile.
                let y = row * TILE + i;
                if y == 0 || y > maps.height {
                    continue;
                }
                let at = maps.at(y - 1, place.block) + column * TILE;
                let (skip, end) = match column {
                    0 => (1, TILE.min(maps.width + 1)),
                    _ => (0, TILE.min((maps.width + 1).saturating_sub(column * TILE))),
                };
                for j in 0..TILE {
                    if j >= skip && j < end {
                        let value = f32x16::load_array_ref(s, &place.source[at + j - 1].0);
                        let open = value.mul_add(scale, shift).simd_gt(zero);
                        let g = open.select(window[i][j], zero);
                        first += g;
                        second = g.mul_add(value - mean, second);
                        g.store_array(&mut to[at + j - 1].0);
                    }
                }
            }
        }
        let (mut a, mut b) = (Lanes::default(), Lanes::default());
        first.store_array(&mut a.0);
        second.store_array(&mut b.0);
        sums.add(place.block, &a, &b);
    }
}

/// Columns of the rows that a row of tiles carries to the next.
fn columns(grid: &Grid) -> usize {
    (grid.columns + 1) * TILE
}

/// A block of one image of the layer below.
struct Place<'a> {
    source: &'a [Lanes],
    maps: Maps,
    block: usize,
}

/// Adds `g` at the pixel that max pooling selected: the first maximum (after
/// multiplication by `sign`) of the four at `(i, j)`.
#[inline(always)]
fn unpool<S: Simd>(
    s: S,
    z: &[[f32x16<S>; TILE]; TILE],
    d: &mut [[f32x16<S>; TILE]; TILE],
    (i, j): (usize, usize),
    sign: f32x16<S>,
    g: f32x16<S>,
) {
    let zero = all(s, 0.0);
    let four = [z[i][j] * sign, z[i][j + 1] * sign, z[i + 1][j] * sign, z[i + 1][j + 1] * sign];
    let largest = four[0].max(four[1]).max(four[2].max(four[3]));
    let mut left = g;
    for k in 0..4 {
        let here = four[k].simd_eq(largest);
        let d = &mut d[i + k / 2][j + k % 2];
        *d += here.select(left, zero);
        left = here.select(zero, left);
    }
}
