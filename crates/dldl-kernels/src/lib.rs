//! Convolution, pooling and their gradients on the CPU.
//!
//! Slices in, slices out, in NCHW order and f32, with no knowledge of any
//! network. The vector instructions are picked at run time ([`Level`]); this
//! is the only crate of the workspace with `unsafe` in it, and only for their
//! intrinsics. Every kernel is tested against [`reference`](mod@reference).

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
pub use direct::{DirectConv, Pixel, max_pool_rows};
pub use level::{LEVEL_VARIABLE, Level};
pub use ops::{linear, linear_into};
pub use peak::{burst_macs, multiply_add_burst};
pub use planes::{LANES, Lanes, Planes, TILE, average_planes, max_pool_planes};
pub use stem::StemConv;
pub use winograd::{Conv3x3, Scratch, Winograd};

/// Epsilon of batch normalization, `gamma (z - mean) / sqrt(variance + epsilon) +
/// beta`, in training and in inference (PyTorch's default).
pub const BN_EPSILON: f64 = 1e-5;
