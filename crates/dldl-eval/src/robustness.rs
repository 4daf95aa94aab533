//! A model's errors under disturbances, beside those without.

use std::fmt;

use dldl::Estimator;
use serde::{Deserialize, Serialize};

use crate::evaluate::{Run, predict};
use crate::figures::{Metrics, metrics};
use crate::{Disturbance, EvalError, LEVELS, Options, Prediction, Progress, Source, Subject};

/// What disturbances do to a model's errors. Its text form is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// What was evaluated.
    #[serde(flatten)]
    pub subject: Subject,
    /// Without a disturbance.
    pub clean: Disturbed,
    /// With each of them.
    pub disturbed: Vec<Disturbed>,
}

/// The errors under one disturbance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disturbed {
    /// Which; none for the pictures as they are.
    pub disturbance: Option<Disturbance>,
    /// Pictures.
    pub n: usize,
    /// How many of them showed no face, and were taken whole.
    pub whole_picture: usize,
    /// Pictures that could not be used.
    pub failures: usize,
    /// How far the estimates are from the truth, with flip fusion.
    pub metrics: Metrics,
    /// The mean distance of the estimates from those without a disturbance, in
    /// units of the label, over the pictures that can be used both times.
    pub moved: f64,
    /// The share of truths in the intervals of 90 %, 0..=1; of a range, its middle.
    pub covered: f64,
}

/// Runs the model over the pictures once as they are and once for each of
/// `disturbances`. `progress` counts the pictures of all these runs.
///
/// # Errors
/// As [`evaluate`](crate::evaluate()), and [`EvalError::Disturbance`] for a cache.
pub fn robustness(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    disturbances: &[Disturbance],
    progress: &mut dyn FnMut(Progress),
) -> Result<Robustness, EvalError> {
    if let (Some(_), Source::Cache(_)) = (disturbances.first(), source) {
        return Err(EvalError::Disturbance);
    }
    let mut run = Run::new(estimator, source, options)?;
    let runs = disturbances.len() + 1;
    let mut clean: Vec<Prediction> = Vec::new();
    let mut rows = Vec::with_capacity(runs);
    for i in 0..runs {
        run.disturbance = i.checked_sub(1).map(|i| disturbances[i]);
        let make =
            |seen: &_, sample: &_, annotation: &_| predict(&run.head, seen, sample, annotation);
        let (predictions, failed) = run.over(&make, &mut |p| {
            progress(Progress { done: i * p.total + p.done, total: runs * p.total });
        });
        if i == 0 {
            clean.clone_from(&predictions);
        }
        let subject = run.subject();
        rows.push(Disturbed {
            disturbance: run.disturbance,
            n: predictions.len(),
            whole_picture: predictions.iter().filter(|p| !p.aligned).count(),
            failures: failed.len(),
            metrics: metrics(&predictions, |p| p.fused, failed.len(), &subject.scale),
            moved: moved(&clean, &predictions),
            covered: covered(&predictions),
        });
    }
    Ok(Robustness { subject: run.subject(), clean: rows.remove(0), disturbed: rows })
}

/// The mean distance between the estimates for the same pictures.
fn moved(clean: &[Prediction], disturbed: &[Prediction]) -> f64 {
    // Both are in the order of the samples; either may lack some.
    let mut rest = clean.iter();
    let both = disturbed.iter().filter_map(|p| Some((rest.find(|c| c.file == p.file)?, p)));
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
        serde_json::to_string_pretty(self).expect("figures are plain data")
    }
}

/// A line for each disturbance.
impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { model, dataset, split, scale, .. } = &self.subject;
        let digits = scale.digits;
        writeln!(f, "{model} on {dataset} ({split}), {}, with flip fusion\n", scale.name)?;
        writeln!(
            f,
            "{:16}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>9}",
            "disturbance", "n", "no face", "MAE", "worse", "bias", "moved", "90 %"
        )?;
        let clean = self.clean.metrics.mae.map(|m| m.value);
        for row in std::iter::once(&self.clean).chain(&self.disturbed) {
            let name = row.disturbance.map_or("none".to_owned(), |d| d.to_string());
            let mae = row.metrics.mae.map(|m| m.value);
            let bias = row.metrics.bias.map(|m| m.value);
            let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
            let signed = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:+.digits$}"));
            let worse = mae.zip(clean).filter(|_| row.disturbance.is_some()).map(|(a, b)| a - b);
            writeln!(
                f,
                "{name:16}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>7.1} %",
                row.n,
                row.whole_picture,
                number(mae),
                signed(worse),
                signed(bias),
                number(row.disturbance.map(|_| row.moved)),
                100.0 * row.covered
            )?;
        }
        let failures: usize =
            self.disturbed.iter().chain([&self.clean]).map(|row| row.failures).sum();
        if failures > 0 {
            writeln!(f, "\npictures that could not be used, over all lines: {failures}")?;
        }
        Ok(())
    }
}
