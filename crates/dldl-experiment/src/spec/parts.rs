//! The parts of an experiment's file other than recipe and axes: tests, published
//! references, caches to build.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dldl::Task;
use dldl_data::Protocol;
use serde::{Deserialize, Serialize};

/// A dataset on which the models are evaluated, with flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its name in the tables, required if there are several tests.
    #[serde(default)]
    pub name: String,
    /// A dataset's format, or `cache`. Default: `cache`.
    #[serde(default = "cache")]
    pub dataset: String,
    /// Its folder. Default: the recipe's first cache.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The table of labels, if it is not where the format has it.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// How a dataset other than a cache is split. Default: `published`.
    #[serde(default)]
    pub protocol: Protocol,
    /// Minimum and maximum of the dataset's scale if it differs from that of the
    /// model's labels: the labels are mapped linearly. Default: none.
    #[serde(default)]
    pub rescale: Option<[f64; 2]>,
    /// `train`, `val`, `test` or `all`. Default: `test`.
    #[serde(default = "test")]
    pub split: String,
    /// The task to evaluate. Default: that of the recipe's first head with labels.
    #[serde(default)]
    pub task: Option<Task>,
    /// Whether to detect faces, for datasets other than caches. Default: yes.
    #[serde(default = "yes")]
    pub detect: bool,
    /// The columns of the tables, by the keys of [`METRICS`](crate::METRICS).
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
    /// The test without name and columns, which only affect the tables: what
    /// identifies a measurement.
    pub fn without_display(&self) -> Self {
        Self { name: String::new(), columns: Vec::new(), ..self.clone() }
    }
}

/// Published figures, shown as a line of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The label of the line.
    pub label: String,
    /// Where the figures were published, and under which conditions they hold.
    pub source: String,
    /// The test that they belong to. Default: the first.
    #[serde(default)]
    pub test: String,
    /// By metric: one number, or one for each fold or seed.
    pub figures: BTreeMap<String, Published>,
}

/// One published figure.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Published {
    /// One number.
    One(f64),
    /// One number for each fold or seed.
    Each(Vec<f64>),
}

impl Published {
    /// The numbers as a slice.
    pub fn values(&self) -> &[f64] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

/// A cache to build if it does not exist.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// The dataset's format.
    pub dataset: String,
    /// Its folder, relative to the data folder. Default: the format's name.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The table of labels, relative to the data folder, if it is not where the
    /// format has it.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// How the dataset is split, as in `dldl prepare --protocol`. Default:
    /// `published`.
    #[serde(default)]
    pub protocol: Protocol,
    /// The cache's folder.
    pub out: PathBuf,
    /// Side of the crops in pixels. Default: 224.
    #[serde(default = "crop_size")]
    pub size: usize,
    /// Whether to detect and align faces, instead of using whole pictures.
    /// Default: yes.
    #[serde(default = "yes")]
    pub detect: bool,
}

fn crop_size() -> usize {
    224
}
