//! The progress of a training on stderr, as a bar in a terminal and as lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use dldl_train::log::EpochRecord;
use dldl_train::{Progress, Start, Step};
use indicatif::ProgressBar;

use crate::interrupt;
use crate::learn::errors;
use crate::printing::{complain, printable_lines};
use crate::progress::style;

/// Time between two lines within an epoch, without a bar.
const PAUSE: Duration = Duration::from_secs(30);
/// The same in an experiment, with many trainings.
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// Shows the progress of a training.
pub struct Live {
    bar: Option<ProgressBar>,
    epochs: usize,
    steps: usize,
    /// The errors of the last validation.
    errors: String,
    /// Which of several trainings it is; empty for a single one.
    label: String,
    last_line: Instant,
}

impl Live {
    /// Handles Ctrl-C from now on: the first ends the training after its step, a second
    /// one at once.
    pub fn new() -> Self {
        // If it cannot be handled, it ends the program; steps since the last checkpoint
        // are then repeated by --resume.
        interrupt::handle("stopping after this step, with a checkpoint", || ());
        // Before the first step there are only messages.
        let bar = ProgressBar::new(0).with_style(style("{msg}"));
        let bar = std::io::stderr().is_terminal().then_some(bar);
        Self {
            bar,
            epochs: 0,
            steps: 0,
            errors: String::new(),
            label: String::new(),
            last_line: Instant::now(),
        }
    }

    /// Labels the next training as one of several, which prints no lines for epochs.
    pub fn label(&mut self, label: String) {
        self.errors.clear();
        self.label = label + ": ";
    }

    fn pause(&self) -> Duration {
        if self.label.is_empty() { PAUSE } else { LONG_PAUSE }
    }

    /// Shows a message in the bar.
    pub fn message(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Live {
    fn start(&mut self, start: &Start) {
        (self.epochs, self.steps) = (start.epochs, start.steps);
        let per_epoch = match start.samples_per_epoch == start.train {
            true => String::new(),
            false => format!(" ({} per epoch)", start.samples_per_epoch),
        };
        if self.label.is_empty() {
            self.note(&format!(
                "{} training{per_epoch} and {} validation samples, {} trainable parameters, {} epochs",
                start.train, start.val, start.parameters, start.epochs
            ));
        }
        if let Some(bar) = &self.bar {
            bar.set_style(style("{bar:16} {pos}/{len} steps, {eta} left, {msg}"));
            bar.set_length(start.steps as u64);
            bar.set_position(start.done as u64);
            bar.reset_eta();
        }
        self.last_line = Instant::now();
    }

    fn step(&mut self, step: &Step) {
        // Shown only if more loader threads would help.
        let waiting = match step.waiting > 0.05 {
            true => format!(", {:.0} % waiting for data", 100.0 * step.waiting),
            false => String::new(),
        };
        let text = format!(
            "{}epoch {}/{} at {} px, {:.0} images/s{waiting}, loss {:.3}{}",
            self.label,
            step.position.epoch + 1,
            self.epochs,
            step.position.size,
            step.images_per_second,
            step.epoch_loss,
            self.errors
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(step.done as u64);
                bar.set_message(text);
            }
            None if self.last_line.elapsed() >= self.pause() => {
                self.note(&format!("step {}/{}: {text}", step.done, self.steps));
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    fn validation(&mut self, done: usize, of: usize) {
        self.message(format!("{}validation {done}/{of}", self.label));
    }

    fn epoch(&mut self, epoch: &EpochRecord) {
        let errors = errors(&epoch.val_errors);
        let (found, last) = match errors.is_empty() {
            true => ("no validation".into(), String::new()),
            false => (format!("validation {errors}"), format!(", last {errors}")),
        };
        self.errors = last;
        if !self.label.is_empty() {
            return;
        }
        self.note(&format!(
            "epoch {:3} at {} px: loss {:.4}, {found}{} ({:.0} s, {:.1} % waiting for data)",
            epoch.epoch,
            epoch.size,
            epoch.loss,
            if epoch.best { ", the best so far" } else { "" },
            epoch.train_seconds + epoch.val_seconds,
            100.0 * epoch.waiting,
        ));
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(printable_lines(text)),
            None => complain([text.to_owned()]),
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::requested()
    }
}
