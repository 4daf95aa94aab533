//! Division of a batch into tasks, which threads run in parallel, and of tasks into
//! steps, whose transformed numbers stay in the cache. Neither depends on the number of
//! threads, so the sums do not either.

use rayon::prelude::*;
use std::sync::Mutex;

use super::kernels::Panel;
use super::maps::Maps;
use super::transform::{COEFFICIENTS, TILE};
use crate::Level;
use crate::level::at_level;
use crate::planes::Lanes;
use crate::winograd::product;

/// Largest number of tasks of a layer.
const TASKS: usize = 16;

/// For Rayon's `with_max_len`: by default a thread may receive several tasks at once,
/// while other threads run out of work.
pub(super) const ONE_BY_ONE: usize = 1;

/// Smallest number of tiles in a task: with fewer, reading the weights and adding up
/// their gradients would take a large share of the time.
const TASK_TILES: usize = 64;

/// Bytes of transformed numbers in a step.
const STEP_BYTES: usize = 1200 * 1024;

/// Smallest number of tiles in a step, whatever their size: every step reads all weights
/// and their gradients.
const STEP_TILES: usize = 48;

/// Number of images in a task.
pub(super) fn pictures_per_task(batch: usize, maps: &Maps, widest: usize) -> usize {
    let tiles = batch * Grid::new(maps).tiles();
    let tasks = (tiles / TASK_TILES.max(widest)).clamp(1, TASKS);
    batch.div_ceil(tasks).max(1)
}

/// The tiles of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub rows: usize,
    pub columns: usize,
}

impl Grid {
    pub fn new(maps: &Maps) -> Self {
        Self { rows: maps.height.div_ceil(TILE), columns: maps.width.div_ceil(TILE) }
    }

    pub fn tiles(&self) -> usize {
        self.rows * self.columns
    }

    /// Number of rows of tiles in a step, of `rows` in total, for tiles of `lanes`
    /// [`Lanes`] per coefficient.
    pub fn rows_per_step(&self, rows: usize, lanes: usize) -> usize {
        let bytes = COEFFICIENTS * lanes * size_of::<Lanes>();
        let tiles = (STEP_BYTES / bytes).max(STEP_TILES);
        let steps = rows.div_ceil((tiles / self.columns).max(1));
        rows.div_ceil(steps)
    }
}

/// Layout of the tiles of one step in the working memory: in groups of as many as a
/// register block takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    pub count: usize,
    pub groups: usize,
    /// Tiles in a group; the last group is padded with zero tiles.
    pub group: usize,
}

impl Tiles {
    pub fn new(level: Level, count: usize) -> Self {
        let groups = count.div_ceil(at_level!(level, simd => limit(simd)));
        Self { count, groups, group: count.div_ceil(groups) }
    }

    /// Distance between coefficients, in [`Lanes`], for `blocks` blocks. Odd, so that the
    /// 36 coefficients of a window do not share a few sets of the cache.
    pub fn stride(&self, blocks: usize) -> usize {
        (self.groups * self.group * blocks) | 1
    }

    /// Index of a tile's block in `[group][block][tile of the group]`.
    pub fn at(&self, tile: usize, block: usize, blocks: usize) -> usize {
        let (group, tile) = (tile / self.group, tile % self.group);
        (group * blocks + block) * self.group + tile
    }

    /// Grows the buffer to all coefficients of `blocks` blocks. Sets the tiles that pad the
    /// last group to zero, since sums over tiles include them.
    pub fn reserve(&self, buffer: &mut Vec<Lanes>, blocks: usize) {
        let stride = self.stride(blocks);
        if buffer.len() < COEFFICIENTS * stride {
            buffer.resize(COEFFICIENTS * stride, Lanes::default());
        }
        for tile in self.count..self.groups * self.group {
            for block in 0..blocks {
                for c in 0..COEFFICIENTS {
                    buffer[c * stride + self.at(tile, block, blocks)] = Lanes::default();
                }
            }
        }
    }
}

/// [`product::group_limit`] for the token's type.
fn limit<S: fearless_simd::Simd>(_: S) -> usize {
    product::group_limit::<S>()
}

/// Working memory of one task.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Transformed windows: `[coefficient][group][input block][tile]`.
    pub windows: Vec<Lanes>,
    /// Transformed gradients: `[coefficient][group][output block][tile]`.
    pub gradients: Vec<Lanes>,
    /// Products of one panel: `[coefficient][group][tile][block]`.
    pub sums: Vec<Lanes>,
    /// Partial sums that a row of tiles carries to the next: `[block][2 rows][columns]`.
    pub carry: Vec<Lanes>,
    /// An image with its border.
    pub picture: Vec<f32>,
}

/// Working memory that tasks borrow. Keep it from step to step.
#[derive(Debug, Default)]
pub struct Scratch {
    works: Mutex<Vec<Work>>,
    /// Gradients with respect to the transformed weights, one per task.
    pub(super) parts: Vec<Vec<Lanes>>,
}

impl Scratch {
    /// Runs `task` with its own working memory.
    pub(super) fn with<T>(works: &Mutex<Vec<Work>>, task: impl FnOnce(&mut Work) -> T) -> T {
        let taken = works.lock().expect("no task panics while holding the lock").pop();
        let mut work = taken.unwrap_or_default();
        let result = task(&mut work);
        works.lock().expect("no task panics while holding the lock").push(work);
        result
    }

    pub(super) fn works(&self) -> &Mutex<Vec<Work>> {
        &self.works
    }

    /// Takes `count` working memories, to be returned to [`works`](Self::works).
    pub(super) fn take(works: &Mutex<Vec<Work>>, count: usize) -> Vec<Work> {
        let mut works = works.lock().expect("no task panics while holding the lock");
        (0..count).map(|_| works.pop().unwrap_or_default()).collect()
    }

    /// The working memory, and `count` buffers for gradients, of arbitrary length and
    /// contents.
    pub(super) fn parts(&mut self, count: usize) -> (&Mutex<Vec<Work>>, &mut [Vec<Lanes>]) {
        self.parts.resize_with(count.max(self.parts.len()), Vec::new);
        (&self.works, &mut self.parts[..count])
    }
}

/// The products of one panel for all coefficients: `values` (`[coefficient]
/// [group][block][tile]`) times the panel's `weights`
/// (`[coefficient][channel][block of the panel]`), summed over the `channels`. With
/// `parallel`, in parallel over the coefficients.
#[allow(clippy::too_many_arguments, reason = "the operands of one product")]
pub(super) fn multiply(
    level: Level,
    tiles: &Tiles,
    panel: Panel,
    channels: usize,
    values: &[Lanes],
    weights: &[Lanes],
    sums: &mut Vec<Lanes>,
    parallel: bool,
) {
    let blocks = channels.div_ceil(crate::LANES);
    let (from, to) = (tiles.stride(blocks), tiles.stride(panel.blocks));
    if sums.len() < COEFFICIENTS * to {
        sums.resize(COEFFICIENTS * to, Lanes::default());
    }
    let work = |(c, sums): (usize, &mut [Lanes])| {
        multiply_one(level, tiles, panel, channels, c, &values[c * from..], weights, sums);
    };
    let sums = &mut sums[..COEFFICIENTS * to];
    if parallel {
        sums.par_chunks_mut(to).enumerate().for_each(work);
    } else {
        sums.chunks_mut(to).enumerate().for_each(work);
    }
}

/// [`multiply`] for the coefficient `c`, whose values and sums are given.
#[allow(clippy::too_many_arguments, reason = "the operands of one product")]
pub(super) fn multiply_one(
    level: Level,
    tiles: &Tiles,
    panel: Panel,
    channels: usize,
    c: usize,
    values: &[Lanes],
    weights: &[Lanes],
    sums: &mut [Lanes],
) {
    let blocks = channels.div_ceil(crate::LANES);
    let size = channels * panel.blocks;
    let (own, next) = weights[c * size..].split_at(size);
    // The weights are read once; each group prefetches a part of the next
    // coefficient's.
    let next = if next.len() >= size { &next[..size] } else { own };
    let values = &values[..tiles.groups * tiles.group * blocks];
    at_level!(level, simd => {
        // Indexed: iterators are compiled separately, without the level's instructions.
        let (value, sum) = (blocks * tiles.group, tiles.group * panel.blocks);
        for g in 0..tiles.groups {
            let values = &values[g * value..][..value];
            let sums = &mut sums[g * sum..][..sum];
            let ahead = &next[(g * size / tiles.groups).min(size - channels)..][..channels];
            product::group(simd, (tiles.group, panel.blocks), values, own, ahead, sums);
        }
    });
}
