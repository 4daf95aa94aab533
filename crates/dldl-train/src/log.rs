//! The log of a training: JSON lines, one object per epoch and per some steps.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Record {
    /// Means over the steps since the last such record or the epoch's start.
    Step(StepRecord),
    /// An epoch with its validation.
    Epoch(EpochRecord),
}

/// The record of some steps, written every `log_every` of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps done, over all epochs.
    pub step: usize,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean loss.
    pub loss: f64,
    /// Mean unweighted loss terms: `kl` in nats, `l1` in units of the label; with
    /// several heads as `age.kl`.
    pub terms: BTreeMap<String, f64>,
    /// Training samples per second.
    pub images_per_second: f64,
    /// Share of the time spent waiting for data, 0..=1.
    pub waiting: f64,
}

/// The record of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Steps done, over all epochs.
    pub step: usize,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of the phase, from 1.
    pub phase: usize,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Mean unweighted training loss terms: `kl` in nats, `l1` in units of the
    /// label.
    pub terms: BTreeMap<String, f64>,
    /// Loss on the validation split, without augmentation.
    pub val_loss: Option<f64>,
    /// Mean absolute error of the first head on the validation split at this
    /// size, in units of the label; none without labels or such a split.
    pub val_mae: Option<f64>,
    /// The errors of all heads, by name.
    #[serde(default)]
    pub val_errors: BTreeMap<String, f64>,
    /// Whether it is the best so far.
    pub best: bool,
    /// Training samples per second.
    pub images_per_second: f64,
    /// Share of the training time spent waiting for data, 0..=1.
    pub waiting: f64,
    /// Seconds that the training of the epoch took.
    pub train_seconds: f64,
    /// Seconds that its validation took.
    pub val_seconds: f64,
    /// Seconds of training so far, interrupted runs included.
    pub seconds: f64,
}

/// A log being written.
pub struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens the log and truncates it to its first `bytes`: a resumed training writes
    /// the records after its checkpoint again. The file is locked, so that two
    /// trainings cannot write to one folder.
    ///
    /// # Errors
    /// If the file cannot be opened, is shorter than that or is locked.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, TrainError> {
        let fail = |e| TrainError::io(path, e);
        let mut options = File::options();
        let mut file = options.create(true).truncate(false).write(true).open(path).map_err(fail)?;
        // A file system without locks is no reason to refuse.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(TrainError::RunInUse { path: path.into() });
        }
        let length = file.metadata().map_err(fail)?.len();
        if length < bytes {
            let what = format!("{length} bytes, but the checkpoint was written after {bytes}");
            return Err(TrainError::Checkpoint { path: path.into(), what });
        }
        file.set_len(bytes).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self { path: path.into(), file, bytes })
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// If the operating system reports one.
    pub fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(|e| TrainError::io(&self.path, e))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, record: &Record) -> Result<(), TrainError> {
        let mut line = serde_json::to_vec(record).expect("a record has only numbers and strings");
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| TrainError::io(&self.path, e))?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// All records of a log.
///
/// # Errors
/// If the file cannot be read or a line is not a record.
pub fn read(path: &Path) -> Result<Vec<Record>, TrainError> {
    let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| {
            let what = format!("invalid record in line {}: {e}", i + 1);
            TrainError::Checkpoint { path: path.into(), what }
        })
    };
    text.lines().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> Record {
        Record::Step(StepRecord {
            step,
            epoch: 1,
            size: 64,
            lr: 1e-3,
            loss: 0.1 + 0.2,
            terms: BTreeMap::from([("kl".into(), 2.5)]),
            images_per_second: 40.0,
            waiting: 0.0,
        })
    }

    #[test]
    fn a_reopened_log_continues_at_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut log = Log::open(&path, 0).unwrap();
        log.write(&step(1)).unwrap();
        let bytes = log.bytes();
        log.write(&step(2)).unwrap();
        drop(log);
        let mut log = Log::open(&path, bytes).unwrap();
        log.write(&step(3)).unwrap();
        assert_eq!(read(&path).unwrap(), [step(1), step(3)]);
        let message = Log::open(&path, 0).err().unwrap().to_string();
        assert!(message.contains("another training"), "{message}");
        drop(log);
        assert!(Log::open(&path, 1_000_000).is_err());
    }
}
