//! Network inputs from the picture: area averages of the whole picture or a
//! part of it, and the sizes of the detection pyramid.

use crate::Picture;
use crate::nets::Color;
use dldl_kernels::AreaAverage;
use std::ops::Range;

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The scales at which faces from `min_face` pixels on are 12 pixels large or
/// more, each `factor` times the one before, down to where the picture itself
/// is no larger than that.
pub(crate) fn scales(width: usize, height: usize, min_face: f64, factor: f64) -> Vec<f64> {
    const WINDOW: f64 = 12.0;
    let mut scale = WINDOW / min_face;
    let mut side = width.min(height) as f64 * scale;
    let mut scales = Vec::new();
    while side >= WINDOW {
        scales.push(scale);
        scale *= factor;
        side *= factor;
    }
    scales
}

/// Makes network inputs, `(v - 127.5) / 128` of the area average; holds the
/// memory for it.
#[derive(Debug, Default)]
pub(crate) struct Reduction(AreaAverage);

impl Reduction {
    /// The given rows and columns of the whole picture reduced to `size` (width
    /// and height), instead of what `out` held.
    pub(crate) fn whole(
        &mut self,
        picture: &Picture,
        size: (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut Vec<Color>,
    ) {
        let whole = Part { x: 0, y: 0, width: picture.width(), height: picture.height() };
        out.resize(rows.len() * columns.len(), Color::default());
        self.rows(picture, whole, size, rows, columns, out);
    }

    /// A part of the picture at `size` x `size` pixels, behind what is in `out`.
    pub(crate) fn append(
        &mut self,
        picture: &Picture,
        part: Part,
        size: usize,
        out: &mut Vec<Color>,
    ) {
        let from = out.len();
        out.resize(from + size * size, Color::default());
        self.rows(picture, part, (size, size), 0..size, 0..size, &mut out[from..]);
    }

    fn rows(
        &mut self,
        picture: &Picture,
        part: Part,
        (width, height): (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut [Color],
    ) {
        self.0.plan(part.x, part.width, width, columns.clone());
        let stride = 3 * picture.width();
        for (y, out) in rows.zip(out.chunks_exact_mut(columns.len())) {
            let lines = AreaAverage::window(y, part.height, height);
            let lines = &picture.rgb()[(part.y + lines.start) * stride..][..lines.len() * stride];
            self.0.row(lines.chunks_exact(stride), 127.5, 0.0078125, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_of_a_small_picture() {
        // 100 * 0.6 = 60, 42.5, 30.2, 21.4, 15.2, then 10.7 < 12.
        assert_eq!(scales(300, 100, 20.0, 0.709).len(), 5);
        assert!(scales(19, 400, 20.0, 0.709).is_empty());
    }

    #[test]
    fn a_part_of_the_result_is_that_part() {
        let rgb = (0..3 * 31 * 23u32).map(|i| (i * 37 % 251) as u8).collect();
        let picture = Picture::new(31, 23, rgb).unwrap();
        let mut reduction = Reduction::default();
        let (mut all, mut some) = (Vec::new(), Vec::new());
        reduction.whole(&picture, (9, 7), 0..7, 0..9, &mut all);
        reduction.whole(&picture, (9, 7), 4..6, 2..8, &mut some);
        for y in 0..2 {
            for x in 0..6 {
                // The fourth value means nothing.
                assert_eq!(some[6 * y + x][..3], all[9 * (y + 4) + x + 2][..3]);
            }
        }
    }

    #[test]
    fn parts_are_appended() {
        let rgb = (0..3 * 40 * 30u32).map(|i| (i * 37 % 251) as u8).collect();
        let picture = Picture::new(40, 30, rgb).unwrap();
        let mut out = vec![[9.0; 4]];
        Reduction::default().append(
            &picture,
            Part { x: 3, y: 2, width: 2, height: 2 },
            2,
            &mut out,
        );
        assert_eq!(out.len(), 5);
        for (i, color) in out[1..].iter().enumerate() {
            let expected =
                picture.pixel(3 + i % 2, 2 + i / 2).map(|v| (f32::from(v) - 127.5) / 128.0);
            assert_eq!(color[..3], expected);
        }
    }
}
