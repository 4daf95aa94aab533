//! A comparison as text: aligned columns, Markdown, CSV or JSON.

use std::fmt::Write;

use super::{Comparison, Difference, Matrix, Row};
use crate::Measured;

/// The format of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Aligned columns.
    Text,
    /// Markdown tables.
    Markdown,
    /// The rows with a header and all digits, without the matrices.
    Csv,
    /// Everything.
    Json,
}

/// The columns of tables; the first three hold text.
const HEADER: [&str; 15] = [
    "model",
    "method",
    "dataset",
    "n",
    "MAE",
    "95 %",
    "rescaled",
    "RMSE",
    "Pearson",
    "bias",
    "CS@5",
    "eps-error",
    "CRPS",
    "90 % covers",
    "width",
];
const WORDS: usize = 3;

impl Row {
    /// The cells of a table row, in the order of [`HEADER`].
    fn cells(&self) -> Vec<String> {
        let digits = self.digits;
        let cell = |value: Option<f64>, digits: usize| {
            value.map_or("-".into(), |v| format!("{v:.digits$}"))
        };
        let figure = |m: Option<Measured>, digits: usize| cell(m.map(|m| m.value), digits);
        let range = self
            .mae
            .and_then(|m| m.interval)
            .map_or("-".into(), |[low, high]| format!("{low:.digits$} - {high:.digits$}"));
        let percent = self.coverage90.map(|c| 100.0 * c.value);
        vec![
            self.model.clone(),
            self.method.clone(),
            self.column(),
            self.n.to_string(),
            figure(self.mae, digits),
            range,
            cell(self.mae_rescaled, digits),
            figure(self.rmse, digits),
            figure(self.pearson, 4),
            figure(self.bias, digits),
            figure(self.cs5, 1),
            figure(self.epsilon_error, 4),
            figure(self.crps, digits),
            cell(percent, 1),
            figure(self.width90, 2),
        ]
    }
}

impl Comparison {
    /// Formats the comparison.
    pub fn to_text(&self, layout: Layout) -> String {
        match layout {
            Layout::Json => serde_json::to_string_pretty(self).expect("plain data"),
            Layout::Csv => self.csv(),
            Layout::Text | Layout::Markdown => self.tables(layout == Layout::Markdown),
        }
    }

    fn tables(&self, markdown: bool) -> String {
        let header: Vec<String> = HEADER.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = self.rows.iter().map(Row::cells).collect();
        let mut text = table(&header, &rows, WORDS, markdown);
        // With one dataset, the rows have it all.
        for matrix in self.matrices.iter().filter(|m| m.columns.len() > 1) {
            let Matrix { task, figure, columns, models, digits } = matrix;
            let title = format!("{figure} ({task}), model by dataset");
            let _ = match markdown {
                true => write!(text, "\n**{title}**\n\n"),
                false => write!(text, "\n{title}\n"),
            };
            let header: Vec<String> =
                std::iter::once("model".to_owned()).chain(columns.iter().cloned()).collect();
            let cell =
                |value: &Option<f64>| value.map_or("-".into(), |v| format!("{v:.0$}", *digits));
            let rows = models.iter().map(|(model, cells)| {
                std::iter::once(model.clone()).chain(cells.iter().map(cell)).collect()
            });
            text += &table(&header, &rows.collect::<Vec<_>>(), 1, markdown);
        }
        text + &self.paired(markdown)
    }

    /// The differences on the same pictures; empty if there are none.
    fn paired(&self, markdown: bool) -> String {
        if self.differences.is_empty() {
            return String::new();
        }
        let title = "MAE minus that of the reference, on the same pictures (paired bootstrap)";
        let title = match markdown {
            true => format!("\n**{title}**\n\n"),
            false => format!("\n{title}\n"),
        };
        let model = |name: &String| {
            let row = self.rows.iter().find(|row| row.name == *name);
            row.map_or(name.clone(), |row| format!("{} ({name})", row.model))
        };
        let row = |d: &Difference| {
            let digits = d.digits;
            let interval = d
                .mae
                .interval
                .map_or("-".into(), |[low, high]| format!("{low:+.digits$} to {high:+.digits$}"));
            vec![
                model(&d.name),
                model(&d.reference),
                d.dataset.clone(),
                d.n.to_string(),
                format!("{:+.digits$}", d.mae.value),
                interval,
            ]
        };
        let header = ["model", "reference", "dataset", "n", "difference", "95 %"];
        let rows: Vec<Vec<String>> = self.differences.iter().map(row).collect();
        title + &table(&header.map(str::to_owned), &rows, WORDS, markdown)
    }

    /// A line per row, including the interval of the MAE.
    fn csv(&self) -> String {
        let mut text = String::from(
            "name,model,method,task,dataset,split,n,failures,mae,mae_low,mae_high,mae_rescaled,\
             rmse,pearson,bias,cs5,epsilon_error,nll,crps,coverage90,width90\n",
        );
        for row in &self.rows {
            let words =
                [&row.name, &row.model, &row.method, row.task.name(), &row.dataset, &row.split];
            let mut cells: Vec<String> = words.map(quoted).to_vec();
            cells.extend([row.n.to_string(), row.failures.to_string()]);
            let value = |m: Option<Measured>| m.map(|m| m.value);
            let range = row.mae.and_then(|m| m.interval);
            let figures = [
                value(row.mae),
                range.map(|r| r[0]),
                range.map(|r| r[1]),
                row.mae_rescaled,
                value(row.rmse),
                value(row.pearson),
                value(row.bias),
                value(row.cs5),
                value(row.epsilon_error),
                value(row.nll),
                value(row.crps),
                value(row.coverage90),
                value(row.width90),
            ];
            cells.extend(figures.map(|v| v.map_or(String::new(), |v| v.to_string())));
            text += &cells.join(",");
            text.push('\n');
        }
        text
    }
}

/// A table with a header; the first `words` columns are left-aligned.
fn table(header: &[String], rows: &[Vec<String>], words: usize, markdown: bool) -> String {
    let escaped = |cell: &String| if markdown { cell.replace('|', "\\|") } else { cell.clone() };
    let mut lines: Vec<Vec<String>> = std::iter::once(header)
        .chain(rows.iter().map(Vec::as_slice))
        .map(|line| line.iter().map(escaped).collect())
        .collect();
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    if markdown {
        let rule = |(i, w): (usize, &usize)| match i < words {
            true => "-".repeat((*w).max(3)),
            false => format!("{}:", "-".repeat((*w).max(3) - 1)),
        };
        lines.insert(1, widths.iter().enumerate().map(rule).collect());
    }
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().enumerate().map(|(i, cell)| match i < words {
            true => format!("{cell:0$}", widths[i]),
            false => format!("{cell:>0$}", widths[i]),
        });
        let cells: Vec<String> = cells.collect();
        let joined = match markdown {
            true => format!("| {} |", cells.join(" | ")),
            false => cells.join("  ").trim_end().to_owned(),
        };
        text += &joined;
        text.push('\n');
    }
    text
}

/// A CSV cell, quoted if necessary.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
