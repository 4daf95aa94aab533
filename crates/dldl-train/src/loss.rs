//! The loss of a batch and its gradient with respect to the logits, computed on the
//! host by [`Method::loss`](dldl_label::Method::loss): some ten thousand numbers a step,
//! nothing compared to the network's billions, and the same for every device. The loss
//! of one head for one sample is in `head`.

use std::ops::Range;

use dldl_label::LabelError;

use crate::head::{Head, Target, Targets};

/// The loss of some samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LossValues {
    /// The sum over the heads of weight times mean loss.
    pub total: f64,
    /// The sums of each head.
    pub heads: Vec<HeadSums>,
}

/// Sums of a head's loss over samples.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct HeadSums {
    /// Number of samples with a label.
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

/// The loss of a network with several heads: the sum over the heads of weight times the
/// mean over the samples with a label of that head.
#[derive(Debug, Clone, PartialEq)]
pub struct Criterion {
    heads: Vec<Head>,
}

impl Criterion {
    /// The loss of these heads, whose logits are consecutive.
    pub fn new(heads: Vec<Head>) -> Self {
        Self { heads }
    }

    /// The heads.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Number of logits of all heads.
    pub fn outputs(&self) -> usize {
        self.heads.iter().map(Head::outputs).sum()
    }

    /// The outputs, head by head, that share their weights, and their initial biases.
    pub(crate) fn shared_outputs(&self) -> Vec<(Range<usize>, Vec<f64>)> {
        let mut from = 0;
        let shared = |head: &Head| {
            let range = from..from + head.outputs();
            from = range.end;
            Some((range, head.shared_biases()?))
        };
        self.heads.iter().filter_map(shared).collect()
    }

    /// Number of samples with a label, for each head: the divisor of its loss.
    pub fn counts(&self, targets: &[Targets]) -> Vec<usize> {
        let count = |h: usize| targets.iter().filter(|targets| targets[h].is_some()).count();
        (0..self.heads.len()).map(count).collect()
    }

    /// The loss of `targets.len()` samples with `logits` `[n, outputs]` and its
    /// gradient of the same shape. They may be a part of a batch: `counts` are the
    /// [`counts`](Self::counts) of the whole batch, so that its parts add up.
    ///
    /// # Errors
    /// [`LabelError`] if a logit is not finite or a target belongs to another method.
    ///
    /// # Panics
    /// If the numbers of logits, targets and heads do not match.
    pub fn loss(
        &self,
        logits: &[f32],
        targets: &[Targets],
        counts: &[usize],
    ) -> Result<(LossValues, Vec<f32>), LabelError> {
        let outputs = self.outputs();
        assert_eq!(logits.len(), targets.len() * outputs, "logits and targets differ in number");
        let mut gradient = vec![0.0; logits.len()];
        let empty = |head: &Head| HeadSums {
            terms: vec![0.0; head.term_names().len()],
            ..HeadSums::default()
        };
        let mut values = LossValues { total: 0.0, heads: self.heads.iter().map(empty).collect() };
        let rows = logits.chunks_exact(outputs).zip(gradient.chunks_exact_mut(outputs));
        for ((logits, gradient), targets) in rows.zip(targets) {
            let mut from = 0;
            for (h, (head, target)) in self.heads.iter().zip(targets).enumerate() {
                let range = from..from + head.outputs();
                from = range.end;
                let Some(target) = target else { continue };
                let share = head.weight / counts[h] as f64;
                let loss = head.loss(target, &logits[range.clone()])?;
                values.total += share * loss.total;
                values.heads[h].add(&HeadSums { samples: 1, loss: loss.total, terms: loss.terms });
                for (out, g) in gradient[range].iter_mut().zip(loss.gradient) {
                    *out = (share * g) as f32;
                }
            }
        }
        Ok((values, gradient))
    }

    /// The [`Head::error`] of each head for one sample's logits `[outputs]`; `None` if the
    /// sample has no target.
    ///
    /// # Errors
    /// If a logit is not finite.
    pub fn errors(
        &self,
        logits: &[f32],
        targets: &[Option<Target>],
    ) -> Result<Vec<Option<f64>>, LabelError> {
        let mut from = 0;
        let error = |(head, target): (&Head, &Option<Target>)| {
            let own = &logits[from..from + head.outputs()];
            from += head.outputs();
            target.as_ref().map(|target| head.error(target, own)).transpose()
        };
        self.heads.iter().zip(targets).map(error).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Objective;
    use dldl_label::{Label, LabelSet, Method, Scaling};
    use rand::RngExt;

    fn head(name: &str, labels: LabelSet, method: Method, weight: f64) -> Head {
        Head { name: name.into(), objective: Objective::Labels { method, labels }, weight }
    }

    fn two_heads() -> Criterion {
        let v2 = Method::dldl_v2(1.0, Scaling::PerSample).unwrap();
        Criterion::new(vec![
            head("age", LabelSet::age(), v2, 1.0),
            head("attractiveness", LabelSet::attractiveness_5(), Method::Dldl, 3.0),
        ])
    }

    fn target(head: &Head, mean: f64, sigma: f64) -> Option<Target> {
        let Objective::Labels { method, labels } = &head.objective else {
            panic!("not a head of labels")
        };
        let target = method.encode(labels, &Label { mean, sigma }).unwrap();
        Some(Target::Label { target, mean })
    }

    fn batch(criterion: &Criterion) -> (Vec<f32>, Vec<Targets>) {
        let mut rng = dldl_data::sample_rng(7, 0, 0);
        let [age, look] = criterion.heads() else { panic!("two heads") };
        let targets = vec![
            vec![target(age, 31.4, 2.0), None],
            vec![None, target(look, 3.3, 0.6)],
            vec![target(age, 0.0, 0.0), target(look, 5.0, 0.1)],
            vec![None, None],
        ];
        let logits = (0..4 * criterion.outputs()).map(|_| rng.random_range(-4.0..4.0f32)).collect();
        (logits, targets)
    }

    /// The gradient against differences of the loss, for samples with one
    /// label, with both and with none.
    #[test]
    fn gradients_are_the_slopes_of_the_masked_loss() {
        let criterion = two_heads();
        let (logits, targets) = batch(&criterion);
        let counts = criterion.counts(&targets);
        assert_eq!(counts, [2, 2]);
        let value = |logits: &[f32]| criterion.loss(logits, &targets, &counts).unwrap().0.total;
        let (_, gradient) = criterion.loss(&logits, &targets, &counts).unwrap();
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
    fn the_total_is_the_weighted_sum_of_the_means_over_labeled_samples() {
        let criterion = two_heads();
        let (logits, targets) = batch(&criterion);
        let (values, _) = criterion.loss(&logits, &targets, &criterion.counts(&targets)).unwrap();
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
        let (logits, targets) = batch(&criterion);
        let counts = criterion.counts(&targets);
        let (whole, gradient) = criterion.loss(&logits, &targets, &counts).unwrap();
        let (mut sum, mut gradients) = (LossValues::default(), Vec::new());
        for (logits, targets) in logits.chunks(2 * criterion.outputs()).zip(targets.chunks(2)) {
            let (part, gradient) = criterion.loss(logits, targets, &counts).unwrap();
            sum.add(&part);
            gradients.extend(gradient);
        }
        assert!((sum.total - whole.total).abs() < 1e-12);
        assert_eq!(gradients, gradient);
    }

    #[test]
    fn errors_are_those_of_the_expectation_and_nan_logits_are_refused() {
        let criterion = two_heads();
        let (logits, targets) = batch(&criterion);
        let row = &logits[2 * criterion.outputs()..][..criterion.outputs()];
        let errors = criterion.errors(row, &targets[2]).unwrap();
        let age = Method::Dldl.decode(&LabelSet::age(), &row[..101]).unwrap().expectation();
        let look = Method::Dldl.decode(&LabelSet::attractiveness_5(), &row[101..]).unwrap();
        assert_eq!(errors, [Some(age), Some(5.0 - look.expectation())]);
        assert_eq!(criterion.errors(row, &targets[3]).unwrap(), [None, None]);
        let mut bad = logits;
        bad[0] = f32::NAN;
        assert!(criterion.loss(&bad, &targets, &[2, 2]).is_err());
    }

    #[test]
    fn outputs_that_share_weights_are_found_by_position() {
        let criterion = Criterion::new(vec![
            head("age", LabelSet::age(), Method::Dldl, 1.0),
            head("attractiveness", LabelSet::attractiveness_5(), Method::Coral, 1.0),
        ]);
        let [(outputs, biases)] = &criterion.shared_outputs()[..] else { panic!("one head") };
        assert_eq!((outputs.clone(), biases.len()), (101..141, 40));
        assert!(two_heads().shared_outputs().is_empty());
    }

    #[test]
    fn targets_of_another_method_are_refused() {
        let criterion = two_heads();
        let [age, _] = criterion.heads() else { panic!("two heads") };
        let plain = head("age", LabelSet::age(), Method::Dldl, 1.0);
        let targets = [vec![target(&plain, 30.0, 2.0), None]];
        let logits = vec![0.0; criterion.outputs()];
        let result = criterion.loss(&logits, &targets, &[1, 0]);
        assert_eq!(result.err(), Some(LabelError::MissingTarget("expectation")));
        assert_eq!(age.term_names(), ["kl", "l1"]);
    }
}
