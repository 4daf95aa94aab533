//! The convolution of a band of rows: windows are transformed, multiplied by `product`
//! and transformed back to pixels, in steps of as many rows of tiles as fit the cache.

// Indexed loops: see `product`.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, prelude::*};
use std::ops::Range;

use super::scratch::{Layout, Scratch};
use super::transform::{self, Four, Transform, Two, Vector, load, save};
use super::{Conv3x3, Panel, Winograd, product};
use crate::planes::{LANES, Lanes, Planes};

impl Conv3x3 {
    /// Computes `rows` rows of tiles: `input` starts with the row above them, `output`
    /// with their first output row.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    pub(super) fn band<S: Simd>(
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
        match self.winograd {
            Winograd::F4 => self.steps::<Four, S, 4, 6>(s, input, from, to, rows, output, scratch),
            Winograd::F2 => self.steps::<Two, S, 2, 4>(s, input, from, to, rows, output, scratch),
        }
    }

    /// [`band`](Self::band) without clearing the border.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    fn steps<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
        &self,
        s: S,
        input: &[Lanes],
        from: Planes,
        to: Planes,
        rows: usize,
        output: &mut [Lanes],
        scratch: &mut Scratch,
    ) {
        let columns = from.width.div_ceil(T);
        let rows_per_step = self.rows_per_step(from, rows);
        for first in (0..rows).step_by(rows_per_step) {
            let step = first..(first + rows_per_step).min(rows);
            let tiles = step.len() * columns;
            // Groups of equal size, as few as the registers allow; the last one may have
            // unused tiles.
            let groups = tiles.div_ceil(product::group_limit::<S>());
            let group = tiles.div_ceil(groups);
            let layout = Layout { coefficients: W * W, groups, group, blocks: from.blocks() };
            layout.reserve(scratch, self.panels[0].blocks);
            let windows = &mut scratch.windows;
            transform_windows::<F, S, T, W>(s, input, from, step.clone(), &layout, windows);
            for panel in &self.panels {
                self.multiply(s, *panel, &layout, scratch);
                let start = step.start * self.tile_height() * to.row_stride();
                let (tiles, output) = ((step.len(), columns), &mut output[start..]);
                let sums = &scratch.sums;
                self.transform_sums::<F, S, T, W>(s, *panel, &layout, sums, tiles, to, output);
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Simd>(&self, s: S, panel: Panel, layout: &Layout, scratch: &mut Scratch) {
        let size = self.cin * panel.blocks;
        let start = panel.first * layout.coefficients * self.cin;
        let group_len = (layout.blocks * layout.group, layout.group * panel.blocks);
        for c in 0..layout.coefficients {
            let (weights, next) = self.weights[start + c * size..].split_at(size);
            // The weights are read once and not from the cache, which is slow: each
            // group prefetches a part of the next coefficient's.
            let next = if next.len() >= size { &next[..size] } else { weights };
            let windows = &scratch.windows[c * layout.window_stride()..];
            let sums = &mut scratch.sums[c * layout.sum_stride(panel.blocks)..];
            for g in 0..layout.groups {
                let ahead = &next[(g * size / layout.groups).min(size - self.cin)..][..self.cin];
                let shape = (layout.group, panel.blocks);
                let values = &windows[g * group_len.0..][..group_len.0];
                let sums = &mut sums[g * group_len.1..][..group_len.1];
                product::group(s, shape, values, weights, ahead, sums);
            }
        }
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the context of one call")]
    fn transform_sums<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
        &self,
        s: S,
        panel: Panel,
        layout: &Layout,
        sums: &[Lanes],
        (rows, columns): (usize, usize),
        to: Planes,
        output: &mut [Lanes],
    ) {
        let stride = layout.sum_stride(panel.blocks);
        for p in 0..panel.blocks {
            let bias = &self.bias[panel.first + p];
            let mut tile = 0;
            for row in 0..rows {
                for column in 0..columns {
                    let sums = &sums[tile * panel.blocks + p..];
                    let side = self.tile_height();
                    let x = (panel.first + p) * to.columns() + 1 + column * side;
                    let start = row * side * to.row_stride() + x;
                    let place = start.min(output.len());
                    let mut place = Place {
                        pixels: &mut output[place..],
                        row_stride: to.row_stride(),
                        width: to.width.saturating_sub(column * side),
                    };
                    for part in 0..LANES / S::f32s::LEN {
                        let part = part * S::f32s::LEN;
                        let bias: S::f32s = load(s, bias, part);
                        let values = transform::output::<F, S, _, T, W>(s, sums, stride, part);
                        if self.pool {
                            store_pooled(s, values, bias, &mut place, part);
                        } else {
                            store(s, values, bias, &mut place, part);
                        }
                    }
                    tile += 1;
                }
            }
        }
    }
}

/// Transforms the windows of some rows of tiles.
#[inline(always)]
fn transform_windows<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
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
        for column in 0..from.width.div_ceil(T) {
            let start = row * T * from.row_stride() + column * T;
            for block in 0..layout.blocks {
                let input = &input[start + block * from.columns()..];
                let output = &mut windows[layout.window(tile, block)..];
                transform::input::<F, S, T, W>(s, input, from.row_stride(), output, stride);
            }
            tile += 1;
        }
    }
}

/// The destination of a tile's pixels; pixels beyond `width` columns or the end of
/// `pixels` are dropped.
struct Place<'a> {
    pixels: &'a mut [Lanes],
    row_stride: usize,
    width: usize,
}

/// Adds the bias, applies ReLU and stores a tile's pixels, for the channels from `part`
/// on.
#[inline(always)]
fn store<S: Simd, V: Vector<S>, const N: usize>(
    s: S,
    tile: [[V; N]; N],
    bias: V,
    to: &mut Place,
    part: usize,
) {
    let zero = V::splat(s, 0.0);
    for y in 0..N {
        for x in 0..N.min(to.width) {
            if let Some(pixel) = to.pixels.get_mut(y * to.row_stride + x) {
                save((tile[y][x] + bias).max(zero), pixel, part);
            }
        }
    }
}

/// [`store`] with 2x2 max pooling.
#[inline(always)]
fn store_pooled<S: Simd, V: Vector<S>, const N: usize>(
    s: S,
    tile: [[V; N]; N],
    bias: V,
    to: &mut Place,
    part: usize,
) {
    let zero = V::splat(s, 0.0);
    for y in 0..N / 2 {
        for x in 0..(N / 2).min(to.width) {
            if let Some(pixel) = to.pixels.get_mut(y * to.row_stride + x) {
                let above = tile[2 * y][2 * x].max(tile[2 * y][2 * x + 1]);
                let below = tile[2 * y + 1][2 * x].max(tile[2 * y + 1][2 * x + 1]);
                save((above.max(below) + bias).max(zero), pixel, part);
            }
        }
    }
}
