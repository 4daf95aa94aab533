//! Winograd's three transforms for F(4x4, 3x3) with the points 0, 1, -1, 2, -2
//! and infinity (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015): `Y = A^T [(G w G^T) * (B^T d B)] A` with a 6x6 window `d`
//! of the input, a 3x3 kernel `w` and 4x4 output pixels `Y`. The elementwise
//! product, summed over the channels, is `product`'s.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`,
// are compiled apart, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};

use crate::planes::{Lanes, TILE};

/// Side of a window of the input, and of its transform.
pub(super) const WINDOW: usize = TILE + 2;

/// Numbers in the transform of a window.
pub(super) const COEFFICIENTS: usize = WINDOW * WINDOW;

/// `G`, which takes a kernel's three taps to six coefficients.
const G: [[f64; 3]; WINDOW] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];

/// `G w G^T` of a 3x3 kernel in row-major order, computed in f64.
pub(super) fn kernel(w: &[f32; 9]) -> [f32; COEFFICIENTS] {
    std::array::from_fn(|i| {
        let (row, column) = (G[i / WINDOW], G[i % WINDOW]);
        let mut sum = 0.0;
        for y in 0..3 {
            for x in 0..3 {
                sum += row[y] * f64::from(w[3 * y + x]) * column[x];
            }
        }
        sum as f32
    })
}

/// A vector of 16 times the same number.
#[inline(always)]
fn all<S: Simd>(s: S, value: f32) -> f32x16<S> {
    f32x16::splat(s, value)
}

/// `B^T d` of one column.
#[inline(always)]
fn input_column<S: Simd>(s: S, d: [f32x16<S>; WINDOW]) -> [f32x16<S>; WINDOW] {
    let a = all(s, -4.0).mul_add(d[2], d[4]);
    let b = all(s, -4.0).mul_add(d[1], d[3]);
    let e = d[4] - d[2];
    let f = d[3] - d[1];
    [
        all(s, 4.0).mul_add(d[0], all(s, -5.0).mul_add(d[2], d[4])),
        a + b,
        a - b,
        all(s, 2.0).mul_add(f, e),
        all(s, -2.0).mul_add(f, e),
        all(s, 4.0).mul_add(d[1], all(s, -5.0).mul_add(d[3], d[5])),
    ]
}

/// `A^T m` of one column.
#[inline(always)]
fn output_column<S: Simd>(s: S, m: [f32x16<S>; WINDOW]) -> [f32x16<S>; TILE] {
    let (sum, difference) = (m[1] + m[2], m[1] - m[2]);
    let (sum2, difference2) = (m[3] + m[4], m[3] - m[4]);
    [
        m[0] + sum + sum2,
        all(s, 2.0).mul_add(difference2, difference),
        all(s, 4.0).mul_add(sum2, sum),
        all(s, 8.0).mul_add(difference2, difference) + m[5],
    ]
}

/// `B^T d B`: the window whose rows begin at `input[0]`, `input[row_stride]`
/// and so on, to `output[0]`, `output[stride]` and so on.
#[inline(always)]
pub(super) fn input<S: Simd>(
    s: S,
    input: &[Lanes],
    row_stride: usize,
    output: &mut [Lanes],
    stride: usize,
) {
    let zero = all(s, 0.0);
    let input = &input[..(WINDOW - 1) * row_stride + WINDOW];
    let mut half = [[zero; WINDOW]; WINDOW];
    for x in 0..WINDOW {
        let mut column = [zero; WINDOW];
        for y in 0..WINDOW {
            column[y] = f32x16::load_array_ref(s, &input[y * row_stride + x].0);
        }
        let column = input_column(s, column);
        for y in 0..WINDOW {
            half[y][x] = column[y];
        }
    }
    let output = &mut output[..(COEFFICIENTS - 1) * stride + 1];
    for y in 0..WINDOW {
        let row = input_column(s, half[y]);
        for x in 0..WINDOW {
            row[x].store_array(&mut output[(y * WINDOW + x) * stride].0);
        }
    }
}

/// `A^T m A` of the coefficients at `input[0]`, `input[stride]` and so on: the
/// tile's rows.
#[inline(always)]
pub(super) fn output<S: Simd>(s: S, input: &[Lanes], stride: usize) -> [[f32x16<S>; TILE]; TILE] {
    let zero = all(s, 0.0);
    let input = &input[..(COEFFICIENTS - 1) * stride + 1];
    let mut half = [[zero; WINDOW]; TILE];
    for x in 0..WINDOW {
        let mut column = [zero; WINDOW];
        for y in 0..WINDOW {
            column[y] = f32x16::load_array_ref(s, &input[(y * WINDOW + x) * stride].0);
        }
        let column = output_column(s, column);
        for y in 0..TILE {
            half[y][x] = column[y];
        }
    }
    let mut rows = [[zero; TILE]; TILE];
    for y in 0..TILE {
        rows[y] = output_column(s, half[y]);
    }
    rows
}
