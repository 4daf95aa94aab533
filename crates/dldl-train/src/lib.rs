//! Learning label distributions: the networks of `dldl-net` as learners, the
//! losses of `dldl-label` between them and the data, and the loop around both, on
//! the CPU or a GPU chosen at run time.
//!
//! [`train`] reads the packed caches that `dldl prepare` made and fills a
//! [`RunFolder`] with checkpoints, a log, pictures and in the end the weights
//! file that everyone else reads, or the trunk of a pretraining; [`resume`] goes
//! on where a training was interrupted. The recipe is a [`TrainConfig`], usually
//! a TOML file.
//!
//! Not here: datasets as they lie on disk and augmentation (`dldl-data`), the
//! kernels of the CPU (`dldl-kernels`), and drawing progress bars (whoever
//! implements [`Progress`]).

mod ahead;
pub mod batches;
mod canvas;
pub mod chart;
pub mod checkpoint;
pub mod config;
pub mod cpu;
mod error;
pub mod events;
mod examples;
pub mod export;
mod folder;
pub mod head;
pub mod learner;
pub mod log;
pub mod loss;
pub mod model;
pub mod optim;
pub mod plan;
mod progress;
pub mod sampling;
pub mod schedule;
mod start;
mod teacher;
mod train;
mod truths;
mod validate;

pub use config::TrainConfig;
pub use error::TrainError;
pub use folder::RunFolder;
pub use progress::{Progress, Start, Step, Summary};
pub use train::{resume, train};
