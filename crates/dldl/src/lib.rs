//! Estimates age and attractiveness of the faces in a picture, as label distributions.
//! An [`Estimator`] combines detection, alignment and a model; the default model is
//! embedded in this crate ([`models`]).
//!
//! ```
//! use dldl::Estimator;
//!
//! let estimator = Estimator::load(dldl::DEFAULT_MODEL)?;
//! # let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
//! let picture = dldl::decode_file(portrait.as_ref())?;
//! for face in estimator.estimate(&picture)? {
//!     if let Some(age) = face.age() {
//!         let interval = age.interval(0.9);
//!         println!("{:.1} years, 90 % {:.1} to {:.1}", age.value, interval.low, interval.high);
//!     }
//! }
//! # Ok::<(), dldl::Error>(())
//! ```
//!
//! [`PictureRecord`] is the JSON form of the results, and [`parallel`] processes many
//! pictures. The steps themselves are in `dldl-face` (pictures), `dldl-net`
//! (models) and `dldl-label` (distributions); evaluation and training are in
//! `dldl-eval` and `dldl-train`.

mod error;
mod estimator;
pub mod models;
pub mod parallel;
mod quality;
mod record;

pub use dldl_face::{
    Detector, DetectorParams, Face, FaceError, Measures, Picture, Pose, SearchNet, decode,
    decode_file,
};
pub use dldl_label::{Distribution, LabelSet, Method, Task};
pub use dldl_net::{Crop, Engine, Head, HeadEstimate, Interval, ModelInfo, NetError, Weights};
pub use error::Error;
pub use estimator::{Estimator, FaceEstimate};
pub use models::{DEFAULT_MODEL, MODELS, NamedModel, Precision};
pub use quality::quality;
pub use record::{
    AtLeastRecord, DistributionRecord, EstimateRecord, FaceRecord, IntervalRecord, PictureRecord,
    RecordOptions, SingleFrameRecord, ThresholdError, check_in_range, check_thresholds,
    record_schema,
};
