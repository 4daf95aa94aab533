//! The label of one picture for one task (a value with or without a standard deviation,
//! individual ratings, or a range), and its conversion to a label distribution.

use dldl_label::{Distribution, LabelError, LabelSet};
use serde::{Deserialize, Serialize};

/// The width of an open range where one is needed, in years.
const OPEN_WIDTH: f64 = 19.0;

/// The label of one sample for one task, in the unit of the dataset.
///
/// As JSON `{"mean", "sigma"}`, `{"mean", "histogram": [[value, count], ...]}`
/// or `{"interval": [low, high]}`, with `null` for the end of an open range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Annotation {
    /// Individual ratings.
    Histogram {
        /// The published mean, which may be that of more raters than `histogram`.
        mean: f64,
        /// Pairs of a rating and how many raters gave it.
        histogram: Vec<[f64; 2]>,
    },
    /// A range that contains the value, including both ends.
    Interval {
        /// The ends; infinite where the range is open, at one end at most.
        #[serde(with = "open_ends")]
        interval: [f64; 2],
    },
    /// A single value.
    Value {
        /// The mean of the raters, or the value.
        mean: f64,
        /// The standard deviation of the raters, if known.
        sigma: Option<f64>,
    },
}

/// How an [`Annotation`] is converted to a label distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Uses all information: the ratings, the range, or a Gaussian with the standard
    /// deviation of the raters.
    #[default]
    Given,
    /// A Gaussian with the mean and standard deviation of the raters.
    Gaussian,
    /// A Gaussian with the mean of the raters and the same standard deviation for all.
    Fixed,
}

impl Annotation {
    /// A single value without a standard deviation.
    pub fn value(mean: f64) -> Self {
        Self::Value { mean, sigma: None }
    }

    /// The mean, or the middle of a range.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Value { mean, .. } | Self::Histogram { mean, .. } => *mean,
            Self::Interval { interval } => {
                let [low, high] = closed(*interval);
                0.5 * (low + high)
            }
        }
    }

    /// The ends of a range; infinite where it is open.
    pub fn range(&self) -> Option<[f64; 2]> {
        match self {
            Self::Interval { interval } => Some(*interval),
            Self::Value { .. } | Self::Histogram { .. } => None,
        }
    }

    /// The ends of a range, with the open end of ages (70 and more) 19 years from the other,
    /// for figures that need a middle or a width.
    pub fn closed_range(&self) -> Option<[f64; 2]> {
        self.range().map(closed)
    }

    /// The standard deviation of the raters, if known. Of individual ratings, it is
    /// computed from them.
    pub fn sigma(&self) -> Option<f64> {
        match self {
            Self::Value { sigma, .. } => *sigma,
            Self::Histogram { histogram, .. } => {
                let count: f64 = histogram.iter().map(|[_, n]| n).sum();
                let mean = histogram.iter().map(|[v, n]| v * n).sum::<f64>() / count;
                let squares = histogram.iter().map(|[v, n]| n * (v - mean).powi(2));
                let sigma = (squares.sum::<f64>() / count).sqrt();
                sigma.is_finite().then_some(sigma)
            }
            Self::Interval { .. } => None,
        }
    }

    /// The annotation on another scale: the linear map that takes the ends of `from` to the
    /// ends of `to`.
    pub fn rescaled(&self, from: [f64; 2], to: [f64; 2]) -> Self {
        let slope = (to[1] - to[0]) / (from[1] - from[0]);
        let map = |v: f64| to[0] + slope * (v - from[0]);
        match self {
            Self::Value { mean, sigma } => {
                Self::Value { mean: map(*mean), sigma: sigma.map(|s| s * slope.abs()) }
            }
            Self::Histogram { mean, histogram } => Self::Histogram {
                mean: map(*mean),
                histogram: histogram.iter().map(|&[v, n]| [map(v), n]).collect(),
            },
            Self::Interval { interval } => {
                // A falling map exchanges the ends.
                let [a, b] = interval.map(map);
                Self::Interval { interval: [a.min(b), a.max(b)] }
            }
        }
    }

    /// The label distribution. `sigma` is the standard deviation if none is known, and
    /// `min_sigma` the lowest one of a Gaussian. Individual ratings are smoothed by a
    /// Gaussian of `min_sigma`.
    ///
    /// # Errors
    /// A number is not finite, a standard deviation is negative, or there are no ratings.
    pub fn distribution(
        &self,
        labels: &LabelSet,
        spread: Spread,
        sigma: f64,
        min_sigma: f64,
    ) -> Result<Distribution, LabelError> {
        let gaussian =
            |sigma: f64| Distribution::gaussian(labels, self.mean(), sigma.max(min_sigma));
        match (spread, self) {
            (Spread::Fixed, _) => gaussian(sigma),
            (Spread::Given, Self::Histogram { histogram, .. }) => {
                let mut weights = vec![0.0; labels.len()];
                for &[rating, count] in histogram {
                    let one = Distribution::gaussian(labels, rating, min_sigma)?;
                    for (sum, p) in weights.iter_mut().zip(one.probabilities()) {
                        *sum += count * p;
                    }
                }
                let pairs: Vec<(f64, f64)> = labels.values().into_iter().zip(weights).collect();
                Distribution::from_histogram(labels, &pairs)
            }
            (Spread::Given, Self::Interval { interval }) => {
                let [low, high] = closed(*interval);
                let inside = labels.values().into_iter().filter(|v| (low..=high).contains(v));
                let inside: Vec<(f64, f64)> = inside.map(|v| (v, 1.0)).collect();
                // A range between two labels contains neither: use its middle.
                if inside.is_empty() {
                    return gaussian(0.0);
                }
                Distribution::from_histogram(labels, &inside)
            }
            (Spread::Given | Spread::Gaussian, _) => gaussian(self.sigma().unwrap_or(sigma)),
        }
    }
}

/// A range without open ends.
fn closed([low, high]: [f64; 2]) -> [f64; 2] {
    match (low.is_finite(), high.is_finite()) {
        (true, false) => [low, low + OPEN_WIDTH],
        (false, true) => [high - OPEN_WIDTH, high],
        _ => [low, high],
    }
}

/// Open ends of ranges as `null`, since JSON has no infinity.
mod open_ends {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(ends: &[f64; 2], serializer: S) -> Result<S::Ok, S::Error> {
        ends.map(|end| Some(end).filter(|end| end.is_finite())).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 2], D::Error> {
        let [low, high] = <[Option<f64>; 2]>::deserialize(deserializer)?;
        Ok([low.unwrap_or(f64::NEG_INFINITY), high.unwrap_or(f64::INFINITY)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings() -> Annotation {
        let histogram = vec![[2.0, 1.0], [4.0, 2.0], [9.0, 1.0]];
        Annotation::Histogram { mean: 4.8, histogram }
    }

    #[test]
    fn json_round_trips_for_every_variant() {
        let forms = [
            (Annotation::value(3.5), r#"{"mean":3.5,"sigma":null}"#),
            (
                Annotation::Histogram { mean: 2.0, histogram: vec![[1.0, 3.0]] },
                r#"{"mean":2.0,"histogram":[[1.0,3.0]]}"#,
            ),
            (Annotation::Interval { interval: [10.0, 19.0] }, r#"{"interval":[10.0,19.0]}"#),
            (
                Annotation::Interval { interval: [70.0, f64::INFINITY] },
                r#"{"interval":[70.0,null]}"#,
            ),
        ];
        for (annotation, json) in forms {
            assert_eq!(serde_json::to_string(&annotation).unwrap(), json);
            assert_eq!(serde_json::from_str::<Annotation>(json).unwrap(), annotation);
        }
    }

    #[test]
    fn means_and_standard_deviations_are_exact() {
        // The mean of the ratings is 19 / 4, the variance (7.5625 + 2 * 0.5625 + 18.0625) / 4.
        assert_eq!(ratings().mean(), 4.8);
        assert!((ratings().sigma().unwrap() - 6.6875f64.sqrt()).abs() < 1e-12);
        assert_eq!(Annotation::Interval { interval: [3.0, 9.0] }.mean(), 6.0);
        let open = Annotation::Interval { interval: [70.0, f64::INFINITY] };
        assert_eq!((open.mean(), open.range()), (79.5, Some([70.0, f64::INFINITY])));
        assert_eq!(open.closed_range(), Some([70.0, 89.0]));
        let falling = open.rescaled([0.0, 100.0], [10.0, 0.0]);
        assert_eq!(falling.range(), Some([f64::NEG_INFINITY, 3.0]));
        assert_eq!(Annotation::Histogram { mean: 1.0, histogram: vec![] }.sigma(), None);
        let rescaled = ratings().rescaled([1.0, 10.0], [1.0, 5.0]);
        assert!((rescaled.mean() - (1.0 + 3.8 * 4.0 / 9.0)).abs() < 1e-12);
        let narrower = ratings().sigma().unwrap() * 4.0 / 9.0;
        assert!((rescaled.sigma().unwrap() - narrower).abs() < 1e-12);
    }

    #[test]
    fn distributions_follow_the_annotation() {
        let labels = LabelSet::new(1.0, 10.0, 1.0).unwrap();
        let of = |annotation: &Annotation, spread, min| {
            annotation.distribution(&labels, spread, 2.0, min).unwrap()
        };
        let given = of(&ratings(), Spread::Given, 0.0);
        assert_eq!(given.probabilities()[1..4], [0.25, 0.0, 0.5]);
        assert!((given.expectation() - 4.75).abs() < 1e-12);
        let smooth = of(&ratings(), Spread::Given, 0.5);
        assert!(smooth.probabilities()[2] > 0.02 && smooth.probabilities()[2] < 0.2);
        let gaussian = of(&ratings(), Spread::Gaussian, 0.0);
        let sigma = ratings().sigma().unwrap();
        assert_eq!(gaussian, Distribution::gaussian(&labels, 4.8, sigma).unwrap());
        let fixed = of(&ratings(), Spread::Fixed, 0.0);
        assert_eq!(fixed, Distribution::gaussian(&labels, 4.8, 2.0).unwrap());
        let plain = of(&Annotation::value(4.0), Spread::Given, 0.0);
        assert_eq!(plain, Distribution::gaussian(&labels, 4.0, 2.0).unwrap());
        let sharp = Annotation::Value { mean: 4.0, sigma: Some(0.0) };
        let floor = of(&sharp, Spread::Given, 0.75);
        assert_eq!(floor, Distribution::gaussian(&labels, 4.0, 0.75).unwrap());
        let range = of(&Annotation::Interval { interval: [3.0, 5.0] }, Spread::Given, 0.0);
        assert!((range.probabilities()[3] - 1.0 / 3.0).abs() < 1e-12);
        let between = of(&Annotation::Interval { interval: [3.2, 3.6] }, Spread::Given, 0.0);
        assert!((between.expectation() - 3.4).abs() < 1e-12);
    }
}
