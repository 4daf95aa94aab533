//! What the processor can do at most: the yardstick of the benchmarks.

// Indexed loops: closures and iterators over vectors are compiled apart.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};
use std::hint::black_box;

use crate::Level;
use crate::level::at_level;

/// Multiply-adds that one call of [`multiply_add_burst`] with `rounds` does.
pub fn burst_macs(level: Level, rounds: usize) -> u64 {
    at_level!(level, simd => chains(simd) * 16 * rounds) as u64
}

/// Independent chains of f32 multiply-adds in registers, without memory; who
/// times it knows the processor's peak. Returns a number that depends on all of
/// them.
pub fn multiply_add_burst(level: Level, rounds: usize) -> f32 {
    at_level!(level, simd => match chains(simd) {
        24 => burst::<_, 24>(simd, rounds),
        6 => burst::<_, 6>(simd, rounds),
        _ => burst::<_, 3>(simd, rounds),
    })
}

/// Chains that fit the registers and hide the latency.
#[inline(always)]
fn chains<S: Simd>(_: S) -> usize {
    match S::f32s::LEN {
        16.. => 24,
        8.. => 6,
        _ => 3,
    }
}

#[inline(always)]
fn burst<S: Simd, const N: usize>(s: S, rounds: usize) -> f32 {
    let factor = f32x16::splat(s, black_box(0.999));
    let mut acc = [f32x16::splat(s, 1.0); N];
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
    fn a_burst_does_what_it_says() {
        for level in Level::available() {
            assert!(burst_macs(level, 10) >= 480);
            let mut one = 1.0f32;
            (0..10).for_each(|_| one = one * 0.999 + 0.999);
            let chains = burst_macs(level, 1) as f32 / 16.0;
            let sum = multiply_add_burst(level, 10);
            assert!((sum / chains - one).abs() < 1e-4, "{level}: {sum}");
        }
    }
}
