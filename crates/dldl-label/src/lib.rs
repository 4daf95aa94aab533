//! The mathematics of learning by label distributions: label sets,
//! distributions over them, the methods that learn them, and the metrics that
//! judge them. Everything is `f64` and plain slices.
//!
//! Not here: files, pictures, networks, and the tensors of any framework.
//!
//! The formulas are those of DLDL-v2 (Gao et al., "Learning Expectation of
//! Label Distribution for Facial Age and Attractiveness Estimation",
//! arXiv 2007.01771) and of its Torch release; where the two differ, the item's
//! documentation says which one is meant.
//!
//! ```
//! use dldl_label::{Distribution, Label, LabelSet, Method};
//!
//! let ages = LabelSet::age(); // 0, 1, ..., 100
//! let target = Distribution::gaussian(&ages, 31.4, 2.0)?;
//! assert!((target.expectation() - 31.4).abs() < 1e-9);
//! let (low, high) = target.interval(0.9);
//! assert!(low < 31.4 && 31.4 < high);
//!
//! let method: Method = "dldl-v2".parse()?;
//! let encoded = method.encode(&ages, &Label::new(31.4, 2.0)?)?;
//! let logits = vec![0.0; method.head_size(&ages)];
//! assert!(method.loss(&ages, &encoded, &logits)?.total > 0.0);
//! # Ok::<(), dldl_label::LabelError>(())
//! ```

mod conformal;
mod distribution;
mod labels;
mod method;
pub mod metrics;
mod task;

pub use conformal::Conformal;
pub use distribution::Distribution;
pub use labels::{Label, LabelSet, MAX_LABELS};
pub use method::{
    Layout, Loss, LossKind, LossTerm, Method, Penalty, Readout, Scaling, Target, ranking_code,
    ranking_target,
};
pub use task::Task;

/// What can be wrong with labels, distributions and methods.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The range or step does not describe a label set.
    #[error("label set {min}..{max} step {step}: {reason}")]
    LabelSet {
        /// Smallest label asked for.
        min: f64,
        /// Largest label asked for.
        max: f64,
        /// Step asked for.
        step: f64,
        /// What is wrong with them.
        reason: String,
    },
    /// A label's mean is not finite, or its sigma is negative or not finite.
    #[error("label with mean {mean} and sigma {sigma}: {reason}")]
    Label {
        /// The mean that was given.
        mean: f64,
        /// The standard deviation that was given.
        sigma: f64,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A slice does not have one entry per label (or per head output).
    #[error("{what}: expected {expected} values, got {actual}")]
    Length {
        /// What the slice holds.
        what: &'static str,
        /// How many entries it should have.
        expected: usize,
        /// How many it has.
        actual: usize,
    },
    /// An entry that is NaN, infinite, or negative where it may not be.
    #[error("{what}: value {value} at position {index} is not allowed")]
    Value {
        /// What the slice holds.
        what: &'static str,
        /// Position of the first bad entry.
        index: usize,
        /// The bad entry.
        value: f64,
    },
    /// Entries that should sum to one, or to something positive, do not.
    #[error("{what}: sum {sum} cannot be a distribution")]
    Sum {
        /// What was summed.
        what: &'static str,
        /// Its sum.
        sum: f64,
    },
    /// Distributions over different label sets were brought together.
    #[error("distributions over different label sets cannot be averaged")]
    DifferentLabels,
    /// An average over no distributions.
    #[error("no distribution to average")]
    NothingToAverage,
    /// The target was encoded by a method that lacks what this loss term needs.
    #[error("target has no {0}, which this method's loss needs")]
    Target(&'static str),
    /// No such method.
    #[error("unknown method {name:?}, expected one of: {}", Method::names())]
    UnknownMethod {
        /// The name that was given.
        name: String,
    },
    /// No such task.
    #[error("unknown task `{name}`: expected age, attractiveness or real_age")]
    UnknownTask {
        /// The name that was given.
        name: String,
    },
    /// A number of a method is negative or not finite, or 0 where it may not be.
    #[error("{name} {value} is no weight: it must be finite and at least 0 (alpha above 0)")]
    Weight {
        /// What the number is called.
        name: &'static str,
        /// The number.
        value: f64,
    },
}
