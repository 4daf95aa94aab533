//! Depthwise 3x3 convolution, one row at a time: each channel by itself, stride 1, with one
//! pixel of zeros around the input.

// Indexed loops, as in `tile`.
#![allow(clippy::needless_range_loop)]

use crate::level::at_level;
use crate::{LANES, Lanes, Level};
use fearless_simd::f32x16;
use fearless_simd::prelude::*;

/// A depthwise 3x3 convolution (cross-correlation, as in PyTorch's `conv2d` with as many
/// groups as channels and `padding=1`), followed by a ReLU if it is said so. Rows are in the
/// layout of [`DirectConv`](crate::DirectConv).
#[derive(Clone, Debug)]
pub struct DepthwiseConv {
    level: Level,
    relu: bool,
    /// By channel block: nine taps, row by row, and the bias.
    blocks: Vec<([Lanes; 9], Lanes)>,
}

impl DepthwiseConv {
    /// Packs `weight` (`[channels, 3, 3]`) and `bias` (`[channels]`).
    ///
    /// # Panics
    /// If the length of a slice does not match its shape, or there are no channels.
    pub fn new(weight: &[f32], bias: &[f32], relu: bool) -> Self {
        Self::with_level(Level::detect(), weight, bias, relu)
    }

    pub(super) fn with_level(level: Level, weight: &[f32], bias: &[f32], relu: bool) -> Self {
        assert!(!bias.is_empty(), "depthwise: there are no channels");
        assert_eq!(weight.len(), 9 * bias.len(), "depthwise: weight is not [channels, 3, 3]");
        let block = |(weight, bias): (&[f32], &[f32])| {
            let mut taps = [Lanes::default(); 9];
            for (c, weight) in weight.chunks_exact(9).enumerate() {
                for (tap, value) in taps.iter_mut().zip(weight) {
                    tap.0[c] = *value;
                }
            }
            let mut lanes = Lanes::default();
            lanes.0[..bias.len()].copy_from_slice(bias);
            (taps, lanes)
        };
        let blocks = weight.chunks(9 * LANES).zip(bias.chunks(LANES)).map(block).collect();
        Self { level, relu, blocks }
    }

    /// Number of blocks of channels.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Computes one row of the output from the rows above, at and below it, all of them
    /// `[blocks, width]`. Above the first and below the last row of a picture are zeros.
    ///
    /// # Panics
    /// If a slice has another shape.
    pub fn row(&self, rows: [&[Lanes]; 3], width: usize, out: &mut [Lanes]) {
        let length = self.blocks.len() * width;
        assert_eq!(out.len(), length, "depthwise: out is not [blocks, width]");
        assert!(rows.iter().all(|r| r.len() == length), "depthwise: a row is not [blocks, width]");
        if width == 0 {
            return;
        }
        at_level!(self.level, simd => self.all(simd, rows, width, out));
    }

    #[inline(always)]
    fn all<S: Simd>(&self, simd: S, rows: [&[Lanes]; 3], width: usize, out: &mut [Lanes]) {
        for (b, (taps, bias)) in self.blocks.iter().enumerate() {
            let part = b * width..(b + 1) * width;
            let rows = rows.map(|row| &row[part.clone()]);
            let job = Block { rows, taps, bias, relu: self.relu };
            let out = &mut out[part];
            job.edge(simd, 0, out);
            if width > 1 {
                job.edge(simd, width - 1, out);
            }
            let mut x = 1;
            // Eight accumulators of one or two registers.
            while x + 8 < width {
                job.tile::<S, 8>(simd, x, out);
                x += 8;
            }
            while x + 1 < width {
                job.tile::<S, 1>(simd, x, out);
                x += 1;
            }
        }
    }
}

/// One block of channels of a row.
struct Block<'a> {
    rows: [&'a [Lanes]; 3],
    taps: &'a [Lanes; 9],
    bias: &'a Lanes,
    relu: bool,
}

impl Block<'_> {
    /// `PIXELS` pixels from `x`, which have neighbors on both sides.
    #[inline(always)]
    fn tile<S: Simd, const PIXELS: usize>(&self, simd: S, x: usize, out: &mut [Lanes]) {
        let mut acc = [f32x16::load_array_ref(simd, &self.bias.0); PIXELS];
        for r in 0..3 {
            for k in 0..3 {
                let tap = f32x16::load_array_ref(simd, &self.taps[3 * r + k].0);
                let pixels: &[Lanes; PIXELS] =
                    self.rows[r][x + k - 1..].first_chunk().expect("the pixels of a tile");
                for p in 0..PIXELS {
                    acc[p] = f32x16::load_array_ref(simd, &pixels[p].0).mul_add(tap, acc[p]);
                }
            }
        }
        let out: &mut [Lanes; PIXELS] = out[x..].first_chunk_mut().expect("the pixels of a tile");
        for p in 0..PIXELS {
            self.finished(simd, acc[p]).store_array(&mut out[p].0);
        }
    }

    /// The pixel at an end of the row.
    #[inline(always)]
    fn edge<S: Simd>(&self, simd: S, x: usize, out: &mut [Lanes]) {
        let mut acc = f32x16::load_array_ref(simd, &self.bias.0);
        for r in 0..3 {
            for k in 0..3 {
                if let Some(pixel) = (x + k).checked_sub(1).and_then(|x| self.rows[r].get(x)) {
                    let tap = f32x16::load_array_ref(simd, &self.taps[3 * r + k].0);
                    acc = f32x16::load_array_ref(simd, &pixel.0).mul_add(tap, acc);
                }
            }
        }
        self.finished(simd, acc).store_array(&mut out[x].0);
    }

    #[inline(always)]
    fn finished<S: Simd>(&self, simd: S, value: f32x16<S>) -> f32x16<S> {
        if self.relu { value.max(f32x16::splat(simd, 0.0)) } else { value }
    }
}
