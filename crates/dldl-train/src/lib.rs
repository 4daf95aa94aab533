//! Training of label distributions: the networks of `dldl-net`, the losses of
//! `dldl-label`, and the loop around both.
//!
//! [`train`] reads the packed caches written by `dldl prepare` and fills a
//! [`RunFolder`] with checkpoints, a log, charts and, at the end, a weights file or,
//! after pretraining, a trunk. [`resume`] continues an interrupted training. The
//! recipe is a [`TrainConfig`], usually a TOML file.
//!
//! The CPU trains on kernels of its own (`dldl-kernels`). The framework Burn is kept
//! for GPUs alone: pretraining and large crops, where a CPU needs days; its speed
//! there has not been measured. It is compiled in by the cargo features `vulkan`,
//! `wgpu` and `cuda`.
//!
//! Dataset formats and augmentation are in `dldl-data`; progress is reported to an
//! implementation of [`Progress`].

mod ahead;
pub mod backend;
pub mod batches;
pub mod chart;
pub mod checkpoint;
pub mod config;
pub mod cpu;
mod error;
pub mod events;
mod examples;
pub mod export;
mod folder;
#[cfg(feature = "burn")]
mod gpu;
pub mod head;
mod initial;
pub mod learner;
pub mod log;
pub mod loss;
pub mod plan;
mod progress;
pub mod sampling;
pub mod schedule;
mod start;
mod teacher;
pub mod tensor;
#[cfg(test)]
mod testing;
mod train;
mod truths;
mod validate;

pub use config::TrainConfig;
pub use error::TrainError;
pub use folder::RunFolder;
pub use progress::{Progress, Start, Step, Summary};
pub use train::{resume, train};
