//! From a strip's sums to activations: maximum of 2x2 pixels, scaling, ReLU,
//! rounding. One source for all instructions; no operation in it is fused, so
//! that all give the same bits.

use fearless_simd::{Simd, f32x16, i32x16, prelude::*, u32x16};

use super::Place;
use super::panel::{LANES, Panel};
use crate::Level;
use crate::level::at_level;

/// What a layer gives: bytes for the next one, or numbers for what follows.
pub trait Activation: Copy + Send + sealed::Sealed {
    /// The border's value.
    const ZERO: Self;
}

mod sealed {
    use super::{LANES, Simd, f32x16};

    pub trait Sealed: Sized {
        /// From scaled sums that are not negative.
        fn from_scaled<S: Simd>(s: S, scaled: f32x16<S>) -> [Self; LANES];
    }
}

impl Activation for u8 {
    const ZERO: Self = 0;
}

impl Activation for f32 {
    const ZERO: Self = 0.0;
}

/// Added to a number between 0 and 255, it moves the whole part, rounded to
/// nearest and ties to even, to the last bits: 1.5 times 2^23.
const ROUNDER: f32 = 12_582_912.0;

impl sealed::Sealed for u8 {
    #[inline(always)]
    fn from_scaled<S: Simd>(s: S, scaled: f32x16<S>) -> [Self; LANES] {
        let rounded = scaled.min(f32x16::splat(s, 255.0)) + f32x16::splat(s, ROUNDER);
        let words: u32x16<S> = rounded.bitcast();
        // Narrowed together with itself, which costs nothing: the superfluous
        // part is optimized away.
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

/// Writes what becomes of a strip's `sums` (`[2][columns][panel's width]`) to
/// its place in `out`, the output of a pair of rows.
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

// Indexed loops below: what iterators do may be compiled apart, without the
// level's instructions.

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
            let most = vector(s, &upper[left]).max(vector(s, &upper[right]));
            let most = most.max(vector(s, &lower[left])).max(vector(s, &lower[right]));
            scale.write(s, most, out, x * place.outputs);
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

/// What makes activations of the sums of 16 channels.
#[derive(Clone, Copy)]
struct Scale<S: Simd> {
    /// The first of them, and how many of them exist.
    first: usize,
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
