//! Calibrates a model's intervals on held-out pictures, so that they have their nominal
//! coverage. The mathematics is in [`dldl_label::Conformal`], the part of a weights file
//! in [`dldl_net::Calibration`].

mod choose;
mod held;

use dldl::{Estimator, Head};
use dldl_data::{Annotation, Problem, Sample, Split};
use dldl_label::Task;
use dldl_label::metrics::labels_within;
use dldl_net::{Calibration, Chosen, IntervalTables};

use crate::evaluate::{Run, Seen};
use crate::prediction::LEVELS;
use crate::{EvalError, Options, Progress, Scale, Source};
use choose::{best_temperature, in_first_half, recalibration};
use held::{Held, View, answer, answers, by_band, fit, left_out, quality};

/// The least pictures that a recalibration is fitted on: it has seven free numbers.
const LEAST_TO_RECALIBRATE: usize = 100;

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
    /// Too few pictures in a half of the people.
    #[error(
        "too few pictures: the {half} half of the people has {found} of {total}, but {what} needs at \
         least {needed}"
    )]
    TooFewInHalf {
        /// `first` or `second`.
        half: &'static str,
        /// Its number of pictures.
        found: usize,
        /// Number of usable pictures.
        total: usize,
        /// What they are for.
        what: &'static str,
        /// The number of pictures that it needs.
        needed: usize,
    },
    /// A temperature for a method whose outputs are not logits of labels.
    #[error("cannot fit a temperature for the method {0}: it does not have one output per label")]
    NoTemperature(&'static str),
}

/// What a calibration fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fits {
    /// A temperature of the logits, by maximum likelihood with flip fusion. This changes
    /// estimates as well; otherwise the model keeps its temperature. An old recalibration
    /// is dropped: it was fitted to other estimates.
    pub temperature: bool,
    /// A monotone map of the estimates, by least absolute error with flip fusion
    /// ([`dldl_label::Recalibration`]). Otherwise the model keeps its own, unless the
    /// temperature changes; without both, its estimates stay the same to the bit.
    pub recalibration: bool,
    /// Levels of intervals for each band of the estimate that has enough pictures
    /// ([`dldl_label::Bands`]); otherwise one table for all.
    pub by_band: bool,
}

impl Default for Fits {
    /// Intervals by band, and nothing else.
    fn default() -> Self {
        Self { temperature: false, recalibration: false, by_band: true }
    }
}

/// A calibration and its effect on the pictures that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// The task of the calibrated head.
    pub task: Task,
    /// For the model's description ([`dldl::Head::calibration`]).
    pub calibration: Calibration,
    /// How the pictures were divided, if corrections were chosen on some of them.
    pub halves: Option<Halves>,
    /// The errors of a recalibration on the first half.
    pub recalibrated: Option<RecalibrationErrors>,
    /// The effect on estimates with flip fusion.
    pub fused: Effect,
    /// The effect on estimates from the crop alone.
    pub unfused: Effect,
    /// The pictures that could not be used, and why.
    pub failed: Vec<Problem>,
}

/// Numbers of pictures of the two halves of the people, which share nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// Those that temperature and recalibration were chosen on, now or earlier.
    pub chose: usize,
    /// Those that intervals were calibrated on, and the effects are measured on.
    pub calibrated: usize,
}

/// Mean absolute errors on the pictures that a recalibration was fitted on, in units of
/// the label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecalibrationErrors {
    /// Without it.
    pub before: f64,
    /// With it.
    pub after: f64,
    /// With it, each of five parts of the people measured with that of the others.
    pub cross_validated: f64,
}

/// Metrics before and after a calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// With the model's previous calibration, if any.
    pub before: Quality,
    /// With the new calibration. The coverage is cross-validated: the people are divided
    /// into five parts, and each part is measured with the calibration of the others.
    pub after: Quality,
    /// The coverage by band of the estimate; empty without bands.
    pub bands: Vec<BandQuality>,
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

/// The share of true values in the intervals at [`LEVELS`], 0..=1, in a band of the
/// estimate, before and after a calibration as in [`Effect`].
#[derive(Debug, Clone, PartialEq)]
pub struct BandQuality {
    /// The band's name, such as `20-29`.
    pub name: String,
    /// Number of pictures in it.
    pub n: usize,
    /// With the previous calibration.
    pub before: [f64; LEVELS.len()],
    /// With the new one, cross-validated.
    pub after: [f64; LEVELS.len()],
}

/// Calibrates the intervals of one of a model's heads on pictures that it was not trained
/// on, for estimates with and without flip fusion. If the label is a range, one of its
/// labels is taken as the true one, each equally often.
///
/// If a temperature or a recalibration is fitted, or was on the same split, the people are
/// divided into two halves by a hash of their names (their pictures' file names, if not
/// known): corrections are chosen on the first, intervals calibrated and everything is
/// measured on the second.
///
/// # Errors
/// [`CalibrateError`]; in particular if there are fewer pictures than the highest of the
/// [`LEVELS`] needs ([`pictures_needed`]).
pub fn calibrate(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    fits: Fits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Calibrated, CalibrateError> {
    let run = Run::new(estimator, source, options)?;
    let head = run.head.clone();
    if fits.temperature && head.outputs() + 1 < head.labels.len() {
        return Err(CalibrateError::NoTemperature(head.method.name()));
    }
    let keep = |seen: &Seen, sample: &Sample, annotation: &Annotation| {
        let label = annotation.closed_range().unwrap_or([annotation.mean(); 2]);
        let person = sample.group.as_ref().or(sample.identity.as_ref()).unwrap_or(&sample.file);
        let (logits, person) = (seen.logits.clone(), person.clone());
        let held = Held { logits, label, truth: annotation.mean(), person };
        // Reports outputs that cannot be decoded together with their picture.
        answer(&head, &held, View::Fused)?;
        Ok(held)
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
    let split = options.split.map_or("all splits".to_owned(), |split| format!("{split} split"));
    let mut on = format!("{}, {split}", source.name());
    let mut corrections = head.calibration.clone().unwrap_or(Calibration::temperature(1.0));
    corrections.intervals = IntervalTables::default();
    let chooses = fits.temperature || fits.recalibration;
    // What was chosen on this split before must not meet its people again either.
    let chosen_here = corrections.chosen.as_ref().is_some_and(|chosen| chosen.on == on);
    let (mut halves, mut recalibrated) = (None, None);
    if chooses || chosen_here {
        let (first, second): (Vec<Held>, Vec<Held>) =
            held.into_iter().partition(|one| in_first_half(&one.person));
        check_halves(&first, &second, fits)?;
        held = second;
        halves = Some(Halves { chose: first.len(), calibrated: held.len() });
        if fits.temperature {
            let plain = Head { calibration: None, ..head.clone() };
            corrections = Calibration::temperature(best_temperature(&plain, &first));
        }
        if fits.recalibration {
            corrections.recalibration = None;
            let without = Head { calibration: Some(corrections.clone()), ..head.clone() };
            let (map, errors) = recalibration(&without, &first);
            corrections.recalibration = Some(map);
            recalibrated = Some(errors);
        }
        if chooses {
            corrections.chosen = Some(Chosen { on: on.clone(), n: first.len() });
        }
        on += ", second half";
    }
    let after = Head { calibration: Some(corrections.clone()), ..head.clone() };
    let scale = Scale::new(head.task, &head.labels);
    let edges = fits.by_band.then(|| scale.estimate_edges(&head.labels));
    let one_view = |view: View| {
        let old = answers(&head, &held, view);
        let old_own = |i: usize, level: f64| {
            let table = head.intervals(view == View::Fused);
            table.map_or(level, |table| table.levels_of(old[i].value).level(level))
        };
        let new = answers(&after, &held, view);
        let table = fit(&new, edges.as_deref(), &on);
        let parts = left_out(&new, &held, &table);
        let new_own =
            |i: usize, level: f64| parts[held[i].fold()].levels_of(new[i].value).level(level);
        let effect = Effect {
            before: quality(&held, &old, &old_own),
            after: quality(&held, &new, &new_own),
            bands: by_band(&scale, &table, (&old, &old_own), (&new, &new_own)),
        };
        (effect, Some(table))
    };
    let (fused, fused_table) = one_view(View::Fused);
    let (unfused, unfused_table) = one_view(View::Unfused);
    Ok(Calibrated {
        task: head.task,
        fused,
        unfused,
        calibration: Calibration {
            intervals: IntervalTables { fused: fused_table, unfused: unfused_table },
            ..corrections
        },
        halves,
        recalibrated,
        failed,
    })
}

fn check_halves(first: &[Held], second: &[Held], fits: Fits) -> Result<(), CalibrateError> {
    let total = first.len() + second.len();
    let least = pictures_needed(LEVELS[LEVELS.len() - 1]);
    let mut uses = vec![("second", second.len(), "a 95 % interval", least)];
    if fits.temperature {
        uses.push(("first", first.len(), "a temperature", least));
    }
    if fits.recalibration {
        uses.push(("first", first.len(), "a recalibration", LEAST_TO_RECALIBRATE));
    }
    match uses.into_iter().find(|(_, found, _, needed)| found < needed) {
        Some((half, found, what, needed)) => {
            Err(CalibrateError::TooFewInHalf { half, found, total, what, needed })
        }
        None => Ok(()),
    }
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

/// Whether a split suits calibration: only `val`, on which models are neither trained nor
/// measured.
pub fn suits_calibration(split: Option<Split>) -> bool {
    split == Some(Split::Val)
}

#[cfg(test)]
mod tests;
