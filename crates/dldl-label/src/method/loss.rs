//! Loss terms and their gradients, for one sample, in double precision.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::distribution::{check_length, log_softmax};
use crate::metrics::labels_within;
use crate::{LabelError, LabelSet};

/// Keeps the logarithm and the quotient of a variance finite, in steps squared.
const LEAST_VARIANCE: f64 = 1e-6;

/// A weighted term of the loss. The loss of a sample is the sum of its terms, that of
/// a batch the mean over its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// The term.
    pub kind: LossKind,
    /// Its weight.
    pub weight: f64,
}

/// How an error `e` is penalized.
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
    /// Whether it is the paper's penalty, which is omitted when a method is serialized.
    pub(super) fn is_l1(&self) -> bool {
        *self == Self::L1
    }

    /// The penalty of an error and its derivative.
    fn evaluate(self, e: f64) -> (f64, f64) {
        let sign = if e == 0.0 { 0.0 } else { e.signum() };
        match self {
            Self::L1 => (e.abs(), sign),
            Self::SmoothL1 if e.abs() < 1.0 => (0.5 * e * e, e),
            Self::SmoothL1 => (e.abs() - 0.5, sign),
            Self::L2 => (e * e, 2.0 * e),
        }
    }
}

/// A term of the loss as a function of a sample's logits `x` and its target (spec 1.5,
/// 1.6). `p^ = softmax(x)` is the predicted distribution and `y^ = sum_k p^_k l_k` its
/// expectation; `q_k = sigmoid(x_k)` are predicted ranks.
///
/// With a target [range](Target::range) `[a, b]`, which says that the label is in it and
/// not where, the divergence is `-ln sum of p^_k over the labels in the range` (its gradient
/// is `p^_k`, minus `p^_k` over that sum for the labels in it), the error of an expectation
/// or value is its distance from the range, and only ranks outside the range count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `sum_k p_k ln(p_k / p^_k)` with the target's distribution `p`, in nats; the
    /// gradient with respect to `x` is `p^ - p`. It equals the cross-entropy if all of
    /// `p` is at one label.
    KullbackLeibler,
    /// The penalty of `y^ - y` with the target's expectation `y`; the gradient is the
    /// penalty's derivative times `p^_k (l_k - y^)`.
    Expectation(Penalty),
    /// The variance `sum_k p^_k (l_k - y^)^2`; the gradient is
    /// `p^_k ((l_k - y^)^2 - variance)`.
    Variance,
    /// The penalty of `tanh(x) - t`, where `t` is the target's expectation with the
    /// range of the labels mapped to `[-1, 1]`.
    Value(Penalty),
    /// The mean over the ranks of `-r_k ln q_k - (1 - r_k) ln(1 - q_k)` with the
    /// target's ranks `r`; the gradient is `(q_k - r_k) / (K - 1)`.
    RankCrossEntropy,
    /// The mean over the ranks of `(q_k - r_k)^2`.
    RankSquares,
    /// [`RankCrossEntropy`](Self::RankCrossEntropy) with two logits per rank, for no
    /// and yes: `q_k = sigmoid(x_2k+1 - x_2k)`.
    RankPairCrossEntropy,
    /// `h sum_k (e_k - r_k)^2` with the predicted probabilities `e_k` of a value above label
    /// k, the target's ranks `r` and the step `h` of the labels: the continuous ranked
    /// probability score of a label among the labels. The gradient is
    /// `2 h p^_j (sum over k < j of d_k - sum_k d_k e_k)` with `d_k = e_k - r_k`.
    RankedProbability,
    /// `ln(v) / 2 + (y^ - y)^2 / (2 v)` with the variance `v` of `p^`, in steps of the
    /// labels: the negative log-likelihood of a Gaussian, without its constant.
    Concentrated,
    /// The sum of the amounts by which `p^` falls towards the target's label or rises away
    /// from it, from each label to the next. A range requires nothing of the labels in it.
    Unimodal,
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
    /// A short name for logs, such as `kl` (in nats) and `l1` (in units of the label).
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
            Self::RankedProbability => "crps",
            Self::Concentrated => "concentrated",
            Self::Unimodal => "unimodal",
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
                if let Some([low, high]) = target.range {
                    return Ok(censored(&log_p, labels_within(labels, low, high)));
                }
                let target = target.distribution.as_deref();
                let target = target.ok_or(LabelError::MissingTarget("distribution"))?;
                check_length("target probabilities", labels.len(), target.len())?;
                let terms = target.iter().zip(&log_p);
                // 0 ln 0 is 0.
                let value =
                    terms.clone().filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p.ln() - q)).sum();
                Ok((value, terms.map(|(p, q)| q.exp() - p).collect()))
            }
            Self::Expectation(penalty) => {
                let (p, deviations, estimate) = moments(labels, logits)?;
                let (value, slope) = penalty.evaluate(error(target, estimate)?);
                Ok((value, p.iter().zip(deviations).map(|(p, d)| slope * p * d).collect()))
            }
            Self::Variance => {
                let (p, deviations, _) = moments(labels, logits)?;
                let variance: f64 = p.iter().zip(&deviations).map(|(p, d)| p * d * d).sum();
                Ok((
                    variance,
                    p.iter().zip(deviations).map(|(p, d)| p * (d * d - variance)).collect(),
                ))
            }
            Self::Value(penalty) => {
                let (middle, half) =
                    (0.5 * (labels.min() + labels.max()), 0.5 * (labels.max() - labels.min()));
                let value = logits[0].tanh();
                let (loss, slope) = penalty.evaluate(error(target, middle + half * value)? / half);
                Ok((loss, vec![slope * (1.0 - value * value)]))
            }
            Self::RankCrossEntropy => {
                let ranks = ranks(labels, target)?;
                let share = 1.0 / ranks.len() as f64;
                let (mut value, mut gradient) = (0.0, vec![0.0; ranks.len()]);
                for (k, (&x, r)) in logits.iter().zip(&ranks).enumerate() {
                    let Some(r) = r else { continue };
                    value += share * (softplus(x) - r * x);
                    gradient[k] = share * (sigmoid(x) - r);
                }
                Ok((value, gradient))
            }
            Self::RankSquares => {
                let ranks = ranks(labels, target)?;
                let share = 1.0 / ranks.len() as f64;
                let (mut value, mut gradient) = (0.0, vec![0.0; ranks.len()]);
                for (k, (&x, r)) in logits.iter().zip(&ranks).enumerate() {
                    let Some(r) = r else { continue };
                    let q = sigmoid(x);
                    value += share * (q - r).powi(2);
                    gradient[k] = share * 2.0 * (q - r) * q * (1.0 - q);
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
            Self::RankedProbability => {
                let ranks = ranks(labels, target)?;
                let p = softmax(labels, logits)?;
                let (mut above, mut value, mut pull) = (1.0, 0.0, 0.0);
                // The sums of d over the labels below each label.
                let mut slopes = vec![0.0; p.len()];
                for (k, r) in ranks.iter().enumerate() {
                    above -= p[k];
                    let d = r.map_or(0.0, |r| above - r);
                    value += d * d;
                    pull += d * above;
                    slopes[k + 1] = slopes[k] + d;
                }
                let scale = 2.0 * labels.step();
                let gradient = p.iter().zip(slopes).map(|(p, s)| scale * p * (s - pull));
                Ok((labels.step() * value, gradient.collect()))
            }
            Self::Concentrated => {
                let (p, deviations, estimate) = moments(labels, logits)?;
                let step = labels.step();
                let e = error(target, estimate)? / step;
                let deviations = || deviations.iter().map(|d| d / step);
                let variance: f64 = p.iter().zip(deviations()).map(|(p, d)| p * d * d).sum();
                let v = variance + LEAST_VARIANCE;
                let by_variance = 0.5 / v - 0.5 * (e / v).powi(2);
                let slope = |d: f64| e / v * d + by_variance * (d * d - variance);
                let gradient = p.iter().zip(deviations()).map(|(p, d)| p * slope(d));
                Ok((0.5 * v.ln() + 0.5 * e * e / v, gradient.collect()))
            }
            Self::Unimodal => {
                let peak = match (target.range, target.expectation) {
                    (Some([low, high]), _) => labels_within(labels, low, high),
                    (None, Some(y)) => labels.nearest(y)..labels.nearest(y) + 1,
                    (None, None) => return Err(LabelError::MissingTarget("expectation")),
                };
                let p = softmax(labels, logits)?;
                let (mut value, mut slopes) = (0.0, vec![0.0; p.len()]);
                for k in 0..p.len() - 1 {
                    let sign = match k {
                        _ if k < peak.start => -1.0,
                        _ if k + 1 >= peak.end => 1.0,
                        _ => continue,
                    };
                    let rise = sign * (p[k + 1] - p[k]);
                    if rise > 0.0 {
                        value += rise;
                        slopes[k + 1] += sign;
                        slopes[k] -= sign;
                    }
                }
                let mean: f64 = p.iter().zip(&slopes).map(|(p, s)| p * s).sum();
                Ok((value, p.iter().zip(slopes).map(|(p, s)| p * (s - mean)).collect()))
            }
        }
    }
}

/// `-ln` of the probability of the labels `inside`, and its gradient.
fn censored(log_p: &[f64], inside: std::ops::Range<usize>) -> (f64, Vec<f64>) {
    let most = log_p[inside.clone()].iter().fold(f64::NEG_INFINITY, |m, &q| m.max(q));
    let sum: f64 = log_p[inside.clone()].iter().map(|q| (q - most).exp()).sum();
    let log_sum = most + sum.ln();
    let mut gradient: Vec<f64> = log_p.iter().map(|q| q.exp()).collect();
    for (g, q) in gradient[inside.clone()].iter_mut().zip(&log_p[inside]) {
        *g -= (q - log_sum).exp();
    }
    (-log_sum, gradient)
}

/// The difference of an estimate from the target's expectation, or its signed distance from
/// the target's range.
fn error(target: &Target, estimate: f64) -> Result<f64, LabelError> {
    match (target.range, target.expectation) {
        (Some([low, high]), _) => Ok(estimate - estimate.clamp(low, high)),
        (None, Some(y)) => Ok(estimate - y),
        (None, None) => Err(LabelError::MissingTarget("expectation")),
    }
}

/// The probabilities of the softmax.
fn softmax(labels: &LabelSet, logits: &[f64]) -> Result<Vec<f64>, LabelError> {
    Ok(log_softmax(labels, logits)?.iter().map(|q| q.exp()).collect())
}

/// The probabilities of the softmax, the deviations of the labels from its
/// expectation, and the expectation.
fn moments(labels: &LabelSet, logits: &[f64]) -> Result<(Vec<f64>, Vec<f64>, f64), LabelError> {
    let p = softmax(labels, logits)?;
    let values = labels.values();
    let estimate: f64 = p.iter().zip(&values).map(|(p, l)| p * l).sum();
    Ok((p, values.into_iter().map(|l| l - estimate).collect(), estimate))
}

/// The target's ranks, one for each label but the last; `None` where a range leaves it open.
fn ranks(labels: &LabelSet, target: &Target) -> Result<Vec<Option<f64>>, LabelError> {
    if let Some([low, high]) = target.range {
        let rank = |k: usize| match labels.value(k) {
            label if label < low => Some(1.0),
            label if label >= high => Some(0.0),
            _ => None,
        };
        return Ok((0..labels.len() - 1).map(rank).collect());
    }
    let ranks = target.ranks.as_deref().ok_or(LabelError::MissingTarget("ranks"))?;
    check_length("target ranks", labels.len() - 1, ranks.len())?;
    Ok(ranks.iter().copied().map(Some).collect())
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

/// Checks that there are `expected` logits, all of them finite.
pub(super) fn check_logits(expected: usize, logits: &[f64]) -> Result<(), LabelError> {
    const WHAT: &str = "logits";
    check_length(WHAT, expected, logits.len())?;
    match logits.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(LabelError::Value {
            what: WHAT,
            index,
            value: logits[index],
            expected: "a finite number",
        }),
        None => Ok(()),
    }
}
