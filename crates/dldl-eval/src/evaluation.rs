//! An evaluation as a value: what a model said of every picture, and the figures
//! that follow from it. It is what `dldl eval` writes as JSON, and all that
//! tables, comparisons and report pages are made from. How predictions are made
//! is in [`crate::evaluate()`], how figures are computed in `figures` and its
//! neighbors.

use dldl::LabelSet;
use dldl_data::Problem;
use dldl_label::Task;
use dldl_label::metrics::mae;
use dldl_net::Calibration;
use serde::{Deserialize, Serialize};

use crate::{Scale, figures};

pub use crate::figures::{
    Assurance, AssuranceGroup, Breakdown, ChallengeAge, Coverage, Group, GroupHits, Hits,
    MIN_GROUP, Measured, Metrics, Probabilistic, Reliability, Threshold,
};
pub use crate::prediction::{LEVELS, Prediction};

/// What was evaluated, on what.
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
    /// How the splits came about, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The labels that the model knows.
    pub labels: LabelSet,
    /// Unit, thresholds and bands, by task and labels.
    pub scale: Scale,
    /// What the model's intervals were calibrated on, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Always predicting one value: what a model must beat.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The median label of the train split.
    pub train_median: f64,
    /// The mean absolute error of predicting it for every evaluated sample.
    pub mae: f64,
}

/// How the crops came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crops {
    /// Aligned by a face's landmarks.
    pub aligned: usize,
    /// The whole picture: no face was found, or none was looked for.
    pub whole_picture: usize,
}

/// An evaluation. Its text form is a table for people; as JSON the figures have
/// all their digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was evaluated.
    #[serde(flatten)]
    pub subject: Subject,
    /// How many pictures the figures are of.
    pub n: usize,
    /// How many of them have a known sigma, which the epsilon-error is of.
    pub n_sigma: usize,
    /// How many people, or groups of pictures that belong together; the
    /// intervals are of a bootstrap over these.
    pub n_groups: usize,
    /// How many pictures could not be used; they are not in the figures.
    pub failures: usize,
    /// The share of pictures that could not be used (NIST's failure to
    /// process), 0..=1.
    pub failure_rate: f64,
    /// How the crops came about.
    pub crops: Crops,
    /// From the crop as it is.
    pub plain: Metrics,
    /// From its mirror image.
    pub flipped: Metrics,
    /// From the mean of both distributions.
    pub flip_fusion: Metrics,
    /// The distributions and intervals.
    pub probabilistic: Probabilistic,
    /// Predicting the train split's median; none without one.
    pub baseline: Option<Baseline>,
    /// By band of the truth, sex, race and their crossings, where they are known.
    pub breakdowns: Vec<Breakdown>,
    /// Estimates in their ranges; none where no label is a range.
    pub hits: Option<Hits>,
    /// Age assurance; none where nobody is below 18, or what was estimated is not
    /// an age.
    pub assurance: Option<Assurance>,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
    /// Entries of the dataset that are no samples, and why, of all splits.
    pub problems: Vec<Problem>,
    /// What the model said, picture by picture.
    pub predictions: Vec<Prediction>,
}

impl Baseline {
    /// Of the labels of the train split; none where there is no train split, or
    /// nothing was predicted.
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
    /// The figures that follow from predictions. `failed` are the pictures that
    /// gave none, `problems` entries of the dataset that are no samples.
    pub fn new(
        subject: Subject,
        predictions: Vec<Prediction>,
        baseline: Option<Baseline>,
        failed: Vec<Problem>,
        problems: Vec<Problem>,
    ) -> Self {
        let Subject { task, labels, scale, calibration, .. } = &subject;
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
            probabilistic: figures::probabilistic(&predictions, labels, calibration.as_ref()),
            baseline,
            breakdowns: figures::breakdowns(&predictions, task.name(), labels, scale),
            hits: figures::hits(&predictions, labels),
            assurance: (*task == Task::Age).then(|| figures::assurance(&predictions)).flatten(),
            failed,
            problems,
            subject,
            predictions,
        }
    }

    /// As JSON: indented, with one line for each prediction.
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
            labels: LabelSet::age(),
            scale: years(),
            calibration: None,
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
    fn json_comes_back_and_has_a_line_for_each_picture() {
        let mut predictions = many(40, 20);
        predictions[0].sex = Some(Sex::Female);
        predictions[1].range = Some([30.0, 39.0]);
        let failed = vec![Problem { file: "x.jpg".into(), reason: "empty file".into() }];
        let evaluation = Evaluation::new(subject(), predictions, None, failed, Vec::new());
        assert_eq!((evaluation.n, evaluation.n_groups, evaluation.failures), (40, 20, 1));
        assert!((evaluation.failure_rate - 1.0 / 41.0).abs() < 1e-12);
        assert!(evaluation.hits.is_some() && evaluation.assurance.is_some());
        let text = evaluation.to_json();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), evaluation);
        let lines = text.lines().filter(|l| l.starts_with("    {\"file\":")).count();
        assert_eq!(lines, 40);

        let nothing = Evaluation::new(subject(), Vec::new(), None, Vec::new(), Vec::new());
        assert_eq!((nothing.failure_rate, nothing.plain.mae), (0.0, None));
        let text = nothing.to_json();
        assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), nothing);
        let scores = Subject { task: Task::Attractiveness, ..subject() };
        let other = Evaluation::new(scores, many(40, 20), None, Vec::new(), Vec::new());
        assert_eq!(other.assurance, None);
    }
}
