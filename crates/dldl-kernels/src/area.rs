//! Reduction of 8-bit RGB images by area averaging.

use crate::Level;
use crate::level::at_level;
use std::ops::{AddAssign, Range};

/// Number of lines whose sum fits 16 bits.
const NARROW: usize = (u16::MAX / u8::MAX as u16) as usize;

/// Averages over rectangles of pixels: output pixel i of n covers the input pixels
/// `floor(i len / n)..ceil((i + 1) len / n)`, as in PyTorch's
/// `interpolate(mode="area")`. Holds the plan for the columns and buffers that are
/// reused from row to row.
#[derive(Clone, Debug)]
pub struct AreaAverage {
    level: Level,
    /// Columns of the input that are read.
    columns: Range<usize>,
    /// Input columns of each output pixel, relative to the first column read.
    windows: Vec<Range<u32>>,
    narrow: Vec<u16>,
    wide: Vec<u32>,
    /// Sums over all columns before this one.
    before: Vec<[u32; 4]>,
}

impl AreaAverage {
    /// Without a plan; call [`AreaAverage::plan`] first.
    pub fn new() -> Self {
        Self::with_level(Level::detect())
    }

    fn with_level(level: Level) -> Self {
        Self {
            level,
            columns: 0..0,
            windows: Vec::new(),
            narrow: Vec::new(),
            wide: Vec::new(),
            before: Vec::new(),
        }
    }

    /// The input pixels, of `len`, that output pixel `i` of `n` covers.
    pub fn window(i: usize, len: usize, n: usize) -> Range<usize> {
        i * len / n..((i + 1) * len).div_ceil(n)
    }

    /// Plans rows of the output pixels `part` of `n`, from the `len` columns of the
    /// input starting at column `first`.
    ///
    /// # Panics
    /// If `part` is empty or exceeds `n`, or `len` is 0.
    pub fn plan(&mut self, first: usize, len: usize, n: usize, part: Range<usize>) {
        assert!(
            part.start < part.end && part.end <= n && len > 0,
            "area: part is empty or out of range"
        );
        let start = Self::window(part.start, len, n).start;
        let end = Self::window(part.end - 1, len, n).end;
        self.columns = first + start..first + end;
        self.windows.clear();
        self.windows.extend(part.map(|i| {
            let window = Self::window(i, len, n);
            let column = |x: usize| u32::try_from(x - start).expect("columns fit 32 bits");
            column(window.start)..column(window.end)
        }));
    }

    /// Computes one row of the output from the input lines that it covers (three bytes
    /// per pixel): `(mean - offset) * scale` of red, green and blue; the fourth value
    /// is unspecified.
    ///
    /// # Panics
    /// If there are no lines, one is too short for the plan, or `out` does not have the
    /// length of the planned row.
    pub fn row<'a>(
        &mut self,
        lines: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        offset: f32,
        scale: f32,
        out: &mut [[f32; 4]],
    ) {
        assert_eq!(out.len(), self.windows.len(), "area: out is not the planned row");
        assert!(lines.len() > 0, "area: no lines");
        let bytes = 3 * self.columns.start..3 * self.columns.end;
        let count = lines.len();
        let lines = lines.map(|line| &line[bytes.clone()]);
        let Self { level, windows, narrow, wide, before, .. } = self;
        at_level!(*level, _simd => {
            if count <= NARROW {
                add_lines(lines, narrow);
                add_columns(narrow, before);
            } else {
                add_lines(lines, wide);
                add_columns(wide, before);
            }
            average(before, windows, count, offset, scale, out)
        });
    }
}

impl Default for AreaAverage {
    fn default() -> Self {
        Self::new()
    }
}

/// Sums over the lines, with one extra entry so that the last pixel can be read as four
/// numbers.
#[inline(always)]
fn add_lines<'a, T: Copy + From<u8> + AddAssign>(
    mut lines: impl Iterator<Item = &'a [u8]>,
    sums: &mut Vec<T>,
) {
    let Some(first) = lines.next() else { return };
    sums.resize(first.len() + 1, T::from(0));
    for (sum, &v) in sums.iter_mut().zip(first) {
        *sum = T::from(v);
    }
    for line in lines {
        for (sum, &v) in sums.iter_mut().zip(line) {
            *sum += T::from(v);
        }
    }
}

/// Prefix sums over the columns. They may wrap around, which does not affect their
/// differences.
#[inline(always)]
fn add_columns<T: Copy + Into<u32>>(sums: &[T], before: &mut Vec<[u32; 4]>) {
    let columns = sums.len() / 3;
    before.resize(columns + 1, [0; 4]);
    let mut total = [0u32; 4];
    before[0] = total;
    for (x, before) in before[1..].iter_mut().enumerate() {
        let pixel: &[T; 4] = sums[3 * x..].first_chunk().expect("one entry more than pixels");
        for c in 0..4 {
            total[c] = total[c].wrapping_add(pixel[c].into());
        }
        *before = total;
    }
}

#[inline(always)]
fn average(
    before: &[[u32; 4]],
    windows: &[Range<u32>],
    lines: usize,
    offset: f32,
    scale: f32,
    out: &mut [[f32; 4]],
) {
    for (out, window) in out.iter_mut().zip(windows) {
        let (start, end) = (&before[window.start as usize], &before[window.end as usize]);
        let area = (lines * window.len()) as f32;
        for c in 0..4 {
            out[c] = (end[c].wrapping_sub(start[c]) as f32 / area - offset) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_overlap_as_in_pytorch() {
        // torch.nn.functional.interpolate(torch.arange(5.).view(1,1,1,5), size=(1,3), mode="area")
        // gives 0.5, 2.0, 3.5.
        let line: Vec<u8> = (0..5u8).flat_map(|v| [v; 3]).collect();
        let mut area = AreaAverage::new();
        area.plan(0, 5, 3, 0..3);
        let mut out = [[0.0; 4]; 3];
        area.row([&line[..]].into_iter(), 0.0, 1.0, &mut out);
        assert_eq!(out.map(|p| [p[0], p[1], p[2]]), [[0.5; 3], [2.0; 3], [3.5; 3]]);
    }

    proptest! {
        /// Compares every level with the definition, for few and for many lines.
        #[test]
        fn rows_are_means_of_rectangles(
            seed in 1u32..1000,
            first in 0usize..4,
            len in 1usize..60,
            n in 1usize..60,
            lines in prop::sample::select(vec![1, 2, 3, 257, 258, 300]),
            from in 0usize..30,
        ) {
            let from = from.min(n - 1);
            let stride = 3 * (first + len + 1);
            let bytes: Vec<u8> = (0..lines * stride)
                .map(|i| if seed == 1 { 255 } else { (i as u32 * 7919 % seed) as u8 })
                .collect();
            for level in Level::available() {
                let mut area = AreaAverage::with_level(level);
                area.plan(first, len, n, from..n);
                let mut out = vec![[0.0; 4]; n - from];
                area.row(bytes.chunks(stride), 10.0, 0.5, &mut out);
                for (i, out) in (from..n).zip(&out) {
                    for c in 0..3 {
                        let window = AreaAverage::window(i, len, n);
                        let count = (window.len() * lines) as f32;
                        let sum: u64 = bytes
                            .chunks(stride)
                            .flat_map(|line| {
                                window.clone().map(|x| u64::from(line[3 * (first + x) + c]))
                            })
                            .sum();
                        prop_assert_eq!(out[c], (sum as f32 / count - 10.0) * 0.5);
                    }
                }
            }
        }
    }
}
