//! The recipe of a training as one value, read from TOML. What the fields do
//! is in the other files; here they are named, defaulted and checked.

use std::path::{Path, PathBuf};

use dldl_data::Augment;
use dldl_label::{LabelSet, Method};
use dldl_net::NetSpec;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::schedule::Schedule;

/// A training, whole: only `cache` and `run` have no default. Unknown fields
/// are refused. Relative paths are relative to the working directory.
///
/// ```toml
/// cache = "utkface.tar"          # made by `dldl prepare`
/// run = "runs/tiny-age-utkface"
/// net = "tiny-age"
/// learning_rate = 2e-3
///
/// [method]
/// name = "dldl-v2"
///
/// [[phases]]
/// size = 96
/// epochs = 16
///
/// [[phases]]
/// size = 224
/// epochs = 2
/// batch = 32
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The packed cache of aligned crops.
    pub cache: PathBuf,
    /// The run folder: checkpoints, log, chart and exported weights. Created
    /// where missing.
    pub run: PathBuf,
    /// The model's name in its weights file. Default: the run folder's name.
    #[serde(default)]
    pub name: String,
    /// What it estimates, as the weights file says it. Default: `age`.
    #[serde(default = "default_task")]
    pub task: String,
    /// The network. Default: `tiny-age`.
    #[serde(default)]
    pub net: Net,
    /// The label set. Default: ages 0, 1, ..., 100.
    #[serde(default = "LabelSet::age")]
    pub labels: LabelSet,
    /// Standard deviation of the label distribution for samples that bring
    /// none, in units of the label. Default: 2 (specification 1.3).
    #[serde(default = "default_sigma")]
    pub sigma: f64,
    /// Seed of the initial weights, the order and the augmentation. Default: 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// `cpu`, or `vulkan` / `cuda` where this was built with the feature of
    /// that name. Default: `cpu`.
    #[serde(default)]
    pub device: DeviceKind,
    /// Weights to start from instead of random ones: the tensors of the blocks,
    /// and of the head where it has the same shape. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Base learning rate: the schedule's factor and the phase's multiply it.
    /// Default: 1e-3 (the paper's).
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Decay per step of a moving average of the weights, which is then what is
    /// validated and exported; 0 switches it off. It begins anew with each
    /// phase, with smaller decays first. Default: 0.
    #[serde(default)]
    pub ema: f64,
    /// Which epoch's weights are exported. Default: `best`.
    #[serde(default)]
    pub export: Export,
    /// Threads that decode and augment ahead; the result does not depend on
    /// their number. Default: 2.
    #[serde(default = "default_loader_threads")]
    pub loader_threads: usize,
    /// Batches that each of them keeps ready. Default: 2.
    #[serde(default = "default_prefetch")]
    pub prefetch: usize,
    /// Steps between two step records in the log. Default: 20.
    #[serde(default = "default_log_every")]
    pub log_every: usize,
    /// Minutes between two checkpoints within an epoch (there is one after each
    /// epoch anyway). Default: 5.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// What the model card should say of the data. Default: empty.
    #[serde(default)]
    pub data: String,
    /// Licence or terms of use of the weights. Default: empty.
    #[serde(default)]
    pub licence: String,
    /// The method. Default: DLDL-v2, lambda 1, per sample.
    #[serde(default = "default_method")]
    pub method: Method,
    /// The optimiser. Default: Adam with the paper's numbers.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Course of the learning rate. Default: one cycle.
    #[serde(default)]
    pub schedule: Schedule,
    /// Augmentation. Default: the paper's; fields missing from a table that is
    /// there are off.
    #[serde(default = "Augment::paper")]
    pub augment: Augment,
    /// Phases, one after the other, each with its resolution. Default: one of
    /// 60 epochs at 224 pixels, batch 64.
    #[serde(default = "default_phases")]
    pub phases: Vec<Phase>,
}

/// The networks that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// TinyAgeNet, 0.9 million parameters.
    #[default]
    TinyAge,
    /// ThinAgeNet, 3.7 million parameters.
    ThinAge,
}

/// Where the training runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU through Vulkan (feature `vulkan`).
    Vulkan,
    /// An NVIDIA GPU (feature `cuda`).
    Cuda,
}

/// Which weights are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    /// Those of the epoch with the lowest validation MAE, of whatever phase: the
    /// weights are used at the size that they were validated at.
    #[default]
    Best,
    /// Those of the last epoch, as the paper does.
    Last,
}

/// Adam's numbers; with a weight decay above 0 it is AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decay of the first moment. Default: 0.9.
    pub beta1: f64,
    /// Decay of the second moment. Default: 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment. Default: 1e-7 (specification 2.5).
    pub epsilon: f64,
    /// Decoupled weight decay of convolutions and head, per step and unit of
    /// learning rate. Default: 0, as in the paper.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
}

/// A stretch of the training at one resolution.
///
/// What was learned at one resolution has to be adapted to the next: leave a
/// phase enough learning rate and epochs for that. With the rate at the end of
/// its course, a change from 96 to 128 pixels cost one year of accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Side of the crops in pixels, a multiple of 32.
    pub size: usize,
    /// Passes over the train split.
    pub epochs: usize,
    /// Samples per step; what is left of an epoch is dropped. Default: 64.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Factor of the learning rate. Default: 1.
    #[serde(default = "default_lr_scale")]
    pub lr_scale: f64,
}

fn default_task() -> String {
    "age".into()
}
fn default_sigma() -> f64 {
    2.0
}
fn default_seed() -> u64 {
    1
}
fn default_learning_rate() -> f64 {
    1e-3
}
fn default_loader_threads() -> usize {
    2
}
fn default_prefetch() -> usize {
    2
}
fn default_log_every() -> usize {
    20
}
fn default_checkpoint_minutes() -> f64 {
    5.0
}
fn default_method() -> Method {
    Method::DldlV2 { lambda: 1.0, scaling: dldl_label::Scaling::PerSample }
}
fn default_batch() -> usize {
    64
}
fn default_lr_scale() -> f64 {
    1.0
}
fn default_phases() -> Vec<Phase> {
    vec![Phase { size: 224, epochs: 60, batch: default_batch(), lr_scale: 1.0 }]
}

impl TrainConfig {
    /// The configuration with the defaults for everything but the two paths.
    pub fn new(cache: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        let mut table = toml::Table::new();
        let text = |path: PathBuf| toml::Value::String(path.to_string_lossy().into_owned());
        table.insert("cache".into(), text(cache.into()));
        table.insert("run".into(), text(run.into()));
        table.try_into().expect("every other field has a default")
    }

    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, has an unknown field or a value
    /// that makes no sense; the message names the file and the place.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        let at = |what: String| TrainError::Config(format!("{}: {what}", path.display()));
        let config: Self = toml::from_str(&text).map_err(|e| at(e.to_string().trim().into()))?;
        config.check().map_err(|e| at(e.to_string()))?;
        Ok(config)
    }

    /// The configuration as TOML, every field written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is a table of numbers and texts")
    }

    /// Checks that the numbers make sense.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first field that does not.
    pub fn check(&self) -> Result<(), TrainError> {
        let fail = |what: String| Err(TrainError::Config(what));
        if self.phases.is_empty() {
            return fail("there must be at least one phase".into());
        }
        for (i, phase) in self.phases.iter().enumerate() {
            let i = i + 1;
            if phase.size == 0 || phase.size % 32 != 0 {
                return fail(format!("phase {i}: size {} is not a multiple of 32", phase.size));
            }
            if phase.epochs == 0 || phase.batch < 2 {
                return fail(format!("phase {i}: epochs must be at least 1 and batch at least 2"));
            }
            if !(phase.lr_scale > 0.0 && phase.lr_scale.is_finite()) {
                return fail(format!("phase {i}: lr_scale must be above 0"));
            }
        }
        let unit = 0.0..1.0;
        let optimizer = &self.optimizer;
        let checks = [
            (self.sigma >= 0.0 && self.sigma.is_finite(), "sigma must be at least 0"),
            (
                self.learning_rate > 0.0 && self.learning_rate.is_finite(),
                "learning_rate must be above 0",
            ),
            (unit.contains(&self.ema), "ema must lie in 0..1"),
            (self.loader_threads > 0, "loader_threads must be at least 1"),
            (self.prefetch > 0, "prefetch must be at least 1"),
            (self.log_every > 0, "log_every must be at least 1"),
            (self.checkpoint_minutes > 0.0, "checkpoint_minutes must be above 0"),
            (
                unit.contains(&optimizer.beta1) && unit.contains(&optimizer.beta2),
                "optimizer: beta1 and beta2 must lie in 0..1",
            ),
            (optimizer.epsilon > 0.0, "optimizer: epsilon must be above 0"),
            (optimizer.weight_decay >= 0.0, "optimizer: weight_decay must be at least 0"),
        ];
        if let Some((_, what)) = checks.iter().find(|(good, _)| !good) {
            return fail((*what).into());
        }
        if let Some(what) = self.schedule.problem() {
            return fail(format!("schedule: {what}"));
        }
        self.augment.check().map_err(TrainError::Config)
    }

    /// The network that the configuration asks for.
    pub fn spec(&self) -> NetSpec {
        let outputs = self.method.head_size(&self.labels);
        match self.net {
            Net::TinyAge => NetSpec::tiny_age(outputs),
            Net::ThinAge => NetSpec::thin_age(outputs),
        }
    }

    /// The model's name: `name`, or the run folder's.
    pub fn model_name(&self) -> String {
        match (self.name.is_empty(), self.run.file_name()) {
            (true, Some(folder)) => folder.to_string_lossy().into_owned(),
            (true, None) => "model".into(),
            (false, _) => self.name.clone(),
        }
    }

    /// Whether a run of `self` may go on with `other`: everything that shapes
    /// the curve is the same. Paths, threads, device and reporting may differ.
    pub(crate) fn same_curve(&self, other: &Self) -> bool {
        let shape = |config: &Self| Self {
            cache: PathBuf::new(),
            run: PathBuf::new(),
            name: String::new(),
            task: String::new(),
            device: DeviceKind::Cpu,
            init: None,
            export: Export::Best,
            loader_threads: 1,
            prefetch: 1,
            log_every: 1,
            checkpoint_minutes: 1.0,
            data: String::new(),
            licence: String::new(),
            ..config.clone()
        };
        shape(self) == shape(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_example_parses_and_a_round_trip_keeps_it() {
        let text = "cache = 'c.tar'\nrun = 'r/x'\nlearning_rate = 2e-3\n\
            [method]\nname = 'dldl-v2'\n[[phases]]\nsize = 96\nepochs = 16\n";
        let config: TrainConfig = toml::from_str(text).unwrap();
        config.check().unwrap();
        assert_eq!(config.phases, [Phase { size: 96, epochs: 16, batch: 64, lr_scale: 1.0 }]);
        assert_eq!(config.model_name(), "x");
        let again: TrainConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn the_defaults_are_the_papers_optimiser_and_augmentation() {
        let config = TrainConfig::new("c", "r");
        config.check().unwrap();
        assert_eq!(config.optimizer.epsilon, 1e-7);
        assert_eq!(config.augment, Augment::paper());
        assert_eq!(config.spec().parameter_count(), 934_869);
    }

    #[test]
    fn unknown_fields_and_impossible_values_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.toml");
        for (text, word) in [
            ("cache = 'c'\nrun = 'r'\nlearningrate = 1.0\n", "learningrate"),
            ("cache = 'c'\nrun = 'r'\n[[phases]]\nsize = 100\nepochs = 1\n", "multiple of 32"),
            ("cache = 'c'\nrun = 'r'\n[augment]\nflip = 2.0\n", "flip"),
            ("cache = 'c'\nrun = 'r'\n[schedule]\nkind = 'one-cycle'\nrise = 1.5\n", "rise"),
            ("run = 'r'\n", "cache"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = TrainConfig::load(&path).unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("bad.toml"), "{message}");
        }
    }

    #[test]
    fn only_reporting_may_change_when_resuming() {
        let a = TrainConfig::new("c", "r");
        assert!(a.same_curve(&TrainConfig { loader_threads: 7, log_every: 1, ..a.clone() }));
        assert!(!a.same_curve(&TrainConfig { learning_rate: 0.5, ..a.clone() }));
    }
}
