//! The headline metrics with their intervals, and the curve of cumulative scores.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph, text};
use crate::evaluation::{Evaluation, Measured, Metrics};

pub(super) fn section(evaluation: &Evaluation) -> String {
    let scale = &evaluation.subject.scale;
    let digits = scale.digits.saturating_sub(1);
    let fused = &evaluation.flip_fusion;
    let unit = &scale.name;
    let within = format!("within {} {unit}", scale.threshold(5));
    let mut cards = vec![
        card("mean absolute error", unit, fused.mae, 1.0, digits),
        card("root mean squared error", unit, fused.rmse, 1.0, digits),
        card(&within, "%", fused.cs5, 1.0, 1),
        card("Pearson's correlation", "", fused.pearson, 1.0, 3),
        card("bias (estimate minus truth)", unit, fused.bias, 1.0, digits),
        card("median absolute error", unit, fused.median_error, 1.0, digits),
    ];
    if let Some(ninety) = evaluation.probabilistic.coverage.iter().find(|c| c.level == 0.9) {
        cards.push(card("true values in the 90 % interval", "%", Some(ninety.observed), 100.0, 1));
    }
    let mut body = format!("<div class=\"cards\">\n{}</div>\n", cards.concat());
    if let Some(base) = &evaluation.baseline {
        body += &paragraph(&format!(
            "Baseline: always predicting {}, the median of the train split, has a mean absolute \
             error of {} {unit}.",
            base.train_median,
            number(Some(base.mae), digits),
        ));
    }
    body += &table(evaluation, digits);
    let title = format!("Cumulative score by error ({unit})");
    let curve = cs_plot(
        &title,
        unit,
        &[("flip fusion", &fused.cs_curve[..]), ("crop only", &evaluation.plain.cs_curve[..])],
    );
    body + &figures(&[figure(&curve, "")])
}

/// A large number with its name and interval.
fn card(name: &str, unit: &str, value: Option<Measured>, times: f64, digits: usize) -> String {
    let Some(Measured { value, interval }) = value else { return String::new() };
    let unit =
        if unit.is_empty() { String::new() } else { format!(" <small>{}</small>", text(unit)) };
    let between = interval.map_or(String::new(), |ends| {
        let [low, high] = ends.map(|v| number(Some(times * v), digits));
        format!("<small>95 %: {low} to {high}</small>")
    });
    let value = number(Some(times * value), digits);
    let name = text(name);
    // Keeps the unit on the line of its number.
    let unit =
        unit.replace("<small>", "<small style=\"display:inline;font-size:.9rem;font-weight:400\">");
    format!("<div class=\"card\"><span>{name}</span><b>{value}{unit}</b>{between}</div>\n")
}

fn table(evaluation: &Evaluation, digits: usize) -> String {
    let scale = &evaluation.subject.scale;
    let cs = [3, 5, 8].map(|units| format!("CS@{} (%)", scale.threshold(units)));
    let mut head = vec!["", "MAE", "RMSE", "Pearson", "bias", "median"];
    head.extend(cs.iter().map(String::as_str));
    let rated = evaluation.n_sigma > 0;
    if rated {
        head.extend(["epsilon-error", "with failures counted as 1"]);
    }
    let mut table = Table::new(&head);
    let views = [
        ("crop", &evaluation.plain),
        ("mirror image", &evaluation.flipped),
        ("flip fusion", &evaluation.flip_fusion),
    ];
    for (name, metrics) in views {
        let Metrics { mae, rmse, pearson, bias, median_error, cs3, cs5, cs8, .. } = metrics;
        let mut cells = vec![
            text(name),
            measured(*mae, 1.0, digits),
            measured(*rmse, 1.0, digits),
            measured(*pearson, 1.0, 3),
            measured(*bias, 1.0, digits),
            measured(*median_error, 1.0, digits),
        ];
        cells.extend([cs3, cs5, cs8].map(|cs| measured(*cs, 1.0, 1)));
        if rated {
            let both = [metrics.epsilon_error, metrics.epsilon_error_with_failures];
            cells.extend(both.map(|e| measured(e, 1.0, 3)));
        }
        table.row("", &cells);
    }
    let mut html = table.finish();
    if rated {
        let n = evaluation.n_sigma;
        html += &paragraph(&format!(
            "The epsilon-error is computed over the {n} pictures with a known standard deviation of \
             the ratings."
        ));
    }
    html
}

/// Curves of cumulative scores, by name.
pub(super) fn cs_plot(
    title: &str,
    unit: &str,
    curves: &[(&str, &[crate::evaluation::Threshold])],
) -> Plot {
    let all = curves.iter().flat_map(|c| c.1.iter());
    let reach = all.map(|t| t.error).fold(0.0, f64::max);
    let x = Axis::linear(&format!("error of at most ({unit})"), 0.0, reach);
    let mut plot = Plot::new(title, x, Axis::stepped("pictures (%)", 0.0, 100.0, 20.0));
    for (i, (name, curve)) in curves.iter().enumerate() {
        let points: Vec<(f64, f64)> = curve.iter().map(|t| (t.error, t.percent)).collect();
        let pen = if i == 1 { Ink::Series(i).dashed() } else { Ink::Series(i).into() };
        plot.line(pen, Some(name), &points);
    }
    plot
}
