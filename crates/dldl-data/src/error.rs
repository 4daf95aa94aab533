//! Errors of whole datasets and caches. Failures of single pictures are not
//! errors: reports count and name them.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::protocol::{Protocol, ProtocolError};

/// Why a dataset or cache cannot be read, divided or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Parts that do not make up a whole.
    #[error("cannot merge: {reason}")]
    Parts {
        /// Which part, and what is wrong with it.
        reason: String,
    },
    /// A symbolic link leads back to a folder that contains it.
    #[error(
        "{} is a symbolic link to a folder that contains it ({}): remove the link",
        path.display(),
        ancestor.display()
    )]
    SymlinkLoop {
        /// The link.
        path: PathBuf,
        /// The folder that it leads to.
        ancestor: PathBuf,
    },
    /// A file does not parse as the format that it should have.
    #[error("{} is not {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The expected format, for example `a CSV table`.
        expected: &'static str,
        /// The error of the parser.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A table of labels is missing or unusable as a whole, for example because a
    /// column is missing.
    #[error("{}: {reason}", path.display())]
    Table {
        /// The table, or the folder without one.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The name of a dataset is not among [`FORMATS`](crate::FORMATS).
    #[error("unknown dataset `{name}`: expected one of {}", known.join(", "))]
    UnknownDataset {
        /// The name.
        name: String,
        /// The known names.
        known: Vec<&'static str>,
    },
    /// A protocol is invalid for every dataset.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The published folds do not include this one.
    #[error("cannot use `published:{fold}`: {dataset} has {}", match folds {
        0 => "no published folds".to_owned(),
        n => format!("the published folds 1 to {n}"),
    })]
    NoSuchFold {
        /// The dataset.
        dataset: &'static str,
        /// The requested fold.
        fold: usize,
        /// How many folds are published.
        folds: usize,
    },
    /// A published fold was to be applied to a dataset that is loaded already.
    #[error("cannot use `{protocol}` here: a published fold is chosen when a dataset is loaded")]
    FoldAfterLoading {
        /// The protocol.
        protocol: Protocol,
    },
    /// There are fewer pictures or people than parts.
    #[error(
        "cannot use `{protocol}`: cannot divide {available} pictures or people into {parts} parts"
    )]
    TooFewForFolds {
        /// The protocol.
        protocol: Protocol,
        /// How many pictures or people there are.
        available: usize,
        /// How many parts there should be.
        parts: usize,
    },
    /// A division by person of a dataset without [groups](crate::Sample::group).
    #[error("cannot use `{protocol}`: {dataset} does not identify people")]
    NoGroups {
        /// The protocol.
        protocol: Protocol,
        /// The dataset.
        dataset: String,
    },
    /// The person to leave out is not in the dataset.
    #[error("unknown person `{person}` in {dataset}: expected one of {}, ...", examples.join(", "))]
    UnknownPerson {
        /// The name.
        person: String,
        /// The dataset.
        dataset: String,
        /// Up to three people in the dataset.
        examples: Vec<String>,
    },
    /// A cache is to be used with another protocol than it was prepared with.
    #[error("cannot use `{requested}`: the cache was prepared with the protocol {prepared}")]
    CacheProtocol {
        /// The requested protocol.
        requested: Protocol,
        /// The protocol of the cache.
        prepared: Protocol,
    },
    /// The side of crops is out of range.
    #[error("invalid crop size {0}: expected 16 to {max} pixels", max = crate::parameters::MAX_CROP_SIZE)]
    CropSize(usize),
    /// The JPEG quality is out of range.
    #[error("invalid JPEG quality {0}: expected 1 to 100")]
    JpegQuality(u8),
    /// A dataset without samples.
    #[error("dataset {dataset} has no usable samples{problems}")]
    Empty {
        /// The dataset's name.
        dataset: String,
        /// A [`Problem::summary`](crate::Problem::summary).
        problems: String,
    },
    /// Shards without samples.
    #[error("invalid shard size 0: expected at least 1 sample")]
    ShardSamples,
    /// Not a single worker thread can be used.
    #[error("cannot start worker threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Another process is preparing the same cache.
    #[error("{}: another process is preparing this cache", path.display())]
    Locked {
        /// The folder of the cache.
        path: PathBuf,
    },
    /// The cache was made from other samples or with other parameters.
    #[error(
        "{}: the cache was made with other parameters ({what}): use another output folder, or \
         delete this one to rebuild it",
        path.display()
    )]
    OtherCache {
        /// The manifest of the cache.
        path: PathBuf,
        /// The fields that differ, with both values.
        what: String,
    },
    /// The preparation of the cache was interrupted.
    #[error(
        "{}: the cache is incomplete: rerun `dldl prepare` with the same arguments to continue",
        path.display()
    )]
    Unfinished {
        /// The folder of the cache.
        path: PathBuf,
    },
    /// A file of a cache is damaged.
    #[error("{}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The damage.
        reason: String,
    },
}

impl DataError {
    /// For `map_err`: adds the path to an I/O error.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
        move |source| DataError::Io { path: path.to_owned(), source }
    }

    /// For `map_err`: adds the path and the expected format to a parser's error.
    pub(crate) fn malformed<E: Into<Box<dyn Error + Send + Sync>>>(
        path: &Path,
        expected: &'static str,
    ) -> impl FnOnce(E) -> DataError {
        move |source| DataError::Malformed {
            path: path.to_owned(),
            expected,
            source: source.into(),
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: impl Into<String>) -> DataError {
        DataError::Corrupt { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn table(path: &Path, reason: impl Into<String>) -> DataError {
        DataError::Table { path: path.to_owned(), reason: reason.into() }
    }
}
