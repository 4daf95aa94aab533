//! Shapes as SVG. Colors are classes ([`STYLE`]), so that they follow light and dark
//! mode.

use std::fmt::Write;

use crate::shape::{Anchor, Fill, HEADING, Point, Shape, TITLE};
use crate::{Ink, Pen};

/// The style of plots in a page: to be put into its `<style>` once. Fonts are the
/// reader's own; colors follow light and dark mode.
pub const STYLE: &str = "\
.fig{color:#24292f;font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
.fig text{fill:currentColor;stroke:none}
.fig .t{font-weight:600;font-size:12px}.fig .h{font-weight:600;font-size:15px}
.fig .m{color:#59636e}.fig .g{color:#d8dee4}
.fig .s0{color:#0072b2}.fig .s1{color:#d55e00}.fig .s2{color:#008a64}.fig .s3{color:#a3478f}
.fig .s4{color:#8a6d00}.fig .s5{color:#59636e}
.fig .l{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}
.fig .d{stroke-dasharray:5 4}.fig .n{stroke-width:1}
.fig .f{fill:currentColor;stroke:none}
@media screen and (prefers-color-scheme:dark){
.fig{color:#e6edf3}.fig .m{color:#9aa4af}.fig .g{color:#343b44}
.fig .s0{color:#58b6f0}.fig .s1{color:#ff9d5c}.fig .s2{color:#3fcfa4}.fig .s3{color:#e394d3}
.fig .s4{color:#e0c050}.fig .s5{color:#9aa4af}
}
";

/// Escapes text for XML and HTML, between tags and inside quotes. Control characters,
/// which XML does not allow, become U+FFFD, line breaks and tabs become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A file that stands alone, enlarged by `scale`.
pub(crate) fn file(title: &str, size: Point, scale: f64, shapes: &[Shape]) -> String {
    let [width, height] = size.map(f64::round);
    let [wide, high] = [width, height].map(|v| (v * scale).round());
    let title = escape(title);
    let mut body = String::new();
    write_shapes(&mut body, shapes);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 {width} {height}\" \
         width=\"{wide}\" height=\"{high}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>{STYLE}.paper{{fill:#fff}}\
         @media screen and (prefers-color-scheme:dark){{.paper{{fill:#0d1117}}}}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
    )
}

/// An element of a page, as wide as there is room for, up to 1.3 times its size: texts
/// in all figures of a page are of about the same size.
pub(crate) fn element(title: &str, size: Point, shapes: &[Shape]) -> String {
    let [width, height] = size.map(f64::round);
    let most = (1.3 * size[0]).round();
    let title = escape(title);
    let mut body = String::new();
    write_shapes(&mut body, shapes);
    format!(
        "<svg class=\"fig\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{most}px\" \
         role=\"img\" aria-label=\"{title}\">\n{body}</svg>\n"
    )
}

fn write_shapes(out: &mut String, shapes: &[Shape]) {
    // Writing to a string cannot fail.
    for shape in shapes {
        let _ = match shape {
            Shape::Line { pen, points } => {
                let mut path = String::new();
                for [x, y] in points {
                    let command = if path.is_empty() { 'M' } else { 'L' };
                    let _ = write!(path, "{command}{} {}", number(*x), number(*y));
                }
                writeln!(out, "<path {} d=\"{path}\"/>", line_style(*pen))
            }
            Shape::Dots { ink, centers, radius } => {
                let _ = write!(out, "<g class=\"{}\">", classes("f", *ink));
                for [x, y] in centers {
                    let (x, y, r) = (number(*x), number(*y), number(*radius));
                    let _ = write!(out, "<circle cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>");
                }
                writeln!(out, "</g>")
            }
            Shape::Ring { pen, center, radius } => {
                let ([x, y], r) = (center.map(number), number(*radius));
                writeln!(out, "<circle {} cx=\"{x}\" cy=\"{y}\" r=\"{r}\"/>", line_style(*pen))
            }
            Shape::Rect { fill, corner, size, hint } => {
                let fill = match fill {
                    Fill::Ink(ink, opacity) => {
                        let class = classes("f", *ink);
                        format!("class=\"{class}\" fill-opacity=\"{}\"", number(*opacity))
                    }
                    Fill::Color([r, g, b]) => format!("fill=\"#{r:02x}{g:02x}{b:02x}\""),
                };
                let ([x, y], [w, h]) = (corner.map(number), size.map(number));
                let hint = match hint.as_str() {
                    "" => String::new(),
                    hint => format!("<title>{}</title>", escape(hint)),
                };
                writeln!(
                    out,
                    "<rect {fill} x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\">{hint}</rect>"
                )
            }
            Shape::Text { text, at, ink, size, anchor } => {
                let class = match *size {
                    TITLE => " class=\"t\"",
                    HEADING => " class=\"h\"",
                    _ => "",
                };
                let anchor = match anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let ([x, y], text) = (at.map(number), escape(text));
                let element = format!("<text{class} x=\"{x}\" y=\"{y}\"{anchor}>{text}</text>");
                match ink.class() {
                    "" => writeln!(out, "{element}"),
                    // A text takes its color from the element around it.
                    class => writeln!(out, "<g class=\"{class}\">{element}</g>"),
                }
            }
            Shape::Upwards { text, at } => {
                let ([x, y], text) = (at.map(number), escape(text));
                writeln!(
                    out,
                    "<text transform=\"translate({x} {y}) rotate(-90)\" \
                     text-anchor=\"middle\">{text}</text>"
                )
            }
            Shape::Group { origin, shapes } => {
                let [x, y] = origin.map(number);
                let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
                write_shapes(out, shapes);
                writeln!(out, "</g>")
            }
        };
    }
}

fn classes(kind: &str, ink: Ink) -> String {
    format!("{kind} {}", ink.class()).trim_end().to_owned()
}

fn line_style(pen: Pen) -> String {
    let mut class = classes("l", pen.ink);
    class += if pen.dashed { " d" } else { "" };
    class += if pen.thin { " n" } else { "" };
    match pen.opacity {
        1.0 => format!("class=\"{class}\""),
        opacity => format!("class=\"{class}\" stroke-opacity=\"{}\"", number(opacity)),
    }
}

/// A hundredth of a pixel is enough, and trailing zeros are not needed.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Plot, Sheet};

    #[test]
    fn texts_are_escaped() {
        assert_eq!(escape("a<b>&\"'\n\u{1}"), "a&lt;b&gt;&amp;&quot;&#39; \u{fffd}");
        let axis = || Axis::linear("<x>", 0.0, 1.0);
        let mut plot = Plot::new("a & b", axis(), axis());
        plot.line(Ink::Series(0), Some("<script>"), &[(0.0, 0.0), (1.0, 1.0)]);
        let svg = Sheet::new("<title>", "&", vec![plot]).to_svg();
        assert!(!svg.contains("<script") && !svg.contains("<title") && svg.contains("&lt;x&gt;"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, -0.001, 0.126, 20.0].map(number), ["1", "0", "0.13", "20"]);
    }

    #[test]
    fn pens_become_classes() {
        assert_eq!(line_style(Ink::Series(7).into()), "class=\"l s1\"");
        assert_eq!(line_style(Ink::Muted.dashed().thin()), "class=\"l m d n\"");
        let faint = Pen::from(Ink::Text).opacity(0.5);
        assert_eq!(line_style(faint), "class=\"l\" stroke-opacity=\"0.5\"");
    }
}
