//! The loss of a batch and its gradient with respect to the logits, computed on
//! the host by the reference itself ([`Method::loss`]): some ten thousand
//! numbers a step, beside which the network's billions are all that counts, and
//! the same for every device.

use std::sync::Arc;

use dldl_label::{LabelError, LabelSet, LossKind, Method, Target};

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
struct SampleLoss {
    total: f64,
    terms: Vec<f64>,
    gradient: Vec<f64>,
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

    /// The range of its errors, in which those of different heads are
    /// comparable: the label set's, or 1.
    pub fn scale(&self) -> f64 {
        match &self.goal {
            Goal::Labels { labels, .. } => labels.max() - labels.min(),
            Goal::Classes(_) | Goal::Vector(..) => 1.0,
        }
    }

    /// The names of its loss terms: `kl` in nats, `l1` in units of the label; or
    /// `ce` in nats; or `cosine` or `mse`.
    pub fn term_names(&self) -> Vec<&'static str> {
        match &self.goal {
            Goal::Labels { method, labels } => {
                let name = |kind| match kind {
                    LossKind::KullbackLeibler => "kl",
                    LossKind::ExpectationL1 => "l1",
                };
                method.loss_terms(labels).iter().map(|term| name(term.kind)).collect()
            }
            Goal::Classes(_) => vec!["ce"],
            Goal::Vector(_, VectorLoss::Cosine) => vec!["cosine"],
            Goal::Vector(_, VectorLoss::Mse) => vec!["mse"],
        }
    }

    fn loss(&self, truth: &Truth, logits: &[f32]) -> Result<SampleLoss, LabelError> {
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
    /// absolute error of the expectation, in units of the label; whether the
    /// likeliest class is the wrong one, 0 or 1; one minus the cosine of the
    /// angle between two vectors.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn error(&self, truth: &Truth, logits: &[f32]) -> Result<f64, LabelError> {
        match (&self.goal, truth) {
            (Goal::Labels { method, labels }, Truth::Label { mean, .. }) => {
                Ok((method.decode(labels, logits)?.expectation() - mean).abs())
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

/// The loss of some samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossValues {
    /// The sum over the heads of weight times mean loss.
    pub total: f64,
    /// The heads' own sums.
    pub heads: Vec<HeadSums>,
}

/// Sums of a head's loss over samples.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct HeadSums {
    /// Samples that have the label.
    pub samples: usize,
    /// The loss, without the head's weight.
    pub loss: f64,
    /// The loss terms, unweighted.
    pub terms: Vec<f64>,
}

impl HeadSums {
    /// Adds other sums to these.
    pub fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.loss += other.loss;
        self.terms.resize(other.terms.len().max(self.terms.len()), 0.0);
        for (sum, term) in self.terms.iter_mut().zip(&other.terms) {
            *sum += term;
        }
    }

    /// The mean loss; 0 without samples.
    pub fn mean(&self) -> f64 {
        self.loss / self.samples.max(1) as f64
    }
}

impl LossValues {
    /// Adds the loss of another part of the same batch.
    pub fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.heads.resize(other.heads.len().max(self.heads.len()), HeadSums::default());
        for (sums, more) in self.heads.iter_mut().zip(&other.heads) {
            sums.add(more);
        }
    }
}

/// The loss of a network with some heads: the sum over the heads of weight times
/// the mean over those samples that have the head's label.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    heads: Vec<Head>,
}

impl Criterion {
    /// The loss of these heads, whose logits follow each other.
    pub fn new(heads: Vec<Head>) -> Self {
        Self { heads }
    }

    /// The heads.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Logits of all heads.
    pub fn outputs(&self) -> usize {
        self.heads.iter().map(Head::outputs).sum()
    }

    /// How many samples have the label of each head: what the loss of a part of
    /// them is divided by.
    pub fn counts(&self, truths: &[Truths]) -> Vec<usize> {
        let count = |h: usize| truths.iter().filter(|truths| truths[h].is_some()).count();
        (0..self.heads.len()).map(count).collect()
    }

    /// The loss of `truths.len()` samples with `logits` `[n, outputs]` and its
    /// gradient of the same shape. They may be a part of a batch: `counts` are
    /// [`counts`](Self::counts) of the whole batch, and its parts add up.
    ///
    /// # Errors
    /// [`LabelError`] if a logit is not finite or a truth is another method's.
    ///
    /// # Panics
    /// If the numbers of logits, truths and heads do not fit each other.
    pub fn loss(
        &self,
        logits: &[f32],
        truths: &[Truths],
        counts: &[usize],
    ) -> Result<(LossValues, Vec<f32>), LabelError> {
        let outputs = self.outputs();
        assert_eq!(logits.len(), truths.len() * outputs, "logits and truths differ in number");
        let mut gradient = vec![0.0; logits.len()];
        let empty = |head: &Head| HeadSums {
            terms: vec![0.0; head.term_names().len()],
            ..HeadSums::default()
        };
        let mut values = LossValues { total: 0.0, heads: self.heads.iter().map(empty).collect() };
        let rows = logits.chunks_exact(outputs).zip(gradient.chunks_exact_mut(outputs));
        for ((logits, gradient), truths) in rows.zip(truths) {
            let mut from = 0;
            for (h, (head, truth)) in self.heads.iter().zip(truths).enumerate() {
                let range = from..from + head.outputs();
                from = range.end;
                let Some(truth) = truth else { continue };
                let share = head.weight / counts[h] as f64;
                let loss = head.loss(truth, &logits[range.clone()])?;
                values.total += share * loss.total;
                values.heads[h].add(&HeadSums { samples: 1, loss: loss.total, terms: loss.terms });
                for (out, g) in gradient[range].iter_mut().zip(loss.gradient) {
                    *out = (share * g) as f32;
                }
            }
        }
        Ok((values, gradient))
    }

    /// The errors of one sample's logits `[outputs]`, a head each, as
    /// [`Head::error`]; none where there is no truth.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn errors(
        &self,
        logits: &[f32],
        truths: &[Option<Truth>],
    ) -> Result<Vec<Option<f64>>, LabelError> {
        let mut from = 0;
        let error = |(head, truth): (&Head, &Option<Truth>)| {
            let own = &logits[from..from + head.outputs()];
            from += head.outputs();
            truth.as_ref().map(|truth| head.error(truth, own)).transpose()
        };
        self.heads.iter().zip(truths).map(error).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::{Label, Scaling};
    use rand::RngExt;

    fn head(name: &str, labels: LabelSet, method: Method, weight: f64) -> Head {
        Head { name: name.into(), goal: Goal::Labels { method, labels }, weight }
    }

    fn two_heads() -> Criterion {
        let v2 = Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample };
        Criterion::new(vec![
            head("age", LabelSet::age(), v2, 1.0),
            head("attractiveness", LabelSet::attractiveness_5(), Method::Dldl, 3.0),
        ])
    }

    fn truth(head: &Head, mean: f64, sigma: f64) -> Option<Truth> {
        let Goal::Labels { method, labels } = &head.goal else { panic!("a head of labels") };
        let target = method.encode(labels, &Label { mean, sigma }).unwrap();
        Some(Truth::Label { target, mean })
    }

    fn batch(criterion: &Criterion) -> (Vec<f32>, Vec<Truths>) {
        let mut rng = dldl_data::sample_rng(7, 0, 0);
        let [age, look] = criterion.heads() else { panic!("two heads") };
        let truths = vec![
            vec![truth(age, 31.4, 2.0), None],
            vec![None, truth(look, 3.3, 0.6)],
            vec![truth(age, 0.0, 0.0), truth(look, 5.0, 0.1)],
            vec![None, None],
        ];
        let logits = (0..4 * criterion.outputs()).map(|_| rng.random_range(-4.0..4.0f32)).collect();
        (logits, truths)
    }

    /// The gradient against differences of the loss, for samples with one
    /// label, with both and with none.
    #[test]
    fn gradients_are_the_slopes_of_the_masked_loss() {
        let criterion = two_heads();
        let (logits, truths) = batch(&criterion);
        let counts = criterion.counts(&truths);
        assert_eq!(counts, [2, 2]);
        let value = |logits: &[f32]| criterion.loss(logits, &truths, &counts).unwrap().0.total;
        let (_, gradient) = criterion.loss(&logits, &truths, &counts).unwrap();
        for i in (0..logits.len()).step_by(7) {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[i] += by;
                value(&logits)
            };
            let slope = (moved(0.01) - moved(-0.01)) / 0.02;
            let got = f64::from(gradient[i]);
            assert!((got - slope).abs() < 1e-3 * (1.0 + slope.abs()), "{i}: {got} {slope}");
        }
        assert!(gradient[3 * criterion.outputs()..].iter().all(|&g| g == 0.0));
    }

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

    #[test]
    fn the_total_is_the_weighted_sum_of_the_means_over_those_that_have_the_label() {
        let criterion = two_heads();
        let (logits, truths) = batch(&criterion);
        let (values, _) = criterion.loss(&logits, &truths, &criterion.counts(&truths)).unwrap();
        let samples: Vec<usize> = values.heads.iter().map(|h| h.samples).collect();
        assert_eq!(samples, [2, 2]);
        let expected = values.heads[0].mean() + 3.0 * values.heads[1].mean();
        assert!((values.total - expected).abs() < 1e-12);
        let [kl, l1] = values.heads[0].terms[..] else { panic!("two terms") };
        assert!((values.heads[0].loss - (kl + l1)).abs() < 1e-12);
    }

    #[test]
    fn the_parts_of_a_batch_add_up() {
        let criterion = two_heads();
        let (logits, truths) = batch(&criterion);
        let counts = criterion.counts(&truths);
        let (whole, gradient) = criterion.loss(&logits, &truths, &counts).unwrap();
        let (mut sum, mut gradients) = (LossValues::default(), Vec::new());
        for (logits, truths) in logits.chunks(2 * criterion.outputs()).zip(truths.chunks(2)) {
            let (part, gradient) = criterion.loss(logits, truths, &counts).unwrap();
            sum.add(&part);
            gradients.extend(gradient);
        }
        assert!((sum.total - whole.total).abs() < 1e-12);
        assert_eq!(gradients, gradient);
    }

    #[test]
    fn errors_are_of_the_expectation_and_logits_that_are_no_numbers_are_refused() {
        let criterion = two_heads();
        let (logits, truths) = batch(&criterion);
        let row = &logits[2 * criterion.outputs()..][..criterion.outputs()];
        let errors = criterion.errors(row, &truths[2]).unwrap();
        let age = Method::Dldl.decode(&LabelSet::age(), &row[..101]).unwrap().expectation();
        let look = Method::Dldl.decode(&LabelSet::attractiveness_5(), &row[101..]).unwrap();
        assert_eq!(errors, [Some(age), Some(5.0 - look.expectation())]);
        assert_eq!(criterion.errors(row, &truths[3]).unwrap(), [None, None]);
        let mut bad = logits;
        bad[0] = f32::NAN;
        assert!(criterion.loss(&bad, &truths, &[2, 2]).is_err());
    }

    #[test]
    fn targets_of_another_method_are_refused() {
        let criterion = two_heads();
        let [age, _] = criterion.heads() else { panic!("two heads") };
        let plain = head("age", LabelSet::age(), Method::Dldl, 1.0);
        let truths = [vec![truth(&plain, 30.0, 2.0), None]];
        let logits = vec![0.0; criterion.outputs()];
        let result = criterion.loss(&logits, &truths, &[1, 0]);
        assert_eq!(result.err(), Some(LabelError::Target("expectation")));
        assert_eq!(age.term_names(), ["kl", "l1"]);
    }
}
