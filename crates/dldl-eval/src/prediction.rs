//! The prediction for one labeled picture: all metrics are computed from these.

use dldl::{Distribution, Head, Measures, NetError};
use dldl_data::{Annotation, Sample, Sex};
use dldl_label::metrics::{crps, labels_within, nll};
use serde::{Deserialize, Serialize};

/// The levels of the evaluated intervals, as shares of 1.
pub const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// The prediction for one labeled picture, in units of the label.
///
/// If the label is a range, `nll`, `crps` and coverage assume that each label of the
/// range is equally likely to be the true one, and `pit` is that of the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The file name within the dataset.
    pub file: String,
    /// The true value, the mean of the ratings, or the middle of a range.
    pub truth: f64,
    /// The standard deviation of the ratings, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// Both ends, inclusive, if the label is a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Sex as recorded in the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// Race or ethnicity as recorded in the dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub race: Option<String>,
    /// The person, or another name for pictures that belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether the crop is aligned by the landmarks of a face; otherwise it is the whole
    /// picture.
    pub aligned: bool,
    /// The estimate from the crop.
    pub plain: f64,
    /// The estimate from the mirror image.
    pub flipped: f64,
    /// The estimate from both ([`Head::answer`]): from the mean of the two distributions
    /// or, for methods that count, the mean of the two estimates. The following fields
    /// belong to the mean of the distributions.
    pub fused: f64,
    /// The median ([`dldl::Distribution::quantile`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// The standard deviation.
    pub std: f64,
    /// The probability of a value below the true one ([`dldl::Distribution::pit`]).
    pub pit: f64,
    /// The negative log-likelihood of the true value, in nats.
    pub nll: f64,
    /// The continuous ranked probability score, in units of the label.
    pub crps: f64,
    /// Both ends of the intervals at [`LEVELS`], calibrated if the model is.
    pub intervals: [[f64; 2]; LEVELS.len()],
    /// For each threshold of the evaluation, the probability that the value is at least
    /// that ([`dldl::Distribution::at_least`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<f64>,
    /// The quality of the face ([`dldl::quality`], with flip fusion); 0 if no face was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// What the quality was computed from, besides the distribution; none if no face was
    /// found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<Measures>,
    /// The same with the levels of all estimates together, if the model has levels by
    /// band: what its intervals would be without bands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_table: Option<[[f64; 2]; LEVELS.len()]>,
}

impl Prediction {
    /// The prediction from the distributions of a crop and of its mirror image, without a
    /// quality.
    /// `annotation` is the label in the head's unit, as `thresholds` are.
    ///
    /// # Errors
    /// If the two distributions have different labels.
    pub fn new(
        sample: &Sample,
        annotation: &Annotation,
        head: &Head,
        [plain, flipped]: [Distribution; 2],
        aligned: bool,
        thresholds: &[f64],
    ) -> Result<Self, NetError> {
        let estimates = [head.value(&plain), head.value(&flipped)];
        let (value, fused) = head.answer(&[plain, flipped])?;
        let truth = annotation.mean();
        let range = annotation.closed_range();
        let [low, high] = range.unwrap_or([truth; 2]);
        let labels = &head.labels;
        let crps = match range {
            None => crps(&fused, truth),
            Some(_) => {
                let within = labels_within(labels, low, high);
                let count = within.len() as f64;
                within.map(|k| crps(&fused, labels.value(k))).sum::<f64>() / count
            }
        };
        let banded = head.intervals(true).filter(|table| table.bands.is_some());
        let one_table = banded.map(|table| {
            LEVELS.map(|level| fused.conformal_interval(table.levels.level(level)).into())
        });
        Ok(Self {
            file: sample.file.clone(),
            truth,
            sigma: annotation.sigma(),
            range,
            sex: sample.sex,
            race: sample.race.clone(),
            group: sample.group.clone().or_else(|| sample.identity.clone()),
            aligned,
            plain: estimates[0],
            flipped: estimates[1],
            fused: value,
            median: Some(fused.quantile(0.5)),
            std: fused.std(),
            pit: fused.pit(truth),
            nll: nll(&fused, low, high),
            crps,
            intervals: LEVELS.map(|level| {
                let interval = head.interval(&fused, value, level, true);
                [interval.low, interval.high]
            }),
            at_least: thresholds.iter().map(|&threshold| fused.at_least(threshold)).collect(),
            quality: None,
            measures: None,
            one_table,
        })
    }
}

#[cfg(test)]
mod tests {
    use dldl::{LabelSet, Method};
    use dldl_data::Split;

    use super::*;

    fn head() -> Head {
        let (labels, method) = (LabelSet::age(), Method::Dldl);
        Head::new(dldl_label::Task::Age, labels, method)
    }

    #[test]
    fn predictions_follow_from_the_distributions() {
        let at = |mean: f64| Distribution::gaussian(&LabelSet::age(), mean, 2.0).unwrap();
        let annotation = Annotation::Value { mean: 33.0, sigma: Some(1.5) };
        let sample = Sample::new("a.jpg", Split::Test);
        let sample = Sample { identity: Some("x".into()), ..sample };
        let predict = |annotation: &Annotation| {
            let both = [at(30.0), at(34.0)];
            Prediction::new(&sample, annotation, &head(), both, true, &[18.0, 32.0]).unwrap()
        };
        let p = predict(&annotation);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}");
        close(p.plain, 30.0);
        close(p.flipped, 34.0);
        close(p.fused, 32.0);
        // Variances add: 2^2 of each, and 2^2 between their means.
        assert!((p.std - 8f64.sqrt()).abs() < 1e-6);
        let fused = Distribution::average(&[at(30.0), at(34.0)]).unwrap();
        close(p.nll, -fused.probabilities()[33].ln());
        close(p.pit, fused.cdf()[32] + 0.5 * fused.probabilities()[33]);
        // Symmetric about 32, whose own mass belongs to the upper side.
        close(p.at_least[0], 1.0);
        close(p.at_least[1], 0.5 + 0.5 * fused.probabilities()[32]);
        assert_eq!(p.intervals[2], <[f64; 2]>::from(fused.equal_tailed_interval(0.9)));
        assert_eq!((p.group.as_deref(), p.sigma, p.range), (Some("x"), Some(1.5), None));

        // Methods that count: the mean of the numbers, and the same distribution.
        let count = Head { method: Method::RankingBce, ..head() };
        let views = [at(30.0), at(33.0)];
        let [a, b] = [0, 1].map(|i| count.value(&views[i]));
        let counted = Prediction::new(&sample, &annotation, &count, views, true, &[]).unwrap();
        assert_eq!((counted.plain, counted.flipped, counted.fused), (a, b, 31.5));

        let annotation = Annotation::Interval { interval: [30.0, 39.0] };
        let p = predict(&annotation);
        assert_eq!((p.truth, p.range), (34.5, Some([30.0, 39.0])));
        let mass: f64 = fused.probabilities()[30..40].iter().sum();
        close(p.nll, -(mass / 10.0).ln());
        let mean = (30..40).map(|y| crps(&fused, f64::from(y))).sum::<f64>() / 10.0;
        close(p.crps, mean);
    }
}
