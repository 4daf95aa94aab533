//! The transforms of Winograd's F(4x4, 3x3) for training: that of the weights in vectors,
//! and the adjoints. With `Y = A^T [U * V] A`, `U = G w G^T` and `V = B^T d B`, the exact
//! gradients are `dM = A dY A^T`, `dU = dM * V`, `dV = U * dM`, `dw = G^T dU G` and
//! `dd = B dV B^T`.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};

use crate::planes::Lanes;

/// Side length of a tile of output pixels.
pub(super) const TILE: usize = 4;

/// Side length of a window of the input, and of its transform.
pub(super) const WINDOW: usize = 6;

/// Number of coefficients of a transformed window.
pub(super) const COEFFICIENTS: usize = WINDOW * WINDOW;

/// A vector of 16 equal numbers.
#[inline(always)]
pub(super) fn all<S: Simd>(s: S, value: f32) -> f32x16<S> {
    f32x16::splat(s, value)
}

/// `A d` of one column.
#[inline(always)]
fn spread_column<S: Simd>(s: S, d: [f32x16<S>; TILE]) -> [f32x16<S>; WINDOW] {
    let (even, odd) = (d[0] + d[2], d[1] + d[3]);
    let even2 = all(s, 4.0).mul_add(d[2], d[0]);
    let odd2 = all(s, 8.0).mul_add(d[3], d[1] + d[1]);
    [d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]]
}

/// `dM = A dY A^T`, to `output[0]`, `output[stride]`, ...
#[inline(always)]
pub(super) fn spread<S: Simd>(
    s: S,
    tile: [[f32x16<S>; TILE]; TILE],
    output: &mut [Lanes],
    stride: usize,
) {
    let mut half = [[all(s, 0.0); TILE]; WINDOW];
    for x in 0..TILE {
        let column = spread_column(s, [tile[0][x], tile[1][x], tile[2][x], tile[3][x]]);
        for y in 0..WINDOW {
            half[y][x] = column[y];
        }
    }
    let output = &mut output[..(COEFFICIENTS - 1) * stride + 1];
    for y in 0..WINDOW {
        let row = spread_column(s, half[y]);
        for x in 0..WINDOW {
            row[x].store_array(&mut output[(y * WINDOW + x) * stride].0);
        }
    }
}

/// `B m` of one column.
#[inline(always)]
fn gather_column<S: Simd>(s: S, m: [f32x16<S>; WINDOW]) -> [f32x16<S>; WINDOW] {
    let (sum, difference) = (m[1] + m[2], m[1] - m[2]);
    let (sum2, difference2) = (m[3] + m[4], m[3] - m[4]);
    let twice = difference2 + difference2;
    let four = all(s, 4.0);
    let inner = four.mul_add(m[5] - difference, all(s, 0.0) - twice);
    [
        four * m[0],
        inner,
        all(s, -5.0).mul_add(m[0], all(s, -4.0).mul_add(sum, all(s, 0.0) - sum2)),
        all(s, -5.0).mul_add(m[5], difference + twice),
        m[0] + sum + sum2,
        m[5],
    ]
}

/// `dd = B dV B^T` of the coefficients at `input[0]`, `input[stride]`, ...: the rows of the
/// window.
#[inline(always)]
pub(super) fn gather<S: Simd>(
    s: S,
    input: &[Lanes],
    stride: usize,
) -> [[f32x16<S>; WINDOW]; WINDOW] {
    let input = &input[..(COEFFICIENTS - 1) * stride + 1];
    let mut half = [[all(s, 0.0); WINDOW]; WINDOW];
    for x in 0..WINDOW {
        let mut column = [all(s, 0.0); WINDOW];
        for y in 0..WINDOW {
            column[y] = f32x16::load_array_ref(s, &input[(y * WINDOW + x) * stride].0);
        }
        let column = gather_column(s, column);
        for y in 0..WINDOW {
            half[y][x] = column[y];
        }
    }
    let mut rows = [[all(s, 0.0); WINDOW]; WINDOW];
    for y in 0..WINDOW {
        rows[y] = gather_column(s, half[y]);
    }
    rows
}

/// `G w` of one column.
#[inline(always)]
fn kernel_column<S: Simd>(s: S, w: [f32x16<S>; 3]) -> [f32x16<S>; WINDOW] {
    let ends = (w[0] + w[2]) * all(s, -1.0 / 6.0);
    let middle = w[1] * all(s, 1.0 / 6.0);
    let ends2 = all(s, 1.0 / 24.0).mul_add(w[0], all(s, 1.0 / 6.0) * w[2]);
    let middle2 = w[1] * all(s, 1.0 / 12.0);
    [w[0] * all(s, 0.25), ends - middle, ends + middle, ends2 + middle2, ends2 - middle2, w[2]]
}

/// `U = G w G^T` of 16 kernels, one per lane.
#[inline(always)]
pub(super) fn kernels<S: Simd>(s: S, w: &[Lanes; 9], output: &mut [Lanes], stride: usize) {
    let mut half = [[all(s, 0.0); 3]; WINDOW];
    for x in 0..3 {
        let mut column = [all(s, 0.0); 3];
        for y in 0..3 {
            column[y] = f32x16::load_array_ref(s, &w[3 * y + x].0);
        }
        let column = kernel_column(s, column);
        for y in 0..WINDOW {
            half[y][x] = column[y];
        }
    }
    for y in 0..WINDOW {
        let row = kernel_column(s, half[y]);
        for x in 0..WINDOW {
            row[x].store_array(&mut output[(y * WINDOW + x) * stride].0);
        }
    }
}

/// `G^T u` of one column.
#[inline(always)]
fn kernel_adjoint_column<S: Simd>(s: S, u: [f32x16<S>; WINDOW]) -> [f32x16<S>; 3] {
    let (sum, difference) = (u[1] + u[2], u[2] - u[1]);
    let (sum2, difference2) = (u[3] + u[4], u[3] - u[4]);
    let sixth = all(s, 1.0 / 6.0);
    [
        all(s, 0.25).mul_add(u[0], all(s, 1.0 / 24.0).mul_add(sum2, all(s, -1.0 / 6.0) * sum)),
        all(s, 1.0 / 12.0).mul_add(difference2, sixth * difference),
        sixth.mul_add(sum2 - sum, u[5]),
    ]
}

/// `dw = G^T dU G` of 16 kernels, one per lane.
#[inline(always)]
pub(super) fn kernels_adjoint<S: Simd>(s: S, u: &[Lanes; COEFFICIENTS]) -> [Lanes; 9] {
    let mut half = [[all(s, 0.0); WINDOW]; 3];
    for x in 0..WINDOW {
        let mut column = [all(s, 0.0); WINDOW];
        for y in 0..WINDOW {
            column[y] = f32x16::load_array_ref(s, &u[y * WINDOW + x].0);
        }
        let column = kernel_adjoint_column(s, column);
        for y in 0..3 {
            half[y][x] = column[y];
        }
    }
    let mut w = [Lanes::default(); 9];
    for y in 0..3 {
        let row = kernel_adjoint_column(s, half[y]);
        for x in 0..3 {
            row[x].store_array(&mut w[3 * y + x].0);
        }
    }
    w
}
