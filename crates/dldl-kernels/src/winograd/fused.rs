//! A network's first two convolutions in one: the rows of the first go no
//! further than the second-level cache, where the second takes them up. At
//! 224x224 pixels they would else be most of all bytes that go through memory.

use fearless_simd::Simd;

use super::{Conv3x3, Scratch};
use crate::StemConv;
use crate::level::at_level;
use crate::planes::{Lanes, Planes};

impl Conv3x3 {
    /// [`StemConv::forward`] and then [`Conv3x3::forward`]: `picture` as the
    /// one takes it, `output` and `scratch` as the other.
    ///
    /// # Panics
    /// If a buffer is too short, there is no scratch, or the two convolutions
    /// do not fit each other.
    pub fn forward_with_stem(
        &self,
        stem: &StemConv,
        picture: &[f32],
        height: usize,
        width: usize,
        output: &mut [Lanes],
        scratch: &mut [Scratch],
    ) {
        assert_eq!(stem.output_channels(), self.cin, "conv3x3: it does not take the stem's output");
        assert!(picture.len() >= stem.picture_len(height, width), "stem: the picture is too short");
        let from = Planes { channels: self.cin, height, width };
        let to = self.output_planes(height, width);
        let output_stride = self.tile_height() * to.row_stride();
        self.bands(from, to, output, scratch, |rows, output, scratch| {
            let rows_a_strip = self.rows_a_step(from, rows.len());
            let mut strip = std::mem::take(&mut scratch.strip);
            let size = (rows_a_strip * self.winograd.side() + 2) * from.row_stride();
            if strip.len() < size {
                strip.resize(size, Lanes::default());
            }
            let strip_rows = &mut strip[..size];
            let output = output.chunks_mut(rows_a_strip * output_stride);
            for (first, output) in rows.clone().step_by(rows_a_strip).zip(output) {
                let taken = rows_a_strip.min(rows.end - first);
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

/// The stem's rows from the one above row `first` to the end of the strip. If the strip goes on where it ended, its last two rows are the
/// first two now.
#[inline(always)]
fn fill<S: Simd>(
    s: S,
    stem: &StemConv,
    picture: &[f32],
    planes: Planes,
    first: usize,
    goes_on: bool,
    strip: &mut [Lanes],
) {
    let stride = planes.row_stride();
    let known = if goes_on { 2 } else { 0 };
    strip.copy_within(strip.len() - known * stride.., 0);
    for (i, row) in strip.chunks_exact_mut(stride).enumerate().skip(known) {
        // The strip's row 0 is the picture's row -1.
        match (first + i).checked_sub(1) {
            Some(y) if y < planes.height => {
                planes.clear_sides(row);
                stem.row(s, &picture[y * stem.row_stride(planes.width)..], &planes, row);
            }
            _ => row.fill(Lanes::default()),
        }
    }
}
