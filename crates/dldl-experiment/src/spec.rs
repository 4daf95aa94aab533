//! An experiment's file as a value; its parts beside recipe and axes are in
//! `parts`. What trainings it asks for is in `grid`.

mod parts;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use crate::ExperimentError;
use crate::figures::{METRICS, metric};

pub use parts::{Prepare, Published, Reference, Test};

/// An experiment: a recipe, the axes along which it varies, and what the models
/// are measured on. Unknown fields are refused. Relative paths are relative to
/// the working directory, but the roots of datasets as published to the folder
/// of the data.
///
/// ```toml
/// name = "methods"
///
/// [recipe]                             # as for `dldl train`, but without `run`
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
/// over = true                          # the tables have means over it
/// values = [1, 2, 3]
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name, for folders.
    pub name: String,
    /// The tables' caption. Default: the name.
    #[serde(default)]
    pub title: String,
    /// What a reader of the tables should know, in some sentences. Default: empty.
    #[serde(default)]
    pub about: String,
    /// Folder of the tables and of `rows.jsonl`. Default: `results/NAME`.
    #[serde(default)]
    pub out: PathBuf,
    /// Folder of the run folders. Default: `runs/experiments/NAME`.
    #[serde(default)]
    pub runs: PathBuf,
    /// What stays in a run folder after success. Default: `weights`.
    #[serde(default)]
    pub keep: Keep,
    /// The recipe that all trainings share.
    pub recipe: Table,
    /// The axes of the grid. Default: none, which is one training.
    #[serde(default, rename = "axis")]
    pub axes: Vec<Axis>,
    /// What the models are measured on, each as a [`Test`]. Default: the test
    /// split of the recipe's first cache.
    #[serde(default = "one_test", rename = "test")]
    pub tests: Vec<Table>,
    /// What the tables say of the trainings: `val`, `epoch`, `seconds`,
    /// `images_per_second`, `parameters`. Default: nothing.
    #[serde(default)]
    pub training: Vec<String>,
    /// Published figures to show beside. Default: none.
    #[serde(default, rename = "reference")]
    pub references: Vec<Reference>,
    /// Caches to make where they are missing. Default: none.
    #[serde(default, rename = "prepare")]
    pub prepare: Vec<Prepare>,
}

fn one_test() -> Vec<Table> {
    vec![Table::new()]
}

/// What stays in a run folder after success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Everything.
    All,
    /// All but the checkpoints.
    #[default]
    Weights,
    /// Nothing: the folder is removed.
    Nothing,
}

/// Something that varies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What it is called in the tables.
    pub name: String,
    /// The recipe's key that a plain value sets. Default: the name.
    #[serde(default)]
    pub key: Option<String>,
    /// Whether the tables have the mean and the spread over it (seeds, folds)
    /// instead of a line for each value. Default: no.
    #[serde(default)]
    pub over: bool,
    /// Its values.
    pub values: Vec<Choice>,
}

impl Axis {
    /// The recipe's key that a plain value sets.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.name)
    }
}

/// A value of an axis: `{ label = "...", set = { KEY = VALUE, ... } }`, or the
/// value alone. The keys are those of `dldl train --set`, in quotes where they
/// have dots; those that begin with `test.` are of the tests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Choice {
    /// What it is called in the tables.
    pub label: String,
    /// What it sets.
    pub set: Set,
}

/// What a value of an axis sets.
#[derive(Debug, Clone, PartialEq)]
pub enum Set {
    /// The axis' own key.
    Own(Value),
    /// Several keys.
    Keys(Table),
}

impl TryFrom<Value> for Choice {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let mut table = match value {
            Value::Table(table) => table,
            Value::String(text) => {
                return Ok(Self { label: text.clone(), set: Set::Own(Value::String(text)) });
            }
            Value::Array(_) => return Err("a list as a value needs a label and a set".into()),
            plain => return Ok(Self { label: plain.to_string(), set: Set::Own(plain) }),
        };
        match (table.remove("label"), table.remove("set")) {
            (Some(Value::String(label)), Some(Value::Table(set))) if table.is_empty() => {
                Ok(Self { label, set: Set::Keys(set) })
            }
            _ => Err("write a value of an axis as { label = \"...\", set = { ... } }".into()),
        }
    }
}

impl Spec {
    /// Reads and checks an experiment's file. That its recipes make sense is
    /// seen when the [`Grid`](crate::Grid) is made.
    ///
    /// # Errors
    /// [`ExperimentError::Spec`] if the file cannot be read, is no TOML, has an
    /// unknown field or names what there is not.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let fail = |what: String| ExperimentError::Spec { path: path.to_owned(), what };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        Self::parse(&text).map_err(fail)
    }

    /// The same from the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut spec: Self = toml::from_str(text).map_err(|e| e.to_string().trim().to_owned())?;
        spec.check()?;
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

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err("name: letters, digits, - and _ make a folder's name".into());
        }
        if self.recipe.contains_key("run") {
            return Err("recipe: run is chosen for each training, under `runs`".into());
        }
        for (i, axis) in self.axes.iter().enumerate() {
            let name = &axis.name;
            if self.axes[..i].iter().any(|other| other.name == *name) {
                return Err(format!("axis {name}: there are two of this name"));
            }
            if axis.values.is_empty() {
                return Err(format!("axis {name}: it has no values"));
            }
            for (j, choice) in axis.values.iter().enumerate() {
                if axis.values[..j].iter().any(|other| other.label == choice.label) {
                    return Err(format!("axis {name}: two values are called {}", choice.label));
                }
            }
        }
        if self.tests.is_empty() {
            return Err("there must be something to measure on: leave test out, or name one".into());
        }
        let known = |key: &str| {
            let names: Vec<&str> = METRICS.iter().map(|m| m.key).collect();
            metric(key).map(|_| ()).ok_or_else(|| format!("{key} is none of {}", names.join(", ")))
        };
        for key in &self.training {
            known(key).map_err(|e| format!("training: {e}"))?;
        }
        for reference in &self.references {
            let label = &reference.label;
            for (key, published) in &reference.figures {
                known(key).map_err(|e| format!("reference {label}: {e}"))?;
                if published.values().is_empty() {
                    return Err(format!("reference {label}: {key} has no number"));
                }
            }
        }
        for table in &self.tests {
            let Some(Value::Array(columns)) = table.get("columns") else { continue };
            for key in columns.iter().filter_map(Value::as_str) {
                known(key).map_err(|e| format!("test: columns: {e}"))?;
            }
        }
        Ok(())
    }
}
