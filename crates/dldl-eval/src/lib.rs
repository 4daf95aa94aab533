//! Evaluation of models: predictions for labeled pictures ([`Prediction`]), metrics of
//! their errors ([`Evaluation`]), several evaluations side by side ([`Comparison`]),
//! calibrated intervals ([`calibrate()`]), robustness to corrupted pictures
//! ([`robustness()`]), maps of what a model looks at ([`understand`]), an HTML report of
//! all of these ([`page`]), and how fast a model runs ([`Speed`]) and trains ([`TrainingSpeed`]).
//! The formulas of the metrics are in `dldl-label`, running the model in `dldl`,
//! reading datasets in `dldl-data`.
//!
//! ```no_run
//! use dldl::Estimator;
//! use dldl_data::Split;
//! use dldl_eval::{Options, Source, evaluate};
//!
//! let dataset = dldl_data::load("utkface", "utkface".as_ref(), None)?;
//! let estimator = Estimator::load(dldl::DEFAULT_MODEL)?;
//! let options = Options { split: Some(Split::Test), ..Options::default() };
//! let evaluation = evaluate(estimator, &Source::Dataset(dataset), &options, &mut |_| ())?;
//! println!("{evaluation}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calibrate;
mod compare;
mod corruption;
mod dataset_figure;
mod evaluate;
pub mod evaluation;
pub mod figures;
pub mod page;
mod prediction;
mod robustness;
mod scale;
mod speed;
mod table;
pub mod understand;

pub use calibrate::{
    BandQuality, CalibrateError, Calibrated, Effect, Fits, Halves, Quality, RecalibrationErrors,
    calibrate, highest_level, pictures_needed, suits_calibration,
};
pub use compare::{Comparison, Difference, Layout};
pub use corruption::Corruption;
pub use dataset_figure::dataset_figure;
pub use evaluate::{EvalError, Options, Progress, Source, evaluate, find_head};
pub use evaluation::{Baseline, Crops, Evaluation, Subject};
pub use figures::{Measured, Metrics};
pub use prediction::{LEVELS, Prediction};
pub use robustness::{Corrupted, Robustness, robustness};
pub use scale::Scale;
pub use speed::training::{Phases, TrainingSpeed, TrainingSpeedOptions, training_speed};
pub use speed::{Efficiency, Layer, Milliseconds, Speed, SpeedOptions, speed};
