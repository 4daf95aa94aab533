//! Convolution in 8-bit integers: unsigned activations, signed weights and sums in 32
//! bits, requantized in f32. Forward only, 3x3, stride 1, padding 1. The caller supplies
//! the scales.
//!
//! The layout of activations is `[height + 2][width + 1][channels]`. Row 0, the last row
//! and column 0 of every row are border; the right border of a row is column 0 of the
//! next one. A few unused bytes follow ([`enclosed_len`]). In this layout, the bytes that
//! a row of three taps reads for one output pixel are contiguous, `3 channels` of them,
//! and start `channels` later for the next pixel. They are multiplied in groups of four (a
//! *quad*); excess bytes of the last quad meet zero weights. So any number of channels is
//! possible, also the three of an RGB image.
//!
//! The output is computed in *strips* of two rows by several columns of pixels and 16 or
//! 32 output channels, whose sums stay in registers over all taps and input channels. One
//! function per [`Isa`] computes the sums of a strip; they are exact, hence equal for all.
//! `finish` converts them to activations in f32 without fused operations, with the same
//! result on every processor.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
mod finish;
mod isa;
mod panel;
mod strip;
#[cfg(test)]
mod tests;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

use rayon::prelude::*;

use panel::Panel;
use strip::{STRIP, Strips};

pub use aligned::Aligned;
pub use finish::Activation;
pub use isa::Isa;

/// Approximate number of input bytes in a band of rows: the band stays in the
/// second-level cache while the panels of weights stream through it.
const BAND_BYTES: usize = 256 * 1024;

/// Length of a buffer of activations with border, see the [module](self).
pub fn enclosed_len(channels: usize, height: usize, width: usize) -> usize {
    let slack = 4 * panel::quads(channels) - 3 * channels;
    ((height + 2) * (width + 1) + 1) * channels + slack
}

/// Copies `pixels` (`[height][width][channels]`), or their mirror image, to `output` and
/// surrounds them with a border of the given value per channel.
///
/// # Panics
/// If `pixels` has another shape or `output` is shorter than [`enclosed_len`].
pub fn enclose(pixels: &[u8], width: usize, border: &[u8], mirrored: bool, output: &mut [u8]) {
    let channels = border.len();
    let row = width * channels;
    assert!(pixels.len().is_multiple_of(row), "int8: pixels are not [height][width][channels]");
    let height = pixels.len() / row;
    let len = enclosed_len(channels, height, width);
    let fill = |part: &mut [u8]| {
        part.chunks_mut(channels).for_each(|p| p.copy_from_slice(&border[..p.len()]));
    };
    let (top, rest) = output[..len].split_at_mut(row + channels);
    let (middle, bottom) = rest.split_at_mut(height * (row + channels));
    fill(top);
    fill(bottom);
    for (to, from) in middle.chunks_exact_mut(row + channels).zip(pixels.chunks_exact(row)) {
        let (left, to) = to.split_at_mut(channels);
        left.copy_from_slice(border);
        if mirrored {
            let pixels = from.chunks_exact(channels).rev();
            to.chunks_exact_mut(channels).zip(pixels).for_each(|(t, f)| t.copy_from_slice(f));
        } else {
            to.copy_from_slice(from);
        }
    }
}

/// A 3x3 convolution with stride 1 and padding 1, fused with scaling, ReLU and optional
/// 2x2 max pooling: `max(0, multiplier[o] sum + offset[o])`.
#[derive(Clone, Debug)]
pub struct Conv3x3 {
    isa: Isa,
    channels: usize,
    outputs: usize,
    pool: bool,
    panels: Vec<Panel>,
}

impl Conv3x3 {
    /// Packs `weight` (`[outputs][channels][3][3]`).
    ///
    /// # Panics
    /// If the length of a slice is wrong, a dimension is zero, there are more than 4096
    /// channels (whose sums could overflow), a multiplier is not positive, or the
    /// processor does not support `isa`.
    pub fn new(
        isa: Isa,
        weight: &[i8],
        channels: usize,
        multiplier: &[f32],
        offset: &[f32],
        pool: bool,
    ) -> Self {
        assert!(isa.is_available(), "int8: this processor does not support {isa}");
        assert!((1..=4096).contains(&channels), "int8: {channels} channels, expected 1 to 4096");
        let outputs = offset.len();
        assert_eq!(weight.len(), outputs * channels * 9, "int8: weight is not [out, in, 3, 3]");
        assert_eq!(multiplier.len(), outputs, "int8: expected one multiplier per channel");
        // Pooling takes the maximum of the sums, before scaling.
        assert!(multiplier.iter().all(|&m| m > 0.0), "int8: multipliers must be positive");
        let panels = Panel::all(isa, weight, channels, multiplier, offset);
        Self { isa, channels, outputs, pool, panels }
    }

    /// Number of input channels.
    pub fn input_channels(&self) -> usize {
        self.channels
    }

    /// Number of output channels.
    pub fn output_channels(&self) -> usize {
        self.outputs
    }

    /// Height and width of the output for an input of `height` x `width`.
    pub fn output_size(&self, height: usize, width: usize) -> (usize, usize) {
        if self.pool { (height / 2, width / 2) } else { (height, width) }
    }

    /// Size of the packed weights in bytes.
    pub fn bytes(&self) -> usize {
        let of = |p: &Panel| p.bytes.len() + 2 * p.words.len() + 8 * p.width;
        self.panels.iter().map(of).sum()
    }

    /// Computes the convolution; input and output have the layout described in the
    /// [module](self). Sets the output's border to zero. With more than one thread, the
    /// work is divided accordingly and done by the current Rayon pool; the result does
    /// not depend on the number of threads.
    ///
    /// # Panics
    /// If height or width is odd or zero, or a slice is shorter than [`enclosed_len`].
    pub fn forward<T: Activation>(
        &self,
        input: &[u8],
        height: usize,
        width: usize,
        output: &mut [T],
        threads: usize,
    ) {
        assert!(height > 0 && height.is_multiple_of(2), "int8: height {height} is zero or odd");
        assert!(width > 0 && width.is_multiple_of(2), "int8: width {width} is zero or odd");
        let input = &input[..enclosed_len(self.channels, height, width)];
        let (out_height, out_width) = self.output_size(height, width);
        let (output, _) = output.split_at_mut(enclosed_len(self.outputs, out_height, out_width));
        let out_row = (out_width + 1) * self.outputs;
        let (top, rest) = output.split_at_mut(out_row);
        let (rows, bottom) = rest.split_at_mut(out_height * out_row);
        top.fill(T::ZERO);
        bottom.fill(T::ZERO);

        let row = (width + 1) * self.channels;
        let pairs = height / 2;
        let band = (BAND_BYTES / (2 * row)).min(pairs.div_ceil(2 * threads)).max(1);
        let pair = out_height / pairs * out_row;
        let band_of = |(i, rows): (usize, &mut [T])| {
            self.band(&input[2 * i * band * row..], width, rows, pair);
        };
        if threads == 1 {
            rows.chunks_mut(band * pair).enumerate().for_each(band_of);
        } else {
            rows.par_chunks_mut(band * pair).enumerate().for_each(band_of);
        }
    }

    /// Computes a band of rows: `rows` consists of pieces of length `pair`, one per pair
    /// of input rows, and `input` starts with the row above the first one.
    fn band<T: Activation>(&self, input: &[u8], width: usize, rows: &mut [T], pair: usize) {
        let row = (width + 1) * self.channels;
        let out_row = if self.pool { pair } else { pair / 2 };
        rows.chunks_exact_mut(out_row).for_each(|row| row[..self.outputs].fill(T::ZERO));
        let mut sums = Sums([0; STRIP]);
        for (i, panel) in self.panels.iter().enumerate() {
            let first = i * self.panels[0].width;
            let strips = Strips::new(self.isa, panel, self.channels, width);
            for (y, out) in rows.chunks_exact_mut(pair).enumerate() {
                let mut x = 0;
                while x < width {
                    let columns;
                    (x, columns) = strips.at(x);
                    let sums = &mut sums.0[..2 * columns * panel.width];
                    strips.sum(&input[2 * y * row + x * self.channels..], row, columns, sums);
                    let place = Place { x, first, outputs: self.outputs, row: out_row };
                    finish::finish(self.isa.level(), sums, panel, self.pool, out, place);
                    x += columns;
                }
            }
        }
    }
}

/// The sums of a strip, `[2][columns][panel's width]`, aligned to a cache line.
#[repr(align(64))]
struct Sums([i32; STRIP]);

/// The position of a strip's activations in the output of a pair of rows.
#[derive(Clone, Copy)]
struct Place {
    /// The strip's first column, before pooling.
    x: usize,
    /// The panel's first channel.
    first: usize,
    /// Number of channels of the output.
    outputs: usize,
    /// Distance between output rows.
    row: usize,
}
