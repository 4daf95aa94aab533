//! The first two convolutions of a network, fused: the second one reads the rows of the
//! first from the second-level cache. At 224x224 pixels, these rows would otherwise be
//! most of the memory traffic.

use fearless_simd::Simd;

use super::{Conv3x3, Scratch};
use crate::StemConv;
use crate::level::at_level;
use crate::planes::{Lanes, Planes};

impl Conv3x3 {
    /// [`StemConv::forward`] followed by [`Conv3x3::forward`]: `picture` is the input of
    /// the first, `output` and `scratch` are those of the second.
    ///
    /// # Panics
    /// If a buffer is too short, `scratch` is empty, or the stem's output channels are not
    /// the convolution's input channels.
    pub fn forward_with_stem(
        &self,
        stem: &StemConv,
        picture: &[f32],
        height: usize,
        width: usize,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
    ) {
        assert_eq!(stem.output_channels(), self.cin, "conv3x3: the stem has other channels");
        assert!(picture.len() >= stem.picture_len(height, width), "stem: picture too short");
        let from = Planes { channels: self.cin, height, width };
        let to = self.output_planes(height, width);
        let output_stride = self.tile_height() * to.row_stride();
        self.bands(from, to, output, scratch, |rows, output, scratch| {
            let rows_per_strip = self.rows_per_step(from, rows.len());
            let mut strip = std::mem::take(&mut scratch.strip);
            let size = (rows_per_strip * self.winograd.side() + 2) * from.row_stride();
            if strip.len() < size {
                strip.resize(size, Lanes::default());
            }
            let strip_rows = &mut strip[..size];
            let output = output.chunks_mut(rows_per_strip * output_stride);
            for (first, output) in rows.clone().step_by(rows_per_strip).zip(output) {
                let taken = rows_per_strip.min(rows.end - first);
                at_level!(self.level, simd => {
                    let row = first * self.winograd.side();
                    fill(simd, stem, picture, from, row, first > rows.start, strip_rows);
                    self.band(simd, strip_rows, from, to, taken, output, scratch);
                });
            }
            scratch.strip = strip;
        });
    }
}

/// Computes the stem's rows from the one above row `first` to the end of the strip. If
/// the strip continues the previous one, its first two rows are the previous last two.
#[inline(always)]
fn fill<S: Simd>(
    s: S,
    stem: &StemConv,
    picture: &[f32],
    planes: Planes,
    first: usize,
    continues: bool,
    strip: &mut [Lanes],
) {
    let stride = planes.row_stride();
    let known = if continues { 2 } else { 0 };
    strip.copy_within(strip.len() - known * stride.., 0);
    for (i, row) in strip.chunks_exact_mut(stride).enumerate().skip(known) {
        // Row 0 of the strip is row -1 of the picture for `first` 0.
        match (first + i).checked_sub(1) {
            Some(y) if y < planes.height => {
                planes.clear_sides(row);
                stem.row(s, &picture[y * stem.row_stride(planes.width)..], &planes, row);
            }
            _ => row.fill(Lanes::default()),
        }
    }
}
