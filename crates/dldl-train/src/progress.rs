//! What a training tells whoever started it: while it runs, and at its end.
//! Drawing bars is the listener's work.

use std::path::PathBuf;

use crate::checkpoint::Best;
use crate::log::EpochRecord;
use crate::plan::Position;

/// What a training says while it runs. All methods have an empty default, and
/// `()` is a listener that says nothing.
pub trait Progress {
    /// Before the first step.
    fn start(&mut self, _start: &Start) {}
    /// After each step.
    fn step(&mut self, _step: &Step) {}
    /// After each validation batch: samples done, and of how many.
    fn validation(&mut self, _done: usize, _of: usize) {}
    /// After each epoch.
    fn epoch(&mut self, _record: &EpochRecord) {}
    /// Something worth saying, once.
    fn note(&mut self, _text: &str) {}
    /// Asked before each step: true ends the training after a checkpoint, so
    /// that it can be resumed.
    fn stop(&mut self) -> bool {
        false
    }
}

impl Progress for () {}

/// What is known before the first step.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Epochs of all phases.
    pub epochs: usize,
    /// Steps of all phases.
    pub steps: usize,
    /// Steps done already in an earlier sitting.
    pub done: usize,
    /// Training samples.
    pub train: usize,
    /// How many of them an epoch draws, some perhaps twice.
    pub drawn: usize,
    /// Validation samples.
    pub val: usize,
    /// Learnable numbers of the network.
    pub parameters: usize,
}

/// A step that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Steps done, this one included.
    pub done: usize,
    /// Where it was.
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

/// What came out of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Whether all epochs are done (not: stopped by the listener).
    pub finished: bool,
    /// Steps done.
    pub steps: usize,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Share of the time of the finished epochs of this sitting that was spent
    /// waiting for data, 0..=1; none if there is none.
    pub waiting: Option<f64>,
    /// The exported weights in half precision; none before the end. After a
    /// pretraining the trunk.
    pub weights: Option<PathBuf>,
}
