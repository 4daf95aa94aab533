//! Network inputs from the picture: area averaging of the whole picture or a
//! part of it, and the sizes of the detection pyramid.

use crate::Picture;
use std::ops::Range;

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Part {
    pub(crate) fn whole(picture: &Picture) -> Self {
        Self { x: 0, y: 0, width: picture.width, height: picture.height }
    }
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

/// `part` of the picture as `[3, rows.len(), width]` values `(v - 127.5) / 128`:
/// the given rows of its area average at `width` x `height` pixels.
///
/// Output pixel i of n averages input pixels floor(i len / n) up to
/// ceil((i + 1) len / n), as PyTorch's `interpolate(mode="area")` does.
pub(crate) fn area(
    picture: &Picture,
    part: Part,
    width: usize,
    height: usize,
    rows: Range<usize>,
) -> Vec<f32> {
    let window = |i: usize, len: usize, n: usize| i * len / n..((i + 1) * len).div_ceil(n);
    let columns: Vec<_> = (0..width).map(|x| window(x, part.width, width)).collect();
    let plane = rows.len() * width;
    let mut out = vec![0.0; 3 * plane];
    let mut sums = vec![0u32; 3 * part.width];
    for (row, y) in rows.enumerate() {
        let lines = window(y, part.height, height);
        let count = lines.len();
        sums.fill(0);
        for line in lines {
            let from = 3 * ((part.y + line) * picture.width + part.x);
            for (sum, &v) in sums.iter_mut().zip(&picture.rgb[from..from + 3 * part.width]) {
                *sum += u32::from(v);
            }
        }
        for (x, column) in columns.iter().enumerate() {
            let mut total = [0u32; 3];
            for pixel in sums[3 * column.start..3 * column.end].as_chunks::<3>().0 {
                for c in 0..3 {
                    total[c] += pixel[c];
                }
            }
            let area = (count * column.len()) as f32;
            for c in 0..3 {
                out[c * plane + row * width + x] = (total[c] as f32 / area - 127.5) * 0.0078125;
            }
        }
    }
    out
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
    fn area_windows_overlap_as_pytorchs_do() {
        // torch.nn.functional.interpolate(torch.arange(5.).view(1,1,1,5), size=(1,3), mode="area")
        // gives 0.5, 2.0, 3.5.
        let rgb = (0..5u8).flat_map(|v| [v; 3]).collect();
        let picture = Picture::new(5, 1, rgb).unwrap();
        let out = area(&picture, Part::whole(&picture), 3, 1, 0..1);
        let back: Vec<f32> = out.iter().map(|v| v * 128.0 + 127.5).collect();
        assert_eq!(back, [0.5, 2.0, 3.5].repeat(3));
    }

    #[test]
    fn rows_of_a_part_are_those_of_the_whole_result() {
        let rgb = (0..3 * 31 * 23u32).map(|i| (i * 37 % 251) as u8).collect();
        let picture = Picture::new(31, 23, rgb).unwrap();
        let part = Part { x: 3, y: 2, width: 20, height: 19 };
        let all = area(&picture, part, 7, 9, 0..9);
        let some = area(&picture, part, 7, 9, 4..6);
        for c in 0..3 {
            assert_eq!(some[c * 14..(c + 1) * 14], all[c * 63 + 28..c * 63 + 42]);
        }
    }
}
