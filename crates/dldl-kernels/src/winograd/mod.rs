//! The 3x3 convolution of the inference engine by Winograd's algorithm: stride 1,
//! padding 1, fused with bias, ReLU and optional 2x2 max pooling. The computation of a
//! band of rows is in `steps`. `docs/engine.md` explains layout, tiling and register
//! blocking.

mod fused;
pub(crate) mod product;
mod scratch;
mod steps;
pub(crate) mod transform;

use fearless_simd::Simd;
use rayon::prelude::*;
use std::ops::Range;

use crate::Level;
use crate::level::at_level;
use crate::planes::{LANES, Lanes, Planes};
use transform::{Four, Two};

pub use scratch::Scratch;

/// Bytes of transformed input and output in a step: they stay in the second-level cache,
/// through which the weights stream.
const STEP_BYTES: usize = 900 * 1024;

/// Largest plane, in pixels, for which [`Winograd::F2`] is faster; measured, see
/// `docs/engine.md`.
const SMALL_PLANE: usize = 8 * 8;

/// Variant of Winograd's algorithm. Results are equal up to rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winograd {
    /// F(4x4, 3x3): 36 multiplications per channel for 4x4 pixels instead of 144.
    F4,
    /// F(2x2, 3x3): 16 multiplications per channel for 2x2 pixels instead of 36.
    F2,
}

impl Winograd {
    /// All variants.
    pub const ALL: [Self; 2] = [Self::F4, Self::F2];

    /// The faster variant for planes of `height` x `width`. On small planes, each weight
    /// is used by few tiles, so loading the weights dominates; F(4x4) has 36 of them per
    /// 3x3 kernel, F(2x2) only 16.
    pub fn for_planes(height: usize, width: usize) -> Self {
        if height * width <= SMALL_PLANE { Self::F2 } else { Self::F4 }
    }

    /// Side length of a tile.
    fn side(self) -> usize {
        match self {
            Self::F4 => 4,
            Self::F2 => 2,
        }
    }

    /// Number of coefficients of a transformed window.
    fn coefficients(self) -> usize {
        (self.side() + 2).pow(2)
    }

    /// [`transform::kernel`] in row-major order.
    fn kernel(self, w: &[f32; 9]) -> Vec<f32> {
        match self {
            Self::F4 => transform::kernel::<Four, 4, 6>(w).as_flattened().to_vec(),
            Self::F2 => transform::kernel::<Two, 2, 4>(w).as_flattened().to_vec(),
        }
    }
}

/// A 3x3 convolution with transformed weights.
#[derive(Clone, Debug)]
pub struct Conv3x3 {
    level: Level,
    winograd: Winograd,
    cout: usize,
    cin: usize,
    pool: bool,
    panels: Vec<Panel>,
    /// `[panel][coefficient][input channel][block of the panel]`
    weights: Vec<Lanes>,
    /// `[block of output channels]`
    bias: Vec<Lanes>,
}

/// One or two blocks of output channels that are computed together.
#[derive(Clone, Copy, Debug)]
struct Panel {
    /// The first of its blocks.
    first: usize,
    blocks: usize,
}

impl Conv3x3 {
    /// Transforms `weight` (`[cout, cin, 3, 3]`) for the level and the
    /// algorithm; `bias` is `[cout]`. With `pool`, 2x2 max pooling follows.
    ///
    /// # Panics
    /// If the length of a slice does not match its shape, or a dimension is zero.
    pub fn new(
        level: Level,
        winograd: Winograd,
        weight: &[f32],
        bias: &[f32],
        (cout, cin): (usize, usize),
        pool: bool,
    ) -> Self {
        assert!(cout > 0 && cin > 0, "conv3x3: a dimension is zero");
        assert_eq!(weight.len(), cout * cin * 9, "conv3x3: weight is not [cout, cin, 3, 3]");
        assert_eq!(bias.len(), cout, "conv3x3: bias is not [cout]");
        let blocks = cout.div_ceil(LANES);
        let most = at_level!(level, simd => panel_limit(simd));
        let panels: Vec<Panel> = (0..blocks)
            .step_by(most)
            .map(|first| Panel { first, blocks: most.min(blocks - first) })
            .collect();
        let coefficients = winograd.coefficients();
        let mut weights = vec![Lanes::default(); coefficients * cin * blocks];
        let (kernels, _) = weight.as_chunks::<9>();
        for panel in &panels {
            let start = panel.first * coefficients * cin;
            for i in 0..cin {
                for channel in 0..(panel.blocks * LANES).min(cout - panel.first * LANES) {
                    let o = panel.first * LANES + channel;
                    let transformed = winograd.kernel(&kernels[o * cin + i]);
                    for (c, value) in transformed.into_iter().enumerate() {
                        let at = start + (c * cin + i) * panel.blocks + channel / LANES;
                        weights[at].0[channel % LANES] = value;
                    }
                }
            }
        }
        let bias = Lanes::blocks(bias);
        Self { level, winograd, cout, cin, pool, panels, weights, bias }
    }

    /// Number of output channels.
    pub fn output_channels(&self) -> usize {
        self.cout
    }

    /// Size of the transformed weights in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Lanes>() * (self.weights.len() + self.bias.len())
    }

    /// The shape of the output for an input of `height` x `width`.
    pub fn output_planes(&self, height: usize, width: usize) -> Planes {
        let full = Planes { channels: self.cout, height, width };
        if self.pool { full.pooled() } else { full }
    }

    /// Computes the convolution from `input`, [`Planes`] of `height` x `width`, to
    /// `output`, laid out as [`Conv3x3::output_planes`] including the border. Uses one
    /// band of rows per element of `scratch`, in parallel; their number does not affect
    /// the result.
    ///
    /// # Panics
    /// If a buffer is too short or `scratch` is empty.
    pub fn forward(
        &self,
        input: &[Lanes],
        height: usize,
        width: usize,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
    ) {
        let from = Planes { channels: self.cin, height, width };
        let to = self.output_planes(height, width);
        assert!(input.len() >= from.size(), "conv3x3: input too short");
        self.bands(from, to, output, scratch, |rows, output, scratch| {
            let input = &input[rows.start * self.winograd.side() * from.row_stride()..];
            at_level!(self.level, simd => {
                self.band(simd, input, from, to, rows.len(), output, scratch);
            });
        });
    }

    /// Calls `work` for each band with its rows of tiles, their rows of the output and
    /// its scratch.
    fn bands(
        &self,
        from: Planes,
        to: Planes,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
        work: impl Fn(Range<usize>, &mut [Lanes], &mut Scratch) + Sync,
    ) {
        let output = to.rows(output);
        if output.is_empty() {
            return;
        }
        let rows = from.height.div_ceil(self.winograd.side());
        let rows_per_band = rows.div_ceil(scratch.len());
        let band = rows_per_band * self.tile_height() * to.row_stride();
        let work = |(b, (output, scratch)): (usize, (&mut [Lanes], &mut Scratch))| {
            let first = b * rows_per_band;
            work(first..(first + rows_per_band).min(rows), output, scratch);
        };
        if let [scratch] = scratch {
            work((0, (output, scratch)));
        } else {
            let bands = output.par_chunks_mut(band).zip(scratch.par_iter_mut());
            bands.enumerate().for_each(work);
        }
    }

    /// Number of output rows per row of tiles.
    fn tile_height(&self) -> usize {
        if self.pool { self.winograd.side() / 2 } else { self.winograd.side() }
    }

    /// Number of rows of tiles per step.
    fn rows_per_step(&self, from: Planes, rows: usize) -> usize {
        let blocks = from.blocks() + self.panels[0].blocks;
        let columns = from.width.div_ceil(self.winograd.side());
        let bytes_per_row = self.winograd.coefficients() * columns * blocks * size_of::<Lanes>();
        let steps = rows.div_ceil((STEP_BYTES / bytes_per_row).max(1));
        rows.div_ceil(steps)
    }
}

/// [`product::panel_limit`] for the token's type.
fn panel_limit<S: Simd>(_: S) -> usize {
    product::panel_limit::<S>()
}

#[cfg(test)]
mod tests;
