//! What a weights file says of itself: everything that a model needs to be used
//! rightly. Reading and writing the file lives in `weights.rs`.

use dldl_label::{Conformal, LabelSet, Method};
use serde::{Deserialize, Serialize};

use crate::{Head, NetError, NetSpec, Template};

/// How pixels become numbers: `(value / 255 - mean) / std` per channel, RGB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Subtracted, in units of full scale.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

impl Default for Normalization {
    /// The authors' numbers (specification 3.5).
    fn default() -> Self {
        Self { mean: [0.5958, 0.4637, 0.4065], std: [0.2693, 0.2409, 0.2352] }
    }
}

/// A measured figure that travels with the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What was measured, such as `val MAE`.
    pub name: String,
    /// The number, in the labels' unit.
    pub value: f64,
    /// On what and how.
    pub of: String,
}

/// What was fitted to held-out data after the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The logits are divided by it before they are decoded; above 1 the
    /// distributions become wider.
    #[serde(default = "one")]
    pub temperature: f64,
    /// What makes intervals cover what they should, if it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<IntervalCalibration>,
}

fn one() -> f64 {
    1.0
}

impl Calibration {
    /// A temperature alone.
    pub fn temperature(temperature: f64) -> Self {
        Self { temperature, intervals: None }
    }
}

/// What makes intervals cover what they should. It is of distributions after flip
/// fusion, as [`Calibration::temperature`] leaves them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalCalibration {
    /// The dataset and its split, in words.
    pub on: String,
    /// How many pictures.
    pub n: usize,
    /// The levels that intervals are asked for.
    pub levels: Conformal,
}

/// How a model in floating point was made one in integers, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantization {
    /// What the weights are.
    pub weights: String,
    /// What the activations are.
    pub activations: String,
    /// What the scales of the activations were found on.
    pub calibration: String,
}

/// The description inside a weights file. Fields that are not known here are
/// ignored on reading, so that files may say more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name of the model, such as `tiny`.
    pub name: String,
    /// What it estimates first of all: `age` or `attractiveness`.
    pub task: String,
    /// The layers.
    pub net: NetSpec,
    /// The grid of labels that the head stands for.
    pub labels: LabelSet,
    /// How the labels were learned, and how outputs are decoded.
    pub method: Method,
    /// How faces are aligned for it.
    pub template: Template,
    /// Side of the crops it wants, in pixels.
    pub input_size: usize,
    /// How pixels become numbers.
    #[serde(alias = "normalisation")]
    pub normalization: Normalization,
    /// What it was trained on.
    #[serde(default)]
    pub training_data: String,
    /// How it was trained, in short.
    #[serde(default)]
    pub recipe: String,
    /// Terms of use.
    #[serde(default, alias = "licence")]
    pub license: String,
    /// What was measured of it.
    #[serde(default)]
    pub figures: Vec<Figure>,
    /// How the outputs are corrected, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// What else it estimates, with further outputs of its last layer
    /// ([`ModelInfo::heads`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further_heads: Vec<Head>,
    /// How it was quantized, if it was: then the file holds 8-bit integers.
    #[serde(default, alias = "quantisation", skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
}

impl ModelInfo {
    /// A description with defaults: task `age`, the default template, crops of
    /// 224 pixels, the authors' normalization, no calibration, and nothing said
    /// about training, license and figures.
    pub fn new(name: &str, net: NetSpec, labels: LabelSet, method: Method) -> Self {
        Self {
            name: name.into(),
            task: "age".into(),
            net,
            labels,
            method,
            template: Template::default_face(),
            input_size: 224,
            normalization: Normalization::default(),
            training_data: String::new(),
            recipe: String::new(),
            license: String::new(),
            figures: Vec::new(),
            calibration: None,
            further_heads: Vec::new(),
            quantization: None,
        }
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`NetError::Spec`] that says which do not.
    pub fn check(&self) -> Result<(), NetError> {
        self.net.check()?;
        let heads = self.heads();
        let needed: usize = heads.iter().map(|(head, _)| head.outputs()).sum();
        if self.net.outputs != needed {
            return Err(NetError::Spec(format!(
                "the network has {} outputs, the methods need {needed} for their labels",
                self.net.outputs
            )));
        }
        for (i, (head, _)) in heads.iter().enumerate() {
            if heads[..i].iter().any(|(other, _)| other.task == head.task) {
                return Err(NetError::Spec(format!("two heads estimate {}", head.task)));
            }
        }
        let step = self.net.size_step();
        if self.input_size == 0 || !self.input_size.is_multiple_of(step) {
            return Err(NetError::Spec(format!(
                "the input size {} is no multiple of {step}",
                self.input_size
            )));
        }
        let Normalization { mean, std } = self.normalization;
        if !mean.iter().chain(&std).all(|v| v.is_finite()) || std.iter().any(|&s| s <= 0.0) {
            return Err(NetError::Spec("the normalization is out of range".into()));
        }
        if !self.template.points.iter().flatten().all(|v| v.is_finite()) {
            return Err(NetError::Spec("the template has points that are no numbers".into()));
        }
        let mut calibrations = heads.iter().filter_map(|(head, _)| head.calibration.as_ref());
        if !calibrations.all(|c| c.temperature.is_finite() && c.temperature > 0.0) {
            return Err(NetError::Spec("the calibration's temperature is not above 0".into()));
        }
        Ok(())
    }
}
