//! Label sets (the support of a distribution) and the label of a single sample
//! (mean and standard deviation).

use serde::{Deserialize, Serialize};

use crate::LabelError;

/// Largest number of labels in a set. Far above any practical set (ages in weeks
/// are 5,201 labels), and small enough that a corrupt weights file cannot cause a
/// huge allocation.
pub const MAX_LABELS: usize = 65_536;

/// Tolerance, in steps, for a range to count as a whole number of steps and for a
/// value to count as a label. Covers the rounding of steps such as 0.1, which have
/// no exact binary representation.
const GRID_TOLERANCE: f64 = 1e-6;

/// Smallest step relative to the largest magnitude in the range. Smaller steps are
/// lost in the rounding of the labels themselves.
const FINEST_STEP: f64 = 1e-9;

/// Equally spaced labels `min, min + step, ..., max` (spec 1.1), at least two.
///
/// Serialized as `{"min": 0.0, "max": 100.0, "step": 1.0}`; deserialization applies
/// the checks of [`LabelSet::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Range", into = "Range")]
pub struct LabelSet {
    min: f64,
    max: f64,
    step: f64,
    count: usize,
}

/// The serialized form of a label set.
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
    /// The labels from `min` to `max` (both included), `step` apart.
    ///
    /// # Errors
    /// If a value is not finite, `step` is not positive, `max` is not above `min`,
    /// `step` is below 1e-9 of the largest magnitude, the range is not a whole
    /// number of steps (within 1e-6 steps), or there are more than [`MAX_LABELS`]
    /// labels.
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
        if step < FINEST_STEP * min.abs().max(max.abs()) {
            return error("the step is too fine for labels of this size".into());
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

    /// Number of labels, K; at least 2.
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

    /// The distance between neighboring labels.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// The label with index `k`, counted from 0.
    ///
    /// # Panics
    /// If `k` is not below [`len`](Self::len).
    pub fn value(&self, k: usize) -> f64 {
        assert!(k < self.count, "label {k} of a set of {} labels", self.count);
        // Computed from the whole range instead of by adding steps, so that
        // 1 + 3 * 0.1 is 1.3 and the last label is exactly `max`.
        self.min + (self.max - self.min) * k as f64 / (self.count - 1) as f64
    }

    /// All labels in ascending order.
    pub fn values(&self) -> Vec<f64> {
        (0..self.count).map(|k| self.value(k)).collect()
    }

    /// Index of the label nearest to `y`: the upper one if two are equally near,
    /// the nearer end of the range for a value outside it.
    pub fn nearest(&self, y: f64) -> usize {
        // The cast saturates: values below the range and NaN become 0.
        (self.position(y).round() as usize).min(self.count - 1)
    }

    /// The two labels around `y` for linear interpolation: the index `k` of the
    /// lower one and the weight of `k + 1`, in `[0, 1]`, so that
    /// `(1 - weight) * value(k) + weight * value(k + 1)` is `y`. `k + 1` is always
    /// a valid index. Values outside the range count as its nearer end, and a value
    /// within 1e-6 steps of a label as that label.
    pub fn bracket(&self, y: f64) -> (usize, f64) {
        let position = self.position(y).clamp(0.0, (self.count - 1) as f64);
        let whole = position.round();
        let position = if (position - whole).abs() <= GRID_TOLERANCE { whole } else { position };
        let k = (position as usize).min(self.count - 2);
        (k, position - k as f64)
    }

    /// The ends of a label's bin: half a step to either side, within the range.
    pub(crate) fn bin(&self, k: usize) -> (f64, f64) {
        let edge = |k: usize| 0.5 * (self.value(k - 1) + self.value(k));
        let low = if k == 0 { self.min } else { edge(k) };
        let high = if k + 1 == self.count { self.max } else { edge(k + 1) };
        (low, high)
    }

    /// Distance of `y` from the smallest label, in steps.
    fn position(&self, y: f64) -> f64 {
        (y - self.min) / (self.max - self.min) * (self.count - 1) as f64
    }
}

/// The label of one sample: its mean and standard deviation, in units of the label.
/// The standard deviation is that of the annotators, or a fixed value such as 2
/// years if the only annotation is a true age.
///
/// Deserialization applies the checks of [`Label::new`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MeanSigma")]
pub struct Label {
    /// Mean; any finite number, also between labels or outside their range.
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
    /// If either is not finite, or `sigma` is negative.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_sets_of_the_paper() {
        assert_eq!(LabelSet::age(), LabelSet::new(0.0, 100.0, 1.0).unwrap());
        assert_eq!(LabelSet::attractiveness_5(), LabelSet::new(1.0, 5.0, 0.1).unwrap());
        assert_eq!(LabelSet::attractiveness_7(), LabelSet::new(1.0, 7.0, 0.1).unwrap());
        assert_eq!(LabelSet::attractiveness_5().values()[3], 1.3);
        assert_eq!(LabelSet::attractiveness_7().values()[60], 7.0);
        // HotOrNot, Selfie and BoneAge of spec 1.1.
        assert_eq!(LabelSet::new(-3.6, 3.6, 0.1).unwrap().len(), 73);
        assert_eq!(LabelSet::new(1.5, 7.0, 0.1).unwrap().len(), 56);
        assert_eq!(LabelSet::new(1.0, 230.0, 1.0).unwrap().len(), 230);
    }

    #[test]
    fn invalid_label_sets_are_rejected() {
        for (min, max, step, reason) in [
            (f64::NAN, 1.0, 1.0, "finite"),
            (0.0, f64::INFINITY, 1.0, "finite"),
            (0.0, 10.0, 0.0, "positive"),
            (0.0, 10.0, -1.0, "positive"),
            (10.0, 10.0, 1.0, "above"),
            (10.0, 0.0, 1.0, "above"),
            (0.0, 10.0, 3.0, "whole number"),
            (0.0, 1.0, 2.0, "whole number"),
            (0.0, 100.0, 1e-3, "more than 65536"),
            (1e12, 1e12 + 2.0, 1.0, "too fine"),
        ] {
            let error = LabelSet::new(min, max, step).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn deserialization_applies_the_same_checks() {
        let text = r#"{"min":1.0,"max":5.0,"step":0.1}"#;
        let labels: LabelSet = serde_json::from_str(text).unwrap();
        assert_eq!(labels, LabelSet::attractiveness_5());
        assert_eq!(serde_json::to_string(&labels).unwrap(), text);
        for bad in [
            r#"{"min":1,"max":5,"step":0.3}"#,
            r#"{"min":1,"max":5}"#,
            r#"{"min":1,"max":5,"step":1,"count":5}"#,
        ] {
            assert!(serde_json::from_str::<LabelSet>(bad).is_err(), "{bad}");
        }
        let label: Label = serde_json::from_str(r#"{"mean":31.4,"sigma":0}"#).unwrap();
        assert_eq!(label, Label { mean: 31.4, sigma: 0.0 });
        assert!(serde_json::from_str::<Label>(r#"{"mean":31.4,"sigma":-1}"#).is_err());
        assert!(Label::new(f64::NAN, 1.0).is_err());
        assert!(Label::new(1.0, f64::INFINITY).is_err());
    }

    #[test]
    fn values_outside_the_range_count_as_its_ends() {
        let ages = LabelSet::age();
        assert_eq!((ages.nearest(-7.0), ages.nearest(116.0)), (0, 100));
        assert_eq!((ages.nearest(30.4), ages.nearest(30.5)), (30, 31));
        assert_eq!((ages.nearest(f64::MIN), ages.nearest(f64::MAX)), (0, 100));
        assert_eq!(ages.bracket(-7.0), (0, 0.0));
        assert_eq!(ages.bracket(116.0), (99, 1.0));
        assert_eq!(ages.bracket(30.25), (30, 0.25));
        // 1.3 is a label, although it is not exactly three steps from 1.
        assert_eq!(LabelSet::attractiveness_5().bracket(1.3), (3, 0.0));
    }
}
