//! Progress reports of a training, and its summary.

use std::path::PathBuf;

use crate::checkpoint::Best;
use crate::log::EpochRecord;
use crate::plan::Position;

/// Receives the progress of a training. All methods do nothing by default; `()`
/// ignores everything.
pub trait Progress {
    /// Before the first step.
    fn start(&mut self, _start: &Start) {}
    /// After each step.
    fn step(&mut self, _step: &Step) {}
    /// After each validation batch: samples done, and of how many.
    fn validation(&mut self, _done: usize, _of: usize) {}
    /// After each epoch.
    fn epoch(&mut self, _record: &EpochRecord) {}
    /// A message for the user.
    fn note(&mut self, _text: &str) {}
    /// Called before each step: `true` ends the training after a checkpoint, so that it
    /// can be resumed.
    fn stop(&mut self) -> bool {
        false
    }
}

impl Progress for () {}

/// The extent of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Epochs of all phases.
    pub epochs: usize,
    /// Steps of all phases.
    pub steps: usize,
    /// Steps already done, when resuming.
    pub done: usize,
    /// Training samples.
    pub train: usize,
    /// How many samples an epoch draws; with weights or balancing some more than once.
    pub samples_per_epoch: usize,
    /// Validation samples.
    pub val: usize,
    /// Trainable parameters of the network.
    pub parameters: usize,
}

/// A step of the optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Steps done, this one included.
    pub done: usize,
    /// Its position.
    pub position: Position,
    /// Its learning rate.
    pub lr: f64,
    /// Its loss.
    pub loss: f64,
    /// Mean loss of the epoch so far.
    pub epoch_loss: f64,
    /// Training samples per second in this epoch.
    pub images_per_second: f64,
    /// Share of the epoch's time spent waiting for data, 0..=1.
    pub waiting: f64,
}

/// The result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Whether it ran to its end, not stopped by [`Progress::stop`].
    pub finished: bool,
    /// Steps done.
    pub steps: usize,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Seconds of training, interrupted runs included.
    pub seconds: f64,
    /// Share of the time of this run's epochs spent waiting for data, 0..=1; `None` if no
    /// epoch was finished.
    pub waiting: Option<f64>,
    /// The exported weights in half precision or, after pretraining, the trunk; `None`
    /// before the end.
    pub weights: Option<PathBuf>,
}
