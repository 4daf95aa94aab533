//! Calibration: what makes a model's intervals hold what they promise, from
//! held-out pictures. The mathematics is in [`dldl_label::Conformal`]; what a file
//! holds of it in [`dldl_net::Calibration`].

use dldl::{Distribution, Estimator, Head};
use dldl_data::{Annotation, Problem, Sample, Split};
use dldl_label::metrics::{crps, labels_within, mae, nll};
use dldl_label::{Conformal, Task};
use dldl_net::{Calibration, IntervalCalibration, IntervalTables};

use crate::evaluate::{Run, Seen};
use crate::prediction::LEVELS;
use crate::{EvalError, Options, Progress, Source};

/// Into how many parts the people are divided to see how calibration does on
/// people that it has not seen.
const FOLDS: usize = 5;

/// The temperatures that are searched.
const TEMPERATURES: [f64; 2] = [0.1, 10.0];

/// Why a model cannot be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The model, the data and the options do not fit together.
    #[error(transparent)]
    Evaluate(#[from] EvalError),
    /// Not one picture could be used.
    #[error("none of the {0} pictures can be used")]
    Nothing(usize),
    /// A temperature for outputs that are no logits of labels.
    #[error("a model of the method {0} has no temperature: its outputs are not one for each label")]
    NoTemperature(&'static str),
}

/// A calibration, and what it does to the pictures that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// What was calibrated: the task of one of the model's heads.
    pub task: Task,
    /// For the model's description ([`dldl::Head::calibration`]).
    pub calibration: Calibration,
    /// As the model was.
    pub before: Quality,
    /// With the new calibration. The coverage is that of people left out: of
    /// five parts of the people, each with the calibration of the others.
    pub after: Quality,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
}

/// How good distributions and intervals are on the pictures of a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Mean absolute error, in units of the label.
    pub mae: f64,
    /// Mean negative log-likelihood, in nats.
    pub nll: f64,
    /// Mean continuous ranked probability score, in units of the label.
    pub crps: f64,
    /// The share of truths in the intervals of the [`LEVELS`], 0..=1.
    pub coverage: [f64; LEVELS.len()],
}

/// What is kept of a picture.
struct Held {
    logits: [Vec<f32>; 2],
    /// The ends of the label, the same for one value.
    label: [f64; 2],
    /// The label, or one of the range.
    truth: f64,
    person: String,
}

/// Calibrates the intervals of one of a model's heads on pictures that it was not
/// trained on, after flip fusion. Where the label is a range, one of its labels
/// stands for the truth, each equally often.
///
/// With `temperature`, the temperature that gives the pictures the highest
/// likelihood is found first; it changes estimates, too. Without it the model
/// keeps the one it has, and its estimates stay bit for bit.
///
/// # Errors
/// [`CalibrateError`].
pub fn calibrate(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    temperature: bool,
    progress: &mut dyn FnMut(Progress),
) -> Result<Calibrated, CalibrateError> {
    let run = Run::new(estimator, source, options)?;
    let head = run.head.clone();
    if temperature && head.outputs() + 1 < head.labels.len() {
        return Err(CalibrateError::NoTemperature(head.method.name()));
    }
    let keep = |seen: &Seen, sample: &Sample, annotation: &Annotation| {
        // What cannot be decoded is found here, with its picture.
        fused(&head, &seen.logits)?;
        let label = match annotation {
            Annotation::Interval { interval } => *interval,
            _ => [annotation.mean(); 2],
        };
        let person = sample.group.as_ref().or(sample.identity.as_ref()).unwrap_or(&sample.file);
        let (logits, person) = (seen.logits.clone(), person.clone());
        Ok(Held { logits, label, truth: annotation.mean(), person })
    };
    let (mut held, failed) = run.over(&keep, progress);
    if held.is_empty() {
        return Err(CalibrateError::Nothing(failed.len()));
    }
    for (i, one) in held.iter_mut().enumerate() {
        if one.label[0] < one.label[1] {
            let within = labels_within(&head.labels, one.label[0], one.label[1]);
            // Multiples of the golden ratio are spread evenly over 0..1.
            let place = (i as f64 * 0.618_033_988_749_894_9).fract() * within.len() as f64;
            one.truth = head.labels.value(within.start + place as usize);
        }
    }
    let old = head.calibration.as_ref().map_or(1.0, |c| c.temperature);
    let mut after = Head { calibration: Some(Calibration::temperature(old)), ..head.clone() };
    if temperature {
        after.calibration = Some(Calibration::temperature(best_temperature(&head, &held)));
    }
    let scored = scores(&after, &held);
    let levels = Conformal::fit(&scored).expect("scores of distributions, of which there are some");
    let asked = LEVELS.map(|level| head.intervals(true).map_or(level, |i| i.levels.level(level)));
    let covered_before = shares(&scores(&head, &held), |_, k| asked[k]);
    let split = options.split.map_or("all splits".to_owned(), |split| format!("{split} split"));
    let on = format!("{}, {split}", source.name());
    Ok(Calibrated {
        task: head.task,
        before: quality(&head, &held, covered_before),
        after: quality(&after, &held, left_out(&scored, &held)),
        calibration: Calibration {
            temperature: after.calibration.as_ref().map_or(1.0, |c| c.temperature),
            intervals: IntervalTables {
                fused: Some(IntervalCalibration { on, n: held.len(), levels }),
                unfused: None,
            },
        },
        failed,
    })
}

fn fused(head: &Head, [plain, flipped]: &[Vec<f32>; 2]) -> Result<Distribution, String> {
    let decode = |logits: &[f32]| head.decode(logits).map_err(|e| e.to_string());
    Distribution::average(&[decode(plain)?, decode(flipped)?]).map_err(|e| e.to_string())
}

/// The distributions of all, which decoded before.
fn distributions<'a>(head: &'a Head, held: &'a [Held]) -> impl Iterator<Item = Distribution> + 'a {
    held.iter().map(|one| fused(head, &one.logits).expect("it could be decoded before"))
}

fn scores(head: &Head, held: &[Held]) -> Vec<f64> {
    distributions(head, held).zip(held).map(|(d, one)| d.nonconformity_score(one.truth)).collect()
}

/// The share of scores of at most the level that `level` gives for sample i and
/// entry k of the [`LEVELS`].
fn shares(scores: &[f64], level: impl Fn(usize, usize) -> f64) -> [f64; LEVELS.len()] {
    std::array::from_fn(|k| {
        let inside = scores.iter().enumerate().filter(|&(i, &score)| score <= level(i, k));
        inside.count() as f64 / scores.len() as f64
    })
}

/// The coverage of people whose part took no part in the calibration; as it is
/// where there are too few to tell.
fn left_out(scores: &[f64], held: &[Held]) -> [f64; LEVELS.len()] {
    let fold = |one: &Held| {
        let hash = one.person.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        ((hash >> 32) % FOLDS as u64) as usize
    };
    let folds: Vec<usize> = held.iter().map(fold).collect();
    let all = Conformal::fit(scores).expect("there are scores");
    let of_others = |part: usize| {
        let others = scores.iter().zip(&folds).filter(|(_, fold)| **fold != part);
        let others: Vec<f64> = others.map(|(score, _)| *score).collect();
        Conformal::fit(&others).unwrap_or_else(|_| all.clone())
    };
    let parts: Vec<Conformal> = (0..FOLDS).map(of_others).collect();
    shares(scores, |i, k| parts[folds[i]].level(LEVELS[k]))
}

fn quality(head: &Head, held: &[Held], coverage: [f64; LEVELS.len()]) -> Quality {
    let n = held.len() as f64;
    let estimates: Vec<f64> = distributions(head, held).map(|d| head.value(&d)).collect();
    let truths: Vec<f64> = held.iter().map(|one| 0.5 * (one.label[0] + one.label[1])).collect();
    let crps = distributions(head, held).zip(held).map(|(d, one)| crps(&d, one.truth));
    Quality {
        mae: mae(&estimates, &truths).expect("there are some"),
        nll: mean_nll(head, held),
        crps: crps.sum::<f64>() / n,
        coverage,
    }
}

fn mean_nll(head: &Head, held: &[Held]) -> f64 {
    let all =
        distributions(head, held).zip(held).map(|(d, one)| nll(&d, one.label[0], one.label[1]));
    all.sum::<f64>() / held.len() as f64
}

/// The temperature with the highest likelihood, by golden-section search over its
/// logarithm, to a thousandth.
fn best_temperature(head: &Head, held: &[Held]) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let loss = |log: f64| {
        let calibration = Some(Calibration::temperature(log.exp()));
        mean_nll(&Head { calibration, ..head.clone() }, held)
    };
    let [mut low, mut high] = TEMPERATURES.map(f64::ln);
    let inner = |low: f64, high: f64| [high - ratio * (high - low), low + ratio * (high - low)];
    let [mut a, mut b] = inner(low, high);
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    while high - low > 1e-3 {
        if loss_a < loss_b {
            high = b;
            (b, loss_b) = (a, loss_a);
            a = inner(low, high)[0];
            loss_a = loss(a);
        } else {
            low = a;
            (a, loss_a) = (b, loss_b);
            b = inner(low, high)[1];
            loss_b = loss(b);
        }
    }
    // Digits beyond what was searched say nothing.
    ((0.5 * (low + high)).exp() * 1e3).round() / 1e3
}

/// What a model may be calibrated on without asking back: what it was not trained
/// on, and what it is not measured on either.
pub fn suits_calibration(split: Option<Split>) -> bool {
    split == Some(Split::Val)
}

#[cfg(test)]
mod tests {
    use dldl::{LabelSet, Method};

    use super::*;

    /// Ages drawn by Gaussians around estimates, and a network that takes their
    /// spread for `belief` times what it is.
    fn world(n: usize, belief: f64, seed: u64) -> (Head, Vec<Held>) {
        let labels = LabelSet::age();
        let mut state = seed;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let one = |i: usize| {
            let (mean, sigma) = (20.0 + 50.0 * uniform(), 2.0 + 4.0 * uniform());
            let gauss: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            // People are whole years old.
            let truth = (mean + sigma * gauss).round().clamp(0.0, 100.0);
            let believed = sigma * belief;
            let logit = |age: f64| (-0.5 * ((age - mean) / believed).powi(2)) as f32;
            let logits: Vec<f32> = labels.values().into_iter().map(logit).collect();
            Held {
                logits: [logits.clone(), logits],
                label: [truth; 2],
                truth,
                person: format!("person {i}"),
            }
        };
        let held = (0..n).map(one).collect();
        (Head::new(Task::Age, labels, Method::Dldl), held)
    }

    /// Whole years, a network that is far too sure of itself, and one that is not
    /// sure enough: new people are covered as promised.
    #[test]
    fn intervals_cover_new_people_as_promised() {
        for (belief, seed) in [(0.3, 1), (1.0, 2), (2.5, 3)] {
            let (head, calibration) = world(2000, belief, seed);
            let levels = Conformal::fit(&scores(&head, &calibration)).unwrap();
            let on = String::new();
            let fused = Some(IntervalCalibration { on, n: 2000, levels });
            let intervals = IntervalTables { fused, unfused: None };
            let calibrated = Calibration { temperature: 1.0, intervals };
            let head = Head { calibration: Some(calibrated), ..head };
            let (_, new) = world(4000, belief, seed + 10);
            for level in LEVELS {
                let inside = distributions(&head, &new).zip(&new).filter(|(d, one)| {
                    let interval = head.interval(d, level, true);
                    interval.low <= one.truth && one.truth <= interval.high
                });
                let share = inside.count() as f64 / 4000.0;
                // Three standard errors of both samples.
                let chance = 3.0 * (level * (1.0 - level) * (1.0 / 2000.0 + 1.0 / 4000.0)).sqrt();
                assert!((share - level).abs() < chance, "{belief}, {level}: {share}");
            }
        }
    }

    #[test]
    fn without_calibration_they_do_not() {
        let (head, held) = world(2000, 0.3, 1);
        let before = shares(&scores(&head, &held), |_, k| LEVELS[k]);
        assert!(before[2] < 0.5, "{before:?}");
        let after = left_out(&scores(&head, &held), &held);
        assert!((after[2] - 0.9).abs() < 0.02, "{after:?}");
    }

    /// Logits of a Gaussian divided by the square of a factor are those of one
    /// that is that factor wider.
    #[test]
    fn the_temperature_undoes_what_is_wrong_everywhere() {
        let (head, held) = world(1500, 0.5, 4);
        let found = best_temperature(&head, &held);
        assert!((found - 4.0).abs() < 0.4, "{found}");
        let better = Head { calibration: Some(Calibration::temperature(found)), ..head.clone() };
        assert!(mean_nll(&better, &held) < mean_nll(&head, &held) - 0.5);
        let covered = shares(&scores(&better, &held), |_, k| LEVELS[k]);
        assert!((covered[2] - 0.9).abs() < 0.03, "{covered:?}");
    }
}
