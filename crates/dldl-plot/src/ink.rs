//! Colors and line styles. In SVG a color is a class, so that it follows light and
//! dark mode; in PNG it is that of light mode.

use crate::Color;

/// A color of a plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// The color of titles and labels.
    Text,
    /// For what stays in the background: ticks, reference lines.
    Muted,
    /// Grid lines.
    Grid,
    /// The color of a data series, counted modulo 6. After Okabe and Ito,
    /// distinguishable with color vision deficiency.
    Series(usize),
}

impl Ink {
    /// As a dashed line.
    pub fn dashed(self) -> Pen {
        Pen::from(self).dashed()
    }

    /// As a line of one pixel.
    pub fn thin(self) -> Pen {
        Pen::from(self).thin()
    }

    /// The class in SVG; empty for the inherited color.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Muted => "m",
            Self::Grid => "g",
            Self::Series(i) => ["s0", "s1", "s2", "s3", "s4", "s5"][i % 6],
        }
    }

    /// The color in PNG: that of [`STYLE`](crate::STYLE) in light mode.
    pub(crate) fn color(self) -> Color {
        match self {
            Self::Text => [0x24, 0x29, 0x2f],
            Self::Muted => [0x59, 0x63, 0x6e],
            Self::Grid => [0xd8, 0xde, 0xe4],
            Self::Series(i) => [
                [0x00, 0x72, 0xb2],
                [0xd5, 0x5e, 0x00],
                [0x00, 0x8a, 0x64],
                [0xa3, 0x47, 0x8f],
                [0x8a, 0x6d, 0x00],
                [0x59, 0x63, 0x6e],
            ][i % 6],
        }
    }
}

/// How a line is drawn: solid and 1.8 pixels wide, if nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pen {
    pub(crate) ink: Ink,
    pub(crate) dashed: bool,
    pub(crate) thin: bool,
    pub(crate) opacity: f64,
}

impl Pen {
    /// Dashes and gaps, in pixels.
    pub(crate) const DASHES: [f64; 2] = [5.0, 4.0];

    /// The same pen, dashed.
    pub fn dashed(self) -> Self {
        Self { dashed: true, ..self }
    }

    /// The same pen, one pixel wide.
    pub fn thin(self) -> Self {
        Self { thin: true, ..self }
    }

    /// The same pen with an opacity in 0..=1.
    pub fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }

    pub(crate) fn width(self) -> f64 {
        if self.thin { 1.0 } else { 1.8 }
    }
}

impl From<Ink> for Pen {
    fn from(ink: Ink) -> Self {
        Self { ink, dashed: false, thin: false, opacity: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn svg_and_png_use_the_same_colors() {
        for ink in [Ink::Muted, Ink::Grid].into_iter().chain((0..6).map(Ink::Series)) {
            let [r, g, b] = ink.color();
            let rule = format!(".fig .{}{{color:#{r:02x}{g:02x}{b:02x}}}", ink.class());
            assert!(crate::STYLE.contains(&rule), "{rule}");
        }
    }
}
