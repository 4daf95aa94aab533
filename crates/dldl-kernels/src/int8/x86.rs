//! Strips by AVX-VNNI and AVX-512 VNNI.
#![allow(unsafe_code)]
// Indexed loops: closures over vectors may be compiled separately, without the
// instructions.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::panel::{LANES, Panel};

/// Largest number of columns of a strip, which is computed in two halves of two rows by
/// 16 or 32 channels: the sums leave enough of the 16 or 32 registers for the operands.
pub(super) const MAX_COLUMNS_AVX_VNNI: usize = 6;
pub(super) const MAX_COLUMNS_AVX512: usize = 14;

/// Columns of the largest register block, half a strip.
const MAX_HALF: usize = MAX_COLUMNS_AVX512 / 2;

/// Asserts that a strip's reads and writes are in bounds, for the unsafe code.
fn assert_fits(
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    columns: usize,
    sums: &[i32],
) {
    let last = 3 * row + (columns - 1) * channels;
    assert!(input.len() >= last + 4 * panel.quads, "int8: input too short for a strip");
    assert!(sums.len() >= 2 * columns * panel.width, "int8: sums too short for a strip");
}

/// Calls `$strip::<HALF, VECTORS>` for two halves of `$columns`.
macro_rules! halves {
    ($strip:ident, $vectors:literal, $columns:expr, $($argument:expr),*) => {
        match $columns / 2 {
            1 => $strip::<1, $vectors>($($argument),*),
            2 => $strip::<2, $vectors>($($argument),*),
            3 => $strip::<3, $vectors>($($argument),*),
            4 => $strip::<4, $vectors>($($argument),*),
            5 => $strip::<5, $vectors>($($argument),*),
            6 => $strip::<6, $vectors>($($argument),*),
            MAX_HALF => $strip::<MAX_HALF, $vectors>($($argument),*),
            other => panic!("int8: unsupported strip of 2x{other} columns"),
        }
    };
}

/// Defines a function that computes a strip with an instruction that adds four products
/// of bytes to each sum.
macro_rules! by_dot_products {
    ($name:ident, $features:literal, $vector:ty, $lanes:literal,
     $zero:ident, $load:ident, $set:ident, $dot:ident, $store:ident) => {
        #[target_feature(enable = $features)]
        fn $name<const HALF: usize, const VECTORS: usize>(
            panel: &Panel,
            channels: usize,
            input: &[u8],
            row: usize,
            sums: &mut [i32],
        ) {
            assert_eq!(panel.width, VECTORS * $lanes);
            assert_eq!(panel.bytes.len(), 3 * panel.quads * panel.width * 4);
            assert_fits(panel, channels, input, row, 2 * HALF, sums);
            for half in 0..2 {
                let mut sum = [[[$zero(); VECTORS]; HALF]; 2];
                let mut weights = panel.bytes.as_ptr();
                for ky in 0..3 {
                    // SAFETY: by the assertions, `input` is longer than the last index
                    // read, `(1 + 2) row + (2 HALF - 1) channels + 4 quads - 1`, and
                    // `bytes` is read to its end. No access requires alignment.
                    unsafe {
                        let first = input.as_ptr().add(ky * row + half * HALF * channels);
                        for quad in 0..panel.quads {
                            let mut w = [$zero(); VECTORS];
                            for v in 0..VECTORS {
                                w[v] = $load(weights.add(4 * $lanes * v).cast());
                            }
                            weights = weights.add(4 * $lanes * VECTORS);
                            for r in 0..2 {
                                for x in 0..HALF {
                                    let at = first.add(r * row + x * channels + 4 * quad);
                                    let a = $set(at.cast::<i32>().read_unaligned());
                                    for v in 0..VECTORS {
                                        sum[r][x][v] = $dot(sum[r][x][v], a, w[v]);
                                    }
                                }
                            }
                        }
                    }
                }
                for r in 0..2 {
                    let to = &mut sums[(2 * r + half) * HALF * panel.width..][..HALF * panel.width];
                    for x in 0..HALF {
                        for v in 0..VECTORS {
                            let to = &mut to[x * panel.width + v * $lanes..][..$lanes];
                            // SAFETY: `to` has the length of a vector.
                            unsafe { $store(to.as_mut_ptr().cast(), sum[r][x][v]) };
                        }
                    }
                }
            }
        }
    };
}
by_dot_products!(
    dots_512,
    "avx512f,avx512vnni",
    __m512i,
    16,
    _mm512_setzero_si512,
    _mm512_loadu_si512,
    _mm512_set1_epi32,
    _mm512_dpbusd_epi32,
    _mm512_storeu_si512
);
by_dot_products!(
    dots_256,
    "avx2,avxvnni",
    __m256i,
    8,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_set1_epi32,
    _mm256_dpbusd_avx_epi32,
    _mm256_storeu_si256
);

/// As [`Strips::sum`](super::Strips::sum).
pub(super) fn avx512_vnni(
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    columns: usize,
    sums: &mut [i32],
) {
    assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"));
    // SAFETY: the assertion checks the features.
    unsafe {
        if panel.width == LANES {
            halves!(dots_512, 1, columns, panel, channels, input, row, sums);
        } else {
            halves!(dots_512, 2, columns, panel, channels, input, row, sums);
        }
    }
}

/// As [`Strips::sum`](super::Strips::sum).
pub(super) fn avx_vnni(
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    columns: usize,
    sums: &mut [i32],
) {
    assert!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"));
    // SAFETY: the assertion checks the features.
    unsafe { halves!(dots_256, 2, columns, panel, channels, input, row, sums) };
}
