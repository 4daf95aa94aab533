//! Experiments: grids of trainings, described by one TOML file each, and the
//! tables made from them.
//!
//! [`Spec`] is the file and [`Grid`] the trainings that it describes, each of
//! them a [`Trial`]. [`run`] trains and evaluates the trials that are missing,
//! appends a [`Row`] for each to `rows.jsonl`, and writes a [`Table`] of all rows.
//!
//! A single training is in `dldl-train`, the evaluation of a model in `dldl-eval`,
//! and progress bars in whatever implements [`Observer`].

mod error;
mod folder;
mod grid;
mod lock;
mod metrics;
mod pool;
mod prepare;
mod rows;
mod run;
mod spec;
mod tables;
mod write;

pub use error::{ExperimentError, SpecError, TestError};
pub use grid::{Grid, Trial};
pub use metrics::{Better, METRICS, Metric};
pub use rows::{Row, TestResult, TrainingSummary, read_rows};
pub use run::{Observer, RunOptions, RunOutcome, TrialState, run};
pub use spec::{Axis, AxisValue, Keep, Overrides, Prepare, Published, Reference, Spec, Test};
pub use tables::{Column, Line, Spread, Table};
pub use write::write_tables;
