//! The product for the gradient with respect to the weights: for one coefficient, each
//! input channel times each output channel, summed over the tiles.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};

use super::step::Tiles;
use crate::planes::{LANES, Lanes};

/// `to[i][o] += sum over the tiles of windows[tile][i] * gradients[tile][o]`:
/// `windows` and `gradients` are `[group][block][tile]` of `cin` and `cout`
/// blocks, `to` is `[input channel][output block]`.
#[inline(always)]
pub(super) fn add<S: Simd>(
    s: S,
    tiles: &Tiles,
    (cin, cout): (usize, usize),
    windows: &[Lanes],
    gradients: &[Lanes],
    to: &mut [Lanes],
) {
    let mut first = 0;
    while first < cout {
        let at = (cin, cout, first);
        first += match (S::f32s::LEN, cout - first) {
            (16.., 2..) => panel::<S, 8, 2>(s, tiles, at, windows, gradients, to),
            (16.., _) => panel::<S, 16, 1>(s, tiles, at, windows, gradients, to),
            (8.., _) => panel::<S, 4, 1>(s, tiles, at, windows, gradients, to),
            _ if cfg!(target_arch = "aarch64") => {
                panel::<S, 4, 1>(s, tiles, at, windows, gradients, to)
            }
            _ => panel::<S, 2, 1>(s, tiles, at, windows, gradients, to),
        };
    }
}

/// [`add`] for `P` blocks of output channels starting at `first`, `R` input channels at a
/// time. Returns `P`.
#[inline(always)]
fn panel<S: Simd, const R: usize, const P: usize>(
    s: S,
    tiles: &Tiles,
    (cin, cout, first): (usize, usize, usize),
    windows: &[Lanes],
    gradients: &[Lanes],
    to: &mut [Lanes],
) -> usize {
    let group = tiles.group;
    for block in 0..cin {
        for part in 0..LANES / R {
            let rows = &mut to[(block * LANES + part * R) * cout..][..R * cout];
            let mut acc = [[f32x16::splat(s, 0.0); P]; R];
            for r in 0..R {
                for p in 0..P {
                    acc[r][p] = f32x16::load_array_ref(s, &rows[r * cout + first + p].0);
                }
            }
            for g in 0..tiles.groups {
                let values = &windows[(g * cin + block) * group..][..group];
                let vectors = &gradients[(g * cout + first) * group..][..P * group];
                for t in 0..group {
                    let value: &[f32; R] = &values[t].0.as_chunks::<R>().0[part];
                    let mut vector = [f32x16::splat(s, 0.0); P];
                    for p in 0..P {
                        vector[p] = f32x16::load_array_ref(s, &vectors[p * group + t].0);
                    }
                    for r in 0..R {
                        let x = f32x16::splat(s, value[r]);
                        for p in 0..P {
                            acc[r][p] = x.mul_add(vector[p], acc[r][p]);
                        }
                    }
                }
            }
            for r in 0..R {
                for p in 0..P {
                    acc[r][p].store_array(&mut rows[r * cout + first + p].0);
                }
            }
        }
    }
    P
}
