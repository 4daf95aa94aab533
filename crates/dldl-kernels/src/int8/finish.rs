//! Conversion of a strip's sums to activations: 2x2 max pooling, scaling, ReLU and
//! rounding. The same code for all instructions, without fused operations, so that all
//! give bitwise equal results.

use fearless_simd::{Simd, f32x16, i32x16, prelude::*, u32x16};

use super::Place;
use super::panel::{LANES, Panel};
use crate::Level;
use crate::level::at_level;

/// The type of a layer's output: `u8` for a following integer layer, `f32` otherwise.
pub trait Activation: Copy + Send + sealed::Sealed {
    /// Value of the border.
    const ZERO: Self;
}

mod sealed {
    use super::{LANES, Simd, f32x16};

    pub trait Sealed: Sized {
        /// Converts non-negative scaled sums.
        fn from_scaled<S: Simd>(s: S, scaled: f32x16<S>) -> [Self; LANES];
    }
}

impl Activation for u8 {
    const ZERO: Self = 0;
}

impl Activation for f32 {
    const ZERO: Self = 0.0;
}

/// 1.5 times 2^23. Adding it to a number from 0 to 255 moves the integer, rounded to
/// nearest with ties to even, to the lowest bits.
const ROUNDER: f32 = 12_582_912.0;

impl sealed::Sealed for u8 {
    #[inline(always)]
    fn from_scaled<S: Simd>(s: S, scaled: f32x16<S>) -> [Self; LANES] {
        let rounded = scaled.min(f32x16::splat(s, 255.0)) + f32x16::splat(s, ROUNDER);
        let words: u32x16<S> = rounded.bitcast();
        // Narrowing needs two operands; the unused half is optimized away.
        let halves = words.narrow(words);
        let bytes = halves.narrow(halves);
        *bytes.as_slice().first_chunk().expect("64 bytes")
    }
}

impl sealed::Sealed for f32 {
    #[inline(always)]
    fn from_scaled<S: Simd>(_: S, scaled: f32x16<S>) -> [Self; LANES] {
        scaled.into()
    }
}

/// Converts a strip's `sums` (`[2][columns][panel's width]`) and writes them to their
/// place in `out`, the output of a pair of rows.
pub(super) fn finish<T: Activation>(
    level: Level,
    sums: &[i32],
    panel: &Panel,
    pool: bool,
    out: &mut [T],
    place: Place,
) {
    if pool {
        at_level!(level, s => pooled(s, sums, panel, out, place));
    } else {
        at_level!(level, s => unpooled(s, sums, panel, out, place));
    }
}

// Indexed loops below: iterators may be compiled separately, without the level's
// instructions.

#[inline(always)]
fn pooled<S: Simd, T: Activation>(s: S, sums: &[i32], panel: &Panel, out: &mut [T], place: Place) {
    let (sums, _) = sums.as_chunks::<LANES>();
    let (upper, lower) = sums.split_at(sums.len() / 2);
    let blocks = panel.width / LANES;
    for b in 0..blocks {
        let scale = Scale::new(s, panel, b, place);
        // Column 0 is border.
        let out = &mut out[(place.x / 2 + 1) * place.outputs + scale.first..];
        for x in 0..upper.len() / (2 * blocks) {
            let (left, right) = (2 * x * blocks + b, (2 * x + 1) * blocks + b);
            let max = vector(s, &upper[left]).max(vector(s, &upper[right]));
            let max = max.max(vector(s, &lower[left])).max(vector(s, &lower[right]));
            scale.write(s, max, out, x * place.outputs);
        }
    }
}

#[inline(always)]
fn unpooled<S: Simd, T: Activation>(
    s: S,
    sums: &[i32],
    panel: &Panel,
    out: &mut [T],
    place: Place,
) {
    let (sums, _) = sums.as_chunks::<LANES>();
    let blocks = panel.width / LANES;
    let columns = sums.len() / (2 * blocks);
    for b in 0..blocks {
        let scale = Scale::new(s, panel, b, place);
        for r in 0..2 {
            let sums = &sums[r * columns * blocks..][..columns * blocks];
            let out = &mut out[r * place.row + (place.x + 1) * place.outputs + scale.first..];
            for x in 0..columns {
                scale.write(s, vector(s, &sums[x * blocks + b]), out, x * place.outputs);
            }
        }
    }
}

#[inline(always)]
fn vector<S: Simd>(s: S, sums: &[i32; LANES]) -> i32x16<S> {
    (*sums).simd_into(s)
}

/// The scaling of 16 channels.
#[derive(Clone, Copy)]
struct Scale<S: Simd> {
    /// The first channel.
    first: usize,
    /// How many of the 16 exist.
    channels: usize,
    multiplier: f32x16<S>,
    offset: f32x16<S>,
}

impl<S: Simd> Scale<S> {
    #[inline(always)]
    fn new(s: S, panel: &Panel, block: usize, place: Place) -> Self {
        let first = place.first + block * LANES;
        let multiplier = f32x16::from_slice(s, &panel.multiplier[block * LANES..][..LANES]);
        let offset = f32x16::from_slice(s, &panel.offset[block * LANES..][..LANES]);
        Self { first, channels: (place.outputs - first).min(LANES), multiplier, offset }
    }

    #[inline(always)]
    fn write<T: Activation>(self, s: S, sums: i32x16<S>, out: &mut [T], at: usize) {
        let scaled = f32x16::float_from(sums) * self.multiplier + self.offset;
        let numbers = T::from_scaled(s, scaled.max(f32x16::splat(s, 0.0)));
        let to = &mut out[at..at + self.channels];
        match to.first_chunk_mut::<LANES>() {
            Some(to) => *to = numbers,
            None => to.copy_from_slice(&numbers[..self.channels]),
        }
    }
}
