//! The parts of an experiment's file beside recipe and axes: what is measured,
//! what is shown beside, what is prepared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dldl::Task;
use dldl_data::Protocol;
use serde::{Deserialize, Serialize};

/// What a model is measured on, with flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it is called in the tables, needed where there are several.
    #[serde(default)]
    pub name: String,
    /// A dataset's format, or `cache`. Default: `cache`.
    #[serde(default = "cache")]
    pub dataset: String,
    /// Its folder. Default: the recipe's first cache.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The table of labels, where it is not in the format's own place.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// How a dataset that is no cache is divided. Default: `published`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The ends of the dataset's scale where it is another than that of the
    /// model's labels: its labels are brought to these, linearly. Default: none.
    #[serde(default)]
    pub rescale: Option<[f64; 2]>,
    /// `train`, `val`, `test` or `all`. Default: `test`.
    #[serde(default = "test")]
    pub split: String,
    /// What is measured. Default: what the recipe's first head learns.
    #[serde(default)]
    pub task: Option<Task>,
    /// Whether faces are searched in pictures that are no cache. Default: yes.
    #[serde(default = "yes")]
    pub detect: bool,
    /// Which figures the tables show, of [`METRICS`](crate::METRICS).
    /// Default: `mae`, `rmse`.
    #[serde(default = "columns")]
    pub columns: Vec<String>,
}

fn cache() -> String {
    "cache".into()
}
fn test() -> String {
    "test".into()
}
fn yes() -> bool {
    true
}
fn columns() -> Vec<String> {
    ["mae", "rmse"].map(str::to_owned).into()
}

impl Test {
    /// The same without what only the tables want to know.
    pub fn place(&self) -> Self {
        Self { name: String::new(), columns: Vec::new(), ..self.clone() }
    }
}

/// Published figures.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// What the line is called.
    pub label: String,
    /// Where the figures are from, and under which conditions they came about.
    pub source: String,
    /// The test that they belong to. Default: the first.
    #[serde(default)]
    pub test: String,
    /// By metric: one number, or those of some folds or seeds.
    pub figures: BTreeMap<String, Published>,
}

/// One published figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Published {
    /// One number.
    One(f64),
    /// One of each fold or seed.
    Each(Vec<f64>),
}

impl Published {
    /// As a list.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

/// A cache to make where it is missing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The dataset's format.
    pub dataset: String,
    /// Its folder, relative to the folder of the data. Default: the format's name.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The table of labels, where it is not in the format's own place.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// How the dataset is divided, as `dldl prepare --protocol` takes it. Default:
    /// `published`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The cache's folder.
    pub out: PathBuf,
    /// Side of the crops in pixels. Default: 224.
    #[serde(default = "crop_size")]
    pub size: usize,
    /// Whether faces are searched, instead of taking the pictures whole.
    /// Default: yes.
    #[serde(default = "yes")]
    pub detect: bool,
}

fn crop_size() -> usize {
    224
}
