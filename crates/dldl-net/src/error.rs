//! Errors of models, crops and runs.

use std::path::{Path, PathBuf};

/// An error of this crate. A cause is in [`source`](std::error::Error::source) and
/// not repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// One of the other errors, with the file that it concerns.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<NetError>,
    },
    /// A file that cannot be read.
    #[error("cannot be read")]
    Read(#[source] std::io::Error),
    /// A file that cannot be written.
    #[error("cannot be written")]
    Write(#[source] std::io::Error),
    /// Bytes that are not a safetensors file.
    #[error("not a safetensors file")]
    Safetensors(#[source] safetensors::SafeTensorError),
    /// A description that is not valid JSON of a model.
    #[error("the model's description is not valid")]
    Description(#[source] serde_json::Error),
    /// A file of the wrong kind, or one that cannot be created.
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
    /// A crop with the wrong number of bytes, or of a size that the network cannot
    /// take.
    #[error("{0}")]
    Crop(String),
    /// Network outputs that are not a distribution.
    #[error("the network's outputs are not a distribution")]
    Label(#[from] dldl_label::LabelError),
    /// Threads that could not be started.
    #[error("cannot start threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl NetError {
    /// Adds the file that it concerns, for `map_err`.
    pub fn in_file(path: &Path) -> impl FnOnce(NetError) -> NetError + '_ {
        move |source| Self::File { path: path.to_owned(), source: Box::new(source) }
    }

    pub(crate) fn tensor(name: &str, what: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), what: what.into() }
    }

    pub(crate) fn missing(name: &str) -> Self {
        Self::tensor(name, "is missing")
    }

    pub(crate) fn unexpected(name: &str) -> Self {
        Self::tensor(name, "is not part of this network")
    }
}
