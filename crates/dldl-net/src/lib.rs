//! Network specifications, the weights file and the inference engine.
//!
//! A network is a value ([`NetSpec`]), a model is a weights file with its
//! description ([`Weights`], [`ModelInfo`]), the input is an aligned [`Crop`], and
//! the [`Engine`] computes a [`HeadEstimate`] for each head of the model, in f32 or,
//! with [`QuantizedWeights`], in 8-bit integers. [`onnx`] exports a model for other
//! runtimes. Training is in `dldl-train`, pictures are in `dldl-face`.

mod crop;
mod engine;
mod error;
mod folded;
mod heads;
mod info;
mod network;
pub mod onnx;
mod quantized;
mod random;
mod spec;
mod weights;
mod with_info;

pub use dldl_kernels::int8::Isa;
pub use dldl_kernels::{BN_EPSILON, LEVEL_VARIABLE, Level, burst_macs, multiply_add_burst};

pub use crop::{Crop, Template};
pub use engine::{Engine, FeatureMap};
pub use error::NetError;
pub use heads::{Head, HeadEstimate, Interval};
pub use info::{
    Calibration, Chosen, Figure, IntervalCalibration, IntervalTables, ModelInfo, Normalization,
    Quantization,
};
pub use network::ProfileEvent;
pub use quantized::{QuantizedWeights, quantize};
pub use spec::{NetSpec, Pooling};
pub use weights::{INFO_KEY, Precision, Weights};
pub use with_info::{save_with_info, with_info};
