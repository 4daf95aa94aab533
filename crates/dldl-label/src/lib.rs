//! Label distribution learning: label sets, distributions over them, the methods
//! that learn them, and metrics. Pure mathematics in `f64` on plain slices, without
//! I/O and without a tensor framework.
//!
//! - [`LabelSet`] is the support (ages 0 to 100), [`Label`] the mean and standard
//!   deviation of one sample, [`Distribution`] a probability for each label.
//! - [`Method`] is a way to learn a label: it [encodes](Method::encode) a label as a
//!   [`Target`], computes the [loss](Method::loss) and its gradient,
//!   [decodes](Method::decode) a network's outputs to a distribution, and reads an
//!   [estimate](Method::estimate) from it.
//! - [`Conformal`] calibrates intervals on held-out samples, [`Bands`] by band of the
//!   estimate. [`Recalibration`] corrects estimates and distributions.
//! - [`metrics`] compares predictions with true labels.
//!
//! The formulas are those of DLDL-v2 (Gao et al., "Learning Expectation of Label
//! Distribution for Facial Age and Attractiveness Estimation", arXiv 2007.01771) and
//! of its Torch release; where the two differ, the documentation of the item states
//! which one applies. "Spec" refers to `docs/specification.md` in the repository.
//!
//! ```
//! use dldl_label::{Distribution, Label, LabelSet, Method};
//!
//! let ages = LabelSet::age(); // 0, 1, ..., 100
//! let target = Distribution::gaussian(&ages, 31.4, 2.0)?;
//! assert!((target.expectation() - 31.4).abs() < 1e-9);
//! let (low, high) = target.equal_tailed_interval(0.9);
//! assert!(low < 31.4 && 31.4 < high);
//!
//! let method: Method = "dldl-v2".parse()?;
//! let encoded = method.encode(&ages, &Label::new(31.4, 2.0)?)?;
//! let logits = vec![0.0; method.head_size(&ages)];
//! assert!(method.loss(&ages, &encoded, &logits)?.total > 0.0);
//! # Ok::<(), dldl_label::LabelError>(())
//! ```

mod bands;
mod conformal;
mod distribution;
mod labels;
mod method;
pub mod metrics;
mod recalibration;
mod task;

pub use bands::{Band, Bands};
pub use conformal::Conformal;
pub use distribution::Distribution;
pub use labels::{Label, LabelSet, MAX_LABELS};
pub use method::{
    Layout, Loss, LossKind, LossTerm, Method, Penalty, Readout, Scaling, Target, ranking_code,
    ranking_target,
};
pub use recalibration::Recalibration;
pub use task::Task;

/// An invalid label, label set, distribution, target or method.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// The range or step does not describe a label set.
    #[error("invalid label set from {min} to {max} in steps of {step}: {reason}")]
    LabelSet {
        /// Requested smallest label.
        min: f64,
        /// Requested largest label.
        max: f64,
        /// Requested step.
        step: f64,
        /// Which condition is violated.
        reason: String,
    },
    /// A label's mean is not finite, or its sigma is negative or not finite.
    #[error("invalid label with mean {mean} and sigma {sigma}: {reason}")]
    Label {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        sigma: f64,
        /// Which condition is violated.
        reason: &'static str,
    },
    /// The ends of a range are NaN or in the wrong order.
    #[error("invalid range from {low} to {high}: expected the lower end first")]
    Range {
        /// The lower end.
        low: f64,
        /// The upper end.
        high: f64,
    },
    /// A slice does not have one entry per label (or per output of the head).
    #[error("wrong number of {what}: expected {expected}, got {actual}")]
    Length {
        /// What the slice holds.
        what: &'static str,
        /// Expected number of entries.
        expected: usize,
        /// Actual number of entries.
        actual: usize,
    },
    /// An entry of a slice is not finite or out of range.
    #[error("invalid value {value} at index {index} of {what}: expected {expected}")]
    Value {
        /// What the slice holds.
        what: &'static str,
        /// Index of the first invalid entry.
        index: usize,
        /// The invalid entry.
        value: f64,
        /// The condition that it violates.
        expected: &'static str,
    },
    /// Entries do not have the sum of a distribution.
    #[error("{what} sum to {sum}: expected {expected}")]
    Sum {
        /// What the entries are.
        what: &'static str,
        /// Their sum.
        sum: f64,
        /// The condition that it violates.
        expected: &'static str,
    },
    /// A collection that must not be empty is empty.
    #[error("no {what}: expected at least one")]
    Empty {
        /// What the collection holds.
        what: &'static str,
    },
    /// Distributions to average are over different label sets.
    #[error("cannot average distributions over different label sets")]
    DifferentLabels,
    /// The target was encoded by another method and lacks what a loss term needs.
    #[error("target has no {0}, which the method's loss requires")]
    MissingTarget(&'static str),
    /// No method has this name.
    #[error("unknown method `{name}`: expected one of {}", Method::names())]
    UnknownMethod {
        /// The name.
        name: String,
    },
    /// No task has this name.
    #[error("unknown task `{name}`: expected age, attractiveness or real_age")]
    UnknownTask {
        /// The name.
        name: String,
    },
    /// A parameter of a method is out of range.
    #[error("invalid {name} {value}: expected {expected}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The condition that it violates.
        expected: &'static str,
    },
}
