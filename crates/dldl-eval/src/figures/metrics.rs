//! Errors of estimates. The formulas are those of [`dldl_label::metrics`], computed from
//! sums per person, so that a bootstrap resample only takes a loop over people.

use dldl_label::metrics::epsilon_error;
use serde::{Deserialize, Serialize};

use super::{Measured, People, Sums, measure};
use crate::{Prediction, Scale};

/// The largest threshold of the curve of cumulative scores, in the scale's units.
const LAST_THRESHOLD: usize = 15;

/// Errors of estimates. A metric is none if it cannot be computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean absolute error, in units of the label.
    pub mae: Option<Measured>,
    /// Root of the mean squared error, in units of the label.
    pub rmse: Option<Measured>,
    /// Pearson's correlation coefficient, -1..=1.
    pub pearson: Option<Measured>,
    /// The mean of estimate minus truth: above 0, estimates are too high.
    pub bias: Option<Measured>,
    /// The median absolute error, in units of the label.
    pub median_error: Option<Measured>,
    /// Percentage of samples with an error of at most 3 times the scale's
    /// [`unit`](Scale::unit), 0..=100.
    pub cs3: Option<Measured>,
    /// The same for 5 times the unit.
    pub cs5: Option<Measured>,
    /// The same for 8 times the unit.
    pub cs8: Option<Measured>,
    /// The same for 0, 1, ..., 15 times the unit.
    pub cs_curve: Vec<Threshold>,
    /// ChaLearn's epsilon-error, 0..=1, over the samples whose sigma is known.
    pub epsilon_error: Option<Measured>,
    /// The same as counted in the challenge: a picture that could not be used
    /// counts as an error of 1.
    pub epsilon_error_with_failures: Option<Measured>,
}

/// A point of the curve of cumulative scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The error, in units of the label.
    pub error: f64,
    /// The percentage of samples with at most this error.
    pub percent: f64,
}

/// The metrics of one kind of estimate. `failures` pictures gave no estimate; they only
/// enter [`Metrics::epsilon_error_with_failures`].
pub fn metrics(
    predictions: &[Prediction],
    estimate: impl Fn(&Prediction) -> f64,
    failures: usize,
    scale: &Scale,
) -> Metrics {
    let people = People::of(predictions);
    let n = predictions.len() as f64;
    // Centered, so that the sums of squares keep their digits.
    let center = predictions.iter().map(|p| p.truth).sum::<f64>() / n;
    let errors: Vec<f64> = predictions.iter().map(|p| estimate(p) - p.truth).collect();
    let within = |error: f64, units: f64| f64::from(u8::from(hit(error, units * scale.unit)));
    let rows = predictions.iter().zip(&errors).map(|(p, &error)| {
        let (x, y) = (p.truth + error - center, p.truth - center);
        let epsilon = p.sigma.and_then(|s| epsilon_error(&[p.truth + error], &[p.truth], &[s]));
        [
            1.0,
            error.abs(),
            error * error,
            error,
            within(error, 3.0),
            within(error, 5.0),
            within(error, 8.0),
            x,
            y,
            x * x,
            y * y,
            x * y,
            f64::from(u8::from(p.sigma.is_some())),
            epsilon.unwrap_or(0.0),
        ]
    });
    let sums = Sums::new(&people, rows);
    let median = Median::new(&people, &errors);
    let everybody = people.count();
    // In the bootstrap, each failure is resampled like a person, after the others.
    let failures = if predictions.iter().any(|p| p.sigma.is_some()) { failures } else { 0 };
    let figures = |counts: &[u32]| {
        let (counts, failed) = counts.split_at(everybody);
        let failed = f64::from(failed.iter().sum::<u32>());
        let [n, absolute, squares, error, cs3, cs5, cs8, x, y, xx, yy, xy, rated, epsilon] =
            sums.total(counts);
        let mean = |sum: f64| (n > 0.0).then(|| sum / n);
        let (xx, yy, xy) = (xx - x * x / n, yy - y * y / n, xy - x * y / n);
        // A smaller sum of squares is rounding error.
        let varies = n > 1.0 && xx > 1e-12 * n && yy > 1e-12 * n;
        vec![
            mean(absolute),
            mean(squares).map(f64::sqrt),
            varies.then(|| (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0)),
            mean(error),
            median.of(counts),
            mean(100.0 * cs3),
            mean(100.0 * cs5),
            mean(100.0 * cs8),
            (rated > 0.0).then(|| epsilon / rated),
            (rated > 0.0).then(|| (epsilon + failed) / (rated + failed)),
        ]
    };
    let measured = measure(everybody + failures, figures);
    let threshold = |units: usize| {
        let within: f64 = errors.iter().map(|&error| within(error, units as f64)).sum();
        Threshold { error: units as f64 * scale.unit, percent: 100.0 * within / n }
    };
    let curve = if predictions.is_empty() { 0 } else { LAST_THRESHOLD + 1 };
    Metrics {
        mae: measured[0],
        rmse: measured[1],
        pearson: measured[2],
        bias: measured[3],
        median_error: measured[4],
        cs3: measured[5],
        cs5: measured[6],
        cs8: measured[7],
        cs_curve: (0..curve).map(threshold).collect(),
        epsilon_error: measured[8],
        epsilon_error_with_failures: measured[9],
    }
}

/// Whether an error is at most a threshold. The slack is for decimal fractions such as
/// 0.3, which have no exact binary form.
pub(super) fn hit(error: f64, threshold: f64) -> bool {
    error.abs() <= threshold * (1.0 + 1e-12)
}

/// The absolute errors in ascending order, each with the number of its person.
struct Median(Vec<(f64, usize)>);

impl Median {
    fn new(people: &People, errors: &[f64]) -> Self {
        let sizes = errors.iter().map(|e| e.abs());
        let mut sorted: Vec<(f64, usize)> = sizes.zip(people.of.iter().copied()).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self(sorted)
    }

    /// The median with every person counted `counts` times.
    fn of(&self, counts: &[u32]) -> Option<f64> {
        let total: u64 = self.0.iter().map(|&(_, person)| u64::from(counts[person])).sum();
        // Indices of the middle value, or of the middle two.
        let (low, high) = (total.checked_sub(1)? / 2, total / 2);
        let (mut passed, mut first) = (0, None);
        for &(error, person) in &self.0 {
            passed += u64::from(counts[person]);
            if passed > low && first.is_none() {
                first = Some(error);
            }
            if passed > high {
                return first.map(|first| 0.5 * (first + error));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use dldl_label::metrics;

    use super::*;
    use crate::figures::testing::{many, prediction, years};

    /// By hand: errors 2, -6, 0, 10.
    #[test]
    fn metrics_match_hand_computed_ones() {
        let mut predictions = vec![
            prediction(20.0, 22.0),
            prediction(30.0, 24.0),
            prediction(40.0, 40.0),
            prediction(50.0, 60.0),
        ];
        predictions[0].sigma = Some(2.0);
        predictions[2].sigma = Some(4.0);
        let found = metrics(&predictions, |p| p.fused, 2, &years());
        let value = |m: Option<Measured>| m.unwrap().value;
        assert_eq!((value(found.mae), value(found.rmse)), (4.5, 35f64.sqrt()));
        assert_eq!((value(found.bias), value(found.median_error)), (1.5, 4.0));
        let cs = [found.cs3, found.cs5, found.cs8].map(value);
        assert_eq!(cs, [50.0, 50.0, 75.0]);
        // 1 - exp(-2^2 / (2 2^2)) and 0; and two failures.
        let epsilon = 1.0 - (-0.5f64).exp();
        assert!((value(found.epsilon_error) - epsilon / 2.0).abs() < 1e-12);
        let with = value(found.epsilon_error_with_failures);
        assert!((with - (epsilon + 2.0) / 4.0).abs() < 1e-12);
        assert_eq!(found.cs_curve.len(), 16);
        let at = |i: usize| (found.cs_curve[i].error, found.cs_curve[i].percent);
        assert_eq!([at(0), at(2), at(6), at(10)].map(|p| p.1), [25.0, 50.0, 75.0, 100.0]);
        assert_eq!(at(7).0, 7.0);
    }

    #[test]
    fn metrics_match_the_direct_formulas_and_lie_in_their_intervals() {
        let predictions = many(400, 90);
        let seen: Vec<f64> = predictions.iter().map(|p| p.plain).collect();
        let truth: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
        let found = metrics(&predictions, |p| p.plain, 0, &years());
        let pairs = [
            (found.mae, metrics::mae(&seen, &truth)),
            (found.rmse, metrics::rmse(&seen, &truth)),
            (found.pearson, metrics::pearson(&seen, &truth)),
            (found.bias, metrics::bias(&seen, &truth)),
            (found.median_error, metrics::median_error(&seen, &truth)),
            (found.cs3, metrics::cs(&seen, &truth, 3.0)),
            (found.cs5, metrics::cs(&seen, &truth, 5.0)),
            (found.cs8, metrics::cs(&seen, &truth, 8.0)),
        ];
        for (i, (measured, expected)) in pairs.into_iter().enumerate() {
            let measured = measured.unwrap();
            assert!((measured.value - expected.unwrap()).abs() < 1e-9, "{i}: {measured:?}");
            let [low, high] = measured.interval.unwrap();
            assert!(low < measured.value && measured.value < high, "{i}: {measured:?}");
            assert!(high - low < 0.5 * measured.value.abs().max(4.0), "{i}: {measured:?}");
        }
        assert_eq!((found.epsilon_error, found.epsilon_error_with_failures), (None, None));
    }

    #[test]
    fn thresholds_allow_for_rounding_of_decimals() {
        let scale =
            Scale::new(dldl_label::Task::Attractiveness, &dldl::LabelSet::attractiveness_5());
        // 3.3 - 3.0 is above 0.3 in binary.
        let found = metrics(&[prediction(3.0, 3.3)], |p| p.fused, 0, &scale);
        assert_eq!(found.cs3.unwrap().value, 100.0);
        assert_eq!(found.cs3.unwrap().interval, None);
        assert_eq!(found.pearson, None);
    }

    #[test]
    fn without_predictions_there_are_no_metrics() {
        let found = metrics(&[], |p| p.fused, 3, &years());
        assert_eq!((found.mae, found.median_error, found.pearson), (None, None, None));
        assert!(found.cs_curve.is_empty());
    }
}
