//! The forward pass of the 3x3 convolution: applies the batch norm and ReLU of the layer
//! below, and sums up the statistics for its own batch norm.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use fearless_simd::{Simd, f32x16, prelude::*};
use rayon::prelude::*;

use super::kernels::{Kernels, Panel};
use super::maps::{Maps, Source, Sums};
use super::step::{Grid, ONE_BY_ONE, Scratch, Tiles, Work, multiply, pictures_per_task};
use super::transform::{TILE, WINDOW, all};
use crate::Level;
use crate::level::at_level;
use crate::planes::Lanes;
use crate::winograd::transform::{Four, Transform, output};

/// Destination of a layer's output.
pub struct Output<'a> {
    /// The convolution's output, before batch norm: contiguous images in the layer's
    /// [`Maps`].
    pub z: &'a mut [Lanes],
    /// The numbers of `z` that 2x2 max pooling selects, as [`Maps::pooled`]; empty if no
    /// pool follows.
    pub pooled: &'a mut [Lanes],
    /// The gamma of batch norm, if a pool follows: for channels with negative gamma, the
    /// pool selects the smallest number of `z`.
    pub gamma: &'a [f32],
}

/// Computes `z = conv(relu(norm(source)))` for a batch. Returns the sums of `z` and of its
/// square over all pixels.
///
/// # Panics
/// If the length of a slice does not match its shape.
pub fn forward(
    level: Level,
    batch: usize,
    source: Source,
    kernels: &Kernels,
    output: Output,
    scratch: &Scratch,
) -> Sums {
    let to = Maps { channels: kernels.cout, ..source.maps };
    assert_eq!(kernels.cin, source.maps.channels, "train: kernels for other channels");
    assert_eq!(source.values.len(), batch * source.maps.size(), "train: wrong length of the input");
    assert_eq!(output.z.len(), batch * to.size(), "train: wrong length of z");
    let (below, pools) = (source.maps.size(), !output.pooled.is_empty());
    assert!(
        !pools || output.pooled.len() == batch * to.pooled().size(),
        "train: wrong length of the pooled output"
    );
    let signs = if pools { signs(output.gamma, to.blocks()) } else { Vec::new() };
    let pictures = pictures_per_task(batch, &to, 0);
    let mut pooled = output.pooled.chunks_mut((pictures * to.pooled().size()).max(1));
    let tasks: Vec<_> = output
        .z
        .chunks_mut(pictures * to.size())
        .zip(source.values.chunks(pictures * below))
        .map(|(z, values)| (z, values, pooled.next().unwrap_or_default()))
        .collect();
    let parallel = tasks.len() < rayon::current_num_threads();
    let run = |(z, values, pooled): (&mut [Lanes], &[Lanes], &mut [Lanes])| {
        let task = Task { level, source: Source { values, ..source }, kernels, to, signs: &signs };
        Scratch::with(scratch.works(), |work| task.run(z, pooled, work, parallel))
    };
    let sums: Vec<Sums> = tasks.into_par_iter().with_max_len(ONE_BY_ONE).map(run).collect();
    Sums::total(&sums)
}

/// The sign of gamma, 1 or -1, for each channel.
pub(super) fn signs(gamma: &[f32], blocks: usize) -> Vec<Lanes> {
    let mut signs = vec![Lanes([1.0; crate::LANES]); blocks];
    for (c, gamma) in gamma.iter().enumerate() {
        if *gamma < 0.0 {
            signs[c / crate::LANES].0[c % crate::LANES] = -1.0;
        }
    }
    signs
}

struct Task<'a> {
    level: Level,
    source: Source<'a>,
    kernels: &'a Kernels,
    to: Maps,
    signs: &'a [Lanes],
}

impl Task<'_> {
    fn run(&self, z: &mut [Lanes], pooled: &mut [Lanes], work: &mut Work, parallel: bool) -> Sums {
        let (level, grid) = (self.level, Grid::new(&self.to));
        let (cin, blocks) = (self.source.maps.blocks(), self.to.blocks());
        let mut sums = Sums::new(blocks);
        let rows = z.len() / self.to.size() * grid.rows;
        let rows_per_step = grid.rows_per_step(rows, cin + 2);
        for first in (0..rows).step_by(rows_per_step) {
            let step = first..(first + rows_per_step).min(rows);
            let tiles = Tiles::new(level, step.len() * grid.columns);
            tiles.reserve(&mut work.windows, cin);
            at_level!(level, simd => windows(simd, &self.source, step.clone(), &tiles, &mut work.windows));
            let mut weights = &self.kernels.forward[..];
            for panel in Panel::all(level, blocks) {
                let channels = self.kernels.cin;
                let (values, to) = (&work.windows, &mut work.sums);
                multiply(level, &tiles, panel, channels, values, weights, to, parallel);
                weights = &weights[super::transform::COEFFICIENTS * channels * panel.blocks..];
                at_level!(level, simd => {
                    self.store(simd, panel, step.clone(), &tiles, &work.sums, z, pooled, &mut sums);
                });
            }
        }
        sums
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    fn store<S: Simd>(
        &self,
        s: S,
        panel: Panel,
        rows: Range<usize>,
        tiles: &Tiles,
        from: &[Lanes],
        z: &mut [Lanes],
        pooled: &mut [Lanes],
        sums: &mut Sums,
    ) {
        let (to, grid, half) = (self.to, Grid::new(&self.to), self.to.pooled());
        let stride = tiles.stride(panel.blocks);
        for p in 0..panel.blocks {
            let block = panel.first + p;
            let mut tile = 0;
            for row in rows.clone() {
                let (picture, row) = (row / grid.rows, row % grid.rows);
                let z = &mut z[picture * to.size()..][..to.size()];
                let (mut first, mut second) = (all(s, 0.0), all(s, 0.0));
                for column in 0..grid.columns {
                    let values: [[f32x16<S>; TILE]; TILE] =
                        output::<Four, S, _, 4, 6>(s, &from[tile * panel.blocks + p..], stride, 0);
                    let (y, x) = (row * TILE, column * TILE);
                    let (rows, columns) = (TILE.min(to.height - y), TILE.min(to.width - x));
                    if (rows, columns) == (TILE, TILE) {
                        for i in 0..TILE {
                            let at = to.at(y + i, block) + x;
                            let to: &mut [Lanes; TILE] =
                                z[at..].first_chunk_mut().expect("the columns of a tile");
                            for j in 0..TILE {
                                values[i][j].store_array(&mut to[j].0);
                                first += values[i][j];
                                second = values[i][j].mul_add(values[i][j], second);
                            }
                        }
                    } else {
                        for i in 0..rows {
                            for j in 0..columns {
                                values[i][j].store_array(&mut z[to.at(y + i, block) + x + j].0);
                                first += values[i][j];
                                second = values[i][j].mul_add(values[i][j], second);
                            }
                        }
                    }
                    if !self.signs.is_empty() {
                        let sign = f32x16::load_array_ref(s, &self.signs[block].0);
                        let pooled = &mut pooled[picture * half.size()..][..half.size()];
                        for i in 0..rows / 2 {
                            for j in 0..columns / 2 {
                                let above = (values[2 * i][2 * j] * sign)
                                    .max(values[2 * i][2 * j + 1] * sign);
                                let below = (values[2 * i + 1][2 * j] * sign)
                                    .max(values[2 * i + 1][2 * j + 1] * sign);
                                let at = half.at(y / 2 + i, block) + x / 2 + j;
                                (above.max(below) * sign).store_array(&mut pooled[at].0);
                            }
                        }
                    }
                    tile += 1;
                }
                let (mut a, mut b) = (Lanes::default(), Lanes::default());
                first.store_array(&mut a.0);
                second.store_array(&mut b.0);
                sums.add(block, &a, &b);
            }
        }
    }
}

/// Transforms the windows of some rows of tiles: `relu(norm(source))`, zero outside the
/// image.
#[inline(always)]
pub(super) fn windows<S: Simd>(
    s: S,
    source: &Source,
    rows: Range<usize>,
    tiles: &Tiles,
    to: &mut [Lanes],
) {
    let (maps, grid, zero) = (source.maps, Grid::new(&source.maps), all(s, 0.0));
    let stride = tiles.stride(maps.blocks());
    let mut tile = 0;
    for row in rows {
        let picture = &source.values[row / grid.rows * maps.size()..][..maps.size()];
        let row = row % grid.rows;
        for column in 0..grid.columns {
            let (y, x) = (row * TILE, column * TILE);
            let inner = y > 0 && x > 0 && y + TILE < maps.height && x + TILE < maps.width;
            for block in 0..maps.blocks() {
                let scale = f32x16::load_array_ref(s, &source.norm.scale[block].0);
                let shift = f32x16::load_array_ref(s, &source.norm.shift[block].0);
                let mut half = [[zero; WINDOW]; WINDOW];
                if inner {
                    let first = maps.at(y - 1, block) + x - 1;
                    let from = &picture[first..][..(WINDOW - 1) * maps.row() + WINDOW];
                    for j in 0..WINDOW {
                        let mut d = [zero; WINDOW];
                        for i in 0..WINDOW {
                            let z = f32x16::load_array_ref(s, &from[i * maps.row() + j].0);
                            d[i] = z.mul_add(scale, shift).max(zero);
                        }
                        let d = Four::input_column::<S, f32x16<S>>(d);
                        for i in 0..WINDOW {
                            half[i][j] = d[i];
                        }
                    }
                } else {
                    for j in 0..WINDOW {
                        let mut d = [zero; WINDOW];
                        // The window starts one pixel before the tile.
                        if x + j > 0 && x + j <= maps.width {
                            for i in 0..WINDOW {
                                if y + i > 0 && y + i <= maps.height {
                                    let at = maps.at(y + i - 1, block) + x + j - 1;
                                    let z = f32x16::load_array_ref(s, &picture[at].0);
                                    d[i] = z.mul_add(scale, shift).max(zero);
                                }
                            }
                        }
                        let d = Four::input_column::<S, f32x16<S>>(d);
                        for i in 0..WINDOW {
                            half[i][j] = d[i];
                        }
                    }
                }
                let at = tiles.at(tile, block, maps.blocks());
                let to = &mut to[at..][..(WINDOW * WINDOW - 1) * stride + 1];
                for i in 0..WINDOW {
                    let row = Four::input_column::<S, f32x16<S>>(half[i]);
                    for j in 0..WINDOW {
                        row[j].store_array(&mut to[(i * WINDOW + j) * stride].0);
                    }
                }
            }
            tile += 1;
        }
    }
}
