//! Reading tables of labels: CSV with a header, and plain lists with one entry per
//! line. Spreadsheets, and tables without a header in the first line, are read by
//! [`crate::sheet`].

use std::collections::HashMap;
use std::path::Path;

use crate::sample::{Problem, Split, UnknownSplit};
use crate::{DataError, values};

/// One line of a table, with its cells by column name.
pub(crate) struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    record: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// The cell of a column; none if it is empty or missing.
    pub(crate) fn cell(&self, column: &str) -> Option<&'a str> {
        let index = *self.columns.get(column)?;
        self.record.get(index).filter(|cell| !cell.is_empty())
    }

    /// The cell of a column that must not be empty.
    pub(crate) fn required(&self, column: &str) -> Result<&'a str, String> {
        self.cell(column).ok_or_else(|| format!("missing `{column}`"))
    }

    /// The split in the column `split`; none if it is empty.
    pub(crate) fn split(&self) -> Result<Option<Split>, String> {
        let parse = |cell: &str| cell.parse().map_err(|e: UnknownSplit| e.to_string());
        self.cell("split").map(parse).transpose()
    }

    /// A number of at least 0 in a column that must not be empty.
    pub(crate) fn number(&self, column: &str) -> Result<f64, String> {
        values::number(self.required(column)?, column)
    }
}

/// Where an entry stands, for reports.
pub(crate) fn place(path: &Path, line: impl std::fmt::Display) -> String {
    format!("{}, line {line}", path.display())
}

/// Calls `each` with every line of the CSV table at `path`. Lines that do not parse,
/// and errors of `each`, become problems that name the line.
///
/// The table must have the columns `required`; alternatives are separated by bars.
pub(crate) fn for_each_row(
    path: &Path,
    required: &[&str],
    problems: &mut Vec<Problem>,
    mut each: impl FnMut(&Row) -> Result<(), String>,
) -> Result<(), DataError> {
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(source) => DataError::Io { path: path.to_owned(), source },
        other => DataError::malformed(path, "a CSV table")(format!("{other:?}")),
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(broken)?;
    let columns: HashMap<String, usize> = reader
        .headers()
        .map_err(broken)?
        .iter()
        .enumerate()
        // Spreadsheet programs put a byte order mark before the first name.
        .map(|(i, name)| (name.trim_start_matches('\u{feff}').to_owned(), i))
        .collect();
    for column in required {
        if !column.split('|').any(|name| columns.contains_key(name)) {
            let column = column.replace('|', "` or `");
            let reason = format!("the header has no column `{column}`");
            return Err(DataError::table(path, reason));
        }
    }
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let outcome = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => each(&Row { columns: &columns, record: &record }),
            Err(e) if e.is_io_error() => return Err(broken(e)),
            Err(_) => Err("invalid UTF-8".to_owned()),
        };
        if let Err(reason) = outcome {
            let line = record.position().map_or(line, |p| p.line());
            problems.push(Problem { file: place(path, line), reason });
        }
    }
}

/// Calls `each` with every line of the text file at `path` that is not blank. Its
/// errors become problems that name the line.
pub(crate) fn for_each_line(
    path: &Path,
    problems: &mut Vec<Problem>,
    mut each: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), DataError> {
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if let Err(reason) = each(line.trim()) {
            problems.push(Problem { file: place(path, i + 1), reason });
        }
    }
    Ok(())
}
