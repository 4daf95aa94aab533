//! Selection of the integer multiplication instructions. Finer than [`Level`], since
//! processors with AVX2 may lack VNNI, and those with AVX-512 may lack AMX.

use std::fmt;

use crate::{LEVEL_VARIABLE, Level};

/// The instructions of an integer convolution. All give bitwise equal results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable code.
    Baseline,
    /// AVX2: multiplies 16-bit numbers and adds two products.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-VNNI: multiplies 8-bit numbers and adds four products, for 8 sums at a time.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX-512 VNNI: the same for 16 sums at a time.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AMX: multiplies tiles of 16 pixels by 64 bytes with tiles of 64 bytes by 16
    /// channels.
    #[cfg(target_arch = "x86_64")]
    Amx,
}

impl Isa {
    /// The best instructions that the running processor supports. If [`LEVEL_VARIABLE`]
    /// forces a level, the best of that level, which is never AMX.
    ///
    /// # Panics
    /// As [`Level::detect`].
    pub fn detect() -> Self {
        let forced = std::env::var_os(LEVEL_VARIABLE).is_some_and(|v| !v.is_empty());
        let allowed =
            |isa: &Self| !forced || isa.level() == Level::detect() && !isa.is_beyond_levels();
        Self::available().into_iter().rfind(allowed).expect("the baseline is always available")
    }

    /// All instructions that the running processor supports, the best last.
    pub fn available() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let all = [Self::Baseline, Self::Avx2, Self::AvxVnni, Self::Avx512Vnni, Self::Amx];
        #[cfg(not(target_arch = "x86_64"))]
        let all = [Self::Baseline];
        all.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether the running processor (and for AMX the operating system) supports it.
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

    /// The level of the vector instructions for everything but the products.
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

    /// `amx`, `avx512-vnni`, `avx-vnni`, `avx2`, or the name of the baseline.
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
