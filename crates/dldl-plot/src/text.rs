//! Text in the built-in font.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use crate::{Canvas, Color};

/// DejaVu Sans; the license is in `assets/README.md`.
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../assets/DejaVuSans-subset.ttf"))
        .expect("the built-in font is valid")
});

/// The height of capital letters and digits in font sizes.
const CAP_HEIGHT: f32 = 0.729;

/// A line of text, laid out at the origin.
pub struct Text {
    glyphs: Vec<Glyph>,
    width: f32,
    cap_height: f32,
    bold: bool,
}

impl Text {
    /// Text whose capital letters and digits are `cap_height` pixels high.
    /// Characters that the font does not have become boxes.
    pub fn new(text: &str, cap_height: f32) -> Self {
        // The scale of `ab_glyph` is a height from descender to ascender.
        let per_size = FONT.height_unscaled() / FONT.units_per_em().unwrap_or(2048.0);
        let font = FONT.as_scaled(PxScale::from(cap_height / CAP_HEIGHT * per_size));
        let (mut x, mut last, mut glyphs) = (0.0, None, Vec::new());
        for c in text.chars() {
            let id = font.glyph_id(c);
            if let Some(last) = last {
                x += font.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(font.scale(), point(x, 0.0)));
            x += font.h_advance(id);
            last = Some(id);
        }
        Self { glyphs, width: x, cap_height, bold: false }
    }

    /// Text of a font size in pixels, as CSS counts it.
    pub fn sized(text: &str, size: f32) -> Self {
        Self::new(text, CAP_HEIGHT * size)
    }

    /// The same with thicker strokes.
    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// From the start of the first character to the end of the last, in pixels.
    pub fn width(&self) -> f32 {
        self.width
    }

    /// Height of capital letters and digits, in pixels.
    pub fn cap_height(&self) -> f32 {
        self.cap_height
    }

    /// Draws the text; its baseline starts at `at`, in pixels from the left and the top.
    pub fn draw(&self, canvas: &mut Canvas, at: [f32; 2], color: Color) {
        self.pixels(at, |x, y, cover| canvas.blend(x, y, color, cover));
    }

    /// Draws the text turned by 90 degrees, read from the bottom to the top; its
    /// baseline starts at `at`.
    pub fn draw_upwards(&self, canvas: &mut Canvas, at: [f32; 2], color: Color) {
        let [left, bottom] = at.map(|v| v.round() as i64);
        self.pixels([0.0, 0.0], |x, y, cover| {
            canvas.blend(left + y, bottom - 1 - x, color, cover);
        });
    }

    fn pixels(&self, at: [f32; 2], mut each: impl FnMut(i64, i64, f32)) {
        // Without a bold font, glyphs are drawn twice, a little apart.
        let apart = 0.07 * self.cap_height;
        let passes: &[f32] = if self.bold { &[-0.5, 0.5] } else { &[0.0] };
        for (glyph, pass) in self.glyphs.iter().flat_map(|g| passes.iter().map(move |p| (g, p))) {
            let mut glyph = glyph.clone();
            glyph.position.x += at[0] + pass * apart;
            glyph.position.y += at[1];
            let Some(outline) = FONT.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                let (x, y) = (corner.x as i64 + i64::from(x), corner.y as i64 + i64::from(y));
                each(x, y, cover.clamp(0.0, 1.0));
            });
        }
    }
}

/// The width of a text in pixels at a font size. Fonts differ: where SVG is shown in
/// another font, mostly a narrower one, this is an upper estimate.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    f64::from(Text::sized(text, size as f32).width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_all_characters_in_use() {
        let all: String = (' '..='~').chain("±–−".chars()).collect();
        let text = Text::new(&all, 30.0);
        assert!(text.glyphs.iter().all(|g| g.id.0 != 0), "a character is not in the font");
    }

    #[test]
    fn text_has_its_cap_height() {
        let mut canvas = Canvas::white(400, 60);
        // Without brackets, which reach below the baseline.
        let text = Text::new("0123456789.- ±–+=", 30.0);
        text.draw(&mut canvas, [5.0, 45.0], [0, 0, 0]);
        let dark = |y: usize| (0..400).any(|x| canvas.pixel(x, y)[0] < 128);
        let rows: Vec<usize> = (0..60).filter(|&y| dark(y)).collect();
        let (top, bottom) = (rows[0], rows[rows.len() - 1]);
        assert!(top.abs_diff(15) <= 2 && bottom.abs_diff(45) <= 2, "{top}..{bottom}");
        assert_eq!(Text::sized("x", 10.0).cap_height(), 7.29);
    }

    #[test]
    fn text_upwards_is_the_same_text_turned() {
        let (mut flat, mut turned) = (Canvas::white(40, 20), Canvas::white(20, 40));
        let text = Text::new("1a", 10.0);
        text.draw(&mut flat, [0.0, 15.0], [0, 0, 0]);
        text.draw_upwards(&mut turned, [15.0, 40.0], [0, 0, 0]);
        for y in 0..20 {
            for x in 0..40 {
                assert_eq!(flat.pixel(x, y), turned.pixel(y, 39 - x), "{x} {y}");
            }
        }
    }

    #[test]
    fn bold_text_is_darker() {
        let dark = |text: Text| {
            let mut canvas = Canvas::white(40, 20);
            text.draw(&mut canvas, [5.0, 15.0], [0, 0, 0]);
            canvas.rgb().iter().map(|&v| 255 - u64::from(v)).sum::<u64>()
        };
        let (plain, bold) = (dark(Text::new("abc", 10.0)), dark(Text::new("abc", 10.0).bold()));
        assert!(bold > plain + plain / 10, "{bold} and {plain}");
    }
}
