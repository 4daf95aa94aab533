//! `dldl experiment`: from a grid of trainings to tables.

use std::path::PathBuf;

use anyhow::Result;
use dldl_experiment::{
    Cell, ExperimentError, Grid, Row, RunOptions, State, Table, Watch, read_rows, write_tables,
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
/// value of the recipe), and what the models are measured on. What is done
/// already is left alone, and a training that was begun goes on, so the same
/// command continues after any interruption and a change of the file trains only
/// what it concerns. The tables are written after each training, as Markdown, CSV
/// and LaTeX, with the mean and the standard deviation over seeds or folds.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The experiment
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,

    /// Print the trainings and how far they are, and do nothing
    #[arg(long, conflicts_with_all = ["tables_only", "measure_again"])]
    list: bool,

    /// Write the tables of what is done, and do nothing else
    #[arg(long, conflicts_with = "measure_again")]
    tables_only: bool,

    /// Measure again what is done, with the weights that were kept
    #[arg(long)]
    measure_again: bool,

    /// Only the trainings with this label of an axis. May be given several times
    #[arg(long, value_name = "LABEL|AXIS=LABEL")]
    only: Vec<String>,

    /// Folder of rows and tables instead of the file's
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// The folder that holds the datasets as published, for caches that are
    /// missing [default: $DLDL_DATA, or ../shared/data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Train on this device instead of the recipe's; GPUs need a build with the
    /// feature of that name
    #[arg(long, value_enum)]
    device: Option<Device>,

    /// How the table is printed
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

docs/experiments.md explains the file.

Exit codes: 0 done, 1 some trainings failed, 2 wrong usage, 130 stopped by Ctrl-C
with a checkpoint: the same command goes on.";

pub fn run(args: Args) -> Result<Outcome> {
    let mut grid = Grid::load(&args.file).map_err(UsageError::new)?;
    if let Some(device) = args.device {
        grid = grid.on(device.into());
    }
    let out = args.out.clone().unwrap_or_else(|| grid.spec.out.clone());
    if args.list {
        let rows = read_rows(&out.join("rows.jsonl"))?;
        let cells = grid.select(&args.only).map_err(UsageError::new)?;
        printing::print(&listed(&cells, &rows, args.format)?)?;
        return Ok(Outcome::Complete);
    }
    if args.tables_only {
        let table = Table::new(&grid, &read_rows(&out.join("rows.jsonl"))?);
        write_tables(&table, &out)?;
        printing::print(&shown(&table, args.format)?)?;
        return Ok(Outcome::Complete);
    }
    let named = || std::env::var_os("DLDL_DATA").map(PathBuf::from);
    let data = args.data.or_else(named).unwrap_or_else(|| "../shared/data".into());
    let options = RunOptions { only: args.only, data, measure_again: args.measure_again };
    let mut lab = Lab(Live::new());
    let ended = dldl_experiment::run(&grid, &out, &options, &mut lab).map_err(|e| match e {
        ExperimentError::File { .. } => anyhow::Error::from(e),
        e => UsageError::new(e).into(),
    })?;
    lab.0.end();
    printing::print(&shown(&ended.table, args.format)?)?;
    let (selected, done) = (ended.selected, ended.done);
    lab.0.note(&format!(
        "{done} of {selected} trainings done, {} failed; tables: {}",
        ended.failed,
        out.join("table.{md,csv,tex}").display()
    ));
    if ended.stopped {
        lab.0.note("stopped before the end: the same command goes on");
        return Ok(Outcome::Stopped);
    }
    Ok(Outcome::of(ended.failed))
}

fn shown(table: &Table, format: ReportFormat) -> Result<String> {
    Ok(match format {
        ReportFormat::Table => table.to_markdown(),
        ReportFormat::Json => serde_json::to_string_pretty(table)?,
    })
}

/// The trainings and how far they are.
fn listed(cells: &[&Cell], rows: &[Row], format: ReportFormat) -> Result<String> {
    let states = cells.iter().map(|cell| State::of(cell, rows));
    if format == ReportFormat::Json {
        let all: Vec<serde_json::Value> = cells
            .iter()
            .zip(states)
            .map(|(cell, state)| {
                serde_json::json!({
                    "labels": cell.labels,
                    "state": state,
                    "run": cell.config.run,
                    "recipe": cell.config,
                })
            })
            .collect();
        return Ok(serde_json::to_string_pretty(&all)?);
    }
    let mut text = String::new();
    for (i, (cell, state)) in cells.iter().zip(states).enumerate() {
        let state = match state {
            State::Done => "done",
            State::Failed => "failed",
            State::Begun => "begun",
            State::Open => "-",
        };
        text += &format!("{:4}  {state:6}  {}\n", i + 1, named(cell));
    }
    Ok(text)
}

/// A training's labels.
fn named(cell: &Cell) -> String {
    let labels = cell.labels.iter().map(|(axis, label)| format!("{axis} {label}"));
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() { cell.name.clone() } else { labels.join(", ") }
}

/// Shows an experiment: a line for each training that ended, and the bar of
/// the one that runs.
struct Lab(Live);

impl Progress for Lab {
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

impl Watch for Lab {
    fn preparing(&mut self, pictures: usize) -> Box<dyn Fn(dldl_data::Progress) + Sync> {
        let bar = progress::bar(pictures).with_finish(ProgressFinish::AndClear);
        Box::new(move |p| bar.set_position(p.done as u64))
    }

    fn begins(&mut self, cell: &Cell, number: usize, of: usize) {
        self.0.place(format!("{number}/{of} {}", named(cell)));
    }

    fn measuring(&mut self, done: usize, of: usize) {
        self.0.message(format!("measuring {done}/{of}"));
    }

    fn ended(&mut self, cell: &Cell, row: &Row, left: f64) {
        let found = match (&row.error, &row.training) {
            (Some(error), _) => format!("failed: {error}"),
            (None, Some(training)) => {
                let tests = row.measured.iter().map(|m| {
                    let mae = m.figures.get("mae").map_or("-".into(), |v| format!("{v:.3}"));
                    let name = if m.name.is_empty() { "test" } else { &m.name };
                    format!("{name} MAE {mae}")
                });
                let tests: Vec<String> = tests.collect();
                format!("{} after {:.0} s", tests.join(", "), training.seconds)
            }
            (None, None) => "nothing was measured".into(),
        };
        let left = match left {
            0.0 => String::new(),
            s => format!("; about {} left", time(s)),
        };
        self.0.note(&format!("{}: {found}{left}", named(cell)));
    }
}

/// A stretch of time for people.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
