//! Convolution, pooling and their gradients on the CPU.
//!
//! Slices in, slices out, in NCHW order and f32, with no knowledge of any
//! network. The vector instructions are picked at run time ([`Level`]); this
//! is the only crate of the workspace with `unsafe` in it, and only for their
//! intrinsics. Every kernel is tested against [`reference`](mod@reference).

mod conv;
mod level;
mod ops;
pub mod reference;
mod simd;
pub mod train;

pub use conv::Conv2d;
pub use level::{LEVEL_VARIABLE, Level};
pub use ops::{global_average, linear, max_pool, prelu, relu};
