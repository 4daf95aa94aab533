//! Coverage by band of the estimate: the promise of intervals that are calibrated by
//! band, next to the breakdown by band of the true value, for which nothing is promised.

use dldl::LabelSet;
use dldl_label::Bands;
use dldl_net::Calibration;
use serde::{Deserialize, Serialize};

use super::groups::{MIN_GROUP, grouped};
use super::probabilistic::{Coverage, coverage};
use super::{Measured, People, means};
use crate::{Prediction, Scale};

/// Coverage by band of the estimate, with flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByEstimate {
    /// Whether the model's intervals are calibrated in these bands. Otherwise they are
    /// decades of ages, or the bands of scores.
    pub calibrated: bool,
    /// The bands that have pictures, in order.
    pub bands: Vec<EstimateBand>,
}

/// A band of the estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EstimateBand {
    /// The band's name: `20-29` for estimates from 20 to below 30.
    pub name: String,
    /// Number of pictures.
    pub n: usize,
    /// Whether there are fewer than [`MIN_GROUP`].
    pub few: bool,
    /// The mean of estimate minus truth.
    pub bias: Measured,
    /// Coverage and width of the intervals.
    pub coverage: Vec<Coverage>,
    /// The same with the levels of all estimates together; empty unless the model has
    /// levels by band.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_table: Vec<Coverage>,
}

/// Coverage by the bands of the model's calibration or, without these, by those of the
/// scale. None without predictions.
pub fn by_estimate(
    predictions: &[Prediction],
    calibration: Option<&Calibration>,
    labels: &LabelSet,
    scale: &Scale,
) -> Option<ByEstimate> {
    let own = calibration.and_then(|c| c.intervals.get(true)?.bands.as_ref());
    let edges = own.map_or_else(|| scale.estimate_edges(labels), Bands::edges);
    let key = |p: &Prediction| {
        let band = edges.iter().skip(1).filter(|&&edge| p.fused >= edge).count();
        Some(vec![(band, scale.estimate_band_name(&edges, band))])
    };
    let band = |(name, members): (String, Vec<&Prediction>)| {
        let people = People::of(members.iter().copied());
        let [bias] = means(&people, members.iter().map(|p| [p.fused - p.truth]))?;
        let of = |intervals| coverage(&people, members.iter().copied(), labels, intervals);
        let one_table = match members.iter().all(|p| p.one_table.is_some()) {
            true => of(&|p| p.one_table.unwrap_or(p.intervals)),
            false => Vec::new(),
        };
        let n = members.len();
        let coverage = of(&|p| p.intervals);
        Some(EstimateBand { name, n, few: n < MIN_GROUP, bias, coverage, one_table })
    };
    let bands: Vec<EstimateBand> =
        grouped(predictions, &key).into_iter().filter_map(band).collect();
    (!bands.is_empty()).then_some(ByEstimate { calibrated: own.is_some(), bands })
}

#[cfg(test)]
mod tests {
    use dldl_label::Conformal;
    use dldl_net::{IntervalCalibration, IntervalTables};

    use super::*;
    use crate::figures::testing::{many, prediction, years};

    #[test]
    fn bands_are_of_the_estimate_and_follow_the_calibration() {
        let mut predictions = vec![prediction(35.0, 19.9), prediction(20.0, 20.0)];
        predictions.extend((0..30).map(|i| prediction(f64::from(i), 25.0)));
        let ages = LabelSet::age();
        let found = by_estimate(&predictions, None, &ages, &years()).unwrap();
        assert!(!found.calibrated);
        let names: Vec<(&str, usize)> =
            found.bands.iter().map(|b| (b.name.as_str(), b.n)).collect();
        assert_eq!(names, [("10-19", 1), ("20-29", 31)]);
        assert!(found.bands[0].few && !found.bands[1].few);
        assert!((found.bands[0].bias.value + 15.1).abs() < 1e-12);
        // Intervals of 1 to 4 years to either side; truths are 20 and 0 to 29.
        let observed = |c: &[Coverage]| c.iter().map(|c| c.observed.value).collect::<Vec<_>>();
        assert_eq!(observed(&found.bands[1].coverage), [4.0, 6.0, 8.0, 10.0].map(|n| n / 31.0));
        assert!(found.bands.iter().all(|band| band.one_table.is_empty()));

        let levels = || Conformal::fit(&[0.5; 20]).unwrap();
        let estimates: Vec<f64> = (0..20).map(f64::from).collect();
        let bands = Bands::fit(&[0.0, 10.0], &estimates, &[0.5; 20], 10).unwrap();
        let bands = Some(bands);
        let fused = Some(IntervalCalibration { on: "x".into(), n: 20, levels: levels(), bands });
        let intervals = IntervalTables { fused, unfused: None };
        let calibration = Calibration { intervals, ..Calibration::temperature(1.0) };
        for p in &mut predictions {
            p.one_table = Some([[0.0, 100.0]; 4]);
        }
        let found = by_estimate(&predictions, Some(&calibration), &ages, &years()).unwrap();
        assert!(found.calibrated);
        let names: Vec<(&str, usize)> =
            found.bands.iter().map(|b| (b.name.as_str(), b.n)).collect();
        assert_eq!(names, [("10+", 32)]);
        assert_eq!(observed(&found.bands[0].one_table), [1.0; 4]);
        assert!(by_estimate(&[], None, &ages, &years()).is_none());
    }

    #[test]
    fn every_picture_is_in_one_band() {
        let predictions = many(300, 100);
        let found = by_estimate(&predictions, None, &LabelSet::age(), &years()).unwrap();
        assert_eq!(found.bands.iter().map(|b| b.n).sum::<usize>(), 300);
    }
}
