//! Strips for instruction sets without exact products of bytes: AVX2 (whose `vpmaddubsw`
//! saturates at 16 bits), SSE2, NEON and portable code. Pairs of 16-bit numbers are
//! multiplied and added, which is exact.

// Indexed loops: closures over vectors are compiled separately, without the level's
// instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, i16x16, i32x8, prelude::*, u32x8};

use super::panel::Panel;
use crate::Level;
use crate::level::at_level;

/// As [`Strips::sum`](super::Strips::sum).
pub(super) fn strip(
    level: Level,
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    columns: usize,
    sums: &mut [i32],
) {
    assert!(columns.is_multiple_of(2), "int8: strip of odd width");
    at_level!(level, s => columns_of(s, panel, channels, input, row, sums));
}

#[inline(always)]
fn columns_of<S: Simd>(
    s: S,
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    sums: &mut [i32],
) {
    let (sums, _) = sums.as_chunks_mut::<16>();
    let (upper, lower) = sums.split_at_mut(sums.len() / 2);
    let (upper, _) = upper.as_chunks_mut::<2>();
    let (lower, _) = lower.as_chunks_mut::<2>();
    for (x, (upper, lower)) in upper.iter_mut().zip(lower).enumerate() {
        block(s, panel, channels, &input[2 * x * channels..], row, upper, lower);
    }
}

/// Two rows by two columns by 16 channels: eight registers of AVX2.
#[inline(always)]
fn block<S: Simd>(
    s: S,
    panel: &Panel,
    channels: usize,
    input: &[u8],
    row: usize,
    upper: &mut [[i32; 16]; 2],
    lower: &mut [[i32; 16]; 2],
) {
    let mask = u32x8::splat(s, 0x00ff_00ff);
    let mut sum = [[i32x8::splat(s, 0); 2]; 4];
    let (words, _) = panel.words.as_chunks::<16>();
    let (words, _) = words.as_chunks::<4>();
    for (ky, words) in words.chunks_exact(panel.quads).enumerate() {
        let at = [0, channels, row, row + channels];
        let mut quads = [&input[..0]; 4];
        for p in 0..4 {
            quads[p] = &input[ky * row + at[p]..][..4 * panel.quads];
        }
        for (k, words) in words.iter().enumerate() {
            let mut w = [i16x16::splat(s, 0); 4];
            for i in 0..4 {
                w[i] = words[i].simd_into(s);
            }
            for p in 0..4 {
                let quad = *quads[p][4 * k..]
                    .first_chunk::<4>()
                    .expect("slices of the same number of quads");
                let quad = u32x8::splat(s, u32::from_le_bytes(quad));
                let even: i16x16<S> = (quad & mask).bitcast();
                let odd: i16x16<S> = ((quad >> 8) & mask).bitcast();
                for v in 0..2 {
                    sum[p][v] += even.pairwise_dot_product(w[v]);
                    sum[p][v] += odd.pairwise_dot_product(w[2 + v]);
                }
            }
        }
    }
    for p in 0..4 {
        let to = if p < 2 { &mut upper[p] } else { &mut lower[p - 2] };
        sum[p][0].store_slice(&mut to[..8]);
        sum[p][1].store_slice(&mut to[8..]);
    }
}
