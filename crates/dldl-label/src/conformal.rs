//! Distributional conformal prediction (Chernozhukov, Wuthrich, Zhu, PNAS 118,
//! 2021): intervals calibrated on held-out samples.
//!
//! The nonconformity score `|2 F(y) - 1|` of a sample is the level of the smallest
//! interval around the median that contains the true value `y`. The level for a
//! coverage `a` is the `ceil((n + 1) a)`-th smallest of n scores. For new samples
//! from the same population, the interval of that level contains the true value
//! with probability at least `a`, and at most `a + 1 / (n + 1)` if there are no
//! ties, however wrong the distributions are.

use serde::{Deserialize, Serialize};

use crate::{Distribution, LabelError};

/// Levels are stored for coverages in steps of 1 / 100: 1 %, 2 %, ..., 99 %.
const STEPS: usize = 100;

/// A conformal calibration: the interval level that yields each coverage.
///
/// Pass [`level`](Self::level) to [`Distribution::conformal_interval`]:
///
/// ```
/// use dldl_label::{Conformal, Distribution, LabelSet};
///
/// let ages = LabelSet::age();
/// // Held-out samples: the predicted sigma is 3 years, the errors are up to 6 years.
/// let held_out = (0..99).map(|i| {
///     let d = Distribution::gaussian(&ages, 40.0, 3.0)?;
///     Ok(d.nonconformity_score(40.0 + f64::from(i - 49) * 12.0 / 98.0))
/// });
/// let scores = held_out.collect::<Result<Vec<f64>, dldl_label::LabelError>>()?;
/// let calibration = Conformal::fit(&scores)?;
///
/// let d = Distribution::gaussian(&ages, 30.0, 3.0)?;
/// let (low, high) = d.conformal_interval(calibration.level(0.9));
/// assert!(high - low > 10.0, "wider than the equal-tailed interval of 0.9");
/// # Ok::<(), dldl_label::LabelError>(())
/// ```
///
/// Serialized as the levels for coverages of 1 %, 2 %, ..., 99 %. Deserialization
/// checks that there are 99 levels from 0 to 1 in non-descending order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Conformal {
    levels: Vec<f64>,
}

impl TryFrom<Vec<f64>> for Conformal {
    type Error = LabelError;

    fn try_from(levels: Vec<f64>) -> Result<Self, LabelError> {
        const WHAT: &str = "calibration levels";
        crate::distribution::check_length(WHAT, STEPS - 1, levels.len())?;
        let wrong =
            |k: usize| !(0.0..=1.0).contains(&levels[k]) || k > 0 && levels[k] < levels[k - 1];
        match (0..levels.len()).find(|&k| wrong(k)) {
            Some(index) => Err(LabelError::Value {
                what: WHAT,
                index,
                value: levels[index],
                expected: "levels from 0 to 1 in ascending order",
            }),
            None => Ok(Self { levels }),
        }
    }
}

impl From<Conformal> for Vec<f64> {
    fn from(conformal: Conformal) -> Self {
        conformal.levels
    }
}

impl Conformal {
    /// Calibrates on the [nonconformity scores](Distribution::nonconformity_score)
    /// of held-out samples. A coverage `a` needs at least `a / (1 - a)` samples (19
    /// are enough for 95 %, 9 for 90 %); with fewer, its level is 1, the whole
    /// range. Levels are not rounded: those of a very overconfident network differ
    /// from 1 by as little as 1e-12.
    ///
    /// # Errors
    /// If there are no scores, or one is not in `[0, 1]`.
    pub fn fit(scores: &[f64]) -> Result<Self, LabelError> {
        const WHAT: &str = "nonconformity scores";
        if scores.is_empty() {
            return Err(LabelError::Empty { what: WHAT });
        }
        if let Some(index) = scores.iter().position(|s| !(0.0..=1.0).contains(s)) {
            let (value, expected) = (scores[index], "a score from 0 to 1");
            return Err(LabelError::Value { what: WHAT, index, value, expected });
        }
        let mut scores = scores.to_vec();
        scores.sort_by(f64::total_cmp);
        let level = |percent: usize| {
            // In integers, since 0.9 has no exact binary representation.
            let rank = ((scores.len() + 1) * percent).div_ceil(STEPS);
            scores.get(rank - 1).copied().unwrap_or(1.0)
        };
        Ok(Self { levels: (1..STEPS).map(level).collect() })
    }

    /// The level of [`Distribution::conformal_interval`] that contains the true
    /// value with probability `coverage`; linear between whole percents, 0 for 0
    /// and 1 for 1.
    ///
    /// # Panics
    /// If `coverage` is not in `[0, 1]`.
    pub fn level(&self, coverage: f64) -> f64 {
        assert!((0.0..=1.0).contains(&coverage), "coverage {coverage} is not in [0, 1]");
        let at = |percent: usize| match percent {
            0 => 0.0,
            STEPS.. => 1.0,
            _ => self.levels[percent - 1],
        };
        let position = coverage * STEPS as f64;
        let whole = position.round();
        if (position - whole).abs() < 1e-9 {
            return at(whole as usize);
        }
        let below = position as usize;
        let (low, high) = (at(below), at(below + 1));
        low + (high - low) * (position - below as f64)
    }
}

impl Distribution {
    /// The probability integral transform of `y`, with half of the probability of
    /// `y`'s own label: `P(less) + P(equal) / 2` at every label. It is [`cdf_at`],
    /// limited to half the first label's probability below and one minus half the
    /// last label's above, so that the ends of the range are treated like the other
    /// labels. Values outside the range count as its nearer end. NaN for NaN.
    ///
    /// [`cdf_at`]: Self::cdf_at
    pub fn pit(&self, y: f64) -> f64 {
        if y.is_nan() {
            return y;
        }
        let [first, last] = self.outer();
        self.cdf_at(y).max(first).min(last)
    }

    /// The level of the smallest [`conformal_interval`](Self::conformal_interval)
    /// that contains `y`: `|2 pit(y) - 1|`, 0 at the median and close to 1 far from
    /// it.
    ///
    /// A true value that equals a label (an age in years) is scored at the label
    /// itself, and the interval contains it under the same condition. Calibrated
    /// coverage is therefore correct for integer labels.
    pub fn nonconformity_score(&self, y: f64) -> f64 {
        (2.0 * self.pit(y) - 1.0).abs()
    }

    /// The values with a [`nonconformity_score`](Self::nonconformity_score) of at
    /// most `level`, as `(low, high)`. For a coverage, pass the calibrated level
    /// from [`Conformal::level`].
    ///
    /// It is the [`equal_tailed_interval`](Self::equal_tailed_interval), extended
    /// to an end of the range if it contains more than half of the outermost label's
    /// probability; otherwise the end itself could never be covered. The whole range
    /// for level 1.
    ///
    /// # Panics
    /// If `level` is not in `[0, 1]`.
    pub fn conformal_interval(&self, level: f64) -> (f64, f64) {
        let (low, high) = self.equal_tailed_interval(level);
        let [first, last] = self.outer();
        let (min, max) = (self.labels().min(), self.labels().max());
        let below = 0.5 * (1.0 - level);
        let reaches = |p: f64| level >= 1.0 || p > 0.0 && below <= p;
        (if reaches(first) { min } else { low }, if reaches(1.0 - last) { max } else { high })
    }

    /// The [`pit`](Self::pit) of the first label and of the last.
    fn outer(&self) -> [f64; 2] {
        let p = self.probabilities();
        [0.5 * p[0], 1.0 - 0.5 * p[p.len() - 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LabelSet;

    #[test]
    fn scores_and_intervals_match_hand_computed_values() {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        let d = Distribution::from_probabilities(&labels, &[0.5, 0.25, 0.25]).unwrap();
        // P(less) + P(equal) / 2, also at both ends.
        assert_eq!([1.0, 2.0, 3.0].map(|y| d.pit(y)), [0.25, 0.625, 0.875]);
        assert_eq!([0.0, 7.0].map(|y| d.pit(y)), [0.25, 0.875]);
        assert!(d.pit(f64::NAN).is_nan());
        assert_eq!([1.0, 2.0, 3.0].map(|y| d.nonconformity_score(y)), [0.5, 0.25, 0.75]);
        // From the middle of the first label's probability to the end of the second's.
        assert_eq!(d.conformal_interval(0.5), (1.0, 2.5));
        assert_eq!(d.conformal_interval(0.75), (1.0, 3.0));
        let (low, high) = d.conformal_interval(0.25);
        assert!(low > 1.0 && (high - 2.0).abs() < 1e-12);
        // Labels without probability are inside at level 1 only.
        let certain = Distribution::from_probabilities(&labels, &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!(
            (certain.nonconformity_score(1.0), certain.nonconformity_score(2.0)),
            (1.0, 0.0)
        );
        assert_eq!(certain.conformal_interval(1.0), (1.0, 3.0));
        assert!(certain.conformal_interval(0.999).0 > 1.4);
    }

    #[test]
    fn levels_are_order_statistics() {
        let scores: Vec<f64> = (1..=199).rev().map(|i| f64::from(i) / 256.0).collect();
        let conformal = Conformal::fit(&scores).unwrap();
        // ceil(200 * 0.9) = 180, ceil(200 * 0.5) = 100.
        for (coverage, rank) in [(0.9, 180.0), (0.5, 100.0), (0.01, 2.0), (0.99, 198.0)] {
            assert_eq!(conformal.level(coverage), rank / 256.0, "{coverage}");
        }
        assert_eq!((conformal.level(0.0), conformal.level(1.0)), (0.0, 1.0));
        let between = 0.5 * (conformal.level(0.9) + conformal.level(0.91));
        assert!((conformal.level(0.905) - between).abs() < 1e-12);
        // Nine samples cannot guarantee a coverage above 90 %.
        let few = Conformal::fit(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]).unwrap();
        assert_eq!([0.9, 0.91, 0.99].map(|c| few.level(c)), [0.9, 1.0, 1.0]);
    }

    #[test]
    fn invalid_scores_and_levels_are_rejected() {
        assert!(Conformal::fit(&[]).is_err());
        assert!(Conformal::fit(&[0.5, f64::NAN]).is_err());
        assert!(Conformal::fit(&[1.5]).is_err());
        let good = Conformal::fit(&[0.25, 0.5]).unwrap();
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Conformal>(&text).unwrap(), good);
        let mut descending: Vec<f64> = good.into();
        descending[50] = 0.1;
        assert!(Conformal::try_from(descending.clone()).is_err());
        descending.pop();
        assert!(Conformal::try_from(descending).unwrap_err().to_string().contains("99"));
    }
}
