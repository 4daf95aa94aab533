//! Runs an experiment: trains and evaluates the missing trials one after the other,
//! and writes the tables after each.

use std::error::Error;
use std::path::{Path, PathBuf};

use dldl::Estimator;
use dldl_data::Split;
use dldl_eval::{Options, Source, evaluate};
use dldl_train::config::Export;
use dldl_train::log::{EpochRecord, Record};
use dldl_train::{RunFolder, TrainError};
use serde::Serialize;

use crate::folder::{self, Contents};
use crate::grid::{Grid, Trial, normalized_config};
use crate::lock::open_locked;
use crate::prepare::{dataset_root, prepare};
use crate::rows::{Row, RowsFile, TestResult, TrainingSummary};
use crate::spec::Test;
use crate::{ExperimentError, Table, metrics, write_tables};

/// Which trials run, and where their data are.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Runs only the trials with these labels, as in [`Grid::select`]; empty for all.
    pub only: Vec<String>,
    /// The data folder: paths of published datasets are relative to it.
    pub data: PathBuf,
    /// Evaluates finished trials again, using the weights that were kept.
    pub measure_again: bool,
}

/// Receives the progress of an experiment, in addition to that of each training.
pub trait Observer: dldl_train::Progress {
    /// A cache with so many pictures is about to be built. The returned function is
    /// called after each of them.
    fn preparing(&mut self, _pictures: usize) -> Box<dyn Fn(dldl_data::Progress) + Sync> {
        Box::new(|_| ())
    }
    /// A trial starts: `number`, from 1, of the `total` that run now.
    fn trial_started(&mut self, _trial: &Trial, _number: usize, _total: usize) {}
    /// `done` of `total` pictures of a test have been evaluated.
    fn evaluating(&mut self, _done: usize, _total: usize) {}
    /// A trial is done or has failed. `remaining` is the estimated time for the
    /// others, in seconds.
    fn trial_finished(&mut self, _trial: &Trial, _row: &Row, _remaining: f64) {}
}

impl Observer for () {}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    /// Number of selected trials.
    pub selected: usize,
    /// Number of these that are done, whether in this run or earlier.
    pub done: usize,
    /// Number of these that have failed.
    pub failed: usize,
    /// Whether the observer stopped the run before its end.
    pub stopped: bool,
    /// The tables as they were written.
    pub table: Table,
}

/// Runs an experiment: builds missing caches, trains and evaluates the trials that
/// have no row in `rows.jsonl` in the folder `out`, and writes the tables there.
/// Interrupted trainings continue from their checkpoint. A run folder with anything
/// but a training of the trial's recipe is renamed to `NAME.old-1` (`.old-2`, ...),
/// because a change of the recipe is a usual reason and a grid may run unattended.
///
/// `rows.jsonl` and the folder of the run folders are locked while it runs.
///
/// # Errors
/// If a selected label, a cache or other data are missing, if this build cannot train
/// on the device or the network, if another process runs the experiment, or if rows,
/// tables or run folders cannot be read or written. A training that fails otherwise is
/// not an error, but a row with the reason.
pub fn run(
    grid: &Grid,
    out: &Path,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<RunOutcome, ExperimentError> {
    let selected = grid.select(&options.only)?;
    let mut file = RowsFile::open(&out.join("rows.jsonl"))?;
    let rows = file.read()?;
    // Without weights there is nothing to evaluate again.
    let again = |trial: &Trial| {
        options.measure_again && RunFolder::new(&trial.config.run).weights().exists()
    };
    let settled = |trial: &Trial| !again(trial) && rows.iter().any(|row| row.settles(trial));
    let pending: Vec<&Trial> = selected.iter().copied().filter(|trial| !settled(trial)).collect();
    prepare(grid, &pending, options, observer)?;
    // Two experiments may have the same run folders and write different rows.
    let runs = grid.spec.runs.join(".lock");
    let _lock = (!pending.is_empty()).then(|| open_locked(&runs)).transpose()?;
    let mut seconds: Vec<f64> =
        rows.iter().filter_map(|row| Some(row.training.as_ref()?.seconds)).collect();
    let mut stopped = false;
    for (i, trial) in pending.iter().enumerate() {
        stopped = observer.stop();
        if stopped {
            break;
        }
        observer.trial_started(trial, i + 1, pending.len());
        set_other_contents_aside(trial, observer)?;
        let row = match train(trial, observer) {
            Ok(false) => {
                stopped = true;
                break;
            }
            Ok(true) => evaluated(trial, options, observer),
            Err(source) if source.is_invalid_request() => {
                return Err(ExperimentError::Training { trial: trial.name.clone(), source });
            }
            Err(e) => Row {
                error: Some(with_causes(&e)),
                diverged: matches!(e, TrainError::Diverged { .. }),
                ..empty_row(trial)
            },
        };
        file.append(&row)?;
        if row.error.is_none() {
            let folder = &trial.config.run;
            folder::clean(folder, grid.spec.keep).map_err(ExperimentError::io(folder))?;
        }
        write_tables(&Table::new(grid, &file.read()?), out)?;
        seconds.extend(row.training.as_ref().map(|t| t.seconds));
        let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
        observer.trial_finished(trial, &row, mean * (pending.len() - i - 1) as f64);
    }
    let rows = file.read()?;
    let table = Table::new(grid, &rows);
    write_tables(&table, out)?;
    let states: Vec<TrialState> =
        selected.iter().map(|trial| TrialState::of(trial, &rows)).collect();
    let count = |state| states.iter().filter(|s| **s == state).count();
    Ok(RunOutcome {
        selected: selected.len(),
        done: count(TrialState::Done),
        failed: count(TrialState::Failed),
        stopped,
        table,
    })
}

/// The state of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// Trained and evaluated.
    Done,
    /// It failed.
    Failed,
    /// There is a checkpoint to continue from, or a model to evaluate.
    Started,
    /// Not started.
    Pending,
}

impl TrialState {
    /// The state of a trial, from the rows and its run folder.
    pub fn of(trial: &Trial, rows: &[Row]) -> Self {
        let files = RunFolder::new(&trial.config.run);
        let started = || {
            (files.last().exists() || files.weights().exists())
                && folder::contents(trial) == Contents::SameRecipe
        };
        match rows.iter().find(|row| row.is_of(trial)) {
            Some(row) if row.error.is_some() => Self::Failed,
            Some(row) if row.settles(trial) => Self::Done,
            _ if started() => Self::Started,
            _ => Self::Pending,
        }
    }
}

/// Renames whatever is in the place of a trial's run folder, unless it is a training
/// with the trial's recipe.
fn set_other_contents_aside(
    trial: &Trial,
    observer: &mut dyn Observer,
) -> Result<(), ExperimentError> {
    let folder = &trial.config.run;
    if folder::contents(trial) == Contents::Other {
        let old = folder::set_aside(folder).map_err(ExperimentError::io(folder))?;
        let (folder, old) = (folder.display(), old.display());
        observer.note(&format!(
            "{folder} is not from this recipe: renamed to {old}, training from the start"
        ));
    }
    Ok(())
}

/// Trains to the end, from the checkpoint if there is one. Returns whether it got
/// there, or was stopped.
fn train(trial: &Trial, observer: &mut dyn Observer) -> Result<bool, TrainError> {
    let files = RunFolder::new(&trial.config.run);
    // The trainer writes this file last.
    if files.weights().exists() {
        return Ok(true);
    }
    let training = dldl_train::Training::new(trial.config.clone()).built_in_models(built_in);
    let summary = match files.last().exists() {
        true => training.resume(observer)?,
        false => training.run(observer)?,
    };
    Ok(summary.finished)
}

/// The built-in models, which `init` may name.
pub(crate) fn built_in(name: &str) -> Option<&'static [u8]> {
    dldl::models::MODELS.iter().find(|model| model.name == name).map(|model| model.bytes)
}

/// A row without results.
fn empty_row(trial: &Trial) -> Row {
    let recipe = serde_json::to_value(normalized_config(&trial.config));
    Row {
        labels: trial.labels.clone(),
        training: None,
        results: Vec::new(),
        error: None,
        diverged: false,
        recipe: recipe.expect("a recipe can be written as JSON"),
    }
}

/// The row of a trained trial.
fn evaluated(trial: &Trial, options: &RunOptions, observer: &mut dyn Observer) -> Row {
    let mut row = empty_row(trial);
    row.error = evaluate_into(&mut row, trial, options, observer).err();
    row
}

/// Evaluates the model of a trial on all its tests, up to the first that fails.
fn evaluate_into(
    row: &mut Row,
    trial: &Trial,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<(), String> {
    row.training = Some(summary(trial).map_err(|e| with_causes(&*e))?);
    for test in &trial.tests {
        let name = if test.name.is_empty() { "test" } else { &test.name };
        let result = evaluate_on(test, trial, options, observer);
        row.results.push(result.map_err(|e| format!("{name}: {}", with_causes(&*e)))?);
    }
    Ok(())
}

/// What the log says about a finished training.
fn summary(trial: &Trial) -> Result<TrainingSummary, Box<dyn Error>> {
    let log = RunFolder::new(&trial.config.run).log();
    let records = dldl_train::log::read(&log)?;
    let epochs: Vec<EpochRecord> = records
        .into_iter()
        .filter_map(|record| if let Record::Epoch(epoch) = record { Some(epoch) } else { None })
        .collect();
    let best = epochs.iter().rfind(|e| e.best).filter(|_| trial.config.export == Export::Best);
    let (Some(last), Some(exported)) = (epochs.last(), best.or(epochs.last())) else {
        return Err(format!("{} has no epoch", log.display()).into());
    };
    let spent: f64 = epochs.iter().map(|e| e.train_seconds).sum();
    let images: f64 = epochs.iter().map(|e| e.images_per_second * e.train_seconds).sum();
    Ok(TrainingSummary {
        epoch: exported.epoch,
        val: exported.val_errors.clone(),
        seconds: last.seconds,
        images_per_second: images / spent,
        parameters: trial.config.spec().parameter_count(),
    })
}

fn evaluate_on(
    test: &Test,
    trial: &Trial,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<TestResult, Box<dyn Error>> {
    let files = RunFolder::new(&trial.config.run);
    let weights = [files.weights_f32(), files.weights()];
    let weights = weights.iter().find(|path| path.exists()).ok_or("the weights are missing")?;
    let estimator = Estimator::load(weights)?;
    let root = dataset_root(test, &options.data);
    let labels = test.labels.as_ref().map(|path| options.data.join(path));
    let source = Source::open_with(&test.dataset, &root, labels.as_deref(), &test.protocol)?;
    let split = match test.split.as_str() {
        "all" => None,
        split => Some(split.parse::<Split>().map_err(|e| e.to_string())?),
    };
    let wanted = Options {
        task: test.task,
        split,
        rescale: test.rescale,
        no_detect: !test.detect,
        corruption: None,
        thresholds: Vec::new(),
        part: None,
        threads: 0,
    };
    let mut progress = |p: dldl_eval::Progress| observer.evaluating(p.done, p.total);
    let evaluation = evaluate(estimator, &source, &wanted, &mut progress)?;
    Ok(TestResult {
        name: test.name.clone(),
        test: test.without_display(),
        protocol: evaluation.subject.protocol.clone(),
        pictures: evaluation.n,
        failed: evaluation.failures,
        figures: metrics::of_evaluation(&evaluation),
    })
}

/// An error and its causes on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
