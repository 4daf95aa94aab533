//! Why an experiment is refused or ends early. A failed training is not an error:
//! it becomes a row with the reason, and the other trainings continue.

use std::io;
use std::path::{Path, PathBuf};

use dldl_data::DataError;
use dldl_train::TrainError;

/// Why an experiment cannot be run or its results cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The experiment's file is invalid.
    #[error("invalid experiment file {}", path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<SpecError>,
    },
    /// A selection names a label that is on no axis.
    #[error("unknown label `{label}`: expected one of {known}")]
    UnknownLabel {
        /// The label as it was given.
        label: String,
        /// All axes with their labels.
        known: String,
    },
    /// Another process is running this experiment, or one that shares its folders.
    #[error(
        "{} is locked by another `dldl experiment`: wait for it to finish, or use other folders",
        path.display()
    )]
    Locked {
        /// The locked file.
        path: PathBuf,
    },
    /// A cache cannot be opened, and the experiment's file does not say how to
    /// build it.
    #[error(
        "cannot open the cache {}: build it with `dldl prepare`, or describe it in [[prepare]]",
        path.display()
    )]
    Cache {
        /// The cache's folder.
        path: PathBuf,
        /// Why it cannot be opened.
        source: DataError,
    },
    /// A cache was built from other data than the experiment's file describes.
    #[error("the cache {} contains {found}, expected {expected}", path.display())]
    CacheMismatch {
        /// The cache's folder.
        path: PathBuf,
        /// What it was built from.
        found: String,
        /// What the file describes.
        expected: String,
    },
    /// A cache could not be built.
    #[error("cannot build the cache {}", path.display())]
    Prepare {
        /// The cache's folder.
        path: PathBuf,
        /// Why it failed.
        source: DataError,
    },
    /// The weights that a training starts from do not exist.
    #[error("initial weights {} not found", path.display())]
    MissingWeights {
        /// The weights file.
        path: PathBuf,
    },
    /// A dataset to evaluate on does not exist.
    #[error("dataset folder {} not found", path.display())]
    MissingDataset {
        /// Its folder.
        path: PathBuf,
    },
    /// This build cannot train on the device, or the device cannot train the network.
    #[error("cannot train {trial}")]
    Training {
        /// The name of the trial.
        trial: String,
        /// The reason.
        source: TrainError,
    },
    /// A line of `rows.jsonl` is not a row.
    #[error("invalid row in {}, line {line}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file or folder could not be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl ExperimentError {
    /// For `map_err`: adds the path to an I/O error.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// What is wrong with an experiment's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// It cannot be read.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// It is not TOML, or has an unknown field or a value of the wrong type.
    #[error("cannot parse it")]
    Parse(#[source] toml::de::Error),
    /// Its name cannot be the name of a folder.
    #[error(
        "invalid name `{name}`: expected letters, digits, `-`, `_` and `.`, other than `.` or `..`"
    )]
    Name {
        /// The experiment's name.
        name: String,
    },
    /// The recipe or an axis sets the run folder.
    #[error("{place} sets `run`: run folders are created in `runs`, one for each training")]
    RunFolder {
        /// `recipe`, or the axis with the label.
        place: String,
    },
    /// Two axes have the same name.
    #[error("axis {axis} is defined twice")]
    DuplicateAxis {
        /// The axis.
        axis: String,
    },
    /// An axis has no values.
    #[error("axis {axis} has no values")]
    EmptyAxis {
        /// The axis.
        axis: String,
    },
    /// A label cannot be part of the name of a run folder.
    #[error(
        "axis {axis}: label `{label}` gives the folder name `{folder}`: use a label with a letter \
         or a digit"
    )]
    Label {
        /// The axis.
        axis: String,
        /// The label.
        label: String,
        /// The folder name made from it.
        folder: String,
    },
    /// Two labels of an axis give the same folder name.
    #[error(
        "axis {axis}: labels `{first}` and `{second}` give the same folder name `{folder}`: change \
         one of them"
    )]
    DuplicateLabel {
        /// The axis.
        axis: String,
        /// The earlier label.
        first: String,
        /// The later label.
        second: String,
        /// The folder name of both.
        folder: String,
    },
    /// There is an empty list of tests.
    #[error("no [[test]]: leave `test` out for the test split of the recipe's cache")]
    NoTests,
    /// A metric does not exist.
    #[error("{place}: unknown metric `{metric}`: expected one of {known}")]
    UnknownMetric {
        /// Where it is named.
        place: String,
        /// The metric.
        metric: String,
        /// All metrics.
        known: String,
    },
    /// A published figure is an empty list.
    #[error("reference {label}: {metric} has no values")]
    EmptyReference {
        /// The reference's label.
        label: String,
        /// The metric.
        metric: String,
    },
    /// A reference belongs to a test that does not exist.
    #[error("reference {label}: there is no test named `{test}`")]
    UnknownTest {
        /// The reference's label.
        label: String,
        /// The test.
        test: String,
    },
    /// Several tests share a name.
    #[error("two tests are named `{name}`: give each of several tests its own name")]
    DuplicateTest {
        /// The name.
        name: String,
    },
    /// An axis sets a field of a test that does not exist.
    #[error("{trial}: test.{key}: there is no test {number}: expected a number below {count}")]
    TestNumber {
        /// The training's labels.
        trial: String,
        /// The key, without `test.`.
        key: String,
        /// The number in it, from 0.
        number: String,
        /// The number of tests.
        count: usize,
    },
    /// A test is invalid.
    #[error("{trial}: test {number}")]
    Test {
        /// The training's labels.
        trial: String,
        /// The test, from 1.
        number: usize,
        /// What is wrong with it.
        source: TestError,
    },
    /// The recipe of a training is invalid.
    #[error("recipe of {trial}")]
    Recipe {
        /// The training's labels.
        trial: String,
        /// What is wrong with it.
        source: TrainError,
    },
    /// The recipe of a training has no head with labels.
    #[error("recipe of {trial}: a pretraining without labels cannot be evaluated")]
    Pretraining {
        /// The training's labels.
        trial: String,
    },
}

/// What is wrong with a test of an experiment's file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// It has an unknown field or a value of the wrong type.
    #[error("cannot parse it")]
    Parse(#[source] toml::de::Error),
    /// The split does not exist.
    #[error("unknown split `{0}`: expected train, val, test or all")]
    Split(String),
    /// The dataset does not exist.
    #[error("unknown dataset `{name}`: expected one of cache, {known}")]
    Dataset {
        /// The dataset.
        name: String,
        /// All formats.
        known: String,
    },
}
