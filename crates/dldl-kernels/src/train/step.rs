//! How a batch is cut for the convolutions of training: into tasks, for the
//! threads, and these into steps, whose transformed numbers stay in the cache.
//! Neither depends on the number of threads, so no sum does.

use rayon::prelude::*;
use std::sync::Mutex;

use super::kernels::Panel;
use super::maps::Maps;
use super::transform::{COEFFICIENTS, TILE};
use crate::Level;
use crate::level::at_level;
use crate::planes::Lanes;
use crate::winograd::product;

/// Most tasks of a layer.
const TASKS: usize = 16;

/// For Rayon's `with_max_len`: by default it hands out a few tasks at a time, and
/// the others wait for whoever is left with several.
pub(super) const ONE_BY_ONE: usize = 1;

/// Fewest tiles of a task: with fewer, reading the weights and adding up the
/// gradients to them would be a large part of its time.
const TASK_TILES: usize = 64;

/// How many bytes of transformed numbers a step works on.
const STEP_BYTES: usize = 1200 * 1024;

/// Fewest tiles of a step, whatever their bytes: with each step, the weights
/// and their gradients stream by.
const STEP_TILES: usize = 48;

/// Pictures of a task.
pub(super) fn pictures_a_task(batch: usize, maps: &Maps, widest: usize) -> usize {
    let tiles = batch * Grid::new(maps).tiles();
    let tasks = (tiles / TASK_TILES.max(widest)).clamp(1, TASKS);
    batch.div_ceil(tasks).max(1)
}

/// The tiles of one picture.
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

    /// How many rows of tiles a step takes, of `rows` in all, if a tile takes
    /// so many [`Lanes`] for each coefficient.
    pub fn rows_a_step(&self, rows: usize, lanes: usize) -> usize {
        let bytes = COEFFICIENTS * lanes * size_of::<Lanes>();
        let tiles = (STEP_BYTES / bytes).max(STEP_TILES);
        let steps = rows.div_ceil((tiles / self.columns).max(1));
        rows.div_ceil(steps)
    }
}

/// Where the tiles of one step lie in the working memory: in groups of as many
/// as a register block takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiles {
    pub count: usize,
    pub groups: usize,
    /// Tiles of a group; the last may hold some that are zero.
    pub group: usize,
}

impl Tiles {
    pub fn new(level: Level, count: usize) -> Self {
        let groups = count.div_ceil(at_level!(level, simd => limit(simd)));
        Self { count, groups, group: count.div_ceil(groups) }
    }

    /// [`Lanes`] from one coefficient to the next, for so many blocks. Odd, so
    /// that the 36 places of a window do not fall into few sets of the cache.
    pub fn stride(&self, blocks: usize) -> usize {
        (self.groups * self.group * blocks) | 1
    }

    /// Place of a tile's block in `[group][block][tile of the group]`.
    pub fn at(&self, tile: usize, block: usize, blocks: usize) -> usize {
        let (group, tile) = (tile / self.group, tile % self.group);
        (group * blocks + block) * self.group + tile
    }

    /// Room for all coefficients of so many blocks. The tiles that fill up the
    /// last group are zero, since sums over tiles meet them.
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

/// See [`product::group_limit`]; the token is there for its type.
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
    /// What the rows of tiles above leave for those below:
    /// `[block][2 rows][columns]`.
    pub carry: Vec<Lanes>,
    /// A picture with its border.
    pub picture: Vec<f32>,
}

/// Working memory that tasks borrow, kept from step to step.
#[derive(Debug, Default)]
pub struct Scratch {
    works: Mutex<Vec<Work>>,
    /// Gradients to transformed weights, one for each task.
    pub(super) parts: Vec<Vec<Lanes>>,
}

impl Scratch {
    /// `task` with working memory of its own.
    pub(super) fn with<T>(works: &Mutex<Vec<Work>>, task: impl FnOnce(&mut Work) -> T) -> T {
        let taken = works.lock().expect("no task panics with the lock").pop();
        let mut work = taken.unwrap_or_default();
        let result = task(&mut work);
        works.lock().expect("no task panics with the lock").push(work);
        result
    }

    pub(super) fn works(&self) -> &Mutex<Vec<Work>> {
        &self.works
    }

    /// `count` working memories, to be given back to [`works`](Self::works).
    pub(super) fn take(works: &Mutex<Vec<Work>>, count: usize) -> Vec<Work> {
        let mut works = works.lock().expect("no task panics with the lock");
        (0..count).map(|_| works.pop().unwrap_or_default()).collect()
    }

    /// The working memory, and `count` buffers for gradients, of whatever
    /// length and content.
    pub(super) fn parts(&mut self, count: usize) -> (&Mutex<Vec<Work>>, &mut [Vec<Lanes>]) {
        self.parts.resize_with(count.max(self.parts.len()), Vec::new);
        (&self.works, &mut self.parts[..count])
    }
}

/// The products of one panel for all coefficients: `values` (`[coefficient]
/// [group][block][tile]`) times the panel's `weights`
/// (`[coefficient][channel][block of the panel]`), summed over the `channels`.
/// In parallel over the coefficients if so asked.
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
    // The weights stream by once; each group asks for a part of the next
    // coefficient's.
    let next = if next.len() >= size { &next[..size] } else { own };
    let values = &values[..tiles.groups * tiles.group * blocks];
    at_level!(level, simd => {
        // Indexed: iterators are compiled apart, without the level's instructions.
        let (value, sum) = (blocks * tiles.group, tiles.group * panel.blocks);
        for g in 0..tiles.groups {
            let values = &values[g * value..][..value];
            let sums = &mut sums[g * sum..][..sum];
            let ahead = &next[(g * size / tiles.groups).min(size - channels)..][..channels];
            product::group(simd, (tiles.group, panel.blocks), values, own, ahead, sums);
        }
    });
}
