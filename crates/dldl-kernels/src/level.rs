//! Selection of the vector instructions: detected once, or forced by an environment
//! variable.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// Environment variable that forces a level, by its [name](Level::name), for the whole
/// process.
pub const LEVEL_VARIABLE: &str = "DLDL_ISA";

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Portable code with the vectors that the compilation target guarantees: NEON on
    /// AArch64, SSE2 on x86-64, SIMD128 on wasm with that feature, scalars elsewhere.
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The AVX-512 subsets of Ice Lake (2019) and Zen 4 (2022), including VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The level that [`LEVEL_VARIABLE`] requests; by default the best one that the
    /// running processor supports.
    ///
    /// # Panics
    /// If the requested level is unknown or not supported. To report the error, call
    /// [`Level::from_environment`] first.
    pub fn detect() -> Self {
        Self::from_environment().unwrap_or_else(|e| panic!("{e}"))
    }

    /// [`Level::detect`] that returns an error instead of panicking.
    ///
    /// # Errors
    /// If [`LEVEL_VARIABLE`] requests a level that is unknown or not supported.
    pub fn from_environment() -> Result<Self, String> {
        static LEVEL: LazyLock<Result<Level, String>> =
            LazyLock::new(|| match std::env::var_os(LEVEL_VARIABLE) {
                Some(name) if !name.is_empty() => name.to_string_lossy().parse(),
                _ => Ok(Level::available().pop().expect("the baseline is always available")),
            });
        LEVEL.clone().map_err(|e| format!("{LEVEL_VARIABLE}: {e}"))
    }

    /// All levels that the running processor supports, the best one last.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "only x86-64 adds levels")]
        let mut levels = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            let best = fearless_simd::Level::new();
            if best.as_avx2().is_some() {
                levels.push(Self::Avx2);
            }
            if best.as_avx512().is_some() {
                levels.push(Self::Avx512);
            }
        }
        levels
    }

    /// The name on this processor: `avx512`, `avx2`, `sse2`, `neon`, `simd128` or
    /// `scalar`.
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            Self::Baseline if cfg!(target_arch = "x86_64") => "sse2",
            Self::Baseline if cfg!(target_arch = "aarch64") => "neon",
            Self::Baseline if cfg!(all(target_arch = "wasm32", target_feature = "simd128")) => {
                "simd128"
            }
            Self::Baseline => "scalar",
        }
    }
}

/// Compiles `$body` for every level, with `$simd` as the level's token, and runs the
/// version for `$level`. Functions that `$body` calls must be `#[inline(always)]`;
/// otherwise they are compiled without the level's instructions.
///
/// # Panics
/// If the processor does not support the level.
macro_rules! at_level {
    ($level:expr, $simd:ident => $body:expr) => {{
        use fearless_simd::Simd as _;
        match $level {
            $crate::Level::Baseline => {
                let $simd = $crate::level::baseline();
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Level::Avx2 => {
                let $simd = fearless_simd::Level::new().as_avx2().expect("AVX2");
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
            #[cfg(target_arch = "x86_64")]
            $crate::Level::Avx512 => {
                let $simd = fearless_simd::Level::new().as_avx512().expect("AVX-512");
                $simd.vectorize(
                    #[inline(always)]
                    || $body,
                )
            }
        }
    }};
}
pub(crate) use at_level;

/// The token of [`Level::Baseline`].
pub(crate) fn baseline() -> impl fearless_simd::Simd {
    let level = fearless_simd::Level::baseline();
    #[cfg(target_arch = "x86_64")]
    return level.as_sse2().expect("every x86-64 has SSE2");
    #[cfg(target_arch = "aarch64")]
    return level.as_neon().expect("every AArch64 has NEON");
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return level.as_wasm_simd128().expect("compiled for SIMD128");
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )))]
    match level {
        fearless_simd::Level::Fallback(scalar) => scalar,
        #[allow(unreachable_patterns, reason = "the only variant on targets without vectors")]
        _ => unreachable!("the target guarantees no vectors"),
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    /// By [name](Level::name) or as `baseline`; supported levels only.
    fn from_str(name: &str) -> Result<Self, String> {
        let available = Self::available();
        let wanted =
            |level: &Self| level.name() == name || (*level == Self::Baseline && name == "baseline");
        available.iter().copied().find(wanted).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|l| l.name()).collect();
            format!(
                "unsupported instruction set `{name}`: this processor supports {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fearless_simd::prelude::*;

    #[test]
    fn level_names_round_trip() {
        for level in Level::available() {
            assert_eq!(level.name().parse(), Ok(level));
            assert_eq!(level.to_string(), level.name());
            at_level!(level, simd => assert_eq!(fearless_simd::f32x4::splat(simd, 1.0).as_slice(), [1.0; 4]));
        }
        assert_eq!("baseline".parse(), Ok(Level::Baseline));
        let error = "avx1024".parse::<Level>().unwrap_err();
        assert!(error.contains("avx1024") && error.contains(Level::Baseline.name()), "{error}");
    }
}
