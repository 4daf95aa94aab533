//! An evaluation as a value: a model's predictions for every picture, and the metrics
//! computed from them. `dldl eval` writes it as JSON; tables, comparisons and report
//! pages are made from it. Predictions are made by [`crate::evaluate()`], metrics are
//! computed in [`crate::figures`].

use dldl::LabelSet;
use dldl_data::{Part, Problem};
use dldl_label::Task;
use dldl_label::metrics::mae;
use dldl_net::Calibration;
use serde::{Deserialize, Serialize};

use crate::{Scale, figures};

pub use crate::figures::{
    Assurance, AssuranceGroup, AtLeast, AtLeastGroup, Bin, Breakdown, ByEstimate, ChallengeAge,
    Coverage, Cutoff, EstimateBand, Group, GroupHits, Hits, MIN_GROUP, Measured, Metrics,
    Probabilistic, RATES, Readouts, Rejection, RejectionCurve, RejectionPoint, Reliability,
    RocPoint, Threshold,
};
pub use crate::prediction::{LEVELS, Prediction};

/// The model, the data and the task of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// What was estimated: `age` or `attractiveness`.
    pub task: Task,
    /// The name of the method that the model was trained with.
    pub method: String,
    /// The dataset's name.
    pub dataset: String,
    /// The split's name, or `all`.
    pub split: String,
    /// The protocol of the splits, unless it is the published one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Which part of the pictures was evaluated; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The model's labels.
    pub labels: LabelSet,
    /// Unit, thresholds and bands for this task and these labels.
    pub scale: Scale,
    /// The model's calibration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The thresholds that values are compared with, in units of the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<f64>,
}

/// Always predicting one value, as a baseline for models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The median label of the train split.
    pub train_median: f64,
    /// The mean absolute error of predicting it for every evaluated sample.
    pub mae: f64,
}

/// How the crops were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crops {
    /// Number of crops aligned by the landmarks of a face.
    pub aligned: usize,
    /// Number of pictures used whole: no face was found, or detection was skipped.
    pub whole_picture: usize,
}

/// An evaluation. `Display` prints tables; JSON has all digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The model, the data and the task.
    #[serde(flatten)]
    pub subject: Subject,
    /// Number of evaluated pictures.
    pub n: usize,
    /// Number of these with a known sigma; the epsilon-error is over these.
    pub n_sigma: usize,
    /// Number of people, or groups of pictures that belong together; the bootstrap of
    /// the intervals resamples these.
    pub n_groups: usize,
    /// Number of pictures that could not be used; the metrics leave them out.
    pub failures: usize,
    /// The share of pictures that could not be used (NIST's failure to
    /// process), 0..=1.
    pub failure_rate: f64,
    /// How the crops were made.
    pub crops: Crops,
    /// Metrics of estimates from the crop.
    pub plain: Metrics,
    /// Metrics of estimates from its mirror image.
    pub flipped: Metrics,
    /// Metrics of estimates from the mean of both distributions.
    pub flip_fusion: Metrics,
    /// Errors after the same readout for every method.
    #[serde(default)]
    pub readouts: Readouts,
    /// Metrics of distributions and intervals.
    pub probabilistic: Probabilistic,
    /// Coverage by band of the estimate; none without predictions.
    #[serde(default)]
    pub by_estimate: Option<ByEstimate>,
    /// Predicting the median of the train split; none without a train split.
    pub baseline: Option<Baseline>,
    /// Metrics by band of the true value, sex, race and pairs of these, where known.
    pub breakdowns: Vec<Breakdown>,
    /// Estimates within their ranges; none if no label is a range.
    pub hits: Option<Hits>,
    /// Age assurance; none if nobody is under 18, or the task is not age.
    pub assurance: Option<Assurance>,
    /// For each threshold, whether a value is at least that; thresholds without pictures
    /// on both sides are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<AtLeast>,
    /// Errors by the share of poor pictures that is rejected; none if no quality is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
    /// Invalid entries of the dataset, and why, of all splits.
    pub problems: Vec<Problem>,
    /// The predictions for every picture.
    pub predictions: Vec<Prediction>,
}

impl Baseline {
    /// The baseline from the labels of the train split; none without a train split or
    /// without predictions.
    pub fn new(mut train: Vec<f64>, predictions: &[Prediction]) -> Option<Self> {
        train.sort_by(f64::total_cmp);
        let middle = train.len() / 2;
        let train_median = match train.len() {
            0 => return None,
            n if n.is_multiple_of(2) => 0.5 * (train[middle - 1] + train[middle]),
            _ => train[middle],
        };
        let truth: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
        let mae = mae(&vec![train_median; truth.len()], &truth)?;
        Some(Self { train_median, mae })
    }
}

impl Evaluation {
    /// Computes all metrics of predictions. `failed` are the pictures without a
    /// prediction, `problems` the invalid entries of the dataset.
    pub fn new(
        subject: Subject,
        predictions: Vec<Prediction>,
        baseline: Option<Baseline>,
        failed: Vec<Problem>,
        problems: Vec<Problem>,
    ) -> Self {
        let Subject { task, labels, scale, calibration, thresholds, .. } = &subject;
        let (n, failures) = (predictions.len(), failed.len());
        let aligned = predictions.iter().filter(|p| p.aligned).count();
        let metrics = |estimate: fn(&Prediction) -> f64| {
            figures::metrics(&predictions, estimate, failures, scale)
        };
        Self {
            n,
            n_sigma: predictions.iter().filter(|p| p.sigma.is_some()).count(),
            n_groups: figures::People::of(&predictions).count(),
            failures,
            failure_rate: failures as f64 / (n + failures).max(1) as f64,
            crops: Crops { aligned, whole_picture: n - aligned },
            plain: metrics(|p| p.plain),
            flipped: metrics(|p| p.flipped),
            flip_fusion: metrics(|p| p.fused),
            readouts: figures::readouts(&predictions, scale),
            probabilistic: figures::probabilistic(&predictions, labels, calibration.as_ref()),
            by_estimate: figures::by_estimate(&predictions, calibration.as_ref(), labels, scale),
            baseline,
            breakdowns: figures::breakdowns(&predictions, task.name(), labels, scale),
            hits: figures::hits(&predictions, labels),
            assurance: (*task == Task::Age).then(|| figures::assurance(&predictions)).flatten(),
            at_least: (thresholds.iter().enumerate())
                .filter_map(|(i, &threshold)| figures::at_least(&predictions, i, threshold))
                .collect(),
            rejection: figures::rejection(&predictions),
            failed,
            problems,
            subject,
            predictions,
        }
    }

    /// The evaluation of all pictures from those of the parts, in any order: the same to the last
    /// digit as if they had not been divided.
    ///
    /// # Errors
    /// Which part is missing or there twice, or that they are not of one evaluation.
    pub fn merge(parts: Vec<Self>) -> Result<Self, String> {
        let number = |one: &Self| one.subject.part.ok_or("one is a whole evaluation, not a part");
        let order = Part::order(&parts.iter().map(number).collect::<Result<Vec<_>, _>>()?)?;
        let whole = |one: &Self| Subject { part: None, ..one.subject.clone() };
        let subject = whole(&parts[0]);
        if parts.iter().any(|part| whole(part) != subject) {
            return Err("they differ in model, dataset or settings".into());
        }
        let (mut predictions, mut failed) = (Vec::new(), Vec::new());
        let median = parts.iter().find_map(|part| Some(part.baseline?.train_median));
        let problems = parts[0].problems.clone();
        let mut parts: Vec<Option<Self>> = parts.into_iter().map(Some).collect();
        for part in order.into_iter().filter_map(|i| parts[i].take()) {
            predictions.extend(part.predictions);
            failed.extend(part.failed);
        }
        let baseline = median.and_then(|median| Baseline::new(vec![median], &predictions));
        Ok(Self::new(subject, predictions, baseline, failed, problems))
    }

    /// As indented JSON with one line per prediction.
    pub fn to_json(&self) -> String {
        let json = |value: &Self| serde_json::to_string_pretty(value).expect("plain data");
        let empty = "\"predictions\": []\n}";
        let head = Self { predictions: Vec::new(), ..self.clone() };
        let text = json(&head);
        let Some(head) = text.strip_suffix(empty).filter(|_| self.n > 0) else {
            return json(self);
        };
        let line = |p: &Prediction| serde_json::to_string(p).expect("plain data");
        let lines: Vec<String> = self.predictions.iter().map(line).collect();
        format!("{head}\"predictions\": [\n    {}\n  ]\n}}", lines.join(",\n    "))
    }
}

#[cfg(test)]
mod tests {
    use dldl_data::Sex;

    use super::*;
    use crate::figures::testing::{many, prediction, years};

    fn subject() -> Subject {
        Subject {
            model: "m".into(),
            task: Task::Age,
            method: "dldl-v2".into(),
            dataset: "faces".into(),
            split: "test".into(),
            protocol: None,
            part: None,
            labels: LabelSet::age(),
            scale: years(),
            calibration: None,
            thresholds: Vec::new(),
        }
    }

    #[test]
    fn the_baseline_is_the_median_of_the_train_split() {
        let four = [20.0, 30.0, 40.0, 50.0].map(|truth| prediction(truth, truth));
        let base = Baseline::new(vec![10.0, 50.0, 35.0, 25.0], &four).unwrap();
        assert_eq!(base, Baseline { train_median: 30.0, mae: 10.0 });
        let odd = Baseline::new(vec![40.0, 10.0, 99.0], &four).unwrap();
        assert_eq!(odd.train_median, 40.0);
        assert_eq!(Baseline::new(vec![], &four), None);
        assert_eq!(Baseline::new(vec![1.0], &[]), None);
    }

    #[test]
    fn parts_make_up_the_whole() {
        let predictions = many(41, 20);
        let train = vec![10.0, 20.0, 31.0, 40.0];
        let broken = |file: &str| Problem { file: file.into(), reason: "empty file".into() };
        let make = |part: Option<&str>, predictions: &[Prediction], failed: Vec<Problem>| {
            let part = part.map(|part| part.parse().unwrap());
            let subject = Subject { part, ..subject() };
            let baseline = Baseline::new(train.clone(), predictions);
            let problems = vec![broken("row 7")];
            Evaluation::new(subject, predictions.to_vec(), baseline, failed, problems)
        };
        let whole = make(None, &predictions, vec![broken("a"), broken("b")]);
        let parts = [
            make(Some("3/3"), &predictions[20..], vec![broken("b")]),
            make(Some("1/3"), &predictions[..20], vec![broken("a")]),
            make(Some("2/3"), &[], vec![]),
        ];
        let stored = parts.iter().map(Evaluation::to_json);
        let stored: Vec<Evaluation> =
            stored.map(|text| serde_json::from_str(&text).unwrap()).collect();
        assert_eq!(Evaluation::merge(stored).unwrap().to_json(), whole.to_json());
        let refused = |parts: &[&Evaluation]| {
            Evaluation::merge(parts.iter().map(|&part| part.clone()).collect()).unwrap_err()
        };
        assert!(refused(&[&parts[0], &parts[1]]).contains("2/3 is missing"));
        assert!(refused(&[&whole]).contains("not a part"));
        let mut other = parts[2].clone();
        other.subject.model = "other".into();
        assert!(refused(&[&parts[0], &parts[1], &other]).contains("differ"));
    }

    #[test]
    fn json_round_trips_and_has_a_line_per_picture() {
        let mut predictions = many(40, 20);
        predictions[0].sex = Some(Sex::Female);
        predictions[1].range = Some([30.0, 39.0]);
        predictions.iter_mut().for_each(|p| p.quality = Some(p.truth / 100.0));
        let failed = vec![Problem { file: "x.jpg".into(), reason: "empty file".into() }];
        let evaluation = Evaluation::new(subject(), predictions, None, failed, Vec::new());
        assert_eq!((evaluation.n, evaluation.n_groups, evaluation.failures), (40, 20, 1));
        assert!((evaluation.failure_rate - 1.0 / 41.0).abs() < 1e-12);
        assert_eq!(evaluation.rejection.as_ref().map(|r| r.n), Some(40));
        assert!(evaluation.hits.is_some() && evaluation.assurance.is_some());
        let text = evaluation.to_json();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
        let lines = text.lines().filter(|l| l.starts_with("    {\"file\":")).count();
        assert_eq!(lines, 40);

        let nothing = Evaluation::new(subject(), Vec::new(), None, Vec::new(), Vec::new());
        assert_eq!((nothing.failure_rate, nothing.plain.mae), (0.0, None));
        let text = nothing.to_json();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), nothing);
        let mut predictions = many(40, 20);
        predictions.iter_mut().for_each(|p| p.at_least = vec![0.0, p.truth / 100.0]);
        let asked = Subject { thresholds: vec![90.0, 18.0], ..subject() };
        let asked = Evaluation::new(asked, predictions, None, Vec::new(), Vec::new());
        // Nobody is 90.
        assert_eq!((asked.at_least.len(), asked.at_least[0].threshold), (1, 18.0));
        assert_eq!(asked.at_least[0].all.auc.unwrap().value, 1.0);
        assert_eq!(serde_json::from_str::<Evaluation>(&asked.to_json()).unwrap(), asked);
        let scores = Subject { task: Task::Attractiveness, ..subject() };
        let other = Evaluation::new(scores, many(40, 20), None, Vec::new(), Vec::new());
        assert_eq!(other.assurance, None);
    }
}
