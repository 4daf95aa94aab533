//! The description inside a weights file: everything that is needed to use the
//! model correctly. Its JSON form is in `info/json.rs`, the file in `weights.rs`.

mod json;

use dldl_label::{Bands, Conformal, LabelSet, Method, Recalibration, Task};
use serde::{Deserialize, Serialize};

use crate::{Head, NetError, NetSpec, Template};

/// How pixels are normalized: `(value / 255 - mean) / std` per channel, RGB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Subtracted, in units of full scale.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

impl Default for Normalization {
    /// The values of the authors' release (specification 3.5).
    fn default() -> Self {
        Self { mean: [0.5958, 0.4637, 0.4065], std: [0.2693, 0.2409, 0.2352] }
    }
}

/// A measured figure, such as a test error, that is stored with the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What was measured, such as `val MAE`.
    pub name: String,
    /// The value, in the labels' unit.
    pub value: f64,
    /// On which data and how.
    pub of: String,
}

/// Corrections of a head, fitted to held-out data after the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The logits are divided by it before they are decoded; above 1 the
    /// distributions become wider.
    #[serde(default = "one")]
    pub temperature: f64,
    /// Corrects the estimates and the distributions that are decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
    /// What temperature and recalibration were chosen on, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// Levels that give intervals their promised coverage.
    #[serde(default, skip_serializing_if = "IntervalTables::is_empty")]
    pub intervals: IntervalTables,
}

fn one() -> f64 {
    1.0
}

impl Calibration {
    /// A temperature alone.
    pub fn temperature(temperature: f64) -> Self {
        let intervals = IntervalTables::default();
        Self { temperature, recalibration: None, chosen: None, intervals }
    }
}

/// The pictures that corrections were chosen on: the first half of the people of a
/// split. Intervals that are calibrated on the same split use the other half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The dataset and its split, in words.
    pub on: String,
    /// Number of pictures.
    pub n: usize,
}

/// Interval calibrations for the two kinds of estimates. A fused distribution, the
/// average of two, is wider than either: levels found for one kind do not hold for
/// the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "json::IntervalTables")]
pub struct IntervalTables {
    /// For distributions that flip fusion averaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fused: Option<IntervalCalibration>,
    /// For distributions of the crop alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfused: Option<IntervalCalibration>,
}

impl IntervalTables {
    /// The table for one kind.
    pub fn get(&self, fused: bool) -> Option<&IntervalCalibration> {
        if fused { self.fused.as_ref() } else { self.unfused.as_ref() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fused.is_none() && self.unfused.is_none()
    }
}

/// The result of calibrating intervals: the level at which the distribution's own
/// interval has to be taken for it to cover what is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalCalibration {
    /// The dataset and its split, in words.
    pub on: String,
    /// Number of pictures.
    pub n: usize,
    /// The levels of all pictures together; those of intervals unless there are bands.
    pub levels: Conformal,
    /// The levels by band of the estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bands: Option<Bands>,
}

impl IntervalCalibration {
    /// The levels for a face with this estimate: those of its band, if there are bands.
    pub fn levels_of(&self, estimate: f64) -> &Conformal {
        self.bands.as_ref().map_or(&self.levels, |bands| bands.levels(estimate))
    }
}

/// How a model was quantized, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantization {
    /// Type of the weights.
    pub weights: String,
    /// Type of the activations.
    pub activations: String,
    /// The data that the activations' scales were found on.
    pub calibration: String,
}

/// The description inside a weights file.
///
/// As JSON it has a `version`, [`ModelInfo::VERSION`]. Version 1, in which the
/// first head's fields stood beside `further_heads`, is read as well. Unknown
/// fields are ignored, so that files may carry more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "json::Model", into = "json::Model")]
pub struct ModelInfo {
    /// Name of the model, such as `tiny`.
    pub name: String,
    /// The network.
    pub net: NetSpec,
    /// What it estimates: at least one head, no two of the same task. The first
    /// one's task is the default where only one can be measured.
    pub heads: Vec<Head>,
    /// How faces are aligned for it.
    pub template: Template,
    /// Side of its crops, in pixels; at most [`ModelInfo::MAX_INPUT_SIZE`].
    pub input_size: usize,
    /// How pixels are normalized.
    pub normalization: Normalization,
    /// What it was trained on.
    pub training_data: String,
    /// How it was trained, in short.
    pub recipe: String,
    /// Terms of use.
    pub license: String,
    /// Measured figures.
    pub figures: Vec<Figure>,
    /// How it was quantized; the file then holds 8-bit integers.
    pub quantization: Option<Quantization>,
}

impl ModelInfo {
    /// Version of the JSON form.
    pub const VERSION: u32 = 2;

    /// The largest side of a crop, in pixels. Without a limit a crafted file could
    /// make the engine allocate all memory.
    pub const MAX_INPUT_SIZE: usize = 1024;

    /// The most values of one activation (256 MB of f32): VGG-16's at 1024 pixels.
    const MAX_ACTIVATION: usize = 1 << 26;

    /// The description of a model of ages with defaults: the default template,
    /// crops of 224 pixels, the authors' normalization, no calibration, and
    /// nothing about training, license and figures.
    pub fn new(name: &str, net: NetSpec, labels: LabelSet, method: Method) -> Self {
        Self {
            name: name.into(),
            net,
            heads: vec![Head::new(Task::Age, labels, method)],
            template: Template::default_face(),
            input_size: 224,
            normalization: Normalization::default(),
            training_data: String::new(),
            recipe: String::new(),
            license: String::new(),
            figures: Vec::new(),
            quantization: None,
        }
    }

    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`NetError::Spec`] that says which do not.
    pub fn check(&self) -> Result<(), NetError> {
        self.net.check()?;
        let fail = |what: String| Err(NetError::Spec(what));
        let needed: usize = self.heads.iter().map(Head::outputs).sum();
        if self.heads.is_empty() {
            return fail("the model has no head".into());
        }
        if self.net.outputs != needed {
            return fail(format!(
                "the network has {} outputs, but its heads need {needed}",
                self.net.outputs
            ));
        }
        for (i, head) in self.heads.iter().enumerate() {
            if self.heads[..i].iter().any(|other| other.task == head.task) {
                return fail(format!("two heads estimate {}", head.task));
            }
        }
        let (step, max) = (self.net.size_step(), Self::MAX_INPUT_SIZE);
        if self.input_size == 0 || !self.input_size.is_multiple_of(step) || self.input_size > max {
            return fail(format!(
                "input size {} is not a multiple of {step} from {step} to {max}",
                self.input_size
            ));
        }
        if self.net.largest_activation(self.input_size) > Self::MAX_ACTIVATION {
            return fail(format!(
                "the network is too wide for crops of {0}x{0} pixels: an activation would have more \
                 than {1} values",
                self.input_size,
                Self::MAX_ACTIVATION
            ));
        }
        let Normalization { mean, std } = self.normalization;
        if !mean.iter().chain(&std).all(|v| v.is_finite()) || std.iter().any(|&s| s <= 0.0) {
            return fail("the normalization is out of range".into());
        }
        if !self.template.points.iter().flatten().all(|v| v.is_finite()) {
            return fail("the template has points that are not finite".into());
        }
        let mut calibrations = self.heads.iter().filter_map(|head| head.calibration.as_ref());
        if !calibrations.all(|c| c.temperature.is_finite() && c.temperature > 0.0) {
            return fail("a calibration's temperature is not above 0".into());
        }
        for head in &self.heads {
            let map = head.calibration.as_ref().and_then(|c| c.recalibration.as_ref());
            if map.is_some_and(|map| !map.fits(&head.labels)) {
                let task = head.task;
                return fail(format!("the recalibration of {task} is of another range of labels"));
            }
        }
        Ok(())
    }
}
