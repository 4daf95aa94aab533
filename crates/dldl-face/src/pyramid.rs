//! Network inputs from the picture: area averages of the whole picture or of a
//! rectangle in it.

use crate::Picture;
use crate::nets::NormalizedPixel;
use dldl_kernels::AreaAverage;
use std::ops::Range;

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PixelRect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// Downscales to network inputs, `(v - 127.5) / 128` of the area average. Holds
/// the working memory.
#[derive(Debug, Default)]
pub(crate) struct Downscaler(AreaAverage);

impl Downscaler {
    /// The given rows and columns of the whole picture downscaled to `size` (width
    /// and height). Replaces the contents of `out`.
    #[cfg(feature = "mtcnn")]
    pub(crate) fn whole(
        &mut self,
        picture: &Picture,
        size: (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut Vec<NormalizedPixel>,
    ) {
        let whole = PixelRect { x: 0, y: 0, width: picture.width(), height: picture.height() };
        out.resize(rows.len() * columns.len(), NormalizedPixel::default());
        self.rows(picture, whole, size, rows, columns, out);
    }

    /// Appends a rectangle of the picture, downscaled to `size` x `size` pixels, to
    /// `out`.
    pub(crate) fn append(
        &mut self,
        picture: &Picture,
        rect: PixelRect,
        size: usize,
        out: &mut Vec<NormalizedPixel>,
    ) {
        let from = out.len();
        out.resize(from + size * size, NormalizedPixel::default());
        self.rows(picture, rect, (size, size), 0..size, 0..size, &mut out[from..]);
    }

    fn rows(
        &mut self,
        picture: &Picture,
        rect: PixelRect,
        (width, height): (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut [NormalizedPixel],
    ) {
        self.0.plan(rect.x, rect.width, width, columns.clone());
        let stride = 3 * picture.width();
        for (y, out) in rows.zip(out.chunks_exact_mut(columns.len())) {
            let lines = AreaAverage::window(y, rect.height, height);
            let lines = &picture.rgb()[(rect.y + lines.start) * stride..][..lines.len() * stride];
            self.0.row(lines.chunks_exact(stride), 127.5, 0.0078125, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "mtcnn")]
    #[test]
    fn a_tile_equals_that_region_of_the_whole() {
        let rgb = (0..3 * 31 * 23u32).map(|i| (i * 37 % 251) as u8).collect();
        let picture = Picture::new(31, 23, rgb).unwrap();
        let mut downscaler = Downscaler::default();
        let (mut all, mut some) = (Vec::new(), Vec::new());
        downscaler.whole(&picture, (9, 7), 0..7, 0..9, &mut all);
        downscaler.whole(&picture, (9, 7), 4..6, 2..8, &mut some);
        for y in 0..2 {
            for x in 0..6 {
                // The fourth value is unused.
                assert_eq!(some[6 * y + x][..3], all[9 * (y + 4) + x + 2][..3]);
            }
        }
    }

    #[test]
    fn append_keeps_existing_pixels() {
        let rgb = (0..3 * 40 * 30u32).map(|i| (i * 37 % 251) as u8).collect();
        let picture = Picture::new(40, 30, rgb).unwrap();
        let mut out = vec![[9.0; 4]];
        Downscaler::default().append(
            &picture,
            PixelRect { x: 3, y: 2, width: 2, height: 2 },
            2,
            &mut out,
        );
        assert_eq!(out.len(), 5);
        for (i, pixel) in out[1..].iter().enumerate() {
            let expected =
                picture.pixel(3 + i % 2, 2 + i / 2).map(|v| (f32::from(v) - 127.5) / 128.0);
            assert_eq!(pixel[..3], expected);
        }
    }
}
