//! The register block of the Winograd product: for one coefficient, several tiles times
//! one or two blocks of output channels, summed over the input channels. The engine
//! spends most of its time here.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};

use crate::planes::{LANES, Lanes};
use crate::prefetch::prefetch;

/// Largest number of tiles in a group: 12 tiles by two vectors of output channels fill 24
/// of AVX-512's 32 registers with sums. The other levels have 16 registers of half or a
/// quarter of the width (NEON: 32).
pub(crate) fn group_limit<S: Simd>() -> usize {
    match (S::f32s::LEN, cfg!(target_arch = "aarch64")) {
        (16.., _) => 12,
        (8.., _) => 6,
        (_, true) => 6,
        _ => 2,
    }
}

/// Largest number of blocks of output channels in a panel.
pub(crate) fn panel_limit<S: Simd>() -> usize {
    if S::f32s::LEN >= LANES { 2 } else { 1 }
}

/// `sums[tile][p] = sum_k values[tile][k] * weights[k][p]`: `values` is
/// `[input block][G][LANES]`, of which the first `weights.len() / P` channels are used,
/// `weights` is `[input channel][P]` and `sums` `[G][P]`. Prefetches `ahead`, one cache
/// line per input channel.
#[inline(always)]
fn block<S: Simd, const G: usize, const P: usize>(
    s: S,
    values: &[Lanes],
    weights: &[Lanes],
    ahead: &[Lanes],
    sums: &mut [Lanes],
) {
    let mut acc = [[f32x16::splat(s, 0.0); P]; G];
    let (weights, _) = weights.as_chunks::<P>();
    let (values, _) = values.as_chunks::<G>();
    let mut first = 0;
    while first < weights.len() {
        let channels = LANES.min(weights.len() - first);
        let values = &values[first / LANES];
        let weights = &weights[first..first + channels];
        let ahead = &ahead[first..first + channels];
        for k in 0..channels {
            prefetch(&ahead[k]);
            let mut w = [f32x16::splat(s, 0.0); P];
            for p in 0..P {
                w[p] = f32x16::load_array_ref(s, &weights[k][p].0);
            }
            for t in 0..G {
                let x = f32x16::splat(s, values[t].0[k % LANES]);
                for p in 0..P {
                    acc[t][p] = x.mul_add(w[p], acc[t][p]);
                }
            }
        }
        first += LANES;
    }
    let (sums, _) = sums.as_chunks_mut::<P>();
    let sums: &mut [[Lanes; P]; G] = sums.first_chunk_mut().expect("one entry per sum");
    for t in 0..G {
        for p in 0..P {
            acc[t][p].store_array(&mut sums[t][p].0);
        }
    }
}

/// [`block`] for a group of `group` tiles and a panel of `panel` blocks.
///
/// # Panics
/// If they exceed [`group_limit`] and [`panel_limit`].
#[inline(always)]
pub(crate) fn group<S: Simd>(
    s: S,
    (group, panel): (usize, usize),
    values: &[Lanes],
    weights: &[Lanes],
    ahead: &[Lanes],
    sums: &mut [Lanes],
) {
    macro_rules! sizes {
        ($($g:literal)*) => {
            match (group, panel) {
                $(($g, 1) if $g <= group_limit::<S>() => block::<S, $g, 1>(s, values, weights, ahead, sums),
                  ($g, 2) if $g <= group_limit::<S>() && panel_limit::<S>() >= 2 =>
                      block::<S, $g, 2>(s, values, weights, ahead, sums),)*
                _ => panic!("winograd: no register block of {group} tiles and {panel} blocks"),
            }
        };
    }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12)
}
