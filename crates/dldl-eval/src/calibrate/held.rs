//! What a head answers for held-out pictures, and how good that is.

use dldl::{Distribution, Head};
use dldl_label::metrics::{crps, mae, nll};
use dldl_label::{Bands, Conformal};
use dldl_net::IntervalCalibration;

use super::{BandQuality, Quality};
use crate::Scale;
use crate::prediction::LEVELS;

/// The number of parts the people are divided into, to measure the coverage for people
/// that are not part of the calibration.
pub(super) const FOLDS: usize = 5;

/// The least pictures of a band of estimates: enough for the highest calibrated level,
/// 99 %, and for a coverage of 90 % to be off by 3 points by chance (a standard error).
const LEAST_OF_BAND: usize = 100;

/// Whether estimates use flip fusion or the crop alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Fused,
    Unfused,
}

/// Outputs and label of a picture.
#[derive(Clone)]
pub(super) struct Held {
    /// For the crop and for its mirror image.
    pub logits: [Vec<f32>; 2],
    /// The ends of the label; equal for a single value.
    pub label: [f64; 2],
    /// The label, or one label of the range.
    pub truth: f64,
    pub person: String,
}

impl Held {
    /// The label, or the middle of the range.
    pub fn middle(&self) -> f64 {
        0.5 * (self.label[0] + self.label[1])
    }

    /// The part of the people for cross-validation.
    pub fn fold(&self) -> usize {
        let hash = dldl_data::fnv1a(self.person.as_bytes());
        ((hash >> 32) % FOLDS as u64) as usize
    }
}

/// What a head answers for a picture.
pub(super) struct Answer {
    pub value: f64,
    pub distribution: Distribution,
    /// The nonconformity score of the true value.
    pub score: f64,
}

/// The answer for a picture, or why it cannot be decoded.
pub(super) fn answer(head: &Head, one: &Held, view: View) -> Result<Answer, String> {
    let decode = |logits: &[f32]| head.decode(logits).map_err(|e| e.to_string());
    let [plain, flipped] = &one.logits;
    let views = match view {
        View::Fused => vec![decode(plain)?, decode(flipped)?],
        View::Unfused => vec![decode(plain)?],
    };
    let (value, distribution) = head.answer(&views).map_err(|e| e.to_string())?;
    let score = distribution.nonconformity_score(one.truth);
    Ok(Answer { value, distribution, score })
}

/// The answers for pictures of which [`answer`] has succeeded before.
pub(super) fn answers(head: &Head, held: &[Held], view: View) -> Vec<Answer> {
    let answer = |one| answer(head, one, view).expect("these logits were decoded before");
    held.iter().map(answer).collect()
}

/// Calibrates intervals on the pictures that the answers are for. `edges` are the lower
/// ends of the bands of estimates, if there are to be any; a single band that is left
/// is none.
pub(super) fn fit(answers: &[Answer], edges: Option<&[f64]>, on: &str) -> IntervalCalibration {
    let (values, scores) = columns(answers.iter());
    let levels = Conformal::fit(&scores).expect("there are scores, all of distributions");
    let bands = edges.map(|edges| {
        let bands = Bands::fit(edges, &values, &scores, LEAST_OF_BAND);
        bands.expect("estimates are finite")
    });
    let bands = bands.filter(|bands| bands.bands().len() > 1);
    IntervalCalibration { on: on.to_owned(), n: answers.len(), levels, bands }
}

fn columns<'a>(answers: impl Iterator<Item = &'a Answer>) -> (Vec<f64>, Vec<f64>) {
    answers.map(|answer| (answer.value, answer.score)).unzip()
}

/// The level of the distribution's own interval for a picture and a nominal level.
pub(super) type Own<'a> = &'a dyn Fn(usize, f64) -> f64;

/// The levels with which every person is measured by the calibration of the other parts
/// (in the same bands), or of all if the others are too few.
pub(super) fn left_out(
    answers: &[Answer],
    held: &[Held],
    table: &IntervalCalibration,
) -> Vec<IntervalCalibration> {
    let edges = table.bands.as_ref().map(Bands::edges);
    let of_others = |part: usize| {
        let others = answers.iter().zip(held).filter(|(_, one)| one.fold() != part);
        let (values, scores) = columns(others.map(|(answer, _)| answer));
        let bands = edges.as_ref().map(|edges| Bands::fit(edges, &values, &scores, 1));
        match (Conformal::fit(&scores), bands.transpose()) {
            (Ok(levels), Ok(bands)) => IntervalCalibration { levels, bands, ..table.clone() },
            _ => table.clone(),
        }
    };
    (0..FOLDS).map(of_others).collect()
}

/// The share of answers whose score is at most the level of [`LEVELS`], among those
/// numbered `which`.
fn shares(answers: &[Answer], which: &[usize], own: Own) -> [f64; LEVELS.len()] {
    LEVELS.map(|level| {
        let inside = which.iter().filter(|&&i| answers[i].score <= own(i, level));
        inside.count() as f64 / which.len() as f64
    })
}

/// Metrics of answers whose intervals have the levels `own`.
pub(super) fn quality(held: &[Held], answers: &[Answer], own: Own) -> Quality {
    let n = held.len() as f64;
    let estimates: Vec<f64> = answers.iter().map(|answer| answer.value).collect();
    let truths: Vec<f64> = held.iter().map(Held::middle).collect();
    let both = answers.iter().zip(held);
    let crps = both.map(|(answer, one)| crps(&answer.distribution, one.truth));
    Quality {
        mae: mae(&estimates, &truths).expect("there are pictures"),
        nll: mean_nll(answers, held),
        crps: crps.sum::<f64>() / n,
        coverage: shares(answers, &(0..held.len()).collect::<Vec<_>>(), own),
    }
}

/// The coverage in each of a calibration's bands, before and after it. The bands are
/// those of the new estimates.
pub(super) fn by_band(
    scale: &Scale,
    table: &IntervalCalibration,
    before: (&[Answer], Own),
    after: (&[Answer], Own),
) -> Vec<BandQuality> {
    let Some(bands) = &table.bands else { return Vec::new() };
    let edges = bands.edges();
    let of_band = |k: usize| {
        let which = (0..after.0.len()).filter(|&i| bands.band(after.0[i].value) == k);
        let which: Vec<usize> = which.collect();
        BandQuality {
            name: scale.estimate_band_name(&edges, k),
            n: which.len(),
            before: shares(before.0, &which, before.1),
            after: shares(after.0, &which, after.1),
        }
    };
    (0..edges.len()).map(of_band).collect()
}

pub(super) fn mean_nll(answers: &[Answer], held: &[Held]) -> f64 {
    let both = answers.iter().zip(held);
    let all = both.map(|(answer, one)| nll(&answer.distribution, one.label[0], one.label[1]));
    all.sum::<f64>() / held.len() as f64
}
