//! What is minimized: the terms of the losses with their gradients, for one
//! sample, in double precision.
//!
//! Not here: which method uses which (`mod.rs`), and means over batches, which
//! belong to training.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::distribution::{check_length, log_softmax};
use crate::{LabelError, LabelSet};

/// A term of the loss. The loss of a batch is the mean over its samples of the
/// weighted sum of the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// What is computed for a sample.
    pub kind: LossKind,
    /// What it is multiplied by.
    pub weight: f64,
}

/// An error `e` as a number to minimize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Penalty {
    /// `|e|`; its derivative at 0 is taken as 0.
    #[default]
    L1,
    /// `e^2 / 2` up to an error of 1, `|e| - 1/2` beyond (Girshick, ICCV 2015).
    SmoothL1,
    /// `e^2`.
    L2,
}

impl Penalty {
    /// Whether it is the paper's, which a serialized method does not mention.
    pub(super) fn is_l1(&self) -> bool {
        *self == Self::L1
    }

    /// The penalty and its derivative.
    fn of(self, e: f64) -> (f64, f64) {
        let sign = if e == 0.0 { 0.0 } else { e.signum() };
        match self {
            Self::L1 => (e.abs(), sign),
            Self::SmoothL1 if e.abs() < 1.0 => (0.5 * e * e, e),
            Self::SmoothL1 => (e.abs() - 0.5, sign),
            Self::L2 => (e * e, 2.0 * e),
        }
    }
}

/// What a loss term computes from the logits `x` of one sample and its target.
/// Of a softmax `p^ = softmax(x)` the expectation is `y^ = sum_k p^_k l_k` (spec
/// 1.5, 1.6); of ranks `q_k = sigmoid(x_k)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `sum_k p_k ln(p_k / p^_k)` with the target's distribution `p`; its
    /// gradient with respect to `x` is `p^ - p`. With all of `p` at one label it
    /// is the cross-entropy.
    KullbackLeibler,
    /// A penalty of `y^ - y` with the target's expectation `y`, whose gradient is
    /// the penalty's derivative times `p^_k (l_k - y^)`.
    Expectation(Penalty),
    /// `sum_k p^_k (l_k - y^)^2`, the variance, with the gradient
    /// `p^_k ((l_k - y^)^2 - variance)`.
    Variance,
    /// A penalty of `tanh(x) - t`, where `t` is the target's expectation with the
    /// range of the labels brought to `[-1, 1]`.
    Value(Penalty),
    /// The mean over the ranks of `-r_k ln q_k - (1 - r_k) ln(1 - q_k)` with the
    /// target's ranks `r`; its gradient is `(q_k - r_k) / (K - 1)`.
    RankCrossEntropy,
    /// The mean over the ranks of `(q_k - r_k)^2`.
    RankSquares,
    /// As [`RankCrossEntropy`](Self::RankCrossEntropy) with two logits for each
    /// rank, of no and yes: `q_k = sigmoid(x_2k+1 - x_2k)`.
    RankPairCrossEntropy,
}

/// The value of a loss and its gradient, for one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The weighted sum of the terms.
    pub total: f64,
    /// The terms, unweighted, in the order of
    /// [`Method::loss_terms`](crate::Method::loss_terms).
    pub terms: Vec<f64>,
    /// The derivative of `total` with respect to each logit.
    pub gradient: Vec<f64>,
}

impl LossKind {
    /// A short name for logs: `kl` in nats, `l1` in units of the label, and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::KullbackLeibler => "kl",
            Self::Expectation(Penalty::L1) => "l1",
            Self::Expectation(Penalty::SmoothL1) => "smooth-l1",
            Self::Expectation(Penalty::L2) => "l2",
            Self::Variance => "variance",
            Self::Value(Penalty::L1) => "value-l1",
            Self::Value(Penalty::SmoothL1) => "value-smooth-l1",
            Self::Value(Penalty::L2) => "value-l2",
            Self::RankCrossEntropy | Self::RankPairCrossEntropy => "rank-ce",
            Self::RankSquares => "rank-l2",
        }
    }

    /// The unweighted term and its gradient with respect to the logits.
    pub(super) fn evaluate(
        self,
        labels: &LabelSet,
        target: &Target,
        logits: &[f64],
    ) -> Result<(f64, Vec<f64>), LabelError> {
        match self {
            Self::KullbackLeibler => {
                let log_p = log_softmax(labels, logits)?;
                let target = target.distribution.as_deref();
                let target = target.ok_or(LabelError::Target("distribution"))?;
                check_length("target distribution", labels.len(), target.len())?;
                let terms = target.iter().zip(&log_p);
                // 0 ln 0 is 0.
                let value =
                    terms.clone().filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p.ln() - q)).sum();
                Ok((value, terms.map(|(p, q)| q.exp() - p).collect()))
            }
            Self::Expectation(penalty) => {
                let y = target.expectation.ok_or(LabelError::Target("expectation"))?;
                let (p, off, estimate) = moments(labels, logits)?;
                let (value, slope) = penalty.of(estimate - y);
                Ok((value, p.iter().zip(off).map(|(p, d)| slope * p * d).collect()))
            }
            Self::Variance => {
                let (p, off, _) = moments(labels, logits)?;
                let variance: f64 = p.iter().zip(&off).map(|(p, d)| p * d * d).sum();
                Ok((variance, p.iter().zip(off).map(|(p, d)| p * (d * d - variance)).collect()))
            }
            Self::Value(penalty) => {
                let y = target.expectation.ok_or(LabelError::Target("expectation"))?;
                let (low, high) = (labels.min(), labels.max());
                let value = logits[0].tanh();
                let (loss, slope) = penalty.of(value - (2.0 * (y - low) / (high - low) - 1.0));
                Ok((loss, vec![slope * (1.0 - value * value)]))
            }
            Self::RankCrossEntropy => {
                let ranks = ranks(labels, target)?;
                let share = 1.0 / ranks.len() as f64;
                let pairs = || logits.iter().zip(ranks);
                let value: f64 = pairs().map(|(&x, r)| softplus(x) - r * x).sum();
                Ok((share * value, pairs().map(|(&x, r)| share * (sigmoid(x) - r)).collect()))
            }
            Self::RankSquares => {
                let ranks = ranks(labels, target)?;
                let share = 1.0 / ranks.len() as f64;
                let (mut value, mut gradient) = (0.0, Vec::with_capacity(ranks.len()));
                for (&x, r) in logits.iter().zip(ranks) {
                    let q = sigmoid(x);
                    value += share * (q - r).powi(2);
                    gradient.push(share * 2.0 * (q - r) * q * (1.0 - q));
                }
                Ok((value, gradient))
            }
            Self::RankPairCrossEntropy => {
                let differences: Vec<f64> =
                    logits.chunks_exact(2).map(|pair| pair[1] - pair[0]).collect();
                let (value, slopes) =
                    Self::RankCrossEntropy.evaluate(labels, target, &differences)?;
                Ok((value, slopes.into_iter().flat_map(|g| [-g, g]).collect()))
            }
        }
    }
}

/// Of a softmax: its probabilities, the labels' distances from its expectation,
/// and the expectation.
fn moments(labels: &LabelSet, logits: &[f64]) -> Result<(Vec<f64>, Vec<f64>, f64), LabelError> {
    let p: Vec<f64> = log_softmax(labels, logits)?.iter().map(|q| q.exp()).collect();
    let values = labels.values();
    let estimate: f64 = p.iter().zip(&values).map(|(p, l)| p * l).sum();
    Ok((p, values.into_iter().map(|l| l - estimate).collect(), estimate))
}

fn ranks<'a>(labels: &LabelSet, target: &'a Target) -> Result<&'a [f64], LabelError> {
    let ranks = target.ranks.as_deref().ok_or(LabelError::Target("ranks"))?;
    check_length("target ranks", labels.len() - 1, ranks.len())?;
    Ok(ranks)
}

/// `1 / (1 + exp(-x))`, without overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + exp(x))`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// An error where there are not `expected` logits, or one is not finite.
pub(super) fn check_logits(expected: usize, logits: &[f64]) -> Result<(), LabelError> {
    const WHAT: &str = "logits";
    check_length(WHAT, expected, logits.len())?;
    match logits.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(LabelError::Value { what: WHAT, index, value: logits[index] }),
        None => Ok(()),
    }
}
