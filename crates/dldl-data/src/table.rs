//! Reading tables of labels: CSV with a header, as spreadsheets of any language write it,
//! and plain lists with one entry per line. Spreadsheets, and tables without a header in the first line, are read by
//! [`crate::sheet`].

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use crate::sample::{Problem, Split, UnknownSplit};
use crate::{DataError, values};

/// One line of a table, with its cells by column name.
pub(crate) struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    record: &'a csv::StringRecord,
    /// The line of the file, from 1.
    line: u64,
}

impl<'a> Row<'a> {
    /// The cell of a column; none if it is empty or missing.
    pub(crate) fn cell(&self, column: &str) -> Option<&'a str> {
        let index = *self.columns.get(column).or_else(|| {
            let lower = column.to_lowercase();
            self.columns.iter().find(|(name, _)| name.to_lowercase() == lower).map(|(_, i)| i)
        })?;
        self.record.get(index).filter(|cell| !cell.is_empty())
    }

    /// Whether the table has a column; its case does not matter.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.columns.keys().any(|name| name.to_lowercase() == column.to_lowercase())
    }

    /// Where the line is, for reports.
    pub(crate) fn place(&self, path: &Path) -> String {
        place(path, self.line)
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
/// The table must have the columns `required`; alternatives are separated by bars. Their
/// case does not matter. Cells are separated by commas, semicolons, tabs or bars, whichever
/// gives the required columns; the text is UTF-8 or, with a byte order mark, UTF-16. Empty
/// lines and comments (`#`) before the header are skipped.
pub(crate) fn for_each_row(
    path: &Path,
    required: &[&str],
    problems: &mut Vec<Problem>,
    mut each: impl FnMut(&Row) -> Result<(), String>,
) -> Result<(), DataError> {
    let broken = |e: csv::Error| DataError::malformed(path, "a CSV table")(format!("{e:?}"));
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    let bytes = utf8(&bytes);
    let (start, first_line) = header_start(&bytes);
    let header = bytes[start..].split(|&b| b == b'\n' || b == b'\r').next().unwrap_or_default();
    let reader = |separator: u8| {
        csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(separator)
            .from_reader(&bytes[start..])
    };
    let declared = declared_separator(&bytes[..start]);
    let separator = declared.unwrap_or_else(|| separator(header, required));
    let mut reader = reader(separator);
    let names: Vec<String> = reader.headers().map_err(broken)?.iter().map(str::to_owned).collect();
    let mut columns: HashMap<String, usize> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        let twice = columns.insert(name.clone(), i).is_some();
        if twice && required.iter().any(|column| column.split('|').any(|c| c == name)) {
            return Err(DataError::table(path, format!("the header has two columns `{name}`")));
        }
    }
    for column in required {
        if !column.split('|').any(|wanted| has_name(&names, wanted)) {
            let column = column.replace('|', "` or `");
            let read = names.join("`, `");
            let reason = format!(
                "the first line, the header, has no column `{column}`: its columns are `{read}`"
            );
            return Err(DataError::table(path, reason));
        }
    }
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let outcome = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = first_line + record.position().map_or(line, |p| p.line());
                each(&Row { columns: &columns, record: &record, line })
            }
            Err(_) => Err("invalid UTF-8: save the table as UTF-8".to_owned()),
        };
        if let Err(reason) = outcome {
            let line = first_line + record.position().map_or(line, |p| p.line());
            problems.push(Problem { file: place(path, line), reason });
        }
    }
}

/// UTF-16 with a byte order mark as UTF-8, and other text without its mark.
fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let decode = |number: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units: Vec<u16> = bytes.as_chunks().0.iter().map(|pair| number(*pair)).collect();
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => decode(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => decode(u16::from_be_bytes, rest),
        [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(rest),
        _ => Cow::Borrowed(bytes),
    }
}

/// Where the header starts, after comments and Excel's `sep=;`, and how many lines precede
/// it. Empty lines are left to the CSV reader, which counts them.
fn header_start(bytes: &[u8]) -> (usize, u64) {
    let (mut start, mut lines) = (0, 0);
    loop {
        let rest = &bytes[start..];
        let end = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |end| end + 1);
        let line = rest[..end].trim_ascii();
        let skipped = line.is_empty() || line.starts_with(b"#") || line.starts_with(b"sep=");
        if end == 0 || !skipped {
            return (start, lines);
        }
        (start, lines) = (start + end, lines + 1);
    }
}

fn declared_separator(preamble: &[u8]) -> Option<u8> {
    let mut lines = preamble.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end);
    lines.find_map(|line| line.strip_prefix(b"sep=")).and_then(|rest| rest.first().copied())
}

/// The separator with which the header has the most of the required columns; a comma where
/// none is better.
fn separator(header: &[u8], required: &[&str]) -> u8 {
    let found = |&separator: &u8| {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(separator)
            .trim(csv::Trim::All)
            .from_reader(header);
        let names: Vec<String> = match reader.records().next() {
            Some(Ok(record)) => record.iter().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let present = |column: &&&str| column.split('|').any(|wanted| has_name(&names, wanted));
        (required.iter().filter(present).count(), names.len())
    };
    // Of equal ones, the last is taken.
    b"|\t;,".iter().copied().max_by_key(found).unwrap_or(b',')
}

fn has_name(names: &[String], wanted: &str) -> bool {
    names.iter().any(|name| name.to_lowercase() == wanted.to_lowercase())
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
