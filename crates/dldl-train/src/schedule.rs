//! The learning rate as a function of progress. Progress is counted in epochs, not
//! steps, since phases may change the batch size.

use serde::{Deserialize, Serialize};

/// The schedule of the learning rate; factors multiply the base rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The paper's: times `factor` after every `every` epochs.
    Step {
        /// Epochs between two reductions (paper: 30).
        #[serde(default = "step_every")]
        every: f64,
        /// Factor of one reduction (paper: 0.1).
        #[serde(default = "step_factor")]
        factor: f64,
        /// Epochs of linear growth from 0 at the start (0: none).
        #[serde(default)]
        warmup: f64,
    },
    /// Half a cosine from 1 down to `last`.
    Cosine {
        /// Factor at the end.
        #[serde(default)]
        last: f64,
        /// Epochs of linear growth from 0 at the start (0: none).
        #[serde(default)]
        warmup: f64,
    },
    /// Up from `1 / start_div` to 1 and down to `1 / (start_div * end_div)`,
    /// both along half a cosine (Smith and Topin, 2018; PyTorch's `OneCycleLR`).
    OneCycle {
        /// Share of the training with a rising rate.
        #[serde(default = "one_cycle_rise")]
        rise: f64,
        /// Peak over first rate.
        #[serde(default = "one_cycle_start")]
        start_div: f64,
        /// First over last rate.
        #[serde(default = "one_cycle_end")]
        end_div: f64,
    },
}

fn step_every() -> f64 {
    30.0
}
fn step_factor() -> f64 {
    0.1
}
fn one_cycle_rise() -> f64 {
    0.3
}
fn one_cycle_start() -> f64 {
    25.0
}
fn one_cycle_end() -> f64 {
    1e4
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule::OneCycle {
            rise: one_cycle_rise(),
            start_div: one_cycle_start(),
            end_div: one_cycle_end(),
        }
    }
}

impl Schedule {
    /// The factor of the base learning rate after `done` of `total` epochs
    /// (`0 <= done <= total`, fractions allowed).
    pub fn factor(&self, done: f64, total: f64) -> f64 {
        match *self {
            Schedule::Step { every, factor, warmup } => {
                // The tolerance keeps 30 epochs counted in fractions at 30.
                warm(done, warmup) * factor.powf((done / every + 1e-9).floor())
            }
            Schedule::Cosine { last, warmup } => {
                if done < warmup {
                    return warm(done, warmup);
                }
                cosine(1.0, last, (done - warmup) / (total - warmup).max(f64::MIN_POSITIVE))
            }
            Schedule::OneCycle { rise, start_div, end_div } => {
                let progress = done / total;
                let first = 1.0 / start_div;
                if progress < rise {
                    cosine(first, 1.0, progress / rise)
                } else {
                    cosine(1.0, first / end_div, (progress - rise) / (1.0 - rise))
                }
            }
        }
    }

    /// What is wrong with the parameters, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match *self {
            Schedule::Step { every, factor, warmup } => {
                (!(every > 0.0 && factor > 0.0 && warmup >= 0.0))
                    .then_some("every and factor must be above 0 and warmup at least 0")
            }
            Schedule::Cosine { last, warmup } => {
                (!(last >= 0.0 && warmup >= 0.0)).then_some("last and warmup must be at least 0")
            }
            Schedule::OneCycle { rise, start_div, end_div } => {
                (!(rise > 0.0 && rise < 1.0 && start_div >= 1.0 && end_div >= 1.0))
                    .then_some("rise must lie between 0 and 1, start_div and end_div be at least 1")
            }
        }
    }
}

fn warm(done: f64, warmup: f64) -> f64 {
    if done < warmup { done / warmup } else { 1.0 }
}

/// From `a` (at 0) to `b` (at 1) along half a cosine.
fn cosine(a: f64, b: f64, progress: f64) -> f64 {
    let progress = progress.clamp(0.0, 1.0);
    b + (a - b) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_papers_schedule_drops_at_epoch_31() {
        let s = Schedule::Step { every: 30.0, factor: 0.1, warmup: 0.0 };
        assert_eq!(s.factor(0.0, 60.0), 1.0);
        assert_eq!(s.factor(29.999, 60.0), 1.0);
        assert!((s.factor(30.0, 60.0) - 0.1).abs() < 1e-12);
        assert!((s.factor(59.0, 60.0) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_cycle_agrees_with_pytorch() {
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=101), its
        // defaults, at steps 0, 10, 29, 30, 60, 100. Torch counts the peak at
        // step 0.3 * 101 - 1 of 100, so its `rise` is 29.3 / 100.
        let s = Schedule::OneCycle { rise: 0.293, start_div: 25.0, end_div: 1e4 };
        for (step, expected) in [
            (0.0, 0.040000000000000036),
            (10.0, 0.2904739632130776),
            (29.0, 0.9997516976618612),
            (30.0, 0.9997581421134295),
            (60.0, 0.6025806488883263),
            (100.0, 4e-06),
        ] {
            let got = s.factor(step, 100.0);
            assert!((got - expected).abs() < 1e-9, "step {step}: {got} and {expected}");
        }
    }

    #[test]
    fn cosine_halves_in_the_middle_after_its_warm_up() {
        let s = Schedule::Cosine { last: 0.0, warmup: 2.0 };
        assert_eq!(s.factor(1.0, 12.0), 0.5);
        assert_eq!(s.factor(2.0, 12.0), 1.0);
        assert!((s.factor(7.0, 12.0) - 0.5).abs() < 1e-12);
        assert!(s.factor(12.0, 12.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn factors_stay_between_0_and_1(total in 1.0..100.0f64, share in 0.0..=1.0f64) {
            for s in [
                Schedule::default(),
                Schedule::Cosine { last: 0.01, warmup: 0.5 },
                Schedule::Step { every: 7.0, factor: 0.3, warmup: 0.5 },
            ] {
                let f = s.factor(share * total, total);
                prop_assert!((0.0..=1.0).contains(&f), "{s:?}: {f}");
            }
        }
    }
}
