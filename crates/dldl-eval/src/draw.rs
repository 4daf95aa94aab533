//! Drawing on a picture: rectangles, dots and text, antialiased; and the picture as
//! PNG. What is drawn where is the business of others.

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use dldl::Picture;

/// DejaVu Sans Bold; its license lies beside it.
static FONT: &[u8] = include_bytes!("../assets/DejaVuSans-Bold-subset.ttf");

/// Red, green and blue.
pub type Color = [u8; 3];

/// Lays a color over a pixel; outside the picture nothing happens.
pub fn blend(picture: &mut Picture, x: i64, y: i64, color: Color, alpha: f32) {
    let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
    if x >= picture.width() || y >= picture.height() {
        return;
    }
    let at = 3 * (y * picture.width() + x);
    for (value, color) in picture.rgb_mut()[at..at + 3].iter_mut().zip(color) {
        let mixed = f32::from(*value) + alpha * (f32::from(color) - f32::from(*value));
        *value = mixed.round() as u8;
    }
}

/// Fills the rectangle `[left, top, width, height]`, rounded to whole pixels.
pub fn fill(picture: &mut Picture, rect: [f32; 4], color: Color, alpha: f32) {
    let [x, y, w, h] = rect;
    let inside = |v: f32, size: usize| v.round().clamp(0.0, size as f32) as i64;
    let (left, right) = (inside(x, picture.width()), inside(x + w, picture.width()));
    for y in inside(y, picture.height())..inside(y + h, picture.height()) {
        for x in left..right {
            blend(picture, x, y, color, alpha);
        }
    }
}

/// Draws the edges of a rectangle with lines of a width, half of it on either
/// side of the edge.
pub fn outline(picture: &mut Picture, rect: [f32; 4], line: f32, color: Color, alpha: f32) {
    let [x, y, w, h] = rect.map(f32::round);
    let half = (line / 2.0).floor();
    let (x, y, w, h) = (x - half, y - half, w + line, h + line);
    fill(picture, [x, y, w, line], color, alpha);
    fill(picture, [x, y + h - line, w, line], color, alpha);
    fill(picture, [x, y + line, line, h - 2.0 * line], color, alpha);
    fill(picture, [x + w - line, y + line, line, h - 2.0 * line], color, alpha);
}

/// Fills a circle.
pub fn dot(picture: &mut Picture, center: [f32; 2], radius: f32, color: Color, alpha: f32) {
    let [cx, cy] = center;
    let reach = radius + 1.0;
    for y in (cy - reach).floor() as i64..=(cy + reach).ceil() as i64 {
        for x in (cx - reach).floor() as i64..=(cx + reach).ceil() as i64 {
            let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
            let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
            if cover > 0.0 {
                blend(picture, x, y, color, alpha * cover);
            }
        }
    }
}

/// A line of text, laid out at the origin.
pub struct Text {
    font: FontRef<'static>,
    glyphs: Vec<Glyph>,
    /// From the first character's start to the last one's end, in pixels.
    pub width: f32,
    /// Of digits and capital letters, in pixels.
    pub cap_height: f32,
}

impl Text {
    /// Sets a text so that its capital letters are so many pixels high.
    pub fn new(text: &str, cap_height: f32) -> Self {
        let font = FontRef::try_from_slice(FONT).expect("the built-in font is one");
        // Of this font, capitals are 0.729 of an em; an em in these units:
        let per_em = font.height_unscaled() / font.units_per_em().unwrap_or(2048.0);
        let scale = PxScale::from(cap_height / 0.729 * per_em);
        let scaled = font.as_scaled(scale);
        let mut x = 0.0;
        let mut last = None;
        let mut glyphs = Vec::new();
        for c in text.chars() {
            let id = scaled.glyph_id(c);
            if let Some(last) = last {
                x += scaled.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(scale, point(x, 0.0)));
            x += scaled.h_advance(id);
            last = Some(id);
        }
        Self { font, glyphs, width: x, cap_height }
    }

    /// Draws it with its first character's baseline starting at a point.
    pub fn draw(&self, picture: &mut Picture, at: [f32; 2], color: Color) {
        for glyph in &self.glyphs {
            let mut glyph = glyph.clone();
            glyph.position.x += at[0];
            glyph.position.y += at[1];
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, cover| {
                let (x, y) = (corner.x as i64 + i64::from(x), corner.y as i64 + i64::from(y));
                blend(picture, x, y, color, cover.clamp(0.0, 1.0));
            });
        }
    }
}

/// The picture as a PNG file.
pub fn png(picture: &Picture) -> Vec<u8> {
    let mut out = Vec::new();
    let side = |n: usize| u32::try_from(n).expect("sides fit 32 bits");
    let mut encoder = png::Encoder::new(&mut out, side(picture.width()), side(picture.height()));
    encoder.set_color(png::ColorType::Rgb);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(picture.rgb())?;
        writer.finish()
    });
    written.expect("a picture has as many bytes as its sides say, and memory takes them all");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(width: usize, height: usize) -> Picture {
        Picture::new(width, height, vec![255; 3 * width * height]).unwrap()
    }

    #[test]
    fn drawing_beyond_the_border_is_cut_off() {
        let mut picture = white(8, 6);
        outline(&mut picture, [-5.0, -5.0, 100.0, 100.0], 3.0, [0, 0, 0], 1.0);
        assert_eq!(picture, white(8, 6));
        fill(&mut picture, [-5.0, -5.0, 7.0, 6.0], [0, 0, 0], 1.0);
        dot(&mut picture, [8.0, 6.0], 2.0, [0, 0, 0], 1.0);
        Text::new("88", 20.0).draw(&mut picture, [-10.0, 3.0], [0, 0, 0]);
        assert_eq!(picture.pixel(1, 0), [0, 0, 0]);
        assert_eq!(picture.pixel(7, 5), [0, 0, 0]);
    }

    #[test]
    fn lines_have_their_width_and_leave_the_inside() {
        let mut picture = white(20, 20);
        outline(&mut picture, [4.0, 4.0, 10.0, 10.0], 3.0, [0, 0, 0], 1.0);
        let row: Vec<usize> = (0..20).filter(|&x| picture.pixel(x, 9) == [0; 3]).collect();
        assert_eq!(row, [3, 4, 5, 13, 14, 15]);
        let half = |x, y| picture.pixel(x, y) == [255; 3];
        assert!(half(9, 9) && half(2, 9));
    }

    #[test]
    fn a_png_comes_back() {
        let mut picture = white(7, 5);
        fill(&mut picture, [2.0, 1.0, 3.0, 2.0], [9, 80, 200], 1.0);
        assert_eq!(dldl::decode(&png(&picture)).unwrap(), picture);
    }

    #[test]
    fn text_has_its_height_and_all_characters_that_are_used() {
        let mut picture = white(400, 60);
        let all = Text::new("0123456789.- ±–+=()", 30.0);
        assert!(all.glyphs.iter().all(|g| g.id.0 != 0), "a character is not in the font");
        // Brackets reach a little further down.
        Text::new("0123456789.- ±–+=", 30.0).draw(&mut picture, [5.0, 45.0], [0, 0, 0]);
        let dark = |y: usize| (0..400).any(|x| picture.pixel(x, y)[0] < 128);
        let rows: Vec<usize> = (0..60).filter(|&y| dark(y)).collect();
        let (top, bottom) = (rows[0], rows[rows.len() - 1]);
        assert!(top.abs_diff(15) <= 2 && bottom.abs_diff(45) <= 2, "{top}..{bottom}");
    }
}
