//! The losses of the methods on tensors: the same terms as
//! [`Method::loss`](dldl_label::Method::loss), which is their reference.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use dldl_label::{LabelError, LabelSet, LossKind, LossTerm, Method, Target};

/// The targets of a batch of `n` samples over `K` labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Targets {
    /// Number of samples.
    pub count: usize,
    /// `[n, K]` probabilities; empty where the method has none.
    pub distributions: Vec<f32>,
    /// `[n]` expectations; empty where the method has none.
    pub expectations: Vec<f32>,
    /// `sum p ln p` over the batch: what the divergence needs beside the cross
    /// entropy, and what no gradient passes through.
    pub negative_entropy: f64,
}

impl Targets {
    /// Adds a sample.
    pub fn push(&mut self, target: &Target) {
        self.count += 1;
        if let Some(p) = &target.distribution {
            self.distributions.extend(p.iter().map(|&p| p as f32));
            self.negative_entropy +=
                p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        }
        if let Some(y) = target.expectation {
            self.expectations.push(y as f32);
        }
    }
}

/// The loss of a batch.
pub struct BatchLoss {
    /// Mean over the batch of the weighted sum of the terms, `[1]`.
    pub total: Tensor<1>,
    /// The terms, unweighted means over the batch, in the order of
    /// [`Method::loss_terms`]; read together once the step is done.
    pub terms: Vec<Tensor<1>>,
}

/// A [`BatchLoss`] read back from the device.
#[derive(Debug, Clone, PartialEq)]
pub struct LossValues {
    /// See [`BatchLoss::total`].
    pub total: f64,
    /// See [`BatchLoss::terms`].
    pub terms: Vec<f64>,
}

impl BatchLoss {
    /// Waits for the device and reads the values.
    pub fn read(self) -> LossValues {
        let read = |t: Tensor<1>| f64::from(t.into_scalar::<f32>());
        LossValues { total: read(self.total), terms: self.terms.into_iter().map(read).collect() }
    }
}

/// A method's loss on a device.
pub struct Criterion {
    terms: Vec<LossTerm>,
    values: Vec<f32>,
}

impl Criterion {
    /// The loss of `method` over `labels`.
    pub fn new(method: &Method, labels: &LabelSet) -> Self {
        let values = labels.values().iter().map(|&v| v as f32).collect();
        Self { terms: method.loss_terms(labels), values }
    }

    /// The names of the terms as the log has them: `kl`, `l1`.
    pub fn term_names(&self) -> Vec<&'static str> {
        let name = |term: &LossTerm| match term.kind {
            LossKind::KullbackLeibler => "kl",
            LossKind::ExpectationL1 => "l1",
        };
        self.terms.iter().map(name).collect()
    }

    /// The loss of `logits` `[n, K]` (specification 1.5), through a
    /// log-softmax, which does not overflow where a softmax and a logarithm
    /// would.
    ///
    /// # Errors
    /// [`LabelError::Target`] if the targets are another method's.
    ///
    /// # Panics
    /// If the targets are not of `n` samples over `K` labels.
    pub fn loss(&self, logits: Tensor<2>, targets: &Targets) -> Result<BatchLoss, LabelError> {
        let device = logits.device();
        let [n, k] = logits.dims();
        assert_eq!(
            (n, k),
            (targets.count, self.values.len()),
            "logits and targets differ in shape"
        );
        let log_p = log_softmax(logits, 1);
        let mut total: Option<Tensor<1>> = None;
        let mut terms = Vec::new();
        for term in &self.terms {
            let value = match term.kind {
                LossKind::KullbackLeibler => {
                    let p = &targets.distributions;
                    if p.is_empty() {
                        return Err(LabelError::Target("distribution"));
                    }
                    let p = matrix(p, [n, k], &device);
                    let cross = (p * log_p.clone()).sum().neg();
                    (cross + targets.negative_entropy) / n as f64
                }
                LossKind::ExpectationL1 => {
                    let y = &targets.expectations;
                    if y.is_empty() {
                        return Err(LabelError::Target("expectation"));
                    }
                    let y = matrix(y, [n, 1], &device);
                    let values = matrix(&self.values, [1, k], &device);
                    ((log_p.clone().exp() * values).sum_dim(1) - y).abs().mean()
                }
            };
            terms.push(value.clone().detach());
            let weighted = value * term.weight;
            total = Some(match total {
                Some(sum) => sum + weighted,
                None => weighted,
            });
        }
        let total = total.expect("every method has a loss term");
        Ok(BatchLoss { total, terms })
    }
}

fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::{Label, Scaling};
    use rand::RngExt;

    /// Value and gradient against the double-precision reference, on labels on
    /// and off the grid, near and beyond the ends, with small and large logits.
    #[test]
    fn values_and_gradients_are_those_of_the_reference() {
        let device = Device::flex().autodiff();
        for labels in [LabelSet::age(), LabelSet::attractiveness_5()] {
            let k = labels.len();
            for method in [
                Method::Dldl,
                Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample },
                Method::DldlV2 { lambda: 0.3, scaling: Scaling::PerElement },
            ] {
                let mut rng = dldl_data::sample_rng(7, 0, 0);
                let span = labels.max() - labels.min();
                let mut targets = Targets::default();
                let mut singles = Vec::new();
                let mut logits = Vec::new();
                for (share, scale) in
                    [(0.0, 1.0), (0.31, 3.0), (0.5, 0.1), (0.987, 8.0), (1.0, 20.0)]
                {
                    let label = Label { mean: labels.min() + share * span, sigma: 0.02 * span };
                    let target = method.encode(&labels, &label).unwrap();
                    targets.push(&target);
                    singles.push(target);
                    logits.extend((0..k).map(|_| rng.random_range(-scale..scale) as f32));
                }
                let n = singles.len();
                let x = Tensor::<2>::from_data(TensorData::new(logits.clone(), [n, k]), &device)
                    .require_grad();
                let criterion = Criterion::new(&method, &labels);
                let loss = criterion.loss(x.clone(), &targets).unwrap();
                let gradients = loss.total.backward();
                let gradient =
                    x.grad(&gradients).unwrap().into_data().try_into_vec::<f32>().unwrap();
                let mut total = 0.0;
                let mut terms = vec![0.0; loss.terms.len()];
                for (i, target) in singles.iter().enumerate() {
                    let row: Vec<f64> =
                        logits[i * k..(i + 1) * k].iter().map(|&x| f64::from(x)).collect();
                    let expected = method.loss(&labels, target, &row).unwrap();
                    total += expected.total / n as f64;
                    for (sum, t) in terms.iter_mut().zip(&expected.terms) {
                        *sum += t / n as f64;
                    }
                    for (j, e) in expected.gradient.iter().enumerate() {
                        let (got, e) = (f64::from(gradient[i * k + j]), e / n as f64);
                        assert!(
                            (got - e).abs() < 2e-6 + 1e-5 * e.abs(),
                            "{method:?} {i} {j}: {got} {e}"
                        );
                    }
                }
                let got = f64::from(loss.total.into_scalar::<f32>());
                assert!((got - total).abs() < 1e-5 * total.abs().max(1.0), "{got} {total}");
                for (got, e) in loss.terms.into_iter().zip(terms) {
                    let got = f64::from(got.into_scalar::<f32>());
                    assert!((got - e).abs() < 1e-5 * e.abs().max(1.0), "{got} {e}");
                }
            }
        }
    }

    #[test]
    fn targets_of_another_method_are_refused() {
        let labels = LabelSet::age();
        let mut targets = Targets::default();
        let label = Label { mean: 30.0, sigma: 2.0 };
        targets.push(&Method::Dldl.encode(&labels, &label).unwrap());
        let method = Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample };
        let logits = Tensor::zeros([1, labels.len()], &Device::flex());
        let result = Criterion::new(&method, &labels).loss(logits, &targets);
        assert_eq!(result.err(), Some(LabelError::Target("expectation")));
    }
}
