//! The adapter for a plain table of labels, and the reading of tables for the
//! other adapters.

use std::collections::HashMap;
use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::{age, attractiveness};
use crate::sheet::number;
use crate::{DataError, Dataset, Format, Problem, Sample, Split};

/// A header `file,age[,sigma][,group][,split]` and one picture a line.
pub const FORMAT: Format = Format {
    name: "csv",
    about: "a table `file,age[,sigma][,attractiveness][,group][,split]` with a header, files \
            relative to the root",
    tasks: &[
        age("the column sigma where filled; else sigma is assumed"),
        attractiveness(
            5.0,
            "the column attractiveness_sigma where filled; else sigma is assumed",
            0.5,
        ),
    ],
    splits: "the column split; where empty a hash of the group or the file's name: 80/10/10",
    folds: &[],
    citation: "the owner of the table",
    terms: "those of the owner",
    load,
};

/// Reads the dataset that `labels` (by default `labels.csv` in `root`)
/// describes. The first line names the columns, in any order: `file` (relative
/// to `root`) and one of `age` and `attractiveness` are needed; `sigma` and
/// `attractiveness_sigma` (the raters' standard deviations), `group` (samples
/// that must stay in one split), `identity` (who it is) and `split` (train, val
/// or test) may be there, or be empty; others are ignored.
///
/// A sample without a split is given one by [`Split::of_key`] of its group, or
/// of its file's name where there is no group. A line that cannot be used is
/// reported in [`Dataset::problems`] with its number, and the others are kept.
/// Whether the pictures exist is not looked at.
///
/// # Errors
/// The table cannot be read, or a needed column is missing.
pub fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("labels.csv");
    let path = labels.unwrap_or(&default);
    let mut dataset = Dataset::new(FORMAT.name, root, Vec::new());
    for_each_row(path, &["file", "age|attractiveness"], &mut dataset.problems, |row| {
        let file = row.needed("file")?;
        let group = row.cell("group");
        let split = match row.cell("split") {
            Some(name) => name.parse()?,
            None => Split::of_key(group.unwrap_or(file)),
        };
        let mut sample = Sample::new(file, split);
        sample.group = group.map(str::to_owned);
        sample.identity = row.cell("identity").map(str::to_owned);
        if let Some(cell) = row.cell("age") {
            let mean = finite(cell).filter(|v| *v >= 0.0);
            let mean =
                mean.ok_or_else(|| format!("`{cell}` is no age: use a number, 0 or more"))?;
            sample =
                sample.with(Task::Age, Annotation::Value { mean, sigma: spread(row, "sigma")? });
        }
        if let Some(cell) = row.cell("attractiveness") {
            let mean = finite(cell).ok_or_else(|| format!("`{cell}` is no score: use a number"))?;
            let sigma = spread(row, "attractiveness_sigma")?;
            sample = sample.with(Task::Attractiveness, Annotation::Value { mean, sigma });
        }
        if sample.labels.is_empty() {
            return Err("no `age`".to_owned());
        }
        dataset.samples.push(sample);
        Ok(())
    })?;
    Ok(dataset)
}

/// A standard deviation, where the column has one.
fn spread(row: &Row, column: &str) -> Result<Option<f64>, String> {
    let sigma = row.cell(column).map(|cell| {
        let value = finite(cell).filter(|v| *v >= 0.0);
        value.ok_or_else(|| format!("`{cell}` is no sigma: use a number, 0 or more"))
    });
    sigma.transpose()
}

fn finite(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|v: &f64| v.is_finite())
}

/// One line of a table, its cells by column name.
pub(crate) struct Row<'a> {
    columns: &'a HashMap<String, usize>,
    record: &'a ::csv::StringRecord,
}

impl<'a> Row<'a> {
    /// The cell of a column, none where it is empty or not there.
    pub(crate) fn cell(&self, column: &str) -> Option<&'a str> {
        let index = *self.columns.get(column)?;
        self.record.get(index).filter(|cell| !cell.is_empty())
    }

    /// A number of 0 or more in a column that must not be empty.
    pub(crate) fn number(&self, column: &str) -> Result<f64, String> {
        number(self.needed(column)?, column)
    }

    /// The cell of a column that must not be empty.
    pub(crate) fn needed(&self, column: &str) -> Result<&'a str, String> {
        self.cell(column).ok_or_else(|| format!("no `{column}`"))
    }
}

/// Calls `each` with every line of the table at `path`; what it (or the
/// parsing of the line) finds wrong becomes a problem that names the line.
pub(crate) fn for_each_row(
    path: &Path,
    needed: &[&str],
    problems: &mut Vec<Problem>,
    mut each: impl FnMut(&Row) -> Result<(), String>,
) -> Result<(), DataError> {
    let broken = |e: ::csv::Error| match e.into_kind() {
        ::csv::ErrorKind::Io(source) => DataError::Io { path: path.to_owned(), source },
        other => DataError::table(path, format!("cannot be read as a table: {other:?}")),
    };
    let mut reader = ::csv::ReaderBuilder::new()
        .flexible(true)
        .trim(::csv::Trim::All)
        .from_path(path)
        .map_err(broken)?;
    let columns: HashMap<String, usize> = reader
        .headers()
        .map_err(broken)?
        .iter()
        .enumerate()
        // Spreadsheets put a byte order mark before the first name.
        .map(|(i, name)| (name.trim_start_matches('\u{feff}').to_owned(), i))
        .collect();
    for column in needed {
        // Alternatives are divided by bars; the first is the usual one.
        if !column.split('|').any(|name| columns.contains_key(name)) {
            let column = column.split('|').next().unwrap_or_default();
            let reason = format!("line 1: the header has no column `{column}`");
            return Err(DataError::table(path, reason));
        }
    }
    let mut record = ::csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        let outcome = match reader.read_record(&mut record) {
            Ok(false) => return Ok(()),
            Ok(true) => each(&Row { columns: &columns, record: &record }),
            Err(e) if e.is_io_error() => return Err(broken(e)),
            Err(_) => Err("not UTF-8".to_owned()),
        };
        if let Err(reason) = outcome {
            let line = record.position().map_or(line, |p| p.line());
            problems.push(Problem { file: format!("{} line {line}", path.display()), reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Dataset, DataError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("labels.csv"), text).unwrap();
        load(dir.path(), None)
    }

    #[test]
    fn reads_any_column_order_and_ignores_other_columns() {
        let table = b"\xef\xbb\xbfsplit,note, age ,file,sigma,group\n\
            test,x,31.5,a/b.jpg,2.25,7\nval,\"x, y\",4,c.png,,\n";
        let set = read(table).unwrap();
        assert_eq!(set.problems, []);
        let a = &set.samples[0];
        assert_eq!(a.file, "a/b.jpg");
        assert_eq!(
            a.annotation(Task::Age),
            Some(&Annotation::Value { mean: 31.5, sigma: Some(2.25) })
        );
        assert_eq!((a.split, a.group.as_deref()), (Split::Test, Some("7")));
        let c = &set.samples[1];
        assert_eq!((c.annotation(Task::Age), c.split), (Some(&Annotation::value(4.0)), Split::Val));
    }

    #[test]
    fn either_label_will_do() {
        let table = b"file,age,attractiveness,attractiveness_sigma,identity,split\n\
            a.jpg,30,2.5,0.5,me,train\nb.jpg,,4,,,train\nc.jpg,,,,,train\n";
        let set = read(table).unwrap();
        let look = Annotation::Value { mean: 2.5, sigma: Some(0.5) };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&look));
        assert_eq!(set.samples[0].annotation(Task::Age), Some(&Annotation::value(30.0)));
        assert_eq!(set.samples[0].identity.as_deref(), Some("me"));
        assert_eq!(set.samples[1].annotation(Task::Age), None);
        assert_eq!((set.samples.len(), set.problems.len()), (2, 1));
    }

    #[test]
    fn bad_rows_are_named_by_line_and_the_others_kept() {
        let table = b"file,age,split,sigma\na.jpg,old,train,\n\nb.jpg,30,train,\nc.jpg,-1,,\n\
            d.jpg,inf,,\ne.jpg,,,\n,3,,\nf.jpg,3,holdout,\ng.jpg,3,test,wide\nh\xff.jpg,3,,\n\
            i.jpg\nj.jpg,12,val,1\n";
        let set = read(table).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["b.jpg", "j.jpg"]);
        let lines: Vec<&str> =
            set.problems.iter().map(|p| p.file.rsplit(' ').next().unwrap()).collect();
        assert_eq!(lines, ["2", "5", "6", "7", "8", "9", "10", "11", "12"]);
        assert!(set.problems[0].reason.contains("`old` is no age"), "{:?}", set.problems[0]);
        assert!(set.problems[5].reason.contains("`holdout` is no split"));
        assert!(set.problems[6].reason.contains("`wide` is no sigma"));
    }

    #[test]
    fn splits_by_hash_where_none_is_given() {
        let mut table = String::from("file,age,group\n");
        for i in 0..2000 {
            table += &format!("{i}.jpg,30,{}\n", i / 2);
        }
        let set = read(table.as_bytes()).unwrap();
        for pair in set.samples.chunks(2) {
            assert_eq!(pair[0].split, pair[1].split, "a group is in one split");
        }
        let shares = Split::ALL.map(|s| set.count(s) as f64 / 2000.0);
        for (share, expected) in shares.into_iter().zip([0.8, 0.1, 0.1]) {
            assert!((share - expected).abs() < 0.03, "{shares:?}");
        }
    }

    #[test]
    fn a_missing_column_or_file_is_an_error_that_names_the_table() {
        let message = read(b"file,years\na.jpg,3\n").unwrap_err().to_string();
        assert!(message.contains("labels.csv") && message.contains("`age`"), "{message}");
        let message = load(Path::new("/nowhere"), None).unwrap_err().to_string();
        assert!(message.contains("labels.csv"), "{message}");
    }
}
