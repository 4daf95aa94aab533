//! How a command ends. `main` turns it into an exit code.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// How a command ended that did its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// Some inputs failed; each was reported.
    SomeFailed,
    /// Interrupted by Ctrl-C; a rerun continues from the checkpoint.
    Stopped,
}

impl Outcome {
    /// `Complete` if there are no failures.
    pub fn of(failures: usize) -> Self {
        if failures == 0 { Self::Complete } else { Self::SomeFailed }
    }
}

/// The command cannot start as given: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A request that the libraries refuse; displayed as their error.
    #[error(transparent)]
    Refused(Box<dyn Error + Send + Sync>),
    #[error("--distribution: a table does not show it; use --format json, ndjson or csv")]
    DistributionInTable,
    #[error("cannot create the folder {}", .path.display())]
    CreateFolder { path: PathBuf, source: io::Error },
    #[error("--annotate {}: is the input, which is never modified; choose another name", .path.display())]
    AnnotateInput { path: PathBuf },
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not an evaluation written by `dldl eval`", .path.display())]
    NotAnEvaluation { path: PathBuf, source: serde_json::Error },
    #[error("cannot merge the evaluations: {0}")]
    CannotMerge(String),
    #[error("--labels: a cache contains its labels")]
    LabelsOfCache,
    #[error("--no-detect: the crops of a cache are aligned already")]
    NoDetectOnCache,
    #[error(
        "{}: the crops are aligned by the template \"{found}\", the model needs \"{expected}\"",
        .path.display()
    )]
    CropTemplate { path: PathBuf, found: String, expected: String },
    #[error(
        "{}: expected a folder of pictures or a cache written by `dldl prepare`",
        .path.display()
    )]
    NotAPictureFolder { path: PathBuf },
    #[error("--size {size}: expected a multiple of {step}")]
    CropSize { size: usize, step: usize },
    #[error("--models needs a PICTURE, or --dataset with --root")]
    NothingToExplain,
    #[error("--out: only `man` writes files; everything else is printed to stdout")]
    OutWithoutMan,
}

impl UsageError {
    /// For `map_err`.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused(error.into())
    }
}
