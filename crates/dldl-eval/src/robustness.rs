//! A model's errors on corrupted pictures, compared with those on the originals.

use std::fmt;

use dldl::Estimator;
use serde::{Deserialize, Serialize};

use crate::evaluate::Run;
use crate::figures::{Metrics, metrics};
use crate::{Corruption, EvalError, LEVELS, Options, Prediction, Progress, Source, Subject};

/// A model's errors with and without corruptions. `Display` prints a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// What was evaluated.
    #[serde(flatten)]
    pub subject: Subject,
    /// Without a corruption.
    pub clean: Corrupted,
    /// With each corruption.
    #[serde(alias = "disturbed")]
    pub corrupted: Vec<Corrupted>,
}

/// The errors under one corruption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Corrupted {
    /// The corruption; none for the original pictures.
    #[serde(alias = "disturbance")]
    pub corruption: Option<Corruption>,
    /// Number of pictures.
    pub n: usize,
    /// The number of these in which no face was found, and which were used whole.
    pub whole_picture: usize,
    /// Number of pictures that could not be used.
    pub failures: usize,
    /// Errors of the estimates with flip fusion.
    pub metrics: Metrics,
    /// The mean absolute difference from the estimates without a corruption, in units
    /// of the label, over the pictures that can be used both times.
    pub moved: f64,
    /// The share of true values in the 90 % intervals, 0..=1; for ranges, of their
    /// middles.
    pub covered: f64,
}

/// Runs the model over the original pictures and once for each of `corruptions`.
/// `progress` counts the pictures of all these runs.
///
/// # Errors
/// As [`evaluate`](crate::evaluate()), and [`EvalError::CorruptedCache`] for a cache.
pub fn robustness(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    corruptions: &[Corruption],
    progress: &mut dyn FnMut(Progress),
) -> Result<Robustness, EvalError> {
    if let (Some(_), Source::Cache(_)) = (corruptions.first(), source) {
        return Err(EvalError::CorruptedCache);
    }
    let mut run = Run::new(estimator, source, options)?;
    let runs = corruptions.len() + 1;
    let mut clean: Vec<Prediction> = Vec::new();
    let mut rows = Vec::with_capacity(runs);
    for i in 0..runs {
        run.corruption = i.checked_sub(1).map(|i| corruptions[i]);
        let (predictions, failed) = run.predictions(&mut |p| {
            progress(Progress { done: i * p.total + p.done, total: runs * p.total });
        });
        if i == 0 {
            clean.clone_from(&predictions);
        }
        let subject = run.subject();
        rows.push(Corrupted {
            corruption: run.corruption,
            n: predictions.len(),
            whole_picture: predictions.iter().filter(|p| !p.aligned).count(),
            failures: failed.len(),
            metrics: metrics(&predictions, |p| p.fused, failed.len(), &subject.scale),
            moved: moved(&clean, &predictions),
            covered: covered(&predictions),
        });
    }
    Ok(Robustness { subject: run.subject(), clean: rows.remove(0), corrupted: rows })
}

/// The mean absolute difference between the estimates for the same pictures.
fn moved(clean: &[Prediction], corrupted: &[Prediction]) -> f64 {
    // Both are in the order of the samples; either may miss some.
    let mut rest = clean.iter();
    let both = corrupted.iter().filter_map(|p| Some((rest.find(|c| c.file == p.file)?, p)));
    let distances: Vec<f64> = both.map(|(c, p)| (p.fused - c.fused).abs()).collect();
    distances.iter().sum::<f64>() / distances.len().max(1) as f64
}

fn covered(predictions: &[Prediction]) -> f64 {
    let level = LEVELS.iter().position(|&level| level == 0.9).expect("90 % is among the levels");
    let holds = |p: &&Prediction| {
        let [low, high] = p.intervals[level];
        (low..=high).contains(&p.truth)
    };
    predictions.iter().filter(holds).count() as f64 / predictions.len().max(1) as f64
}

impl Robustness {
    /// As indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("metrics are plain data")
    }
}

/// A line per corruption.
impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { model, dataset, split, scale, .. } = &self.subject;
        let digits = scale.digits;
        writeln!(f, "{model} on {dataset} ({split}), {}, with flip fusion\n", scale.name)?;
        writeln!(
            f,
            "{:16}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>9}",
            "corruption", "n", "no face", "MAE", "worse", "bias", "moved", "90 %"
        )?;
        let clean = self.clean.metrics.mae.map(|m| m.value);
        for row in std::iter::once(&self.clean).chain(&self.corrupted) {
            let name = row.corruption.map_or("none".to_owned(), |d| d.to_string());
            let mae = row.metrics.mae.map(|m| m.value);
            let bias = row.metrics.bias.map(|m| m.value);
            let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
            let signed = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:+.digits$}"));
            let worse = mae.zip(clean).filter(|_| row.corruption.is_some()).map(|(a, b)| a - b);
            writeln!(
                f,
                "{name:16}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>7.1} %",
                row.n,
                row.whole_picture,
                number(mae),
                signed(worse),
                signed(bias),
                number(row.corruption.map(|_| row.moved)),
                100.0 * row.covered
            )?;
        }
        let failures: usize =
            self.corrupted.iter().chain([&self.clean]).map(|row| row.failures).sum();
        if failures > 0 {
            writeln!(f, "\npictures that could not be used, in all lines together: {failures}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_the_old_names_still_load() {
        let json = r#"{"disturbance": "low:0.5", "n": 1, "whole_picture": 0, "failures": 0,
            "metrics": {"mae": null, "rmse": null, "pearson": null, "bias": null,
                "median_error": null, "cs3": null, "cs5": null, "cs8": null, "cs_curve": [],
                "epsilon_error": null, "epsilon_error_with_failures": null},
            "moved": 0.5, "covered": 1.0}"#;
        let found: Corrupted = serde_json::from_str(json).unwrap();
        assert_eq!(found.corruption, Some(Corruption::Downscale(0.5)));
        assert!(
            serde_json::to_string(&found).unwrap().contains("\"corruption\":\"downscale:0.5\"")
        );
    }
}
