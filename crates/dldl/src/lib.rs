//! Ages of the faces in a picture: the library user's entry. An [`Estimator`]
//! puts detection, alignment and a model behind one call; the default model is
//! part of this crate ([`models`]).
//!
//! ```
//! use dldl::Estimator;
//!
//! let estimator = Estimator::load(dldl::DEFAULT_MODEL)?;
//! # let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
//! let picture = dldl::decode_file(portrait.as_ref())?;
//! for face in estimator.estimate(&picture)? {
//!     let age = face.readings(estimator.engine().info(), 0.9).remove(0);
//!     let [x, y, width, height] = face.bbox;
//!     println!("{width:.0}x{height:.0} pixels at ({x:.0}, {y:.0}):");
//!     println!("{:.1} years, 90 % between {:.1} and {:.1}", age.estimate, age.low, age.high);
//! }
//! # Ok::<(), dldl::Error>(())
//! ```
//!
//! Lives here: what joins the crates below, and working through many pictures
//! ([`parallel`]). Does not live here: any of the steps themselves
//! (`dldl-face`, `dldl-net`, `dldl-label`), evaluation, training.

mod error;
mod estimator;
pub mod models;
pub mod parallel;

pub use dldl_face::{
    Detector, DetectorParams, Face, FaceError, MAX_PIXELS, Picture, align, decode, decode_file,
    whole_picture,
};
pub use dldl_label::{Conformal, Distribution, Label, LabelError, LabelSet, Method};
pub use dldl_net::{
    Calibration, Crop, Engine, FeatureMap, Figure, Head, IntervalCalibration, Isa, LEVEL_VARIABLE,
    Level, ModelInfo, NetError, NetSpec, Part, QuantizedWeights, Template, Weights, burst_macs,
    described, multiply_add_burst, onnx, quantize, save_described,
};
pub use error::Error;
pub use estimator::{Estimator, FaceEstimate, Reading};
pub use models::{DEFAULT_MODEL, MODELS, NamedModel};
