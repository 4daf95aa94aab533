//! The methods: how a label becomes a target, what is minimized, and how a
//! network's outputs become a distribution and an estimate. A method is a value,
//! and to add one that is made of known parts touches this file only: a variant
//! of [`Method`] and a line in each of its tables. What the loss terms compute is
//! in `loss.rs`, what Ranking and label distributions have to do with each other
//! in `ranking.rs`, how methods are written in `names.rs`.
//!
//! Not here: networks and data, which belong to `dldl-net` and `dldl-train`.

mod loss;
mod names;
mod ranking;

use serde::{Deserialize, Serialize};

use crate::{Distribution, Label, LabelError, LabelSet};
pub use loss::{Loss, LossKind, LossTerm, Penalty};
pub use ranking::{ranking_code, ranking_target};

/// A way of learning a label (spec 1.8, and three that came from others).
///
/// Serialized with its name as a tag and its numbers beside it, all of them
/// optional: `{"name": "dldl"}`, `{"name": "dldl-v2", "lambda": 1.0, "scaling":
/// "per-sample", "penalty": "l1"}`. Deserializing checks the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", try_from = "names::Unchecked")]
pub enum Method {
    /// Metric regression: one output, through tanh onto the range of the labels,
    /// by its absolute error.
    MrL1,
    /// Metric regression by its squared error.
    MrL2,
    /// Deep expectation (Rothe, Timofte, Van Gool, IJCV 2018): classification by
    /// cross-entropy, read as an expectation. The authors of DLDL-v2 gave a
    /// softmax to Torch's `ClassNLL` and so minimized `-p_y`; this is the true
    /// cross-entropy.
    Dex,
    /// Ranking (Chen et al., CVPR 2017): is it more than this label, for every
    /// label, by binary cross-entropy.
    RankingBce,
    /// Ranking by squared errors.
    RankingL2,
    /// Ranking towards one minus the cumulative label distribution instead of
    /// hard answers (spec 1.7).
    SoftRanking,
    /// Expectation regression: the absolute error of a softmax's expectation.
    ErL1,
    /// Expectation regression by the squared error.
    ErL2,
    /// Deep label distribution learning (Gao et al., TIP 2017): the
    /// Kullback-Leibler divergence of the network's distribution from the label
    /// distribution.
    Dldl,
    /// DLDL-v2: the same plus `lambda` times an error of the expectation (spec
    /// 1.5).
    DldlV2 {
        /// Weight of the expectation's error; finite, at least 0.
        lambda: f64,
        /// Against which form of the divergence `lambda` weighs.
        scaling: Scaling,
        /// Which error; the paper's is [`Penalty::L1`].
        #[serde(skip_serializing_if = "Penalty::is_l1")]
        penalty: Penalty,
    },
    /// Mean-variance loss (Pan et al., CVPR 2018): cross-entropy, plus `mean`
    /// times half the squared error of the expectation, plus `variance` times the
    /// variance.
    MeanVariance {
        /// Weight of the expectation's error; the authors' is 0.2.
        mean: f64,
        /// Weight of the variance; the authors' is 0.05.
        variance: f64,
    },
    /// Ordinal regression by multiple outputs (Niu et al., CVPR 2016): a softmax
    /// over no and yes for every label, all tasks alike important.
    OrCnn,
    /// Consistent rank logits (Cao, Mirjalili, Raschka, PRL 2020): Ranking whose
    /// outputs differ in their biases alone, all tasks alike important.
    Coral,
    /// Soft ordinal labels (Diaz, Marathe, CVPR 2019): cross-entropy with the
    /// softmax of minus `alpha` times the squared distance in labels' units.
    Sord {
        /// How fast the soft label falls off; above 0, the authors' is 1.
        alpha: f64,
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

/// What a network's outputs `x` are to a method, with K labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One: `tanh(x)` in `[-1, 1]` stands for the range of the labels.
    Value,
    /// K: `softmax(x)` is the distribution.
    Labels,
    /// K - 1: `sigmoid(x_k)` is the probability of more than label k.
    Ranks,
    /// 2 (K - 1): `softmax(x_2k, x_2k+1)` are the probabilities of at most and of
    /// more than label k.
    RankPairs,
}

/// How a distribution becomes one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// Its expectation.
    Expectation,
    /// The first label that it does not exceed with a probability of a half:
    /// Ranking's counting of answers, a median on the labels.
    Count,
}

/// What the loss terms compare a network's outputs with, for one sample. Each
/// method fills what its terms need.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// One probability per label.
    pub distribution: Option<Vec<f64>>,
    /// The mean label, unrounded, in units of the label.
    pub expectation: Option<f64>,
    /// For every label but the last, the probability of more than it.
    pub ranks: Option<Vec<f64>>,
}

/// Half of an answer, up to the rounding of sums of probabilities.
const HALF: f64 = 0.5 - 1e-12;

impl Method {
    /// What the outputs are.
    pub fn layout(&self) -> Layout {
        match self {
            Method::MrL1 | Method::MrL2 => Layout::Value,
            Method::RankingBce | Method::RankingL2 | Method::SoftRanking | Method::Coral => {
                Layout::Ranks
            }
            Method::OrCnn => Layout::RankPairs,
            Method::Dex
            | Method::ErL1
            | Method::ErL2
            | Method::Dldl
            | Method::DldlV2 { .. }
            | Method::MeanVariance { .. }
            | Method::Sord { .. } => Layout::Labels,
        }
    }

    /// How its distributions are read.
    pub fn readout(&self) -> Readout {
        match self {
            Method::RankingBce | Method::RankingL2 | Method::OrCnn | Method::Coral => {
                Readout::Count
            }
            _ => Readout::Expectation,
        }
    }

    /// Whether all outputs have the same weights and differ in their biases
    /// alone, so that no rank can contradict another (CORAL).
    pub fn shares_weights(&self) -> bool {
        *self == Method::Coral
    }

    /// What the biases of the last layer begin with; none where that is nothing
    /// but 0. Outputs that [share their weights](Self::shares_weights) are told
    /// apart by their biases, so these begin with all labels equally likely,
    /// `logit((K - 1 - k) / K)`: from 0, they would take thousands of steps.
    pub fn initial_biases(&self, labels: &LabelSet) -> Option<Vec<f64>> {
        let count = labels.len() as f64;
        let bias = |k: usize| ((count - 1.0 - k as f64) / (k as f64 + 1.0)).ln();
        self.shares_weights().then(|| (0..labels.len() - 1).map(bias).collect())
    }

    /// How many outputs the network's last layer has.
    pub fn head_size(&self, labels: &LabelSet) -> usize {
        match self.layout() {
            Layout::Value => 1,
            Layout::Labels => labels.len(),
            Layout::Ranks => labels.len() - 1,
            Layout::RankPairs => 2 * (labels.len() - 1),
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
    /// its raters' histogram for instance, and whose mean is `mean`: that of the
    /// whole distribution, of which the labels' range may cut something off.
    /// Methods without distributions learn the mean alone.
    pub fn target(&self, distribution: &Distribution, mean: f64) -> Target {
        let labels = distribution.labels();
        let given = || Some(distribution.probabilities().to_vec());
        let nearest = || {
            let mut one = vec![0.0; labels.len()];
            one[labels.nearest(mean)] = 1.0;
            Some(one)
        };
        let expectation = Some(mean);
        match *self {
            Method::MrL1 | Method::MrL2 | Method::ErL1 | Method::ErL2 => {
                Target { expectation, ..Target::default() }
            }
            Method::Dex => Target { distribution: nearest(), ..Target::default() },
            Method::MeanVariance { .. } => {
                Target { distribution: nearest(), expectation, ..Target::default() }
            }
            Method::Dldl => Target { distribution: given(), ..Target::default() },
            Method::DldlV2 { .. } => {
                Target { distribution: given(), expectation, ..Target::default() }
            }
            Method::Sord { alpha } => {
                let soft = Distribution::gaussian(labels, mean, (0.5 / alpha).sqrt())
                    .expect("a checked alpha and a finite mean");
                let distribution = Some(soft.probabilities().to_vec());
                Target { distribution, ..Target::default() }
            }
            Method::RankingBce | Method::RankingL2 | Method::OrCnn | Method::Coral => {
                Target { ranks: Some(ranking_code(labels, mean)), ..Target::default() }
            }
            Method::SoftRanking => {
                Target { ranks: Some(ranking_target(distribution)), ..Target::default() }
            }
        }
    }

    /// What the method minimizes. A single term has weight 1 (the authors' code
    /// has 1/K for DLDL, a constant that Adam divides out again).
    pub fn loss_terms(&self, labels: &LabelSet) -> Vec<LossTerm> {
        let term = |kind, weight| LossTerm { kind, weight };
        let one = |kind| vec![term(kind, 1.0)];
        match *self {
            Method::MrL1 => one(LossKind::Value(Penalty::L1)),
            Method::MrL2 => one(LossKind::Value(Penalty::L2)),
            Method::ErL1 => one(LossKind::Expectation(Penalty::L1)),
            Method::ErL2 => one(LossKind::Expectation(Penalty::L2)),
            Method::Dex | Method::Dldl | Method::Sord { .. } => one(LossKind::KullbackLeibler),
            Method::RankingBce | Method::SoftRanking | Method::Coral => {
                one(LossKind::RankCrossEntropy)
            }
            Method::RankingL2 => one(LossKind::RankSquares),
            Method::OrCnn => one(LossKind::RankPairCrossEntropy),
            Method::DldlV2 { lambda, scaling, penalty } => {
                let weight = match scaling {
                    Scaling::PerSample => 1.0,
                    Scaling::PerElement => 1.0 / labels.len() as f64,
                };
                vec![
                    term(LossKind::KullbackLeibler, weight),
                    term(LossKind::Expectation(penalty), lambda),
                ]
            }
            Method::MeanVariance { mean, variance } => vec![
                term(LossKind::KullbackLeibler, 1.0),
                term(LossKind::Expectation(Penalty::L2), 0.5 * mean),
                term(LossKind::Variance, variance),
            ],
        }
    }

    /// The distribution that a network's outputs for one picture stand for: a
    /// regression's is all at one value, on the two labels around it; ranks that
    /// contradict each other are put in order (see
    /// [`Distribution::from_exceedances`]).
    ///
    /// # Errors
    /// When there are not [`head_size`](Self::head_size) logits, or one is NaN
    /// or infinite.
    pub fn decode(&self, labels: &LabelSet, logits: &[f32]) -> Result<Distribution, LabelError> {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        loss::check_logits(self.head_size(labels), &logits)?;
        match self.layout() {
            Layout::Labels => Distribution::softmax(labels, &logits),
            Layout::Value => {
                let share = 0.5 * (1.0 + logits[0].tanh());
                let value = labels.min() + share * (labels.max() - labels.min());
                Distribution::gaussian(labels, value, 0.0)
            }
            Layout::Ranks => {
                let more: Vec<f64> = logits.iter().map(|&x| loss::sigmoid(x)).collect();
                Distribution::from_exceedances(labels, &more)
            }
            Layout::RankPairs => {
                let more = logits.chunks_exact(2).map(|pair| loss::sigmoid(pair[1] - pair[0]));
                Distribution::from_exceedances(labels, &more.collect::<Vec<_>>())
            }
        }
    }

    /// The one number that the method answers with, read from a distribution that
    /// it [decoded](Self::decode), or from a mean of such, in units of the label.
    pub fn estimate(&self, distribution: &Distribution) -> f64 {
        match self.readout() {
            Readout::Expectation => distribution.expectation(),
            Readout::Count => {
                let more = ranking_target(distribution);
                distribution.labels().value(more.iter().filter(|&&p| p >= HALF).count())
            }
        }
    }

    /// The loss of one sample and its gradient, in double precision.
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
        loss::check_logits(self.head_size(labels), logits)?;
        let mut loss = Loss { total: 0.0, terms: Vec::new(), gradient: vec![0.0; logits.len()] };
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

#[cfg(test)]
mod tests;
