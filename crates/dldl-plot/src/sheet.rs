//! Several plots with a heading, as a file.

use crate::shape::{Anchor, HEADING, LABEL, Shape};
use crate::{Canvas, Ink, Plot, raster, svg, text};

const GAP: f64 = 12.0;
/// Where the plots begin below the heading.
const TOP: f64 = 54.0;

/// Plots side by side in rows, below a title and a subtitle.
#[derive(Debug, Clone)]
pub struct Sheet {
    title: String,
    subtitle: String,
    plots: Vec<Plot>,
    columns: usize,
    scale: f64,
}

impl Sheet {
    /// A sheet of plots one below the other.
    pub fn new(title: &str, subtitle: &str, plots: Vec<Plot>) -> Self {
        let (title, subtitle) = (title.to_owned(), subtitle.to_owned());
        Self { title, subtitle, plots, columns: 1, scale: 1.0 }
    }

    /// The same in rows of up to `columns` plots.
    pub fn columns(self, columns: usize) -> Self {
        let columns = columns.clamp(1, self.plots.len().max(1));
        Self { columns, ..self }
    }

    /// The same enlarged, texts and lines included.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }

    /// As an SVG file. It follows the reader's light or dark mode.
    pub fn to_svg(&self) -> String {
        let (size, shapes) = self.shapes();
        svg::file(&self.title, size, self.scale, &shapes)
    }

    /// As pixels, black on white.
    pub fn to_canvas(&self) -> Canvas {
        let (size, shapes) = self.shapes();
        raster::draw(size, self.scale, &shapes)
    }

    /// As a PNG file.
    pub fn to_png(&self) -> Vec<u8> {
        self.to_canvas().to_png()
    }

    /// Width and height before scaling, and what is drawn.
    fn shapes(&self) -> ([f64; 2], Vec<Shape>) {
        let mut shapes = vec![
            Shape::Text {
                text: self.title.clone(),
                at: [GAP, 24.0],
                ink: Ink::Text,
                size: HEADING,
                anchor: Anchor::Start,
            },
            Shape::label(&self.subtitle, [GAP, 42.0], Ink::Muted, Anchor::Start),
        ];
        let heading =
            f64::max(text::width(&self.title, HEADING), text::width(&self.subtitle, LABEL));
        let (mut y, mut width) = (TOP, heading + 2.0 * GAP);
        // The vertical axes of a column are in line.
        let left: Vec<f64> = (0..self.columns)
            .map(|column| {
                let plots = self.plots.iter().skip(column).step_by(self.columns);
                plots.map(Plot::left).fold(0.0, f64::max)
            })
            .collect();
        for row in self.plots.chunks(self.columns) {
            let (mut x, mut height) = (GAP, 0.0_f64);
            for (plot, left) in row.iter().zip(&left) {
                let indent = left - plot.left();
                shapes.push(Shape::Group { origin: [x + indent, y], shapes: plot.shapes() });
                let (w, h) = plot.size();
                x += indent + w + GAP;
                height = height.max(h);
            }
            width = width.max(x);
            y += height + GAP;
        }
        ([width, y], shapes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Axis;

    fn plot(title: &str, label: &str) -> Plot {
        Plot::new(title, Axis::linear("x", 0.0, 1.0), Axis::linear(label, 0.0, 1.0))
    }

    #[test]
    fn plots_are_arranged_in_rows() {
        let plots: Vec<Plot> = (0..3).map(|i| plot(&format!("no {i}"), "y")).collect();
        let (w, h) = plots[0].size();
        let svg = Sheet::new("t", "s", plots).columns(2).to_svg();
        let size = format!("viewBox=\"0 0 {:.0} {:.0}\"", 2.0 * w + 36.0, 54.0 + 2.0 * (h + 12.0));
        assert!(svg.contains(&size), "{size} in {}", &svg[..200]);
        assert!((0..3).all(|i| svg.contains(&format!("no {i}"))));
    }

    #[test]
    fn vertical_axes_of_a_column_are_aligned() {
        let plots = vec![plot("", ""), plot("", "a label")];
        let axis = |i: usize, x: f64| x + plots[i].left();
        let (_, shapes) = Sheet::new("", "", plots.clone()).shapes();
        let origins: Vec<f64> = shapes
            .iter()
            .filter_map(|s| match s {
                Shape::Group { origin, .. } => Some(origin[0]),
                _ => None,
            })
            .collect();
        assert!(axis(0, origins[0]) == axis(1, origins[1]) && origins[0] > origins[1]);
    }

    #[test]
    fn svg_and_png_have_the_same_size() {
        let sheet = Sheet::new("t", "s", vec![plot("", "y")]).scale(1.5);
        let canvas = sheet.to_canvas();
        let size = format!("width=\"{}\" height=\"{}\"", canvas.width(), canvas.height());
        assert!(sheet.to_svg().contains(&size), "{size}");
        assert_eq!(canvas.to_png(), sheet.to_png());
    }
}
