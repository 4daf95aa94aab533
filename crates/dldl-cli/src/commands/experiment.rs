//! `dldl experiment`: runs a grid of trainings and writes its tables.

use std::path::PathBuf;

use anyhow::Result;
use dldl_experiment::{
    ExperimentError, Grid, Observer, Row, RunOptions, Table, Trial, TrialState, read_rows,
    write_tables,
};
use dldl_train::log::EpochRecord;
use dldl_train::{Progress, Start, Step};
use indicatif::ProgressFinish;

use crate::learn::Device;
use crate::live::Live;
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat};
use crate::progress;

/// Run a grid of trainings and write its tables
///
/// The file names a recipe, what varies (methods, networks, seeds, folds, any
/// key of the recipe), and the datasets on which the models are evaluated.
/// Finished trainings are skipped and interrupted ones are resumed: rerun the same
/// command to continue, also after a change of the file. The tables are written
/// after each training, as Markdown, CSV and LaTeX, with mean and standard
/// deviation over seeds or folds.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The experiment's file
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,

    /// List the trainings with their states, and exit
    #[arg(long, conflicts_with_all = ["tables_only", "measure_again"])]
    list: bool,

    /// Write the tables of the finished trainings, and exit
    #[arg(long, conflicts_with = "measure_again")]
    tables_only: bool,

    /// Evaluate finished trainings again, using the weights that were kept
    #[arg(long)]
    measure_again: bool,

    /// Run only the trainings with this label. May be given several times
    #[arg(long, value_name = "LABEL|AXIS=LABEL")]
    only: Vec<String>,

    /// Folder of rows and tables [default: `out` in the file]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Folder of the published datasets, to build missing caches from and to
    /// evaluate on [default: $DLDL_DATA, or ../shared/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Train on this device instead of the recipe's; GPUs need a build with the
    /// feature of that name
    #[arg(long, value_enum)]
    device: Option<Device>,

    /// Output format of the table or the list
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

const EXAMPLES: &str = "\
Examples:
  dldl experiment experiments/small-methods.toml --list
  dldl experiment experiments/small-methods.toml
  dldl experiment experiments/small-methods.toml --only DLDL-v2 --only seed=1
  dldl experiment experiments/small-scut.toml --data /data/faces
  dldl experiment experiments/small-lambda.toml --tables-only --format json

The format of the file is described in docs/experiments.md.

Exit codes: 0 done, 1 some trainings failed, 2 usage error, 130 stopped by Ctrl-C
with a checkpoint: rerun the same command to continue.";

pub fn run(args: Args) -> Result<Outcome> {
    let mut grid = Grid::load(&args.file).map_err(UsageError::new)?;
    if let Some(device) = args.device {
        grid = grid.with_device(device.into());
    }
    let out = args.out.clone().unwrap_or_else(|| grid.spec.out.clone());
    if args.list {
        let rows = read_rows(&out.join("rows.jsonl"))?;
        let trials = grid.select(&args.only).map_err(UsageError::new)?;
        printing::print(&format_list(&trials, &rows, args.format)?)?;
        return Ok(Outcome::Complete);
    }
    if args.tables_only {
        let table = Table::new(&grid, &read_rows(&out.join("rows.jsonl"))?);
        write_tables(&table, &out)?;
        printing::print(&format_table(&table, args.format)?)?;
        return Ok(Outcome::Complete);
    }
    let from_environment = || std::env::var_os("DLDL_DATA").map(PathBuf::from);
    let data = args.data.or_else(from_environment).unwrap_or_else(|| "../shared/data".into());
    let options = RunOptions { only: args.only, data, measure_again: args.measure_again };
    let mut progress = ExperimentProgress(Live::new());
    let outcome = dldl_experiment::run(&grid, &out, &options, &mut progress);
    let outcome = outcome.map_err(exit_code)?;
    progress.0.end();
    printing::print(&format_table(&outcome.table, args.format)?)?;
    let (selected, done) = (outcome.selected, outcome.done);
    progress.0.note(&format!(
        "{done} of {selected} trainings done, {} failed; tables: {}",
        outcome.failed,
        out.join("table.{md,csv,tex}").display()
    ));
    if outcome.stopped {
        progress.0.note("stopped: rerun the same command to continue");
        return Ok(Outcome::Stopped);
    }
    Ok(Outcome::of(outcome.failed))
}

/// Tells apart what is wrong with the request from what went wrong later.
fn exit_code(error: ExperimentError) -> anyhow::Error {
    match error {
        ExperimentError::Io { .. }
        | ExperimentError::Row { .. }
        | ExperimentError::Locked { .. } => error.into(),
        error => UsageError::new(error).into(),
    }
}

fn format_table(table: &Table, format: ReportFormat) -> Result<String> {
    Ok(match format {
        ReportFormat::Table => table.to_markdown(),
        ReportFormat::Json => serde_json::to_string_pretty(table)?,
    })
}

/// The trainings with their states.
fn format_list(trials: &[&Trial], rows: &[Row], format: ReportFormat) -> Result<String> {
    let states = trials.iter().map(|trial| TrialState::of(trial, rows));
    if format == ReportFormat::Json {
        let all: Vec<serde_json::Value> = trials
            .iter()
            .zip(states)
            .map(|(trial, state)| {
                serde_json::json!({
                    "labels": trial.labels,
                    "state": state,
                    "run": trial.config.run,
                    "recipe": trial.config,
                })
            })
            .collect();
        return Ok(serde_json::to_string_pretty(&all)?);
    }
    let mut text = String::new();
    for (i, (trial, state)) in trials.iter().zip(states).enumerate() {
        let state = match state {
            TrialState::Done => "done",
            TrialState::Failed => "failed",
            TrialState::Started => "started",
            TrialState::Pending => "pending",
        };
        text += &format!("{:4}  {state:7}  {}\n", i + 1, describe(trial));
    }
    Ok(text)
}

/// The labels of a training, with their axes.
fn describe(trial: &Trial) -> String {
    let labels = trial.labels.iter().map(|(axis, label)| format!("{axis} {label}"));
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() { trial.name.clone() } else { labels.join(", ") }
}

/// Prints a line for each training that ended, and shows the progress bar of the
/// current one.
struct ExperimentProgress(Live);

impl Progress for ExperimentProgress {
    fn start(&mut self, start: &Start) {
        self.0.start(start);
    }
    fn step(&mut self, step: &Step) {
        self.0.step(step);
    }
    fn validation(&mut self, done: usize, of: usize) {
        self.0.validation(done, of);
    }
    fn epoch(&mut self, record: &EpochRecord) {
        self.0.epoch(record);
    }
    fn note(&mut self, text: &str) {
        self.0.note(text);
    }
    fn stop(&mut self) -> bool {
        self.0.stop()
    }
}

impl Observer for ExperimentProgress {
    fn preparing(&mut self, pictures: usize) -> Box<dyn Fn(dldl_data::Progress) + Sync> {
        let bar = progress::bar(pictures).with_finish(ProgressFinish::AndClear);
        Box::new(move |p| bar.set_position(p.done as u64))
    }

    fn trial_started(&mut self, trial: &Trial, number: usize, total: usize) {
        self.0.label(format!("{number}/{total} {}", describe(trial)));
    }

    fn evaluating(&mut self, done: usize, total: usize) {
        self.0.message(format!("evaluating {done}/{total}"));
    }

    fn trial_finished(&mut self, trial: &Trial, row: &Row, remaining: f64) {
        let result = match (&row.error, &row.training) {
            (Some(error), _) => format!("failed: {error}"),
            (None, Some(training)) => {
                let tests = row.results.iter().map(|test| {
                    let mae = test.figures.get("mae").map_or("-".into(), |v| format!("{v:.3}"));
                    let name = if test.name.is_empty() { "test" } else { &test.name };
                    format!("{name} MAE {mae}")
                });
                let tests: Vec<String> = tests.collect();
                format!("{} after {:.0} s", tests.join(", "), training.seconds)
            }
            (None, None) => "not evaluated".into(),
        };
        let remaining = match remaining {
            0.0 => String::new(),
            s => format!("; about {} left", format_duration(s)),
        };
        self.0.note(&format!("{}: {result}{remaining}", describe(trial)));
    }
}

/// A duration in the largest unit that suits it.
fn format_duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
