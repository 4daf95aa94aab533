//! From an experiment's file to its trainings: the product of the axes, with the
//! recipe and the tests of each resolved and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dldl_data::Split;
use dldl_train::TrainConfig;
use dldl_train::config::{DeviceKind, HeadConfig};
use toml::{Table, Value};

use crate::spec::{Spec, Test};
use crate::{ExperimentError, SpecError, TestError};

/// One training of the grid, with the tests on which its model is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// The index of its value on each axis.
    pub indices: Vec<usize>,
    /// The label of its value, by axis.
    pub labels: BTreeMap<String, String>,
    /// Its name, which is also that of its run folder.
    pub name: String,
    /// Its complete recipe.
    pub config: TrainConfig,
    /// The tests of its model.
    pub tests: Vec<Test>,
}

/// An experiment with all its trainings.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The experiment's file.
    pub path: PathBuf,
    /// Its content.
    pub spec: Spec,
    /// The trainings, in the order in which they run: all lines of the table with
    /// the first seed or fold, then with the second.
    pub trials: Vec<Trial>,
}

impl Grid {
    /// Reads an experiment's file and resolves the recipes of all its trainings.
    ///
    /// # Errors
    /// [`ExperimentError::Spec`] if the file, a recipe or a test is invalid.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let spec = Spec::load(path)?;
        let trials = trials(&spec)
            .map_err(|e| ExperimentError::Spec { path: path.to_owned(), source: Box::new(e) })?;
        Ok(Self { path: path.to_owned(), spec, trials })
    }

    /// The same grid, trained on another device than the recipe's.
    pub fn with_device(mut self, device: DeviceKind) -> Self {
        for trial in &mut self.trials {
            trial.config.device = device;
        }
        self
    }

    /// The trainings with the given labels, each written as `LABEL` or
    /// `AXIS=LABEL` in any case. A training is selected if, on each axis that has
    /// one of these labels, its label is among them. An empty list selects all.
    ///
    /// # Errors
    /// [`ExperimentError::UnknownLabel`] if a label is on no axis.
    pub fn select(&self, only: &[String]) -> Result<Vec<&Trial>, ExperimentError> {
        let mut wanted = vec![BTreeSet::new(); self.spec.axes.len()];
        for text in only {
            let mut found = false;
            for (a, axis) in self.spec.axes.iter().enumerate() {
                for (v, value) in axis.values.iter().enumerate() {
                    let long = format!("{}={}", axis.name, value.label);
                    if [&value.label, &long].iter().any(|l| l.eq_ignore_ascii_case(text)) {
                        wanted[a].insert(v);
                        found = true;
                    }
                }
            }
            if !found {
                let axes = self.spec.axes.iter().map(|axis| {
                    let labels: Vec<&str> = axis.values.iter().map(|v| v.label.as_str()).collect();
                    format!("{}: {}", axis.name, labels.join(", "))
                });
                let known = axes.collect::<Vec<_>>().join("; ");
                return Err(ExperimentError::UnknownLabel { label: text.clone(), known });
            }
        }
        let selected = |trial: &&Trial| {
            let mut axes = trial.indices.iter().zip(&wanted);
            axes.all(|(index, wanted)| wanted.is_empty() || wanted.contains(index))
        };
        Ok(self.trials.iter().filter(selected).collect())
    }
}

fn trials(spec: &Spec) -> Result<Vec<Trial>, SpecError> {
    let recipe = toml::to_string(&spec.recipe).expect("a TOML table can be written as TOML");
    product(spec).into_iter().map(|indices| trial(spec, &recipe, indices)).collect()
}

/// All combinations of indices. The axes that the tables average over vary slowest;
/// of the others, the first does.
fn product(spec: &Spec) -> Vec<Vec<usize>> {
    let axes = spec.axes.iter().enumerate();
    let (averaged, shown): (Vec<_>, Vec<_>) = axes.partition(|(_, axis)| axis.over);
    let mut all = vec![vec![0; spec.axes.len()]];
    for (a, axis) in averaged.into_iter().chain(shown) {
        let with = |indices: &Vec<usize>, v| {
            let mut indices = indices.clone();
            indices[a] = v;
            indices
        };
        let values = 0..axis.values.len();
        all = all.iter().flat_map(|i| values.clone().map(move |v| with(i, v))).collect();
    }
    all
}

fn trial(spec: &Spec, recipe: &str, indices: Vec<usize>) -> Result<Trial, SpecError> {
    let values: Vec<_> =
        spec.axes.iter().zip(&indices).map(|(axis, &v)| (axis, &axis.values[v])).collect();
    // Folder names of labels have no underscore and are unique on each axis, so these
    // are unique too.
    let (name, title) = match values.is_empty() {
        true => (spec.name.clone(), spec.name.clone()),
        false => {
            let folders: Vec<String> = values.iter().map(|(_, v)| v.folder_name()).collect();
            let labels: Vec<&str> = values.iter().map(|(_, v)| v.label.as_str()).collect();
            (folders.join("_"), labels.join(", "))
        }
    };
    let mut tests = spec.tests.clone();
    let run = Value::String(spec.runs.join(&name).to_string_lossy().into_owned());
    let mut overrides = vec![("run".to_owned(), run.to_string())];
    for (key, value) in values.iter().flat_map(|(axis, v)| v.overrides(axis)) {
        match key.strip_prefix("test.") {
            Some(key) => set_test(&mut tests, key, value, &title)?,
            None => overrides.push((key.to_owned(), value.to_string())),
        }
    }
    let config = TrainConfig::parse(recipe, &overrides)
        .map_err(|source| SpecError::Recipe { trial: title.clone(), source })?;
    if config.is_pretraining() {
        return Err(SpecError::Pretraining { trial: title });
    }
    let tests = tests.into_iter().enumerate().map(|(i, table)| {
        test(table, &config).map_err(|source| SpecError::Test {
            trial: title.clone(),
            number: i + 1,
            source,
        })
    });
    let tests = tests.collect::<Result<Vec<Test>, SpecError>>()?;
    for (i, test) in tests.iter().enumerate() {
        if tests[..i].iter().any(|other| other.name == test.name) {
            return Err(SpecError::DuplicateTest { name: test.name.clone() });
        }
    }
    let exists = |name: &str| name.is_empty() || tests.iter().any(|test| test.name == name);
    if let Some(reference) = spec.references.iter().find(|r| !exists(&r.test)) {
        let (label, test) = (reference.label.clone(), reference.test.clone());
        return Err(SpecError::UnknownTest { label, test });
    }
    let label = |(axis, value): &(&crate::Axis, &crate::AxisValue)| {
        (axis.name.clone(), value.label.clone())
    };
    let labels = values.iter().map(label).collect();
    Ok(Trial { indices, labels, name, config, tests })
}

/// Sets a field of all tests, or of one if its number comes first (`1.root`).
fn set_test(tests: &mut [Table], key: &str, value: &Value, trial: &str) -> Result<(), SpecError> {
    let (number, field) = match key.split_once('.') {
        Some((number, field)) => (Some(number), field),
        None => (None, key),
    };
    let count = tests.len();
    let selected = match number {
        None => tests,
        Some(number) => {
            number.parse::<usize>().ok().and_then(|i| tests.get_mut(i..=i)).ok_or_else(|| {
                SpecError::TestNumber {
                    trial: trial.to_owned(),
                    key: key.to_owned(),
                    number: number.to_owned(),
                    count,
                }
            })?
        }
    };
    for test in selected {
        test.insert(field.to_owned(), value.clone());
    }
    Ok(())
}

/// A test with the defaults that come from the recipe.
fn test(table: Table, config: &TrainConfig) -> Result<Test, TestError> {
    let mut test: Test = table.try_into().map_err(TestError::Parse)?;
    if test.split != "all" && test.split.parse::<Split>().is_err() {
        return Err(TestError::Split(test.split));
    }
    let formats: Vec<&str> = dldl_data::FORMATS.iter().map(|f| f.name).collect();
    if test.dataset != "cache" && !formats.contains(&test.dataset.as_str()) {
        let known = formats.join(", ");
        return Err(TestError::Dataset { name: test.dataset, known });
    }
    if test.root.is_none() && test.dataset == "cache" {
        test.root = Some(config.data[0].cache.clone());
    }
    let first = config.heads.iter().find_map(|head| match head {
        HeadConfig::Labels { task, .. } => Some(*task),
        _ => None,
    });
    test.task = test.task.or(first);
    Ok(test)
}

/// The recipe without the fields that do not affect the trained weights: trainings
/// with equal normalized recipes give the same model.
pub fn normalized_config(config: &TrainConfig) -> TrainConfig {
    TrainConfig {
        run: PathBuf::new(),
        name: String::new(),
        device: DeviceKind::Cpu,
        loader_threads: 1,
        prefetch: 1,
        log_every: 1,
        checkpoint_minutes: 1.0,
        training_data: String::new(),
        license: String::new(),
        ..config.clone()
    }
}

#[cfg(test)]
pub(crate) mod tests;
