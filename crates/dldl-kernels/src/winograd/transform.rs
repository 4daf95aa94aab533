//! Winograd's three transforms (Lavin and Gray, "Fast Algorithms for Convolutional Neural
//! Networks", 2015): `Y = A^T [(G w G^T) * (B^T d B)] A` with a window `d` of the input, a
//! 3x3 kernel `w` and a tile `Y` of output pixels. Tiles are 4x4 pixels ([`Four`], with
//! the points 0, 1, -1, 2, -2 and infinity) or 2x2 ([`Two`], with 0, 1, -1 and infinity).
//! The elementwise product, summed over the channels, is in `product`.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, prelude::*};

use crate::planes::{LANES, Lanes};

/// The matrices of F(TxT, 3x3), with windows of WxW pixels, W = T + 2.
pub(crate) trait Transform<const T: usize, const W: usize> {
    /// `G`, which maps three taps to W coefficients.
    const G: [[f64; 3]; W];

    /// `B^T d` of one column.
    fn input_column<S: Simd, V: Vector<S>>(d: [V; W]) -> [V; W];

    /// `A^T m` of one column.
    fn output_column<S: Simd, V: Vector<S>>(m: [V; W]) -> [V; T];
}

/// F(4x4, 3x3): a quarter of the multiplications of the direct convolution.
pub(crate) struct Four;

impl Transform<4, 6> for Four {
    const G: [[f64; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input_column<S: Simd, V: Vector<S>>(d: [V; 6]) -> [V; 6] {
        let a = d[2].mul_add(-4.0, d[4]);
        let b = d[1].mul_add(-4.0, d[3]);
        let e = d[4] - d[2];
        let f = d[3] - d[1];
        [
            d[0].mul_add(4.0, d[2].mul_add(-5.0, d[4])),
            a + b,
            a - b,
            f.mul_add(2.0, e),
            f.mul_add(-2.0, e),
            d[1].mul_add(4.0, d[3].mul_add(-5.0, d[5])),
        ]
    }

    #[inline(always)]
    fn output_column<S: Simd, V: Vector<S>>(m: [V; 6]) -> [V; 4] {
        let (sum, difference) = (m[1] + m[2], m[1] - m[2]);
        let (sum2, difference2) = (m[3] + m[4], m[3] - m[4]);
        [
            m[0] + sum + sum2,
            difference2.mul_add(2.0, difference),
            sum2.mul_add(4.0, sum),
            difference2.mul_add(8.0, difference) + m[5],
        ]
    }
}

/// F(2x2, 3x3): 4/9 of the multiplications, but only 16 coefficients per kernel instead
/// of 36.
pub(crate) struct Two;

impl Transform<2, 4> for Two {
    const G: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input_column<S: Simd, V: Vector<S>>(d: [V; 4]) -> [V; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]]
    }

    #[inline(always)]
    fn output_column<S: Simd, V: Vector<S>>(m: [V; 4]) -> [V; 2] {
        [m[0] + m[1] + m[2], m[1] - m[2] + m[3]]
    }
}

/// `G w G^T` of a 3x3 kernel in row-major order, computed in f64.
pub(crate) fn kernel<F: Transform<T, W>, const T: usize, const W: usize>(
    w: &[f32; 9],
) -> [[f32; W]; W] {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let mut sum = 0.0;
            for y in 0..3 {
                for x in 0..3 {
                    sum += F::G[i][y] * f64::from(w[3 * y + x]) * F::G[j][x];
                }
            }
            sum as f32
        })
    })
}

/// Some channels of a block in one register. The transforms keep many vectors alive: at
/// the level's own width, more of them fit the registers than whole blocks would.
pub(crate) trait Vector<S: Simd>: SimdFloat<S, Element = f32> {}

impl<S: Simd, V: SimdFloat<S, Element = f32>> Vector<S> for V {}

/// Loads the channels of a block from `part` on.
#[inline(always)]
pub(crate) fn load<S: Simd, V: Vector<S>>(s: S, lanes: &Lanes, part: usize) -> V {
    V::from_slice(s, &lanes.0[part..][..V::LEN])
}

/// Stores the channels of a block from `part` on.
#[inline(always)]
pub(crate) fn save<S: Simd, V: Vector<S>>(values: V, lanes: &mut Lanes, part: usize) {
    values.store_slice(&mut lanes.0[part..][..V::LEN]);
}

/// `B^T d B`: from the window with rows at `input[0]`, `input[row_stride]`, ... to
/// coefficients at `output[0]`, `output[stride]`, ...
#[inline(always)]
pub(crate) fn input<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
    s: S,
    input: &[Lanes],
    row_stride: usize,
    output: &mut [Lanes],
    stride: usize,
) {
    let input = &input[..(W - 1) * row_stride + W];
    let output = &mut output[..(W * W - 1) * stride + 1];
    let zero = S::f32s::splat(s, 0.0);
    for part in 0..LANES / S::f32s::LEN {
        let part = part * S::f32s::LEN;
        let mut half = [[zero; W]; W];
        for x in 0..W {
            let mut column = [zero; W];
            for y in 0..W {
                column[y] = load(s, &input[y * row_stride + x], part);
            }
            let column = F::input_column(column);
            for y in 0..W {
                half[y][x] = column[y];
            }
        }
        for y in 0..W {
            let row = F::input_column(half[y]);
            for x in 0..W {
                save(row[x], &mut output[(y * W + x) * stride], part);
            }
        }
    }
}

/// `A^T m A` of the coefficients at `input[0]`, `input[stride]`, ..., for the channels
/// from `part` on: the rows of the tile.
#[inline(always)]
pub(crate) fn output<F, S: Simd, V: Vector<S>, const T: usize, const W: usize>(
    s: S,
    input: &[Lanes],
    stride: usize,
    part: usize,
) -> [[V; T]; T]
where
    F: Transform<T, W>,
{
    let zero = V::splat(s, 0.0);
    let input = &input[..(W * W - 1) * stride + 1];
    let mut half = [[zero; W]; T];
    for x in 0..W {
        let mut column = [zero; W];
        for y in 0..W {
            column[y] = load(s, &input[(y * W + x) * stride], part);
        }
        let column = F::output_column(column);
        for y in 0..T {
            half[y][x] = column[y];
        }
    }
    let mut rows = [[zero; T]; T];
    for y in 0..T {
        rows[y] = F::output_column(half[y]);
    }
    rows
}
