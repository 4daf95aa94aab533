//! The names of the files in a run folder.

use std::path::PathBuf;

/// The files of a run folder.
///
/// | file | content |
/// |---|---|
/// | `config.toml` | the recipe, every field written out |
/// | `last.ckpt` | the newest checkpoint (safetensors), for resuming |
/// | `best.ckpt` | the checkpoint of the epoch with the lowest validation error |
/// | `log.jsonl` | one [`Record`](crate::log::Record) per line |
/// | `events.out.tfevents.0.dldl` | the same for TensorBoard |
/// | `chart.svg`, `chart.png` | loss and validation errors, drawn after each epoch |
/// | `examples.png` | some validation samples with label and prediction |
/// | `model.safetensors` | the weights, half precision, written at the end |
/// | `model-f32.safetensors` | the same in single precision |
/// | `trunk.safetensors` | instead of these two after pretraining: the network without its head |
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
    /// TensorBoard's file.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.out.tfevents.0.dldl")
    }
    /// The chart as a bitmap.
    pub fn chart_png(&self) -> PathBuf {
        self.0.join("chart.png")
    }
    /// Samples with their predictions.
    pub fn examples(&self) -> PathBuf {
        self.0.join("examples.png")
    }
    /// The trunk of a pretraining.
    pub fn trunk(&self) -> PathBuf {
        self.0.join("trunk.safetensors")
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
