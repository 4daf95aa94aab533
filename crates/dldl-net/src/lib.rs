//! Network specifications, the weights file and the inference engine.
//!
//! A network is a value ([`NetSpec`]), a model is a weights file that describes
//! itself ([`Weights`], [`ModelInfo`]), what goes in is an aligned [`Crop`], and
//! the [`Engine`] makes a distribution of it, in f32 or, with
//! [`QuantizedWeights`], in 8-bit integers; [`onnx`] writes a model for other
//! runtimes. Training lives in `dldl-train`, pictures in `dldl-face`.

mod crop;
mod describe;
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

pub use dldl_kernels::int8::Isa;
pub use dldl_kernels::{BN_EPSILON, LEVEL_VARIABLE, Level, burst_macs, multiply_add_burst};

pub use crop::{Crop, Template};
pub use describe::{described, save_described};
pub use engine::{Engine, FeatureMap};
pub use error::NetError;
pub use heads::Head;
pub use info::{Calibration, Figure, IntervalCalibration, ModelInfo, Normalization, Quantization};
pub use network::Part;
pub use quantized::{QuantizedWeights, quantize};
pub use spec::{NetSpec, Pooling};
pub use weights::{INFO_KEY, Precision, Weights};
