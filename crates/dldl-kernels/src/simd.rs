//! The innermost loop of the direct convolution for each level of vector
//! instructions. The loops around it live in `conv`.

use crate::Level;

impl Level {
    /// Most rows (output channels) of a register block.
    pub(crate) fn max_rows(self) -> usize {
        match self {
            Self::Baseline => 4,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 4,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 8,
        }
    }

    /// Columns (pixels) of a register block: two vectors.
    pub(crate) fn columns(self) -> usize {
        match self {
            Self::Baseline => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 32,
        }
    }
}

/// One register block of a convolution: for `ROWS` output channels and the
/// level's [`columns`](Level::columns) pixels,
/// `out[r * stride + j] = bias[r] + sum_k weights[k][r] * input[taps[k] + j]`.
///
/// # Panics
/// If the processor does not have that level, or a slice is too short.
#[allow(unsafe_code)]
pub(crate) fn tile<const ROWS: usize>(
    level: Level,
    weights: &[[f32; ROWS]],
    bias: &[f32; ROWS],
    taps: &[usize],
    input: &[f32],
    out: &mut [f32],
    stride: usize,
) {
    match level {
        Level::Baseline => plain(weights, bias, taps, input, out, stride),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            assert!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
            // SAFETY: the assertion made sure of both features.
            unsafe { x86::tile_avx2(weights, bias, taps, input, out, stride) };
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            assert!(is_x86_feature_detected!("avx512f"));
            // SAFETY: the assertion made sure of the feature.
            unsafe { x86::tile_avx512(weights, bias, taps, input, out, stride) };
        }
    }
}

/// [`tile`] in plain Rust, eight columns wide.
// Indexed loops over arrays by value: the form that LLVM vectorises best.
#[allow(clippy::needless_range_loop)]
fn plain<const ROWS: usize>(
    weights: &[[f32; ROWS]],
    bias: &[f32; ROWS],
    taps: &[usize],
    input: &[f32],
    out: &mut [f32],
    stride: usize,
) {
    let mut acc = bias.map(|b| [b; 8]);
    for (w, &tap) in weights.iter().zip(taps) {
        let x: [f32; 8] = *input[tap..].first_chunk().expect("eight pixels");
        for r in 0..ROWS {
            for j in 0..8 {
                acc[r][j] += w[r] * x[j];
            }
        }
    }
    for (r, acc) in acc.iter().enumerate() {
        out[r * stride..][..8].copy_from_slice(acc);
    }
}

/// The same with intrinsics: left to the compiler, plain Rust came out in
/// vectors or, under link-time optimisation, in scalars and 20 times slower.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::*;

    macro_rules! tile {
        ($name:ident, $features:literal, $lanes:literal, $load:ident, $store:ident, $set:ident, $fma:ident) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name<const ROWS: usize>(
                weights: &[[f32; ROWS]],
                bias: &[f32; ROWS],
                taps: &[usize],
                input: &[f32],
                out: &mut [f32],
                stride: usize,
            ) {
                let mut acc = bias.map(|b| [$set(b); 2]);
                for (w, &tap) in weights.iter().zip(taps) {
                    let x: &[f32; 2 * $lanes] = input[tap..].first_chunk().expect("two vectors");
                    // SAFETY: `x` holds two vectors; the loads need no alignment.
                    let x = unsafe { [$load(x.as_ptr()), $load(x.as_ptr().add($lanes))] };
                    for r in 0..ROWS {
                        let w = $set(w[r]);
                        acc[r] = [$fma(w, x[0], acc[r][0]), $fma(w, x[1], acc[r][1])];
                    }
                }
                for r in 0..ROWS {
                    let out: &mut [f32; 2 * $lanes] =
                        out[r * stride..].first_chunk_mut().expect("two vectors");
                    // SAFETY: `out` holds two vectors; the stores need no alignment.
                    unsafe {
                        $store(out.as_mut_ptr(), acc[r][0]);
                        $store(out.as_mut_ptr().add($lanes), acc[r][1]);
                    }
                }
            }
        };
    }
    tile!(
        tile_avx512,
        "avx512f",
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps
    );
    tile!(
        tile_avx2,
        "avx2,fma",
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps
    );
}
