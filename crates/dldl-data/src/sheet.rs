//! Reading spreadsheets (xlsx) and text exports of them, with any separator, lines
//! above the header, or no header at all. CSV tables with the header in the first line
//! are read by [`crate::table`].

use std::path::{Path, PathBuf};

use calamine::Reader;

use crate::table::place;
use crate::{DataError, values};

/// One sheet in memory, its cells as text.
pub(crate) struct Sheet {
    /// The name of the sheet; empty for a text file.
    pub(crate) name: String,
    path: PathBuf,
    /// The line of the first row, from 1.
    first: usize,
    pub(crate) rows: Vec<Vec<String>>,
}

/// The selected columns of one row.
pub(crate) struct Line<'a> {
    /// File, sheet and line, for reports.
    pub(crate) place: String,
    /// The cells in the order of the selection; none if empty or missing.
    pub(crate) cells: Vec<Option<&'a str>>,
}

impl Line<'_> {
    /// An age in a column, unless the cell is empty.
    pub(crate) fn age(&self, column: usize) -> Result<Option<f64>, String> {
        self.cells[column].map(values::age).transpose()
    }
}

impl Sheet {
    /// The rows below the header: the first row that names the first `required` of
    /// `columns` (alternatives are separated by bars). None if there is no such row.
    pub(crate) fn select(&self, columns: &[&str], required: usize) -> Option<Vec<Line<'_>>> {
        let place = |row: &[String], column: &str| {
            row.iter().position(|cell| column.split('|').any(|name| name == cell))
        };
        let places = |row: &Vec<String>| -> Vec<Option<usize>> {
            columns.iter().map(|column| place(row, column)).collect()
        };
        let (header, at) = self
            .rows
            .iter()
            .map(places)
            .enumerate()
            .find(|(_, at)| at[..required].iter().all(Option::is_some))?;
        let line = |i: usize| Line {
            place: self.place(i),
            cells: at.iter().map(|column| self.cell(i, (*column)?)).collect(),
        };
        let filled = |i: &usize| self.rows[*i].iter().any(|cell| !cell.is_empty());
        Some((header + 1..self.rows.len()).filter(filled).map(line).collect())
    }

    /// A cell; none if it is empty or missing.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<&str> {
        self.rows[row].get(column).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    /// File, sheet and line of a row, for reports.
    pub(crate) fn place(&self, row: usize) -> String {
        let line = self.first + row;
        match self.name.as_str() {
            "" => place(&self.path, line),
            sheet => format!("{}, sheet {sheet}, line {line}", self.path.display()),
        }
    }
}

/// Reads all sheets of a workbook (`.xlsx`), or a text file as one sheet.
///
/// # Errors
/// The file cannot be read, or is not a workbook although its name ends in `.xlsx`.
pub(crate) fn read(path: &Path) -> Result<Vec<Sheet>, DataError> {
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("xlsx")) {
        true => workbook(path),
        false => text(path).map(|sheet| vec![sheet]),
    }
}

fn workbook(path: &Path) -> Result<Vec<Sheet>, DataError> {
    let broken = |e: calamine::XlsxError| DataError::malformed(path, "an Excel workbook")(e);
    let file = std::fs::File::open(path).map_err(DataError::io(path))?;
    let mut book = calamine::Xlsx::new(std::io::BufReader::new(file)).map_err(broken)?;
    let mut sheets = Vec::new();
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(broken)?;
        let first = range.start().map_or(1, |(row, _)| row as usize + 1);
        let cell = |cell: &calamine::Data| cell.to_string().trim().to_owned();
        let rows = range.rows().map(|row| row.iter().map(cell).collect()).collect();
        sheets.push(Sheet { name, path: path.to_owned(), first, rows });
    }
    Ok(sheets)
}

/// The separator is the most frequent of comma, semicolon and tab in the first line
/// that has any of them.
fn text(path: &Path) -> Result<Sheet, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let count = |line: &str, separator: u8| line.bytes().filter(|b| *b == separator).count();
    let separator = text.lines().find_map(|line| {
        let best = b",;\t".iter().rev().copied().max_by_key(|s| count(line, *s))?;
        (count(line, best) > 0).then_some(best)
    });
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator.unwrap_or(b','))
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let broken = |e: csv::Error| DataError::malformed(path, "a CSV table")(e);
        let record = record.map_err(broken)?;
        // The reader skips empty lines; rows keep their line numbers.
        let line = record.position().map_or(rows.len() + 1, |p| p.line() as usize);
        rows.resize(rows.len().max(line - 1), Vec::new());
        rows.push(record.iter().map(str::to_owned).collect());
    }
    Ok(Sheet { name: String::new(), path: path.to_owned(), first: 1, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &[u8]) -> Sheet {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        read(&path).unwrap().remove(0)
    }

    #[test]
    fn the_separator_is_detected() {
        for text in ["a;1,5;x\n", "a,\"1,5\",x\n", "a\t1,5\tx\n", "\n\n a ; 1,5 ; x \n"] {
            let sheet = text_of(text.as_bytes());
            assert_eq!(sheet.rows.last().unwrap(), &["a", "1,5", "x"], "{text:?}");
        }
    }

    #[test]
    fn the_header_may_follow_other_lines_and_rows_keep_their_line_numbers() {
        let table = b"A title,,\n\nModel,Attractive,AgeRated\n,,\nAF-200,3.1,32.5\nAF-201,,\xff\n";
        let sheet = text_of(table);
        let lines = sheet.select(&["Target|Model", "AgeRated|Age", "GenderSelf"], 1).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].cells, [Some("AF-200"), Some("32.5"), None]);
        assert!(lines[0].place.ends_with("table.csv, line 5"), "{}", lines[0].place);
        assert!(lines[1].age(1).is_err());
        assert_eq!(lines[0].age(1), Ok(Some(32.5)));
        assert_eq!(lines[0].age(2), Ok(None));
        assert!(sheet.select(&["Model", "GenderSelf"], 2).is_none());
    }

    /// Written by openpyxl, see tools/fixtures_tables.py.
    #[test]
    fn workbooks_are_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cfd.xlsx");
        let sheets = read(&path).unwrap();
        let names: Vec<&str> = sheets.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["CFD 3.0 Codebook", "CFD U.S. Norming Data", "CFD-I U.S. Norming Data"]);
        assert!(sheets[0].select(&["Model", "Attractive"], 2).is_none());
        let lines = sheets[1].select(&["Model", "Attractive"], 2).unwrap();
        assert_eq!(lines[0].cells, [Some("AF-200"), Some("4.111111")]);
        assert!(
            lines[0].place.contains("sheet CFD U.S. Norming Data, line 10"),
            "{}",
            lines[0].place
        );
        let fake = tempfile::Builder::new().suffix(".xlsx").tempfile().unwrap();
        assert!(read(fake.path()).err().unwrap().to_string().contains("not an Excel workbook"));
    }
}
