//! Data, heads, sampling and phases of a recipe.

use std::path::PathBuf;

use dldl_data::Spread;
use dldl_label::{LabelSet, Method, Scaling, Task};
use serde::{Deserialize, Serialize};

use super::Sigma;

/// A dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The packed cache of aligned crops.
    pub cache: PathBuf,
    /// Average number of times that an epoch draws each of its training samples: 2 for
    /// twice, 0.5 for every other. Default: 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Maps its labels of one task to another scale. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescale: Option<Rescale>,
}

/// A linear map of labels: the ends of `from` become those of `to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rescale {
    /// The task of the labels.
    pub task: Task,
    /// The dataset's range, such as `[1, 10]`.
    pub from: [f64; 2],
    /// The head's range, such as `[1, 5]`.
    pub to: [f64; 2],
}

impl DataConfig {
    pub(super) fn problem(&self) -> Option<String> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Some("weight must be above 0".into());
        }
        let Rescale { from, to, .. } = self.rescale.as_ref()?;
        let finite = from.iter().chain(to).all(|v| v.is_finite());
        (!finite || from[0] == from[1] || to[0] == to[1])
            .then(|| "the ends of rescale must differ and be finite".into())
    }
}

/// A head of the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HeadConfig {
    /// Learns a label distribution from the samples with a label of this task.
    Labels {
        /// The task, by its name in datasets and weights files.
        task: Task,
        /// The label set.
        labels: LabelSet,
        /// Standard deviation of the label distribution of samples without a spread of
        /// their own, in units of the label (specification 1.3): a number, or points.
        sigma: Sigma,
        /// How the spreads of samples are used. Default: `given`.
        #[serde(default)]
        spread: Spread,
        /// Lower bound of the standard deviation; raters' answers are smoothed by it.
        /// Default: 0.
        #[serde(default)]
        min_sigma: f64,
        /// What is learned from a range of labels. Default: `censored`.
        #[serde(default)]
        ranges: Ranges,
        /// A teacher's distributions, learned along with the labels or, for samples
        /// without one, alone. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        teacher: Option<TeacherConfig>,
        /// The method. Default: DLDL-v2, lambda 1, per sample.
        #[serde(default = "default_method")]
        method: Method,
        /// Factor of its loss. Default: 1.
        #[serde(default = "one")]
        weight: f64,
    },
    /// Learns identities: a softmax over the people of the datasets' train splits
    /// (specification 2.4).
    Identity {
        /// Factor of its loss. Default: 1.
        #[serde(default = "one")]
        weight: f64,
    },
    /// Learns a teacher's embeddings by a linear head of D outputs.
    Embedding {
        /// NumPy file of shape `[N, D]`, f32 or f64, little-endian.
        embeddings: PathBuf,
        /// The list of the N pictures, one per line, named as in the cache.
        list: PathBuf,
        /// The loss. Default: `cosine`.
        #[serde(default)]
        loss: VectorLoss,
        /// Factor of its loss. Default: 1.
        #[serde(default = "one")]
        weight: f64,
    },
}

/// What is learned from a range of labels, such as 20 to 29 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ranges {
    /// That the label is in the range: only probability and expectations outside it are
    /// penalized. Open ranges stay open.
    #[default]
    Censored,
    /// A distribution by [`Spread`]: for `given`, all labels of the range equally likely.
    Distribution,
}

/// A teacher of label distributions: the target of a sample becomes
/// `(1 - weight) * label distribution + weight * teacher's distribution`. For a sample with a
/// range, it is the teacher's distribution given that range; for one without a label, the
/// teacher's distribution.
///
/// The teacher is either `models`, run during the training on the same augmented crops, or
/// another network's answers, computed beforehand: `distributions` with its `list`.
/// `teacher = "NAME or PATH"` is short for one model.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherConfig {
    /// Models with a head of the same task and labels, each the name of a built-in model (if
    /// the program has some) or a weights file, quantized or not; their distributions are
    /// averaged. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<PathBuf>,
    /// Side of the crops that the models see, in pixels. Default: the input size of the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// NumPy file of shape `[N, K]` with the teacher's distributions over the K labels of the
    /// head, or `[N, 1]` with its estimates; f32 or f64, little-endian. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributions: Option<PathBuf>,
    /// The list of the N pictures, one per line, named as in the cache; pictures that are
    /// not in it have no teacher. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
    /// Standard deviation of the Gaussians around a teacher's estimates, in units of the
    /// label; required for `[N, 1]`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// The teacher's share of a target, above 0 and at most 1. Default: 0.5.
    #[serde(default = "half")]
    pub weight: f64,
}

impl TeacherConfig {
    fn problem(&self) -> Option<&'static str> {
        let from_file = self.distributions.is_some();
        if self.models.is_empty() != from_file || from_file != self.list.is_some() {
            return Some("the teacher needs either models, or distributions with their list");
        }
        if self.size.is_some() && from_file || self.sigma.is_some() && !from_file {
            return Some("the teacher's size belongs to models, its sigma to distributions");
        }
        let sigma = self.sigma.unwrap_or(0.0);
        let good = self.weight > 0.0 && self.weight <= 1.0 && sigma >= 0.0 && sigma.is_finite();
        (!good).then_some(
            "the teacher's weight must be above 0 and at most 1, and its sigma at least 0",
        )
    }
}

/// The loss between an embedding and the teacher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VectorLoss {
    /// One minus the cosine of the angle between them.
    #[default]
    Cosine,
    /// The mean of the squared differences.
    Mse,
}

impl HeadConfig {
    /// Its name: the task, `identity` or `embedding`.
    pub fn name(&self) -> &str {
        match self {
            Self::Labels { task, .. } => task.name(),
            Self::Identity { .. } => "identity",
            Self::Embedding { .. } => "embedding",
        }
    }

    /// Whether it estimates labels and is exported; the other heads only help to train the
    /// network.
    pub fn has_labels(&self) -> bool {
        matches!(self, Self::Labels { .. })
    }

    /// Number of its outputs, with another method if given; 1 for identities and
    /// embeddings, whose number depends on the data.
    pub(super) fn outputs(&self, other: Option<&Method>) -> usize {
        match self {
            Self::Labels { labels, method, .. } => other.unwrap_or(method).head_size(labels),
            Self::Identity { .. } | Self::Embedding { .. } => 1,
        }
    }

    pub(super) fn problem(&self) -> Option<&'static str> {
        if let Self::Labels { teacher: Some(teacher), .. } = self
            && let Some(what) = teacher.problem()
        {
            return Some(what);
        }
        let good = |v: f64| v >= 0.0 && v.is_finite();
        let weight = match self {
            Self::Labels { sigma, min_sigma, .. } if !(sigma.is_valid() && good(*min_sigma)) => {
                return Some(
                    "sigma and min_sigma must be at least 0, and the points of sigma in the \
                     order of their labels",
                );
            }
            Self::Labels { weight, .. }
            | Self::Identity { weight }
            | Self::Embedding { weight, .. } => *weight,
        };
        (!(good(weight) && weight > 0.0)).then_some("weight must be above 0")
    }
}

/// The samples of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Samples are drawn in proportion to the number of samples in their bin of labels, to
    /// the power of minus this: 0 draws all samples equally often, 1 all labels. Default:
    /// 0.
    pub balance: f64,
    /// The task whose labels are balanced; samples without a label are unaffected.
    /// Default: `age`.
    pub task: Task,
    /// Width of a bin, in units of the label. Default: 5.
    pub bin: f64,
    /// Upper bound of the factor by which balancing repeats a sample. Default: 10.
    pub most: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { balance: 0.0, task: Task::Age, bin: 5.0, most: 10.0 }
    }
}

impl Sampling {
    pub(super) fn problem(&self) -> Option<&'static str> {
        let good = (0.0..=1.0).contains(&self.balance)
            && self.bin > 0.0
            && self.bin.is_finite()
            && self.most >= 1.0
            && self.most.is_finite();
        (!good).then_some("balance must be from 0 to 1, bin above 0 and most at least 1")
    }
}

/// A part of the training at one resolution.
///
/// A network has to adapt to a new resolution: give a phase enough learning rate and
/// epochs for that. With the rate at the end of its schedule, a change from 96 to 128
/// pixels cost one year of accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Side of the crops in pixels, a multiple of 32 for a network of five stages.
    pub size: usize,
    /// Passes over the train split.
    pub epochs: usize,
    /// Samples per step; the rest of an epoch is dropped. Default: 64.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Gradient accumulation: number of parts in which a batch is computed, which divides
    /// the memory by as much. Batch normalization uses the statistics of the parts.
    /// Default: 1.
    #[serde(default = "default_parts")]
    pub accumulate: usize,
    /// Factor of the learning rate. Default: 1.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// Further factor of the trunk, that is, of everything but the head. At 0 the trunk is
    /// frozen, running statistics included. Default: 1.
    #[serde(default = "one")]
    pub trunk_lr_scale: f64,
    /// Further factor of the head. Default: 1.
    #[serde(default = "one")]
    pub head_lr_scale: f64,
    /// Whether a stage starts here: the schedule of the learning rate restarts, spans the
    /// phases up to the next restart, and the optimizer is reset (specification 2.5).
    /// Default: no.
    #[serde(default)]
    pub restart: bool,
    /// Whether the head's biases are first reset to 0 (specification 2.5). Default: no.
    #[serde(default)]
    pub reset_bias: bool,
    /// Factor of the teachers' shares of the targets, 0 to 1. Default: 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub teacher_scale: f64,
    /// The method of all heads in this phase. Default: the heads' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

impl Phase {
    /// A phase with the defaults.
    pub fn new(size: usize, epochs: usize, batch: usize) -> Self {
        Self {
            size,
            epochs,
            batch,
            accumulate: 1,
            lr_scale: 1.0,
            trunk_lr_scale: 1.0,
            head_lr_scale: 1.0,
            restart: false,
            reset_bias: false,
            teacher_scale: 1.0,
            method: None,
        }
    }

    /// What is wrong with it, for a network whose input sizes are multiples of `step`.
    pub(super) fn problem(&self, step: usize) -> Option<String> {
        if self.size == 0 || !self.size.is_multiple_of(step) {
            return Some(format!("size {} is not a multiple of {step}", self.size));
        }
        if self.epochs == 0 || self.batch < 2 {
            return Some("epochs must be at least 1 and batch at least 2".into());
        }
        if self.accumulate == 0 || self.batch < 2 * self.accumulate {
            return Some("accumulate must leave parts of at least 2 samples".into());
        }
        if !(0.0..=1.0).contains(&self.teacher_scale) {
            return Some("teacher_scale must be from 0 to 1".into());
        }
        let scales = [self.lr_scale, self.trunk_lr_scale, self.head_lr_scale];
        if scales.iter().any(|s| !(*s >= 0.0 && s.is_finite())) || scales[0] == 0.0 {
            return Some(
                "lr_scale must be above 0, trunk_lr_scale and head_lr_scale at least 0".into(),
            );
        }
        (scales[1] == 0.0 && scales[2] == 0.0)
            .then(|| "trunk_lr_scale and head_lr_scale are both 0: nothing would be trained".into())
    }
}

fn one() -> f64 {
    1.0
}
fn is_one(v: &f64) -> bool {
    *v == 1.0
}
fn half() -> f64 {
    0.5
}
fn default_parts() -> usize {
    1
}
fn default_batch() -> usize {
    64
}
fn default_method() -> Method {
    Method::dldl_v2(1.0, Scaling::PerSample).expect("1 is a weight")
}
