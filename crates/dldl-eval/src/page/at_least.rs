//! Whether a value is at least a threshold: ROC curve, reliability, cutoffs, groups.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{AtLeast, AtLeastGroup, Cutoff, Evaluation, Measured, RATES};

/// The rate of errors at which groups are compared, as an index into [`RATES`].
const COMPARED: usize = 1;

pub(super) fn section(evaluation: &Evaluation) -> String {
    let unit = &evaluation.subject.scale.name;
    evaluation.at_least.iter().map(|table| one(table, unit)).collect()
}

fn one(table: &AtLeast, unit: &str) -> String {
    let AtLeast { threshold, undecided, all, by_sex, by_race, .. } = table;
    let mut body = format!("<h4>At least {} {}</h4>\n", threshold, text(unit));
    body += &paragraph(&format!(
        "The question whether somebody is at least {threshold} {unit}, answered by the probability \
         of all labels from {threshold} up. {} pictures are below, {} at or above the threshold; \
         {undecided} are labeled with a range on both sides and left out. Somebody passes a \
         cutoff if the probability is at least the cutoff.",
        all.below, all.above
    ));
    body += &figures(&[figure(&roc(table), ROC), figure(&reliability(table), RELIABILITY)]);
    let mut scores = Table::new(&["", "value"]);
    let mut score = |name: &str, m: Option<Measured>| {
        scores.row("", &[text(name), measured(m, 1.0, 4)]);
    };
    score("area under the ROC curve", all.auc);
    score("Brier score", all.brier);
    score("expected calibration error", all.calibration_error);
    body += &scores.finish();
    let head = ["cutoff so that at most", "cutoff", "below: found (%)", "below: pass (%)"];
    let mut cutoffs = Table::new(&[&head[..], &["above: do not pass (%)"]].concat());
    let rows = |kind: &str, rows: &[Cutoff], table: &mut Table| {
        for row in rows {
            let name = format!("{} % of those {kind}", number(Some(100.0 * row.rate), 0));
            let mut cells = vec![name, number(row.cutoff, 4)];
            cells.extend(shares(row));
            table.row("", &cells);
        }
    };
    rows("above do not pass", &all.at_above_failed, &mut cutoffs);
    rows("below pass", &all.at_below_passed, &mut cutoffs);
    body += &cutoffs.finish();
    let groups: Vec<&AtLeastGroup> = by_sex.iter().chain(by_race).collect();
    if !groups.is_empty() {
        body += &by_group(all, &groups);
    }
    body
}

const ROC: &str = "The share of people below the threshold who are found (do not pass), by the \
                   share of those above who do not pass. On the dashed line, the probability is \
                   no better than chance.";
const RELIABILITY: &str = "The share of people at or above the threshold, with 95 % intervals, in \
                           bins of the predicted probability. On the dashed line, the probability \
                           is true. The bars at the bottom are the shares of all pictures.";

fn shares(row: &Cutoff) -> [String; 3] {
    let found = row.below_passed.map(|m| Measured {
        value: 1.0 - m.value,
        interval: m.interval.map(|[low, high]| [1.0 - high, 1.0 - low]),
    });
    [found, row.below_passed, row.above_failed].map(|m| measured(m, 100.0, 1))
}

fn by_group(all: &AtLeastGroup, groups: &[&AtLeastGroup]) -> String {
    let Some(cutoff) = all.at_above_failed.get(COMPARED).and_then(|row| row.cutoff) else {
        return String::new();
    };
    let rate = number(Some(100.0 * RATES[COMPARED]), 0);
    let mut html = paragraph(&format!(
        "By group, at the cutoff {}, which {rate} % of all people above do not pass:",
        number(Some(cutoff), 4)
    ));
    let head = [
        "",
        "below",
        "above",
        "AUC",
        "Brier score",
        "below: found (%)",
        "below: pass (%)",
        "above: do not pass (%)",
    ];
    let mut table = Table::new(&head);
    for group in std::iter::once(&all).chain(groups) {
        let mut cells = vec![
            text(&group.name),
            group.below.to_string(),
            group.above.to_string(),
            measured(group.auc, 1.0, 3),
            measured(group.brier, 1.0, 3),
        ];
        cells.extend(shares(&group.at_above_failed[COMPARED]));
        table.row("", &cells);
    }
    html += &table.finish();
    html
}

fn roc(table: &AtLeast) -> Plot {
    let axis = |name: &str| Axis::stepped(name, 0.0, 100.0, 20.0);
    let (x, y) = (axis("above, do not pass (%)"), axis("below, found (%)"));
    let title = format!("ROC curve at {}", table.threshold);
    let mut plot = Plot::new(&title, x, y).area(250.0, 250.0);
    plot.line(Ink::Muted.dashed().thin(), None, &[(0.0, 0.0), (100.0, 100.0)]);
    let points = table.roc.iter().map(|p| (100.0 * p.above_failed, 100.0 * p.below_failed));
    plot.line(Ink::Series(0), None, &points.collect::<Vec<(f64, f64)>>());
    let marks = table.all.at_above_failed.iter().filter_map(|row| {
        Some((100.0 * row.above_failed?.value, 100.0 - 100.0 * row.below_passed?.value))
    });
    plot.dots(Ink::Series(0), None, &marks.collect::<Vec<(f64, f64)>>(), 3.5);
    plot
}

fn reliability(table: &AtLeast) -> Plot {
    let axis = |name: &str| Axis::stepped(name, 0.0, 100.0, 20.0);
    let title = format!("Reliability at {}", table.threshold);
    let mut plot = Plot::new(&title, axis("predicted (%)"), axis("above (%)")).area(250.0, 250.0);
    let total: usize = table.reliability.iter().map(|bin| bin.n).sum();
    for bin in &table.reliability {
        let share = 100.0 * bin.n as f64 / total.max(1) as f64;
        let ends = [100.0 * bin.low, 100.0 * bin.high];
        plot.rect(Ink::Series(5), ends, [0.0, share], 0.35, &format!("{}", bin.n));
    }
    plot.line(Ink::Muted.dashed().thin(), None, &[(0.0, 0.0), (100.0, 100.0)]);
    let point = |bin: &crate::evaluation::Bin| (100.0 * bin.predicted, 100.0 * bin.observed.value);
    let points: Vec<(f64, f64)> = table.reliability.iter().map(point).collect();
    plot.line(Ink::Series(0), None, &points);
    for bin in &table.reliability {
        if let Some([low, high]) = bin.observed.interval {
            let x = 100.0 * bin.predicted;
            plot.line(Ink::Series(0).thin(), None, &[(x, 100.0 * low), (x, 100.0 * high)]);
        }
    }
    plot.dots(Ink::Series(0), None, &points, 3.0);
    plot
}
