//! The run folder: which files a training leaves behind, and their names.

use std::path::PathBuf;

/// The files of a run folder.
///
/// | file | what |
/// |---|---|
/// | `config.toml` | the recipe, every field written out |
/// | `last.ckpt` | the newest checkpoint (safetensors), for resuming |
/// | `best.ckpt` | the checkpoint of the epoch with the lowest validation MAE |
/// | `log.jsonl` | one [`Record`](crate::log::Record) per line |
/// | `chart.svg` | loss and validation MAE, drawn after each epoch |
/// | `model.safetensors` | the weights, half precision, written at the end |
/// | `model-f32.safetensors` | the same in single precision |
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// The files under `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
    /// The recipe.
    pub fn config(&self) -> PathBuf {
        self.0.join("config.toml")
    }
    /// The newest checkpoint.
    pub fn last(&self) -> PathBuf {
        self.0.join("last.ckpt")
    }
    /// The best checkpoint.
    pub fn best(&self) -> PathBuf {
        self.0.join("best.ckpt")
    }
    /// The log.
    pub fn log(&self) -> PathBuf {
        self.0.join("log.jsonl")
    }
    /// The chart.
    pub fn chart(&self) -> PathBuf {
        self.0.join("chart.svg")
    }
    /// The weights in half precision.
    pub fn weights(&self) -> PathBuf {
        self.0.join("model.safetensors")
    }
    /// The weights in single precision.
    pub fn weights_f32(&self) -> PathBuf {
        self.0.join("model-f32.safetensors")
    }
}
