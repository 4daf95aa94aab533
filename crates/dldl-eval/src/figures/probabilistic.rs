//! Figures of distributions and of intervals. The scores of single pictures are
//! in their predictions.

use dldl::LabelSet;
use dldl_label::metrics::labels_within;
use dldl_net::Calibration;
use serde::{Deserialize, Serialize};

use super::{Measured, People, means};
use crate::Prediction;
use crate::prediction::LEVELS;

/// The bins of the histogram of cumulative probabilities.
const PIT_BINS: usize = 20;

/// How good the distributions and the intervals are, after flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probabilistic {
    /// The mean negative logarithm of the density at the truth, in nats.
    pub nll: Option<Measured>,
    /// The mean continuous ranked probability score, in units of the label: the
    /// MAE, if every distribution were one label alone.
    pub crps: Option<Measured>,
    /// How the intervals do, one entry for each of the [`LEVELS`].
    pub coverage: Vec<Coverage>,
    /// How many truths have which cumulative probability, in 20 bins from 0 to 1:
    /// flat, if the distributions are right.
    pub pit: Vec<usize>,
    /// Promised against observed coverage, by levels from 0.05 to 0.95.
    pub reliability: Vec<Reliability>,
}

/// How the intervals of one level do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The share of truths that should be inside, 0..=1.
    pub level: f64,
    /// The share that is.
    pub observed: Measured,
    /// The mean width, in units of the label.
    pub width: Measured,
}

/// A point of the reliability curve; all are shares, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The level.
    pub level: f64,
    /// The share of truths inside the distribution's central interval of this
    /// level, as the network says it.
    pub distribution: f64,
    /// The same of the calibrated interval; none for a model that is not
    /// calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<f64>,
}

/// The figures of all predictions of a model with these labels and this
/// calibration.
pub fn probabilistic(
    predictions: &[Prediction],
    labels: &LabelSet,
    calibration: Option<&Calibration>,
) -> Probabilistic {
    let people = People::of(predictions);
    let both = means(&people, predictions.iter().map(|p| [p.nll, p.crps]));
    let mut pit = vec![0; PIT_BINS];
    for p in predictions {
        pit[((p.pit * PIT_BINS as f64) as usize).min(PIT_BINS - 1)] += 1;
    }
    let n = predictions.len() as f64;
    let inside = |level: f64| {
        let score = |p: &&Prediction| (2.0 * p.pit - 1.0).abs() <= level;
        predictions.iter().filter(score).count() as f64 / n
    };
    let levels = calibration.and_then(|c| c.intervals.get(true)).map(|i| &i.levels);
    let point = |i: u32| {
        let level = f64::from(i) / 20.0;
        let calibrated = levels.map(|levels| inside(levels.level(level)));
        Reliability { level, distribution: inside(level), calibrated }
    };
    let points = if predictions.is_empty() { 0 } else { 20 };
    Probabilistic {
        nll: both.map(|b| b[0]),
        crps: both.map(|b| b[1]),
        coverage: coverage(&people, predictions.iter(), labels),
        pit,
        reliability: (1..points).map(point).collect(),
    }
}

/// How the intervals of each of the [`LEVELS`] do; empty without predictions.
pub(super) fn coverage<'a>(
    people: &People,
    predictions: impl Iterator<Item = &'a Prediction>,
    labels: &LabelSet,
) -> Vec<Coverage> {
    const N: usize = LEVELS.len();
    let row = |p: &Prediction| {
        let mut row = [0.0; 2 * N];
        for (i, [low, high]) in p.intervals.into_iter().enumerate() {
            (row[i], row[N + i]) = (covered(p, i, labels), high - low);
        }
        row
    };
    let Some(figures) = means(people, predictions.map(row)) else { return Vec::new() };
    let level = |(i, level)| Coverage { level, observed: figures[i], width: figures[N + i] };
    LEVELS.into_iter().enumerate().map(level).collect()
}

/// Whether a truth lies in the interval of level number `i`, both ends included:
/// 1 or 0; of a range, the share of its labels that do. A truth outside the
/// labels counts as the nearer end.
pub fn covered(prediction: &Prediction, i: usize, labels: &LabelSet) -> f64 {
    let [low, high] = prediction.intervals[i];
    // Quantiles come with the rounding of a sum.
    let slack = 1e-9 * labels.step();
    let inside = |y: f64| {
        let y = y.clamp(labels.min(), labels.max());
        low - slack <= y && y <= high + slack
    };
    let share = |range: std::ops::Range<usize>| {
        let count = range.len() as f64;
        range.filter(|&k| inside(labels.value(k))).count() as f64 / count
    };
    match prediction.range {
        Some([first, last]) => share(labels_within(labels, first, last)),
        None => f64::from(u8::from(inside(prediction.truth))),
    }
}

#[cfg(test)]
mod tests {
    use dldl_label::Conformal;
    use dldl_net::{IntervalCalibration, IntervalTables};

    use super::*;
    use crate::figures::testing::{many, prediction};

    #[test]
    fn truths_and_ranges_are_inside_or_not() {
        let ages = LabelSet::age();
        let mut one = prediction(30.0, 30.0);
        one.intervals = [[29.0, 30.0], [30.5, 31.0], [90.0, 100.0], [0.0, 34.0]];
        assert_eq!([0, 1, 2, 3].map(|i| covered(&one, i, &ages)), [1.0, 0.0, 0.0, 1.0]);
        // Older than the oldest label.
        assert_eq!(covered(&Prediction { truth: 116.0, ..one.clone() }, 2, &ages), 1.0);
        // Of 30, 31, ..., 39, five are at most 34, and one is at most 30.
        let range = Prediction { range: Some([30.0, 39.0]), ..one };
        assert_eq!((covered(&range, 3, &ages), covered(&range, 0, &ages)), (0.5, 0.1));
    }

    #[test]
    fn figures_of_distributions() {
        let mut predictions = many(200, 200);
        for (i, p) in predictions.iter_mut().enumerate() {
            p.pit = (i as f64 + 0.5) / 200.0;
            (p.nll, p.crps) = (2.0 + (i % 2) as f64, 1.0);
            let high = if i < 150 { p.truth + 1.0 } else { p.truth - 1.0 };
            p.intervals = [[p.truth - 3.0, high]; 4];
        }
        let levels = Conformal::fit(&[0.5; 1000]).unwrap();
        let fused = Some(IntervalCalibration { on: "x".into(), n: 1000, levels });
        let intervals = IntervalTables { fused, unfused: None };
        let calibration = Calibration { temperature: 1.0, intervals };
        let found = probabilistic(&predictions, &LabelSet::age(), Some(&calibration));
        assert_eq!(found.nll.unwrap().value, 2.5);
        let crps = found.crps.unwrap();
        assert_eq!((crps.value, crps.interval), (1.0, Some([1.0, 1.0])));
        assert_eq!(found.pit, [10; 20]);
        for (point, level) in found.reliability.iter().zip([0.05, 0.1, 0.15]) {
            assert!((point.level - level).abs() < 1e-12);
            assert!((point.distribution - level).abs() < 0.011, "{point:?}");
            assert_eq!(point.calibrated, Some(0.5));
        }
        let coverage = found.coverage[2];
        assert_eq!((coverage.level, coverage.observed.value), (0.9, 0.75));
        // 150 of width 4 and 50 of width 2.
        assert_eq!(coverage.width.value, 3.5);
        let nothing = probabilistic(&[], &LabelSet::age(), None);
        assert!(nothing.coverage.is_empty() && nothing.nll.is_none());
        assert!(nothing.reliability.is_empty());
    }
}
