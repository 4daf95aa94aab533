//! One head of the network: its objective and, for one sample, its loss with the
//! gradient, and its error. Batches and several heads are in `loss`.

use std::sync::Arc;

use dldl_label::{LabelError, LabelSet, Method};

use crate::config::VectorLoss;

/// What a head is trained for.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// A label distribution.
    Labels {
        /// The method that learns it.
        method: Method,
        /// The labels.
        labels: LabelSet,
    },
    /// One of this number of classes: the cross entropy of a softmax.
    Classes(usize),
    /// A vector of this length.
    Vector(usize, VectorLoss),
}

/// A head of the network: consecutive logits and their objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its task, such as `age`.
    pub name: String,
    /// What it is trained for.
    pub objective: Objective,
    /// Factor of its loss.
    pub weight: f64,
}

/// The target of a head for one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Of [`Objective::Labels`].
    Label {
        /// The target of the method's loss.
        target: dldl_label::Target,
        /// The label's mean, the reference of the error.
        mean: f64,
    },
    /// Of [`Objective::Classes`].
    Class(usize),
    /// Of [`Objective::Vector`].
    Vector(Arc<[f32]>),
}

/// One sample's targets, one for each head; `None` if the sample has no such label.
pub type Targets = Vec<Option<Target>>;

/// A head's loss for one sample.
pub(crate) struct SampleLoss {
    pub(crate) total: f64,
    pub(crate) terms: Vec<f64>,
    pub(crate) gradient: Vec<f64>,
}

impl Head {
    /// Number of its logits.
    pub fn outputs(&self) -> usize {
        match &self.objective {
            Objective::Labels { method, labels } => method.head_size(labels),
            Objective::Classes(count) => *count,
            Objective::Vector(length, _) => *length,
        }
    }

    /// Whether it estimates labels; the other heads only help to train the network.
    pub fn has_labels(&self) -> bool {
        matches!(self.objective, Objective::Labels { .. })
    }

    /// The range of its errors, which makes those of different heads comparable: that
    /// of the label set, or 1.
    pub fn scale(&self) -> f64 {
        match &self.objective {
            Objective::Labels { labels, .. } => labels.max() - labels.min(),
            Objective::Classes(_) | Objective::Vector(..) => 1.0,
        }
    }

    /// The names of its loss terms: those of [`LossKind::name`](dldl_label::LossKind::name);
    /// or `ce` in nats; or `cosine` or `mse`.
    pub fn term_names(&self) -> Vec<&'static str> {
        match &self.objective {
            Objective::Labels { method, labels } => {
                method.loss_terms(labels).iter().map(|term| term.kind.name()).collect()
            }
            Objective::Classes(_) => vec!["ce"],
            Objective::Vector(_, VectorLoss::Cosine) => vec!["cosine"],
            Objective::Vector(_, VectorLoss::Mse) => vec!["mse"],
        }
    }

    /// The initial biases, if its outputs share their weights
    /// ([`Method::shares_weights`]).
    pub(crate) fn shared_biases(&self) -> Option<Vec<f64>> {
        match &self.objective {
            Objective::Labels { method, labels } => method.initial_biases(labels),
            Objective::Classes(_) | Objective::Vector(..) => None,
        }
    }

    pub(crate) fn loss(&self, target: &Target, logits: &[f32]) -> Result<SampleLoss, LabelError> {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        match (&self.objective, target) {
            (Objective::Labels { method, labels }, Target::Label { target, .. }) => {
                let loss = method.loss(labels, target, &logits)?;
                Ok(SampleLoss { total: loss.total, terms: loss.terms, gradient: loss.gradient })
            }
            (Objective::Classes(_), Target::Class(class)) => Ok(cross_entropy(&logits, *class)),
            (Objective::Vector(_, loss), Target::Vector(vector)) => Ok(match loss {
                VectorLoss::Cosine => cosine(&logits, vector),
                VectorLoss::Mse => squares(&logits, vector),
            }),
            _ => unreachable!("a target has the kind of its head's objective"),
        }
    }

    /// The error of the estimate: the absolute error of the method's estimate in units
    /// of the label, or its distance from a range of which no more is known; 1 if the most probable class is wrong, else 0; or one minus the
    /// cosine of the angle between the vectors.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn error(&self, target: &Target, logits: &[f32]) -> Result<f64, LabelError> {
        match (&self.objective, target) {
            (Objective::Labels { method, labels }, Target::Label { target, mean }) => {
                let estimate = method.estimate(&method.decode(labels, logits)?);
                let nearest = target.range.map_or(*mean, |[low, high]| estimate.clamp(low, high));
                Ok((estimate - nearest).abs())
            }
            (Objective::Classes(_), Target::Class(class)) => {
                let other = |(i, v): (usize, &f32)| i != *class && *v >= logits[*class];
                Ok(f64::from(logits.iter().enumerate().any(other)))
            }
            (Objective::Vector(..), Target::Vector(vector)) => {
                let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
                Ok(cosine(&logits, vector).total)
            }
            _ => unreachable!("a target has the kind of its head's objective"),
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

/// `1 - x t / (|x| |t|)`; 1 if a vector is 0.
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
    fn gradients_of_classes_and_vectors_are_the_slopes_of_their_losses() {
        let plain = |objective| Head { name: "x".into(), objective, weight: 1.0 };
        let vector = || Target::Vector([0.3, -1.0, 2.0, 0.7].into());
        for (head, target) in [
            (plain(Objective::Classes(4)), Target::Class(2)),
            (plain(Objective::Vector(4, VectorLoss::Cosine)), vector()),
            (plain(Objective::Vector(4, VectorLoss::Mse)), vector()),
        ] {
            let logits = [0.5f32, -0.25, 1.5, 3.0];
            let loss = head.loss(&target, &logits).unwrap();
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut logits = logits;
                    logits[i] += by;
                    head.loss(&target, &logits).unwrap().total
                };
                let slope = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((loss.gradient[i] - slope).abs() < 1e-3, "{head:?} {i}");
            }
            let error = head.error(&target, &logits).unwrap();
            assert!(error > 0.0 && error <= 2.0);
        }
        // By hand: two equal logits share the probability.
        let even = cross_entropy(&[1.0, 1.0], 0);
        assert!((even.total - 2f64.ln()).abs() < 1e-12);
        assert_eq!(even.gradient, [-0.5, 0.5]);
        assert_eq!(cosine(&[0.0; 2], &[1.0, 0.0]).total, 1.0);
        let head = plain(Objective::Classes(3));
        assert_eq!(head.error(&Target::Class(1), &[0.0, 2.0, 1.0]).unwrap(), 0.0);
        assert_eq!(head.error(&Target::Class(2), &[0.0, 2.0, 1.0]).unwrap(), 1.0);
    }
}
