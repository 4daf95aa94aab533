//! Metrics of distributions and coverage of intervals.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{ByEstimate, Coverage, Evaluation};

/// The level that is compared with one table for all bands, as an index into
/// [`LEVELS`](crate::evaluation::LEVELS).
const LEVEL: usize = 2;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let scale = &evaluation.subject.scale;
    let p = &evaluation.probabilistic;
    if p.coverage.is_empty() {
        return String::new();
    }
    let digits = scale.digits.saturating_sub(1);
    let mut body = String::new();
    let mut scores = Table::new(&["", "mean"]);
    let crps = format!("continuous ranked probability score ({})", text(&scale.name));
    scores.row("", &["negative log-likelihood (nats)".into(), measured(p.nll, 1.0, 3)]);
    scores.row("", &[crps, measured(p.crps, 1.0, digits)]);
    body += &scores.finish();
    body +=
        &figures(&[figure(&reliability(evaluation), RELIABILITY), figure(&pit(evaluation), PIT)]);
    body += "<h4>Intervals by level</h4>\n";
    let width = format!("mean width ({})", text(&scale.name));
    let mut levels = Table::new(&["nominal (%)", "observed (%)", &width]);
    for c in &p.coverage {
        let cells = [
            number(Some(100.0 * c.level), 0),
            measured(Some(c.observed), 100.0, 1),
            measured(Some(c.width), 1.0, digits),
        ];
        levels.row("", &cells);
    }
    body += &levels.finish();
    body + &by_estimate(evaluation) + &by_band(evaluation)
}

const RELIABILITY: &str = "The share of true values inside the interval of a level. On the dashed line, \
                           intervals have their nominal coverage; below it, they are too narrow.";
const PIT: &str = "Where the true values lie in their distributions, from the lower to the upper end: \
                   flat for correct distributions, a valley if they are too narrow, a hill if they \
                   are too wide.";

fn reliability(evaluation: &Evaluation) -> Plot {
    let axis = |name: &str| Axis::stepped(name, 0.0, 100.0, 20.0);
    let mut plot = Plot::new("Reliability of intervals", axis("nominal (%)"), axis("observed (%)"))
        .area(250.0, 250.0);
    plot.line(Ink::Muted.dashed().thin(), None, &[(0.0, 0.0), (100.0, 100.0)]);
    let curve = &evaluation.probabilistic.reliability;
    let own: Vec<(f64, f64)> =
        curve.iter().map(|r| (100.0 * r.level, 100.0 * r.distribution)).collect();
    let calibrated: Vec<(f64, f64)> =
        curve.iter().filter_map(|r| Some((100.0 * r.level, 100.0 * r.calibrated?))).collect();
    plot.line(Ink::Series(1), Some("uncalibrated"), &own);
    plot.dots(Ink::Series(1), None, &own, 2.5);
    if !calibrated.is_empty() {
        plot.line(Ink::Series(0), Some("calibrated"), &calibrated);
        plot.dots(Ink::Series(0), None, &calibrated, 2.5);
    }
    plot
}

fn pit(evaluation: &Evaluation) -> Plot {
    let bins = &evaluation.probabilistic.pit;
    let total: usize = bins.iter().sum();
    let share = |n: usize| 100.0 * n as f64 / total.max(1) as f64;
    let even = 100.0 / bins.len().max(1) as f64;
    let most = bins.iter().map(|n| share(*n)).fold(2.0 * even, f64::max);
    let x = Axis::stepped("probability below the true value", 0.0, 1.0, 0.2);
    let y = Axis::linear("pictures (%)", 0.0, most);
    let mut plot = Plot::new("Probability integral transform", x, y).area(270.0, 250.0);
    for (i, n) in bins.iter().enumerate() {
        let ends = [i, i + 1].map(|i| i as f64 / bins.len() as f64);
        plot.rect(Ink::Series(0), ends, [0.0, share(*n)], 0.75, &format!("{n}"));
    }
    plot.line(Ink::Muted.dashed().thin(), None, &[(0.0, even), (1.0, even)]);
    plot
}

/// The observed coverage of every level by band of the estimate.
fn by_estimate(evaluation: &Evaluation) -> String {
    let Some(ByEstimate { calibrated, bands }) = &evaluation.by_estimate else {
        return String::new();
    };
    let mut head = head(evaluation);
    if *calibrated {
        let levels = &evaluation.probabilistic.coverage;
        let level = |c: &Coverage| format!("{} %, without bands", number(Some(100.0 * c.level), 0));
        head.extend(levels.get(LEVEL).map(level));
    }
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for band in bands {
        let mut cells = vec![text(&band.name), band.n.to_string()];
        let without = band.one_table.get(LEVEL).filter(|_| *calibrated);
        let shown = band.coverage.iter().chain(without);
        cells.extend(shown.map(|c| measured(Some(c.observed), 100.0, 1)));
        table.row(if band.few { "few" } else { "" }, &cells);
    }
    let note = match calibrated {
        true => {
            "Intervals are calibrated in these bands of the estimate: among faces like those of the \
             calibration with such an estimate, they have their nominal coverage, approximately for \
             other people and other cameras."
        }
        false => "The intervals are not calibrated by band of the estimate.",
    };
    let task = evaluation.subject.task;
    let title = format!("<h4>Intervals by estimated {} (%)</h4>\n", text(task.name()));
    format!("{title}{}{}", paragraph(note), table.finish())
}

/// The first cells of a table of coverage: a name, n, and the levels.
fn head(evaluation: &Evaluation) -> Vec<String> {
    let levels = evaluation.probabilistic.coverage.iter();
    let levels = levels.map(|c| format!("in the {} % interval", number(Some(100.0 * c.level), 0)));
    [String::new(), "n".to_owned()].into_iter().chain(levels).collect()
}

/// The observed coverage of every level by band of the true value.
fn by_band(evaluation: &Evaluation) -> String {
    let by_truth = evaluation.breakdowns.iter().find(|b| b.by == evaluation.subject.task.name());
    let Some(breakdown) = by_truth else { return String::new() };
    let head = head(evaluation);
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for group in &breakdown.groups {
        let mut cells = vec![text(&group.name), group.n.to_string()];
        cells.extend(group.coverage.iter().map(|c| measured(Some(c.observed), 100.0, 1)));
        table.row(if group.few { "few" } else { "" }, &cells);
    }
    let name = text(&breakdown.by);
    let note = "Calibrated intervals have their nominal coverage over pictures like those of the \
                calibration, on average or by band of the estimate, not by band of the true value.";
    format!("<h4>Intervals by true {name} (%)</h4>\n{}{}", paragraph(note), table.finish())
}
