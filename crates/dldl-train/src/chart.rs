//! The course of a training as a picture, SVG or PNG: the loss above, the
//! validation errors below, all over epochs.

mod panel;

use plotters::prelude::*;

use crate::canvas::{Canvas, SANS, failed, prepare_font};
use crate::error::TrainError;
use crate::log::{EpochRecord, Record};

use panel::{Area, Line, Point, panel};

const WIDTH: u32 = 960;
const HEADING: u32 = 72;
const PANEL: u32 = 344;
const INK: RGBColor = RGBColor(40, 44, 52);
const MUTED: RGBColor = RGBColor(120, 126, 136);
const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(214, 92, 20);

/// The validation errors of a head, for a panel of their own.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// The head's name, as the log has it.
    pub head: String,
    /// What they are, for the axis: `mean absolute error`, or the head.
    pub what: String,
    /// Their unit: `years`.
    pub unit: &'static str,
}

/// Draws the records of a log. `title` stands above, `heads` get a panel each.
/// Without a finished epoch there are only the steps.
///
/// # Errors
/// [`TrainError::Chart`] if drawing fails.
pub fn draw(records: &[Record], title: &str, heads: &[Errors]) -> Result<String, TrainError> {
    prepare_font();
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size(heads)).into_drawing_area();
    paint(records, title, heads, root).map_err(failed)?;
    Ok(svg)
}

/// The same as PNG.
///
/// # Errors
/// As [`draw`].
pub fn draw_png(records: &[Record], title: &str, heads: &[Errors]) -> Result<Vec<u8>, TrainError> {
    let mut canvas = Canvas::new(size(heads));
    paint(records, title, heads, canvas.area()).map_err(failed)?;
    canvas.png()
}

fn size(heads: &[Errors]) -> (u32, u32) {
    (WIDTH, HEADING + PANEL * (1 + heads.len() as u32))
}

fn paint<B: DrawingBackend>(
    records: &[Record],
    title: &str,
    heads: &[Errors],
    root: Area<B>,
) -> Result<(), Box<dyn std::error::Error>>
where
    B::ErrorType: 'static,
{
    let epochs: Vec<&EpochRecord> = records
        .iter()
        .filter_map(|r| match r {
            Record::Epoch(e) => Some(e),
            Record::Step(_) => None,
        })
        .collect();
    let steps = step_points(records);
    let over = |value: fn(&EpochRecord) -> Option<f64>| -> Vec<Point> {
        epochs.iter().filter_map(|e| Some((e.epoch as f64, value(e)?))).collect()
    };
    let end = epochs.last().map_or(1.0, |e| e.epoch as f64);
    let end = steps.last().map_or(end, |p| p.0.max(end)).max(1.0);

    root.fill(&WHITE)?;
    let heading = (SANS, 24).into_font().color(&INK);
    root.draw(&Text::new(title.to_string(), (24, 18), heading))?;
    if let Some(best) = best_of(&epochs) {
        let said = heads.iter().filter_map(|Errors { head, what, unit }| {
            Some(format!("{what} {:.2} {unit}", error_of(best, head)?))
        });
        let said: Vec<String> = said.collect();
        let text = format!(
            "best validation: {} after epoch {} at {} pixels",
            said.join(", "),
            best.epoch,
            best.size
        );
        let font = (SANS, 15).into_font().color(&MUTED);
        root.draw(&Text::new(text, (24, 50), font))?;
    }
    let (_, body) = root.split_vertically(HEADING);
    let (upper, mut rest) = body.split_vertically(PANEL);

    let loss = [
        Line {
            name: "training, some steps",
            color: TRAIN.mix(0.35),
            width: 1,
            dots: false,
            points: steps,
        },
        Line {
            name: "training, epoch mean",
            color: TRAIN.to_rgba(),
            width: 2,
            dots: true,
            // A mean over an epoch belongs into its middle, a validation to its end.
            points: over(|e| Some(e.loss)).into_iter().map(|(x, y)| (x - 0.5, y)).collect(),
        },
        Line {
            name: "validation",
            color: VALIDATION.to_rgba(),
            width: 2,
            dots: true,
            points: over(|e| e.val_loss),
        },
    ];
    // Once for all panels, beside the title: inside, it would hide something.
    let mut right = WIDTH as i32 - 24;
    for line in loss.iter().rev() {
        let font = (SANS, 14).into_font();
        right -= 8 * line.name.len() as i32;
        root.draw(&Text::new(line.name, (right, 24), font.color(&INK)))?;
        let style = ShapeStyle { color: line.color, filled: true, stroke_width: line.width };
        root.draw(&PathElement::new([(right - 30, 32), (right - 8, 32)], style))?;
        right -= 48;
    }
    panel(&upper, "loss", None, end, &loss, &epochs, None)?;
    for (i, Errors { head, what, unit }) in heads.iter().enumerate() {
        let points = epochs.iter().filter_map(|e| Some((e.epoch as f64, error_of(e, head)?)));
        let error = [Line {
            name: "validation",
            color: VALIDATION.to_rgba(),
            width: 2,
            dots: true,
            points: points.collect(),
        }];
        let x_label = (i + 1 == heads.len()).then_some("epoch");
        let (area, below) = rest.split_vertically(PANEL);
        let best = best_of(&epochs).and_then(|e| Some((e.epoch as f64, error_of(e, head)?)));
        panel(&area, &format!("{what} ({unit})"), x_label, end, &error, &epochs, best)?;
        rest = below;
    }
    root.present()?;
    Ok(())
}

/// The best epoch: the last one that was called so.
fn best_of<'a>(epochs: &[&'a EpochRecord]) -> Option<&'a EpochRecord> {
    epochs.iter().rev().find(|e| e.best).copied()
}

/// The validation error of a head after an epoch.
fn error_of(epoch: &EpochRecord, head: &str) -> Option<f64> {
    epoch.val_errors.get(head).copied()
}

/// The losses of the step records, placed inside of their epochs.
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
    // An unfinished epoch is as long as the one before, as far as is known.
    let last = pending.last().map_or(1, |p| p.0 - before).max(1);
    place(&mut pending, epoch, before, per_epoch.map_or(last, |n| n.max(last)));
    points
}

#[cfg(test)]
mod tests {
    use super::panel::GRID;
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
        let svg = draw(&records(16), "tiny-age: UTKFace", &age()).unwrap();
        if let Some(path) = std::env::var_os("DLDL_CHART_OUT") {
            std::fs::write(path, &svg).unwrap();
        }
        for word in [
            "tiny-age: UTKFace",
            "loss",
            "mean absolute error (years)",
            "epoch",
            "training, epoch mean",
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
    fn the_bitmap_has_the_lines_colors() {
        let mut canvas = Canvas::new(size(&age()));
        paint(&records(8), "x", &age(), canvas.area()).unwrap();
        for color in [TRAIN, VALIDATION, GRID, INK] {
            let wanted = [color.0, color.1, color.2];
            let count = canvas.rgb.chunks_exact(3).filter(|p| *p == wanted).count();
            assert!(count > 30, "{color:?}: {count}");
        }
        let png = draw_png(&records(8), "x", &age()).unwrap();
        assert!(png.starts_with(b"\x89PNG") && png.len() > 5_000);
    }

    #[test]
    fn every_head_has_its_panel() {
        let heads = [errors("age", "age", "years"), errors("look", "look", "points")];
        let svg = draw(&records(16), "both", &heads).unwrap();
        for word in ["age (years)", "look (points)", "age 5.50 years, look 0.55 points"] {
            assert!(svg.contains(word), "{word} is missing");
        }
    }

    #[test]
    fn an_empty_log_and_a_log_without_a_whole_epoch_can_be_drawn() {
        assert!(draw(&[], "x", &age()).unwrap().contains("loss"));
        let started = &records(2)[..3];
        assert!(draw(started, "x", &age()).unwrap().contains("training, some steps"));
    }

    #[test]
    fn steps_lie_inside_of_their_epochs() {
        let points = step_points(&records(4));
        assert_eq!(points.len(), 20);
        assert!((points[0].0 - 0.2).abs() < 1e-12 && (points[19].0 - 4.0).abs() < 1e-12);
    }
}
