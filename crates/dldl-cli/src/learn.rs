//! What `train` and `pretrain` share: arguments, all of which are overrides of
//! the recipe, and the way to the trainer. What is shown meanwhile is in `live`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use dldl_train::{RunFolder, TrainConfig};

use crate::live::Live;
use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// The arguments of a training.
#[derive(clap::Args)]
pub struct Recipe {
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

    /// Start from these weights instead of the recipe's: a model or what
    /// `dldl pretrain` left
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,

    /// Seed of the initial weights, the order and the augmentation
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Base learning rate
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,

    /// Where it runs; all but cpu need builds with the feature of that name
    #[arg(long, value_enum)]
    device: Option<Device>,

    /// Threads that read and augment ahead
    #[arg(long, value_name = "N")]
    loader_threads: Option<usize>,

    /// Any other value of the recipe: dots between tables, numbers for entries
    /// of lists (phases.0.size=96). May be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

/// Where a network learns.
#[derive(Clone, Copy, ValueEnum)]
pub enum Device {
    Cpu,
    Vulkan,
    Wgpu,
    Cuda,
}

impl From<Device> for dldl_train::config::DeviceKind {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Cpu,
            Device::Vulkan => Self::Vulkan,
            Device::Wgpu => Self::Wgpu,
            Device::Cuda => Self::Cuda,
        }
    }
}

/// What is to be learned where the recipe does not say.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Labels.
    Train,
    /// Identities.
    Pretrain,
}

fn key_and_value(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// A text as TOML has it; JSON's escapes are among TOML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

impl Recipe {
    /// Learns a teacher's embeddings.
    pub fn teacher(&mut self, embeddings: &Path, pictures: &Path) {
        let head = format!(
            "[{{ kind = \"embedding\", embeddings = {}, list = {} }}]",
            quoted(embeddings),
            quoted(pictures)
        );
        self.set.insert(0, ("heads".into(), head));
    }

    /// The overrides of the recipe, `--set` last.
    fn overrides(&self) -> Vec<(String, String)> {
        let device = self.device.and_then(|d| d.to_possible_value());
        let flags = [
            ("cache", self.cache.as_deref().map(quoted)),
            ("run", self.run.as_deref().map(quoted)),
            ("init", self.init.as_deref().map(quoted)),
            ("seed", self.seed.map(|v| v.to_string())),
            // With its point: TOML tells 1 from 1.0.
            ("learning_rate", self.learning_rate.map(|v| format!("{v:?}"))),
            ("device", device.map(|d| d.get_name().to_owned())),
            ("loader_threads", self.loader_threads.map(|v| v.to_string())),
        ];
        let given = flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.chain(self.set.iter().cloned()).collect()
    }
}

pub fn run(args: Recipe, kind: Kind) -> Result<Outcome> {
    let overrides = args.overrides();
    let config = match kind {
        Kind::Train => TrainConfig::load(&args.config, &overrides),
        Kind::Pretrain => TrainConfig::load_pretraining(&args.config, &overrides),
    };
    let config = config.map_err(UsageError::new)?;
    let folder = RunFolder::new(&config.run);
    let mut live = Live::new();
    let train = if args.resume { dldl_train::resume } else { dldl_train::train };
    let summary = train(config, &mut live).map_err(|e| match e.is_invalid_request() {
        true => anyhow::Error::from(UsageError::new(e)),
        false => e.into(),
    })?;
    live.end();
    let mut text = format!("{} steps in {:.0} s", summary.steps, summary.seconds);
    if let Some(waiting) = summary.waiting {
        text += &format!(", {:.1} % of them waiting for data", 100.0 * waiting);
    }
    text.push('\n');
    if let Some(best) = &summary.best {
        text += &format!("best:    {} after epoch {}\n", errors(&best.errors), best.epoch);
    }
    if let Some(weights) = &summary.weights {
        text += &format!("weights: {}\n", weights.display());
    }
    text += &format!("chart:   {}\n", folder.chart().display());
    if !summary.finished {
        text += "stopped before the end: the same command with --resume goes on\n";
    }
    printing::print(&text)?;
    Ok(if summary.finished { Outcome::Complete } else { Outcome::Stopped })
}

/// Validation errors for people.
pub fn errors(errors: &std::collections::BTreeMap<String, f64>) -> String {
    let one = |(name, error): (&String, &f64)| match name.as_str() {
        "identity" => format!("{:.1} % wrong", 100.0 * error),
        "embedding" => format!("cosine distance {error:.4}"),
        _ => format!("MAE of {name} {error:.3}"),
    };
    errors.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_keys_and_values() {
        let pair = |k: &str, v: &str| Ok((k.to_owned(), v.to_owned()));
        assert_eq!(key_and_value("phases.0.size=96"), pair("phases.0.size", "96"));
        assert_eq!(key_and_value("name = a=b"), pair("name", "a=b"));
        assert!(key_and_value("name").is_err());
    }

    #[test]
    fn paths_are_quoted_as_toml_wants_them() {
        assert_eq!(quoted(Path::new("a \"b\"\\c")), r#""a \"b\"\\c""#);
    }
}
