//! Several evaluations side by side.

use super::groups::whiskers;
use super::headline::cs_plot;
use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{Evaluation, Threshold};

/// With more curves than colors, curves would be ambiguous.
const CURVES: usize = 6;

pub(super) fn chapter(evaluations: &[Evaluation]) -> String {
    let mut body = String::new();
    // Errors on different scales do not belong in one figure.
    let first = &evaluations[0].subject;
    let unit = &first.scale.name;
    let same_scale = evaluations.iter().all(|e| e.subject.scale == first.scale);
    let same_set = evaluations
        .iter()
        .all(|e| (&e.subject.dataset, &e.subject.split) == (&first.dataset, &first.split));
    let names = names(evaluations);
    if !same_set {
        body += &paragraph(
            "These evaluations use different pictures: differences between them are not only due \
             to the models.",
        );
    }
    body += &table(evaluations, &names);
    if same_scale {
        let values: Vec<_> =
            evaluations.iter().filter_map(|e| Some((e.flip_fusion.mae?, false))).collect();
        let mut plots = Vec::new();
        if values.len() == names.len() {
            plots.push(figure(&whiskers("Mean absolute error", &names, &values, None, unit), ""));
        }
        if evaluations.len() <= CURVES {
            let curves: Vec<(&str, &[Threshold])> = (names.iter().zip(evaluations))
                .map(|(name, e)| (name.as_str(), &e.flip_fusion.cs_curve[..]))
                .collect();
            let title = format!("Cumulative score by error ({unit})");
            plots.push(figure(&cs_plot(&title, unit, &curves), ""));
        }
        body += &figures(&plots);
    }
    body
}

/// Short names for the evaluations.
fn names(evaluations: &[Evaluation]) -> Vec<String> {
    let first = &evaluations[0].subject;
    let same_set = evaluations
        .iter()
        .all(|e| (&e.subject.dataset, &e.subject.split) == (&first.dataset, &first.split));
    let name = |e: &Evaluation| match same_set {
        true => e.subject.model.clone(),
        false => format!("{} on {} ({})", e.subject.model, e.subject.dataset, e.subject.split),
    };
    evaluations.iter().map(name).collect()
}

fn table(evaluations: &[Evaluation], names: &[String]) -> String {
    let head = [
        "",
        "task",
        "method",
        "n",
        "MAE",
        "RMSE",
        "Pearson",
        "bias",
        "NLL",
        "CRPS",
        "in the 90 % interval (%)",
        "its mean width",
        "failed (%)",
    ];
    let mut table = Table::new(&head);
    for (evaluation, name) in evaluations.iter().zip(names) {
        let digits = evaluation.subject.scale.digits.saturating_sub(1);
        let fused = &evaluation.flip_fusion;
        let ninety = evaluation.probabilistic.coverage.iter().find(|c| c.level == 0.9);
        let cells = [
            text(name),
            text(evaluation.subject.task.name()),
            text(&evaluation.subject.method),
            evaluation.n.to_string(),
            measured(fused.mae, 1.0, digits),
            measured(fused.rmse, 1.0, digits),
            measured(fused.pearson, 1.0, 3),
            measured(fused.bias, 1.0, digits),
            measured(evaluation.probabilistic.nll, 1.0, 3),
            measured(evaluation.probabilistic.crps, 1.0, digits),
            measured(ninety.map(|c| c.observed), 100.0, 1),
            number(ninety.map(|c| c.width.value), digits.min(1)),
            number(Some(100.0 * evaluation.failure_rate), 2),
        ];
        table.row("", &cells);
    }
    table.finish()
}
