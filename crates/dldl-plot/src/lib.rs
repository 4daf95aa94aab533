//! Charts as SVG and PNG, and drawing on RGB pixels, with one built-in font. What is
//! charted is up to the caller.
//!
//! A [`Plot`] has two [`Axis`] and whatever is drawn between them. It is written as an
//! SVG element for a page ([`Plot::to_svg`], with [`STYLE`] once in that page), or
//! together with others on a [`Sheet`]: an SVG or PNG file. A [`Canvas`] holds RGB
//! pixels to draw shapes and [`Text`] on.
//!
//! ```
//! use dldl_plot::{Axis, Ink, Plot, Sheet};
//!
//! let (x, y) = (Axis::linear("epoch", 0.0, 3.0), Axis::linear("loss", 0.0, 4.0));
//! let mut plot = Plot::new("", x, y);
//! plot.line(Ink::Series(0), Some("training"), &[(1.0, 3.5), (2.0, 2.5), (3.0, 2.0)]);
//! let sheet = Sheet::new("A training", "three epochs", vec![plot]);
//! assert!(sheet.to_svg().starts_with("<svg"));
//! assert!(sheet.to_png().starts_with(b"\x89PNG"));
//! ```

mod axis;
mod canvas;
mod ink;
mod plot;
mod raster;
mod shape;
mod sheet;
mod svg;
mod text;

pub use axis::Axis;
pub use canvas::{Canvas, Color};
pub use ink::{Ink, Pen};
pub use plot::Plot;
pub use sheet::Sheet;
pub use svg::{STYLE, escape};
pub use text::Text;
