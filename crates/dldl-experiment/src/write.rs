//! A table as Markdown, CSV and LaTeX. What is in it is in `tables`.

use std::fmt::Write;
use std::path::Path;

use crate::ExperimentError;
use crate::tables::{Line, Spread, Table};

/// Writes `table.md`, `table.csv` and `table.tex` into a folder.
///
/// # Errors
/// If a file cannot be written.
pub fn write_tables(table: &Table, folder: &Path) -> Result<(), ExperimentError> {
    std::fs::create_dir_all(folder).map_err(ExperimentError::file(folder))?;
    for (name, text) in [
        ("table.md", table.to_markdown()),
        ("table.csv", table.to_csv()),
        ("table.tex", table.to_latex()),
    ] {
        let path = folder.join(name);
        // Whole or not at all: somebody may be looking.
        let temporary = folder.join(format!("{name}.new"));
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .map_err(ExperimentError::file(&path))?;
    }
    Ok(())
}

impl Table {
    /// As Markdown, with caption and notes; the best figures are bold.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("# {}\n\n", markdown(&self.title));
        if !self.about.is_empty() {
            let _ = writeln!(text, "{}\n", self.about.trim());
        }
        let mut rows = vec![self.header(markdown)];
        let labels = self.axes.len();
        rows.push(
            (0..rows[0].len()).map(|i| if i < labels { "---" } else { "---:" }.into()).collect(),
        );
        let cell = |figure: &Spread, digits: usize, best: bool| {
            let text = spread(figure, digits, " ± ");
            if best { format!("**{text}**") } else { text }
        };
        rows.extend(self.body(markdown, cell, |source| format!(" [{source}]")));
        for row in rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        text.push('\n');
        for note in &self.notes {
            let _ = writeln!(text, "{}  ", markdown(note));
        }
        for (number, source) in self.sources() {
            let _ = writeln!(text, "[{number}] {}  ", markdown(source));
        }
        let _ = writeln!(text, "\nMade by `{}`.", self.command);
        text
    }

    /// As CSV: for each figure its mean and standard deviation with all digits,
    /// and of how many values they are.
    pub fn to_csv(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let axis = |name: &String| if name.is_empty() { "name".to_owned() } else { name.clone() };
        let mut header: Vec<String> = self.axes.iter().map(axis).collect();
        for column in &self.columns {
            let name = match column.test.is_empty() {
                true => column.key.clone(),
                false => format!("{} {}", column.test, column.key),
            };
            header.extend(["mean", "std", "n"].map(|part| format!("{name} {part}")));
        }
        header.push("source".into());
        rows.push(header);
        for line in &self.lines {
            let mut row = line.labels.clone();
            for figure in &line.figures {
                let of = |pick: fn(&Spread) -> Option<String>| {
                    figure.as_ref().and_then(pick).unwrap_or_default()
                };
                row.push(of(|f| Some(f.mean.to_string())));
                row.push(of(|f| Some(f.std?.to_string())));
                row.push(of(|f| Some(f.n.to_string())));
            }
            row.push(line.source.clone().unwrap_or_default());
            rows.push(row);
        }
        let line = |row: &Vec<String>| row.iter().map(|c| csv(c)).collect::<Vec<_>>().join(",");
        rows.iter().map(|row| line(row) + "\n").collect()
    }

    /// As a LaTeX table for the package booktabs; the best figures are bold.
    pub fn to_latex(&self) -> String {
        let row = |cells: Vec<String>| format!("    {} \\\\\n", cells.join(" & "));
        let shape = "l".repeat(self.axes.len()) + &"r".repeat(self.columns.len());
        let mut text = format!("% Made by `{}`. Needs \\usepackage{{booktabs}}.\n", self.command);
        text += "\\begin{table}\n  \\centering\n";
        let _ = writeln!(text, "  \\caption{{{}}}", latex(&self.title));
        let _ = writeln!(text, "  \\label{{tab:{}}}", self.name);
        let _ = writeln!(text, "  \\begin{{tabular}}{{{shape}}}\n    \\toprule");
        text += &row(self.header(latex));
        text += "    \\midrule\n";
        let cell = |figure: &Spread, digits: usize, best: bool| {
            let text = spread(figure, digits, " $\\pm$ ");
            if best { format!("\\textbf{{{text}}}") } else { text }
        };
        let own = self.lines.iter().filter(|line| line.source.is_none()).count();
        for (i, cells) in
            self.body(latex, cell, |n| format!("\\textsuperscript{{{n}}}")).enumerate()
        {
            if i == own {
                text += "    \\midrule\n";
            }
            text += &row(cells);
        }
        text += "    \\bottomrule\n  \\end{tabular}\n";
        for note in &self.notes {
            let _ = writeln!(text, "  \\par\\footnotesize {}", latex(note));
        }
        for (number, source) in self.sources() {
            let _ = writeln!(
                text,
                "  \\par\\footnotesize \\textsuperscript{{{number}}} {}",
                latex(source)
            );
        }
        text += "\\end{table}\n";
        text
    }

    fn header(&self, escape: fn(&str) -> String) -> Vec<String> {
        let names = self.axes.iter().chain(self.columns.iter().map(|c| &c.header));
        names.map(|name| escape(name)).collect()
    }

    /// The published sources, numbered from 1, each once.
    fn sources(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut all: Vec<&str> = Vec::new();
        for source in self.lines.iter().filter_map(|line| line.source.as_deref()) {
            if !all.contains(&source) {
                all.push(source);
            }
        }
        (1..).zip(all)
    }

    /// The lines as cells; `mark` makes a reference of a source's number.
    fn body<'a>(
        &'a self,
        escape: fn(&str) -> String,
        cell: impl Fn(&Spread, usize, bool) -> String + 'a,
        mark: impl Fn(usize) -> String + 'a,
    ) -> impl Iterator<Item = Vec<String>> + 'a {
        let number = |source: &str| self.sources().find(|(_, s)| *s == source).map(|(n, _)| n);
        self.lines.iter().map(move |line: &Line| {
            let mut row: Vec<String> = line.labels.iter().map(|label| escape(label)).collect();
            if let Some(number) = line.source.as_deref().and_then(number) {
                row[0] += &mark(number);
            }
            let figures = line.figures.iter().zip(&line.best).zip(&self.columns);
            row.extend(figures.map(|((figure, &best), column)| match figure {
                Some(figure) => cell(figure, column.digits, best),
                None => "-".into(),
            }));
            row
        })
    }
}

/// Mean and standard deviation, with as many digits after the point. What does not
/// vary at all, such as the number of parameters, has no deviation worth a word.
fn spread(figure: &Spread, digits: usize, between: &str) -> String {
    match figure.std {
        Some(std) if std > 0.0 => format!("{:.digits$}{between}{std:.digits$}", figure.mean),
        _ => format!("{:.digits$}", figure.mean),
    }
}

/// Text as Markdown that reads the same, on one line.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '<' | '[' | ']' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Text as LaTeX that reads the same.
fn latex(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "$<$",
            '>' => out += "$>$",
            '|' => out += "$\\vert$",
            '\n' | '\r' => out.push(' '),
            '±' => out += "$\\pm$",
            'ε' => out += "$\\epsilon$",
            'λ' => out += "$\\lambda$",
            'σ' => out += "$\\sigma$",
            '×' => out += "$\\times$",
            c => out.push(c),
        }
    }
    out
}

/// A cell of CSV (RFC 4180).
fn csv(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}
