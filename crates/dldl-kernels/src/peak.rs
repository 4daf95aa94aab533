//! Peak arithmetic throughput of the processor, as a reference for benchmarks.

// Indexed loops: closures and iterators over vectors are compiled separately, without
// the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, prelude::*};
use std::hint::black_box;

use crate::Level;
use crate::level::at_level;

/// Number of multiply-adds in one call of [`multiply_add_burst`] with `rounds`.
pub fn burst_macs(level: Level, rounds: usize) -> u64 {
    at_level!(level, simd => (chains(simd) * length(simd) * rounds) as u64)
}

/// Runs independent chains of f32 multiply-adds in registers, without memory accesses:
/// its run time gives the processor's peak. Returns a number that depends on all of
/// them.
pub fn multiply_add_burst(level: Level, rounds: usize) -> f32 {
    at_level!(level, simd => match chains(simd) {
        24 => burst::<_, 24>(simd, rounds),
        _ => burst::<_, 12>(simd, rounds),
    })
}

/// Number of chains, of one register each: they fit the register file and hide the
/// latency.
#[inline(always)]
fn chains<S: Simd>(_: S) -> usize {
    if S::f32s::LEN >= 16 { 24 } else { 12 }
}

/// Numbers in a register.
#[inline(always)]
fn length<S: Simd>(_: S) -> usize {
    S::f32s::LEN
}

#[inline(always)]
fn burst<S: Simd, const N: usize>(s: S, rounds: usize) -> f32 {
    let factor = S::f32s::splat(s, black_box(0.999));
    let mut acc = [factor; N];
    for i in 0..N {
        // Opaque to the compiler, which would otherwise compute equal chains (or equal
        // halves of a wider vector) only once.
        acc[i] = S::f32s::splat(s, black_box(1.0));
    }
    for _ in 0..rounds {
        for i in 0..N {
            acc[i] = acc[i].mul_add(factor, factor);
        }
    }
    let mut sum = acc[0];
    for i in 1..N {
        sum += acc[i];
    }
    sum[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_computes_all_chains() {
        for level in Level::available() {
            assert!(burst_macs(level, 10) >= 480);
            let mut one = 1.0f32;
            (0..10).for_each(|_| one = one * 0.999 + 0.999);
            let chains = at_level!(level, simd => chains(simd)) as f32;
            let sum = multiply_add_burst(level, 10);
            assert!((sum / chains - one).abs() < 1e-4, "{level}: {sum}");
        }
    }
}
