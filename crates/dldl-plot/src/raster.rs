//! Shapes as pixels.

use crate::shape::{Fill, HEADING, LABEL, Point, Shape, TITLE};
use crate::{Canvas, Ink, Pen, Text};

/// Draws shapes, enlarged, on a white canvas of a size before scaling.
pub(crate) fn draw(size: Point, scale: f64, shapes: &[Shape]) -> Canvas {
    let [width, height] = size.map(|v| (v.round() * scale).round().max(1.0) as usize);
    let mut canvas = Canvas::white(width, height);
    Painter { canvas: &mut canvas, scale }.draw([0.0, 0.0], shapes);
    canvas
}

struct Painter<'a> {
    canvas: &'a mut Canvas,
    scale: f64,
}

impl Painter<'_> {
    fn draw(&mut self, origin: Point, shapes: &[Shape]) {
        let scale = self.scale;
        let at =
            |[x, y]: Point| [(scale * (origin[0] + x)) as f32, (scale * (origin[1] + y)) as f32];
        let length = |v: f64| (scale * v) as f32;
        for shape in shapes {
            match shape {
                Shape::Line { pen, points } => {
                    let points: Vec<[f32; 2]> = points.iter().copied().map(at).collect();
                    self.line(*pen, &points);
                }
                Shape::Dots { ink, centers, radius } => {
                    for center in centers {
                        self.canvas.dot(at(*center), length(*radius), ink.color(), 1.0);
                    }
                }
                Shape::Ring { pen, center, radius } => {
                    let circle: Vec<[f32; 2]> = (0..=48)
                        .map(|i| f64::from(i) / 24.0 * std::f64::consts::PI)
                        .map(|a| at([center[0] + radius * a.cos(), center[1] + radius * a.sin()]))
                        .collect();
                    self.line(*pen, &circle);
                }
                Shape::Rect { fill, corner, size, .. } => {
                    let (color, opacity) = match *fill {
                        Fill::Ink(ink, opacity) => (ink.color(), opacity),
                        Fill::Color(color) => (color, 1.0),
                    };
                    let ([left, top], [right, bottom]) =
                        (at(*corner), at([corner[0] + size[0], corner[1] + size[1]]));
                    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
                    self.canvas.fill_polygon(&corners, color, opacity as f32);
                }
                Shape::Text { text, at: place, ink, size, anchor } => {
                    let text = Text::sized(text, length(*size));
                    // Titles are bold, as in SVG.
                    let text = if [TITLE, HEADING].contains(size) { text.bold() } else { text };
                    let [x, y] = at(*place);
                    let left = x - anchor.share() as f32 * text.width();
                    text.draw(self.canvas, [left, y], ink.color());
                }
                Shape::Upwards { text, at: place } => {
                    let text = Text::sized(text, length(LABEL));
                    let [x, y] = at(*place);
                    let bottom = y + 0.5 * text.width();
                    text.draw_upwards(self.canvas, [x, bottom], Ink::Text.color());
                }
                Shape::Group { origin: inner, shapes } => {
                    self.draw([origin[0] + inner[0], origin[1] + inner[1]], shapes);
                }
            }
        }
    }

    fn line(&mut self, pen: Pen, points: &[[f32; 2]]) {
        let width = (self.scale * pen.width()) as f32;
        let (color, opacity) = (pen.ink.color(), pen.opacity as f32);
        if !pen.dashed {
            return self.canvas.stroke(points, width, color, opacity);
        }
        for dash in dashes(points, Pen::DASHES.map(|v| (self.scale * v) as f32)) {
            self.canvas.stroke(&dash, width, color, opacity);
        }
    }
}

/// Cuts a line into its dashes of `on` pixels with gaps of `off` pixels.
fn dashes(points: &[[f32; 2]], [on, off]: [f32; 2]) -> Vec<Vec<[f32; 2]>> {
    let mut all = Vec::new();
    let mut dash: Vec<[f32; 2]> = points.first().copied().into_iter().collect();
    let (mut drawing, mut rest) = (true, on);
    for pair in points.windows(2) {
        let ([x0, y0], [x1, y1]) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > rest {
            done += rest;
            let share = done / length;
            let end = [x0 + share * (x1 - x0), y0 + share * (y1 - y0)];
            match drawing {
                true => {
                    dash.push(end);
                    all.push(std::mem::take(&mut dash));
                }
                false => dash = vec![end],
            }
            drawing = !drawing;
            rest = if drawing { on } else { off };
        }
        rest -= length - done;
        if drawing {
            dash.push([x1, y1]);
        }
    }
    if dash.len() > 1 {
        all.push(dash);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Anchor;

    #[test]
    fn dashes_go_around_corners_and_have_their_lengths() {
        let found = dashes(&[[0.0, 0.0], [7.0, 0.0], [7.0, 6.0]], [5.0, 4.0]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], [[0.0, 0.0], [5.0, 0.0]]);
        assert_eq!(found[1], [[7.0, 2.0], [7.0, 6.0]]);
        assert!(dashes(&[], [5.0, 4.0]).is_empty() && dashes(&[[1.0, 1.0]], [5.0, 4.0]).is_empty());
    }

    #[test]
    fn groups_are_moved_and_everything_is_scaled() {
        let fill = Fill::Color([9, 9, 9]);
        let rect = Shape::Rect { fill, corner: [1.0, 1.0], size: [2.0, 1.0], hint: String::new() };
        let group = Shape::Group { origin: [3.0, 2.0], shapes: vec![rect] };
        let text = Shape::label("x", [18.0, 18.0], Ink::Muted, Anchor::End);
        let canvas = draw([20.0, 20.0], 2.0, &[group, text]);
        assert_eq!((canvas.width(), canvas.height()), (40, 40));
        let dark: Vec<(usize, usize)> = (0..12)
            .flat_map(|y| (0..20).map(move |x| (x, y)))
            .filter(|&(x, y)| canvas.pixel(x, y) == [9, 9, 9])
            .collect();
        assert_eq!((dark.len(), dark[0], dark[7]), (8, (8, 6), (11, 7)));
        assert!((0..36).any(|x| canvas.pixel(x, 33)[0] < 200), "no text");
    }
}
