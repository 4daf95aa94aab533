//! How a band of rows goes through the convolution: windows are transformed,
//! multiplied by `product`, and transformed back to pixels, as many rows of
//! tiles at a time as fit into the cache.

// Indexed loops: see `product`.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};
use std::ops::Range;

use super::scratch::{Layout, Scratch};
use super::transform::{self, Four, Transform, Two};
use super::{Conv3x3, Panel, Winograd, product};
use crate::planes::{Lanes, Planes};

impl Conv3x3 {
    /// So many rows of tiles: `input` begins with the border above them,
    /// `output` with the first row that they make.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it is one call's context")]
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

    /// [`band`](Self::band), but for the border.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "all of it is one call's context")]
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
        let rows_a_step = self.rows_a_step(from, rows);
        for first in (0..rows).step_by(rows_a_step) {
            let step = first..(first + rows_a_step).min(rows);
            let tiles = step.len() * columns;
            // Groups of the same size, as few as the registers allow; the last
            // may hold tiles that nobody reads.
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
        let windows = scratch.windows.chunks(layout.window_stride());
        let sums = scratch.sums.chunks_mut(layout.sum_stride(panel.blocks));
        for (c, (windows, sums)) in windows.zip(sums).take(layout.coefficients).enumerate() {
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
            let bias = f32x16::load_array_ref(s, &self.bias[panel.first + p].0);
            let mut tile = 0;
            for row in 0..rows {
                for column in 0..columns {
                    let sums = &sums[tile * panel.blocks + p..];
                    let values = transform::output::<F, S, T, W>(s, sums, stride);
                    let side = self.tile_height();
                    let x = (panel.first + p) * to.columns() + 1 + column * side;
                    let start = row * side * to.row_stride() + x;
                    let width = to.width.saturating_sub(column * side);
                    let place = start.min(output.len());
                    let place = &mut output[place..];
                    if self.pool {
                        store_pooled(s, values, bias, place, to.row_stride(), width);
                    } else {
                        store(s, values, bias, place, to.row_stride(), width);
                    }
                    tile += 1;
                }
            }
        }
    }
}

/// The windows of some rows of tiles.
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

/// [`store`] of the maxima of the tile's 2x2 parts.
#[inline(always)]
fn store_pooled<S: Simd, const N: usize>(
    s: S,
    tile: [[f32x16<S>; N]; N],
    bias: f32x16<S>,
    output: &mut [Lanes],
    row_stride: usize,
    width: usize,
) {
    let zero = f32x16::splat(s, 0.0);
    for y in 0..N / 2 {
        for x in 0..(N / 2).min(width) {
            if let Some(to) = output.get_mut(y * row_stride + x) {
                let above = tile[2 * y][2 * x].max(tile[2 * y][2 * x + 1]);
                let below = tile[2 * y + 1][2 * x].max(tile[2 * y + 1][2 * x + 1]);
                (above.max(below) + bias).max(zero).store_array(&mut to.0);
            }
        }
    }
}
