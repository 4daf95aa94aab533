//! Transformed weights of a layer, and the inverse transform of their gradient.

use rayon::prelude::*;

use super::step::ONE_BY_ONE;
use super::transform::{self, COEFFICIENTS};
use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes};
use crate::winograd::product::panel_limit;

/// One or two blocks of channels whose products are computed together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// The first of its blocks.
    pub first: usize,
    /// Number of blocks.
    pub blocks: usize,
}

impl Panel {
    /// The panels of `blocks` blocks.
    pub fn all(level: Level, blocks: usize) -> impl Iterator<Item = Self> {
        let max = at_level!(level, simd => limit(simd));
        (0..blocks).step_by(max).map(move |first| Self { first, blocks: max.min(blocks - first) })
    }
}

/// [`panel_limit`] for the token's type.
fn limit<S: fearless_simd::Simd>(_: S) -> usize {
    panel_limit::<S>()
}

/// The transformed weights of one layer, for the forward and the backward pass.
#[derive(Clone, Debug, Default)]
pub struct Kernels {
    pub(super) cin: usize,
    pub(super) cout: usize,
    /// `[panel of output channels][coefficient][input channel][block of the panel]`
    pub(super) forward: Vec<Lanes>,
    /// `[panel of input channels][coefficient][output channel][block of the panel]`
    pub(super) backward: Vec<Lanes>,
}

impl Kernels {
    /// Transforms `weight` (`[cout, cin, 3, 3]`), with `both` also for
    /// [`super::backward`]. Reuses the memory of the previous weights.
    ///
    /// # Panics
    /// If `weight` has another length.
    pub fn set(&mut self, level: Level, weight: &[f32], cout: usize, cin: usize, both: bool) {
        assert_eq!(weight.len(), cout * cin * 9, "kernels: weight is not [cout, cin, 3, 3]");
        (self.cin, self.cout) = (cin, cout);
        pack(level, weight, (cout, 9 * cin), (cin, 9), &mut self.forward);
        if both {
            pack(level, weight, (cin, 9), (cout, 9 * cin), &mut self.backward);
        }
    }
}

/// Transforms kernels with the channels of `lanes` as lanes and those of `rows` as rows.
/// Both are a number of channels and their stride in `weight`.
fn pack(
    level: Level,
    weight: &[f32],
    lanes: (usize, usize),
    rows: (usize, usize),
    to: &mut Vec<Lanes>,
) {
    let blocks = lanes.0.div_ceil(LANES);
    to.resize(COEFFICIENTS * rows.0 * blocks, Lanes::default());
    let mut rest = &mut to[..];
    let mut parts = Vec::new();
    for panel in Panel::all(level, blocks) {
        let (part, after) = rest.split_at_mut(COEFFICIENTS * rows.0 * panel.blocks);
        parts.push((panel, part));
        rest = after;
    }
    parts.into_par_iter().with_max_len(ONE_BY_ONE).for_each(|(panel, part)| {
        for row in 0..rows.0 {
            for p in 0..panel.blocks {
                let first = (panel.first + p) * LANES;
                let mut taps = [Lanes::default(); 9];
                for lane in 0..LANES.min(lanes.0 - first) {
                    let kernel = &weight[(first + lane) * lanes.1 + row * rows.1..][..9];
                    for (tap, &w) in taps.iter_mut().zip(kernel) {
                        tap.0[lane] = w;
                    }
                }
                let to = &mut part[row * panel.blocks + p..];
                let stride = rows.0 * panel.blocks;
                at_level!(level, simd => transform::kernels(simd, &taps, to, stride));
            }
        }
    });
}

/// Adds up the parts of the gradient with respect to the transformed weights,
/// `[coefficient][input channel, padded to whole blocks][output block]`, in order, and
/// transforms the sum to `[cout, cin, 3, 3]`.
pub(super) fn unpack(level: Level, parts: &[Vec<Lanes>], cout: usize, cin: usize, to: &mut [f32]) {
    let blocks = cout.div_ceil(LANES);
    let stride = cin.div_ceil(LANES) * LANES * blocks;
    let outputs = to.par_chunks_mut(LANES * cin * 9).enumerate();
    outputs.with_max_len(ONE_BY_ONE).for_each(|(block, to)| {
        for i in 0..cin {
            let mut sums = [Lanes::default(); COEFFICIENTS];
            for part in parts {
                for (c, sum) in sums.iter_mut().enumerate() {
                    let part = &part[c * stride + i * blocks + block];
                    for l in 0..LANES {
                        sum.0[l] += part.0[l];
                    }
                }
            }
            let taps = at_level!(level, simd => transform::kernels_adjoint(simd, &sums));
            for (o, to) in to.chunks_exact_mut(cin * 9).enumerate() {
                for (to, tap) in to[9 * i..9 * i + 9].iter_mut().zip(&taps) {
                    *to = tap.0[o];
                }
            }
        }
    });
}
