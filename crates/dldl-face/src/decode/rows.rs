//! Rows of decoded samples to 8-bit sRGB: color conversion, blending with white, and
//! averaging over squares of pixels where a picture is decoded at reduced size.

use super::color::{Color, Converter};

/// The samples of a pixel, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Layout {
    pub fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    pub fn is_gray(self) -> bool {
        matches!(self, Self::Gray | Self::GrayAlpha)
    }

    fn has_alpha(self) -> bool {
        matches!(self, Self::GrayAlpha | Self::Rgba)
    }
}

/// Collects the rows of a picture, top to bottom.
pub(super) struct Rows {
    width: usize,
    height: usize,
    layout: Layout,
    converter: Converter,
    /// Pixels are averaged over squares of this side.
    reduction: usize,
    rgb: Vec<u8>,
    /// The current row without alpha, as RGB, and its alpha.
    line: Vec<u8>,
    colors8: Vec<u8>,
    colors16: Vec<u16>,
    converted16: Vec<u16>,
    /// Sums over the columns of the squares, and the number of rows in them.
    sums: Vec<u32>,
    summed: usize,
    rows: usize,
}

impl Rows {
    pub fn new(
        width: usize,
        height: usize,
        layout: Layout,
        color: &Color,
        reduction: usize,
    ) -> Self {
        let out = width.div_ceil(reduction) * height.div_ceil(reduction);
        Self {
            width,
            height,
            layout,
            converter: Converter::new(color, layout.is_gray()),
            reduction,
            rgb: Vec::with_capacity(3 * out),
            line: vec![0; 3 * width],
            colors8: Vec::new(),
            colors16: Vec::new(),
            converted16: Vec::new(),
            sums: if reduction > 1 { vec![0; 3 * width.div_ceil(reduction)] } else { Vec::new() },
            summed: 0,
            rows: 0,
        }
    }

    /// A row of 8-bit samples.
    pub fn push8(&mut self, row: &[u8]) {
        assert_eq!(row.len(), self.width * self.layout.channels(), "the samples of a row");
        let layout = self.layout;
        let colors = if layout.is_gray() { 1 } else { 3 };
        let mut line = std::mem::take(&mut self.line);
        if layout == Layout::Rgb && !self.converter.converts8() {
            line.copy_from_slice(row);
        } else if !layout.has_alpha() && self.converter.converts8() {
            self.converter.convert8(row, &mut line);
        } else {
            self.colors8.clear();
            for pixel in row.chunks_exact(layout.channels()) {
                self.colors8.extend_from_slice(&pixel[..colors]);
            }
            if self.converter.converts8() {
                self.converter.convert8(&self.colors8, &mut line);
            } else if colors == 1 {
                for (to, &v) in line.chunks_exact_mut(3).zip(&self.colors8) {
                    to.fill(v);
                }
            } else {
                line.copy_from_slice(&self.colors8);
            }
        }
        if layout.has_alpha() {
            let alphas = row.iter().skip(colors).step_by(layout.channels());
            for (pixel, &alpha) in line.chunks_exact_mut(3).zip(alphas) {
                blend(pixel, alpha);
            }
        }
        self.add(&line);
        self.line = line;
    }

    /// A row of 16-bit samples.
    pub fn push16(&mut self, row: &[u16]) {
        assert_eq!(row.len(), self.width * self.layout.channels(), "the samples of a row");
        let layout = self.layout;
        let colors = if layout.is_gray() { 1 } else { 3 };
        self.colors16.clear();
        for pixel in row.chunks_exact(layout.channels()) {
            self.colors16.extend_from_slice(&pixel[..colors]);
        }
        let mut line = std::mem::take(&mut self.line);
        if self.converter.converts16() {
            self.converted16.resize(3 * self.width, 0);
            self.converter.convert16(&self.colors16, &mut self.converted16);
            for (to, &v) in line.iter_mut().zip(&self.converted16) {
                *to = to_8_bits(v);
            }
        } else {
            for (to, from) in line.chunks_exact_mut(3).zip(self.colors16.chunks_exact(colors)) {
                for c in 0..3 {
                    to[c] = to_8_bits(from[c % colors]);
                }
            }
        }
        if layout.has_alpha() {
            let alphas = row.iter().skip(colors).step_by(layout.channels());
            for (pixel, &alpha) in line.chunks_exact_mut(3).zip(alphas) {
                blend(pixel, to_8_bits(alpha));
            }
        }
        self.add(&line);
        self.line = line;
    }

    /// All rows at once. RGB that needs no conversion is taken as it is.
    pub fn push_all8(&mut self, samples: Vec<u8>) {
        let whole = 3 * self.width * self.height;
        if self.layout == Layout::Rgb
            && self.reduction == 1
            && !self.converter.converts8()
            && self.rows == 0
            && samples.len() == whole
        {
            self.rgb = samples;
            self.rows = self.height;
            return;
        }
        for row in samples.chunks_exact(self.width * self.layout.channels()).take(self.height) {
            self.push8(row);
        }
    }

    fn add(&mut self, line: &[u8]) {
        self.rows += 1;
        if self.reduction == 1 {
            self.rgb.extend_from_slice(line);
            return;
        }
        for (sums, cell) in self.sums.chunks_exact_mut(3).zip(line.chunks(3 * self.reduction)) {
            for pixel in cell.chunks_exact(3) {
                for c in 0..3 {
                    sums[c] += u32::from(pixel[c]);
                }
            }
        }
        self.summed += 1;
        if self.summed == self.reduction || self.rows == self.height {
            for (x, sums) in self.sums.chunks_exact_mut(3).enumerate() {
                let columns = self.reduction.min(self.width - x * self.reduction);
                let count = (columns * self.summed) as u32;
                self.rgb.extend(sums.iter().map(|&sum| ((sum + count / 2) / count) as u8));
                sums.fill(0);
            }
            self.summed = 0;
        }
    }

    /// Width, height and RGB bytes of the picture; `None` if rows are missing.
    pub fn finish(self) -> Option<(usize, usize, Vec<u8>)> {
        let size = (self.width.div_ceil(self.reduction), self.height.div_ceil(self.reduction));
        (self.rows == self.height).then_some((size.0, size.1, self.rgb))
    }
}

fn to_8_bits(value: u16) -> u8 {
    ((u32::from(value) + 128) / 257) as u8
}

/// Blends a pixel with white.
fn blend(pixel: &mut [u8], alpha: u8) {
    if alpha == 255 {
        return;
    }
    let alpha = u16::from(alpha);
    for value in pixel {
        *value = ((u16::from(*value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
    }
}

/// The picture turned upright, from its EXIF orientation, 1 to 8.
pub(super) fn upright(
    (width, height, rgb): (usize, usize, Vec<u8>),
    orientation: u8,
) -> (usize, usize, Vec<u8>) {
    let (w, h) = (width as isize, height as isize);
    // The pixel of the result's first one, and the steps to the right and down from it.
    let (mut start, right, down) = match orientation {
        2 => (w - 1, -1, w),
        3 => (w * h - 1, -1, -w),
        4 => (w * (h - 1), 1, -w),
        5 => (0, w, 1),
        6 => (w * (h - 1), -w, 1),
        7 => (w * h - 1, -w, -1),
        8 => (w - 1, w, -1),
        _ => return (width, height, rgb),
    };
    let (width, height) = if orientation < 5 { (width, height) } else { (height, width) };
    let mut turned = Vec::with_capacity(rgb.len());
    for _ in 0..height {
        let mut at = start;
        for _ in 0..width {
            turned.extend_from_slice(&rgb[3 * at as usize..][..3]);
            at += right;
        }
        start += down;
    }
    (width, height, turned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_averaged_up_to_the_borders() {
        let mut rows = Rows::new(3, 3, Layout::Gray, &Color::Srgb, 2);
        for row in [[0, 4, 10], [8, 4, 20], [100, 201, 7]] {
            rows.push8(&row);
        }
        let (width, height, rgb) = rows.finish().unwrap();
        assert_eq!((width, height), (2, 2));
        let gray: Vec<u8> = rgb.into_iter().step_by(3).collect();
        assert_eq!(gray, [4, 15, 151, 7]);
    }

    #[test]
    fn alpha_blends_with_white_and_16_bits_are_rounded() {
        let mut rows = Rows::new(2, 1, Layout::GrayAlpha, &Color::Srgb, 1);
        rows.push16(&[0x1234, 0xFFFF, 0, 0]);
        assert_eq!(rows.finish().unwrap().2, [0x12, 0x12, 0x12, 255, 255, 255]);
        let mut rows = Rows::new(1, 1, Layout::Rgba, &Color::Srgb, 1);
        rows.push8(&[0, 100, 255, 128]);
        assert_eq!(rows.finish().unwrap().2, [127, 177, 255]);
        assert!(Rows::new(1, 2, Layout::Gray, &Color::Srgb, 1).finish().is_none());
    }

    #[test]
    fn orientations_follow_exif() {
        // Row 0: a b c, row 1: d e f.
        let rgb: Vec<u8> = b"abcdef".iter().flat_map(|&v| [v; 3]).collect();
        let expected =
            ["abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"];
        for (orientation, expected) in (1..=8).zip(expected) {
            let (w, h, turned) = upright((3, 2, rgb.clone()), orientation);
            assert_eq!((w, h), if orientation < 5 { (3, 2) } else { (2, 3) });
            let turned: Vec<u8> = turned.into_iter().step_by(3).collect();
            assert_eq!(String::from_utf8(turned).unwrap(), expected, "orientation {orientation}");
        }
    }
}
