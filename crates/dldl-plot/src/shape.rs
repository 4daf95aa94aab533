//! What plots and sheets are made of: shapes at their places in pixels, written as SVG
//! by `svg` and drawn as pixels by `raster`.

use crate::{Color, Ink, Pen};

/// Pixels from the left and from the top.
pub(crate) type Point = [f64; 2];

/// Font sizes in pixels: of labels, of a plot's title and of a sheet's title.
pub(crate) const LABEL: f64 = 11.0;
pub(crate) const TITLE: f64 = 12.0;
pub(crate) const HEADING: f64 = 15.0;

/// One drawn thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Straight lines from point to point.
    Line { pen: Pen, points: Vec<Point> },
    /// Filled circles.
    Dots { ink: Ink, centers: Vec<Point>, radius: f64 },
    /// A circle.
    Ring { pen: Pen, center: Point, radius: f64 },
    /// A filled rectangle; `hint` is shown by a browser where the mouse points at it.
    Rect { fill: Fill, corner: Point, size: Point, hint: String },
    /// A line of text whose baseline is at `at`.
    Text { text: String, at: Point, ink: Ink, size: f64, anchor: Anchor },
    /// A line of text that is read from the bottom to the top, centered at `at`.
    Upwards { text: String, at: Point },
    /// Shapes with their own origin.
    Group { origin: Point, shapes: Vec<Shape> },
}

impl Shape {
    /// A label.
    pub(crate) fn label(text: &str, at: Point, ink: Ink, anchor: Anchor) -> Self {
        Self::Text { text: text.to_owned(), at, ink, size: LABEL, anchor }
    }
}

/// What a rectangle is filled with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fill {
    /// A color of the plot and an opacity in 0..=1.
    Ink(Ink, f64),
    /// A color that is the same in light and dark mode.
    Color(Color),
}

/// Which part of a text is at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    /// The share of the text's width that lies left of its place.
    pub(crate) fn share(self) -> f64 {
        match self {
            Self::Start => 0.0,
            Self::Middle => 0.5,
            Self::End => 1.0,
        }
    }
}
