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
/// Serialised as the levels for coverages of 1 %, 2 %, ..., 99 %; deserialising
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
        let wrong = |k: usize| {
            !(0.0..=1.0).contains(&levels[k]) || k > 0 && levels[k] < levels[k - 1]
        };
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
    /// range. Levels are rounded up to millionths, which keeps the promise and
    /// the file short.
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
            let exact = scores.get(rank - 1).copied().unwrap_or(1.0);
            ((exact * 1e6).ceil() / 1e6).min(1.0)
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
    /// The probability of less than `y`, half of that of `y`'s own label being
    /// below it: [`cdf_at`](Self::cdf_at), but never below half the first
    /// label's probability nor above one minus half the last one's. So the ends
    /// of the range are labels like the others, and for a whole label it is the
    /// mid-distribution function. A truth outside the range counts as its
    /// nearer end.
    ///
    /// NaN for NaN.
    pub fn pit(&self, y: f64) -> f64 {
        let p = self.probabilities();
        let (first, last) = (0.5 * p[0], 1.0 - 0.5 * p[p.len() - 1]);
        self.cdf_at(y).max(first).min(last).max(if y.is_nan() { f64::NAN } else { 0.0 })
    }

    /// The level of the smallest central [`interval`](Self::interval) that holds
    /// `y`, `|2 pit(y) - 1|`: 0 at the median, towards 1 far from it.
    ///
    /// Truths that are whole labels (ages in years) are scored at the label
    /// itself, as they are looked for in the interval: that makes the coverage of
    /// calibrated intervals right for them, too.
    pub fn score(&self, y: f64) -> f64 {
        (2.0 * self.pit(y) - 1.0).abs()
    }
}
