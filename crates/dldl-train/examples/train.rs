//! `cargo run --release -p dldl-train --example train -- CONFIG.toml [--resume]`
//!
//! Trains by a recipe, with a progress bar; Ctrl-C is safe at any time, the
//! newest checkpoint is at most `checkpoint_minutes` old.

use std::path::Path;
use std::process::ExitCode;

use dldl_train::log::EpochRecord;
use dldl_train::{Progress, Start, Step, TrainConfig, TrainError};
use indicatif::{ProgressBar, ProgressStyle};

struct Bar {
    bar: ProgressBar,
    epochs: usize,
}

impl Progress for Bar {
    fn start(&mut self, start: &Start) {
        self.epochs = start.epochs;
        self.note(&format!(
            "{} training and {} validation samples, {} parameters, {} epochs",
            start.train, start.val, start.parameters, start.epochs
        ));
        let template = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";
        self.bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        self.bar.set_length(start.steps as u64);
        self.bar.set_position(start.done as u64);
        self.bar.reset_eta();
    }

    fn step(&mut self, step: &Step) {
        self.bar.set_position(step.done as u64);
        self.bar.set_message(format!(
            "epoch {}/{} at {} px, loss {:.4}, {:.0} images/s",
            step.position.epoch + 1,
            self.epochs,
            step.position.size,
            step.epoch_loss,
            step.images_per_second
        ));
    }

    fn validation(&mut self, done: usize, of: usize) {
        self.bar.set_message(format!("validation {done}/{of}"));
    }

    fn epoch(&mut self, e: &EpochRecord) {
        let mae = e.val_mae.map_or("none".into(), |mae| format!("{mae:.3}"));
        let star = if e.best { " *" } else { "" };
        self.note(&format!(
            "epoch {:3}  {:3} px  lr {:.2e}  loss {:.4}  validation MAE {mae}{star}  {:.0} images/s, \
             {:.0} % waiting, {:.0} s + {:.0} s",
            e.epoch,
            e.size,
            e.lr,
            e.loss,
            e.images_per_second,
            100.0 * e.waiting,
            e.train_seconds,
            e.val_seconds
        ));
    }

    fn note(&mut self, text: &str) {
        // Without a terminal there is no bar, but the lines are wanted still.
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }
}

fn run(config: &str, resume: bool) -> Result<(), TrainError> {
    let config = TrainConfig::load(Path::new(config))?;
    let mut bar = Bar { bar: ProgressBar::new(0), epochs: 0 };
    let train = if resume { dldl_train::resume } else { dldl_train::train };
    let summary = train(config, &mut bar)?;
    bar.bar.finish_and_clear();
    if let Some(best) = &summary.best {
        eprintln!("best validation MAE {:.3} after epoch {}", best.mae, best.epoch);
    }
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [config] => run(config, false),
        [config, "--resume"] | ["--resume", config] => run(config, true),
        _ => {
            eprintln!("usage: train CONFIG.toml [--resume]");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
