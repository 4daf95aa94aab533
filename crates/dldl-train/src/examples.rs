//! A picture of some validation samples, each with its label, its estimate and
//! the distribution behind that.

use dldl_data::resize;
use dldl_label::Distribution;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::batches::Source;
use crate::canvas::{Canvas, SANS, failed};
use crate::error::TrainError;
use crate::head::{Goal, Head, Truth};
use crate::learner::Learner;
use crate::loss::Criterion;
use crate::plan::Position;

const COLUMNS: usize = 6;
const MOST: usize = 24;
/// Side of a face.
const FACE: usize = 128;
const MARGIN: usize = 12;
const HEADING: usize = 44;
const LINE: usize = 20;
const CURVE: usize = 26;
const INK: RGBColor = RGBColor(40, 44, 52);
const MUTED: RGBColor = RGBColor(120, 126, 136);
const CURVES: RGBColor = RGBColor(86, 138, 214);
const LABELS: RGBColor = RGBColor(214, 93, 70);

/// What there is to say of one head for one sample.
struct Said {
    text: String,
    /// The estimate, and the label where there is one.
    curve: Option<(Distribution, Option<f64>)>,
}

/// Draws up to 24 samples, the same ones each time, as the learner sees them at
/// the size of `position`; none if there are no samples.
///
/// # Errors
/// If a crop cannot be read, a logit is not finite or the drawing fails.
pub(crate) fn draw(
    learner: &dyn Learner,
    criterion: &Criterion,
    samples: &Source,
    position: &Position,
    title: &str,
) -> Result<Option<Canvas>, TrainError> {
    let chosen = samples.examples(MOST);
    let count = chosen.len();
    if count == 0 {
        return Ok(None);
    }
    let batch = samples.plain_batch(&chosen, position)?;
    let logits = learner.logits(batch.images(0..count));

    let below: usize = criterion.heads().iter().map(height).sum();
    let (columns, rows) = (COLUMNS.min(count), count.div_ceil(COLUMNS));
    let (wide, high) = (FACE + MARGIN, FACE + below + MARGIN);
    // Wide enough for the heading, however few faces there are.
    let size = ((MARGIN + columns * wide).max(460), HEADING + rows * high);
    let mut canvas = Canvas::new((size.0 as u32, size.1 as u32));
    let place = |i: usize| (MARGIN + i % COLUMNS * wide, HEADING + i / COLUMNS * high);
    for (i, &index) in chosen.iter().enumerate() {
        canvas.paste(&resize(&samples.crop(index)?, FACE).rgb(), FACE, place(i));
    }
    let area = canvas.area();
    let heading = (SANS, 16).into_font().color(&INK);
    area.draw(&Text::new(title.to_owned(), (MARGIN as i32, 14), heading)).map_err(failed)?;
    let rows = logits.chunks_exact(criterion.outputs()).zip(&batch.truths);
    for (i, (logits, truths)) in rows.enumerate() {
        let (left, top) = place(i);
        let (mut top, mut from) = (top + FACE, 0);
        for (head, truth) in criterion.heads().iter().zip(truths) {
            let own = &logits[from..from + head.outputs()];
            from += head.outputs();
            let said = said(head, truth.as_ref(), own, criterion.heads().len() > 1)?;
            paint(&area, &said, (left as i32, top as i32)).map_err(failed)?;
            top += height(head);
        }
    }
    area.present().map_err(failed)?;
    drop(area);
    Ok(Some(canvas))
}

/// Pixels that a head needs below a face.
fn height(head: &Head) -> usize {
    match head.goal {
        Goal::Labels { .. } => LINE + CURVE + 4,
        Goal::Classes(_) | Goal::Vector(..) => LINE,
    }
}

fn said(
    head: &Head,
    truth: Option<&Truth>,
    logits: &[f32],
    named: bool,
) -> Result<Said, TrainError> {
    match &head.goal {
        Goal::Labels { method, labels } => {
            let estimate = method.decode(labels, logits)?;
            let label = match truth {
                Some(Truth::Label { mean, .. }) => Some(*mean),
                _ => None,
            };
            // Years to the tenth, scores of 1 to 5 to the hundredth.
            let digits = if labels.step() < 1.0 { 2 } else { 1 };
            let known = label.map_or("?".into(), |v| format!("{v:.*}", digits - 1));
            // The first letters are enough to tell heads apart.
            let name: String = match named {
                true => head.name.chars().take(4).chain([' ']).collect(),
                false => String::new(),
            };
            let text = format!("{name}{known}: {:.digits$}", method.estimate(&estimate));
            Ok(Said { text, curve: Some((estimate, label)) })
        }
        Goal::Classes(_) => {
            let text = match truth {
                Some(truth) if head.error(truth, logits)? == 0.0 => "right",
                Some(_) => "wrong",
                None => "unknown",
            };
            Ok(Said { text: text.into(), curve: None })
        }
        Goal::Vector(..) => {
            let text = match truth {
                Some(truth) => format!("cosine {:.3}", 1.0 - head.error(truth, logits)?),
                None => "unknown".into(),
            };
            Ok(Said { text, curve: None })
        }
    }
}

fn paint(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    said: &Said,
    (left, top): (i32, i32),
) -> Result<(), Box<dyn std::error::Error>> {
    let middle = Pos::new(HPos::Center, VPos::Top);
    let font = (SANS, 14).into_font().color(&INK).pos(middle);
    area.draw(&Text::new(said.text.clone(), (left + FACE as i32 / 2, top + 5), font))?;
    let Some((estimate, label)) = &said.curve else { return Ok(()) };
    let labels = estimate.labels();
    let across = |value: f64| {
        let share = (value - labels.min()) / (labels.max() - labels.min());
        left + (share.clamp(0.0, 1.0) * FACE as f64).round() as i32
    };
    let base = top + (LINE + CURVE) as i32;
    let probabilities = estimate.probabilities();
    let most = probabilities.iter().fold(f64::MIN_POSITIVE, |m, &p| m.max(p));
    let point = |(k, p): (usize, &f64)| {
        (across(labels.value(k)), base - (p / most * (CURVE - 2) as f64).round() as i32)
    };
    let curve: Vec<(i32, i32)> = probabilities.iter().enumerate().map(point).collect();
    let mut filled = curve.clone();
    filled.extend([(left + FACE as i32, base), (left, base)]);
    area.draw(&Polygon::new(filled, CURVES.mix(0.25)))?;
    area.draw(&PathElement::new(curve, CURVES))?;
    area.draw(&PathElement::new([(left, base), (left + FACE as i32, base)], MUTED))?;
    if let Some(label) = label {
        let x = across(*label);
        area.draw(&PathElement::new([(x, base - CURVE as i32), (x, base)], LABELS))?;
    }
    Ok(())
}
