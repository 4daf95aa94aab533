//! The label set (which values a distribution lives on) and the label of one
//! sample (a mean and a spread).
//!
//! Not here: distributions over the set, which are in `distribution.rs`.

use serde::{Deserialize, Serialize};

use crate::LabelError;

/// The most labels a set may have: far above any use (ages by the week are
/// 5,201), and low enough that a damaged weights file cannot ask for the whole
/// memory.
pub const MAX_LABELS: usize = 65_536;

/// How far, in steps, a range may miss a whole number of steps, and how near a
/// value must be to a label to be that label. Covers the rounding of steps such
/// as 0.1, which have no exact binary form.
const GRID_TOLERANCE: f64 = 1e-6;

/// Equally spaced labels `min, min + step, ..., max` (spec 1.1), at least two.
///
/// Serialised as `{"min", "max", "step"}`; deserialising applies the checks of
/// [`LabelSet::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Range", into = "Range")]
pub struct LabelSet {
    min: f64,
    max: f64,
    step: f64,
    count: usize,
}

/// The serialised form of a label set.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    min: f64,
    max: f64,
    step: f64,
}

impl TryFrom<Range> for LabelSet {
    type Error = LabelError;

    fn try_from(range: Range) -> Result<Self, LabelError> {
        LabelSet::new(range.min, range.max, range.step)
    }
}

impl From<LabelSet> for Range {
    fn from(labels: LabelSet) -> Self {
        Range { min: labels.min, max: labels.max, step: labels.step }
    }
}

impl LabelSet {
    /// The labels from `min` to `max`, both included, `step` apart.
    ///
    /// # Errors
    /// When a value is not finite, `step` is not positive, `max` is not above
    /// `min`, the range is not a whole number of steps (to 1e-6 steps), or
    /// there would be more than [`MAX_LABELS`].
    pub fn new(min: f64, max: f64, step: f64) -> Result<Self, LabelError> {
        let error = |reason: String| Err(LabelError::LabelSet { min, max, step, reason });
        if !(min.is_finite() && max.is_finite() && step.is_finite()) {
            return error("all three must be finite".into());
        }
        if step <= 0.0 {
            return error("step must be positive".into());
        }
        if max <= min {
            return error("the largest label must be above the smallest".into());
        }
        let steps = (max - min) / step;
        if steps + 1.0 > MAX_LABELS as f64 + 0.5 {
            return error(format!("more than {MAX_LABELS} labels"));
        }
        let whole = steps.round();
        if whole < 1.0 || (steps - whole).abs() > GRID_TOLERANCE {
            return error("the range is not a whole number of steps".into());
        }
        Ok(LabelSet { min, max, step, count: whole as usize + 1 })
    }

    /// Ages 0, 1, ..., 100 years: 101 labels.
    pub fn age() -> Self {
        LabelSet { min: 0.0, max: 100.0, step: 1.0, count: 101 }
    }

    /// Attractiveness 1.0, 1.1, ..., 5.0 (SCUT-FBP, SCUT-FBP5500): 41 labels.
    pub fn attractiveness_5() -> Self {
        LabelSet { min: 1.0, max: 5.0, step: 0.1, count: 41 }
    }

    /// Attractiveness 1.0, 1.1, ..., 7.0 (CFD): 61 labels.
    pub fn attractiveness_7() -> Self {
        LabelSet { min: 1.0, max: 7.0, step: 0.1, count: 61 }
    }

    /// The number of labels, K; at least 2.
    #[expect(clippy::len_without_is_empty, reason = "a label set is never empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The smallest label.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The largest label.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The distance between neighbouring labels.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Label number `k`, counted from 0.
    ///
    /// # Panics
    /// When `k` is not below [`len`](Self::len).
    pub fn value(&self, k: usize) -> f64 {
        assert!(k < self.count, "label {k} of a set of {}", self.count);
        // From the whole range rather than by adding steps, so that 1 + 3 * 0.1
        // reads 1.3 and the last label is exactly `max`.
        self.min + (self.max - self.min) * k as f64 / (self.count - 1) as f64
    }

    /// All labels in ascending order.
    pub fn values(&self) -> Vec<f64> {
        (0..self.count).map(|k| self.value(k)).collect()
    }

    /// The number of the label nearest to `y`: the upper one of two equally
    /// near, an end of the range for values outside it.
    pub fn nearest(&self, y: f64) -> usize {
        // The cast saturates: below the range (and NaN) gives 0.
        (self.position(y).round() as usize).min(self.count - 1)
    }

    /// The labels around `y` for linear interpolation: the number `k` of the
    /// lower one and the weight in `[0, 1]` that `k + 1` gets, so that
    /// `(1 - weight) * value(k) + weight * value(k + 1)` is `y`. `k + 1` is
    /// always a label. Values outside the range count as its nearer end, and a
    /// value that differs from a label by rounding only (1e-6 steps) as that
    /// label.
    pub fn bracket(&self, y: f64) -> (usize, f64) {
        let position = self.position(y).clamp(0.0, (self.count - 1) as f64);
        let whole = position.round();
        let position = if (position - whole).abs() <= GRID_TOLERANCE { whole } else { position };
        let k = (position as usize).min(self.count - 2);
        (k, position - k as f64)
    }

    /// Where `y` lies, in steps from the smallest label.
    fn position(&self, y: f64) -> f64 {
        (y - self.min) / (self.max - self.min) * (self.count - 1) as f64
    }
}

/// What is known of one sample: the mean of its label and the standard
/// deviation around it (the annotators' spread, or a fixed value such as 2
/// years where there is only one true age), both in units of the label.
///
/// Deserialising applies the checks of [`Label::new`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MeanSigma")]
pub struct Label {
    /// Mean label; any finite number, on the grid of labels or not.
    pub mean: f64,
    /// Standard deviation; finite, at least 0.
    pub sigma: f64,
}

/// The unchecked form of a label.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeanSigma {
    mean: f64,
    sigma: f64,
}

impl TryFrom<MeanSigma> for Label {
    type Error = LabelError;

    fn try_from(label: MeanSigma) -> Result<Self, LabelError> {
        Label::new(label.mean, label.sigma)
    }
}

impl Label {
    /// A label with the given mean and standard deviation.
    ///
    /// # Errors
    /// When either is not finite, or `sigma` is negative.
    pub fn new(mean: f64, sigma: f64) -> Result<Self, LabelError> {
        let error = |reason| Err(LabelError::Label { mean, sigma, reason });
        if !mean.is_finite() {
            return error("the mean must be finite");
        }
        if !(sigma.is_finite() && sigma >= 0.0) {
            return error("sigma must be finite and at least 0");
        }
        Ok(Label { mean, sigma })
    }
}
