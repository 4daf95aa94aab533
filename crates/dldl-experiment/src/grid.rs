//! From an experiment's file to its trainings: the product of the axes, with the
//! recipe of each resolved and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dldl_data::Split;
use dldl_train::TrainConfig;
use dldl_train::config::{DeviceKind, HeadConfig};
use toml::{Table, Value};

use crate::ExperimentError;
use crate::spec::{Set, Spec, Test};

/// One training of the grid, and what its model is measured on.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The position of its value on each axis.
    pub choices: Vec<usize>,
    /// The label of its value, by axis.
    pub labels: BTreeMap<String, String>,
    /// Its name, which is that of its run folder.
    pub name: String,
    /// Its recipe, whole.
    pub config: TrainConfig,
    /// What its model is measured on.
    pub tests: Vec<Test>,
}

/// An experiment with all its trainings.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub spec: Spec,
    /// The trainings, in the order in which they are done: every line of the
    /// table with its first seed or fold, then with the second.
    pub cells: Vec<Cell>,
}

impl Grid {
    /// Reads a file and resolves the recipes of all its trainings.
    ///
    /// # Errors
    /// As [`Spec::load`], or a recipe that makes no sense, named by its labels.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let spec = Spec::load(path)?;
        let fail = |what| ExperimentError::Spec { path: path.to_owned(), what };
        let cells = cells(&spec).map_err(fail)?;
        Ok(Self { path: path.to_owned(), spec, cells })
    }

    /// Trains on another device than the recipe's.
    pub fn on(mut self, device: DeviceKind) -> Self {
        self.cells.iter_mut().for_each(|cell| cell.config.device = device);
        self
    }

    /// The trainings with these labels only, each written as `LABEL` or
    /// `AXIS=LABEL`: of each axis that is named, any of its named values.
    ///
    /// # Errors
    /// [`ExperimentError::Selection`] if there is no such label.
    pub fn select(&self, only: &[String]) -> Result<Vec<&Cell>, ExperimentError> {
        let mut wanted = vec![BTreeSet::new(); self.spec.axes.len()];
        for text in only {
            let mut found = false;
            for (a, axis) in self.spec.axes.iter().enumerate() {
                for (v, choice) in axis.values.iter().enumerate() {
                    let long = format!("{}={}", axis.name, choice.label);
                    if [&choice.label, &long].iter().any(|l| l.eq_ignore_ascii_case(text)) {
                        wanted[a].insert(v);
                        found = true;
                    }
                }
            }
            if !found {
                let axes = self.spec.axes.iter().map(|axis| {
                    let labels: Vec<&str> = axis.values.iter().map(|c| c.label.as_str()).collect();
                    format!("{}: {}", axis.name, labels.join(", "))
                });
                let what =
                    format!("there is no {text}, but {}", axes.collect::<Vec<_>>().join("; "));
                return Err(ExperimentError::Selection(what));
            }
        }
        let taken = |cell: &&Cell| {
            let mut axes = cell.choices.iter().zip(&wanted);
            axes.all(|(choice, wanted)| wanted.is_empty() || wanted.contains(choice))
        };
        Ok(self.cells.iter().filter(taken).collect())
    }
}

fn cells(spec: &Spec) -> Result<Vec<Cell>, String> {
    let recipe = toml::to_string(&spec.recipe).map_err(|e| e.to_string())?;
    let mut cells = Vec::new();
    let mut names = BTreeSet::new();
    for choices in product(spec) {
        let cell = cell(spec, &recipe, choices)?;
        if !names.insert(cell.name.clone()) {
            return Err(format!(
                "two trainings would have the folder {}: change a label",
                cell.name
            ));
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// All combinations of positions: the axes that the tables are over vary the
/// slowest, of the others the first does.
fn product(spec: &Spec) -> Vec<Vec<usize>> {
    let axes = spec.axes.iter().enumerate();
    let (over, shown): (Vec<_>, Vec<_>) = axes.partition(|(_, axis)| axis.over);
    let mut all = vec![vec![0; spec.axes.len()]];
    for (a, axis) in over.into_iter().chain(shown) {
        let with = |choices: &Vec<usize>, v| {
            let mut choices = choices.clone();
            choices[a] = v;
            choices
        };
        let values = 0..axis.values.len();
        all = all.iter().flat_map(|c| values.clone().map(move |v| with(c, v))).collect();
    }
    all
}

fn cell(spec: &Spec, recipe: &str, choices: Vec<usize>) -> Result<Cell, String> {
    let chosen: Vec<_> =
        spec.axes.iter().zip(&choices).map(|(axis, &v)| (axis, &axis.values[v])).collect();
    let labels: BTreeMap<String, String> =
        chosen.iter().map(|(axis, c)| (axis.name.clone(), c.label.clone())).collect();
    let said: Vec<&str> = chosen.iter().map(|(_, choice)| choice.label.as_str()).collect();
    let fail = |what: String| match said.is_empty() {
        true => what,
        false => format!("{}: {what}", said.join(", ")),
    };
    let name = match said.is_empty() {
        true => spec.name.clone(),
        false => said.iter().map(|label| slug(label)).collect::<Vec<_>>().join("_"),
    };
    let mut tests = spec.tests.clone();
    let run = Value::String(spec.runs.join(&name).to_string_lossy().into_owned());
    let mut overrides = vec![("run".to_owned(), run.to_string())];
    let own = Table::new();
    for (axis, choice) in &chosen {
        let (single, several) = match &choice.set {
            Set::Own(value) => (Some((axis.key(), value)), &own),
            Set::Keys(table) => (None, table),
        };
        for (key, value) in single.into_iter().chain(several.iter().map(|(k, v)| (k.as_str(), v))) {
            match key.strip_prefix("test.") {
                Some(key) => set_test(&mut tests, key, value).map_err(fail)?,
                None => overrides.push((key.to_owned(), value.to_string())),
            }
        }
    }
    let config = TrainConfig::parse(recipe, &overrides).map_err(|e| fail(e.to_string()))?;
    if config.is_pretraining() {
        return Err(fail("a pretraining has no labels to measure by".into()));
    }
    let tests = tests.into_iter().enumerate().map(|(i, table)| {
        test(table, &config).map_err(|what| fail(format!("test {}: {what}", i + 1)))
    });
    let tests = tests.collect::<Result<Vec<Test>, String>>()?;
    for (i, one) in tests.iter().enumerate() {
        if tests[..i].iter().any(|other| other.name == one.name) {
            return Err(fail("several tests need a name each".into()));
        }
    }
    let named = |name: &str| name.is_empty() || tests.iter().any(|test| test.name == name);
    if let Some(other) = spec.references.iter().find(|r| !named(&r.test)) {
        return Err(format!("reference {}: there is no test {}", other.label, other.test));
    }
    Ok(Cell { choices, labels, name, config, tests })
}

/// Sets a field of all tests, or with a number before it (`1.root`) of one.
fn set_test(tests: &mut [Table], key: &str, value: &Value) -> Result<(), String> {
    let (which, field) = match key.split_once('.') {
        Some((number, field)) => (Some(number), field),
        None => (None, key),
    };
    let count = tests.len();
    let chosen = match which {
        None => tests,
        Some(number) => number
            .parse::<usize>()
            .ok()
            .and_then(|i| tests.get_mut(i..=i))
            .ok_or_else(|| format!("test.{key}: there is no test {number} among {count}"))?,
    };
    for test in chosen {
        test.insert(field.to_owned(), value.clone());
    }
    Ok(())
}

/// A test with what it leaves to the recipe filled in.
fn test(table: Table, config: &TrainConfig) -> Result<Test, String> {
    let mut test: Test = table.try_into().map_err(|e: toml::de::Error| e.message().to_owned())?;
    if test.split != "all" {
        test.split.parse::<Split>()?;
    }
    let formats: Vec<&str> = dldl_data::FORMATS.iter().map(|f| f.name).collect();
    if test.dataset != "cache" && !formats.contains(&test.dataset.as_str()) {
        return Err(format!("dataset {} is none of cache, {}", test.dataset, formats.join(", ")));
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

/// A label as part of a folder's name.
fn slug(label: &str) -> String {
    let mut slug = String::new();
    for c in label.to_lowercase().chars() {
        match c {
            c if c.is_alphanumeric() || c == '.' => slug.push(c),
            _ if slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_matches('-').to_owned()
}

/// The recipe without what does not shape the result: with equal ones, two
/// trainings are the same.
pub fn essence(config: &TrainConfig) -> TrainConfig {
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
