//! Samples, splits and datasets as values. How they are read from disk is in
//! one file per format ([`crate::adapters::utkface`], [`crate::adapters::csv`]).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use dldl_label::Task;
use serde::{Deserialize, Serialize};

use crate::annotation::Annotation;
use crate::protocol::Protocol;

/// Which part of a dataset a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To choose models and stop by.
    Val,
    /// To measure on, once.
    Test,
}

impl Split {
    /// All splits, in the order in which a cache holds them.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }

    /// The split of a key (a near-duplicate group, or a file's name) where a
    /// dataset brings none: of the key's 64-bit FNV-1a hash, scrambled by
    /// SplitMix64's last step and taken modulo 10, 0..=7 are `train`, 8 is
    /// `val` and 9 is `test`. The same key is in the same split on every
    /// machine, whatever else the dataset holds.
    pub fn of_key(key: &str) -> Split {
        match scramble(fnv1a(key.as_bytes())) % 10 {
            0..=7 => Split::Train,
            8 => Split::Val,
            _ => Split::Test,
        }
    }

    /// The split of a key in a part that is for training, where the publishers
    /// have no validation part: that tenth for which [`Split::of_key`] says so.
    pub fn of_train_key(key: &str) -> Split {
        match Split::of_key(key) {
            Split::Val => Split::Val,
            _ => Split::Train,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Split {
    type Err = String;

    /// Also takes `valid` and `validation`; upper and lower case alike.
    fn from_str(s: &str) -> Result<Split, String> {
        match s.to_ascii_lowercase().as_str() {
            "train" => Ok(Split::Train),
            "val" | "valid" | "validation" => Ok(Split::Val),
            "test" => Ok(Split::Test),
            _ => Err(format!("`{s}` is no split: use train, val or test")),
        }
    }
}

/// 64-bit FNV-1a.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// SplitMix64's last step: makes numbers that differ little differ much.
pub(crate) fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Sex as the dataset records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Recorded as male.
    Male,
    /// Recorded as female.
    Female,
}

/// One picture and what is known of it.
///
/// As JSON: `file`, the age as `label` and `sigma` (where it is one value), what
/// else is known in `labels` by task, `split`, `sex`, `race`, `group` and, where
/// known, `identity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Sample {
    /// The picture, relative to the dataset's root, with `/` between folders.
    pub file: String,
    /// Its labels by task.
    pub labels: BTreeMap<Task, Annotation>,
    /// Which part of the dataset it belongs to.
    pub split: Split,
    /// Sex, where recorded.
    pub sex: Option<Sex>,
    /// Race or ethnicity in the dataset's own words, where recorded.
    pub race: Option<String>,
    /// Samples of one group show the same picture or person and must not be
    /// spread over several splits.
    pub group: Option<String>,
    /// Who it is, where that is what is to be learned; then the splits share
    /// the people.
    pub identity: Option<String>,
}

impl Sample {
    /// A picture of which nothing is known yet.
    pub fn new(file: impl Into<String>, split: Split) -> Self {
        Self {
            file: file.into(),
            labels: BTreeMap::new(),
            split,
            sex: None,
            race: None,
            group: None,
            identity: None,
        }
    }

    /// The same with a label.
    pub fn with(mut self, task: Task, annotation: Annotation) -> Self {
        self.labels.insert(task, annotation);
        self
    }

    /// The label of a task.
    pub fn annotation(&self, task: Task) -> Option<&Annotation> {
        self.labels.get(&task)
    }
}

/// The form on disk: as it was when there were ages only, and what came since.
#[derive(Serialize, Deserialize)]
struct Stored {
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<f64>,
    // Written as null beside a label, and not at all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sigma: Option<Option<f64>>,
    split: Split,
    sex: Option<Sex>,
    race: Option<String>,
    group: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<Task, Annotation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
}

impl From<Stored> for Sample {
    fn from(stored: Stored) -> Self {
        let Stored { file, label, sigma, split, sex, race, group, mut labels, identity } = stored;
        if let Some(mean) = label {
            labels.insert(Task::Age, Annotation::Value { mean, sigma: sigma.flatten() });
        }
        Self { file, labels, split, sex, race, group, identity }
    }
}

impl From<Sample> for Stored {
    fn from(sample: Sample) -> Self {
        let Sample { file, mut labels, split, sex, race, group, identity } = sample;
        let (mut label, mut spread) = (None, None);
        if let Some(Annotation::Value { mean, sigma }) = labels.get(&Task::Age) {
            (label, spread) = (Some(*mean), Some(*sigma));
            labels.remove(&Task::Age);
        }
        Self { file, label, sigma: spread, split, sex, race, group, labels, identity }
    }
}

/// An entry that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The picture, or the place in the label file.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A dataset as it lies on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The format's name, for example `utkface`.
    pub name: String,
    /// The folder that [`Sample::file`] is relative to.
    pub root: PathBuf,
    /// How it is divided into splits.
    pub protocol: Protocol,
    /// The usable samples, in a fixed order.
    pub samples: Vec<Sample>,
    /// What is broken and could not be used, and why.
    pub problems: Vec<Problem>,
    /// What is sound but no sample, and why: a composite of many faces, say.
    pub left_out: Vec<Problem>,
}

impl Dataset {
    /// A dataset with its own splits and nothing to complain about.
    pub fn new(name: &str, root: &Path, samples: Vec<Sample>) -> Self {
        let (problems, left_out) = (Vec::new(), Vec::new());
        let protocol = Protocol::default();
        Self { name: name.to_owned(), root: root.to_owned(), protocol, samples, problems, left_out }
    }

    /// How many samples are in a split.
    pub fn count(&self, split: Split) -> usize {
        self.samples.iter().filter(|s| s.split == split).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caches and their hashes are of this form: it must not change.
    #[test]
    fn ages_are_stored_as_ever_and_other_labels_beside_them() {
        let age = Sample::new("a.jpg", Split::Train).with(Task::Age, Annotation::value(31.5));
        let json = r#"{"file":"a.jpg","label":31.5,"sigma":null,"split":"train","sex":null,"race":null,"group":null}"#;
        assert_eq!(serde_json::to_string(&age).unwrap(), json);
        assert_eq!(serde_json::from_str::<Sample>(json).unwrap(), age);

        let annotation =
            Annotation::Histogram { mean: 2.5, histogram: vec![[2.0, 1.0], [3.0, 1.0]] };
        let both =
            Sample { identity: Some("x".into()), ..age }.with(Task::Attractiveness, annotation);
        let json = serde_json::to_string(&both).unwrap();
        assert!(json.contains(r#""labels":{"attractiveness":{"mean":2.5,"#), "{json}");
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), both);

        let bin = Annotation::Interval { interval: [3.0, 9.0] };
        let bin = Sample::new("b.jpg", Split::Val).with(Task::Age, bin);
        let json = serde_json::to_string(&bin).unwrap();
        assert!(!json.contains("sigma") && json.contains("interval"), "{json}");
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), bin);
        let none = Sample::new("c.jpg", Split::Test);
        let json = serde_json::to_string(&none).unwrap();
        assert_eq!(serde_json::from_str::<Sample>(&json).unwrap(), none);
    }
}
