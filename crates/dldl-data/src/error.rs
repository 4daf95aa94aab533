//! What can go wrong with datasets and caches as a whole. Failures of single
//! pictures are no errors: they are counted and named in the reports.

use std::path::{Path, PathBuf};

/// Why a dataset or a cache could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A table of labels is unusable as a whole (a missing column, say).
    #[error("{}: {reason}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A dataset's name is not among [`crate::FORMATS`].
    #[error("unknown dataset `{name}`: known are {known}")]
    UnknownFormat {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// A parameter is out of range.
    #[error("{0}")]
    Parameter(String),
    /// The cache was made from other samples or with other parameters.
    #[error(
        "{}: the cache was made with other parameters ({what}): use another output folder, or \
         delete this one to make it anew",
        path.display()
    )]
    OtherCache {
        /// The cache's manifest.
        path: PathBuf,
        /// The fields that differ, with both values.
        what: String,
    },
    /// The preparation of the cache has not come to its end.
    #[error("{}: the cache is unfinished: run the preparation again to go on", path.display())]
    Unfinished {
        /// The cache's folder.
        path: PathBuf,
    },
    /// A file of the cache does not hold what it should.
    #[error("{}: {reason}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl DataError {
    /// For `map_err`: names the file an input/output error belongs to.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
        move |source| DataError::Io { path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> DataError {
        DataError::Corrupt { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn table(path: &Path, reason: impl Into<String>) -> DataError {
        DataError::Table { path: path.to_owned(), reason: reason.into() }
    }
}
