//! Figures that compare methods on equal terms. Methods read their estimate in different
//! ways: the expectation is a fraction of a year, a count of ranks a whole number. Against
//! labels in whole years, whole numbers hit the thresholds of the cumulative score more
//! often, whatever the distribution; and a median has a lower absolute error than an
//! expectation.

use serde::{Deserialize, Serialize};

use super::metrics::hit;
use super::{Measured, People, means};
use crate::{Prediction, Scale};

/// Errors after the same readout for every method; none without predictions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Readouts {
    /// CS@5 of the estimates rounded to the scale's unit, 0..=100.
    pub rounded_cs5: Option<Measured>,
    /// Mean absolute error of the distributions' medians, in units of the label.
    pub median_mae: Option<Measured>,
    /// CS@5 of the medians rounded to the scale's unit, 0..=100.
    pub median_cs5: Option<Measured>,
}

/// The figures of predictions with flip fusion. Those of the median need predictions that
/// have it (evaluations of earlier versions do not).
pub fn readouts(predictions: &[Prediction], scale: &Scale) -> Readouts {
    let within = |estimate: f64, truth: f64| {
        let rounded = (estimate / scale.unit).round() * scale.unit;
        100.0 * f64::from(u8::from(hit(rounded - truth, 5.0 * scale.unit)))
    };
    let people = People::of(predictions);
    let rounded = means(&people, predictions.iter().map(|p| [within(p.fused, p.truth)]));
    let medians: Option<Vec<[f64; 2]>> = predictions
        .iter()
        .map(|p| Some([(p.median? - p.truth).abs(), within(p.median?, p.truth)]))
        .collect();
    let medians = medians.and_then(|rows| means(&people, rows.into_iter()));
    Readouts {
        rounded_cs5: rounded.map(|[cs5]| cs5),
        median_mae: medians.map(|[mae, _]| mae),
        median_cs5: medians.map(|[_, cs5]| cs5),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{prediction, years};
    use super::*;

    #[test]
    fn rounding_treats_fractions_like_whole_years() {
        let with = |truth: f64, estimate: f64, median: f64| Prediction {
            median: Some(median),
            ..prediction(truth, estimate)
        };
        // Off by 5.4: a hit once rounded. Off by 5.6: a miss in both.
        let both = [with(30.0, 35.4, 31.0), with(30.0, 35.6, 36.0)];
        let found = readouts(&both, &years());
        assert_eq!(found.rounded_cs5.unwrap().value, 50.0);
        assert_eq!(found.median_mae.unwrap().value, 3.5);
        assert_eq!(found.median_cs5.unwrap().value, 50.0);
        let old = [Prediction { median: None, ..both[0].clone() }];
        assert_eq!(readouts(&old, &years()).median_mae, None);
        assert_eq!(readouts(&[], &years()), Readouts::default());
    }
}
