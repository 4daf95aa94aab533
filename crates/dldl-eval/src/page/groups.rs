//! Errors by band, sex, race and combinations of these; for labels that are ranges, how
//! many estimates fall into theirs.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, details, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{Breakdown, Evaluation, MIN_GROUP, Measured};

/// Breakdowns with more groups than this get a table but no figure.
const DRAWN: usize = 20;

pub(super) fn section(evaluation: &Evaluation) -> String {
    if evaluation.breakdowns.is_empty() {
        return String::new();
    }
    let overall = evaluation.flip_fusion.mae.map(|m| m.value);
    let unit = &evaluation.subject.scale.name;
    let digits = evaluation.subject.scale.digits.saturating_sub(1);
    let short = evaluation.breakdowns.iter().filter(|b| b.groups.len() <= DRAWN);
    let plots: Vec<String> = short.map(|b| figure(&plot(b, overall, unit), "")).collect();
    let mut body = paragraph(&format!(
        "Dots are mean absolute errors in {unit}, bars their 95 % intervals; the dashed line is \
         the error over all pictures. Groups of fewer than {MIN_GROUP} pictures are gray and not \
         considered as worst or best.",
    ));
    body += &figures(&plots);
    for breakdown in &evaluation.breakdowns {
        let Breakdown { by, groups, worst, best, gap } = breakdown;
        let mut summary = String::new();
        if let (Some(worst), Some(best), Some(gap)) = (worst, best, gap) {
            let gap = number(Some(*gap), digits);
            summary =
                paragraph(&format!("Worst: {worst}; best: {best}; difference: {gap} {unit}."));
        }
        let table = table(breakdown, digits);
        body += &format!("<h4>By {}</h4>\n{summary}", text(by));
        // Long tables are collapsed.
        body += &match groups.len() > DRAWN / 2 {
            true => details(&format!("All {} groups", groups.len()), &table),
            false => table,
        };
    }
    body
}

fn table(breakdown: &Breakdown, digits: usize) -> String {
    let mut table = Table::new(&[
        &text(&breakdown.by),
        "n",
        "MAE",
        "bias",
        "in the 90 % interval (%)",
        "its mean width",
    ]);
    for group in &breakdown.groups {
        let worst = breakdown.worst.as_ref() == Some(&group.name);
        let class = if group.few {
            "few"
        } else if worst {
            "worst"
        } else {
            ""
        };
        let ninety = group.coverage.iter().find(|c| c.level == 0.9);
        table.row(
            class,
            &[
                text(&group.name),
                group.n.to_string(),
                measured(Some(group.mae), 1.0, digits),
                measured(Some(group.bias), 1.0, digits),
                measured(ninety.map(|c| c.observed), 100.0, 1),
                number(ninety.map(|c| c.width.value), digits.min(1)),
            ],
        );
    }
    table.finish()
}

fn plot(breakdown: &Breakdown, overall: Option<f64>, unit: &str) -> Plot {
    let names: Vec<String> =
        breakdown.groups.iter().map(|g| format!("{} ({})", g.name, g.n)).collect();
    let values: Vec<(Measured, bool)> = breakdown.groups.iter().map(|g| (g.mae, g.few)).collect();
    whiskers(&format!("MAE by {} (n)", breakdown.by), &names, &values, overall, unit)
}

/// Values with their intervals, one below the other; gray for small groups.
pub(super) fn whiskers(
    title: &str,
    names: &[String],
    values: &[(Measured, bool)],
    overall: Option<f64>,
    unit: &str,
) -> Plot {
    let end = |(m, _): &(Measured, bool)| m.interval.map_or(m.value, |i| i[1].max(m.value));
    let most = values.iter().map(end).chain(overall).fold(0.0, f64::max);
    let x = Axis::linear(unit, 0.0, most);
    let high = names.len() as f64 - 0.5;
    let height = 20.0 * names.len().max(2) as f64;
    let mut plot = Plot::new(title, x, Axis::names("", names)).area(220.0, height);
    if let Some(overall) = overall {
        plot.line(Ink::Muted.dashed().thin(), None, &[(overall, -0.5), (overall, high)]);
    }
    for (i, (m, few)) in values.iter().enumerate() {
        let (ink, y) = (if *few { Ink::Series(5) } else { Ink::Series(0) }, i as f64);
        if let Some([low, up]) = m.interval {
            plot.line(ink, None, &[(low, y), (up, y)]);
        }
        plot.dots(ink, None, &[(m.value, y)], 3.5);
    }
    plot
}

/// The share of estimates within their ranges; empty if no label is a range.
pub(super) fn hits(evaluation: &Evaluation) -> String {
    let Some(hits) = &evaluation.hits else { return String::new() };
    let mut body = paragraph(&format!(
        "{} labels are ranges. The share of estimates that fall into their range, rounded to the \
         nearest label:",
        hits.n
    ));
    let mut table = Table::new(&["", "n", "share (%)"]);
    table.row("", &["all".into(), hits.n.to_string(), measured(Some(hits.share), 100.0, 1)]);
    for group in &hits.by_race {
        let worst = hits.worst.as_ref() == Some(&group.name);
        let class = if group.few {
            "few"
        } else if worst {
            "worst"
        } else {
            ""
        };
        let share = measured(Some(group.share), 100.0, 1);
        table.row(class, &[text(&group.name), group.n.to_string(), share]);
    }
    body += &table.finish();
    body
}
