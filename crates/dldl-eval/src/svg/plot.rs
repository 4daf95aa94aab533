//! One plot: axes, what is drawn between them, and the legend.

use std::fmt::Write;

use super::{Axis, escape, width_of};

/// What stands beside a name in the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sign {
    Line,
    Dot,
}

/// A plot. Series are named by their class (`s0` to `s5`, with ` d` for dashes).
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    title: String,
    x: Axis,
    y: Axis,
    /// Size of the space between the axes.
    area: (f64, f64),
    marks: String,
    legend: Vec<(String, Sign, String)>,
}

impl Plot {
    /// An empty plot, of a size that can be read on a phone.
    pub(crate) fn new(title: &str, x: Axis, y: Axis) -> Self {
        let (title, marks, legend) = (title.to_owned(), String::new(), Vec::new());
        Self { title, x, y, area: (270.0, 170.0), marks, legend }
    }

    /// The size of the space between the axes; to be said before anything is drawn.
    pub(crate) fn area(mut self, width: f64, height: f64) -> Self {
        assert!(self.marks.is_empty(), "plot: what is drawn has its place already");
        self.area = (width, height);
        self
    }

    /// A line through points; those that are no numbers are left out.
    pub(crate) fn line(&mut self, class: &str, name: Option<&str>, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let start = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{start}{} {}", number(self.at_x(*x)), number(self.at_y(*y)));
        }
        if !path.is_empty() {
            let _ = writeln!(self.marks, "<path class=\"l {class}\" d=\"{path}\"/>");
        }
        self.entry(class, Sign::Line, name);
    }

    /// Dots of a radius in pixels.
    pub(crate) fn dots(
        &mut self,
        class: &str,
        name: Option<&str>,
        points: &[(f64, f64)],
        radius: f64,
    ) {
        let _ = write!(self.marks, "<g class=\"f {class}\">");
        for (x, y) in points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (x, y) = (number(self.at_x(*x)), number(self.at_y(*y)));
            let _ = write!(self.marks, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>");
        }
        self.marks += "</g>\n";
        self.entry(class, Sign::Dot, name);
    }

    /// A rectangle from `x[0]` to `x[1]` and `y[0]` to `y[1]`, of an opacity 0..=1;
    /// `told` is what a reader is told who points at it.
    pub(crate) fn rect(&mut self, class: &str, x: [f64; 2], y: [f64; 2], opacity: f64, told: &str) {
        let fill = format!("class=\"f {class}\" fill-opacity=\"{}\"", number(opacity));
        self.shape(&fill, x, y, told);
    }

    /// The same of a given color, `#rrggbb`.
    pub(crate) fn cell(&mut self, color: &str, x: [f64; 2], y: [f64; 2], told: &str) {
        self.shape(&format!("fill=\"{color}\""), x, y, told);
    }

    fn shape(&mut self, fill: &str, x: [f64; 2], y: [f64; 2], told: &str) {
        let (a, b) = (self.at_x(x[0]), self.at_x(x[1]));
        let (c, d) = (self.at_y(y[0]), self.at_y(y[1]));
        let told = match told {
            "" => String::new(),
            told => format!("<title>{}</title>", escape(told)),
        };
        let _ = writeln!(
            self.marks,
            "<rect {fill} x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">{told}</rect>",
            number(a.min(b)),
            number(c.min(d)),
            number((b - a).abs()),
            number((d - c).abs())
        );
    }

    /// Width and height of all of it in pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        let (left, top) = self.corner();
        let bottom = if self.x.label.is_empty() { 24.0 } else { 40.0 };
        (left + self.area.0 + self.right(), top + self.area.1 + bottom)
    }

    /// As an element of a page, as wide as there is room for; but texts in all
    /// figures are of about the same size.
    pub(crate) fn svg(&self) -> String {
        let (w, h) = self.size();
        let title = escape(&self.title);
        format!(
            "<svg class=\"fig\" viewBox=\"0 0 {w:.0} {h:.0}\" style=\"max-width:{:.0}px\" \
             role=\"img\" aria-label=\"{title}\">\n{}</svg>\n",
            1.3 * w,
            self.body()
        )
    }

    /// What is inside of the element.
    pub(super) fn body(&self) -> String {
        let (left, top) = self.corner();
        let (w, h) = self.area;
        let mut out = String::new();
        if !self.title.is_empty() {
            let title = escape(&self.title);
            let _ = writeln!(out, "<text class=\"t\" x=\"4\" y=\"15\">{title}</text>");
        }
        self.legend_into(&mut out);
        let _ = writeln!(out, "<g transform=\"translate({} {})\">", number(left), number(top));
        for (value, text) in &self.y.ticks {
            let y = self.at_y(*value);
            let (y, low) = (number(y), number(y + 4.0));
            let line = format!("<path class=\"l n g\" d=\"M0 {y}H{w}\"/>");
            let text = escape(text);
            let _ = writeln!(
                out,
                "{line}<g class=\"m\"><text x=\"-6\" y=\"{low}\" text-anchor=\"end\">{text}</text></g>"
            );
        }
        for (value, text) in &self.x.ticks {
            let x = number(self.at_x(*value));
            let line = match self.x.named {
                true => String::new(),
                false => format!("<path class=\"l n g\" d=\"M{x} 0V{h}\"/>"),
            };
            let text = escape(text);
            let y = number(h + 15.0);
            let _ = writeln!(
                out,
                "{line}<g class=\"m\"><text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{text}</text></g>"
            );
        }
        out += &self.marks;
        let _ = writeln!(out, "<path class=\"l n m\" d=\"M0 0V{h}H{w}\"/>");
        if !self.x.label.is_empty() {
            let (x, y, label) = (number(w / 2.0), number(h + 33.0), escape(&self.x.label));
            let _ =
                writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>");
        }
        if !self.y.label.is_empty() {
            let (x, y, label) = (number(11.0 - left), number(h / 2.0), escape(&self.y.label));
            let _ = writeln!(
                out,
                "<text transform=\"translate({x} {y}) rotate(-90)\" text-anchor=\"middle\">{label}</text>"
            );
        }
        out += "</g>\n";
        out
    }

    /// Where the space between the axes begins.
    fn corner(&self) -> (f64, f64) {
        let widest = self.y.ticks.iter().map(|t| width_of(&t.1)).fold(0.0, f64::max);
        let label = if self.y.label.is_empty() { 0.0 } else { 18.0 };
        let title = if self.title.is_empty() { 8.0 } else { 26.0 };
        (widest + 10.0 + label, title + 17.0 * self.legend_rows().len() as f64)
    }

    /// Room for half of the last tick's text.
    fn right(&self) -> f64 {
        let beyond = |(value, text): &(f64, String)| {
            width_of(text) / 2.0 - self.area.0 * (1.0 - self.x.place(*value))
        };
        self.x.ticks.iter().map(beyond).fold(6.0, f64::max) + 4.0
    }

    /// The entries of the legend by row, each with where it begins.
    fn legend_rows(&self) -> Vec<Vec<(f64, usize)>> {
        let room = self.area.0 + 30.0;
        let mut rows: Vec<Vec<(f64, usize)>> = Vec::new();
        let mut x = f64::INFINITY;
        for (i, (_, _, name)) in self.legend.iter().enumerate() {
            let width = 24.0 + width_of(name) + 14.0;
            if x + width > room {
                rows.push(Vec::new());
                x = 4.0;
            }
            rows.last_mut().expect("there is a row").push((x, i));
            x += width;
        }
        rows
    }

    fn legend_into(&self, out: &mut String) {
        let top = if self.title.is_empty() { 12.0 } else { 32.0 };
        for (r, row) in self.legend_rows().iter().enumerate() {
            let y = top + 17.0 * r as f64;
            for &(x, i) in row {
                let (class, sign, name) = &self.legend[i];
                let middle = number(y - 4.0);
                let sign = match sign {
                    Sign::Line => {
                        format!("<path class=\"l {class}\" d=\"M{} {middle}h18\"/>", number(x))
                    }
                    Sign::Dot => {
                        let x = number(x + 9.0);
                        format!(
                            "<circle class=\"f {class}\" cx=\"{x}\" cy=\"{middle}\" r=\"3.5\"/>"
                        )
                    }
                };
                let (x, y, name) = (number(x + 23.0), number(y), escape(name));
                let _ = writeln!(out, "{sign}<text x=\"{x}\" y=\"{y}\">{name}</text>");
            }
        }
    }

    fn entry(&mut self, class: &str, sign: Sign, name: Option<&str>) {
        if let Some(name) = name {
            self.legend.push((class.to_owned(), sign, name.to_owned()));
        }
    }

    fn at_x(&self, value: f64) -> f64 {
        self.area.0 * self.x.place(value)
    }

    /// Numbers grow upwards, names are read from the top.
    fn at_y(&self, value: f64) -> f64 {
        let place = self.y.place(value);
        self.area.1 * if self.y.named { place } else { 1.0 - place }
    }
}

/// A hundredth of a pixel is enough, and zeros at the end are not needed.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        let x = Axis::stepped("age", 0.0, 100.0, 50.0);
        Plot::new("t", x, Axis::stepped("error", 0.0, 10.0, 5.0)).area(200.0, 100.0)
    }

    #[test]
    fn points_are_where_their_numbers_are() {
        let mut plot = plot();
        plot.line("s0", Some("one"), &[(0.0, 0.0), (50.0, f64::NAN), (100.0, 10.0)]);
        plot.dots("s1", None, &[(50.0, 5.0)], 2.0);
        plot.rect("s2", [25.0, 50.0], [0.0, 5.0], 0.5, "a & b");
        let svg = plot.svg();
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
    fn names_are_read_from_the_top_and_a_long_legend_takes_rows() {
        let names = Axis::names("", &["first", "second"]);
        let mut plot = Plot::new("", Axis::linear("x", 0.0, 1.0), names).area(200.0, 100.0);
        plot.dots("s0", None, &[(0.0, 0.0)], 2.0);
        assert!(plot.svg().contains("cy=\"25\""));
        let before = plot.size().1;
        (0..4).for_each(|i| {
            plot.dots("s1", Some(&format!("a rather long name, number {i}")), &[], 2.0)
        });
        assert!(plot.size().1 >= before + 3.0 * 17.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, -0.001, 0.126, 20.0].map(number), ["1", "0", "0.13", "20"]);
    }
}
