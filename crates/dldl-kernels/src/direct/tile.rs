//! Register blocks of the direct convolution: several neighboring output pixels by one
//! or two blocks of output channels, accumulated over all taps.

// Indexed loops: closures and iterators over vectors are compiled separately, without
// the level's instructions.
#![allow(clippy::needless_range_loop)]

use super::{Group, Pixel};
use crate::{Lanes, Level};
use fearless_simd::f32x16;
use fearless_simd::prelude::*;

/// Number of blocks of output channels that share the broadcast of an input value: two
/// if enough registers remain for several pixels.
pub(super) fn blocks_together(level: Level) -> usize {
    if level == Level::Baseline { 1 } else { 2 }
}

/// Largest number of pixels in a tile: 24 accumulators in 32 registers with AVX-512, 12
/// in 16 with AVX2 and 128-bit vectors (where a block takes 2 and 4 registers).
#[inline(always)]
fn max_pixels<S: Simd, const BLOCKS: usize>() -> usize {
    match (S::f32s::LEN, BLOCKS) {
        (16, _) => 12,
        (8, 1) => 6,
        _ => 3,
    }
}

/// The operands of one row of the output.
pub struct Row<'a, T> {
    pub rows: &'a [&'a [T]],
    pub width: usize,
    pub inputs: usize,
    pub kernel: usize,
    pub group: &'a Group,
}

/// One row of the output of one group: `out` is `[group.blocks, columns]`.
#[inline(always)]
pub(super) fn row<S: Simd, T: Pixel>(simd: S, job: &Row<T>, out: &mut [Lanes]) {
    if job.group.blocks == 2 {
        blocks::<S, T, 2>(simd, job, out);
    } else {
        blocks::<S, T, 1>(simd, job, out);
    }
}

/// Covers the row with tiles; the last one may overlap the one before it.
#[inline(always)]
fn blocks<S: Simd, T: Pixel, const BLOCKS: usize>(simd: S, job: &Row<T>, out: &mut [Lanes]) {
    let columns = out.len() / BLOCKS;
    let max = max_pixels::<S, BLOCKS>();
    let mut x = 0;
    while x < columns {
        let left = columns - x;
        if left >= max {
            let end = x + left / max * max;
            tiles::<S, T, BLOCKS>(simd, max, job, x, end, out);
            x = end;
            continue;
        }
        let wider = SIZES.into_iter().rev().find(|&s| s >= left).unwrap_or(max);
        if wider <= columns {
            return tiles::<S, T, BLOCKS>(simd, wider, job, columns - wider, columns, out);
        }
        let narrower = SIZES.into_iter().find(|&s| s <= left).unwrap_or(1);
        tiles::<S, T, BLOCKS>(simd, narrower, job, x, x + narrower, out);
        x += narrower;
    }
}

/// Supported tile widths.
const SIZES: [usize; 8] = [12, 9, 8, 6, 4, 3, 2, 1];

/// Tiles of `size` pixels from `x` up to `end`.
#[inline(always)]
fn tiles<S: Simd, T: Pixel, const BLOCKS: usize>(
    simd: S,
    size: usize,
    job: &Row<T>,
    x: usize,
    end: usize,
    out: &mut [Lanes],
) {
    match size {
        12 => run::<S, T, 12, BLOCKS>(simd, job, x, end, out),
        9 => run::<S, T, 9, BLOCKS>(simd, job, x, end, out),
        8 => run::<S, T, 8, BLOCKS>(simd, job, x, end, out),
        6 => run::<S, T, 6, BLOCKS>(simd, job, x, end, out),
        4 => run::<S, T, 4, BLOCKS>(simd, job, x, end, out),
        3 => run::<S, T, 3, BLOCKS>(simd, job, x, end, out),
        2 => run::<S, T, 2, BLOCKS>(simd, job, x, end, out),
        _ => run::<S, T, 1, BLOCKS>(simd, job, x, end, out),
    }
}

#[inline(always)]
fn run<S: Simd, T: Pixel, const PIXELS: usize, const BLOCKS: usize>(
    simd: S,
    job: &Row<T>,
    x: usize,
    end: usize,
    out: &mut [Lanes],
) {
    if PIXELS > max_pixels::<S, BLOCKS>() {
        // Compile no code for tiles that exceed the registers.
        return;
    }
    // A separate function helps the compiler's register allocation.
    simd.vectorize(
        #[inline(always)]
        || {
            for x in (x..end).step_by(PIXELS) {
                tile::<S, T, PIXELS, BLOCKS>(simd, job, x, out);
            }
        },
    );
}

/// One tile: `PIXELS` pixels starting at `x`.
#[inline(always)]
fn tile<S: Simd, T: Pixel, const PIXELS: usize, const BLOCKS: usize>(
    simd: S,
    job: &Row<T>,
    x: usize,
    out: &mut [Lanes],
) {
    let Row { rows, width, inputs, kernel, group } = *job;
    let mut acc = [[f32x16::splat(simd, 0.0); PIXELS]; BLOCKS];
    for b in 0..BLOCKS {
        acc[b] = [f32x16::load_array_ref(simd, &group.bias[b].0); PIXELS];
    }
    let (mut weights, _) = group.weight.as_chunks::<BLOCKS>();
    for row in rows {
        let mut left = inputs;
        for block in row.chunks_exact(width) {
            let channels = left.min(T::CHANNELS);
            left -= channels;
            for kx in 0..kernel {
                let pixels: &[T; PIXELS] =
                    block[x + kx..].first_chunk().expect("the pixels of a tile");
                let (taps, rest) = weights.split_at(channels);
                weights = rest;
                for (c, w) in taps.iter().enumerate() {
                    let mut weight = [f32x16::splat(simd, 0.0); BLOCKS];
                    for b in 0..BLOCKS {
                        weight[b] = f32x16::load_array_ref(simd, &w[b].0);
                    }
                    for p in 0..PIXELS {
                        let value = f32x16::splat(simd, pixels[p].channel(c));
                        for b in 0..BLOCKS {
                            acc[b][p] = value.mul_add(weight[b], acc[b][p]);
                        }
                    }
                }
            }
        }
    }
    let columns = out.len() / BLOCKS;
    let zero = f32x16::splat(simd, 0.0);
    for b in 0..BLOCKS {
        let slope = f32x16::load_array_ref(simd, &group.slope[b].0);
        let out: &mut [Lanes; PIXELS] =
            out[b * columns + x..].first_chunk_mut().expect("the pixels of a tile");
        for p in 0..PIXELS {
            let positive = acc[b][p].max(zero);
            let value = slope.mul_add(acc[b][p].min(zero), positive);
            value.store_array(&mut out[p].0);
        }
    }
}
