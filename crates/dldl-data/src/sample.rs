//! Samples, splits and datasets as values. How they are read from disk is in
//! one file per format ([`crate::utkface`], [`crate::csv`]).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use dldl_label::Label;
use serde::{Deserialize, Serialize};

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
        let mut z = fnv1a(key.as_bytes());
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (z ^ (z >> 31)) % 10 {
            0..=7 => Split::Train,
            8 => Split::Val,
            _ => Split::Test,
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

/// Sex as the dataset records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Recorded as male.
    Male,
    /// Recorded as female.
    Female,
}

/// One labelled picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The picture, relative to the dataset's root, with `/` between folders.
    pub file: String,
    /// The label: the raters' mean, or the one known value (age in years, or
    /// the score on the dataset's scale).
    #[serde(rename = "label")]
    pub mean: f64,
    /// The raters' standard deviation, in the label's unit; none where the
    /// dataset knows one value only.
    pub sigma: Option<f64>,
    /// Which part of the dataset it belongs to.
    pub split: Split,
    /// Sex, where recorded.
    pub sex: Option<Sex>,
    /// Race or ethnicity in the dataset's own words, where recorded.
    pub race: Option<String>,
    /// Samples of one group show the same picture or person and must not be
    /// spread over several splits.
    pub group: Option<String>,
}

impl Sample {
    /// The label with its spread, `default_sigma` where the dataset has none.
    /// 2 years is the usual choice for real ages (specification 1.3).
    pub fn label(&self, default_sigma: f64) -> Label {
        Label { mean: self.mean, sigma: self.sigma.unwrap_or(default_sigma) }
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
    /// The usable samples, in a fixed order.
    pub samples: Vec<Sample>,
    /// What was left out, and why.
    pub problems: Vec<Problem>,
}

impl Dataset {
    /// How many samples are in a split.
    pub fn count(&self, split: Split) -> usize {
        self.samples.iter().filter(|s| s.split == split).count()
    }
}
