//! Pixels to draw on with plotters, a font for them, and PNG. What is drawn is
//! `chart`'s and `examples`' business.

use std::sync::OnceLock;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::error::TrainError;

/// DejaVu Sans; its license lies beside it.
static FONT: &[u8] = include_bytes!("../assets/DejaVuSans-subset.ttf");

/// The family that texts are drawn in.
pub(crate) const SANS: &str = "sans-serif";

/// Makes the font known under the name [`SANS`]. The widths of texts are looked
/// up in it even where another program will draw them, as with SVG.
pub(crate) fn prepare_font() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let known = register_font(SANS, FontStyle::Normal, FONT);
        assert!(known.is_ok(), "the font is part of the program");
    });
}

/// Whatever plotters says.
pub(crate) fn failed(error: impl std::fmt::Display) -> TrainError {
    TrainError::Chart(error.to_string())
}

/// White pixels of a size.
pub(crate) struct Canvas {
    /// Width and height.
    pub(crate) size: (u32, u32),
    /// Rows from the top, three bytes a pixel.
    pub(crate) rgb: Vec<u8>,
}

impl Canvas {
    pub(crate) fn new(size: (u32, u32)) -> Self {
        prepare_font();
        Self { size, rgb: vec![255; 3 * size.0 as usize * size.1 as usize] }
    }

    /// For plotters.
    pub(crate) fn area(&mut self) -> DrawingArea<BitMapBackend<'_>, plotters::coord::Shift> {
        BitMapBackend::with_buffer(&mut self.rgb, self.size).into_drawing_area()
    }

    /// Copies a square picture to the place of its left upper corner.
    pub(crate) fn paste(&mut self, rgb: &[u8], side: usize, (left, top): (usize, usize)) {
        for (y, row) in rgb.chunks_exact(3 * side).enumerate() {
            let at = 3 * ((top + y) * self.size.0 as usize + left);
            self.rgb[at..at + row.len()].copy_from_slice(row);
        }
    }

    /// The picture as a file.
    pub(crate) fn png(&self) -> Result<Vec<u8>, TrainError> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.size.0, self.size.1);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.rgb).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pasted_and_written_is_in_the_file() {
        let mut canvas = Canvas::new((60, 30));
        canvas.paste(&[9, 8, 7].repeat(4), 2, (5, 4));
        let area = canvas.area();
        let font = (SANS, 14).into_font().color(&BLACK);
        area.draw(&Text::new("34", (20, 8), font)).unwrap();
        drop(area);
        let mut decoder = png::Decoder::new(std::io::Cursor::new(canvas.png().unwrap()));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.width, info.height), (60, 30));
        let pixel = |x: usize, y: usize| &rgb[3 * (60 * y + x)..][..3];
        assert_eq!((pixel(5, 4), pixel(6, 5)), (&[9, 8, 7][..], &[9, 8, 7][..]));
        assert_eq!((pixel(7, 4), pixel(5, 6)), (&[255; 3][..], &[255; 3][..]));
        let dark = (0..30).flat_map(|y| (20..40).map(move |x| (x, y)));
        assert!(dark.filter(|&(x, y)| pixel(x, y)[0] < 100).count() > 10, "no digits");
    }
}
