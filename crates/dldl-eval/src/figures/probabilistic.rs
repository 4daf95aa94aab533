//! Metrics of distributions and intervals. Scores of single pictures are part of their
//! predictions.

use dldl::LabelSet;
use dldl_label::metrics::labels_within;
use dldl_net::Calibration;
use serde::{Deserialize, Serialize};

use super::{Measured, People, means};
use crate::Prediction;
use crate::prediction::LEVELS;

/// The number of bins of the PIT histogram.
const PIT_BINS: usize = 20;

/// Metrics of distributions and intervals, with flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probabilistic {
    /// The mean negative log-likelihood, in nats.
    pub nll: Option<Measured>,
    /// The mean continuous ranked probability score, in units of the label. For
    /// distributions with all mass on one label, it equals the MAE.
    pub crps: Option<Measured>,
    /// Coverage and width of the intervals, one entry per level of [`LEVELS`].
    pub coverage: Vec<Coverage>,
    /// Histogram of the probability integral transform of the true values, in 20 bins
    /// from 0 to 1: flat for correct distributions.
    pub pit: Vec<usize>,
    /// Observed coverage by nominal level, from 0.05 to 0.95.
    pub reliability: Vec<Reliability>,
}

/// Coverage and width of the intervals of one level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The nominal share of true values inside, 0..=1.
    pub level: f64,
    /// The observed share.
    pub observed: Measured,
    /// The mean width, in units of the label.
    pub width: Measured,
}

/// A point of the reliability curve; all values are shares, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The nominal level.
    pub level: f64,
    /// The share of true values inside the distribution's central interval of this
    /// level, as the network says it.
    pub distribution: f64,
    /// The same for the calibrated interval; none for an uncalibrated model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<f64>,
}

/// Metrics over all predictions of a model with these labels and this calibration.
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
    let inside = |level: &dyn Fn(&Prediction) -> f64| {
        let score = |p: &&Prediction| (2.0 * p.pit - 1.0).abs() <= level(p);
        predictions.iter().filter(score).count() as f64 / n
    };
    let table = calibration.and_then(|c| c.intervals.get(true));
    let point = |i: u32| {
        let level = f64::from(i) / 20.0;
        let calibrated = table.map(|table| inside(&|p| table.levels_of(p.fused).level(level)));
        Reliability { level, distribution: inside(&|_| level), calibrated }
    };
    let points = if predictions.is_empty() { 0 } else { 20 };
    Probabilistic {
        nll: both.map(|b| b[0]),
        crps: both.map(|b| b[1]),
        coverage: coverage(&people, predictions.iter(), labels, &|p| p.intervals),
        pit,
        reliability: (1..points).map(point).collect(),
    }
}

/// Both ends of a prediction's intervals at [`LEVELS`].
pub(super) type Intervals<'a> = &'a dyn Fn(&Prediction) -> [[f64; 2]; LEVELS.len()];

/// Coverage and width of intervals at each of [`LEVELS`]; empty without predictions.
pub(super) fn coverage<'a>(
    people: &People,
    predictions: impl Iterator<Item = &'a Prediction>,
    labels: &LabelSet,
    intervals: Intervals,
) -> Vec<Coverage> {
    const N: usize = LEVELS.len();
    let row = |p: &Prediction| {
        let mut row = [0.0; 2 * N];
        for (i, ends) in intervals(p).into_iter().enumerate() {
            (row[i], row[N + i]) = (contained(p, ends, labels), ends[1] - ends[0]);
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
    contained(prediction, prediction.intervals[i], labels)
}

/// [`covered`] for an interval.
fn contained(prediction: &Prediction, [low, high]: [f64; 2], labels: &LabelSet) -> f64 {
    // Quantiles have rounding errors.
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
    fn ranges_are_covered_by_share() {
        let ages = LabelSet::age();
        let mut one = prediction(30.0, 30.0);
        one.intervals = [[29.0, 30.0], [30.5, 31.0], [90.0, 100.0], [0.0, 34.0]];
        assert_eq!([0, 1, 2, 3].map(|i| covered(&one, i, &ages)), [1.0, 0.0, 0.0, 1.0]);
        // Above the last label.
        assert_eq!(covered(&Prediction { truth: 116.0, ..one.clone() }, 2, &ages), 1.0);
        // Of 30, 31, ..., 39, five are at most 34, and one is at most 30.
        let range = Prediction { range: Some([30.0, 39.0]), ..one };
        assert_eq!((covered(&range, 3, &ages), covered(&range, 0, &ages)), (0.5, 0.1));
    }

    #[test]
    fn metrics_match_hand_computed_ones() {
        let mut predictions = many(200, 200);
        for (i, p) in predictions.iter_mut().enumerate() {
            p.pit = (i as f64 + 0.5) / 200.0;
            (p.nll, p.crps) = (2.0 + (i % 2) as f64, 1.0);
            let high = if i < 150 { p.truth + 1.0 } else { p.truth - 1.0 };
            p.intervals = [[p.truth - 3.0, high]; 4];
        }
        let levels = Conformal::fit(&[0.5; 1000]).unwrap();
        let fused = Some(IntervalCalibration { on: "x".into(), n: 1000, levels, bands: None });
        let intervals = IntervalTables { fused, unfused: None };
        let calibration = Calibration { intervals, ..Calibration::temperature(1.0) };
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
