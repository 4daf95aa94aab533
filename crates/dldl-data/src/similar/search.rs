//! All pairs of similar pictures among many.

use std::cell::OnceCell;

use rayon::prelude::*;

use super::describe::{COMPARISONS, COUNT, PART, Parts, frequencies, relation, standardize};
use super::register::{Gray, Levels, correlation, register, similarity};
use super::thumb::{SIDE, Thumb};

/// The least scalar product of two descriptors at which pictures are compared.
const DESCRIPTOR_THRESHOLD: f32 = 0.8;
/// The least correlation at 16 pixels, and of the details at 32, at which they are registered
/// at 32. Faces in the same pose agree at 16 pixels; few of them do in the details.
const COARSE_THRESHOLD: f32 = 0.85;
const DETAIL_THRESHOLD: f32 = 0.6;
/// The steps of registration at 16 pixels.
const COARSE_STEPS: usize = 4;
/// Pictures that are compared with the same block while it is in the cache.
const ROWS: usize = 4;
/// Pictures whose descriptors are multiplied at once.
const LANES: usize = 64;

/// Two pictures, by index, that show the same photograph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) similarity: f32,
    pub(super) mirrored: bool,
}

/// Descriptors of [`LANES`] pictures, `[window][part][frequency][picture]`.
type Block = [[[[f32; LANES]; PART]; 2]; COUNT];

/// The pairs of pictures that are at least this similar, the first in `0..own`. `each` is
/// called after each picture.
pub(super) fn pairs(
    thumbs: &[Thumb],
    own: usize,
    threshold: f32,
    each: &(dyn Fn() + Sync),
) -> Vec<Match> {
    let mut descriptors: Vec<[Parts; COUNT]> = thumbs.par_iter().map(frequencies).collect();
    standardize(&mut descriptors);
    let blocks: Vec<Block> = descriptors[..own].chunks(LANES).map(block).collect();
    let grays: Vec<[Gray; 2]> = thumbs.par_iter().map(grays).collect();
    let candidate = |row: &Row, other: usize, best: &Best| {
        let start = relation(COMPARISONS[best.comparison]);
        let ([coarse, detail], [other_coarse, other_detail]) =
            (row.grays(&grays, best.mirrored), &grays[other]);
        let (fit, reached) = register(coarse, other_coarse, start, COARSE_STEPS);
        if reached < COARSE_THRESHOLD || correlation(detail, other_detail, &fit) < DETAIL_THRESHOLD
        {
            return None;
        }
        let first = row.levels(thumbs, best.mirrored);
        let similarity = similarity(first, &Levels::new(&thumbs[other]), fit);
        (similarity >= threshold).then_some(Match {
            first: other,
            second: row.index,
            similarity,
            mirrored: best.mirrored,
        })
    };
    let starts: Vec<usize> = (0..thumbs.len()).step_by(ROWS).collect();
    let some = |start: usize| {
        let rows: Vec<Row> = (start..(start + ROWS).min(thumbs.len())).map(Row::new).collect();
        let mut found = Vec::new();
        let before = (start + rows.len()).min(own);
        for (b, block) in blocks.iter().enumerate().take(before.div_ceil(LANES)) {
            for row in &rows {
                let best = best_products(&descriptors[row.index], block);
                // The last block may have fewer pictures, and those of a row are in one.
                let others = b * LANES..((b + 1) * LANES).min(row.index).min(own);
                for (other, best) in others.zip(&best) {
                    if best.product >= DESCRIPTOR_THRESHOLD {
                        found.extend(candidate(row, other, best));
                    }
                }
            }
        }
        rows.iter().for_each(|_| each());
        found
    };
    starts.into_par_iter().flat_map_iter(some).collect()
}

/// A picture that is compared with all earlier ones. What it is compared by is computed when
/// it is needed, as it is and mirrored.
struct Row {
    index: usize,
    mirrored: OnceCell<[Gray; 2]>,
    levels: [OnceCell<Levels>; 2],
}

impl Row {
    fn new(index: usize) -> Self {
        Self { index, mirrored: OnceCell::new(), levels: Default::default() }
    }

    fn grays<'a>(&'a self, all: &'a [[Gray; 2]], mirrored: bool) -> &'a [Gray; 2] {
        let plain = &all[self.index];
        if !mirrored {
            return plain;
        }
        self.mirrored.get_or_init(|| plain.each_ref().map(Gray::mirrored))
    }

    fn levels(&self, thumbs: &[Thumb], mirrored: bool) -> &Levels {
        let thumb = &thumbs[self.index];
        self.levels[usize::from(mirrored)].get_or_init(|| {
            if mirrored { Levels::new(&thumb.mirrored()) } else { Levels::new(thumb) }
        })
    }
}

/// A picture at 16 pixels, by which it is registered, and its details at 32.
fn grays(thumb: &Thumb) -> [Gray; 2] {
    let [eighth, quarter, half] = [SIDE / 8, SIDE / 4, SIDE / 2].map(|side| Gray::of(thumb, side));
    [quarter, half.detail(&eighth)]
}

fn block(pictures: &[[Parts; COUNT]]) -> Block {
    let mut block = [[[[0.0; LANES]; PART]; 2]; COUNT];
    for (lane, picture) in pictures.iter().enumerate() {
        let to = block.as_flattened_mut().as_flattened_mut();
        for (to, from) in to.iter_mut().zip(picture.as_flattened().as_flattened()) {
            to[lane] = *from;
        }
    }
    block
}

/// The comparison with the highest product.
#[derive(Clone, Copy)]
struct Best {
    product: f32,
    comparison: usize,
    mirrored: bool,
}

/// The best comparison of a picture with each of a block.
fn best_products(row: &[Parts; COUNT], block: &Block) -> [Best; LANES] {
    let none = Best { product: -1.0, comparison: 0, mirrored: false };
    let mut best = [none; LANES];
    for (comparison, [first, second]) in COMPARISONS.into_iter().enumerate() {
        let mut sums = [[0.0; LANES]; 2];
        for part in 0..2 {
            let values = row[first][part].as_chunks::<4>().0;
            let others = block[second][part].as_chunks::<4>().0;
            for (values, others) in values.iter().zip(others) {
                add_products(&mut sums[part], values, others);
            }
        }
        let [even, odd] = sums;
        for (best, (even, odd)) in best.iter_mut().zip(even.into_iter().zip(odd)) {
            let product = even + odd.abs();
            if product > best.product {
                *best = Best { product, comparison, mirrored: odd < 0.0 };
            }
        }
    }
    best
}

/// Adds four values times four rows. Of slices, and not inlined: the compiler makes vector
/// instructions of this loop, but not of one over arrays that it unrolls first.
#[inline(never)]
fn add_products(sums: &mut [f32], values: &[f32; 4], others: &[[f32; LANES]; 4]) {
    let others = others.each_ref().map(|row| &row[..sums.len()]);
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum += values[0] * others[0][i]
            + values[1] * others[1][i]
            + (values[2] * others[2][i] + values[3] * others[3][i]);
    }
}
