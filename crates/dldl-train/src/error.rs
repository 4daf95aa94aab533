//! What can go wrong in a training.

use std::path::PathBuf;

use crate::config::DeviceKind;

/// An error of the trainer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The configuration cannot be read or makes no sense.
    #[error("configuration: {0}")]
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
    /// A checkpoint cannot be used.
    #[error("{}: {what}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A tensor of a checkpoint or weights file does not fit.
    #[error("tensor {name} {what}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// A weights file cannot be read or written.
    #[error("weights: {0}")]
    Weights(String),
    /// The data cannot be trained on.
    #[error("data: {0}")]
    Data(String),
    /// The loss is no longer a number.
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
            Self::Config(_) | Self::UnsupportedDevice { .. } | Self::UnsupportedNetwork { .. }
        )
    }

    pub(crate) fn io(path: &std::path::Path, reason: std::io::Error) -> Self {
        Self::Io { path: path.into(), reason }
    }
}

impl From<dldl_label::LabelError> for TrainError {
    fn from(e: dldl_label::LabelError) -> Self {
        Self::Data(e.to_string())
    }
}
