//! Trains and measures what is not there yet, one training after the other, and
//! writes the tables after each.

use std::fs;
use std::path::{Path, PathBuf};

use dldl::Estimator;
use dldl_data::Split;
use dldl_train::config::Export;
use dldl_train::log::{EpochRecord, Record};
use dldl_train::{RunFolder, TrainConfig, TrainError};
use serde::Serialize;

use crate::grid::{Cell, Grid, essence};
use crate::prepare::{dataset_root, prepare};
use crate::rows::{Measured, Row, Training, append, read_rows};
use crate::spec::{Keep, Test};
use crate::{ExperimentError, Table, figures, write_tables};
use dldl_eval::{Options, Source, evaluate};

/// What is run, and where it finds its data.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Trains what has these labels only, as [`Grid::select`] reads them; empty
    /// for everything.
    pub only: Vec<String>,
    /// The folder that the roots of published datasets are relative to.
    pub data: PathBuf,
    /// Measures again what was measured already, with the weights that were kept.
    pub measure_again: bool,
}

/// What an experiment says while it runs, beside what each training says.
pub trait Watch: dldl_train::Progress {
    /// A cache of so many pictures is being made: what is to be called after
    /// each of them.
    fn preparing(&mut self, _pictures: usize) -> Box<dyn Fn(dldl_data::Progress) + Sync> {
        Box::new(|_| ())
    }
    /// The next training begins, of so many that are not done.
    fn begins(&mut self, _cell: &Cell, _number: usize, _of: usize) {}
    /// Pictures measured, and of how many.
    fn measuring(&mut self, _done: usize, _of: usize) {}
    /// A training is done or has failed; `left` is a guess at the seconds of the
    /// others.
    fn ended(&mut self, _cell: &Cell, _row: &Row, _left: f64) {}
}

impl Watch for () {}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Trainings that were selected.
    pub selected: usize,
    /// How many of them are done, in this sitting or before.
    pub done: usize,
    /// How many have failed.
    pub failed: usize,
    /// Whether somebody stopped it before its end.
    pub stopped: bool,
    /// The tables as they were written.
    pub table: Table,
}

/// Runs an experiment: makes what caches are missing, trains and measures what
/// `rows.jsonl` in the folder `out` does not have, and writes the tables there. A
/// training that was begun goes on from its checkpoint.
///
/// # Errors
/// If a selected label, a cache or other data is missing, or rows and tables
/// cannot be read or written. A training that fails is a row.
pub fn run(
    grid: &Grid,
    out: &Path,
    options: &RunOptions,
    watch: &mut dyn Watch,
) -> Result<Ended, ExperimentError> {
    let selected = grid.select(&options.only)?;
    let path = out.join("rows.jsonl");
    let rows = read_rows(&path)?;
    // What was done and has no weights any more cannot be measured again.
    let again =
        |cell: &Cell| options.measure_again && RunFolder::new(&cell.config.run).weights().exists();
    let settled = |cell: &Cell| !again(cell) && rows.iter().any(|row| row.settles(cell));
    let pending: Vec<&Cell> = selected.iter().copied().filter(|cell| !settled(cell)).collect();
    prepare(grid, &pending, options, watch)?;
    let mut seconds: Vec<f64> =
        rows.iter().filter_map(|row| Some(row.training.as_ref()?.seconds)).collect();
    let mut stopped = false;
    for (i, cell) in pending.iter().enumerate() {
        stopped = watch.stop();
        if stopped {
            break;
        }
        watch.begins(cell, i + 1, pending.len());
        let row = match learn(cell, watch) {
            Ok(None) => {
                stopped = true;
                break;
            }
            Ok(Some(training)) => measured(cell, training, options, watch),
            Err(e) => Row {
                error: Some(e.to_string()),
                diverged: matches!(e, TrainError::Diverged { .. }),
                ..empty_row(cell)
            },
        };
        append(&path, &row)?;
        if row.error.is_none() {
            tidy(&cell.config.run, grid.spec.keep)?;
        }
        write_tables(&Table::new(grid, &read_rows(&path)?), out)?;
        seconds.extend(row.training.as_ref().map(|t| t.seconds));
        let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
        watch.ended(cell, &row, mean * (pending.len() - i - 1) as f64);
    }
    let rows = read_rows(&path)?;
    let table = Table::new(grid, &rows);
    write_tables(&table, out)?;
    let states: Vec<State> = selected.iter().map(|cell| State::of(cell, &rows)).collect();
    let count = |state| states.iter().filter(|s| **s == state).count();
    Ok(Ended {
        selected: selected.len(),
        done: count(State::Done),
        failed: count(State::Failed),
        stopped,
        table,
    })
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Learned and measured.
    Done,
    /// It failed.
    Failed,
    /// There is a checkpoint to go on from, or a model to measure.
    Begun,
    /// Nothing is there.
    Open,
}

impl State {
    /// The state of a training, by the rows and its run folder.
    pub fn of(cell: &Cell, rows: &[Row]) -> Self {
        let files = RunFolder::new(&cell.config.run);
        match rows.iter().find(|row| row.is_of(cell)) {
            Some(row) if row.error.is_some() => Self::Failed,
            Some(row) if row.settles(cell) => Self::Done,
            _ if (files.last().exists() || files.weights().exists()) && is_its_folder(cell) => {
                Self::Begun
            }
            _ => Self::Open,
        }
    }
}

/// Whether what lies in a training's run folder is of its recipe.
fn is_its_folder(cell: &Cell) -> bool {
    let there = TrainConfig::load(&RunFolder::new(&cell.config.run).config(), &[]);
    there.is_ok_and(|there| essence(&there) == essence(&cell.config))
}

/// The row of a training of which nothing is known yet.
fn empty_row(cell: &Cell) -> Row {
    let recipe = serde_json::to_value(essence(&cell.config));
    Row {
        labels: cell.labels.clone(),
        training: None,
        measured: Vec::new(),
        error: None,
        diverged: false,
        recipe: recipe.expect("a recipe is numbers and texts"),
    }
}

/// Brings a training to its end, from wherever an earlier sitting left it; none
/// if it was stopped.
fn learn(cell: &Cell, watch: &mut dyn Watch) -> Result<Option<Training>, TrainError> {
    let files = RunFolder::new(&cell.config.run);
    if files.config().exists() && !is_its_folder(cell) {
        let folder = cell.config.run.display();
        watch.note(&format!("{folder} is of another recipe: it is begun anew"));
        let io = |reason| TrainError::Io { path: cell.config.run.clone(), reason };
        fs::remove_dir_all(&cell.config.run).map_err(io)?;
    }
    // The half precision is written last.
    if !files.weights().exists() {
        let train = if files.last().exists() { dldl_train::resume } else { dldl_train::train };
        if !train(cell.config.clone(), watch)?.finished {
            return Ok(None);
        }
    }
    training(cell, &files).map(Some)
}

/// What the log says of a training that is over.
fn training(cell: &Cell, files: &RunFolder) -> Result<Training, TrainError> {
    let records = dldl_train::log::read(&files.log())?;
    let epochs: Vec<EpochRecord> = records
        .into_iter()
        .filter_map(|record| if let Record::Epoch(epoch) = record { Some(epoch) } else { None })
        .collect();
    let best = epochs.iter().rfind(|e| e.best).filter(|_| cell.config.export == Export::Best);
    let (Some(last), Some(exported)) = (epochs.last(), best.or(epochs.last())) else {
        let what = "the log has no epoch".into();
        return Err(TrainError::Checkpoint { path: files.log(), what });
    };
    let spent: f64 = epochs.iter().map(|e| e.train_seconds).sum();
    let images: f64 = epochs.iter().map(|e| e.images_per_second * e.train_seconds).sum();
    Ok(Training {
        epoch: exported.epoch,
        val: exported.val_errors.clone(),
        seconds: last.seconds,
        images_per_second: images / spent,
        parameters: cell.config.spec().parameter_count(),
    })
}

/// Measures the model of a training on all its tests.
fn measured(cell: &Cell, training: Training, options: &RunOptions, watch: &mut dyn Watch) -> Row {
    let mut row = Row { training: Some(training), ..empty_row(cell) };
    for test in &cell.tests {
        match measure(cell, test, options, watch) {
            Ok(measured) => row.measured.push(measured),
            Err(what) => {
                let name = if test.name.is_empty() { "test" } else { &test.name };
                row.error = Some(format!("{name}: {what}"));
                break;
            }
        }
    }
    row
}

fn measure(
    cell: &Cell,
    test: &Test,
    options: &RunOptions,
    watch: &mut dyn Watch,
) -> Result<Measured, String> {
    let files = RunFolder::new(&cell.config.run);
    let weights = [files.weights_f32(), files.weights()];
    let weights = weights.iter().find(|path| path.exists()).ok_or("the weights are gone")?;
    let estimator = Estimator::load(weights).map_err(|e| e.to_string())?;
    let root = dataset_root(test, &options.data);
    let labels = test.labels.as_ref().map(|path| options.data.join(path));
    let source = Source::open_with(&test.dataset, &root, labels.as_deref(), &test.protocol);
    let source = source.map_err(|e| e.to_string())?;
    let split = match test.split.as_str() {
        "all" => None,
        split => Some(split.parse::<Split>()?),
    };
    let wanted = Options {
        task: test.task,
        split,
        rescale: test.rescale,
        no_detect: !test.detect,
        corruption: None,
        threads: 0,
    };
    let said = evaluate(estimator, &source, &wanted, &mut |p| watch.measuring(p.done, p.total))
        .map_err(|e| e.to_string())?;
    Ok(Measured {
        name: test.name.clone(),
        test: test.place(),
        pictures: said.n,
        failed: said.failures,
        figures: figures::of_evaluation(&said),
    })
}

/// Removes from a run folder what is not to be kept.
fn tidy(folder: &Path, keep: Keep) -> Result<(), ExperimentError> {
    let files = RunFolder::new(folder);
    let gone = match keep {
        Keep::All => Ok(()),
        Keep::Nothing => fs::remove_dir_all(folder),
        Keep::Weights => [files.last(), files.best()]
            .iter()
            .filter(|path| path.exists())
            .try_for_each(fs::remove_file),
    };
    gone.map_err(ExperimentError::file(folder))
}
