//! What can be wrong with a model, a crop or a run.

use std::path::{Path, PathBuf};

/// An error of this crate; the text says what is wrong and where.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A file that cannot be used.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Bytes that are not a weights file.
    #[error("{0}")]
    Format(String),
    /// A description that contradicts itself.
    #[error("{0}")]
    Spec(String),
    /// A tensor that is missing or does not fit.
    #[error("tensor \"{name}\" {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A crop that cannot be one, or that the network cannot take.
    #[error("{0}")]
    Crop(String),
    /// Outputs that are no distribution.
    #[error("the network's outputs are no distribution: {0}")]
    Label(#[from] dldl_label::LabelError),
    /// Threads that could not be started.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl NetError {
    pub(crate) fn file(path: &Path, what: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.to_owned(), what: what.to_string() }
    }

    pub(crate) fn tensor(name: &str, what: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), what: what.into() }
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::tensor(name, "is missing")
    }

    pub(crate) fn superfluous(name: &str) -> Self {
        Self::tensor(name, "has no place in this network")
    }
}
