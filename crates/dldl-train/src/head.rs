//! What a head of the network learns, and for one sample its loss, the gradient
//! of that and its error. Batches and several heads are in `loss`.

use std::sync::Arc;

use dldl_label::{LabelError, LabelSet, Method, Target};

use crate::config::VectorLoss;

/// What a head learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// A label distribution.
    Labels {
        /// How it is learned.
        method: Method,
        /// The labels.
        labels: LabelSet,
    },
    /// One of so many classes: the cross entropy of a softmax.
    Classes(usize),
    /// A vector of so many numbers.
    Vector(usize, VectorLoss),
}

/// A head of the network: some consecutive logits and what they learn.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its task: `age`.
    pub name: String,
    /// What it learns.
    pub goal: Goal,
    /// What its loss is multiplied by.
    pub weight: f64,
}

/// What a head's logits are compared with, for one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Truth {
    /// For [`Goal::Labels`].
    Label {
        /// What the method's loss compares with.
        target: Target,
        /// The label's mean, which the error is counted from.
        mean: f64,
    },
    /// For [`Goal::Classes`].
    Class(usize),
    /// For [`Goal::Vector`].
    Vector(Arc<[f32]>),
}

/// One sample's truths, a head each; none where its dataset does not say.
pub type Truths = Vec<Option<Truth>>;

/// The value of a head's loss for one sample.
pub(crate) struct SampleLoss {
    pub(crate) total: f64,
    pub(crate) terms: Vec<f64>,
    pub(crate) gradient: Vec<f64>,
}

impl Head {
    /// Number of its logits.
    pub fn outputs(&self) -> usize {
        match &self.goal {
            Goal::Labels { method, labels } => method.head_size(labels),
            Goal::Classes(count) => *count,
            Goal::Vector(length, _) => *length,
        }
    }

    /// Whether it estimates something; the others only teach the network.
    pub fn has_labels(&self) -> bool {
        matches!(self.goal, Goal::Labels { .. })
    }

    /// The range of its errors, in which those of different heads are
    /// comparable: the label set's, or 1.
    pub fn scale(&self) -> f64 {
        match &self.goal {
            Goal::Labels { labels, .. } => labels.max() - labels.min(),
            Goal::Classes(_) | Goal::Vector(..) => 1.0,
        }
    }

    /// The names of its loss terms: those of [`LossKind::name`](dldl_label::LossKind::name);
    /// or `ce` in nats; or `cosine` or `mse`.
    pub fn term_names(&self) -> Vec<&'static str> {
        match &self.goal {
            Goal::Labels { method, labels } => {
                method.loss_terms(labels).iter().map(|term| term.kind.name()).collect()
            }
            Goal::Classes(_) => vec!["ce"],
            Goal::Vector(_, VectorLoss::Cosine) => vec!["cosine"],
            Goal::Vector(_, VectorLoss::Mse) => vec!["mse"],
        }
    }

    /// The biases to begin with, where its outputs share their weights
    /// ([`Method::shares_weights`]).
    pub(crate) fn shared_biases(&self) -> Option<Vec<f64>> {
        match &self.goal {
            Goal::Labels { method, labels } => method.initial_biases(labels),
            Goal::Classes(_) | Goal::Vector(..) => None,
        }
    }

    pub(crate) fn loss(&self, truth: &Truth, logits: &[f32]) -> Result<SampleLoss, LabelError> {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        match (&self.goal, truth) {
            (Goal::Labels { method, labels }, Truth::Label { target, .. }) => {
                let loss = method.loss(labels, target, &logits)?;
                Ok(SampleLoss { total: loss.total, terms: loss.terms, gradient: loss.gradient })
            }
            (Goal::Classes(_), Truth::Class(class)) => Ok(cross_entropy(&logits, *class)),
            (Goal::Vector(_, loss), Truth::Vector(vector)) => Ok(match loss {
                VectorLoss::Cosine => cosine(&logits, vector),
                VectorLoss::Mse => squares(&logits, vector),
            }),
            _ => unreachable!("truths are made for their heads"),
        }
    }

    /// How far the estimate that the logits stand for is from the truth: the
    /// absolute error of the method's estimate, in units of the label; whether the
    /// likeliest class is the wrong one, 0 or 1; one minus the cosine of the
    /// angle between two vectors.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn error(&self, truth: &Truth, logits: &[f32]) -> Result<f64, LabelError> {
        match (&self.goal, truth) {
            (Goal::Labels { method, labels }, Truth::Label { mean, .. }) => {
                Ok((method.estimate(&method.decode(labels, logits)?) - mean).abs())
            }
            (Goal::Classes(_), Truth::Class(class)) => {
                let other = |(i, v): (usize, &f32)| i != *class && *v >= logits[*class];
                Ok(f64::from(logits.iter().enumerate().any(other)))
            }
            (Goal::Vector(..), Truth::Vector(vector)) => {
                let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
                Ok(cosine(&logits, vector).total)
            }
            _ => unreachable!("truths are made for their heads"),
        }
    }
}

/// `-ln softmax(x)_class`; its gradient is the softmax minus the class's unit vector.
fn cross_entropy(logits: &[f64], class: usize) -> SampleLoss {
    let most = logits.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(v));
    let mut gradient: Vec<f64> = logits.iter().map(|v| (v - most).exp()).collect();
    let sum: f64 = gradient.iter().sum();
    gradient.iter_mut().for_each(|p| *p /= sum);
    gradient[class] -= 1.0;
    let total = sum.ln() - (logits[class] - most);
    SampleLoss { total, terms: vec![total], gradient }
}

/// `1 - x t / (|x| |t|)`; 1 where a vector is nothing.
fn cosine(x: &[f64], t: &[f32]) -> SampleLoss {
    let t = t.iter().map(|&v| f64::from(v));
    let dot: f64 = x.iter().zip(t.clone()).map(|(x, t)| x * t).sum();
    let x2: f64 = x.iter().map(|x| x * x).sum();
    let norms = (x2 * t.clone().map(|t| t * t).sum::<f64>()).sqrt();
    if norms == 0.0 {
        return SampleLoss { total: 1.0, terms: vec![1.0], gradient: vec![0.0; x.len()] };
    }
    let cosine = dot / norms;
    let gradient = x.iter().zip(t).map(|(x, t)| cosine * x / x2 - t / norms).collect();
    SampleLoss { total: 1.0 - cosine, terms: vec![1.0 - cosine], gradient }
}

/// The mean of `(x - t)^2`.
fn squares(x: &[f64], t: &[f32]) -> SampleLoss {
    let share = 1.0 / x.len() as f64;
    let off: Vec<f64> = x.iter().zip(t).map(|(x, &t)| x - f64::from(t)).collect();
    let total = share * off.iter().map(|d| d * d).sum::<f64>();
    let gradient = off.iter().map(|d| 2.0 * share * d).collect();
    SampleLoss { total, terms: vec![total], gradient }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_vectors_have_the_slopes_of_their_losses_too() {
        let plain = |goal| Head { name: "x".into(), goal, weight: 1.0 };
        let vector = || Truth::Vector([0.3, -1.0, 2.0, 0.7].into());
        for (head, truth) in [
            (plain(Goal::Classes(4)), Truth::Class(2)),
            (plain(Goal::Vector(4, VectorLoss::Cosine)), vector()),
            (plain(Goal::Vector(4, VectorLoss::Mse)), vector()),
        ] {
            let logits = [0.5f32, -0.25, 1.5, 3.0];
            let loss = head.loss(&truth, &logits).unwrap();
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut logits = logits;
                    logits[i] += by;
                    head.loss(&truth, &logits).unwrap().total
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((loss.gradient[i] - slope).abs() < 1e-3, "{head:?} {i}");
            }
            let error = head.error(&truth, &logits).unwrap();
            assert!(error > 0.0 && error <= 2.0);
        }
        // By hand: two equal logits share the probability.
        let even = cross_entropy(&[1.0, 1.0], 0);
        assert!((even.total - 2f64.ln()).abs() < 1e-12);
        assert_eq!(even.gradient, [-0.5, 0.5]);
        assert_eq!(cosine(&[0.0; 2], &[1.0, 0.0]).total, 1.0);
        let head = plain(Goal::Classes(3));
        assert_eq!(head.error(&Truth::Class(1), &[0.0, 2.0, 1.0]).unwrap(), 0.0);
        assert_eq!(head.error(&Truth::Class(2), &[0.0, 2.0, 1.0]).unwrap(), 1.0);
    }
}
