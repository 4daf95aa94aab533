//! Helpers for printing to stdout and writing result files.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use dldl_label::Recalibration;

/// Output format of a report.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Prints `text` to stdout with exactly one newline at its end, for people: see
/// [`printable_lines`].
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", printable_lines(text.trim_end_matches('\n')))?;
    Ok(out.flush()?)
}

/// Writes a result file whole or not at all; devices and pipes are written in place.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    dldl_io::write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A map of estimates as its nodes: `0 -> 0, 12.5 -> 12.9, 100 -> 100`.
pub fn recalibration(map: &Recalibration) -> String {
    let digits = |v: f64| (v * 1e3).round() / 1e3;
    let node = |[from, to]: &[f64; 2]| format!("{} -> {}", digits(*from), digits(*to));
    map.nodes().iter().map(node).collect::<Vec<_>>().join(", ")
}

/// Prints warnings or failed files to stderr, one per line.
pub fn complain(lines: impl IntoIterator<Item = String>) {
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        // With stderr closed there is nobody to tell.
        let _ = writeln!(stderr, "{}", printable_lines(&line));
    }
}

/// Replaces control characters, which could do anything to a terminal: names of files and
/// messages about their contents are whatever somebody wrote.
pub fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// [`printable`] for text of several lines.
pub fn printable_lines(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_safe(c) { c } else { '\u{fffd}' }).collect()
}

/// Whether stdout may be colored: it is a terminal and neither `NO_COLOR`
/// (<https://no-color.org>) nor `TERM=dumb` is set.
pub fn color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    std::io::stdout().is_terminal() && !refused
}

/// Formats an integer with commas between thousands.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(printable("a\x1b[2J\n.jpg"), "a\u{fffd}[2J\u{fffd}.jpg");
        assert_eq!(printable_lines("a\x1b[2J\n\tb\r"), "a\u{fffd}[2J\n\tb\u{fffd}");
    }

    #[test]
    fn thousands_are_separated_by_commas() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (934_869, "934,869")];
        for (n, text) in cases {
            assert_eq!(thousands(n), text);
        }
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}
