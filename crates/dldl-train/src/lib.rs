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

mod backend;
mod batches;
mod chart;
pub mod checkpoint;
pub mod config;
mod cpu;
mod error;
mod events;
mod examples;
mod export;
mod folder;
#[cfg(feature = "burn")]
mod gpu;
mod head;
mod init;
mod initial;
mod label_teacher;
mod learner;
pub mod log;
mod loss;
pub mod npy;
mod plan;
mod prefetch;
mod progress;
mod sampler;
mod schedule;
mod targets;
mod teacher;
mod tensor;
#[cfg(test)]
mod testing;
mod train;
mod validate;

pub use backend::learner;
pub use config::TrainConfig;
pub use error::TrainError;
pub use folder::RunFolder;
pub use head::{Head, Objective, Target, Targets};
pub use init::BuiltInModels;
pub use learner::{ImageBatch, Learner, LearningRates, Loss};
pub use loss::{Criterion, HeadSums, LossValues};
pub use plan::Position;
pub use progress::{Progress, Start, Step, Summary};
pub use tensor::{NamedTensors, Tensor};
pub use train::{Training, resume, train};
