//! Predictions to figures, and figures to text. Making predictions is in
//! [`crate::evaluate()`].

use std::fmt;

use dldl_data::Problem;
use dldl_label::metrics::{cs, epsilon_error, mae, rmse};
use serde::{Deserialize, Serialize};

use crate::Prediction;

/// How far predictions are from the truth. Every figure is none where there is
/// nothing to compute it from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean absolute error, in units of the label.
    pub mae: Option<f64>,
    /// Root of the mean squared error, in units of the label.
    pub rmse: Option<f64>,
    /// Percentage of samples with an error of at most 3, 0..=100.
    pub cs3: Option<f64>,
    /// The same of at most 5.
    pub cs5: Option<f64>,
    /// The same of at most 8.
    pub cs8: Option<f64>,
    /// ChaLearn's epsilon-error, 0..=1, over the samples whose sigma is known.
    pub epsilon_error: Option<f64>,
}

impl Metrics {
    /// The figures of predictions, which `value` picks.
    fn of(predictions: &[Prediction], value: impl Fn(&Prediction) -> f64) -> Self {
        let seen: Vec<f64> = predictions.iter().map(&value).collect();
        let truth: Vec<f64> = predictions.iter().map(|p| p.truth).collect();
        let rated: Vec<(f64, f64, f64)> =
            predictions.iter().filter_map(|p| Some((value(p), p.truth, p.sigma?))).collect();
        let part = |pick: fn(&(f64, f64, f64)) -> f64| rated.iter().map(pick).collect::<Vec<_>>();
        Self {
            mae: mae(&seen, &truth),
            rmse: rmse(&seen, &truth),
            cs3: cs(&seen, &truth, 3.0),
            cs5: cs(&seen, &truth, 5.0),
            cs8: cs(&seen, &truth, 8.0),
            epsilon_error: epsilon_error(&part(|r| r.0), &part(|r| r.1), &part(|r| r.2)),
        }
    }
}

/// Always predicting one value: what a model must beat.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The median label of the train split.
    pub train_median: f64,
    /// The mean absolute error of predicting it for every evaluated sample.
    pub mae: f64,
}

impl Baseline {
    /// None where there is no train split, or nothing was predicted.
    pub(crate) fn new(mut train: Vec<f64>, predictions: &[Prediction]) -> Option<Self> {
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
pub struct Report {
    /// The model's name.
    pub model: String,
    /// The dataset's name.
    pub dataset: String,
    /// The split's name, or `all`.
    pub split: String,
    /// How many pictures the figures are of.
    pub n: usize,
    /// How many of them have a known sigma, which the epsilon-error is of.
    pub n_sigma: usize,
    /// How many pictures could not be used; they are not in the figures.
    pub failures: usize,
    /// How the crops came about.
    pub crops: Crops,
    /// From the crop as it is.
    pub plain: Metrics,
    /// From the mean of the distributions of the crop and its mirror image.
    pub flip_fusion: Metrics,
    /// Predicting the train split's median; none without one.
    pub baseline: Option<Baseline>,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
    /// Entries of the dataset that are no samples, and why, of all splits.
    pub problems: Vec<Problem>,
}

impl Report {
    /// The figures alone; names, baseline and failures are left empty.
    pub fn of(predictions: &[Prediction]) -> Self {
        let aligned = predictions.iter().filter(|p| p.aligned).count();
        Self {
            model: String::new(),
            dataset: String::new(),
            split: String::new(),
            n: predictions.len(),
            n_sigma: predictions.iter().filter(|p| p.sigma.is_some()).count(),
            failures: 0,
            crops: Crops { aligned, whole_picture: predictions.len() - aligned },
            plain: Metrics::of(predictions, |p| p.plain),
            flip_fusion: Metrics::of(predictions, |p| p.fused),
            baseline: None,
            failed: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// As indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {} ({}): {} pictures", self.model, self.dataset, self.split, self.n)?;
        writeln!(
            f,
            "{} aligned by a face, {} taken whole, {} failed\n",
            self.crops.aligned, self.crops.whole_picture, self.failures
        )?;
        writeln!(
            f,
            "{:16}{:>8}{:>8}{:>9}{:>9}{:>9}{:>11}",
            "", "MAE", "RMSE", "CS@3", "CS@5", "CS@8", "eps-error"
        )?;
        let cell = |value: Option<f64>, digits: usize, unit: &str| match value {
            Some(value) => format!("{value:.digits$}{unit}"),
            None => "-".to_owned(),
        };
        for (name, m) in [("plain", self.plain), ("flip fusion", self.flip_fusion)] {
            writeln!(
                f,
                "{name:16}{:>8}{:>8}{:>9}{:>9}{:>9}{:>11}",
                cell(m.mae, 3, ""),
                cell(m.rmse, 3, ""),
                cell(m.cs3, 1, " %"),
                cell(m.cs5, 1, " %"),
                cell(m.cs8, 1, " %"),
                cell(m.epsilon_error, 4, "")
            )?;
        }
        if let Some(base) = &self.baseline {
            let name = "constant";
            writeln!(
                f,
                "{name:16}{:>8.3}  always {}, the train split's median",
                base.mae, base.train_median
            )?;
        }
        if self.n_sigma > 0 && self.n_sigma < self.n {
            writeln!(f, "\nthe eps-error is of {} pictures with known sigma", self.n_sigma)?;
        }
        for (what, list) in
            [("failed", &self.failed), ("unusable entries of the dataset", &self.problems)]
        {
            if !list.is_empty() {
                writeln!(f, "\n{what}:")?;
            }
            for problem in list {
                writeln!(f, "  {}: {}", problem.file, problem.reason)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Vec<Prediction> {
        let make = |truth, sigma, plain, fused, aligned| Prediction {
            truth,
            sigma,
            plain,
            fused,
            aligned,
        };
        vec![
            make(20.0, Some(2.0), 22.0, 21.0, true),
            make(30.0, None, 24.0, 26.0, true),
            make(40.0, Some(4.0), 40.0, 41.0, false),
            make(50.0, None, 60.0, 57.0, true),
        ]
    }

    /// By hand: errors 2, -6, 0, 10 and 1, -4, 1, 7.
    #[test]
    fn figures_are_those_of_the_errors() {
        let report = Report::of(&predictions());
        assert_eq!((report.n, report.n_sigma), (4, 2));
        assert_eq!(report.crops, Crops { aligned: 3, whole_picture: 1 });
        let plain = report.plain;
        assert_eq!((plain.mae, plain.rmse), (Some(4.5), Some(35f64.sqrt())));
        assert_eq!((plain.cs3, plain.cs5, plain.cs8), (Some(50.0), Some(50.0), Some(75.0)));
        // 1 - exp(-2^2 / (2 2^2)) and 0.
        let eps = (1.0 - (-0.5f64).exp()) / 2.0;
        assert!((plain.epsilon_error.unwrap() - eps).abs() < 1e-12);
        let fused = report.flip_fusion;
        assert_eq!(fused.mae, Some(3.25));
        assert_eq!((fused.cs3, fused.cs5, fused.cs8), (Some(50.0), Some(75.0), Some(100.0)));
    }

    #[test]
    fn the_baseline_is_the_median_of_the_train_split() {
        let base = Baseline::new(vec![10.0, 50.0, 35.0, 25.0], &predictions()).unwrap();
        assert_eq!(base, Baseline { train_median: 30.0, mae: 10.0 });
        let odd = Baseline::new(vec![40.0, 10.0, 99.0], &predictions()).unwrap();
        assert_eq!(odd.train_median, 40.0);
        assert_eq!(Baseline::new(vec![], &predictions()), None);
        assert_eq!(Baseline::new(vec![1.0], &[]), None);
    }

    #[test]
    fn nothing_predicted_is_no_figure_and_json_comes_back() {
        let mut report = Report::of(&[]);
        assert_eq!(report.plain.mae, None);
        assert!(report.to_string().contains('-'));
        report = Report { model: "m".into(), ..Report::of(&predictions()) };
        report.failed.push(Problem { file: "x.jpg".into(), reason: "empty file".into() });
        let again: Report = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(again, report);
        let text = report.to_string();
        assert!(text.contains("4.500") && text.contains("x.jpg: empty file"), "{text}");
    }
}
