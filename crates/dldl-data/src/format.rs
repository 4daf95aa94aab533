//! How a dataset is stored, what its labels are, where its splits come from, and
//! how to cite it. The adapters define one [`Format`] each.

use std::path::Path;

use dldl_label::Task;
use serde::Serialize;

use crate::{DataError, Dataset};

/// A dataset layout that can be read, with facts about the dataset.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// The layout of the folder and the labels, in one line.
    pub about: &'static str,
    /// The label sets by task; empty for datasets without labels.
    pub tasks: &'static [LabelInfo],
    /// Where the splits come from.
    pub splits: &'static str,
    /// The names of the formats of the published folds, in order: `published:1` is the
    /// first.
    pub folds: &'static [&'static str],
    /// The publication to cite.
    pub citation: &'static str,
    /// The terms of use.
    pub terms: &'static str,
    /// Reads the dataset in a root folder, with the labels in the given file or in the
    /// default place of the format.
    #[serde(skip)]
    pub load: fn(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError>,
}

/// The labels of one task in a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelInfo {
    /// The task, the key in [`Sample::labels`](crate::Sample::labels).
    #[serde(rename = "name")]
    pub task: Task,
    /// The lowest label of the label set for training.
    pub min: f64,
    /// The highest label.
    pub max: f64,
    /// The distance between neighboring labels.
    pub step: f64,
    /// Where the spread of a label comes from, in words.
    pub spread: &'static str,
    /// The standard deviation assumed for labels without one, in units of the label.
    pub sigma: f64,
}

/// The spread of an age that is a single number.
pub(crate) const SINGLE_AGE: &str = "single value, sigma assumed";

/// Ages from 0 to 100 years (spec 1.1). The assumed sigma of 2 years is the paper's
/// value for Morph (spec 1.3).
pub(crate) const fn age(spread: &'static str) -> LabelInfo {
    LabelInfo { task: Task::Age, min: 0.0, max: 100.0, step: 1.0, spread, sigma: 2.0 }
}

/// Scores from 1 to `max` in steps of 0.1 (spec 1.1).
pub(crate) const fn attractiveness(max: f64, spread: &'static str, sigma: f64) -> LabelInfo {
    LabelInfo { task: Task::Attractiveness, min: 1.0, max, step: 0.1, spread, sigma }
}
