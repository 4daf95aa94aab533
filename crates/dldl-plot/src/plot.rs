//! One plot: axes, the marks between them, and the legend.

use crate::shape::{Anchor, Fill, LABEL, Point, Shape, TITLE};
use crate::{Axis, Color, Ink, Pen, svg, text};

/// The symbol of a legend entry.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Symbol {
    Line(Pen),
    Dot(Ink),
}

/// A plot. Marks are drawn in the order in which they are added; points that are not
/// finite are left out.
#[derive(Debug, Clone)]
pub struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    /// Size of the area between the axes.
    area: Point,
    marks: Vec<Shape>,
    legend: Vec<(Symbol, String)>,
}

impl Plot {
    /// An empty plot of a size that is readable on a phone.
    pub fn new(title: &str, x: Axis, y: Axis) -> Self {
        let (title, marks, legend) = (title.to_owned(), Vec::new(), Vec::new());
        Self { title, x, y, area: [270.0, 170.0], marks, legend }
    }

    /// The same with another size in pixels of the area between the axes.
    ///
    /// # Panics
    /// If something is drawn already.
    pub fn area(mut self, width: f64, height: f64) -> Self {
        assert!(self.marks.is_empty(), "plot: set the area before drawing");
        self.area = [width, height];
        self
    }

    /// A line through points. With a name it is in the legend.
    pub fn line(&mut self, pen: impl Into<Pen>, name: Option<&str>, points: &[(f64, f64)]) {
        let (pen, points) = (pen.into(), self.places(points));
        if !points.is_empty() {
            self.marks.push(Shape::Line { pen, points });
        }
        self.entry(Symbol::Line(pen), name);
    }

    /// Dots of a radius in pixels. With a name they are in the legend.
    pub fn dots(&mut self, ink: Ink, name: Option<&str>, points: &[(f64, f64)], radius: f64) {
        let centers = self.places(points);
        self.marks.push(Shape::Dots { ink, centers, radius });
        self.entry(Symbol::Dot(ink), name);
    }

    /// A rectangle from `x[0]` to `x[1]` and `y[0]` to `y[1]` with an opacity in 0..=1.
    /// `hint` is shown where the mouse points at it; it may be empty.
    pub fn rect(&mut self, ink: Ink, x: [f64; 2], y: [f64; 2], opacity: f64, hint: &str) {
        self.filled(Fill::Ink(ink, opacity), x, y, hint);
    }

    /// The same, opaque and of any color.
    pub fn cell(&mut self, color: Color, x: [f64; 2], y: [f64; 2], hint: &str) {
        self.filled(Fill::Color(color), x, y, hint);
    }

    /// A ring around a point with a text above it, on the side where there is room.
    pub fn ring(&mut self, ink: Ink, point: (f64, f64), text: &str) {
        let Some(&center) = self.places(&[point]).first() else { return };
        let radius = 5.0;
        self.marks.push(Shape::Ring { pen: ink.into(), center, radius });
        let (side, anchor) = match center[0] > 0.85 * self.area[0] {
            true => (-1.0, Anchor::End),
            false => (1.0, Anchor::Start),
        };
        let at = [center[0] + 3.0 * side, center[1] - radius - 4.0];
        self.marks.push(Shape::label(text, at, Ink::Text, anchor));
    }

    /// A text at the top right of a value of the horizontal axis, with a dashed vertical
    /// line unless that is where the axis begins.
    pub fn mark(&mut self, x: f64, text: &str) {
        let [left, height] = [self.at_x(x), self.area[1]];
        if x > self.x.low {
            let points = vec![[left, 0.0], [left, height]];
            self.marks.push(Shape::Line { pen: Ink::Muted.dashed().thin(), points });
        }
        self.marks.push(Shape::label(text, [left + 5.0, 13.0], Ink::Muted, Anchor::Start));
    }

    /// As an SVG element for a page that contains [`STYLE`](crate::STYLE).
    pub fn to_svg(&self) -> String {
        let (width, height) = self.size();
        svg::element(&self.title, [width, height], &self.shapes())
    }

    /// Width and height of the whole plot in pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        let bottom = if self.x.label.is_empty() { 24.0 } else { 40.0 };
        (self.left() + self.area[0] + self.right(), self.top() + self.area[1] + bottom)
    }

    /// All that is drawn.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        let mut shapes = Vec::new();
        if !self.title.is_empty() {
            let (text, at) = (self.title.clone(), [4.0, 15.0]);
            let (ink, size, anchor) = (Ink::Text, TITLE, Anchor::Start);
            shapes.push(Shape::Text { text, at, ink, size, anchor });
        }
        self.legend_into(&mut shapes);
        let origin = [self.left(), self.top()];
        shapes.push(Shape::Group { origin, shapes: self.inside() });
        shapes
    }

    /// Axes and marks; the origin is the upper left corner of the area.
    fn inside(&self) -> Vec<Shape> {
        let [w, h] = self.area;
        let grid =
            |points: [Point; 2]| Shape::Line { pen: Ink::Grid.thin(), points: points.into() };
        let mut shapes = Vec::new();
        for (value, text) in &self.y.ticks {
            let y = self.at_y(*value);
            shapes.push(grid([[0.0, y], [w, y]]));
            shapes.push(Shape::label(text, [-6.0, y + 4.0], Ink::Muted, Anchor::End));
        }
        for (value, text) in &self.x.ticks {
            let x = self.at_x(*value);
            if !self.x.named {
                shapes.push(grid([[x, 0.0], [x, h]]));
            }
            shapes.push(Shape::label(text, [x, h + 15.0], Ink::Muted, Anchor::Middle));
        }
        shapes.extend(self.marks.iter().cloned());
        let points = vec![[0.0, 0.0], [0.0, h], [w, h]];
        shapes.push(Shape::Line { pen: Ink::Muted.thin(), points });
        if !self.x.label.is_empty() {
            let at = [w / 2.0, h + 33.0];
            shapes.push(Shape::label(&self.x.label, at, Ink::Text, Anchor::Middle));
        }
        if !self.y.label.is_empty() {
            let at = [11.0 - self.left(), h / 2.0];
            shapes.push(Shape::Upwards { text: self.y.label.clone(), at });
        }
        shapes
    }

    /// Space left of the area: label and ticks of the vertical axis.
    pub(crate) fn left(&self) -> f64 {
        let widest = self.y.ticks.iter().map(|t| text::width(&t.1, LABEL)).fold(0.0, f64::max);
        widest + 10.0 + if self.y.label.is_empty() { 0.0 } else { 18.0 }
    }

    /// Space above the area: title and legend.
    fn top(&self) -> f64 {
        let title = if self.title.is_empty() { 8.0 } else { 26.0 };
        title + 17.0 * self.legend_rows().len() as f64
    }

    /// Space right of the area: half of the last tick's text.
    fn right(&self) -> f64 {
        let beyond = |(value, text): &(f64, String)| {
            text::width(text, LABEL) / 2.0 - self.area[0] * (1.0 - self.x.place(*value))
        };
        self.x.ticks.iter().map(beyond).fold(6.0, f64::max) + 4.0
    }

    /// The legend entries by row, each with its horizontal position.
    fn legend_rows(&self) -> Vec<Vec<(f64, usize)>> {
        let room = self.area[0] + 30.0;
        let mut rows: Vec<Vec<(f64, usize)>> = Vec::new();
        let mut x = f64::INFINITY;
        for (i, (_, name)) in self.legend.iter().enumerate() {
            let width = 24.0 + text::width(name, LABEL) + 14.0;
            if x + width > room {
                rows.push(Vec::new());
                x = 4.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((x, i));
            }
            x += width;
        }
        rows
    }

    fn legend_into(&self, shapes: &mut Vec<Shape>) {
        let top = if self.title.is_empty() { 12.0 } else { 32.0 };
        for (r, row) in self.legend_rows().iter().enumerate() {
            let y = top + 17.0 * r as f64;
            for &(x, i) in row {
                let (symbol, name) = &self.legend[i];
                shapes.push(match *symbol {
                    Symbol::Line(pen) => {
                        Shape::Line { pen, points: vec![[x, y - 4.0], [x + 18.0, y - 4.0]] }
                    }
                    Symbol::Dot(ink) => {
                        Shape::Dots { ink, centers: vec![[x + 9.0, y - 4.0]], radius: 3.5 }
                    }
                });
                shapes.push(Shape::label(name, [x + 23.0, y], Ink::Text, Anchor::Start));
            }
        }
    }

    fn entry(&mut self, symbol: Symbol, name: Option<&str>) {
        if let Some(name) = name {
            self.legend.push((symbol, name.to_owned()));
        }
    }

    fn filled(&mut self, fill: Fill, x: [f64; 2], y: [f64; 2], hint: &str) {
        let [a, b] = x.map(|v| self.at_x(v));
        let [c, d] = y.map(|v| self.at_y(v));
        let (corner, size) = ([a.min(b), c.min(d)], [(b - a).abs(), (d - c).abs()]);
        self.marks.push(Shape::Rect { fill, corner, size, hint: hint.to_owned() });
    }

    /// Where finite points are.
    fn places(&self, points: &[(f64, f64)]) -> Vec<Point> {
        let finite = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        finite.map(|(x, y)| [self.at_x(*x), self.at_y(*y)]).collect()
    }

    fn at_x(&self, value: f64) -> f64 {
        self.area[0] * self.x.place(value)
    }

    /// Numbers grow upwards, categories are listed from the top.
    fn at_y(&self, value: f64) -> f64 {
        let place = self.y.place(value);
        self.area[1] * if self.y.named { place } else { 1.0 - place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let x = Axis::stepped("age", 0.0, 100.0, 50.0);
        Plot::new("t", x, Axis::stepped("error", 0.0, 10.0, 5.0)).area(200.0, 100.0)
    }

    #[test]
    fn marks_are_placed_by_their_values() {
        let mut plot = plot();
        plot.line(Ink::Series(0), Some("one"), &[(0.0, 0.0), (50.0, f64::NAN), (100.0, 10.0)]);
        plot.dots(Ink::Series(1), None, &[(50.0, 5.0)], 2.0);
        plot.rect(Ink::Series(2), [25.0, 50.0], [0.0, 5.0], 0.5, "a & b");
        let svg = plot.to_svg();
        assert!(svg.contains("d=\"M0 100L200 0\""), "{svg}");
        assert!(svg.contains("cx=\"100\" cy=\"50\""), "{svg}");
        assert!(
            svg.contains("x=\"50\" y=\"50\" width=\"50\" height=\"50\"><title>a &amp; b"),
            "{svg}"
        );
        for part in ["age", "error", ">50<", "one"] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn categories_are_listed_from_the_top_and_a_long_legend_takes_rows() {
        let names = Axis::names("", &["first", "second"]);
        let mut plot = Plot::new("", Axis::linear("x", 0.0, 1.0), names).area(200.0, 100.0);
        plot.dots(Ink::Series(0), None, &[(0.0, 0.0)], 2.0);
        assert!(plot.to_svg().contains("cy=\"25\""));
        let before = plot.size().1;
        (0..4).for_each(|i| {
            plot.dots(Ink::Series(1), Some(&format!("a rather long name, number {i}")), &[], 2.0);
        });
        assert!(plot.size().1 >= before + 3.0 * 17.0);
    }

    #[test]
    fn the_text_of_a_ring_stays_inside() {
        let mut plot = plot();
        plot.ring(Ink::Series(0), (10.0, 5.0), "left");
        plot.ring(Ink::Series(0), (100.0, 5.0), "right");
        let svg = plot.to_svg();
        assert!(svg.contains("x=\"23\" y=\"41\">left"), "{svg}");
        assert!(svg.contains("x=\"197\" y=\"41\" text-anchor=\"end\">right"), "{svg}");
    }

    #[test]
    fn a_mark_has_a_line_except_at_the_axis() {
        let mut plot = plot();
        plot.mark(0.0, "64 px");
        assert!(!plot.to_svg().contains("l m d n"));
        plot.mark(50.0, "96 px");
        assert!(plot.to_svg().contains("<path class=\"l m d n\" d=\"M100 0L100 100\"/>"));
    }
}
