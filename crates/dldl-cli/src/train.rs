//! `dldl train`: a recipe to a model. The command is always there; its work
//! needs the cargo feature `train`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Train a model by a recipe (needs a build with the feature `train`)
///
/// The recipe is a TOML file; it names the cache that `dldl prepare` made and
/// the folder of the run, which is filled with checkpoints, a log, a chart and,
/// at the end, model.safetensors. Interrupt it at any time and go on with
/// --resume.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The recipe
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,

    /// Go on from the newest checkpoint in the run's folder
    #[arg(long)]
    resume: bool,

    /// Read this cache instead of the recipe's
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Write to this folder instead of the recipe's
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,

    /// Start from these weights instead of the recipe's
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    init: Option<PathBuf>,

    /// Seed of the initial weights, the order and the augmentation
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Base learning rate
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,

    /// Where it runs; vulkan and cuda need builds with the feature of that name
    #[arg(long, value_enum)]
    device: Option<Device>,

    /// Threads that read and augment ahead
    #[arg(long, value_name = "N")]
    loader_threads: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Device {
    Cpu,
    Vulkan,
    Cuda,
}

const EXAMPLES: &str = "\
Training is not in the default build, because it takes minutes to compile:
  cargo run --release --features train -- train recipe.toml

Examples:
  dldl train recipe.toml
  dldl train recipe.toml --resume
  dldl train recipe.toml --cache cache/mine --run runs/mine

A recipe needs two lines, the rest has defaults:
  cache = \"cache/mine\"
  run = \"runs/mine\"";

#[cfg(not(feature = "train"))]
pub fn run(_: Args) -> anyhow::Result<crate::cli::Outcome> {
    let what = "this build cannot train. Build one that can, in the project's folder:\n\n  \
                cargo run --release --features train -- train CONFIG.toml\n\n\
                (it compiles for some minutes)";
    Err(crate::cli::Usage::from(what).into())
}

#[cfg(feature = "train")]
pub use with_burn::run;

#[cfg(feature = "train")]
mod with_burn {
    use anyhow::Result;
    use dldl_train::config::DeviceKind;
    use dldl_train::log::EpochRecord;
    use dldl_train::{Progress, RunFolder, Start, Step, TrainConfig, TrainError};
    use indicatif::ProgressBar;

    use super::{Args, Device};
    use crate::cli::{self, Outcome, Usage};
    use crate::progress::style;

    pub fn run(args: Args) -> Result<Outcome> {
        let mut config = TrainConfig::load(&args.config).map_err(Usage::from)?;
        config.cache = args.cache.unwrap_or(config.cache);
        config.run = args.run.unwrap_or(config.run);
        config.init = args.init.or(config.init);
        config.seed = args.seed.unwrap_or(config.seed);
        config.learning_rate = args.learning_rate.unwrap_or(config.learning_rate);
        config.loader_threads = args.loader_threads.unwrap_or(config.loader_threads);
        config.device = match args.device {
            Some(Device::Cpu) => DeviceKind::Cpu,
            Some(Device::Vulkan) => DeviceKind::Vulkan,
            Some(Device::Cuda) => DeviceKind::Cuda,
            None => config.device,
        };
        config.check().map_err(Usage::from)?;
        let folder = RunFolder::new(&config.run);
        let mut bar = Bar { bar: ProgressBar::new(0), epochs: 0, mae: None };
        let train = if args.resume { dldl_train::resume } else { dldl_train::train };
        let summary = train(config, &mut bar).map_err(|e| match e {
            TrainError::Config(_) => anyhow::Error::from(Usage::from(e)),
            e => e.into(),
        })?;
        bar.bar.finish_and_clear();
        let mut text = format!("{} steps in {:.0} s\n", summary.steps, summary.seconds);
        if let Some(best) = &summary.best {
            let (mae, epoch) = (best.mae, best.epoch);
            text += &format!("best validation MAE {mae:.3}, after epoch {epoch}\n");
        }
        if let Some(weights) = &summary.weights {
            text += &format!("weights: {}\n", weights.display());
        }
        text += &format!("chart:   {}\n", folder.chart().display());
        cli::print(&text)?;
        Ok(Outcome::Complete)
    }

    /// The progress bar, and a line above it after each epoch. Silent where
    /// stderr is no terminal: the log is in the run's folder.
    struct Bar {
        bar: ProgressBar,
        epochs: usize,
        mae: Option<f64>,
    }

    impl Bar {
        fn mae(&self) -> String {
            self.mae.map_or(String::new(), |mae| format!(", val MAE {mae:.2}"))
        }
    }

    impl Progress for Bar {
        fn start(&mut self, start: &Start) {
            self.epochs = start.epochs;
            self.note(&format!(
                "{} training and {} validation samples, {} parameters, {} epochs",
                start.train, start.val, start.parameters, start.epochs
            ));
            self.bar.set_style(style("{bar:30} {pos}/{len} steps, {eta} left, {msg}"));
            self.bar.set_length(start.steps as u64);
            self.bar.set_position(start.done as u64);
            self.bar.reset_eta();
        }

        fn step(&mut self, step: &Step) {
            self.bar.set_position(step.done as u64);
            self.bar.set_message(format!(
                "epoch {}/{} at {} px, {:.0} images/s, loss {:.4}{}",
                step.position.epoch + 1,
                self.epochs,
                step.position.size,
                step.images_per_second,
                step.epoch_loss,
                self.mae()
            ));
        }

        fn validation(&mut self, done: usize, of: usize) {
            self.bar.set_message(format!("validation {done}/{of}{}", self.mae()));
        }

        fn epoch(&mut self, epoch: &EpochRecord) {
            self.mae = epoch.val_mae;
            let mae = epoch.val_mae.map_or("none".into(), |mae| format!("{mae:.3}"));
            let best = if epoch.best { ", the best so far" } else { "" };
            self.note(&format!(
                "epoch {:3} at {} px: loss {:.4}, validation MAE {mae}{best} ({:.0} s)",
                epoch.epoch,
                epoch.size,
                epoch.loss,
                epoch.train_seconds + epoch.val_seconds
            ));
        }

        fn note(&mut self, text: &str) {
            self.bar.println(text);
        }
    }
}
