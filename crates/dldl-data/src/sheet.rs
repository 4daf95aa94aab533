//! Tables whose layout is not ours: workbooks (xlsx) and their exports as text,
//! with any separator, whatever lies above the header, or no header at all.
//! Tables that begin with their header are read by [`crate::adapters::csv`].

use std::path::{Path, PathBuf};

use calamine::Reader;

use crate::DataError;

/// One sheet in memory, its cells as text.
pub(crate) struct Sheet {
    /// The sheet's name; of a text file, none.
    pub(crate) name: String,
    path: PathBuf,
    /// The line of the first row, from 1.
    first: usize,
    pub(crate) rows: Vec<Vec<String>>,
}

/// One row of the columns that were asked for.
pub(crate) struct Line<'a> {
    /// The file and the line, for a report.
    pub(crate) place: String,
    /// The cells in the order asked for; none where empty or not there.
    pub(crate) cells: Vec<Option<&'a str>>,
}

impl Line<'_> {
    /// A number of 0 or more in a column, where the cell is filled; `what` is the
    /// column's name in the complaint.
    pub(crate) fn number(&self, column: usize, what: &str) -> Result<Option<f64>, String> {
        self.cells[column].map(|cell| number(cell, what)).transpose()
    }
}

/// A finite number of 0 or more.
pub(crate) fn number(cell: &str, what: &str) -> Result<f64, String> {
    let value = cell.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| format!("`{cell}` is no {what}"))
}

impl Sheet {
    /// The rows below the first one that names the first `needed` of `columns`
    /// (alternatives are divided by bars); none where no row does.
    pub(crate) fn select(&self, columns: &[&str], needed: usize) -> Option<Vec<Line<'_>>> {
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
            .find(|(_, at)| at[..needed].iter().all(Option::is_some))?;
        let line = |i: usize| Line {
            place: self.place(i),
            cells: at.iter().map(|column| self.cell(i, (*column)?)).collect(),
        };
        let filled = |i: &usize| self.rows[*i].iter().any(|cell| !cell.is_empty());
        Some((header + 1..self.rows.len()).filter(filled).map(line).collect())
    }

    /// A cell, none where it is empty or not there.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<&str> {
        self.rows[row].get(column).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    /// The file and the line of a row, for a report.
    pub(crate) fn place(&self, row: usize) -> String {
        let sheet =
            if self.name.is_empty() { String::new() } else { format!(" sheet {}", self.name) };
        format!("{}{sheet} line {}", self.path.display(), self.first + row)
    }
}

/// Reads all sheets of a workbook, or a text file as one.
///
/// # Errors
/// The file cannot be read, or is no workbook though its name ends in `.xlsx`.
pub(crate) fn read(path: &Path) -> Result<Vec<Sheet>, DataError> {
    match path.extension().is_some_and(|e| e.eq_ignore_ascii_case("xlsx")) {
        true => workbook(path),
        false => text(path).map(|sheet| vec![sheet]),
    }
}

fn workbook(path: &Path) -> Result<Vec<Sheet>, DataError> {
    let broken = |e: calamine::XlsxError| DataError::table(path, format!("no workbook: {e}"));
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

/// The separator is whichever of comma, semicolon and tabulator is most frequent
/// in the first line that has any.
fn text(path: &Path) -> Result<Sheet, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let count = |line: &str, separator: u8| line.bytes().filter(|b| *b == separator).count();
    let separator = text.lines().find_map(|line| {
        let best = b",;\t".iter().rev().copied().max_by_key(|s| count(line, *s))?;
        (count(line, best) > 0).then_some(best)
    });
    let mut reader = ::csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator.unwrap_or(b','))
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for record in reader.records() {
        let broken = |e: ::csv::Error| DataError::table(path, format!("cannot be read: {e}"));
        let record = record.map_err(broken)?;
        // The reader skips empty lines; the rows must keep their numbers.
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
    fn separators_are_told_by_the_lines() {
        for text in ["a;1,5;x\n", "a,\"1,5\",x\n", "a\t1,5\tx\n", "\n\n a ; 1,5 ; x \n"] {
            let sheet = text_of(text.as_bytes());
            assert_eq!(sheet.rows.last().unwrap(), &["a", "1,5", "x"], "{text:?}");
        }
    }

    #[test]
    fn headers_are_found_below_other_lines_and_rows_keep_their_numbers() {
        let table = b"A title,,\n\nModel,Attractive,AgeRated\n,,\nAF-200,3.1,32.5\nAF-201,,\xff\n";
        let sheet = text_of(table);
        let lines = sheet.select(&["Target|Model", "AgeRated|Age", "GenderSelf"], 1).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].cells, [Some("AF-200"), Some("32.5"), None]);
        assert!(lines[0].place.ends_with("table.csv line 5"), "{}", lines[0].place);
        assert!(lines[1].number(1, "age").is_err());
        assert_eq!(lines[0].number(1, "age"), Ok(Some(32.5)));
        assert_eq!(lines[0].number(2, "gender"), Ok(None));
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
            lines[0].place.contains("sheet CFD U.S. Norming Data line 10"),
            "{}",
            lines[0].place
        );
        let fake = tempfile::Builder::new().suffix(".xlsx").tempfile().unwrap();
        assert!(read(fake.path()).err().unwrap().to_string().contains("no workbook"));
    }
}
