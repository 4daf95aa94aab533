//! One labeled picture of a dataset, and the split it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dldl_label::Task;
use serde::{Deserialize, Serialize};

use crate::annotation::Annotation;
use crate::hash::{fnv1a, mix};

/// Which part of a dataset a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For model selection and early stopping.
    Val,
    /// For the final evaluation.
    Test,
}

impl Split {
    /// All splits, in the order of the shards of a cache.
    pub const ALL: [Split; 3] = [Split::Train, Split::Val, Split::Test];

    /// `train`, `val` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Val => "val",
            Split::Test => "test",
        }
    }

    /// The split of a key (a group or a file name) in datasets without published
    /// splits: the 64-bit FNV-1a hash of the key, passed through the finalizer of
    /// SplitMix64, modulo 10. 0..=7 is `train`, 8 is `val`, 9 is `test`. The result
    /// depends on the key alone.
    pub fn of_key(key: &str) -> Split {
        match mix(fnv1a(key.as_bytes())) % 10 {
            0..=7 => Split::Train,
            8 => Split::Val,
            _ => Split::Test,
        }
    }

    /// The split of a key in a published training part without a validation part:
    /// `val` for the tenth of the keys for which [`Split::of_key`] is `val`, `train`
    /// for all others.
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
    type Err = UnknownSplit;

    /// Case-insensitive; `training`, `valid`, `validation` and `testing` are accepted too.
    fn from_str(s: &str) -> Result<Split, UnknownSplit> {
        match s.to_ascii_lowercase().as_str() {
            "train" | "training" => Ok(Split::Train),
            "val" | "valid" | "validation" => Ok(Split::Val),
            "test" | "testing" => Ok(Split::Test),
            _ => Err(UnknownSplit(s.to_owned())),
        }
    }
}

/// The name of a split that is not `train`, `val` or `test`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown split `{0}`: expected train, val or test")]
pub struct UnknownSplit(pub String);

/// Sex as recorded in the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Recorded as male.
    Male,
    /// Recorded as female.
    Female,
}

/// One picture with its labels.
///
/// As JSON: `file`; an age that is a single value as `label` and `sigma`; all other
/// annotations in `labels` by task; `split`, `sex`, `race`, `group`, and `identity`
/// if known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Sample {
    /// The picture, relative to the dataset's root, with `/` between folders.
    pub file: String,
    /// Its labels by task.
    pub labels: BTreeMap<Task, Annotation>,
    /// Which part of the dataset it belongs to.
    pub split: Split,
    /// Sex, if recorded.
    pub sex: Option<Sex>,
    /// Race or ethnicity in the terms of the dataset, if recorded.
    pub race: Option<String>,
    /// Samples with the same group show the same person or picture. All of a group
    /// belongs in one split.
    pub group: Option<String>,
    /// The person, as a class to be recognized in pretraining. Splits share
    /// identities.
    pub identity: Option<String>,
}

impl Sample {
    /// A picture without labels.
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

    /// Adds or replaces the label of a task.
    pub fn with(mut self, task: Task, annotation: Annotation) -> Self {
        self.labels.insert(task, annotation);
        self
    }

    /// The label of a task.
    pub fn annotation(&self, task: Task) -> Option<&Annotation> {
        self.labels.get(&task)
    }
}

/// The JSON form of a sample. An age with a single value has its own two fields.
#[derive(Serialize, Deserialize)]
struct Stored {
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<f64>,
    // `null` if there is a label without a sigma; absent without a label.
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

/// An entry of a dataset that cannot be used, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The picture, or the table and line.
    pub file: String,
    /// The reason.
    pub reason: String,
}

impl Problem {
    /// The number of problems and the first three of them, to follow an error in a line;
    /// empty if there are none.
    pub fn summary(problems: &[Problem]) -> String {
        if problems.is_empty() {
            return String::new();
        }
        let first: Vec<String> =
            problems.iter().take(3).map(|p| format!("{}: {}", p.file, p.reason)).collect();
        let count = problems.len();
        let noun = if count == 1 { "entry is" } else { "entries are" };
        format!("; {count} {noun} unusable, such as {}", first.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caches and their hashes depend on this form.
    #[test]
    fn the_json_form_of_a_sample_is_stable() {
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
