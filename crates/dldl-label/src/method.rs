//! The methods: how a label becomes a target, what is minimised, and how a
//! network's outputs become a distribution. A method is a value, and to add one
//! touches this file only: a variant of [`Method`], its arms below, and a
//! [`LossKind`] where it minimises something new.
//!
//! Not here: the same losses on a framework's tensors, which belong to training
//! and are tested against [`Method::loss`].

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::distribution::{check_length, log_softmax};
use crate::{Distribution, Label, LabelError, LabelSet};

/// A way of learning a label.
///
/// Serialised with its name as a tag: `{"name": "dldl"}`,
/// `{"name": "dldl-v2", "lambda": 1.0, "scaling": "per-sample"}`, the last two
/// optional with these defaults. Deserialising checks `lambda`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", try_from = "Unchecked")]
pub enum Method {
    /// Deep label distribution learning: the Kullback-Leibler divergence of the
    /// network's distribution from the Gaussian one.
    Dldl,
    /// DLDL-v2: the same plus `lambda` times the absolute error of the
    /// expectation (spec 1.5).
    DldlV2 {
        /// Weight of the expectation's error; finite, at least 0.
        lambda: f64,
        /// Against which form of the divergence `lambda` weighs.
        scaling: Scaling,
    },
}

/// How the divergence is scaled in a batch (spec 1.5). The two differ in what
/// `lambda` means: `lambda` per element is `K * lambda` per sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// The formula as the paper writes it: the divergence's mean over the batch.
    #[default]
    PerSample,
    /// What the authors' code computes: that mean divided by the number of
    /// labels K.
    PerElement,
}

/// The serialised form of a method, before its numbers are checked.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
enum Unchecked {
    Dldl,
    DldlV2 {
        #[serde(default = "default_lambda")]
        lambda: f64,
        #[serde(default)]
        scaling: Scaling,
    },
}

/// The paper's weight of the expectation's error.
fn default_lambda() -> f64 {
    1.0
}

impl TryFrom<Unchecked> for Method {
    type Error = LabelError;

    fn try_from(method: Unchecked) -> Result<Self, LabelError> {
        match method {
            Unchecked::Dldl => Ok(Method::Dldl),
            Unchecked::DldlV2 { lambda, scaling } => Method::dldl_v2(lambda, scaling),
        }
    }
}

impl FromStr for Method {
    type Err = LabelError;

    /// The method of that name, with the default numbers.
    fn from_str(name: &str) -> Result<Self, LabelError> {
        match name {
            "dldl" => Ok(Method::Dldl),
            "dldl-v2" => Method::dldl_v2(default_lambda(), Scaling::default()),
            _ => Err(LabelError::UnknownMethod { name: name.into() }),
        }
    }
}

/// What the loss terms compare a network's outputs with, for one sample. Each
/// method fills what its terms need.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// One probability per label.
    pub distribution: Option<Vec<f64>>,
    /// The mean label, unrounded, in units of the label.
    pub expectation: Option<f64>,
}

/// A term of the loss. The loss of a batch is the mean over its samples of the
/// weighted sum of the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// What is computed for a sample.
    pub kind: LossKind,
    /// What it is multiplied by.
    pub weight: f64,
}

/// What a loss term computes from the logits `x` of one sample and its target,
/// with `p^ = softmax(x)` and `y^ = sum_k p^_k l_k` (spec 1.5, 1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `sum_k p_k ln(p_k / p^_k)` with the target's distribution `p`; its
    /// gradient with respect to `x` is `p^ - p`.
    KullbackLeibler,
    /// `|y^ - y|` with the target's expectation `y`; its gradient is
    /// `sign(y^ - y) p^_k (l_k - y^)`, taken as 0 where `y^ = y`.
    ExpectationL1,
}

/// The value of a loss and its gradient, for one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The weighted sum of the terms.
    pub total: f64,
    /// The terms, unweighted, in the order of [`Method::loss_terms`].
    pub terms: Vec<f64>,
    /// The derivative of `total` with respect to each logit.
    pub gradient: Vec<f64>,
}

impl Method {
    /// The names that [`FromStr`] and deserialisation know.
    pub const NAMES: &'static [&'static str] = &["dldl", "dldl-v2"];

    /// DLDL-v2 with the given weight and scaling.
    ///
    /// # Errors
    /// When `lambda` is negative or not finite.
    pub fn dldl_v2(lambda: f64, scaling: Scaling) -> Result<Self, LabelError> {
        if !(lambda.is_finite() && lambda >= 0.0) {
            return Err(LabelError::Lambda(lambda));
        }
        Ok(Method::DldlV2 { lambda, scaling })
    }

    /// The method's name, one of [`Method::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Method::Dldl => "dldl",
            Method::DldlV2 { .. } => "dldl-v2",
        }
    }

    /// How many outputs the network's last layer has.
    pub fn head_size(&self, labels: &LabelSet) -> usize {
        match self {
            Method::Dldl | Method::DldlV2 { .. } => labels.len(),
        }
    }

    /// The target of a sample with the given label.
    ///
    /// # Errors
    /// When the label's mean is not finite or its sigma is negative or not
    /// finite.
    pub fn encode(&self, labels: &LabelSet, label: &Label) -> Result<Target, LabelError> {
        let distribution = Distribution::gaussian(labels, label.mean, label.sigma)?;
        Ok(self.target(&distribution, label.mean))
    }

    /// The target of a sample whose label distribution is known as such, from
    /// its raters' histogram for instance: [`encode`](Self::encode) without the
    /// Gaussian.
    pub fn encode_distribution(&self, distribution: &Distribution) -> Target {
        self.target(distribution, distribution.expectation())
    }

    fn target(&self, distribution: &Distribution, mean: f64) -> Target {
        let distribution = Some(distribution.probabilities().to_vec());
        match self {
            Method::Dldl => Target { distribution, expectation: None },
            Method::DldlV2 { .. } => Target { distribution, expectation: Some(mean) },
        }
    }

    /// What the method minimises. DLDL's single term has weight 1 (the authors'
    /// code has 1/K, a constant that Adam divides out again).
    pub fn loss_terms(&self, labels: &LabelSet) -> Vec<LossTerm> {
        let divergence = |weight| LossTerm { kind: LossKind::KullbackLeibler, weight };
        match *self {
            Method::Dldl => vec![divergence(1.0)],
            Method::DldlV2 { lambda, scaling } => vec![
                divergence(match scaling {
                    Scaling::PerSample => 1.0,
                    Scaling::PerElement => 1.0 / labels.len() as f64,
                }),
                LossTerm { kind: LossKind::ExpectationL1, weight: lambda },
            ],
        }
    }

    /// The distribution that a network's outputs for one picture stand for.
    ///
    /// # Errors
    /// When there are not [`head_size`](Self::head_size) logits, or one is NaN
    /// or infinite.
    pub fn decode(&self, labels: &LabelSet, logits: &[f32]) -> Result<Distribution, LabelError> {
        match self {
            Method::Dldl | Method::DldlV2 { .. } => Distribution::from_logits(labels, logits),
        }
    }

    /// The one number that the method answers with, read from a distribution that
    /// it [decoded](Self::decode), or from a mean of such, in units of the label.
    pub fn estimate(&self, distribution: &Distribution) -> f64 {
        match self {
            Method::Dldl | Method::DldlV2 { .. } => distribution.expectation(),
        }
    }

    /// The loss of one sample and its gradient in double precision: the
    /// reference for implementations on tensors.
    ///
    /// # Errors
    /// When the logits' number or values are wrong as for
    /// [`decode`](Self::decode), or the target is another method's.
    pub fn loss(
        &self,
        labels: &LabelSet,
        target: &Target,
        logits: &[f64],
    ) -> Result<Loss, LabelError> {
        let mut loss =
            Loss { total: 0.0, terms: Vec::new(), gradient: vec![0.0; self.head_size(labels)] };
        for term in self.loss_terms(labels) {
            let (value, gradient) = term.kind.evaluate(labels, target, logits)?;
            loss.total += term.weight * value;
            loss.terms.push(value);
            for (sum, g) in loss.gradient.iter_mut().zip(gradient) {
                *sum += term.weight * g;
            }
        }
        Ok(loss)
    }
}

impl LossKind {
    /// The unweighted term and its gradient with respect to the logits.
    fn evaluate(
        self,
        labels: &LabelSet,
        target: &Target,
        logits: &[f64],
    ) -> Result<(f64, Vec<f64>), LabelError> {
        let log_p = log_softmax(labels, logits)?;
        match self {
            LossKind::KullbackLeibler => {
                let target = target.distribution.as_deref();
                let target = target.ok_or(LabelError::Target("distribution"))?;
                check_length("target distribution", labels.len(), target.len())?;
                let terms = target.iter().zip(&log_p);
                // 0 ln 0 is 0.
                let value =
                    terms.clone().filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p.ln() - q)).sum();
                Ok((value, terms.map(|(p, q)| q.exp() - p).collect()))
            }
            LossKind::ExpectationL1 => {
                let y = target.expectation.ok_or(LabelError::Target("expectation"))?;
                let values = labels.values();
                let p: Vec<f64> = log_p.iter().map(|q| q.exp()).collect();
                let estimate: f64 = p.iter().zip(&values).map(|(p, l)| p * l).sum();
                let error = estimate - y;
                let sign = if error == 0.0 { 0.0 } else { error.signum() };
                let gradient =
                    p.iter().zip(&values).map(|(p, l)| sign * p * (l - estimate)).collect();
                Ok((error.abs(), gradient))
            }
        }
    }
}

/// What Ranking learns, read from a distribution (spec 1.7): `1 - c_k`, the
/// probability of more than label k, for k = 0..K-2 (the last would always be
/// 0). For a Gaussian with sigma towards 0 it becomes the [`ranking_code`] of
/// the label nearest to its mean; and `min + step * sum` is the expectation.
pub fn ranking_target(distribution: &Distribution) -> Vec<f64> {
    let cdf = distribution.cdf();
    cdf[..cdf.len() - 1].iter().map(|c| 1.0 - c).collect()
}

/// Ranking's hard code of a value (spec 1.7): 1 for the labels below `y`, 0
/// for the others, for all labels but the last.
pub fn ranking_code(labels: &LabelSet, y: f64) -> Vec<f64> {
    (0..labels.len() - 1).map(|k| if y > labels.value(k) { 1.0 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_come_back() {
        for name in Method::NAMES {
            assert_eq!(name.parse::<Method>().unwrap().name(), *name);
        }
        assert_eq!(
            "dex".parse::<Method>().unwrap_err().to_string(),
            r#"unknown method "dex", expected one of: dldl, dldl-v2"#
        );
    }

    #[test]
    fn serialised_form() {
        let v2 = Method::dldl_v2(0.5, Scaling::PerElement).unwrap();
        for (method, text) in [
            (Method::Dldl, r#"{"name":"dldl"}"#),
            (v2, r#"{"name":"dldl-v2","lambda":0.5,"scaling":"per-element"}"#),
        ] {
            assert_eq!(serde_json::to_string(&method).unwrap(), text);
            assert_eq!(serde_json::from_str::<Method>(text).unwrap(), method);
        }
        let default: Method = serde_json::from_str(r#"{"name":"dldl-v2"}"#).unwrap();
        assert_eq!(default, "dldl-v2".parse().unwrap());
        assert_eq!(default, Method::DldlV2 { lambda: 1.0, scaling: Scaling::PerSample });
        for bad in [
            r#"{"name":"dldl-v3"}"#,
            r#"{"name":"dldl-v2","lambda":-1}"#,
            r#"{"name":"dldl-v2","lamda":1}"#,
            r#"{"name":"dldl-v2","scaling":"per-pixel"}"#,
        ] {
            assert!(serde_json::from_str::<Method>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn heads_targets_and_terms() {
        let ages = LabelSet::age();
        let label = Label::new(31.4, 2.0).unwrap();
        let dldl = Method::Dldl.encode(&ages, &label).unwrap();
        assert_eq!(dldl.expectation, None);
        assert_eq!(Method::Dldl.loss_terms(&ages).len(), 1);
        let method = Method::dldl_v2(2.0, Scaling::PerElement).unwrap();
        assert_eq!(method.head_size(&ages), 101);
        let target = method.encode(&ages, &label).unwrap();
        assert_eq!(target.distribution, dldl.distribution);
        assert_eq!(target.expectation, Some(31.4));
        let terms = method.loss_terms(&ages);
        assert_eq!(terms.iter().map(|t| t.weight).collect::<Vec<_>>(), [1.0 / 101.0, 2.0]);
        assert!(Method::dldl_v2(f64::NAN, Scaling::PerSample).is_err());
        // A public field can hold what `Label::new` refuses.
        assert!(method.encode(&ages, &Label { mean: 1.0, sigma: -1.0 }).is_err());

        let raters = Distribution::from_histogram(&ages, &[(20.5, 1.0), (30.0, 3.0)]).unwrap();
        let target = method.encode_distribution(&raters);
        assert_eq!(target.distribution.as_deref(), Some(raters.probabilities()));
        assert!((target.expectation.unwrap() - 27.625).abs() < 1e-12);
    }

    /// Labels 0 and 1, logits 0 and ln 3: `p^ = (1/4, 3/4)`.
    #[test]
    fn loss_by_hand() {
        let labels = LabelSet::new(0.0, 1.0, 1.0).unwrap();
        let method = Method::dldl_v2(2.0, Scaling::PerSample).unwrap();
        let target = Target { distribution: Some(vec![1.0, 0.0]), expectation: Some(0.25) };
        let loss = method.loss(&labels, &target, &[0.0, 3.0_f64.ln()]).unwrap();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} is not {b}");
        close(loss.terms[0], 4.0_f64.ln());
        close(loss.terms[1], 0.5);
        close(loss.total, 4.0_f64.ln() + 1.0);
        // p^ - p is (-3/4, 3/4); p^ (l - y^) is (-3/16, 3/16), twice.
        close(loss.gradient[0], -1.125);
        close(loss.gradient[1], 1.125);
        // At the kink only the divergence pulls.
        let target = Target { expectation: Some(0.5), ..target };
        let loss = method.loss(&labels, &target, &[0.0, 0.0]).unwrap();
        assert_eq!(loss.gradient, [-0.5, 0.5]);
    }

    #[test]
    fn wrong_lengths_are_named() {
        let ages = LabelSet::age();
        let target = Target { distribution: Some(vec![1.0]), expectation: None };
        let error = Method::Dldl.loss(&ages, &target, &[0.0; 101]).unwrap_err();
        assert_eq!(error.to_string(), "target distribution: expected 101 values, got 1");
        assert!(Method::Dldl.loss(&ages, &target, &[0.0; 7]).is_err());
        assert!(Method::Dldl.decode(&ages, &[0.0; 7]).is_err());
        let uniform = Method::Dldl.decode(&ages, &[0.0; 101]).unwrap();
        assert!((uniform.expectation() - 50.0).abs() < 1e-12);
    }

    #[test]
    fn ranking_by_hand() {
        let labels = LabelSet::new(1.0, 4.0, 1.0).unwrap();
        // Strictly above: a value on a label does not exceed it.
        assert_eq!(ranking_code(&labels, 3.0), [1.0, 1.0, 0.0]);
        assert_eq!(ranking_code(&labels, 3.1), [1.0, 1.0, 1.0]);
        let d = Distribution::from_probabilities(&labels, &[0.25, 0.25, 0.5, 0.0]).unwrap();
        assert_eq!(ranking_target(&d), [0.75, 0.5, 0.0]);
    }
}
