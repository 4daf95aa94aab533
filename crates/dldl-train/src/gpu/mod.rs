//! Training on GPUs, by Burn: cargo features `vulkan`, `wgpu` and `cuda`.
//!
//! The CPU has kernels of its own (`cpu`) and needs no framework. The feature
//! `burn` alone, without a device, compiles this module with Burn's CPU backend,
//! on which the tests compare it with the CPU learner.

mod adam;
mod learner;
mod model;
#[cfg(test)]
mod parity;

pub use learner::{BurnLearner, device};
