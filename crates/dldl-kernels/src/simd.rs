//! Which vector instructions the running processor has, and the only `unsafe`
//! calls of the crate: into functions compiled for them. The arithmetic itself
//! is written once, in plain Rust, where it is used.

use crate::conv::Job;

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Whatever the compiler's target guarantees (SSE2 on x86-64, NEON on
    /// AArch64).
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The best level that the running processor has.
    pub fn detect() -> Self {
        Self::available().pop().expect("the baseline is always there")
    }

    /// Every level that the running processor has, the best one last.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut levels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            levels.push(Self::Avx2);
            if is_x86_feature_detected!("avx512f") {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

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

/// Runs a convolution job with the instructions of `level`.
///
/// # Panics
/// If the processor does not have that level.
#[allow(unsafe_code)]
pub(crate) fn dispatch(level: Level, job: Job<'_>) {
    match level {
        // On AArch64 the fused multiply-add belongs to the baseline.
        Level::Baseline => job.run::<8, { cfg!(target_arch = "aarch64") }>(),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            assert!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
            // SAFETY: the line above made sure of both features.
            unsafe { conv_avx2(job) }
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            assert!(is_x86_feature_detected!("avx512f"));
            // SAFETY: the line above made sure of the feature.
            unsafe { conv_avx512(job) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn conv_avx2(job: Job<'_>) {
    job.run::<16, true>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn conv_avx512(job: Job<'_>) {
    job.run::<32, true>();
}
