//! Convolutions for training on a batch, forward and backward, fused with batch norm,
//! ReLU and 2x2 max pooling to minimize memory traffic. There is no automatic
//! differentiation: the caller chains the layers.
//!
//! A layer stores the convolution's output `z`, before batch norm, and the numbers of `z`
//! that max pooling selects, if it follows. The next layer applies batch norm and ReLU
//! when it reads them ([`Source`]). The forward pass reads the layer below once and
//! writes `z` once, and sums up the batch statistics. The backward pass reads `z`, the
//! gradient from above and the layer below once each, and overwrites `z` with the
//! gradient to the layer below.
//!
//! The forward pass uses Winograd's F(4x4, 3x3), both gradients its exact adjoints
//! (`transform`); the first layer is computed directly. Tasks, steps and the order of all
//! sums depend only on the shapes, so results are bitwise equal for any number of threads.

mod average;
mod backward;
mod forward;
mod kernels;
mod maps;
mod outer;
mod small;
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
