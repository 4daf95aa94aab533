//! The register-blocked product that carries every convolution of training:
//! `C[m][n] (+)= sum over k2, k of A[k2][k][m] * B[k2][k][n]`, where A is read
//! one number at a time with free strides and B and C in whole vectors.
//!
//! The forward pass, the gradient to the input and the gradient to the weights
//! are all this product with different strides, so nothing is ever gathered
//! into an im2col matrix. No knowledge of convolutions lives here.

use crate::Level;
use std::sync::OnceLock;

/// Channels come in multiples of this many; what the widest vector holds.
pub const LANES: usize = 16;

/// Where the operands of one product stand, in elements from the slices' starts.
#[derive(Clone, Copy, Debug)]
pub struct Strides {
    /// Step in A from one row of C to the next.
    pub a_m: usize,
    /// Step in A along the inner sum.
    pub a_k: usize,
    /// Step in A along the outer sum.
    pub a_k2: usize,
    /// Step in B along the inner sum.
    pub b_k: usize,
    /// Step in B along the outer sum.
    pub b_k2: usize,
    /// Step in C from row to row.
    pub c_m: usize,
    /// Terms of the inner sum.
    pub k: usize,
    /// Terms of the outer sum.
    pub k2: usize,
}

/// Computes `rows` x `cols` numbers of C; `cols` is a multiple of [`LANES`].
/// With `add`, C's old content is the start of the sum.
///
/// # Panics
/// If a slice is too short for the strides.
pub fn product(
    rows: usize,
    cols: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    s: &Strides,
    add: bool,
) {
    product_with(kernel(), rows, cols, a, b, c, s, add);
}

#[allow(clippy::too_many_arguments)] // the operands of one product
fn product_with(
    kernel: &Kernel,
    rows: usize,
    cols: usize,
    a: &[f32],
    b: &[f32],
    c: &mut [f32],
    s: &Strides,
    add: bool,
) {
    if rows == 0 || cols == 0 {
        return;
    }
    assert!(cols.is_multiple_of(LANES), "columns come in multiples of {LANES}");
    let last = |n: usize, step: usize| n.saturating_sub(1) * step;
    let end = |x: usize, y: usize, z: usize| x + y + z;
    assert!(
        s.k == 0
            || s.k2 == 0
            || end(last(rows, s.a_m), last(s.k, s.a_k), last(s.k2, s.a_k2)) < a.len()
    );
    assert!(s.k == 0 || s.k2 == 0 || end(last(s.k, s.b_k), last(s.k2, s.b_k2), cols) <= b.len());
    assert!(last(rows, s.c_m) + cols <= c.len());
    let mut n = 0;
    while n < cols {
        // Few rows: wider tiles keep the multipliers busy.
        let vectors =
            if rows <= kernel.rows / 2 && cols - n >= 4 * LANES && kernel.wide { 4 } else { 2 };
        let width = (vectors * LANES).min(cols - n);
        let limit = if width > 2 * LANES { kernel.rows / 2 } else { kernel.rows };
        // Rows are dealt out evenly: 16 rows are 8 + 8, not 14 + 2.
        let tiles = rows.div_ceil(limit);
        let mut m = 0;
        for t in 0..tiles {
            let height = (rows - m).div_ceil(tiles - t);
            let (a, b, c) = (&a[m * s.a_m..], &b[n..], &mut c[m * s.c_m + n..]);
            // SAFETY: the asserts above hold for the whole of C, hence for every
            // tile of it; a `Kernel` is made only for a level that this machine has.
            #[allow(unsafe_code)]
            unsafe {
                (kernel.run)(height, width, a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), s, add)
            };
            m += height;
        }
        n += width;
    }
}

type Run = unsafe fn(usize, usize, *const f32, *const f32, *mut f32, &Strides, bool);

/// One instruction set's kernel and the largest tile it keeps in registers.
struct Kernel {
    run: Run,
    rows: usize,
    /// Whether tiles of 4 x LANES columns exist.
    wide: bool,
}

fn kernel() -> &'static Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    KERNEL.get_or_init(|| Kernel::at(Level::detect()))
}

impl Kernel {
    fn at(level: Level) -> Self {
        match level {
            Level::Baseline => Self { run: portable, rows: 4, wide: false },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Self { run: x86::avx2, rows: 6, wide: false },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Self { run: x86::avx512, rows: 14, wide: true },
        }
    }
}

/// The product in plain Rust; what the others are tested against.
///
/// # Safety
/// The operands reach as far as `s`, `rows` and `cols` say.
#[allow(unsafe_code)]
unsafe fn portable(
    rows: usize,
    cols: usize,
    a: *const f32,
    b: *const f32,
    c: *mut f32,
    s: &Strides,
    add: bool,
) {
    for m in 0..rows {
        for n0 in (0..cols).step_by(LANES) {
            let mut t = [0f32; LANES];
            // SAFETY: the caller's promise covers every index formed here.
            unsafe {
                let c = c.add(m * s.c_m + n0).cast::<[f32; LANES]>();
                if add {
                    t = c.read();
                }
                for k2 in 0..s.k2 {
                    for k in 0..s.k {
                        let x = *a.add(m * s.a_m + k * s.a_k + k2 * s.a_k2);
                        let v = b.add(k * s.b_k + k2 * s.b_k2 + n0).cast::<[f32; LANES]>().read();
                        for (t, v) in t.iter_mut().zip(v) {
                            *t += x * v;
                        }
                    }
                }
                c.write(t);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use super::Strides;
    use std::arch::x86_64::*;

    /// One tile held in registers: `$rows` x `$vectors` accumulators.
    macro_rules! tile {
        ($name:ident, $feature:literal, $vector:ty, $lanes:literal, $zero:ident, $load:ident, $store:ident, $set:ident, $fma:ident) => {
            /// # Safety
            /// As for `product`, for a tile of `R` rows and `V` vectors; the
            /// machine has the instruction set.
            #[target_feature(enable = $feature)]
            unsafe fn $name<const R: usize, const V: usize>(
                a: *const f32,
                b: *const f32,
                c: *mut f32,
                s: &Strides,
                add: bool,
            ) {
                // SAFETY: the caller's promise covers every index formed here.
                unsafe {
                    let mut t = [[$zero(); V]; R];
                    if add {
                        for m in 0..R {
                            for j in 0..V {
                                t[m][j] = $load(c.add(m * s.c_m + j * $lanes));
                            }
                        }
                    }
                    for k2 in 0..s.k2 {
                        let (mut a, mut b) = (a.add(k2 * s.a_k2), b.add(k2 * s.b_k2));
                        for _ in 0..s.k {
                            let mut v = [$zero(); V];
                            for j in 0..V {
                                v[j] = $load(b.add(j * $lanes));
                            }
                            for m in 0..R {
                                let x = $set(*a.add(m * s.a_m));
                                for j in 0..V {
                                    t[m][j] = $fma(x, v[j], t[m][j]);
                                }
                            }
                            a = a.wrapping_add(s.a_k);
                            b = b.wrapping_add(s.b_k);
                        }
                    }
                    for m in 0..R {
                        for j in 0..V {
                            $store(c.add(m * s.c_m + j * $lanes), t[m][j]);
                        }
                    }
                }
            }
        };
    }
    tile!(
        tile512,
        "avx512f",
        __m512,
        16,
        _mm512_setzero_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps
    );
    tile!(
        tile256,
        "avx2,fma",
        __m256,
        8,
        _mm256_setzero_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps
    );

    macro_rules! by_rows {
        ($tile:ident, $v:literal, $rows:expr, $args:tt, $($r:literal)*) => {
            match $rows { $($r => by_rows!(@ $tile, $r, $v, $args),)* _ => unreachable!("tile of {} rows", $rows) }
        };
        (@ $tile:ident, $r:literal, $v:literal, ($a:expr, $b:expr, $c:expr, $s:expr, $add:expr)) => {
            // SAFETY: the caller's promise, handed on.
            unsafe { $tile::<$r, $v>($a, $b, $c, $s, $add) }
        };
    }

    /// # Safety
    /// As for `product`; the machine has AVX-512F; at most 14 rows of up to two
    /// vectors, or 7 of up to four.
    pub unsafe fn avx512(
        rows: usize,
        cols: usize,
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        s: &Strides,
        add: bool,
    ) {
        match cols / 16 {
            1 => by_rows!(tile512, 1, rows, (a, b, c, s, add), 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            2 => by_rows!(tile512, 2, rows, (a, b, c, s, add), 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            3 => by_rows!(tile512, 3, rows, (a, b, c, s, add), 1 2 3 4 5 6 7),
            _ => by_rows!(tile512, 4, rows, (a, b, c, s, add), 1 2 3 4 5 6 7),
        }
    }

    /// # Safety
    /// As for `product`; the machine has AVX2 and FMA; at most 6 rows.
    pub unsafe fn avx2(
        rows: usize,
        cols: usize,
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        s: &Strides,
        add: bool,
    ) {
        for n in (0..cols).step_by(16) {
            // SAFETY: columns n..n+16 lie inside the tile that the caller vouches for.
            let (b, c) = unsafe { (b.add(n), c.add(n)) };
            by_rows!(tile256, 2, rows, (a, b, c, s, add), 1 2 3 4 5 6);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kernel of this machine against plain loops.
    #[test]
    fn kernels_agree_with_plain_loops() {
        let number = |i: usize| ((i * 7919 % 1009) as f32 - 504.0) / 504.0;
        let a: Vec<f32> = (0..40_000).map(number).collect();
        let b: Vec<f32> = (0..40_000).map(|i| number(i + 13)).collect();
        for (level, rows) in
            Level::available().into_iter().flat_map(|l| (1..=33).map(move |rows| (l, rows)))
        {
            for cols in [16, 32, 48, 64, 112, 128] {
                let s = Strides {
                    a_m: 5,
                    a_k: 3,
                    a_k2: 170,
                    b_k: 128,
                    b_k2: 700,
                    c_m: 130,
                    k: 7,
                    k2: 3,
                };
                for add in [false, true] {
                    let mut got: Vec<f32> = (0..rows * s.c_m).map(number).collect();
                    let mut want = got.clone();
                    product_with(&Kernel::at(level), rows, cols, &a, &b, &mut got, &s, add);
                    for m in 0..rows {
                        for n in 0..cols {
                            let mut sum = if add { want[m * s.c_m + n] as f64 } else { 0.0 };
                            for k2 in 0..s.k2 {
                                for k in 0..s.k {
                                    sum += a[m * s.a_m + k * s.a_k + k2 * s.a_k2] as f64
                                        * b[k * s.b_k + k2 * s.b_k2 + n] as f64;
                                }
                            }
                            want[m * s.c_m + n] = sum as f32;
                        }
                    }
                    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                        assert!(
                            (g - w).abs() < 1e-4,
                            "{level:?} rows {rows} cols {cols} add {add} at {i}: {g} {w}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic]
    fn short_operands_are_refused() {
        let s = Strides { a_m: 1, a_k: 1, a_k2: 0, b_k: 16, b_k2: 0, c_m: 16, k: 4, k2: 1 };
        product(2, 16, &[0.0; 4], &[0.0; 64], &mut [0.0; 32], &s, false);
    }
}
