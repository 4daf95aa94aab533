//! Which instructions multiply the integers: finer than [`Level`], because AVX2
//! processors come with and without VNNI, and AVX-512 ones with and without AMX.

use std::fmt;

use crate::{LEVEL_VARIABLE, Level};

/// The instructions of an integer convolution. All of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code, whatever the compiler makes of it.
    Baseline,
    /// AVX2: 16-bit multiplications, two products added.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-VNNI: 8-bit multiplications, four products added, 8 sums.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX-512 VNNI: the same with 16 sums.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AMX: tiles of 16 pixels by 64 bytes times 64 bytes by 16 channels.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Isa {
    /// The best that the running processor has; if [`LEVEL_VARIABLE`] forces a
    /// level, the best of that level, which is never AMX.
    ///
    /// # Panics
    /// As [`Level::detect`].
    pub fn detect() -> Self {
        let forced = std::env::var_os(LEVEL_VARIABLE).is_some_and(|v| !v.is_empty());
        let allowed =
            |isa: &Self| !forced || isa.level() == Level::detect() && !isa.is_beyond_levels();
        Self::available().into_iter().rfind(allowed).expect("the baseline is always there")
    }

    /// All that the running processor has, the best one last.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let all = [Self::Baseline, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Amx];
        #[cfg(not(target_arch = "x86_64"))]
        let all = [Self::Baseline];
        all.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether the running processor, and for AMX the operating system, has it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Level::available().contains(&Level::Avx2),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => Self::Avx2.is_available() && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => Level::available().contains(&Level::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512Vnni.is_available() && super::amx::is_available(),
        }
    }

    /// The level of vector instructions beside it, for all that is no product.
    pub fn level(self) -> Level {
        match self {
            Self::Baseline => Level::Baseline,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::AvxVnni => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni | Self::Amx => Level::Avx512,
        }
    }

    /// Whether no [`Level`] includes it.
    fn is_beyond_levels(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::Amx;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// `amx`, `avx512-vnni`, `avx-vnni`, `avx2`, or what the baseline is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => Level::Baseline.name(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Amx => "amx",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}
