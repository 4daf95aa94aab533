//! The progress of a training as a chart, SVG or PNG: the loss at the top, the validation
//! errors of each head below, all over epochs.

use dldl_plot::{Axis, Ink, Pen, Plot, Sheet};

use crate::log::{EpochRecord, Record};

type Point = (f64, f64);

const TRAIN: Ink = Ink::Series(0);
const VALIDATION: Ink = Ink::Series(1);

/// The validation errors of a head, for a panel of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// The head's name, as in the log.
    pub head: String,
    /// The label of the axis: `mean absolute error`, or the head.
    pub what: String,
    /// The unit: `years`.
    pub unit: &'static str,
}

/// Charts the records of a log, with a panel for each of `heads`. Without a finished
/// epoch there are only the losses of steps.
pub fn chart(records: &[Record], title: &str, heads: &[Errors]) -> Sheet {
    let epochs: Vec<&EpochRecord> = records
        .iter()
        .filter_map(|r| match r {
            Record::Epoch(e) => Some(e),
            Record::Step(_) => None,
        })
        .collect();
    let steps = step_points(records);
    let end = epochs.last().map_or(1.0, |e| e.epoch as f64);
    let end = steps.last().map_or(end, |p| p.0.max(end)).max(1.0);
    let best = epochs.iter().rev().find(|e| e.best).copied();

    let over = |value: fn(&EpochRecord) -> Option<f64>| -> Vec<Point> {
        epochs.iter().filter_map(|e| Some((e.epoch as f64, value(e)?))).collect()
    };
    // A mean over an epoch belongs to its middle, a validation to its end.
    let train: Vec<Point> = over(|e| Some(e.loss)).into_iter().map(|(x, y)| (x - 0.5, y)).collect();
    let validation = over(|e| e.val_loss);
    // The losses of the first steps are far above everything else: leave out the highest.
    let top = percentile(&steps, 97);
    let steps: Vec<Point> = steps.into_iter().filter(|p| p.1 <= top).collect();
    let mut loss = panel("loss", end, &[&steps, &train, &validation], &epochs, heads.is_empty());
    loss.line(Pen::from(TRAIN).thin().opacity(0.4), Some("training, single steps"), &steps);
    curve(&mut loss, TRAIN, Some("training, mean of the epoch"), &train);
    curve(&mut loss, VALIDATION, Some("validation"), &validation);

    let mut plots = vec![loss];
    for (i, Errors { head, what, unit }) in heads.iter().enumerate() {
        let points: Vec<Point> =
            epochs.iter().filter_map(|e| Some((e.epoch as f64, error_of(e, head)?))).collect();
        let last = i + 1 == heads.len();
        let mut plot = panel(&format!("{what} ({unit})"), end, &[&points], &epochs, last);
        curve(&mut plot, VALIDATION, None, &points);
        if let Some((epoch, error)) = best.and_then(|e| Some((e.epoch, error_of(e, head)?))) {
            plot.ring(VALIDATION, (epoch as f64, error), &format!("{error:.2}"));
        }
        plots.push(plot);
    }
    let subtitle = best.map_or(String::new(), |best| {
        let errors = heads.iter().filter_map(|Errors { head, what, unit }| {
            Some(format!("{what} {:.2} {unit}", error_of(best, head)?))
        });
        let errors: Vec<String> = errors.collect();
        let (epoch, size) = (best.epoch, best.size);
        format!("best validation: {} after epoch {epoch} at {size} pixels", errors.join(", "))
    });
    Sheet::new(title, &subtitle, plots).scale(1.4)
}

/// An empty panel for some lines, with the resolutions of the training phases.
fn panel(
    y_label: &str,
    end: f64,
    lines: &[&[Point]],
    epochs: &[&EpochRecord],
    labeled: bool,
) -> Plot {
    let x = Axis::stepped(if labeled { "epoch" } else { "" }, 0.0, end, (end / 12.0).ceil());
    let finite = lines.iter().flat_map(|l| l.iter()).map(|p| p.1).filter(|v| v.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let mut plot = Plot::new("", x, Axis::linear(y_label, low, high)).area(600.0, 190.0);
    let mut phase = None;
    for (i, epoch) in epochs.iter().enumerate() {
        if phase.replace(epoch.phase) != Some(epoch.phase) {
            let start = i.checked_sub(1).map_or(0.0, |i| epochs[i].epoch as f64);
            plot.mark(start, &format!("{} px", epoch.size));
        }
    }
    plot
}

/// A line, with dots unless they would run into each other.
fn curve(plot: &mut Plot, ink: Ink, name: Option<&str>, points: &[Point]) {
    plot.line(ink, name, points);
    if points.len() <= 80 {
        plot.dots(ink, None, points, 2.5);
    }
}

/// The value that `percent` % of the points do not exceed.
fn percentile(points: &[Point], percent: usize) -> f64 {
    let mut values: Vec<f64> = points.iter().map(|p| p.1).filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::INFINITY)
}

/// The validation error of a head after an epoch.
fn error_of(epoch: &EpochRecord, head: &str) -> Option<f64> {
    epoch.val_errors.get(head).copied()
}

/// The losses of the step records, placed within their epochs.
fn step_points(records: &[Record]) -> Vec<Point> {
    // Steps per epoch differ between phases: count from epoch to epoch.
    let mut points = Vec::new();
    let mut pending: Vec<(usize, f64)> = Vec::new();
    let (mut before, mut per_epoch) = (0, None);
    let mut place = |pending: &mut Vec<(usize, f64)>, epoch: usize, before: usize, count: usize| {
        for (step, loss) in pending.drain(..) {
            points.push((epoch as f64 - 1.0 + (step - before) as f64 / count as f64, loss));
        }
    };
    let mut epoch = 1;
    for record in records {
        match record {
            Record::Step(s) => {
                epoch = s.epoch;
                pending.push((s.step, s.loss));
            }
            Record::Epoch(e) => {
                let count = (e.step - before).max(1);
                place(&mut pending, e.epoch, before, count);
                (before, per_epoch) = (e.step, Some(count));
            }
        }
    }
    // An unfinished epoch is assumed to be as long as the one before.
    let last = pending.last().map_or(1, |p| p.0 - before).max(1);
    place(&mut pending, epoch, before, per_epoch.map_or(last, |n| n.max(last)));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::StepRecord;
    use std::collections::BTreeMap;

    fn records(epochs: usize) -> Vec<Record> {
        let mut out = Vec::new();
        for epoch in 1..=epochs {
            let (phase, size) = if epoch <= epochs / 2 { (1, 64) } else { (2, 96) };
            for part in 1..=5 {
                let step = (epoch - 1) * 50 + part * 10;
                let loss = 3.0 + 20.0 / (step as f64).sqrt();
                out.push(Record::Step(StepRecord {
                    step,
                    epoch,
                    size,
                    lr: 1e-3,
                    loss,
                    terms: BTreeMap::new(),
                    images_per_second: 50.0,
                    waiting: 0.0,
                }));
            }
            let mae = 5.0 + 8.0 / epoch as f64 + if epoch % 3 == 0 { 0.4 } else { 0.0 };
            out.push(Record::Epoch(EpochRecord {
                step: epoch * 50,
                epoch,
                phase,
                size,
                lr: 1e-3,
                loss: 3.0 + 4.0 / epoch as f64,
                terms: BTreeMap::new(),
                val_loss: Some(3.1 + 4.0 / epoch as f64),
                val_mae: Some(mae),
                val_errors: BTreeMap::from([("age".into(), mae), ("look".into(), mae / 10.0)]),
                best: epoch % 3 != 0,
                images_per_second: 50.0,
                waiting: 0.0,
                train_seconds: 60.0,
                val_seconds: 5.0,
                seconds: 65.0 * epoch as f64,
            }));
        }
        out
    }

    fn errors(head: &str, what: &str, unit: &'static str) -> Errors {
        Errors { head: head.into(), what: what.into(), unit }
    }

    fn age() -> [Errors; 1] {
        [errors("age", "mean absolute error", "years")]
    }

    #[test]
    fn the_chart_names_its_lines_axes_phases_and_best_epoch() {
        let sheet = chart(&records(16), "tiny-age: UTKFace", &age());
        let svg = sheet.to_svg();
        if let Some(path) = std::env::var_os("DLDL_CHART_OUT") {
            std::fs::write(&path, &svg).unwrap();
            std::fs::write(std::path::Path::new(&path).with_extension("png"), sheet.to_png())
                .unwrap();
        }
        for word in [
            "tiny-age: UTKFace",
            "loss",
            "mean absolute error (years)",
            "epoch",
            "training, mean of the epoch",
            "validation",
            "64 px",
            "96 px",
            // 5 + 8/16 is the lowest.
            "best validation: mean absolute error 5.50 years after epoch 16 at 96 pixels",
        ] {
            assert!(svg.contains(word), "{word} is missing");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn the_bitmap_has_the_colors_of_the_lines() {
        let canvas = chart(&records(8), "x", &age()).to_canvas();
        for wanted in [[0x00, 0x72, 0xb2], [0xd5, 0x5e, 0x00]] {
            let count = canvas.rgb().chunks_exact(3).filter(|p| *p == wanted).count();
            assert!(count > 100, "{wanted:?}: {count}");
        }
    }

    #[test]
    fn every_head_has_its_panel() {
        let heads = [errors("age", "age", "years"), errors("look", "look", "points")];
        let svg = chart(&records(16), "both", &heads).to_svg();
        for word in ["age (years)", "look (points)", "age 5.50 years, look 0.55 points"] {
            assert!(svg.contains(word), "{word} is missing");
        }
    }

    #[test]
    fn logs_without_a_finished_epoch_can_be_charted() {
        assert!(chart(&[], "x", &age()).to_svg().contains("loss"));
        let started = &records(2)[..3];
        let svg = chart(started, "x", &age()).to_svg();
        assert!(svg.contains("training, single steps"));
    }

    #[test]
    fn steps_are_placed_within_their_epochs() {
        let points = step_points(&records(4));
        assert_eq!(points.len(), 20);
        assert!((points[0].0 - 0.2).abs() < 1e-12 && (points[19].0 - 4.0).abs() < 1e-12);
    }
}
