//! The errors that remain if poor pictures are rejected.

use dldl_plot::{Axis, Ink, Plot};

use super::html::{Table, figure, figures, measured, number, paragraph};
use crate::evaluation::{Evaluation, Rejection, RejectionCurve};

pub(super) fn section(evaluation: &Evaluation) -> String {
    let Some(table) = &evaluation.rejection else { return String::new() };
    let Rejection { n, by_quality, by_std, best_area } = table;
    let unit = &evaluation.subject.scale.name;
    let digits = evaluation.subject.scale.digits.saturating_sub(1);
    let mut body = paragraph(&format!(
        "The mean absolute error ({unit}) of the pictures that remain if the poorest of {n} are \
         rejected first: by the quality of the face, or by the standard deviation of the \
         distribution. Quality does not depend on the age; the standard deviation rejects first \
         the ages that are hard to estimate. The area under the curve is {} by quality, {} by \
         standard deviation, and {} if the largest errors were rejected first.",
        number(Some(by_quality.area.value), digits),
        number(Some(by_std.area.value), digits),
        number(Some(*best_area), digits),
    ));
    body += &figures(&[figure(&plot(table, unit), "")]);
    let head = ["rejected (%)", "MAE by quality", "quality below", "MAE by spread", "+/- above"];
    let mut rows = Table::new(&head);
    for (quality, std) in by_quality.points.iter().zip(&by_std.points).step_by(2) {
        let limit = |limit: f64| number((quality.rejected > 0.0).then_some(limit), 2);
        rows.row(
            "",
            &[
                number(Some(100.0 * quality.rejected), 0),
                measured(Some(quality.mae), 1.0, digits),
                limit(quality.limit),
                measured(Some(std.mae), 1.0, digits),
                limit(std.limit),
            ],
        );
    }
    body + &rows.finish()
}

fn plot(table: &Rejection, unit: &str) -> Plot {
    let points = |curve: &RejectionCurve| -> Vec<(f64, f64)> {
        curve.points.iter().map(|p| (100.0 * p.rejected, p.mae.value)).collect()
    };
    let curves = [("by quality", &table.by_quality), ("by spread", &table.by_std)];
    let most = curves.iter().flat_map(|(_, c)| points(c)).map(|p| p.1).fold(0.0, f64::max);
    let x = Axis::stepped("rejected (%)", 0.0, 100.0, 20.0);
    let y = Axis::linear(&format!("MAE of the rest ({unit})"), 0.0, most);
    let mut plot = Plot::new("Error by the share rejected", x, y);
    let all = table.by_quality.points.first().map_or(0.0, |p| p.mae.value);
    plot.line(Ink::Muted.dashed().thin(), None, &[(0.0, all), (100.0, all)]);
    for (i, (name, curve)) in curves.into_iter().enumerate() {
        plot.line(Ink::Series(i), Some(name), &points(curve));
        plot.dots(Ink::Series(i), None, &points(curve), 2.5);
    }
    plot
}
