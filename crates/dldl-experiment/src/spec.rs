//! The file of an experiment as a value. Its parts other than recipe and axes are
//! in `parts`; the trainings that it describes are in `grid`.

mod parts;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::metrics::{METRICS, metric};
use crate::{ExperimentError, SpecError};

pub use parts::{Prepare, Published, Reference, Test};

/// An experiment: a recipe, the axes along which it varies, and the datasets on
/// which the models are evaluated. Unknown fields are refused. Paths are relative
/// to the working directory, those of published datasets to the data folder.
///
/// ```toml
/// name = "methods"
///
/// [recipe]                             # as for `dldl train`, without `run`
/// cache = "cache/utkface"
/// phases = [{ size = 64, epochs = 10 }]
///
/// [[axis]]
/// name = "method"
/// values = [
///     { label = "DLDL", set = { method = { name = "dldl" } } },
///     { label = "DLDL-v2", set = { method = { name = "dldl-v2" } } },
/// ]
///
/// [[axis]]
/// name = "seed"
/// over = true                          # the tables show the mean over this axis
/// values = [1, 2, 3]
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name, used for folders: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The caption of the tables. Default: the name.
    #[serde(default)]
    pub title: String,
    /// A short description, printed with the tables. Default: empty.
    #[serde(default)]
    pub about: String,
    /// Folder of the tables and of `rows.jsonl`. Default: `results/NAME`.
    #[serde(default)]
    pub out: PathBuf,
    /// Folder of the run folders. Default: `runs/experiments/NAME`.
    #[serde(default)]
    pub runs: PathBuf,
    /// What is kept of a run folder after success. Default: `weights`.
    #[serde(default)]
    pub keep: Keep,
    /// The recipe that all trainings share.
    pub recipe: Table,
    /// The axes of the grid. Default: none, which gives a single training.
    #[serde(default, rename = "axis")]
    pub axes: Vec<Axis>,
    /// The datasets on which the models are evaluated, each a [`Test`]. Default: the
    /// test split of the recipe's first cache.
    #[serde(default = "default_tests", rename = "test")]
    pub tests: Vec<Table>,
    /// Columns about the trainings: `val`, `epoch`, `seconds`, `images_per_second`,
    /// `parameters`. Default: none.
    #[serde(default)]
    pub training: Vec<String>,
    /// Published figures to show below the own ones. Default: none.
    #[serde(default, rename = "reference")]
    pub references: Vec<Reference>,
    /// Caches to build if they do not exist. Default: none.
    #[serde(default, rename = "prepare")]
    pub prepare: Vec<Prepare>,
}

fn default_tests() -> Vec<Table> {
    vec![Table::new()]
}

/// What is kept of a run folder after success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Everything.
    All,
    /// Everything except the checkpoints.
    #[default]
    Weights,
    /// Nothing that the training wrote.
    Nothing,
}

/// A parameter that varies between the trainings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name in the tables.
    pub name: String,
    /// The key of the recipe that plain values set. Default: the name.
    #[serde(default)]
    pub key: Option<String>,
    /// Whether the tables show the mean and standard deviation over this axis
    /// (seeds, folds) instead of a line for each value. Default: no.
    #[serde(default)]
    pub over: bool,
    /// Its values.
    pub values: Vec<AxisValue>,
}

impl Axis {
    /// The key of the recipe that plain values set.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }
}

/// A value of an axis: `{ label = "...", set = { KEY = VALUE, ... } }`, or the plain
/// value. The keys are those of `dldl train --set`, quoted if they contain dots;
/// keys that begin with `test.` set fields of the tests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct AxisValue {
    /// Its label in the tables, which also becomes part of the run folder's name.
    pub label: String,
    /// What it changes in the recipe and the tests.
    pub set: Overrides,
}

/// What a value of an axis changes in the recipe and the tests.
#[derive(Debug, Clone, PartialEq)]
pub enum Overrides {
    /// The key of the axis.
    AxisKey(Value),
    /// These keys.
    Keys(Table),
}

impl AxisValue {
    /// The label as part of a folder name: in lower case, with a hyphen for every
    /// sequence of characters other than letters, digits and dots.
    pub fn folder_name(&self) -> String {
        let mut name = String::new();
        for c in self.label.to_lowercase().chars() {
            match c {
                c if c.is_alphanumeric() || c == '.' => name.push(c),
                _ if name.ends_with('-') => {}
                _ => name.push('-'),
            }
        }
        name.trim_matches('-').to_owned()
    }

    /// The keys that it sets, with their values.
    pub fn overrides<'a>(&'a self, axis: &'a Axis) -> Vec<(&'a str, &'a Value)> {
        match &self.set {
            Overrides::AxisKey(value) => vec![(axis.key(), value)],
            Overrides::Keys(table) => table.iter().map(|(key, v)| (key.as_str(), v)).collect(),
        }
    }
}

impl TryFrom<Value> for AxisValue {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let mut table = match value {
            Value::Table(table) => table,
            Value::String(text) => {
                return Ok(Self { label: text.clone(), set: Overrides::AxisKey(text.into()) });
            }
            Value::Array(_) => return Err("a list as a value needs a label and a set".into()),
            plain => return Ok(Self { label: plain.to_string(), set: Overrides::AxisKey(plain) }),
        };
        match (table.remove("label"), table.remove("set")) {
            (Some(Value::String(label)), Some(Value::Table(set))) if table.is_empty() => {
                Ok(Self { label, set: Overrides::Keys(set) })
            }
            _ => Err("write a value of an axis as { label = \"...\", set = { ... } }".into()),
        }
    }
}

impl Spec {
    /// Reads and checks an experiment's file. The recipes are checked when the
    /// [`Grid`](crate::Grid) is built.
    ///
    /// # Errors
    /// [`ExperimentError::Spec`] if the file cannot be read or is invalid.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let text = std::fs::read_to_string(path).map_err(SpecError::Read);
        text.and_then(|text| Self::parse(&text))
            .map_err(|e| ExperimentError::Spec { path: path.to_owned(), source: Box::new(e) })
    }

    /// Parses and checks the text of an experiment's file.
    ///
    /// # Errors
    /// [`SpecError`] if it is invalid.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let mut spec: Self = toml::from_str(text).map_err(SpecError::Parse)?;
        spec.check_folders()?;
        spec.check_metrics()?;
        if spec.title.is_empty() {
            spec.title.clone_from(&spec.name);
        }
        if spec.out.as_os_str().is_empty() {
            spec.out = Path::new("results").join(&spec.name);
        }
        if spec.runs.as_os_str().is_empty() {
            spec.runs = Path::new("runs/experiments").join(&spec.name);
        }
        Ok(spec)
    }

    /// Whether every training gets a folder of its own, inside `runs`.
    fn check_folders(&self) -> Result<(), SpecError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_folder = |name: &str| !matches!(name, "" | "." | "..");
        if !is_folder(&self.name) || !self.name.chars().all(allowed) {
            return Err(SpecError::Name { name: self.name.clone() });
        }
        if self.recipe.contains_key("run") {
            return Err(SpecError::RunFolder { place: "recipe".into() });
        }
        for (i, axis) in self.axes.iter().enumerate() {
            let name = || axis.name.clone();
            if self.axes[..i].iter().any(|other| other.name == axis.name) {
                return Err(SpecError::DuplicateAxis { axis: name() });
            }
            if axis.values.is_empty() {
                return Err(SpecError::EmptyAxis { axis: name() });
            }
            for (j, value) in axis.values.iter().enumerate() {
                let (label, folder) = (value.label.clone(), value.folder_name());
                if value.overrides(axis).iter().any(|(key, _)| *key == "run") {
                    let place = format!("axis {}, label `{label}`", axis.name);
                    return Err(SpecError::RunFolder { place });
                }
                if !is_folder(&folder) {
                    return Err(SpecError::Label { axis: name(), label, folder });
                }
                if let Some(first) = axis.values[..j].iter().find(|v| v.folder_name() == folder) {
                    let first = first.label.clone();
                    return Err(SpecError::DuplicateLabel {
                        axis: name(),
                        first,
                        second: label,
                        folder,
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether every metric that is named exists.
    fn check_metrics(&self) -> Result<(), SpecError> {
        let check = |place: &str, key: &str| match metric(key) {
            Some(_) => Ok(()),
            None => Err(SpecError::UnknownMetric {
                place: place.to_owned(),
                metric: key.to_owned(),
                known: METRICS.iter().map(|m| m.key).collect::<Vec<_>>().join(", "),
            }),
        };
        if self.tests.is_empty() {
            return Err(SpecError::NoTests);
        }
        for key in &self.training {
            check("training", key)?;
        }
        for table in &self.tests {
            let Some(Value::Array(columns)) = table.get("columns") else { continue };
            for key in columns.iter().filter_map(Value::as_str) {
                check("test.columns", key)?;
            }
        }
        for reference in &self.references {
            let label = &reference.label;
            for (key, published) in &reference.figures {
                check(&format!("reference {label}"), key)?;
                if published.values().is_empty() {
                    let (label, metric) = (label.clone(), key.clone());
                    return Err(SpecError::EmptyReference { label, metric });
                }
            }
        }
        Ok(())
    }
}
