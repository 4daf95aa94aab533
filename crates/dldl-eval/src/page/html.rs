//! Building blocks of the page: tables, figures, numbers. All external text goes through
//! [`text`].

use std::fmt::Write;

use dldl_plot::{Plot, escape};

use crate::evaluation::Measured;

/// Escapes text for HTML.
pub(super) fn text(text: &str) -> String {
    escape(text)
}

/// Escapes text of several lines for `pre`.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<String>>().join("\n")
}

/// A number, or a dash if there is none.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".into(), |value| {
        let number = format!("{value:.digits$}");
        // The minus sign U+2212, and none before a zero.
        match number.strip_prefix('-') {
            Some(rest) if rest.bytes().any(|b| b.is_ascii_digit() && b != b'0') => {
                format!("\u{2212}{rest}")
            }
            Some(rest) => rest.to_owned(),
            None => number,
        }
    })
}

/// A metric followed by its 95 % interval, both multiplied by `times`.
pub(super) fn measured(metric: Option<Measured>, times: f64, digits: usize) -> String {
    let Some(Measured { value, interval }) = metric else { return "–".into() };
    let value = number(Some(times * value), digits);
    match interval {
        Some(ends) => {
            let [low, high] = ends.map(|v| number(Some(times * v), digits));
            format!("{value} <small>{low} to {high}</small>")
        }
        None => value,
    }
}

/// A table: the first column holds names, the others numbers.
pub(super) struct Table {
    html: String,
}

impl Table {
    /// A table with these column headers, given as HTML.
    pub(super) fn new(head: &[&str]) -> Self {
        let cells: String = head.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
        Self {
            html: format!(
                "<div class=\"scroll\"><table>\n<thead><tr>{cells}</tr></thead><tbody>\n"
            ),
        }
    }

    /// Adds a row of HTML cells; `class` may be empty.
    pub(super) fn row(&mut self, class: &str, cells: &[String]) {
        let _ = write!(self.html, "<tr{}>", class_of(class));
        for (i, cell) in cells.iter().enumerate() {
            let _ = match i {
                0 => write!(self.html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(self.html, "<td>{cell}</td>"),
            };
        }
        self.html += "</tr>\n";
    }

    pub(super) fn finish(self) -> String {
        self.html + "</tbody></table></div>\n"
    }
}

fn class_of(class: &str) -> String {
    if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") }
}

/// A plot with a caption; `note` is plain text and may be empty.
pub(super) fn figure(plot: &Plot, note: &str) -> String {
    let note = match note {
        "" => String::new(),
        note => format!("<figcaption>{}</figcaption>", text(note)),
    };
    format!("<figure>{}{note}</figure>\n", plot.to_svg())
}

/// Figures side by side as far as there is room.
pub(super) fn figures(all: &[String]) -> String {
    format!("<div class=\"figures\">\n{}</div>\n", all.concat())
}

/// A section with a heading; `body` is HTML. Without a body there is no section.
pub(super) fn section(heading: &str, body: &str) -> String {
    match body {
        "" => String::new(),
        body => format!("<section>\n<h3>{}</h3>\n{body}</section>\n", text(heading)),
    }
}

/// A paragraph of plain text.
pub(super) fn paragraph(content: &str) -> String {
    format!("<p>{}</p>\n", text(content))
}

/// A collapsed block; `body` is HTML.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n{body}</details>\n", text(summary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_use_the_minus_sign_and_have_no_negative_zero() {
        assert_eq!(number(Some(-1.26), 1), "\u{2212}1.3");
        assert_eq!(number(Some(-0.001), 2), "0.00");
        assert_eq!(number(None, 2), "–");
        let figure = Measured { value: 0.9, interval: Some([0.85, 0.95]) };
        assert_eq!(measured(Some(figure), 100.0, 1), "90.0 <small>85.0 to 95.0</small>");
        assert_eq!(measured(Some(Measured { value: 2.0, interval: None }), 1.0, 0), "2");
    }

    #[test]
    fn the_first_cell_of_a_row_is_a_header() {
        let mut table = Table::new(&["", "n"]);
        table.row("few", &[text("<a>"), "3".into()]);
        let html = table.finish();
        assert!(html.contains("<tr class=\"few\"><th scope=\"row\">&lt;a&gt;</th><td>3</td></tr>"));
    }
}
