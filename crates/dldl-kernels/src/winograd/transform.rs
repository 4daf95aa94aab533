//! Winograd's three transforms (Lavin and Gray, "Fast Algorithms for
//! Convolutional Neural Networks", 2015): `Y = A^T [(G w G^T) * (B^T d B)] A`
//! with a window `d` of the input, a 3x3 kernel `w` and a tile `Y` of output
//! pixels, for tiles of 4x4 pixels ([`Four`]: the points 0, 1, -1, 2, -2 and
//! infinity) and of 2x2 ([`Two`]: 0, 1, -1 and infinity). The elementwise
//! product, summed over the channels, is `product`'s.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`,
// are compiled apart, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};

use crate::planes::Lanes;

/// The matrices of F(TxT, 3x3), whose windows are of WxW pixels: W = T + 2.
pub(super) trait Transform<const T: usize, const W: usize> {
    /// `G`, which takes a kernel's three taps to W coefficients.
    const G: [[f64; 3]; W];

    /// `B^T d` of one column.
    fn input_column<S: Simd>(s: S, d: [f32x16<S>; W]) -> [f32x16<S>; W];

    /// `A^T m` of one column.
    fn output_column<S: Simd>(s: S, m: [f32x16<S>; W]) -> [f32x16<S>; T];
}

/// F(4x4, 3x3): a quarter of the multiplications.
pub(super) struct Four;

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
    fn input_column<S: Simd>(s: S, d: [f32x16<S>; 6]) -> [f32x16<S>; 6] {
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

    #[inline(always)]
    fn output_column<S: Simd>(s: S, m: [f32x16<S>; 6]) -> [f32x16<S>; 4] {
        let (sum, difference) = (m[1] + m[2], m[1] - m[2]);
        let (sum2, difference2) = (m[3] + m[4], m[3] - m[4]);
        [
            m[0] + sum + sum2,
            all(s, 2.0).mul_add(difference2, difference),
            all(s, 4.0).mul_add(sum2, sum),
            all(s, 8.0).mul_add(difference2, difference) + m[5],
        ]
    }
}

/// F(2x2, 3x3): less is saved, but a kernel becomes 16 numbers instead of 36.
pub(super) struct Two;

impl Transform<2, 4> for Two {
    const G: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    #[inline(always)]
    fn input_column<S: Simd>(_: S, d: [f32x16<S>; 4]) -> [f32x16<S>; 4] {
        [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]]
    }

    #[inline(always)]
    fn output_column<S: Simd>(_: S, m: [f32x16<S>; 4]) -> [f32x16<S>; 2] {
        [m[0] + m[1] + m[2], m[1] - m[2] + m[3]]
    }
}

/// `G w G^T` of a 3x3 kernel in row-major order, computed in f64; row by row.
pub(super) fn kernel<F: Transform<T, W>, const T: usize, const W: usize>(
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

/// A vector of 16 times the same number.
#[inline(always)]
fn all<S: Simd>(s: S, value: f32) -> f32x16<S> {
    f32x16::splat(s, value)
}

/// `B^T d B`: the window whose rows begin at `input[0]`, `input[row_stride]`
/// and so on, to `output[0]`, `output[stride]` and so on.
#[inline(always)]
pub(super) fn input<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
    s: S,
    input: &[Lanes],
    row_stride: usize,
    output: &mut [Lanes],
    stride: usize,
) {
    let zero = all(s, 0.0);
    let input = &input[..(W - 1) * row_stride + W];
    let mut half = [[zero; W]; W];
    for x in 0..W {
        let mut column = [zero; W];
        for y in 0..W {
            column[y] = f32x16::load_array_ref(s, &input[y * row_stride + x].0);
        }
        let column = F::input_column(s, column);
        for y in 0..W {
            half[y][x] = column[y];
        }
    }
    let output = &mut output[..(W * W - 1) * stride + 1];
    for y in 0..W {
        let row = F::input_column(s, half[y]);
        for x in 0..W {
            row[x].store_array(&mut output[(y * W + x) * stride].0);
        }
    }
}

/// `A^T m A` of the coefficients at `input[0]`, `input[stride]` and so on: the
/// tile's rows.
#[inline(always)]
pub(super) fn output<F: Transform<T, W>, S: Simd, const T: usize, const W: usize>(
    s: S,
    input: &[Lanes],
    stride: usize,
) -> [[f32x16<S>; T]; T] {
    let zero = all(s, 0.0);
    let input = &input[..(W * W - 1) * stride + 1];
    let mut half = [[zero; W]; T];
    for x in 0..W {
        let mut column = [zero; W];
        for y in 0..W {
            column[y] = f32x16::load_array_ref(s, &input[(y * W + x) * stride].0);
        }
        let column = F::output_column(s, column);
        for y in 0..T {
            half[y][x] = column[y];
        }
    }
    let mut rows = [[zero; T]; T];
    for y in 0..T {
        rows[y] = F::output_column(s, half[y]);
    }
    rows
}
