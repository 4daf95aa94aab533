//! Experiments: a grid of trainings as one file, and the tables that come out of
//! it. [`Spec`] is the file, [`Grid`] the trainings that it asks for, [`run`]
//! trains and measures what is not there yet, [`Row`] is what is kept of each
//! training, and [`Table`] what is made of the rows.
//!
//! Not here: one training (`dldl-train`), the measuring of one model
//! (`dldl-eval`), and drawing bars (whoever implements [`Watch`]).

mod figures;
mod grid;
mod prepare;
mod rows;
mod run;
mod spec;
mod tables;
mod write;

use std::path::{Path, PathBuf};

pub use figures::{Better, METRICS, Metric};
pub use grid::{Cell, Grid};
pub use rows::{Measured, Row, Training, read_rows};
pub use run::{Ended, RunOptions, State, Watch, run};
pub use spec::{Axis, Choice, Keep, Prepare, Published, Reference, Set, Spec, Test};
pub use tables::{Column, Line, Spread, Table};
pub use write::write_tables;

/// Why an experiment cannot be run at all. A training that fails is no error: it
/// is a row with the reason, and the others go on.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The file cannot be read or makes no sense.
    #[error("{}: {what}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A selection names nothing in the grid.
    #[error("{0}")]
    Selection(String),
    /// What the trainings need is not there.
    #[error("{0}")]
    Missing(String),
    /// A file could not be read or written.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, or what the system said.
        what: String,
    },
}

impl ExperimentError {
    /// For `map_err`: names the file that an error belongs to.
    fn file<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self + '_ {
        move |e| Self::File { path: path.to_owned(), what: e.to_string() }
    }
}
