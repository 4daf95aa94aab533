//! Convolution in 8-bit integers: unsigned activations, signed weights, sums in
//! 32 bits, and the way back to activations in f32. Forward only, 3x3, stride
//! 1, padding 1. How scales are found is `dldl-net`'s business.
//!
//! Activations lie channels innermost: `[height + 2][width + 1][channels]`, row
//! 0 and the last row being border, and so column 0 of every row; a row's right
//! border is the next row's column 0. Behind it all is a little slack
//! ([`enclosed_len`]). In this layout the bytes that a row of three taps needs
//! for one output pixel are neighbors, `3 channels` of them, and beginning
//! `channels` further for the next pixel. They are multiplied in groups of four
//! (a *quad*), and the last quad's superfluous bytes by weights of zero: so any
//! number of channels will do, and three of a picture as it is.
//!
//! The work is cut into *strips*: two rows by a few columns of output pixels
//! and 16 or 32 output channels, whose sums stay in registers while the taps
//! and input channels are gone through. One function per [`Isa`] computes a
//! strip's sums; since they are exact, all give the same. `finish` makes
//! activations of them, in f32 without fused operations, the same everywhere.

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

/// Bytes of input that a band of rows has, about: it stays in a second-level
/// cache while the panels of weights go by.
const BAND_BYTES: usize = 256 * 1024;

/// Length of activations with their border, see the [module](self).
pub fn enclosed_len(channels: usize, height: usize, width: usize) -> usize {
    let slack = 4 * panel::quads(channels) - 3 * channels;
    ((height + 2) * (width + 1) + 1) * channels + slack
}

/// Copies `pixels` (`[height][width][channels]`), or their mirror image, into
/// `output`, with a border of the given value per channel.
///
/// # Panics
/// If `pixels` does not fit the shape or `output` is shorter than [`enclosed_len`].
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

/// A 3x3 convolution, stride 1, padding 1, with scaling, ReLU and maybe a 2x2
/// max pool: `max(0, multiplier[o] sum + offset[o])`.
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
    /// If a slice's length does not fit, a dimension is zero or too large (more
    /// than 4096 channels, whose sums could overflow), a multiplier is not
    /// positive, or the processor does not have `isa`.
    pub fn new(
        isa: Isa,
        weight: &[i8],
        channels: usize,
        multiplier: &[f32],
        offset: &[f32],
        pool: bool,
    ) -> Self {
        assert!(isa.is_available(), "int8: there is no {isa} on this processor");
        assert!((1..=4096).contains(&channels), "int8: {channels} channels");
        let outputs = offset.len();
        assert_eq!(weight.len(), outputs * channels * 9, "int8: weight is not [out, in, 3, 3]");
        assert_eq!(multiplier.len(), outputs, "int8: not a multiplier per channel");
        // Else the largest sum would not give the largest value.
        assert!(multiplier.iter().all(|&m| m > 0.0), "int8: a multiplier is not positive");
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

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        let of = |p: &Panel| p.bytes.len() + 2 * p.words.len() + 8 * p.width;
        self.panels.iter().map(of).sum()
    }

    /// From activations to activations, both as described in the
    /// [module](self); the output's border becomes zero. For more than one thread
    /// the work is cut for so many, and done by the Rayon pool that this is
    /// called in; the result does not depend on them.
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
        assert!(height > 0 && height.is_multiple_of(2), "int8: the height is zero or odd");
        assert!(width > 0 && width.is_multiple_of(2), "int8: the width is zero or odd");
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

    /// Some pairs of rows: `rows` is cut into pieces of length `pair`, each what
    /// becomes of one pair of the input's rows, and `input` begins with the row
    /// above the first.
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

/// The sums of a strip, `[2][columns][panel's width]`, where a cache line begins.
#[repr(align(64))]
struct Sums([i32; STRIP]);

/// Where in a piece of the output a strip's activations go.
#[derive(Clone, Copy)]
struct Place {
    /// The strip's first column, before pooling.
    x: usize,
    /// The panel's first channel, of so many.
    first: usize,
    outputs: usize,
    /// From a row to the next.
    row: usize,
}
