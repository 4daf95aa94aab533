//! The errors of a training.

use std::path::{Path, PathBuf};

use dldl_data::DataError;
use dldl_label::LabelError;
use dldl_net::NetError;

use crate::config::DeviceKind;

/// Why a training failed. A cause is in [`source`](std::error::Error::source) and not
/// repeated in the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A recipe cannot be used.
    #[error("invalid recipe {}", path.display())]
    Recipe {
        /// The recipe's file.
        path: PathBuf,
        /// Why.
        source: Box<TrainError>,
    },
    /// A value of the configuration is unknown or out of range.
    #[error("{0}")]
    Config(String),
    /// The device is not compiled in.
    #[error(
        "this program was built without the device {}: build one with \
         `cargo build --release --features {}`",
        device.name(),
        device.name()
    )]
    UnsupportedDevice {
        /// The device.
        device: DeviceKind,
    },
    /// The CPU kernels cannot train the network.
    #[error(
        "the CPU cannot train this network because of conv{layer}: {reason}, or train on a GPU"
    )]
    UnsupportedNetwork {
        /// The convolution, from 0.
        layer: usize,
        /// Why, and what to do.
        reason: String,
    },
    /// The run folder holds a training already.
    #[error(
        "{} belongs to an earlier training: resume it or choose another run folder",
        path.display()
    )]
    RunExists {
        /// Its checkpoint.
        path: PathBuf,
    },
    /// Another process trains in the run folder.
    #[error("{} is being written by another training in this folder", path.display())]
    RunInUse {
        /// The log that it has locked.
        path: PathBuf,
    },
    /// The checkpoint to resume from was made with another recipe.
    #[error(
        "{} belongs to another recipe: restore the configuration (config.toml in the same folder) \
         or choose another run folder",
        path.display()
    )]
    OtherRecipe {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The checkpoint to resume from was made with other data.
    #[error(
        "{} was made with {} training and {} validation samples, but the data has {} and {}: \
         restore the data or choose another run folder",
        path.display(), expected[0], expected[1], found[0], found[1]
    )]
    OtherData {
        /// The checkpoint.
        path: PathBuf,
        /// Training and validation samples of the checkpoint.
        expected: [usize; 2],
        /// Those of the data.
        found: [usize; 2],
    },
    /// A file of the run folder is damaged or not what it should be.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A checkpoint is not a sound safetensors file.
    #[error("cannot read the tensors of {}", path.display())]
    Safetensors {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: safetensors::SafeTensorError,
    },
    /// JSON of the run folder cannot be parsed.
    #[error("cannot parse {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A tensor is missing.
    #[error("tensor {name} is missing")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape than the network's.
    #[error("tensor {name} has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// A weights file cannot be read or written.
    #[error(transparent)]
    Weights(#[from] NetError),
    /// The weights to start from cannot be read.
    #[error("cannot start from {init}")]
    InitWeights {
        /// The name or path of the weights.
        init: String,
        /// Why.
        source: NetError,
    },
    /// The weights to start from are those of another network.
    #[error("cannot start from {init}: it has the weights of another network")]
    OtherNetwork {
        /// The name or path of the weights.
        init: String,
        /// The tensor that does not fit.
        source: Box<TrainError>,
    },
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A label or logit is invalid.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A sample's label is invalid.
    #[error("invalid label of {file}")]
    SampleLabel {
        /// The sample's file.
        file: String,
        /// Why.
        source: LabelError,
    },
    /// Two caches cannot be combined.
    #[error("{} and {} are aligned by different templates", first.display(), second.display())]
    OtherTemplate {
        /// The first cache.
        first: PathBuf,
        /// The one that differs.
        second: PathBuf,
    },
    /// There is too little to learn from.
    #[error("{0}")]
    TooFewSamples(String),
    /// A teacher's embeddings cannot be used.
    #[error("{}: {reason}", path.display())]
    Embeddings {
        /// The `.npy` file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A teacher's model cannot be read.
    #[error("cannot read the teacher {}", path.display())]
    TeacherModel {
        /// The name or path of the model.
        path: PathBuf,
        /// Why.
        source: NetError,
    },
    /// A teacher's model does not fit the head or the size.
    #[error("cannot learn from the teacher {}: {what}", path.display())]
    OtherTeacher {
        /// The name or path of the model.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A loader thread panicked.
    #[error("a loader thread panicked")]
    LoaderPanicked,
    /// The loss is no longer finite.
    #[error("the loss became {loss} at step {step} (epoch {epoch}): lower the learning rate")]
    Diverged {
        /// The loss.
        loss: f64,
        /// The step, counted over all epochs from 1.
        step: usize,
        /// The epoch, from 1.
        epoch: usize,
    },
}

impl TrainError {
    /// Whether the request (recipe, device or network) is at fault, not the data or
    /// the machine.
    pub fn is_invalid_request(&self) -> bool {
        matches!(
            self,
            Self::Recipe { .. }
                | Self::Config(_)
                | Self::UnsupportedDevice { .. }
                | Self::UnsupportedNetwork { .. }
        )
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
