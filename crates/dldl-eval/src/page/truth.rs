//! Estimate against true value: a heat map, and the bias over the range.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{figure, figures};
use crate::evaluation::Evaluation;

/// Cells per direction.
const CELLS: usize = 40;

pub(super) fn section(evaluation: &Evaluation) -> String {
    if evaluation.predictions.is_empty() {
        return String::new();
    }
    let about = "Darker cells hold more pictures (by the square root of their number); on the \
                 dashed line, the estimate equals the true value.";
    figures(&[figure(&heat_map(evaluation), about), figure(&bias(evaluation), BIAS)])
}

const BIAS: &str = "The line is the mean of estimate minus truth by band of the true value, boxes \
                    are 95 % intervals. Above 0, estimates are too high. Regression to the mean \
                    shows as a decline from left to right.";

fn heat_map(evaluation: &Evaluation) -> Plot {
    let labels = &evaluation.subject.labels;
    let (low, high) = (labels.min(), labels.max());
    let width = (high - low) / CELLS as f64;
    let cell = |v: f64| (((v - low) / width).max(0.0) as usize).min(CELLS - 1);
    let mut counts = vec![[0_usize; CELLS]; CELLS];
    for p in &evaluation.predictions {
        counts[cell(p.truth)][cell(p.fused)] += 1;
    }
    let most = counts.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    let unit = &evaluation.subject.scale.name;
    let axis = |name: &str| Axis::linear(&format!("{name} ({unit})"), low, high);
    let mut plot =
        Plot::new("Truth and estimate", axis("truth"), axis("estimate")).area(270.0, 270.0);
    for (i, column) in counts.iter().enumerate() {
        for (j, n) in column.iter().enumerate().filter(|(_, n)| **n > 0) {
            let ends = |k: usize| [low + width * k as f64, low + width * (k + 1) as f64];
            // The faintest cell must be visible.
            let opacity = 0.12 + 0.88 * (*n as f64 / most).sqrt();
            plot.rect(Ink::Series(0), ends(i), ends(j), opacity, &format!("{n}"));
        }
    }
    plot.line(Ink::Muted.dashed().thin(), None, &[(low, low), (high, high)]);
    plot
}

fn bias(evaluation: &Evaluation) -> Plot {
    let scale = &evaluation.subject.scale;
    let by_truth = evaluation.breakdowns.iter().find(|b| b.by == evaluation.subject.task.name());
    let groups = by_truth.map_or(&[][..], |b| &b.groups[..]);
    let ends = groups.iter().flat_map(|g| g.bias.interval.unwrap_or([g.bias.value; 2]));
    let (low, high) = ends.fold((0.0_f64, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
    let unit = &scale.name;
    let x = Axis::names(&format!("truth ({unit})"), &names);
    let y = Axis::linear(&format!("bias ({unit})"), low, high);
    // Wide enough for the names of the bands.
    let width = f64::max(300.0, 40.0 * names.len() as f64);
    let mut plot = Plot::new("Bias by band of the true value", x, y).area(width, 270.0);
    let place = |i: usize| i as f64;
    for (i, group) in groups.iter().enumerate() {
        if let Some(interval) = group.bias.interval {
            let told = format!("{}: {:.2} ({} pictures)", group.name, group.bias.value, group.n);
            plot.rect(Ink::Series(1), [place(i) - 0.28, place(i) + 0.28], interval, 0.3, &told);
        }
    }
    let points: Vec<(f64, f64)> =
        groups.iter().enumerate().map(|(i, g)| (place(i), g.bias.value)).collect();
    plot.line(Ink::Muted.dashed().thin(), None, &[(-0.5, 0.0), (groups.len() as f64 - 0.5, 0.0)]);
    plot.line(Ink::Series(1), None, &points);
    plot.dots(Ink::Series(1), None, &points, 2.5);
    plot
}
