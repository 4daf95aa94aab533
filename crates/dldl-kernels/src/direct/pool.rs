//! Max pooling of rows in the layout of `DirectConv`.

use crate::level::at_level;
use crate::{Lanes, Level};
use fearless_simd::f32x16;
use fearless_simd::prelude::*;

/// One row of max pooling with stride 2: windows are `kernel` pixels wide and as high as
/// there are `rows`. A last window that extends beyond the edge counts, as in PyTorch's
/// `max_pool2d` with `ceil_mode`; pass fewer rows for it at the bottom.
///
/// The rows are `[blocks, width]` of finite numbers, `out` is overwritten with `[blocks,
/// n]`, where `n = ceil((width - kernel) / 2) + 1`.
///
/// # Panics
/// If there are no rows, a row or `out` has another length, `kernel` is not 2 or 3, or
/// `width` is smaller than `kernel`.
pub fn max_pool_rows(rows: &[&[Lanes]], width: usize, kernel: usize, out: &mut [Lanes]) {
    max_pool_at(Level::detect(), rows, width, kernel, out);
}

pub(super) fn max_pool_at(
    level: Level,
    rows: &[&[Lanes]],
    width: usize,
    kernel: usize,
    out: &mut [Lanes],
) {
    assert!(
        (2..=3).contains(&kernel) && width >= kernel,
        "pool: the kernel must be 2 or 3 and fit"
    );
    let length = rows.first().expect("pool: no rows").len();
    let fits = |row: &&[Lanes]| row.len() == length;
    assert!(
        rows.iter().all(fits) && length.is_multiple_of(width),
        "pool: rows are not [blocks, width]"
    );
    let columns = (width - kernel).div_ceil(2) + 1;
    assert_eq!(out.len(), length / width * columns, "pool: out is not [blocks, n]");
    at_level!(level, simd => {
        if kernel == 2 {
            pool::<_, 2>(simd, rows, width, columns, out);
        } else {
            pool::<_, 3>(simd, rows, width, columns, out);
        }
    });
}

#[inline(always)]
fn pool<S: Simd, const KERNEL: usize>(
    simd: S,
    rows: &[&[Lanes]],
    width: usize,
    columns: usize,
    out: &mut [Lanes],
) {
    for (b, out) in out.chunks_exact_mut(columns).enumerate() {
        for (ox, out) in out.iter_mut().enumerate() {
            let at = b * width + 2 * ox;
            let end = at + KERNEL.min(width - 2 * ox);
            let mut best = f32x16::load_array_ref(simd, &rows[0][at].0);
            for row in rows {
                if let Some(window) = row[at..end].first_chunk::<KERNEL>() {
                    for pixel in window {
                        best = best.max(f32x16::load_array_ref(simd, &pixel.0));
                    }
                } else {
                    for pixel in &row[at..end] {
                        best = best.max(f32x16::load_array_ref(simd, &pixel.0));
                    }
                }
            }
            best.store_array(&mut out.0);
        }
    }
}
