//! What is kept of each training: one line of JSON in `rows.jsonl`, from which
//! all tables are made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use dldl_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::grid::{Cell, essence};
use crate::spec::Test;

/// A training that was tried. The last line of a training counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The label of its value, by axis.
    pub labels: BTreeMap<String, String>,
    /// What was learned; none if it failed before its end.
    pub training: Option<Training>,
    /// What was measured; empty if it failed.
    pub measured: Vec<Measured>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it failed because the loss was no longer a number: it would do so
    /// again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
    /// The recipe, without the run folder and what else does not shape the result.
    pub recipe: serde_json::Value,
}

/// A training that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The epoch whose weights were measured, from 1.
    pub epoch: usize,
    /// The validation error of each head after that epoch, in units of the label.
    pub val: BTreeMap<String, f64>,
    /// Seconds of training and validation, over all sittings.
    pub seconds: f64,
    /// Training samples per second, over all epochs.
    pub images_per_second: f64,
    /// Learnable numbers of the network.
    pub parameters: usize,
}

/// A model on one test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name in the tables.
    pub name: String,
    /// What it is.
    pub test: Test,
    /// How many pictures the figures are of.
    pub pictures: usize,
    /// How many could not be used.
    pub failed: usize,
    /// The figures by name ([`METRICS`](crate::METRICS)), with flip fusion.
    pub figures: BTreeMap<String, f64>,
}

impl Row {
    /// Whether it is of this training as the file describes it now.
    pub fn is_of(&self, cell: &Cell) -> bool {
        let read = || serde_json::from_value::<TrainConfig>(self.recipe.clone());
        self.labels == cell.labels && read().is_ok_and(|r| r == essence(&cell.config))
    }

    /// Whether the training need not be tried again: it was measured on all that
    /// the file names, or cannot but fail.
    pub fn settles(&self, cell: &Cell) -> bool {
        let places: Vec<&Test> = self.measured.iter().map(|m| &m.test).collect();
        let measured = cell.tests.iter().all(|test| places.contains(&&test.place()));
        self.is_of(cell) && (self.diverged || self.error.is_none() && measured)
    }

    /// The figure of that name: of a test, or else of the training.
    pub fn figure(&self, test: &Test, key: &str) -> Option<f64> {
        let training = |t: &Training| match key {
            "val" => t.val.values().next().copied(),
            "epoch" => Some(t.epoch as f64),
            "seconds" => Some(t.seconds),
            "images_per_second" => Some(t.images_per_second),
            "parameters" => Some(t.parameters as f64),
            _ => None,
        };
        let place = test.place();
        let measured = self.measured.iter().find(|m| m.test == place);
        let found = measured.and_then(|m| m.figures.get(key).copied());
        found.or_else(|| self.training.as_ref().and_then(training))
    }
}

/// The rows of a file, of each training the last one; none where there is no
/// file. A last line that was cut short is left out.
///
/// # Errors
/// If it cannot be read or another line is no row.
pub fn read_rows(path: &Path) -> Result<Vec<Row>, ExperimentError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ExperimentError::file(path)(e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut rows: Vec<Row> = Vec::new();
    for (i, line) in whole.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |e: serde_json::Error| format!("line {}: {e}", i + 1);
        let row: Row =
            serde_json::from_str(line).map_err(fail).map_err(ExperimentError::file(path))?;
        rows.retain(|other| other.labels != row.labels);
        rows.push(row);
    }
    Ok(rows)
}

/// Adds a row to a file, after what is whole of it.
///
/// # Errors
/// If it cannot be written.
pub fn append(path: &Path, row: &Row) -> Result<(), ExperimentError> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        let mut file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut line = serde_json::to_vec(row)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_all()
    };
    write().map_err(ExperimentError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::tests::cells_of;

    const FILE: &str =
        "name = 'x'\n[recipe]\ncache = 'c'\n[[axis]]\nname = 'seed'\nvalues = [1, 2]\n";

    fn row(cell: &Cell) -> Row {
        let measured = |test: &Test| Measured {
            name: test.name.clone(),
            test: test.place(),
            pictures: 4,
            failed: 0,
            figures: BTreeMap::from([("mae".to_owned(), 0.1 + 0.2)]),
        };
        Row {
            labels: cell.labels.clone(),
            training: None,
            measured: cell.tests.iter().map(measured).collect(),
            error: None,
            diverged: false,
            recipe: serde_json::to_value(essence(&cell.config)).unwrap(),
        }
    }

    #[test]
    fn rows_come_back_and_a_torn_line_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/rows.jsonl");
        let cells = cells_of(FILE);
        let [first, second] = [row(&cells[0]), row(&cells[1])];
        assert_eq!(read_rows(&path).unwrap(), []);
        append(&path, &first).unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.extend(b"{\"labels\":{\"seed\":\"2");
        fs::write(&path, torn).unwrap();
        assert_eq!(read_rows(&path).unwrap(), std::slice::from_ref(&first));
        append(&path, &second).unwrap();
        // The last line of a training counts.
        let failed = Row { error: Some("x".into()), ..first };
        append(&path, &failed).unwrap();
        assert_eq!(read_rows(&path).unwrap(), [second, failed]);
        fs::write(&path, "{}\n").unwrap();
        let message = read_rows(&path).unwrap_err().to_string();
        assert!(message.contains("rows.jsonl") && message.contains("line 1"), "{message}");
    }

    #[test]
    fn a_row_settles_the_training_that_it_is_of_only() {
        let cells = cells_of(FILE);
        let done = row(&cells[0]);
        assert!(done.settles(&cells[0]) && !done.settles(&cells[1]));
        // Threads and folders do not matter, what shapes the curve does.
        let with = |text: &str| cells_of(&FILE.replace("cache = 'c'", text)).remove(0);
        assert!(done.settles(&with("cache = 'c'\nloader_threads = 7")));
        assert!(!done.settles(&with("cache = 'c'\nlearning_rate = 5e-3")));
        assert!(!done.settles(&with("cache = 'other'")));
        // Another test is measured, another name for it is not.
        let tested = |text: &str| cells_of(&format!("{FILE}[[test]]\n{text}\n")).remove(0);
        assert!(done.settles(&tested("name = 'x'\ncolumns = ['cs5']")));
        assert!(!done.settles(&tested("split = 'val'")));
        // What failed is tried again, but not what would fail again.
        let failed = Row { error: Some("disk full".into()), measured: vec![], ..done };
        assert!(failed.is_of(&cells[0]) && !failed.settles(&cells[0]));
        assert!(Row { diverged: true, ..failed }.settles(&cells[0]));
    }
}
