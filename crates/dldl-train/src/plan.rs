//! Which phase and epoch a step belongs to. The position in a training is one number,
//! the steps done; everything else follows from it, random numbers included.

use crate::config::Phase;

/// The phases laid out over steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    phases: Vec<Planned>,
}

#[derive(Debug, Clone, PartialEq)]
struct Planned {
    phase: Phase,
    first_epoch: usize,
    first_step: usize,
    steps_per_epoch: usize,
    /// First epoch and number of epochs of its stage.
    stage: (usize, usize),
}

/// The position of a step. All indices count from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Index of the phase.
    pub phase: usize,
    /// Index of the step in its phase.
    pub phase_step: usize,
    /// Index of the epoch, over all phases.
    pub epoch: usize,
    /// Index of the step in its epoch.
    pub step: usize,
    /// Number of steps of that epoch.
    pub steps: usize,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Samples per step.
    pub batch: usize,
    /// First epoch and number of epochs of its stage, which the schedule of the
    /// learning rate spans.
    pub stage: (usize, usize),
}

impl Position {
    /// Whether the step is the last of its epoch.
    pub fn ends_epoch(&self) -> bool {
        self.step + 1 == self.steps
    }

    /// Epochs of the stage before the step, with their fraction, and the number of its
    /// epochs.
    pub fn progress(&self) -> (f64, f64) {
        let (first, epochs) = self.stage;
        let done = (self.epoch - first) as f64 + self.step as f64 / self.steps as f64;
        (done, epochs as f64)
    }
}

impl Plan {
    /// The plan for `samples` training samples per epoch. An epoch has whole batches only,
    /// since a small last one would give poor batch statistics; fewer samples than a
    /// batch are one batch.
    ///
    /// # Panics
    /// If there is no sample or no phase.
    pub fn new(phases: &[Phase], samples: usize) -> Self {
        assert!(samples > 0 && !phases.is_empty(), "a plan needs samples and phases");
        let (mut first_epoch, mut first_step) = (0, 0);
        let mut stages: Vec<(usize, usize)> = Vec::new();
        let mut number = Vec::new();
        for phase in phases {
            match stages.last_mut() {
                Some(stage) if !phase.restart => stage.1 += phase.epochs,
                last => {
                    let first = last.map_or(0, |stage| stage.0 + stage.1);
                    stages.push((first, phase.epochs));
                }
            }
            number.push(stages.len() - 1);
        }
        let plan = |(phase, stage): (&Phase, usize)| {
            let batch = phase.batch.min(samples);
            let steps_per_epoch = samples / batch;
            let phase = Phase { batch, ..phase.clone() };
            let planned =
                Planned { phase, first_epoch, first_step, steps_per_epoch, stage: stages[stage] };
            first_epoch += planned.phase.epochs;
            first_step += planned.phase.epochs * steps_per_epoch;
            planned
        };
        Self { phases: phases.iter().zip(number).map(plan).collect() }
    }

    /// Epochs of all phases.
    pub fn epochs(&self) -> usize {
        self.phases.iter().map(|p| p.phase.epochs).sum()
    }

    /// Steps of all phases.
    pub fn steps(&self) -> usize {
        self.phases.iter().map(|p| p.phase.epochs * p.steps_per_epoch).sum()
    }

    /// The position of step `step`.
    ///
    /// # Panics
    /// If the plan has no such step.
    pub fn at(&self, step: usize) -> Position {
        assert!(step < self.steps(), "step {step} of {}", self.steps());
        let phase = self.phases.partition_point(|p| p.first_step <= step) - 1;
        let p = &self.phases[phase];
        let within = step - p.first_step;
        Position {
            phase,
            phase_step: within,
            epoch: p.first_epoch + within / p.steps_per_epoch,
            step: within % p.steps_per_epoch,
            steps: p.steps_per_epoch,
            size: p.phase.size,
            batch: p.phase.batch,
            stage: p.stage,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(size: usize, epochs: usize, batch: usize) -> Phase {
        Phase::new(size, epochs, batch)
    }

    #[test]
    fn steps_count_through_phases_and_epochs() {
        let plan = Plan::new(&[phase(32, 2, 4), phase(64, 1, 3)], 10);
        assert_eq!((plan.epochs(), plan.steps()), (3, 7));
        let seen: Vec<_> = (0..7)
            .map(|s| plan.at(s))
            .map(|p| (p.phase, p.phase_step, p.epoch, p.step, p.steps, p.size, p.ends_epoch()))
            .collect();
        assert_eq!(
            seen,
            [
                (0, 0, 0, 0, 2, 32, false),
                (0, 1, 0, 1, 2, 32, true),
                (0, 2, 1, 0, 2, 32, false),
                (0, 3, 1, 1, 2, 32, true),
                (1, 0, 2, 0, 3, 64, false),
                (1, 1, 2, 1, 3, 64, false),
                (1, 2, 2, 2, 3, 64, true),
            ]
        );
        assert_eq!(plan.at(5).progress(), (2.0 + 1.0 / 3.0, 3.0));
    }

    #[test]
    fn a_restart_begins_a_stage_with_its_own_schedule() {
        let again = Phase { restart: true, ..phase(64, 2, 5) };
        let plan = Plan::new(&[phase(32, 2, 5), again, phase(32, 1, 5)], 10);
        let seen: Vec<_> = (0..10).map(|s| plan.at(s).progress()).collect();
        assert_eq!(seen[..4], [(0.0, 2.0), (0.5, 2.0), (1.0, 2.0), (1.5, 2.0)]);
        assert_eq!(seen[4], (0.0, 3.0));
        assert_eq!(seen[9], (2.5, 3.0));
    }

    #[test]
    fn fewer_samples_than_a_batch_are_one_batch() {
        let plan = Plan::new(&[phase(32, 2, 64)], 5);
        assert_eq!((plan.steps(), plan.at(1).batch), (2, 5));
    }
}
