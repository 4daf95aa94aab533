//! Evaluation as data: what a model says of labelled pictures ([`Prediction`]),
//! and how far it is from the truth ([`Report`]); and how fast it runs
//! ([`Speed`]) and, with the feature `train`, learns. With that feature there are
//! also grids of trainings with their tables, in `experiment`. The formulas of the
//! metrics are in `dldl-label`, running the model in `dldl`, reading datasets in
//! `dldl-data`.
//!
//! ```no_run
//! use dldl::Estimator;
//! use dldl_data::Split;
//! use dldl_eval::{Options, Source, evaluate};
//!
//! let dataset = dldl_data::load("utkface", "utkface".as_ref(), None)?;
//! let estimator = Estimator::load(dldl::DEFAULT_MODEL)?;
//! let options = Options { split: Some(Split::Test), ..Options::default() };
//! let report = evaluate(estimator, &Source::Dataset(dataset), &options, &mut |_| ())?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod evaluate;
#[cfg(feature = "train")]
pub mod experiment;
mod report;
mod speed;

pub use evaluate::{EvalError, Options, Prediction, Progress, Source, evaluate};
pub use report::{Baseline, Crops, Metrics, Report};
#[cfg(feature = "train")]
pub use speed::training::{Phases, TrainingSpeed, TrainingSpeedOptions, training_speed};
pub use speed::{Efficiency, Layer, Milliseconds, Speed, SpeedOptions, speed};
