//! The results file: a line of JSON in `rows.jsonl` for each training, from which
//! all tables are made.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dldl_train::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::grid::{Trial, normalized_config};
use crate::lock::open_locked;
use crate::spec::Test;

/// The result of a training, or why it failed. If a file has several rows with the
/// same labels, the last one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The label of its value, by axis.
    pub labels: BTreeMap<String, String>,
    /// How the training went; `None` if it did not finish.
    pub training: Option<TrainingSummary>,
    /// The results of the tests; empty if the training did not finish.
    #[serde(rename = "measured")]
    pub results: Vec<TestResult>,
    /// Why training or evaluation failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it failed because the loss was no longer finite, which would happen
    /// again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub diverged: bool,
    /// The recipe, without the fields that do not affect the trained weights.
    pub recipe: serde_json::Value,
}

/// How a finished training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// The epoch whose weights were evaluated, from 1.
    pub epoch: usize,
    /// The validation error of each head after that epoch, in units of the label.
    pub val: BTreeMap<String, f64>,
    /// Seconds of training and validation, including those before interruptions.
    pub seconds: f64,
    /// Training samples per second, over all epochs.
    pub images_per_second: f64,
    /// Number of trainable parameters.
    pub parameters: usize,
}

/// The metrics of a model on one test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// The test's name in the tables.
    pub name: String,
    /// The test, without name and columns.
    pub test: Test,
    /// How the data were divided, unless as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The number of evaluated pictures.
    pub pictures: usize,
    /// The number of pictures that could not be evaluated.
    pub failed: usize,
    /// The metrics by key ([`METRICS`](crate::METRICS)), with flip fusion.
    pub figures: BTreeMap<String, f64>,
}

impl Row {
    /// Whether the row has the labels and the recipe of this trial.
    pub fn is_of(&self, trial: &Trial) -> bool {
        let recipe = || serde_json::from_value::<TrainConfig>(self.recipe.clone());
        self.labels == trial.labels
            && recipe().is_ok_and(|recipe| recipe == normalized_config(&trial.config))
    }

    /// Whether the trial need not run again: it has results for all its tests, or
    /// has diverged.
    pub fn settles(&self, trial: &Trial) -> bool {
        let tests: Vec<&Test> = self.results.iter().map(|result| &result.test).collect();
        let complete = trial.tests.iter().all(|test| tests.contains(&&test.without_display()));
        self.is_of(trial) && (self.diverged || self.error.is_none() && complete)
    }

    /// The result of a test.
    pub fn result(&self, test: &Test) -> Option<&TestResult> {
        let test = test.without_display();
        self.results.iter().find(|result| result.test == test)
    }

    /// The metric with this key: of the test, or else of the training.
    pub fn figure(&self, test: &Test, key: &str) -> Option<f64> {
        let result = self.result(test);
        if let Some(figure) = result.and_then(|result| result.figures.get(key)) {
            return Some(*figure);
        }
        let training = self.training.as_ref()?;
        match key {
            "val" => training.val.values().next().copied(),
            "epoch" => Some(training.epoch as f64),
            "seconds" => Some(training.seconds),
            "images_per_second" => Some(training.images_per_second),
            "parameters" => Some(training.parameters as f64),
            _ => None,
        }
    }
}

/// Reads the rows of a file, the last one for each set of labels. A file that does
/// not exist has no rows, and an incomplete last line is ignored.
///
/// # Errors
/// [`ExperimentError::Io`] if the file cannot be read, or [`ExperimentError::Row`].
pub fn read_rows(path: &Path) -> Result<Vec<Row>, ExperimentError> {
    match fs::read(path) {
        Ok(bytes) => parse_rows(&bytes, path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(ExperimentError::io(path)(e)),
    }
}

/// The length of the complete lines of a file.
fn complete_lines(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1)
}

fn parse_rows(bytes: &[u8], path: &Path) -> Result<Vec<Row>, ExperimentError> {
    let mut rows: Vec<Row> = Vec::new();
    for (i, line) in bytes[..complete_lines(bytes)].split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_slice(line).map_err(|source| ExperimentError::Row {
            path: path.to_owned(),
            line: i + 1,
            source,
        })?;
        rows.retain(|other| other.labels != row.labels);
        rows.push(row);
    }
    Ok(rows)
}

/// A `rows.jsonl` that this process alone may change.
#[derive(Debug)]
pub struct RowsFile {
    path: PathBuf,
    file: File,
}

impl RowsFile {
    /// Opens and locks a file, creating it and its folder if they do not exist. The
    /// lock ends when the value is dropped.
    ///
    /// # Errors
    /// [`ExperimentError::Locked`] if another process has it open, or
    /// [`ExperimentError::Io`].
    pub fn open(path: &Path) -> Result<Self, ExperimentError> {
        Ok(Self { path: path.to_owned(), file: open_locked(path)? })
    }

    /// The rows, as [`read_rows`] reads them.
    ///
    /// # Errors
    /// As [`read_rows`].
    pub fn read(&mut self) -> Result<Vec<Row>, ExperimentError> {
        let bytes = self.bytes().map_err(ExperimentError::io(&self.path))?;
        parse_rows(&bytes, &self.path)
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Appends a row and waits until it is on disk. An incomplete last line, left by
    /// a crash, is overwritten.
    ///
    /// # Errors
    /// [`ExperimentError::Io`] if it cannot be written.
    pub fn append(&mut self, row: &Row) -> Result<(), ExperimentError> {
        let mut write = || {
            let complete = complete_lines(&self.bytes()?) as u64;
            self.file.set_len(complete)?;
            self.file.seek(SeekFrom::End(0))?;
            let mut line = serde_json::to_vec(row)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            self.file.sync_all()?;
            // The first row also makes the file's name durable, where the file system
            // can sync a folder.
            if complete == 0
                && let Some(folder) = self.path.parent()
                && let Ok(folder) = File::open(folder)
            {
                let _ = folder.sync_all();
            }
            Ok(())
        };
        write().map_err(ExperimentError::io(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::tests::trials_of;

    const FILE: &str = "name = 'x'\n[recipe]\ncache = 'c'\n\
        [[axis]]\nname = 'seed'\nvalues = [1, { label = 'ε', set = { seed = 2 } }]\n";

    fn row(trial: &Trial) -> Row {
        let result = |test: &Test| TestResult {
            name: test.name.clone(),
            test: test.without_display(),
            protocol: None,
            pictures: 4,
            failed: 0,
            figures: BTreeMap::from([("mae".to_owned(), 0.1 + 0.2)]),
        };
        Row {
            labels: trial.labels.clone(),
            training: None,
            results: trial.tests.iter().map(result).collect(),
            error: None,
            diverged: false,
            recipe: serde_json::to_value(normalized_config(&trial.config)).unwrap(),
        }
    }

    #[test]
    fn rows_are_read_back_and_incomplete_lines_are_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/rows.jsonl");
        let trials = trials_of(FILE);
        let [first, second] = [row(&trials[0]), row(&trials[1])];
        assert_eq!(read_rows(&path).unwrap(), []);
        let mut file = RowsFile::open(&path).unwrap();
        assert_eq!(file.read().unwrap(), []);
        file.append(&first).unwrap();
        // Cut in the middle of a character.
        let torn = "{\"labels\":{\"seed\":\"ε".as_bytes();
        fs::write(&path, [&fs::read(&path).unwrap(), &torn[..torn.len() - 1]].concat()).unwrap();
        assert_eq!(read_rows(&path).unwrap(), std::slice::from_ref(&first));
        file.append(&second).unwrap();
        // The last row of a trial counts.
        let failed = Row { error: Some("x".into()), ..first };
        file.append(&failed).unwrap();
        assert_eq!(read_rows(&path).unwrap(), [second.clone(), failed.clone()]);
        assert_eq!(file.read().unwrap(), [second, failed]);
        fs::write(&path, "\n{}\n").unwrap();
        let message = read_rows(&path).unwrap_err().to_string();
        assert!(message.contains("rows.jsonl, line 2"), "{message}");
    }

    #[test]
    fn the_rows_file_is_locked_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        let file = RowsFile::open(&path).unwrap();
        let second = RowsFile::open(&path);
        assert!(matches!(second, Err(ExperimentError::Locked { path: p }) if p == path));
        drop(file);
        RowsFile::open(&path).unwrap();
    }

    #[test]
    fn a_row_settles_only_the_trial_with_its_recipe_and_tests() {
        let trials = trials_of(FILE);
        let done = row(&trials[0]);
        assert!(done.settles(&trials[0]) && !done.settles(&trials[1]));
        // Threads and folders do not affect the weights, the learning rate does.
        let with = |text: &str| trials_of(&FILE.replace("cache = 'c'", text)).remove(0);
        assert!(done.settles(&with("cache = 'c'\nloader_threads = 7")));
        assert!(!done.settles(&with("cache = 'c'\nlearning_rate = 5e-3")));
        assert!(!done.settles(&with("cache = 'other'")));
        // Another split is another test, another name or column is not.
        let tested = |text: &str| trials_of(&format!("{FILE}[[test]]\n{text}\n")).remove(0);
        assert!(done.settles(&tested("name = 'x'\ncolumns = ['cs5']")));
        assert!(!done.settles(&tested("split = 'val'")));
        // Failures are tried again, except for a divergence.
        let failed = Row { error: Some("disk full".into()), results: vec![], ..done };
        assert!(failed.is_of(&trials[0]) && !failed.settles(&trials[0]));
        assert!(Row { diverged: true, ..failed }.settles(&trials[0]));
    }
}
