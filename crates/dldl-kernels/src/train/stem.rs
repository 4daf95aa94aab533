//! The first convolution of a network in training: direct, since it has few input
//! channels, and without a gradient with respect to the image.

// Indexed loops: closures and iterators over vectors, as in `array::from_fn`, are
// compiled separately, without the level's instructions.
#![allow(clippy::needless_range_loop)]

use fearless_simd::{Simd, f32x16, prelude::*};
use rayon::prelude::*;

use super::backward::Gradient;
use super::maps::{Maps, Sums};
use super::step::{ONE_BY_ONE, Scratch, pictures_per_task};
use super::transform::all;
use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes};

/// Channels of an image.
const CHANNELS: usize = 3;

/// Inputs of one output pixel.
const TAPS: usize = 9 * CHANNELS;

/// Largest number of pixels in a register block, over all levels.
const PIXELS: usize = 14;

/// Computes `z = conv(pictures)` for a batch of `[3, height, width]`, with `weight` of
/// `[cout, 3, 3, 3]` and `z` laid out as `to`. Returns the sums of `z` and of its square
/// over all pixels.
///
/// # Panics
/// If the length of a slice does not match its shape.
pub fn stem_forward(
    level: Level,
    pictures: &[f32],
    weight: &[f32],
    to: Maps,
    z: &mut [Lanes],
    scratch: &Scratch,
) -> Sums {
    assert_eq!(weight.len(), to.channels * TAPS, "train: wrong length of the weights");
    let size = CHANNELS * to.area();
    let batch = pictures.len() / size;
    assert_eq!(z.len(), batch * to.size(), "train: wrong length of z");
    let weights = pack(weight, to);
    let chunk = pictures_per_task(batch, &to, 0);
    let tasks = z.par_chunks_mut(chunk * to.size()).zip(pictures.par_chunks(chunk * size));
    let sums: Vec<Sums> = tasks
        .with_max_len(ONE_BY_ONE)
        .map(|(z, pictures)| {
            let mut sums = Sums::new(to.blocks());
            Scratch::with(scratch.works(), |work| {
                let each = z.chunks_mut(to.size()).zip(pictures.chunks(size));
                for (z, picture) in each {
                    pad(picture, &to, &mut work.picture);
                    at_level!(level, simd => rows(simd, &work.picture, &weights, &to, z, &mut sums));
                }
            });
            sums
        })
        .collect();
    Sums::total(&sums)
}

/// The gradient of [`stem_forward`] with respect to the weights, `[cout, 3, 3, 3]`. `z` is
/// its output.
///
/// # Panics
/// If the length of a slice does not match its shape.
#[allow(clippy::too_many_arguments, reason = "the operands of one formula")]
pub fn stem_backward(
    level: Level,
    pictures: &[f32],
    maps: Maps,
    gradient: Gradient,
    z: &[Lanes],
    weights: &mut [f32],
    scratch: &Scratch,
) {
    assert_eq!(weights.len(), maps.channels * TAPS, "train: wrong length of the weights");
    assert!(gradient.pool.is_empty(), "train: a pool after the first convolution is not supported");
    let size = CHANNELS * maps.area();
    let batch = pictures.len() / size;
    assert_eq!(z.len(), batch * maps.size(), "train: wrong length of z");
    assert!(
        gradient.values.len() >= batch * gradient.stride,
        "train: wrong length of the gradient"
    );
    let chunk = pictures_per_task(batch, &maps, 0);
    let tasks = z.par_chunks(chunk * maps.size()).zip(pictures.par_chunks(chunk * size));
    let parts: Vec<Vec<Lanes>> = tasks
        .enumerate()
        .with_max_len(ONE_BY_ONE)
        .map(|(task, (z, pictures))| {
            let mut sums = vec![Lanes::default(); maps.blocks() * TAPS];
            Scratch::with(scratch.works(), |work| {
                work.carry.resize(work.carry.len().max(maps.width), Lanes::default());
                for (i, picture) in pictures.chunks(size).enumerate() {
                    pad(picture, &maps, &mut work.picture);
                    let z = &z[i * maps.size()..];
                    let g = &gradient.values[(task * chunk + i) * gradient.stride..];
                    let (picture, row) = (&work.picture, &mut work.carry[..maps.width]);
                    at_level!(level, simd => {
                        gradients(simd, picture, &maps, &gradient, z, g, row, &mut sums);
                    });
                }
            });
            sums
        })
        .collect();
    for (o, kernel) in weights.chunks_exact_mut(TAPS).enumerate() {
        for (tap, w) in kernel.iter_mut().enumerate() {
            *w = parts.iter().map(|part| part[o / LANES * TAPS + tap].0[o % LANES]).sum();
        }
    }
}

/// `[block][channel][tap row][tap column]` of lanes.
fn pack(weight: &[f32], to: Maps) -> Vec<Lanes> {
    let mut packed = vec![Lanes::default(); to.blocks() * TAPS];
    for (o, kernel) in weight.chunks_exact(TAPS).enumerate() {
        for (tap, &w) in kernel.iter().enumerate() {
            packed[o / LANES * TAPS + tap].0[o % LANES] = w;
        }
    }
    packed
}

/// Copies an image with a border of one zero, plus what a register block may read beyond.
fn pad(picture: &[f32], maps: &Maps, to: &mut Vec<f32>) {
    let wide = maps.width + 2;
    to.clear();
    to.resize(CHANNELS * (maps.height + 2) * wide + PIXELS, 0.0);
    for (i, row) in picture.chunks_exact(maps.width).enumerate() {
        let (channel, y) = (i / maps.height, i % maps.height);
        let at = (channel * (maps.height + 2) + y + 1) * wide + 1;
        to[at..at + maps.width].copy_from_slice(row);
    }
}

#[inline(always)]
fn rows<S: Simd>(
    s: S,
    picture: &[f32],
    weights: &[Lanes],
    to: &Maps,
    z: &mut [Lanes],
    sums: &mut Sums,
) {
    for (block, weights) in weights.chunks_exact(TAPS).enumerate() {
        for y in 0..to.height {
            let at = to.at(y, block);
            let z = &mut z[at..at + to.width];
            let (a, b) = match S::f32s::LEN {
                16.. => row::<S, 14>(s, picture, weights, to, y, z),
                8.. => row::<S, 6>(s, picture, weights, to, y, z),
                _ => row::<S, 2>(s, picture, weights, to, y, z),
            };
            sums.add(block, &a, &b);
        }
    }
}

/// One row of one block, `G` pixels at a time. Returns its sums.
#[inline(always)]
fn row<S: Simd, const G: usize>(
    s: S,
    picture: &[f32],
    weights: &[Lanes],
    to: &Maps,
    y: usize,
    z: &mut [Lanes],
) -> (Lanes, Lanes) {
    let wide = to.width + 2;
    let (mut first, mut second) = (all(s, 0.0), all(s, 0.0));
    for x in (0..to.width).step_by(G) {
        let mut acc = [all(s, 0.0); G];
        for c in 0..CHANNELS {
            for i in 0..3 {
                let from = &picture[(c * (to.height + 2) + y + i) * wide + x..][..G + 2];
                for j in 0..3 {
                    let w = f32x16::load_array_ref(s, &weights[(c * 3 + i) * 3 + j].0);
                    for t in 0..G {
                        acc[t] = all(s, from[t + j]).mul_add(w, acc[t]);
                    }
                }
            }
        }
        for t in 0..G {
            if let Some(z) = z.get_mut(x + t) {
                acc[t].store_array(&mut z.0);
                first += acc[t];
                second = acc[t].mul_add(acc[t], second);
            }
        }
    }
    let (mut a, mut b) = (Lanes::default(), Lanes::default());
    first.store_array(&mut a.0);
    second.store_array(&mut b.0);
    (a, b)
}

/// Adds one image's gradient with respect to the weights, `[block][tap]`. `row` is a
/// buffer for one row of the gradient.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the context of one call")]
fn gradients<S: Simd>(
    s: S,
    picture: &[f32],
    maps: &Maps,
    gradient: &Gradient,
    z: &[Lanes],
    g: &[Lanes],
    row: &mut [Lanes],
    sums: &mut [Lanes],
) {
    for (block, sums) in sums.chunks_exact_mut(TAPS).enumerate() {
        let scale = f32x16::load_array_ref(s, &gradient.chain.scale[block].0);
        let slope = f32x16::load_array_ref(s, &gradient.chain.slope[block].0);
        let offset = f32x16::load_array_ref(s, &gradient.chain.offset[block].0);
        for y in 0..maps.height {
            let at = maps.at(y, block);
            let (z, g) = (&z[at..at + maps.width], &g[at..at + maps.width]);
            for x in 0..maps.width {
                let z = f32x16::load_array_ref(s, &z[x].0);
                let g = f32x16::load_array_ref(s, &g[x].0);
                g.mul_add(scale, z.mul_add(slope, offset)).store_array(&mut row[x].0);
            }
            let wide = maps.width + 2;
            if S::f32s::LEN >= LANES {
                let from: [&[f32]; 9] = std::array::from_fn(|k| {
                    let at = (k / 3 * (maps.height + 2) + y + k % 3) * wide;
                    &picture[at..at + wide]
                });
                taps::<S, 9>(s, from, row, sums);
            } else {
                for k in 0..9 {
                    let at = (k / 3 * (maps.height + 2) + y + k % 3) * wide;
                    taps::<S, 1>(s, [&picture[at..at + wide]], row, &mut sums[3 * k..]);
                }
            }
        }
    }
}

/// Adds the products of one row of the gradient with `N` rows of the image, three taps
/// each.
#[inline(always)]
fn taps<S: Simd, const N: usize>(s: S, from: [&[f32]; N], row: &[Lanes], sums: &mut [Lanes]) {
    let mut acc = [[all(s, 0.0); 3]; N];
    for k in 0..N {
        for j in 0..3 {
            acc[k][j] = f32x16::load_array_ref(s, &sums[3 * k + j].0);
        }
    }
    for x in 0..row.len() {
        let d = f32x16::load_array_ref(s, &row[x].0);
        for k in 0..N {
            let from = &from[k][x..x + 3];
            for j in 0..3 {
                acc[k][j] = all(s, from[j]).mul_add(d, acc[k][j]);
            }
        }
    }
    for k in 0..N {
        for j in 0..3 {
            acc[k][j].store_array(&mut sums[3 * k + j].0);
        }
    }
}
