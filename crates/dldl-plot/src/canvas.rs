//! RGB pixels to draw on, antialiased.

use ab_glyph_rasterizer::{Rasterizer, point};

/// Red, green and blue.
pub type Color = [u8; 3];

/// RGB pixels, 8 bits per channel. Whatever is drawn outside is cut off.
#[derive(Clone, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// A white canvas.
    ///
    /// # Panics
    /// If it has no pixels.
    pub fn white(width: usize, height: usize) -> Self {
        Self::from_rgb(width, height, vec![255; 3 * width * height])
    }

    /// A canvas of `3 * width * height` bytes: rows from the top, pixels from the left,
    /// red, green, blue.
    ///
    /// # Panics
    /// If `rgb` has another length, or if there are no pixels.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Self {
        assert!(
            !rgb.is_empty()
                && rgb.len() / 3 / width == height
                && rgb.len().is_multiple_of(3 * width)
        );
        Self { width, height, rgb }
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels: `3 * width * height` bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels: `3 * width * height` bytes.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The color at column `x` of row `y`.
    ///
    /// # Panics
    /// If that is outside.
    pub fn pixel(&self, x: usize, y: usize) -> Color {
        assert!(x < self.width, "column {x} of {}", self.width);
        let at = 3 * (y * self.width + x);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Mixes a color into a pixel; `alpha` is in 0..=1.
    pub fn blend(&mut self, x: i64, y: i64, color: Color, alpha: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = 3 * (y * self.width + x);
        for (value, color) in self.rgb[at..at + 3].iter_mut().zip(color) {
            let mixed = f32::from(*value) + alpha * (f32::from(color) - f32::from(*value));
            *value = mixed.round() as u8;
        }
    }

    /// Copies rows of RGB pixels to the place of their upper left corner.
    pub fn paste(&mut self, rgb: &[u8], width: usize, [left, top]: [usize; 2]) {
        let columns = width.min(self.width.saturating_sub(left));
        let rows = rgb.chunks_exact(3 * width).take(self.height.saturating_sub(top));
        for (y, row) in rows.enumerate() {
            let at = 3 * ((top + y) * self.width + left);
            self.rgb[at..at + 3 * columns].copy_from_slice(&row[..3 * columns]);
        }
    }

    /// Fills the rectangle `[left, top, width, height]`, rounded to whole pixels.
    pub fn fill_rect(&mut self, rect: [f32; 4], color: Color, alpha: f32) {
        let [x, y, w, h] = rect;
        let inside = |v: f32, size: usize| v.round().clamp(0.0, size as f32) as i64;
        let (left, right) = (inside(x, self.width), inside(x + w, self.width));
        for y in inside(y, self.height)..inside(y + h, self.height) {
            for x in left..right {
                self.blend(x, y, color, alpha);
            }
        }
    }

    /// Draws the edges of a rectangle as lines of width `line`, centered on the edges.
    pub fn outline_rect(&mut self, rect: [f32; 4], line: f32, color: Color, alpha: f32) {
        let [x, y, w, h] = rect.map(f32::round);
        let half = (line / 2.0).floor();
        let (x, y, w, h) = (x - half, y - half, w + line, h + line);
        self.fill_rect([x, y, w, line], color, alpha);
        self.fill_rect([x, y + h - line, w, line], color, alpha);
        self.fill_rect([x, y + line, line, h - 2.0 * line], color, alpha);
        self.fill_rect([x + w - line, y + line, line, h - 2.0 * line], color, alpha);
    }

    /// Fills a circle.
    pub fn dot(&mut self, center: [f32; 2], radius: f32, color: Color, alpha: f32) {
        let [cx, cy] = center;
        let reach = radius + 1.0;
        let columns = clipped(cx - reach, cx + reach, self.width);
        for y in clipped(cy - reach, cy + reach, self.height) {
            for x in columns.clone() {
                let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
                let cover = (radius + 0.5 - distance).clamp(0.0, 1.0);
                if cover > 0.0 {
                    self.blend(x as i64, y as i64, color, alpha * cover);
                }
            }
        }
    }

    /// Fills the polygon with these corners.
    pub fn fill_polygon(&mut self, corners: &[[f32; 2]], color: Color, alpha: f32) {
        self.fill_polygons(std::slice::from_ref(&corners), color, alpha);
    }

    /// Draws straight lines of a width from point to point, with round joins.
    pub fn stroke(&mut self, points: &[[f32; 2]], width: f32, color: Color, alpha: f32) {
        let half = width / 2.0;
        let mut parts: Vec<Vec<[f32; 2]>> = Vec::new();
        for pair in points.windows(2) {
            let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
            let length = (x1 - x0).hypot(y1 - y0);
            if length > 0.0 {
                // All parts run the same way around, so that overlaps add up.
                let (u, v) = (half * (x1 - x0) / length, half * (y1 - y0) / length);
                let corners =
                    [[x0 + v, y0 - u], [x1 + v, y1 - u], [x1 - v, y1 + u], [x0 - v, y0 + u]];
                parts.push(corners.to_vec());
            }
        }
        if half > 0.6 {
            let joins = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
            parts.extend(joins.iter().map(|[x, y]| {
                let turn = |i: i32| (i as f32 * std::f32::consts::PI / 6.0).sin_cos();
                (0..12).map(turn).map(|(s, c)| [x + half * c, y + half * s]).collect()
            }));
        }
        self.fill_polygons(&parts, color, alpha);
    }

    /// Fills the union of polygons that run the same way around.
    fn fill_polygons<P: AsRef<[[f32; 2]]>>(&mut self, polygons: &[P], color: Color, alpha: f32) {
        // Far outside is as good as just outside, and keeps the numbers small.
        let (w, h) = (self.width as f32, self.height as f32);
        let clip = |[x, y]: [f32; 2]| [x.clamp(-w, 2.0 * w), y.clamp(-h, 2.0 * h)];
        let all = || polygons.iter().flat_map(|p| p.as_ref().iter().copied().map(clip));
        if all().flatten().any(f32::is_nan) {
            return;
        }
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for p in all() {
            low = [low[0].min(p[0]), low[1].min(p[1])];
            high = [high[0].max(p[0]), high[1].max(p[1])];
        }
        if low[0] > high[0] {
            return;
        }
        let [left, top] = low.map(|v| v.floor() - 1.0);
        let size = |low: f32, high: f32| (high - low).ceil() as usize + 2;
        let (columns, rows) = (size(left, high[0]), size(top, high[1]));
        let mut raster = Rasterizer::new(columns, rows);
        for polygon in polygons {
            let corners: Vec<_> = polygon.as_ref().iter().copied().map(clip).collect();
            let at = |i: usize| {
                let [x, y] = corners[i % corners.len()];
                point(x - left, y - top)
            };
            (0..corners.len()).for_each(|i| raster.draw_line(at(i), at(i + 1)));
        }
        let (left, top) = (left as i64, top as i64);
        raster.for_each_pixel_2d(|x, y, cover| {
            if cover > 0.002 {
                let (x, y) = (left + i64::from(x), top + i64::from(y));
                self.blend(x, y, color, alpha * cover.min(1.0));
            }
        });
    }

    /// As a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let side = |n: usize| u32::try_from(n).expect("PNG: a side has at most 2^32 - 1 pixels");
        let mut encoder = png::Encoder::new(&mut out, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.rgb)?;
            writer.finish()
        });
        written.expect("the length fits the size, and memory takes any number of bytes");
        out
    }
}

/// The size only: the pixels are many.
impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canvas({}x{})", self.width, self.height)
    }
}

/// The pixels from `low` to `high` that exist.
fn clipped(low: f32, high: f32, size: usize) -> std::ops::Range<usize> {
    let inside = |v: f32| v.clamp(0.0, size as f32) as usize;
    inside(low.floor())..inside(high.ceil() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Color = [0; 3];
    const WHITE: Color = [255; 3];

    #[test]
    fn drawing_beyond_the_border_is_cut_off() {
        let mut canvas = Canvas::white(8, 6);
        canvas.outline_rect([-5.0, -5.0, 100.0, 100.0], 3.0, BLACK, 1.0);
        canvas.stroke(&[[-10.0, -9.0], [1e9, -9.0]], 3.0, BLACK, 1.0);
        canvas.stroke(&[[f32::NAN, 3.0], [5.0, 3.0]], 3.0, BLACK, 1.0);
        canvas.dot([-1e9, 3.0], 2.0, BLACK, 1.0);
        assert!(canvas == Canvas::white(8, 6));
        canvas.fill_rect([-5.0, -5.0, 7.0, 6.0], BLACK, 1.0);
        canvas.dot([8.0, 6.0], 2.0, BLACK, 1.0);
        crate::Text::new("88", 20.0).draw(&mut canvas, [-10.0, 3.0], BLACK);
        canvas.paste(&[7; 3 * 9], 3, [6, 4]);
        assert_eq!(canvas.pixel(1, 0), BLACK);
        assert_eq!((canvas.pixel(6, 4), canvas.pixel(7, 5)), ([7; 3], [7; 3]));
    }

    #[test]
    fn outlines_have_their_width_and_leave_the_inside() {
        let mut canvas = Canvas::white(20, 20);
        canvas.outline_rect([4.0, 4.0, 10.0, 10.0], 3.0, BLACK, 1.0);
        let row: Vec<usize> = (0..20).filter(|&x| canvas.pixel(x, 9) == BLACK).collect();
        assert_eq!(row, [3, 4, 5, 13, 14, 15]);
        assert!(canvas.pixel(9, 9) == WHITE && canvas.pixel(2, 9) == WHITE);
    }

    #[test]
    fn strokes_cover_their_area_once() {
        let mut canvas = Canvas::white(20, 20);
        // Around a corner and back over itself.
        let points = [[2.0, 5.0], [15.0, 5.0], [15.0, 15.0], [15.0, 5.0]];
        canvas.stroke(&points, 4.0, BLACK, 0.5);
        for inside in [(5, 4), (15, 5), (14, 10), (15, 12)] {
            assert_eq!(canvas.pixel(inside.0, inside.1), [128; 3], "{inside:?}");
        }
        for outside in [(5, 8), (5, 2), (10, 10), (18, 10)] {
            assert_eq!(canvas.pixel(outside.0, outside.1), WHITE, "{outside:?}");
        }
    }

    #[test]
    fn polygons_are_filled_whichever_way_they_run() {
        let triangle = [[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]];
        let reversed = [triangle[0], triangle[2], triangle[1]];
        let [one, other] = [triangle, reversed].map(|corners| {
            let mut canvas = Canvas::white(10, 10);
            canvas.fill_polygon(&corners, BLACK, 1.0);
            assert!(canvas.pixel(2, 2) == BLACK && canvas.pixel(8, 8) == WHITE);
            assert_eq!(canvas.pixel(4, 5), [128; 3], "half covered");
            canvas
        });
        assert!(one == other);
    }

    #[test]
    fn pngs_hold_the_pixels() {
        let mut canvas = Canvas::white(7, 5);
        canvas.fill_rect([2.0, 1.0, 3.0, 2.0], [9, 80, 200], 1.0);
        let mut decoder = png::Decoder::new(std::io::Cursor::new(canvas.to_png()));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert!(Canvas::from_rgb(info.width as usize, info.height as usize, rgb) == canvas);
    }
}
