//! Training's convolutions for a whole batch, forward and backward, with batch
//! norm, ReLU and 2x2 max pooling joined to them, so that a layer's numbers go
//! through memory few times. No autodiff and no framework; which layer follows
//! which is the caller's knowledge.
//!
//! A layer stores the convolution's output `z`, before batch norm, and, where a
//! pool follows, the numbers of `z` that the pool keeps. Whoever reads it
//! applies batch norm and ReLU on the way ([`Source`]). Forward reads the layer
//! below once and writes `z` once, with the sums for the batch's statistics;
//! backward reads `z`, the gradient from above and the layer below once each,
//! and writes the gradient to the layer below over `z`.
//!
//! Winograd's F(4x4, 3x3) serves the forward pass and, as exact adjoints, both
//! gradients (`transform.rs`); the first layer is direct. Tasks, steps and the
//! order of all sums follow from the shapes alone: the number of threads does
//! not change a bit.

mod average;
mod backward;
mod few;
mod forward;
mod kernels;
mod maps;
mod outer;
mod stem;
mod step;
mod transform;

pub use average::{average, average_backward};
pub use backward::{Gradient, backward};
pub use forward::{Output, forward};
pub use kernels::Kernels;
pub use maps::{Chain, Maps, Norm, Source, Sums};
pub use stem::{stem_backward, stem_forward};
pub use step::Scratch;

#[cfg(test)]
mod tests;
