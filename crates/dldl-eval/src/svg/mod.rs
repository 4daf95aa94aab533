//! Figures as SVG, for pages and for files: one plot with its axes, lines, dots,
//! bars and legend ([`Plot`]), and several on a sheet ([`sheet`]). Colors are by class
//! and follow light and dark ([`STYLE`]); fonts are the reader's own. What is drawn is
//! the business of others.

mod axis;
mod plot;

pub(crate) use axis::Axis;
pub(crate) use plot::Plot;

/// How figures look: to be put once into a page, or into a file of its own. Series
/// 0 to 5 are the classes `s0` to `s5` (after Okabe and Ito, to be told apart by
/// color-blind eyes); `m` is for what stands back, `g` for grid lines.
pub(crate) const STYLE: &str = "\
.fig{color:#24292f;font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
.fig text{fill:currentColor;stroke:none}
.fig .t{font-weight:600;font-size:12px}
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

/// Text that may stand between tags and inside quotes. What XML does not know,
/// control characters, becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
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

/// How wide a text will be at 11 pixels, roughly: fonts differ.
pub(crate) fn width_of(text: &str) -> f64 {
    let narrow =
        |c: char| matches!(c, 'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ' ' | '(' | ')');
    text.chars().map(|c| if narrow(c) { 3.6 } else { 6.6 }).sum()
}

/// Plots side by side in rows of `columns`, with a title and a line below it, as a
/// file that stands alone.
pub(crate) fn sheet(title: &str, subtitle: &str, plots: &[Plot], columns: usize) -> String {
    let gap = 12.0;
    let columns = columns.clamp(1, plots.len().max(1));
    let (mut y, mut width, mut body) = (54.0, 0.0_f64, String::new());
    for row in plots.chunks(columns) {
        let (mut x, mut height) = (gap, 0.0_f64);
        for plot in row {
            let (w, h) = plot.size();
            body += &format!("<g transform=\"translate({x:.1} {y:.1})\">{}</g>\n", plot.body());
            x += w + gap;
            height = height.max(h);
        }
        width = width.max(x);
        y += height + gap;
    }
    width = width.max(width_of(title) * 1.3 + 2.0 * gap).max(width_of(subtitle) + 2.0 * gap);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\" viewBox=\"0 0 {width:.0} {y:.0}\" \
         width=\"{width:.0}\" height=\"{y:.0}\" role=\"img\" aria-label=\"{0}\">\n\
         <style>{STYLE}.paper{{fill:#fff}}\
         @media screen and (prefers-color-scheme:dark){{.paper{{fill:#0d1117}}}}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text x=\"{gap}\" y=\"24\" style=\"font-size:15px;font-weight:600\">{0}</text>\n\
         <g class=\"m\"><text x=\"{gap}\" y=\"42\">{1}</text></g>\n{body}</svg>\n",
        escape(title),
        escape(subtitle),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_written_stays_text() {
        assert_eq!(escape("a<b>&\"'\n\u{1}"), "a&lt;b&gt;&amp;&quot;&#39; \u{fffd}");
        let axis = || Axis::linear("<x>", 0.0, 1.0);
        let mut plot = Plot::new("a & b", axis(), axis());
        plot.line("s0", Some("<script>"), &[(0.0, 0.0), (1.0, 1.0)]);
        let svg = sheet("<title>", "&", &[plot], 2);
        assert!(!svg.contains("<script") && !svg.contains("<title") && svg.contains("&lt;x&gt;"));
    }

    #[test]
    fn a_sheet_holds_all_plots_in_rows() {
        let axis = || Axis::linear("x", 0.0, 1.0);
        let plots: Vec<Plot> =
            (0..3).map(|i| Plot::new(&format!("no {i}"), axis(), axis())).collect();
        let (w, h) = plots[0].size();
        let svg = sheet("t", "s", &plots, 2);
        let size = format!("viewBox=\"0 0 {:.0} {:.0}\"", 2.0 * w + 36.0, 54.0 + 2.0 * (h + 12.0));
        assert!(svg.contains(&size), "{size} in {}", &svg[..200]);
        assert!((0..3).all(|i| svg.contains(&format!("no {i}"))));
    }
}
