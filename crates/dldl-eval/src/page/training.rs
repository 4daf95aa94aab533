//! A training: its curves and recipe, from the run folder.

use dldl_plot::{Axis, Ink, Plot};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::html::{details, figure, figures, lines, number};
use super::model::{definitions, of_weights};

/// A training, read from its run folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// The folder's name.
    pub name: String,
    /// The epochs of `log.jsonl`.
    pub epochs: Vec<Epoch>,
    /// The contents of `config.toml`, if it exists.
    pub recipe: Option<String>,
    /// The recipe's seed.
    pub seed: Option<u64>,
    /// The description of the trained model, once the training is finished.
    pub model: Option<dldl::ModelInfo>,
}

/// The fields of an epoch in the log that the page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the epoch, starting at 1.
    pub epoch: usize,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Loss on the validation split.
    pub val_loss: Option<f64>,
    /// Mean absolute errors on the validation split by head, in units of the label.
    #[serde(default)]
    pub val_errors: BTreeMap<String, f64>,
    /// Whether it is the best so far.
    pub best: bool,
    /// Training samples per second.
    pub images_per_second: f64,
    /// Seconds of training so far, over all runs if it was resumed.
    pub seconds: f64,
}

pub(super) fn chapter(run: &Run) -> String {
    let mut list = Vec::new();
    if let Some(info) = &run.model {
        list.push(("model", info.name.clone()));
        let methods: Vec<&str> = info.heads.iter().map(|head| head.method.name()).collect();
        list.push(("method", methods.join(", ")));
        list.extend(of_weights(info));
    }
    list.extend(summary(run));
    let mut plots = vec![figure(&losses(run), "")];
    let heads: Vec<&String> =
        run.epochs.last().map_or(Vec::new(), |e| e.val_errors.keys().collect());
    plots.extend(heads.into_iter().map(|head| figure(&errors(run, head), "")));
    let recipe = run.recipe.as_deref().map_or(String::new(), |recipe| {
        details("Recipe, with all defaults", &format!("<pre>{}</pre>\n", lines(recipe)))
    });
    definitions(&list) + &figures(&plots) + &recipe
}

fn summary(run: &Run) -> Vec<(&'static str, String)> {
    let Some(last) = run.epochs.last() else {
        return vec![("epochs", "none finished".into())];
    };
    let mut list = vec![
        ("epochs", last.epoch.to_string()),
        ("time", format!("{} minutes", number(Some(last.seconds / 60.0), 1))),
        (
            "speed",
            format!(
                "{} pictures per second in the last epoch",
                number(Some(last.images_per_second), 0)
            ),
        ),
    ];
    if let Some(best) = run.epochs.iter().rev().find(|e| e.best) {
        let errors = best.val_errors.iter();
        let errors: Vec<String> =
            errors.map(|(head, e)| format!("{head} {}", number(Some(*e), 3))).collect();
        list.push((
            "best epoch",
            format!("{}, validation error {}", best.epoch, errors.join(", ")),
        ));
    }
    if let Some(seed) = run.seed {
        list.push(("seed", seed.to_string()));
    }
    list
}

fn epochs_axis(run: &Run) -> Axis {
    let last = run.epochs.last().map_or(1.0, |e| e.epoch as f64);
    Axis::stepped("epoch", 0.0, last, (last / 6.0).ceil())
}

fn losses(run: &Run) -> Plot {
    // A mean over an epoch belongs to its middle, a validation to its end.
    let train: Vec<(f64, f64)> =
        run.epochs.iter().map(|e| (e.epoch as f64 - 0.5, e.loss)).collect();
    let validation = run.epochs.iter().filter_map(|e| Some((e.epoch as f64, e.val_loss?)));
    let validation: Vec<(f64, f64)> = validation.collect();
    let mut plot = Plot::new("Loss", epochs_axis(run), range("loss", &[&train, &validation]));
    plot.line(Ink::Series(0), Some("training"), &train);
    plot.line(Ink::Series(1), Some("validation"), &validation);
    plot
}

fn errors(run: &Run, head: &str) -> Plot {
    let points = run.epochs.iter().filter_map(|e| Some((e.epoch as f64, *e.val_errors.get(head)?)));
    let points: Vec<(f64, f64)> = points.collect();
    let title = format!("Validation error of {head}");
    let mut plot = Plot::new(&title, epochs_axis(run), range("mean absolute error", &[&points]));
    plot.line(Ink::Series(1), None, &points);
    let best = run.epochs.iter().rev().find(|e| e.best);
    if let Some((epoch, Some(error))) = best.map(|e| (e.epoch as f64, e.val_errors.get(head))) {
        plot.dots(Ink::Series(1), Some("best"), &[(epoch, *error)], 4.0);
    }
    plot
}

/// An axis that spans all finite values.
fn range(label: &str, lines: &[&[(f64, f64)]]) -> Axis {
    let all = lines.iter().flat_map(|line| line.iter()).map(|p| p.1);
    let (low, high) = all
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match low <= high {
        true => Axis::linear(label, low, high),
        false => Axis::linear(label, 0.0, 1.0),
    }
}
