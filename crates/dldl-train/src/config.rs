//! The recipe of a training as one value: the fields with their defaults. `check`
//! validates them, `read` parses TOML with its short forms and overrides, and `parts` has
//! the entries of lists (data, heads, phases).

mod check;
mod parts;
mod read;
mod sigma;

use std::path::PathBuf;

use dldl_data::Augment;
use dldl_label::Method;
use dldl_net::{NetSpec, Pooling};
use serde::{Deserialize, Serialize};

pub use crate::schedule::Schedule;
pub use parts::{
    DataConfig, HeadConfig, Phase, Ranges, Rescale, Sampling, TeacherConfig, VectorLoss,
};
pub use sigma::Sigma;

/// A whole training: only the data and `run` have no default. Unknown fields are refused.
/// Relative paths are relative to the working directory.
///
/// ```toml
/// run = "runs/both"
/// net = "tiny-age"
/// learning_rate = 2e-3
///
/// [[data]]
/// cache = "cache/utkface"        # made by `dldl prepare`
///
/// [[data]]
/// cache = "cache/scut-fbp5500"
/// weight = 2.0                   # each of its samples twice per epoch
///
/// [[heads]]
/// task = "age"
///
/// [[heads]]
/// task = "attractiveness"
/// labels = { min = 1.0, max = 5.0, step = 0.1 }
/// sigma = 0.5
/// weight = 5.0
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
///
/// With one dataset and one head, `cache` stands for `[[data]]` and `task`,
/// `labels`, `sigma`, `spread`, `min_sigma`, `ranges`, `teacher` and `method` stand for `[[heads]]`;
/// `labels` and `sigma` have defaults for ages (0 to 100, 2 years).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The run folder: checkpoints, log, chart and exported weights. Created
    /// where missing.
    pub run: PathBuf,
    /// The model's name in its weights file. Default: the run folder's name.
    #[serde(default)]
    pub name: String,
    /// The network. Default: `tiny-age`.
    #[serde(default)]
    pub net: Net,
    /// Seed of the initial weights, the order and the augmentation. Default: 1.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// The device to train on: `cpu`, or `vulkan`, `wgpu` or `cuda` in a build with the
    /// feature of that name. Default: `cpu`.
    #[serde(default)]
    pub device: DeviceKind,
    /// Weights to start from instead of random ones: the name of a built-in model (if the
    /// program has some), a weights file or the trunk of a pretraining. They give the
    /// convolutions and the outputs of each head with the same task and labels. Default:
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// Base learning rate, multiplied by the factors of schedule and phase. Default: 1e-3
    /// (the paper's).
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Decay per step of an exponential moving average of the weights, which is then
    /// validated and exported; 0 switches it off. It restarts with each phase, with
    /// smaller decays first. Default: 0.
    #[serde(default)]
    pub ema: f64,
    /// Which epoch's weights are exported. Default: `best`.
    #[serde(default)]
    pub export: Export,
    /// Threads that decode and augment ahead of time; the result does not depend on their
    /// number. Default: 2.
    #[serde(default = "default_loader_threads")]
    pub loader_threads: usize,
    /// Batches that each of these threads keeps ready. Default: 2.
    #[serde(default = "default_prefetch")]
    pub prefetch: usize,
    /// Steps between two step records in the log. Default: 20.
    #[serde(default = "default_log_every")]
    pub log_every: usize,
    /// Minutes between two checkpoints within an epoch, besides the one after each epoch.
    /// Default: 5.
    #[serde(default = "default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// What the val split is for. Default: `split`.
    #[serde(default)]
    pub val: Val,
    /// Early stopping: epochs without a better validation after which the training ends; 0
    /// for none. Default: 0.
    #[serde(default)]
    pub patience: usize,
    /// Description of the training data in the weights file. Default: the datasets' names.
    #[serde(default)]
    pub training_data: String,
    /// License or terms of use of the weights. Default: empty.
    #[serde(default)]
    #[serde(alias = "licence")]
    pub license: String,
    /// The datasets.
    pub data: Vec<DataConfig>,
    /// The heads, each with some outputs of the network's last layer. If some have labels,
    /// the others (identities, embeddings) are left out of the weights file.
    pub heads: Vec<HeadConfig>,
    /// Which samples an epoch draws. Default: all of them, once each.
    #[serde(default)]
    pub sampling: Sampling,
    /// The optimizer. Default: Adam with the paper's numbers.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Schedule of the learning rate. Default: one cycle.
    #[serde(default)]
    pub schedule: Schedule,
    /// Augmentation. Default: the paper's. In a table, missing fields are off.
    #[serde(default = "Augment::paper")]
    pub augment: Augment,
    /// Consecutive phases, each with its resolution. Default: one of 60 epochs at 224
    /// pixels, batch 64.
    #[serde(default = "default_phases")]
    pub phases: Vec<Phase>,
}

/// A network: by name, or by its widths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Net {
    /// `tiny-age` (0.9 million parameters), `thin-age` (3.7 million), or another
    /// of the paper's compression rates.
    Named(NamedNet),
    /// `{ name = "tiny-age", pooling = "average" }`: a named network with another
    /// pooling.
    Pooled(Pooled),
    /// `{ stages = [[16, 16], [32]], pooling = "hybrid" }`: output channels of
    /// the convolutions by stage, as in [`NetSpec`].
    Widths(Widths),
}

/// The named networks: VGG-16's convolutions by compression rate
/// (specification 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamedNet {
    /// TinyAgeNet, rate 1/4.
    #[serde(rename = "tiny-age", alias = "vgg-1/4")]
    TinyAge,
    /// ThinAgeNet, rate 1/2.
    #[serde(rename = "thin-age", alias = "vgg-1/2")]
    ThinAge,
    /// Rate 1: the widths of VGG-16.
    #[serde(rename = "vgg-1")]
    Whole,
    /// Rate 1/8.
    #[serde(rename = "vgg-1/8")]
    Eighth,
    /// The authors' rate 0 ([`NetSpec::vgg_0`]).
    #[serde(rename = "vgg-0")]
    Zero,
}

impl NamedNet {
    /// The network with this number of outputs.
    pub fn spec(self, outputs: usize) -> NetSpec {
        match self {
            Self::TinyAge => NetSpec::tiny_age(outputs),
            Self::ThinAge => NetSpec::thin_age(outputs),
            Self::Whole => NetSpec::vgg16(1, 1, outputs),
            Self::Eighth => NetSpec::vgg16(1, 8, outputs),
            Self::Zero => NetSpec::vgg_0(outputs),
        }
    }
}

/// A named network with another pooling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pooled {
    /// The network.
    pub name: NamedNet,
    /// The pooling after the last stage.
    pub pooling: Pooling,
}

/// A network by its widths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// Output channels of every convolution, by stage.
    pub stages: Vec<Vec<usize>>,
    /// The pooling after the last stage.
    pub pooling: Pooling,
}

impl Default for Net {
    fn default() -> Self {
        Self::Named(NamedNet::TinyAge)
    }
}

/// The device to train on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU through Vulkan (feature `vulkan`).
    Vulkan,
    /// A GPU through the system's API: Vulkan, Metal or DirectX 12
    /// (feature `wgpu`).
    Wgpu,
    /// An NVIDIA GPU (feature `cuda`).
    Cuda,
}

impl DeviceKind {
    /// Its name in a recipe, on the command line and as a cargo feature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }
}

/// What the val split is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Val {
    /// For validation.
    #[default]
    Split,
    /// It is trained on as well, as the paper does: there is no validation, and the last
    /// epoch is exported.
    None,
}

/// Which weights are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Export {
    /// Those of the epoch with the lowest validation error, in any phase. The phase's size
    /// becomes the model's input size.
    #[default]
    Best,
    /// Those of the last epoch, as in the paper.
    Last,
}

/// The parameters of Adam; with a weight decay above 0 it is AdamW.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Decay of the first moment. Default: 0.9.
    pub beta1: f64,
    /// Decay of the second moment. Default: 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment. Default: 1e-7 (specification 2.5).
    pub epsilon: f64,
    /// Decoupled weight decay of the convolutions and the head, per step and unit of
    /// learning rate. Default: 0, as in the paper.
    pub weight_decay: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0 }
    }
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
fn default_phases() -> Vec<Phase> {
    vec![Phase::new(224, 60, 64)]
}

impl TrainConfig {
    /// The configuration as TOML, with every field.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration is a table of numbers and strings")
    }

    /// The network of the configuration. The number of outputs of identities and embeddings
    /// depends on the data; they count as 1 here.
    pub fn spec(&self) -> NetSpec {
        let outputs = self.heads.iter().map(|head| head.outputs(None)).sum();
        self.spec_with(outputs)
    }

    /// The network with this number of outputs.
    pub(crate) fn spec_with(&self, outputs: usize) -> NetSpec {
        match &self.net {
            Net::Named(name) => name.spec(outputs),
            Net::Pooled(Pooled { name, pooling }) => {
                NetSpec { pooling: *pooling, ..name.spec(outputs) }
            }
            Net::Widths(Widths { stages, pooling }) => {
                NetSpec { stages: stages.clone(), pooling: *pooling, outputs }
            }
        }
    }

    /// Whether it learns identities or embeddings, but no labels.
    pub fn is_pretraining(&self) -> bool {
        !self.heads.iter().any(HeadConfig::has_labels)
    }

    /// The method of all heads in a phase, if the phase has its own.
    pub(crate) fn phase_method(&self, phase: usize) -> Option<&Method> {
        self.phases[phase].method.as_ref()
    }

    /// The model's name: `name`, or the run folder's.
    pub fn model_name(&self) -> String {
        match (self.name.is_empty(), self.run.file_name()) {
            (true, Some(folder)) => folder.to_string_lossy().into_owned(),
            (true, None) => "model".into(),
            (false, _) => self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_optimizer_and_augmentation_of_the_paper() {
        let config = TrainConfig::new("c", "r");
        config.check().unwrap();
        assert_eq!(config.optimizer.epsilon, 1e-7);
        assert_eq!(config.augment, Augment::paper());
        assert_eq!(config.spec().parameter_count(), 934_869);
    }

    #[test]
    fn networks_are_found_by_name() {
        for (net, parameters, name) in [
            ("'tiny-age'", 934_869, "TinyAgeNet"),
            ("'vgg-1/4'", 934_869, "TinyAgeNet"),
            ("'vgg-1/2'", 3_708_229, "ThinAgeNet"),
            ("'vgg-1'", 14_770_725, "VGG"),
            ("{ name = 'thin-age', pooling = 'average' }", 3_708_229, "VGG"),
        ] {
            let text = format!("cache = 'c'\nrun = 'r'\nnet = {net}\n");
            let config = TrainConfig::parse(&text, &[]).unwrap();
            assert_eq!(config.spec().parameter_count(), parameters, "{net}");
            assert!(config.spec().name().starts_with(name), "{net}");
            assert_eq!(TrainConfig::parse(&config.to_toml(), &[]).unwrap(), config);
        }
        let widths = |net| {
            let text = format!("cache = 'c'\nrun = 'r'\nnet = '{net}'\n");
            TrainConfig::parse(&text, &[]).unwrap().spec().stages
        };
        assert_eq!((widths("vgg-1/8")[0][0], widths("vgg-1/8")[4][2]), (8, 64));
        assert_eq!((widths("vgg-0")[2][0], widths("vgg-0")[4][2]), (128, 128));
    }
}
