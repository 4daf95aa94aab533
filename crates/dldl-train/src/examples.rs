//! A picture of some validation samples, each with its label, its estimate and the
//! distribution that the estimate is made from.

use dldl_data::resize;
use dldl_label::Distribution;
use dldl_plot::{Canvas, Color, Text};

use crate::batches::Source;
use crate::error::TrainError;
use crate::head::{Head, Objective, Target};
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
const INK: Color = [40, 44, 52];
const MUTED: Color = [120, 126, 136];
const CURVES: Color = [86, 138, 214];
const LABELS: Color = [214, 93, 70];

/// What is drawn of one head for one sample.
struct Caption {
    text: String,
    /// The estimate, and the label if there is one.
    curve: Option<(Distribution, Option<f64>)>,
}

/// Draws up to 24 samples, always the same, as the learner sees them at the size of
/// `position`; `None` if there are no samples.
///
/// # Errors
/// If a crop cannot be read or a logit is not finite.
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
    let heading = Text::sized(title, 16.0);
    // At least as wide as the heading.
    let width = (MARGIN + columns * wide).max(2 * MARGIN + heading.width().ceil() as usize);
    let mut canvas = Canvas::white(width, HEADING + rows * high);
    heading.draw(&mut canvas, [MARGIN as f32, 28.0], INK);
    let place = |i: usize| (MARGIN + i % COLUMNS * wide, HEADING + i / COLUMNS * high);
    for (i, &index) in chosen.iter().enumerate() {
        canvas.paste(resize(&samples.crop(index)?, FACE).rgb(), FACE, place(i).into());
    }
    let rows = logits.chunks_exact(criterion.outputs()).zip(&batch.targets);
    for (i, (logits, targets)) in rows.enumerate() {
        let (left, top) = place(i);
        let (mut top, mut from) = (top + FACE, 0);
        for (head, target) in criterion.heads().iter().zip(targets) {
            let own = &logits[from..from + head.outputs()];
            from += head.outputs();
            let caption = caption(head, target.as_ref(), own, criterion.heads().len() > 1)?;
            paint(&mut canvas, &caption, [left as f32, top as f32]);
            top += height(head);
        }
    }
    Ok(Some(canvas))
}

/// Pixels that a head needs below a face.
fn height(head: &Head) -> usize {
    match head.objective {
        Objective::Labels { .. } => LINE + CURVE + 4,
        Objective::Classes(_) | Objective::Vector(..) => LINE,
    }
}

fn caption(
    head: &Head,
    target: Option<&Target>,
    logits: &[f32],
    named: bool,
) -> Result<Caption, TrainError> {
    match &head.objective {
        Objective::Labels { method, labels } => {
            let estimate = method.decode(labels, logits)?;
            let label = match target {
                Some(Target::Label { mean, .. }) => Some(*mean),
                _ => None,
            };
            // One digit for ages, two for scores of 1 to 5.
            let digits = if labels.step() < 1.0 { 2 } else { 1 };
            let known = label.map_or("?".into(), |v| format!("{v:.*}", digits - 1));
            // Four letters tell the heads apart.
            let name: String = match named {
                true => head.name.chars().take(4).chain([' ']).collect(),
                false => String::new(),
            };
            let text = format!("{name}{known}: {:.digits$}", method.estimate(&estimate));
            Ok(Caption { text, curve: Some((estimate, label)) })
        }
        Objective::Classes(_) => {
            let text = match target {
                Some(target) if head.error(target, logits)? == 0.0 => "right",
                Some(_) => "wrong",
                None => "unknown",
            };
            Ok(Caption { text: text.into(), curve: None })
        }
        Objective::Vector(..) => {
            let text = match target {
                Some(target) => format!("cosine {:.3}", 1.0 - head.error(target, logits)?),
                None => "unknown".into(),
            };
            Ok(Caption { text, curve: None })
        }
    }
}

fn paint(canvas: &mut Canvas, caption: &Caption, [left, top]: [f32; 2]) {
    let text = Text::sized(&caption.text, 14.0);
    let face = FACE as f32;
    text.draw(canvas, [left + 0.5 * (face - text.width()), top + 17.0], INK);
    let Some((estimate, label)) = &caption.curve else { return };
    let labels = estimate.labels();
    let across = |value: f64| {
        let share = (value - labels.min()) / (labels.max() - labels.min());
        left + share.clamp(0.0, 1.0) as f32 * face
    };
    let base = top + (LINE + CURVE) as f32;
    let probabilities = estimate.probabilities();
    let most = probabilities.iter().fold(f64::MIN_POSITIVE, |m, &p| m.max(p));
    let point = |(k, p): (usize, &f64)| {
        [across(labels.value(k)), base - (p / most) as f32 * (CURVE - 2) as f32]
    };
    let curve: Vec<[f32; 2]> = probabilities.iter().enumerate().map(point).collect();
    let mut filled = curve.clone();
    filled.extend([[left + face, base], [left, base]]);
    canvas.fill_polygon(&filled, CURVES, 0.25);
    canvas.stroke(&curve, 1.2, CURVES, 1.0);
    canvas.fill_rect([left, base, face, 1.0], MUTED, 1.0);
    if let Some(label) = label {
        canvas.fill_rect([across(*label), base - CURVE as f32, 1.0, CURVE as f32], LABELS, 1.0);
    }
}
