//! What `train` and `pretrain` share: arguments, all of which override values of the
//! recipe, and running the training. `live` shows its progress.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use dldl::models;
use dldl_train::config::DeviceKind;
use dldl_train::{RunFolder, TrainConfig, Training};

use crate::live::Live;
use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// The arguments of a training.
#[derive(clap::Args)]
pub struct TrainingArgs {
    /// Continue from the newest checkpoint in the run's folder
    #[arg(long)]
    pub resume: bool,

    /// Train on this cache, made by `dldl prepare`, instead of the recipe's
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// Write to this folder instead of the recipe's
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,

    /// Start from these weights instead of the recipe's: the name of a built-in
    /// model, a weights file, or the trunk of a pretraining
    #[arg(long, value_name = "NAME|PATH")]
    init: Option<PathBuf>,

    /// Seed of the initial weights, the order and the augmentation
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Base learning rate
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,

    /// Device to train on; GPUs need a build with the feature of that name
    #[arg(long, value_enum)]
    device: Option<Device>,

    /// Threads that load and augment pictures ahead of time
    #[arg(long, value_name = "N")]
    loader_threads: Option<usize>,

    /// Override any other value of the recipe: dots between tables, indices for
    /// entries of lists (phases.0.size=96). Can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
}

/// A device to train on.
#[derive(Clone, Copy, ValueEnum)]
pub enum Device {
    Cpu,
    Vulkan,
    Wgpu,
    Cuda,
}

impl From<Device> for DeviceKind {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Cpu,
            Device::Vulkan => Self::Vulkan,
            Device::Wgpu => Self::Wgpu,
            Device::Cuda => Self::Cuda,
        }
    }
}

fn key_and_value(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// A path as a TOML string; JSON's escapes are a subset of TOML's.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}

impl TrainingArgs {
    /// Replaces the recipe's heads by one that learns a teacher's embeddings.
    pub fn learn_embeddings(&mut self, embeddings: &Path, pictures: &Path) {
        let head = format!(
            "[{{ kind = \"embedding\", embeddings = {}, list = {} }}]",
            quoted(embeddings),
            quoted(pictures)
        );
        self.set.insert(0, ("heads".into(), head));
    }

    /// The overrides of the recipe, `--set` last.
    pub fn overrides(&self) -> Vec<(String, String)> {
        let device = self.device.map(|device| DeviceKind::from(device).name().to_owned());
        let flags = [
            ("cache", self.cache.as_deref().map(quoted)),
            ("run", self.run.as_deref().map(quoted)),
            ("init", self.init.as_deref().map(quoted)),
            ("seed", self.seed.map(|v| v.to_string())),
            // With its decimal point: TOML distinguishes 1 from 1.0.
            ("learning_rate", self.learning_rate.map(|v| format!("{v:?}"))),
            ("device", device),
            ("loader_threads", self.loader_threads.map(|v| v.to_string())),
        ];
        let given = flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        given.chain(self.set.iter().cloned()).collect()
    }
}

/// Runs a training, or continues it, and prints its summary.
pub fn run(config: TrainConfig, resume: bool) -> Result<Outcome> {
    let folder = RunFolder::new(&config.run);
    let mut live = Live::new();
    let training = Training::new(config).built_in_models(models::built_in);
    let result = if resume { training.resume(&mut live) } else { training.run(&mut live) };
    let summary = result.map_err(|e| match e.is_invalid_request() {
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
        text += "stopped before the end: rerun the same command with --resume to continue\n";
    }
    printing::print(&text)?;
    Ok(if summary.finished { Outcome::Complete } else { Outcome::Stopped })
}

/// Formats validation errors.
pub fn errors(errors: &BTreeMap<String, f64>) -> String {
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
    fn paths_are_quoted_for_toml() {
        assert_eq!(quoted(Path::new("a \"b\"\\c")), r#""a \"b\"\\c""#);
    }
}
