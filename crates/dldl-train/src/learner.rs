//! What the training loop needs of a network: images in, logits out, gradients of
//! the logits in, an optimizer step, and the state to and from a checkpoint.
//!
//! `backend` chooses the implementation for a device: `cpu` or `gpu`. Losses are
//! computed on the host from the logits (`loss`).

use std::ops::Range;

use crate::error::TrainError;
use crate::tensor::NamedTensors;

/// Normalized images in host memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageBatch<'a> {
    /// `[count, 3, size, size]`.
    pub pixels: &'a [f32],
    /// Number of images.
    pub count: usize,
    /// Their side in pixels.
    pub size: usize,
}

/// Learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRates {
    /// Of the convolutions and their normalization; at 0 they stay as they are.
    pub trunk: f64,
    /// Of the head.
    pub head: f64,
}

/// Maps logits `[count, outputs]` to the gradient of the loss with respect to them.
pub type Loss<'a> = dyn FnMut(&[f32]) -> Result<Vec<f32>, TrainError> + 'a;

/// A network, its optimizer and, if asked for, the exponential moving average of
/// its weights. The same calls give the same numbers, whatever the number of
/// threads.
pub trait Learner {
    /// Runs one forward and backward pass in training mode and adds the gradients
    /// to those accumulated since the last [`optimizer_step`](Self::optimizer_step).
    /// `loss` is called once, with the logits. With `frozen_trunk` the convolutions
    /// use their running statistics and get no gradient: only the head learns.
    ///
    /// # Errors
    /// Those of `loss`.
    fn accumulate_gradients(
        &mut self,
        images: ImageBatch,
        frozen_trunk: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError>;

    /// Moves the weights by one step of the optimizer along the accumulated
    /// gradients, and clears these.
    fn optimizer_step(&mut self, rates: LearningRates);

    /// Replaces the weights of some outputs of the head by their mean, so that
    /// these outputs differ only in their biases. Called after every step, this is
    /// the projection onto networks with shared weights.
    fn share_weights(&mut self, outputs: Range<usize>);

    /// Moves the averaged weights: `decay` times themselves plus `1 - decay` times
    /// the current weights. Does nothing without an average.
    fn update_ema(&mut self, decay: f64);

    /// The logits `[count, outputs]` in inference mode, with the averaged weights
    /// if there are any.
    fn logits(&self, images: ImageBatch) -> Vec<f32>;

    /// The network's tensors, running statistics included, by their names in the
    /// weights file.
    fn weights(&self) -> NamedTensors;

    /// Replaces the network's tensors, and their average, by those in `tensors`;
    /// tensors that are not in it keep their values.
    ///
    /// # Errors
    /// [`TrainError::TensorShape`] if one has another shape.
    fn set_weights(&mut self, tensors: &NamedTensors) -> Result<(), TrainError>;

    /// Clears the optimizer's moments.
    fn reset_optimizer(&mut self);

    /// The whole state, for a checkpoint: the network's tensors, `ema.NAME` for the
    /// averaged ones, and of the optimizer `adam.m.NAME`, `adam.v.NAME` (the
    /// moments, flat) and `adam.t.NAME` (how many steps they cover, `[1]`).
    fn save(&self) -> NamedTensors;

    /// Restores what [`save`](Self::save) returned.
    ///
    /// # Errors
    /// [`TrainError::MissingTensor`] or [`TrainError::TensorShape`] if a tensor is missing or has another shape.
    fn load(&mut self, tensors: &NamedTensors) -> Result<(), TrainError>;
}

/// Prefix of the averaged weights' names in a checkpoint.
pub(crate) const EMA: &str = "ema.";

/// Share of the newest batch in the running statistics of batch normalization
/// (PyTorch's default).
pub(crate) const BN_MOMENTUM: f64 = 0.1;

/// The averaged weights of a checkpoint under the network's own names.
pub(crate) fn averaged(tensors: &NamedTensors) -> NamedTensors {
    let ema = tensors.iter().filter_map(|(name, t)| Some((name.strip_prefix(EMA)?, t)));
    ema.map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
}
