//! A training on stderr: a bar where that is a terminal, plain lines where it is
//! not, and Ctrl-C.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dldl_train::log::EpochRecord;
use dldl_train::{Progress, Start, Step};
use indicatif::ProgressBar;

use crate::learn::errors;
use crate::progress::style;

/// Whether somebody pressed Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// Time between two lines within an epoch where there is no bar, and the same
/// where there are many trainings.
const PAUSE: Duration = Duration::from_secs(30);
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// Shows a training.
pub struct Live {
    bar: Option<ProgressBar>,
    epochs: usize,
    steps: usize,
    /// The last validation.
    errors: String,
    /// Which of several trainings it is; empty for the only one.
    place: String,
    said: Instant,
}

impl Live {
    /// Begins to watch for Ctrl-C: the first ends the training after its step,
    /// a second one at once.
    pub fn new() -> Self {
        let handler = || {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            let what = "stopping after this step, with a checkpoint (again: at once)";
            let _ = writeln!(std::io::stderr(), "\n{what}");
        };
        // Where it cannot be caught, it ends the program as always: what was
        // learned since the last checkpoint is learned again.
        let _ = ctrlc::set_handler(handler);
        // What comes before the first step needs no bar.
        let bar = ProgressBar::new(0).with_style(style("{msg}"));
        let bar = std::io::stderr().is_terminal().then_some(bar);
        Self {
            bar,
            epochs: 0,
            steps: 0,
            errors: String::new(),
            place: String::new(),
            said: Instant::now(),
        }
    }

    /// The next training is one of several: lines about its epochs would be too
    /// many.
    pub fn place(&mut self, place: String) {
        self.errors.clear();
        self.place = place + ": ";
    }

    fn pause(&self) -> Duration {
        if self.place.is_empty() { PAUSE } else { LONG_PAUSE }
    }

    /// Says in the bar what else is being done.
    pub fn message(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text);
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Live {
    fn start(&mut self, start: &Start) {
        (self.epochs, self.steps) = (start.epochs, start.steps);
        let drawn = match start.drawn == start.train {
            true => String::new(),
            false => format!(", {} an epoch", start.drawn),
        };
        if self.place.is_empty() {
            self.note(&format!(
                "{} training{drawn} and {} validation samples, {} parameters, {} epochs",
                start.train, start.val, start.parameters, start.epochs
            ));
        }
        if let Some(bar) = &self.bar {
            bar.set_style(style("{bar:16} {pos}/{len} steps, {eta} left, {msg}"));
            bar.set_length(start.steps as u64);
            bar.set_position(start.done as u64);
            bar.reset_eta();
        }
        self.said = Instant::now();
    }

    fn step(&mut self, step: &Step) {
        // Worth a place in a line only where something can be done about it.
        let waiting = match step.waiting > 0.05 {
            true => format!(", {:.0} % waiting for data", 100.0 * step.waiting),
            false => String::new(),
        };
        let text = format!(
            "{}epoch {}/{} at {} px, {:.0} images/s{waiting}, loss {:.3}{}",
            self.place,
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
            None if self.said.elapsed() >= self.pause() => {
                self.note(&format!("step {}/{}: {text}", step.done, self.steps));
                self.said = Instant::now();
            }
            None => {}
        }
    }

    fn validation(&mut self, done: usize, of: usize) {
        self.message(format!("{}validation {done}/{of}", self.place));
    }

    fn epoch(&mut self, epoch: &EpochRecord) {
        let errors = errors(&epoch.val_errors);
        let (found, last) = match errors.is_empty() {
            true => ("no validation".into(), String::new()),
            false => (format!("validation {errors}"), format!(", last {errors}")),
        };
        self.errors = last;
        if !self.place.is_empty() {
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
            Some(bar) => bar.println(text),
            // Nobody may be reading any more: the training goes on.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    fn stop(&mut self) -> bool {
        STOP.load(Ordering::SeqCst)
    }
}
