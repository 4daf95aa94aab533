//! Convolution, pooling and their gradients on the CPU.
//!
//! Kernels take and return slices and know nothing of any network. The vector
//! instructions are selected at run time ([`Level`]). This is the only crate of the
//! workspace with `unsafe` code, all of it for processor instructions. Every kernel is
//! tested against [`reference`](mod@reference).
//!
//! - Inference in f32: [`StemConv`], [`Conv3x3`] (Winograd), [`DirectConv`],
//!   [`DepthwiseConv`], on activations laid out as [`Planes`].
//! - Inference in 8-bit integers: [`int8`].
//! - Training, forward and backward: [`train`].
//! - Image reduction: [`AreaAverage`].

mod area;
mod direct;
pub mod int8;
mod level;
mod ops;
mod peak;
mod planes;
mod prefetch;
pub mod reference;
mod stem;
pub mod train;
mod winograd;

pub use area::AreaAverage;
pub use direct::{DepthwiseConv, DirectConv, Pixel, max_pool_rows};
pub use level::{LEVEL_VARIABLE, Level};
pub use ops::{linear, linear_into};
pub use peak::{burst_macs, multiply_add_burst};
pub use planes::{LANES, Lanes, Planes, TILE, average_planes, max_pool_planes};
pub use stem::StemConv;
pub use winograd::{Conv3x3, Scratch, Winograd};

/// Epsilon of batch normalization, `gamma (z - mean) / sqrt(variance + epsilon) +
/// beta`, in training and in inference (PyTorch's default).
pub const BN_EPSILON: f64 = 1e-5;
