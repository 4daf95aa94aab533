//! Calibrates a model's intervals on held-out pictures, so that they have their nominal
//! coverage. The mathematics is in [`dldl_label::Conformal`], the part of a weights file
//! in [`dldl_net::Calibration`].

use dldl::{Distribution, Estimator, Head};
use dldl_data::{Annotation, Problem, Sample, Split};
use dldl_label::metrics::{crps, labels_within, mae, nll};
use dldl_label::{Conformal, Task};
use dldl_net::{Calibration, IntervalCalibration, IntervalTables};

use crate::evaluate::{Run, Seen};
use crate::prediction::LEVELS;
use crate::{EvalError, Options, Progress, Source};

/// The number of parts the people are divided into, to measure the coverage for people
/// that are not part of the calibration.
const FOLDS: usize = 5;

/// The range of the search for a temperature.
const TEMPERATURES: [f64; 2] = [0.1, 10.0];

/// A calibration that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// The model, the data and the options do not fit together.
    #[error(transparent)]
    Evaluate(#[from] EvalError),
    /// Too few pictures could be used for the highest of the [`LEVELS`].
    #[error(
        "too few pictures to calibrate: {usable} of {total} can be used, but a {:.0} % interval \
         needs at least {needed}",
        100.0 * level
    )]
    TooFewPictures {
        /// Number of usable pictures.
        usable: usize,
        /// Number of pictures.
        total: usize,
        /// The level, 0..=1.
        level: f64,
        /// The number of pictures that the level needs.
        needed: usize,
    },
    /// A temperature for a method whose outputs are not logits of labels.
    #[error("cannot fit a temperature for the method {0}: it does not have one output per label")]
    NoTemperature(&'static str),
}

/// A calibration and its effect on the pictures that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The task of the calibrated head.
    pub task: Task,
    /// For the model's description ([`dldl::Head::calibration`]).
    pub calibration: Calibration,
    /// The effect on estimates with flip fusion.
    pub fused: Effect,
    /// The effect on estimates from the crop alone.
    pub unfused: Effect,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
}

/// Metrics before and after a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// With the model's previous calibration, if any.
    pub before: Quality,
    /// With the new calibration. The coverage is cross-validated: the people are divided
    /// into five parts, and each part is measured with the calibration of the others.
    pub after: Quality,
}

/// Metrics of distributions and intervals on the pictures of a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Mean absolute error, in units of the label.
    pub mae: f64,
    /// Mean negative log-likelihood, in nats.
    pub nll: f64,
    /// Mean continuous ranked probability score, in units of the label.
    pub crps: f64,
    /// The share of true values in the intervals at [`LEVELS`], 0..=1.
    pub coverage: [f64; LEVELS.len()],
}

/// Whether estimates use flip fusion or the crop alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Fused,
    Unfused,
}

/// Outputs and label of a picture.
struct Held {
    /// For the crop and for its mirror image.
    logits: [Vec<f32>; 2],
    /// The ends of the label; equal for a single value.
    label: [f64; 2],
    /// The label, or one label of the range.
    truth: f64,
    person: String,
}

/// Calibrates the intervals of one of a model's heads on pictures that it was not trained
/// on, for estimates with and without flip fusion. If the label is a range, one of its
/// labels is taken as the true one, each equally often.
///
/// With `temperature`, first finds the temperature of the highest likelihood with flip
/// fusion; this changes estimates as well. Otherwise the model keeps its temperature, and
/// its estimates stay the same to the bit.
///
/// # Errors
/// [`CalibrateError`]; in particular if there are fewer pictures than the highest of the
/// [`LEVELS`] needs ([`pictures_needed`]).
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
        // Reports outputs that cannot be decoded together with their picture.
        distribution(&head, &seen.logits, View::Fused)?;
        let label = annotation.closed_range().unwrap_or([annotation.mean(); 2]);
        let person = sample.group.as_ref().or(sample.identity.as_ref()).unwrap_or(&sample.file);
        let (logits, person) = (seen.logits.clone(), person.clone());
        Ok(Held { logits, label, truth: annotation.mean(), person })
    };
    let (mut held, failed) = run.over(&keep, progress);
    let (usable, level) = (held.len(), LEVELS[LEVELS.len() - 1]);
    let needed = pictures_needed(level);
    if usable < needed {
        let total = usable + failed.len();
        return Err(CalibrateError::TooFewPictures { usable, total, level, needed });
    }
    for (i, one) in held.iter_mut().enumerate() {
        if one.label[0] < one.label[1] {
            let within = labels_within(&head.labels, one.label[0], one.label[1]);
            // Fractional parts of multiples of the golden ratio are evenly spread.
            let place = (i as f64 * 0.618_033_988_749_894_9).fract() * within.len() as f64;
            one.truth = head.labels.value(within.start + place as usize);
        }
    }
    let old = head.calibration.as_ref().map_or(1.0, |c| c.temperature);
    let mut after = Head { calibration: Some(Calibration::temperature(old)), ..head.clone() };
    if temperature {
        after.calibration = Some(Calibration::temperature(best_temperature(&head, &held)));
    }
    let split = options.split.map_or("all splits".to_owned(), |split| format!("{split} split"));
    let on = format!("{}, {split}", source.name());
    let one_view = |view: View| {
        let asked = LEVELS.map(|level| {
            let table = head.intervals(view == View::Fused);
            table.map_or(level, |table| table.levels.level(level))
        });
        let covered = shares(&scores(&head, &held, view), |_, k| asked[k]);
        let before = quality(&head, &held, view, covered);
        let scores = scores(&after, &held, view);
        let levels = Conformal::fit(&scores).expect("there are scores, all of distributions");
        let after = quality(&after, &held, view, left_out(&scores, &held));
        let table = IntervalCalibration { on: on.clone(), n: usable, levels };
        (Effect { before, after }, Some(table))
    };
    let (fused, fused_table) = one_view(View::Fused);
    let (unfused, unfused_table) = one_view(View::Unfused);
    Ok(Calibrated {
        task: head.task,
        fused,
        unfused,
        calibration: Calibration {
            temperature: after.calibration.as_ref().map_or(1.0, |c| c.temperature),
            intervals: IntervalTables { fused: fused_table, unfused: unfused_table },
        },
        failed,
    })
}

/// The smallest number of pictures that can calibrate intervals of a level, `ceil((n + 1)
/// level) <= n`: 9 for 90 %, 19 for 95 %, 99 for 99 %. With fewer, these intervals would
/// be the whole range of labels. The level is rounded to whole percent.
///
/// # Panics
/// If `level` is not in 0..1.
pub fn pictures_needed(level: f64) -> usize {
    let percent = (100.0 * level).round() as usize;
    assert!(level >= 0.0 && percent < 100, "level {level} is not in 0..1");
    percent.div_ceil(100 - percent)
}

/// The highest level in whole percent, as a share, that `pictures` pictures can calibrate.
pub fn highest_level(pictures: usize) -> f64 {
    (100 * pictures / (pictures + 1)) as f64 / 100.0
}

fn distribution(
    head: &Head,
    [plain, flipped]: &[Vec<f32>; 2],
    view: View,
) -> Result<Distribution, String> {
    let decode = |logits: &[f32]| head.decode(logits).map_err(|e| e.to_string());
    let both = [decode(plain)?, decode(flipped)?];
    match view {
        View::Fused => Distribution::average(&both).map_err(|e| e.to_string()),
        View::Unfused => {
            let [plain, _] = both;
            Ok(plain)
        }
    }
}

fn distributions<'a>(
    head: &'a Head,
    held: &'a [Held],
    view: View,
) -> impl Iterator<Item = Distribution> + 'a {
    let decoded = move |one: &Held| distribution(head, &one.logits, view);
    held.iter().map(move |one| decoded(one).expect("these logits were decoded before"))
}

fn scores(head: &Head, held: &[Held], view: View) -> Vec<f64> {
    let both = distributions(head, held, view).zip(held);
    both.map(|(d, one)| d.nonconformity_score(one.truth)).collect()
}

/// The share of scores up to the level that `level` returns for sample i and entry k of
/// [`LEVELS`].
fn shares(scores: &[f64], level: impl Fn(usize, usize) -> f64) -> [f64; LEVELS.len()] {
    std::array::from_fn(|k| {
        let inside = scores.iter().enumerate().filter(|&(i, &score)| score <= level(i, k));
        inside.count() as f64 / scores.len() as f64
    })
}

/// The cross-validated coverage: every person is measured with the calibration of the
/// other parts, or of all if the others are too few.
fn left_out(scores: &[f64], held: &[Held]) -> [f64; LEVELS.len()] {
    let fold = |one: &Held| {
        let hash = dldl_data::fnv1a(one.person.as_bytes());
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

fn quality(head: &Head, held: &[Held], view: View, coverage: [f64; LEVELS.len()]) -> Quality {
    let n = held.len() as f64;
    let estimates: Vec<f64> = distributions(head, held, view).map(|d| head.value(&d)).collect();
    let truths: Vec<f64> = held.iter().map(|one| 0.5 * (one.label[0] + one.label[1])).collect();
    let crps = distributions(head, held, view).zip(held).map(|(d, one)| crps(&d, one.truth));
    Quality {
        mae: mae(&estimates, &truths).expect("there are pictures"),
        nll: mean_nll(head, held, view),
        crps: crps.sum::<f64>() / n,
        coverage,
    }
}

fn mean_nll(head: &Head, held: &[Held], view: View) -> f64 {
    let both = distributions(head, held, view).zip(held);
    let all = both.map(|(d, one)| nll(&d, one.label[0], one.label[1]));
    all.sum::<f64>() / held.len() as f64
}

/// The temperature of the highest likelihood with flip fusion, by golden-section search
/// over its logarithm, rounded to a thousandth.
fn best_temperature(head: &Head, held: &[Held]) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let loss = |log: f64| {
        let calibration = Some(Calibration::temperature(log.exp()));
        mean_nll(&Head { calibration, ..head.clone() }, held, View::Fused)
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
    // Further digits are below the precision of the search.
    ((0.5 * (low + high)).exp() * 1e3).round() / 1e3
}

/// Whether a split suits calibration: only `val`, on which models are neither trained nor
/// measured.
pub fn suits_calibration(split: Option<Split>) -> bool {
    split == Some(Split::Val)
}

#[cfg(test)]
mod tests {
    use dldl::{LabelSet, Method};

    use super::*;

    /// Ages drawn from Gaussians around estimates, and a network that predicts `belief`
    /// times their spread.
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

    /// With whole years, and networks that are overconfident, calibrated and
    /// underconfident.
    #[test]
    fn calibrated_intervals_cover_new_people() {
        for (belief, seed) in [(0.3, 1), (1.0, 2), (2.5, 3)] {
            let (head, calibration) = world(2000, belief, seed);
            let levels = Conformal::fit(&scores(&head, &calibration, View::Fused)).unwrap();
            let on = String::new();
            let fused = Some(IntervalCalibration { on, n: 2000, levels });
            let intervals = IntervalTables { fused, unfused: None };
            let calibrated = Calibration { temperature: 1.0, intervals };
            let head = Head { calibration: Some(calibrated), ..head };
            let (_, new) = world(4000, belief, seed + 10);
            for level in LEVELS {
                let inside =
                    distributions(&head, &new, View::Fused).zip(&new).filter(|(d, one)| {
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
    fn uncalibrated_intervals_of_an_overconfident_network_do_not() {
        let (head, held) = world(2000, 0.3, 1);
        let before = shares(&scores(&head, &held, View::Fused), |_, k| LEVELS[k]);
        assert!(before[2] < 0.5, "{before:?}");
        let after = left_out(&scores(&head, &held, View::Fused), &held);
        assert!((after[2] - 0.9).abs() < 0.02, "{after:?}");
    }

    /// Dividing the logits of a Gaussian by the square of a factor widens it by that
    /// factor.
    #[test]
    fn the_temperature_corrects_a_wrong_spread() {
        let (head, held) = world(1500, 0.5, 4);
        let found = best_temperature(&head, &held);
        assert!((found - 4.0).abs() < 0.4, "{found}");
        let better = Head { calibration: Some(Calibration::temperature(found)), ..head.clone() };
        assert!(mean_nll(&better, &held, View::Fused) < mean_nll(&head, &held, View::Fused) - 0.5);
        let covered = shares(&scores(&better, &held, View::Fused), |_, k| LEVELS[k]);
        assert!((covered[2] - 0.9).abs() < 0.03, "{covered:?}");
    }

    #[test]
    fn levels_need_enough_pictures() {
        assert_eq!([0.5, 0.8, 0.9, 0.95, 0.99].map(pictures_needed), [1, 4, 9, 19, 99]);
        for n in 1..300 {
            let level = highest_level(n);
            assert!(pictures_needed(level) <= n, "{n}");
            assert!(level > 0.985 || pictures_needed(level + 0.01) > n, "{n}");
            // Below that level, intervals are narrower than the whole range.
            let scores: Vec<f64> = (0..n).map(|i| 0.5 * i as f64 / n as f64).collect();
            let levels = Conformal::fit(&scores).unwrap();
            assert!(levels.level(level) < 1.0, "{n}");
            assert!(level > 0.985 || levels.level(level + 0.01) == 1.0, "{n}");
        }
    }

    #[test]
    fn unfused_intervals_use_the_crop_alone() {
        let (head, mut held) = world(50, 1.0, 5);
        let unfused = scores(&head, &held, View::Unfused);
        let fused = scores(&head, &held, View::Fused);
        assert!(unfused.iter().zip(&fused).all(|(a, b)| (a - b).abs() < 1e-9));
        held.iter_mut().for_each(|one| one.logits[1].reverse());
        assert_eq!(scores(&head, &held, View::Unfused), unfused);
        assert_ne!(scores(&head, &held, View::Fused), unfused);
    }
}
