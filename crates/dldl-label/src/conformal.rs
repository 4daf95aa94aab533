//! Intervals that hold what they promise: conformal calibration of the central
//! intervals of distributions on held-out samples.
//!
//! It is distributional conformal prediction (Chernozhukov, Wuthrich, Zhu,
//! PNAS 118, 2021): a sample's score `|2 F(y) - 1|` is the level of the central
//! interval that the truth `y` just lies in, and the level that an interval must
//! be asked for so that it covers a share `a` of the truths is the
//! `ceil((n + 1) a)`-th smallest of n scores. For samples drawn like those, a
//! new truth is then covered with a probability of at least `a`, and at most
//! `a + 1 / (n + 1)` without ties, however wrong the distributions are.
//!
//! Not here: running a model over the samples, and the file the result is in.

use serde::{Deserialize, Serialize};

use crate::{Distribution, LabelError};

/// The steps of the coverages that levels are kept for: 1 %, 2 %, ..., 99 %.
const STEPS: usize = 100;

/// What central intervals must be asked for so that they cover what they should.
///
/// Serialized as the levels for coverages of 1 %, 2 %, ..., 99 %; deserializing
/// checks that there are 99, in 0..=1, and that none is below the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct Conformal {
    levels: Vec<f64>,
}

impl TryFrom<Vec<f64>> for Conformal {
    type Error = LabelError;

    fn try_from(levels: Vec<f64>) -> Result<Self, LabelError> {
        const WHAT: &str = "levels of calibrated intervals";
        crate::distribution::check_length(WHAT, STEPS - 1, levels.len())?;
        let wrong =
            |k: usize| !(0.0..=1.0).contains(&levels[k]) || k > 0 && levels[k] < levels[k - 1];
        match (0..levels.len()).find(|&k| wrong(k)) {
            Some(index) => Err(LabelError::Value { what: WHAT, index, value: levels[index] }),
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
    /// Calibrates by the scores ([`Distribution::score`]) of held-out samples.
    /// Where there are too few of them for a coverage, its level is 1: the whole
    /// range. Levels have all their digits: those of a network that is far too
    /// sure of itself differ from 1 by millionths of millionths.
    ///
    /// # Errors
    /// When there is no score, or one is not in 0..=1.
    pub fn fit(scores: &[f64]) -> Result<Self, LabelError> {
        const WHAT: &str = "scores";
        if scores.is_empty() {
            return Err(LabelError::Sum { what: WHAT, sum: 0.0 });
        }
        if let Some(index) = scores.iter().position(|s| !(0.0..=1.0).contains(s)) {
            return Err(LabelError::Value { what: WHAT, index, value: scores[index] });
        }
        let mut scores = scores.to_vec();
        scores.sort_by(f64::total_cmp);
        let level = |percent: usize| {
            // In whole numbers: 0.9 has no exact binary form.
            let rank = ((scores.len() + 1) * percent).div_ceil(STEPS);
            scores.get(rank - 1).copied().unwrap_or(1.0)
        };
        Ok(Self { levels: (1..STEPS).map(level).collect() })
    }

    /// The level that a central interval must be asked for so that it covers a
    /// share `coverage` of truths; linear between whole percents, 0 for 0 and 1
    /// for 1.
    ///
    /// # Panics
    /// When `coverage` is not in `[0, 1]`.
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
    /// The probability of less than `y`, of `y`'s own label half: [`cdf_at`], but
    /// not below half the first label's probability, nor above one minus half the
    /// last one's. So the ends of the range are labels like the others; at a
    /// label inside, it is `P(less) + P(equal) / 2`. What lies outside the range
    /// counts as its nearer end. NaN for NaN.
    ///
    /// [`cdf_at`]: Self::cdf_at
    pub fn pit(&self, y: f64) -> f64 {
        if y.is_nan() {
            return y;
        }
        let [first, last] = self.outer();
        self.cdf_at(y).max(first).min(last)
    }

    /// The level of the smallest [`central_interval`](Self::central_interval)
    /// that holds `y`: `|2 pit(y) - 1|`, 0 at the median, towards 1 far from it.
    ///
    /// A truth that is a whole label (an age in years) is scored at the label
    /// itself, where the interval is asked for it, too: that is what makes
    /// calibrated coverage right for whole numbers.
    pub fn score(&self, y: f64) -> f64 {
        (2.0 * self.pit(y) - 1.0).abs()
    }

    /// The values with a [`score`](Self::score) of at most `level`, as both ends:
    /// [`interval`](Self::interval), but it reaches to the end of the range where
    /// more than half of the outermost label's probability is inside. With the
    /// end as a point of no width it could never be inside. The whole range for
    /// level 1.
    ///
    /// # Panics
    /// When `level` is not in `[0, 1]`.
    pub fn central_interval(&self, level: f64) -> (f64, f64) {
        let (low, high) = self.interval(level);
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
    fn scores_and_intervals_by_hand() {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        let d = Distribution::from_probabilities(&labels, &[0.5, 0.25, 0.25]).unwrap();
        // P(less) + P(equal) / 2, also at both ends.
        assert_eq!([1.0, 2.0, 3.0].map(|y| d.pit(y)), [0.25, 0.625, 0.875]);
        assert_eq!([0.0, 7.0].map(|y| d.pit(y)), [0.25, 0.875]);
        assert!(d.pit(f64::NAN).is_nan());
        assert_eq!([1.0, 2.0, 3.0].map(|y| d.score(y)), [0.5, 0.25, 0.75]);
        // From the middle of the first label's mass to the end of the second's.
        assert_eq!(d.central_interval(0.5), (1.0, 2.5));
        assert_eq!(d.central_interval(0.75), (1.0, 3.0));
        let (low, high) = d.central_interval(0.25);
        assert!(low > 1.0 && (high - 2.0).abs() < 1e-12);
        // What holds no mass is inside at level 1 only.
        let certain = Distribution::from_probabilities(&labels, &[0.0, 1.0, 0.0]).unwrap();
        assert_eq!((certain.score(1.0), certain.score(2.0)), (1.0, 0.0));
        assert_eq!(certain.central_interval(1.0), (1.0, 3.0));
        assert!(certain.central_interval(0.999).0 > 1.4);
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
        // Nine samples cannot promise more than nine tenths.
        let few = Conformal::fit(&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]).unwrap();
        assert_eq!([0.9, 0.91, 0.99].map(|c| few.level(c)), [0.9, 1.0, 1.0]);
    }

    #[test]
    fn what_is_no_table_of_levels_is_refused() {
        assert!(Conformal::fit(&[]).is_err());
        assert!(Conformal::fit(&[0.5, f64::NAN]).is_err());
        assert!(Conformal::fit(&[1.5]).is_err());
        let good = Conformal::fit(&[0.25, 0.5]).unwrap();
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Conformal>(&text).unwrap(), good);
        let mut falling: Vec<f64> = good.into();
        falling[50] = 0.1;
        assert!(Conformal::try_from(falling.clone()).is_err());
        falling.pop();
        assert!(Conformal::try_from(falling).unwrap_err().to_string().contains("99"));
    }
}
