//! A table of labels in CSV format, for datasets of the user.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::{age, attractiveness};
use crate::table::{Row, for_each_row};
use crate::{DataError, Dataset, Format, Sample, Split, values};

/// A table with the header `file,age[,sigma][,group][,split]`, one picture per line.
pub const FORMAT: Format = Format {
    name: "csv",
    about: "a table `file,age[,sigma][,attractiveness][,group][,split]` with a header; files are \
            relative to the root",
    tasks: &[
        age("column sigma; sigma assumed if empty"),
        attractiveness(5.0, "column attractiveness_sigma; sigma assumed if empty", 0.5),
    ],
    splits: "column split; if empty, a hash of the group or file name: 80/10/10",
    folds: &[],
    citation: "the owner of the table",
    terms: "those of the owner",
    load,
};

/// Reads the table `labels`, by default `labels.csv` in `root`. The first line names
/// the columns, in any order. Required: `file` (relative to `root`), and `age` (0 to 120
/// years) or `attractiveness` (0 to 100). Optional, also per line: `sigma` and
/// `attractiveness_sigma` (the raters' standard deviations), `group` (samples that must
/// stay in one split), `identity` (the person) and `split` (train, val or test). Other
/// columns are ignored.
///
/// A sample without a split gets [`Split::of_key`] of its group, or of its file name if
/// it has no group. Invalid lines are reported in [`Dataset::problems`] by number.
/// Whether the pictures exist is not checked.
///
/// # Errors
/// The table cannot be read, or a required column is missing.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("labels.csv");
    let path = labels.unwrap_or(&default);
    let mut dataset = Dataset::new(FORMAT.name, root, Vec::new());
    for_each_row(path, &["file", "age|attractiveness"], &mut dataset.problems, |row| {
        let file = row.required("file")?;
        let group = row.cell("group");
        let split = row.split()?.unwrap_or_else(|| Split::of_key(group.unwrap_or(file)));
        let mut sample = Sample::new(file, split);
        sample.group = group.map(str::to_owned);
        sample.identity = row.cell("identity").map(str::to_owned);
        if let Some(cell) = row.cell("age") {
            let (mean, sigma) = (values::age(cell)?, sigma(row, "sigma")?);
            sample = sample.with(Task::Age, Annotation::Value { mean, sigma });
        }
        if let Some(cell) = row.cell("attractiveness") {
            let (mean, sigma) = (values::score(cell)?, sigma(row, "attractiveness_sigma")?);
            sample = sample.with(Task::Attractiveness, Annotation::Value { mean, sigma });
        }
        if sample.labels.is_empty() {
            return Err("missing `age` or `attractiveness`".to_owned());
        }
        dataset.samples.push(sample);
        Ok(())
    })?;
    Ok(dataset)
}

fn sigma(row: &Row, column: &str) -> Result<Option<f64>, String> {
    row.cell(column).map(|cell| values::number(cell, column)).transpose()
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
    fn columns_may_have_any_order_and_unknown_ones_are_ignored() {
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

    /// As spreadsheets in other languages and other programs write tables.
    #[test]
    fn separators_decimal_commas_and_encodings_are_detected() {
        let utf16 = |text: &str, mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            let units = text.encode_utf16().flat_map(bytes);
            mark.into_iter().chain(units).collect::<Vec<u8>>()
        };
        let plain = "file,age\r\nM\u{fc}ller.jpg,24.5\r\nb.jpg,30\r\n";
        let tables = [
            plain.as_bytes().to_vec(),
            utf16(plain, [0xFF, 0xFE], u16::to_le_bytes),
            utf16(plain, [0xFE, 0xFF], u16::to_be_bytes),
            "file;age\nM\u{fc}ller.jpg;24,5\nb.jpg;30\n".into(),
            "FILE\tAge\nM\u{fc}ller.jpg\t24,5\nb.jpg\t30\n".into(),
            "# ours\n\nfile|age\nM\u{fc}ller.jpg|24.5 years\nb.jpg|30\n".into(),
            "sep=;\r\nfile;age\r\nM\u{fc}ller.jpg;24,5\r\nb.jpg;30\r\n".into(),
            "file,age\rM\u{fc}ller.jpg,\"24,5\"\rb.jpg,30\r".into(),
            "note,x;file;age\n;M\u{fc}ller.jpg;24,5\n1,2;b.jpg;30\n".into(),
        ];
        for table in tables {
            let set = read(&table).unwrap();
            assert_eq!(set.problems, [], "{}", String::from_utf8_lossy(&table));
            let ages: Vec<_> =
                set.samples.iter().map(|s| (s.file.as_str(), s.annotation(Task::Age))).collect();
            let expected = [("M\u{fc}ller.jpg", 24.5), ("b.jpg", 30.0)]
                .map(|(f, a)| (f, Annotation::value(a)));
            let expected: Vec<_> = expected.iter().map(|(f, a)| (*f, Some(a))).collect();
            assert_eq!(ages, expected, "{}", String::from_utf8_lossy(&table));
        }
        let set = read(b"# ours\n\nfile,age\na.jpg,x\n").unwrap();
        assert!(set.problems[0].file.ends_with("line 4"), "{:?}", set.problems);
    }

    #[test]
    fn a_row_needs_one_of_the_two_labels() {
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
    fn invalid_rows_are_reported_by_line_and_the_others_kept() {
        let table = b"file,age,split,sigma\na.jpg,old,train,\n\nb.jpg,30,train,\nc.jpg,-1,,\n\
            d.jpg,inf,,\ne.jpg,,,\n,3,,\nf.jpg,3,holdout,\ng.jpg,3,test,wide\nh\xff.jpg,3,,\n\
            i.jpg\nj.jpg,12,val,1\n";
        let set = read(table).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["b.jpg", "j.jpg"]);
        let lines: Vec<&str> =
            set.problems.iter().map(|p| p.file.rsplit(' ').next().unwrap()).collect();
        assert_eq!(lines, ["2", "5", "6", "7", "8", "9", "10", "11", "12"]);
        assert!(set.problems[0].reason.contains("invalid age `old`"), "{:?}", set.problems[0]);
        assert!(set.problems[5].reason.contains("unknown split `holdout`"));
        assert!(set.problems[6].reason.contains("invalid sigma `wide`"));
    }

    #[test]
    fn samples_without_a_split_get_one_by_hash() {
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
    fn implausible_labels_are_problems_that_name_the_line() {
        let table = b"file,age,attractiveness\na.jpg,30,\nb.jpg,2014,\nc.jpg,-31,\n\
            d.jpg,20140101,\ne.jpg,1e12,\nf.jpg,120,\ng.jpg,,1e12\nh.jpg,,10\n";
        let set = read(table).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["a.jpg", "f.jpg", "h.jpg"]);
        let first = &set.problems[0];
        assert!(first.file.ends_with("labels.csv, line 3"), "{first:?}");
        let reason =
            "invalid age `2014`: expected a number from 0 to 120 (is this a year of birth?)";
        assert_eq!(first.reason, reason);
        let lines: Vec<&str> =
            set.problems.iter().map(|p| p.file.rsplit(' ').next().unwrap()).collect();
        assert_eq!(lines, ["3", "4", "5", "6", "8"]);
    }

    #[test]
    fn a_missing_column_or_file_is_an_error_that_names_the_table() {
        let message = read(b"file,years\na.jpg,3\n").unwrap_err().to_string();
        assert!(message.contains("labels.csv") && message.contains("`age`"), "{message}");
        assert!(message.ends_with("its columns are `file`, `years`"), "{message}");
        let message = read(b"file,age,age\na.jpg,3,4\n").unwrap_err().to_string();
        assert!(message.ends_with("the header has two columns `age`"), "{message}");
        let message = load(Path::new("/nowhere"), None).unwrap_err().to_string();
        assert!(message.contains("labels.csv"), "{message}");
    }
}
