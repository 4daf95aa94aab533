//! The methods: how a label is encoded as a target, which loss is minimized, and how
//! a network's outputs are decoded to a distribution and an estimate.
//!
//! A new method that combines existing parts needs a variant of [`Method`] and a line
//! in each of its tables here, and its name in `names`. The loss terms are in `loss`,
//! the relation of Ranking to label distributions in `ranking`.

mod loss;
mod names;
mod ranking;

use serde::{Deserialize, Serialize};

use crate::{Distribution, Label, LabelError, LabelSet};
pub use loss::{Loss, LossKind, LossTerm, Penalty};
pub use ranking::{ranking_code, ranking_target};

/// A method of learning a label: those of spec 1.8 and others from later papers.
///
/// Serialized as its name and its parameters: `{"name": "dldl"}`, `{"name":
/// "dldl-v2", "lambda": 1.0, "scaling": "per-sample", "penalty": "l1"}`. Parameters
/// are optional and checked on deserialization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", try_from = "names::Unchecked")]
pub enum Method {
    /// Metric regression: one output, mapped to the range of the labels by tanh, with
    /// the absolute error as loss.
    MrL1,
    /// Metric regression with the squared error as loss.
    MrL2,
    /// Deep expectation, DEX (Rothe, Timofte, Van Gool, IJCV 2018): classification
    /// with cross-entropy; the estimate is the expectation. The authors of DLDL-v2
    /// passed a softmax to Torch's `ClassNLL` and so minimized `-p_y`; this is the
    /// true cross-entropy.
    Dex,
    /// Ranking (Chen et al., CVPR 2017): one binary classifier per label, "is the
    /// value above it", with binary cross-entropy.
    RankingBce,
    /// Ranking with squared errors.
    RankingL2,
    /// Ranking with one minus the cumulative label distribution as target instead of
    /// hard 0/1 answers (spec 1.7).
    SoftRanking,
    /// Expectation regression: the absolute error of the softmax's expectation.
    ErL1,
    /// Expectation regression with the squared error.
    ErL2,
    /// Deep label distribution learning, DLDL (Gao et al., TIP 2017): the
    /// Kullback-Leibler divergence between the label distribution and the network's.
    Dldl,
    /// DLDL-v2: the divergence plus `lambda` times an error of the expectation (spec
    /// 1.5).
    DldlV2 {
        /// Weight of the expectation's error; finite, at least 0.
        lambda: f64,
        /// How the divergence is scaled relative to the error.
        scaling: Scaling,
        /// The error of the expectation; [`Penalty::L1`] in the paper.
        #[serde(skip_serializing_if = "Penalty::is_l1")]
        penalty: Penalty,
    },
    /// Mean-variance loss (Pan et al., CVPR 2018): cross-entropy, plus `mean`
    /// times half the squared error of the expectation, plus `variance` times the
    /// variance.
    MeanVariance {
        /// Weight of the expectation's error; 0.2 in the paper.
        mean: f64,
        /// Weight of the variance; 0.05 in the paper.
        variance: f64,
    },
    /// Ordinal regression with multiple outputs, OR-CNN (Niu et al., CVPR 2016): a
    /// softmax over no and yes for every label, all equally weighted.
    OrCnn,
    /// Consistent rank logits, CORAL (Cao, Mirjalili, Raschka, PRL 2020): Ranking
    /// whose outputs differ only in their biases, all equally weighted.
    Coral,
    /// Soft ordinal labels, SORD (Diaz, Marathe, CVPR 2019): cross-entropy with the
    /// softmax of `-alpha (l_k - y)^2`, in units of the label: a Gaussian of standard
    /// deviation `sqrt(1 / (2 alpha))`, 0.71 for an alpha of 1. Spec 7.1 has the
    /// softmax of `-|l_k - y|`, which is another parametrization.
    Sord {
        /// Decay of the soft label; above 0, 1 in the paper.
        alpha: f64,
    },
    /// The continuous ranked probability score (Gneiting, Raftery, JASA 2007) of the
    /// softmax: the sum of the squared errors of the cumulative distribution. The
    /// estimate is the median. `docs/ranking.md` has its relation to Ranking.
    Crps,
    /// Unimodal-concentrated loss (Li et al., CVPR 2022, arXiv 2204.00309): the
    /// negative log-likelihood of a Gaussian with the mean and variance of the softmax,
    /// plus `unimodal` times the violations of a single peak at the label. Its
    /// distributions have a spread of their own for every sample, without a sigma.
    UnimodalConcentrated {
        /// Weight of the violations; 1000 in the paper.
        unimodal: f64,
    },
}

/// How the divergence is scaled in a batch (spec 1.5), which changes the meaning of
/// `lambda`: `lambda` per element corresponds to `K * lambda` per sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// As in the paper: the mean of the divergence over the batch.
    #[default]
    PerSample,
    /// As in the authors' code: that mean divided by the number of labels K.
    PerElement,
}

/// The meaning of a network's outputs `x`, for K labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One output: `tanh(x)`, with `[-1, 1]` mapped to the range of the labels.
    Value,
    /// K outputs: `softmax(x)` is the distribution.
    Labels,
    /// K - 1 outputs: `sigmoid(x_k)` is the probability of a value above label k.
    Ranks,
    /// 2 (K - 1) outputs: `softmax(x_2k, x_2k+1)` are the probabilities of a value up
    /// to label k and above it.
    RankPairs,
}

/// How a point estimate is read from a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readout {
    /// The expectation.
    Expectation,
    /// The label whose index is the number of labels that the value exceeds with
    /// probability of at least one half, as Ranking counts its answers: a median
    /// among the labels.
    Count,
    /// The median, interpolated between labels ([`Distribution::quantile`]).
    Median,
}

/// What the loss compares a network's outputs with, for one sample. A method sets
/// the fields that its loss terms need, or only `range`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// One probability per label.
    pub distribution: Option<Vec<f64>>,
    /// The mean of the label, unrounded, in its units.
    pub expectation: Option<f64>,
    /// For every label but the last, the probability of a value above it.
    pub ranks: Option<Vec<f64>>,
    /// The ends of a range that contains the label, both included, infinite where the
    /// range is open. Loss terms then penalize only what contradicts the range
    /// ([`LossKind`]).
    pub range: Option<[f64; 2]>,
}

/// One half, minus the rounding error of cumulative probabilities.
const HALF: f64 = 0.5 - 1e-12;

impl Method {
    /// The meaning of the network's outputs.
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
            | Method::Sord { .. }
            | Method::Crps
            | Method::UnimodalConcentrated { .. } => Layout::Labels,
        }
    }

    /// How estimates are read from its distributions.
    pub fn readout(&self) -> Readout {
        match self {
            Method::RankingBce | Method::RankingL2 | Method::OrCnn | Method::Coral => {
                Readout::Count
            }
            Method::Crps => Readout::Median,
            _ => Readout::Expectation,
        }
    }

    /// Whether all outputs share their weights and differ only in their biases, so
    /// that ranks are always consistent (CORAL).
    pub fn shares_weights(&self) -> bool {
        *self == Method::Coral
    }

    /// Initial biases of the last layer; `None` for zeros.
    ///
    /// Outputs that [share their weights](Self::shares_weights) are distinguished by
    /// their biases only. They start with all labels equally likely,
    /// `logit((K - 1 - k) / K)`: starting from 0 would cost thousands of steps.
    pub fn initial_biases(&self, labels: &LabelSet) -> Option<Vec<f64>> {
        let count = labels.len() as f64;
        let bias = |k: usize| ((count - 1.0 - k as f64) / (k as f64 + 1.0)).ln();
        self.shares_weights().then(|| (0..labels.len() - 1).map(bias).collect())
    }

    /// Number of outputs of the network's last layer.
    pub fn head_size(&self, labels: &LabelSet) -> usize {
        match self.layout() {
            Layout::Value => 1,
            Layout::Labels => labels.len(),
            Layout::Ranks => labels.len() - 1,
            Layout::RankPairs => 2 * (labels.len() - 1),
        }
    }

    /// The target of a sample with the given label, whose distribution is
    /// [Gaussian](Distribution::gaussian).
    ///
    /// # Errors
    /// If the label's mean is not finite, or its sigma is negative or not finite.
    pub fn encode(&self, labels: &LabelSet, label: &Label) -> Result<Target, LabelError> {
        let distribution = Distribution::gaussian(labels, label.mean, label.sigma)?;
        Ok(self.target(&distribution, label.mean))
    }

    /// The target of a sample with a given label distribution, such as a histogram of
    /// ratings, and its mean. `mean` is that of the untruncated distribution, which
    /// may extend beyond the range of the labels. Methods that do not learn
    /// distributions use only the mean.
    pub fn target(&self, distribution: &Distribution, mean: f64) -> Target {
        let labels = distribution.labels();
        let whole = || Some(distribution.probabilities().to_vec());
        let nearest = || {
            let mut one_hot = vec![0.0; labels.len()];
            one_hot[labels.nearest(mean)] = 1.0;
            Some(one_hot)
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
            Method::Dldl => Target { distribution: whole(), ..Target::default() },
            Method::DldlV2 { .. } => {
                Target { distribution: whole(), expectation, ..Target::default() }
            }
            Method::Sord { alpha } => {
                let soft = Distribution::gaussian(labels, mean, (0.5 / alpha).sqrt())
                    .expect("alpha is checked and the mean finite");
                let distribution = Some(soft.probabilities().to_vec());
                Target { distribution, ..Target::default() }
            }
            Method::RankingBce
            | Method::RankingL2
            | Method::OrCnn
            | Method::Coral
            | Method::Crps => {
                Target { ranks: Some(ranking_code(labels, mean)), ..Target::default() }
            }
            Method::UnimodalConcentrated { .. } => Target { expectation, ..Target::default() },
            Method::SoftRanking => {
                Target { ranks: Some(ranking_target(distribution)), ..Target::default() }
            }
        }
    }

    /// The target of a sample of which only a range is known, from `low` to `high`, both
    /// included and infinite where the range is open: a censored observation. The same for
    /// all methods.
    ///
    /// # Errors
    /// If an end is NaN or `low` is above `high`.
    pub fn target_of_range(low: f64, high: f64) -> Result<Target, LabelError> {
        match low <= high {
            true => Ok(Target { range: Some([low, high]), ..Target::default() }),
            false => Err(LabelError::Range { low, high }),
        }
    }

    /// The target of a sample that is learned from a distribution as a whole, such as that
    /// of a teacher: every method's loss compares with all of it, also those that otherwise
    /// learn a single value. The same for all methods.
    pub fn target_of_distribution(distribution: &Distribution) -> Target {
        Target {
            distribution: Some(distribution.probabilities().to_vec()),
            expectation: Some(distribution.expectation()),
            ranks: Some(ranking_target(distribution)),
            range: None,
        }
    }

    /// The terms of the loss. A single term has weight 1 (the authors' code has 1/K
    /// for DLDL, a constant factor to which Adam is invariant).
    pub fn loss_terms(&self, labels: &LabelSet) -> Vec<LossTerm> {
        let term = |kind, weight| LossTerm { kind, weight };
        let single = |kind| vec![term(kind, 1.0)];
        match *self {
            Method::MrL1 => single(LossKind::Value(Penalty::L1)),
            Method::MrL2 => single(LossKind::Value(Penalty::L2)),
            Method::ErL1 => single(LossKind::Expectation(Penalty::L1)),
            Method::ErL2 => single(LossKind::Expectation(Penalty::L2)),
            Method::Dex | Method::Dldl | Method::Sord { .. } => single(LossKind::KullbackLeibler),
            Method::RankingBce | Method::SoftRanking | Method::Coral => {
                single(LossKind::RankCrossEntropy)
            }
            Method::RankingL2 => single(LossKind::RankSquares),
            Method::OrCnn => single(LossKind::RankPairCrossEntropy),
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
            Method::Crps => single(LossKind::RankedProbability),
            Method::UnimodalConcentrated { unimodal } => {
                vec![term(LossKind::Concentrated, 1.0), term(LossKind::Unimodal, unimodal)]
            }
        }
    }

    /// The distribution that a network's outputs for one image represent. A regressed
    /// value is shared by the two labels around it; inconsistent ranks are sorted (see
    /// [`Distribution::from_exceedances`]).
    ///
    /// # Errors
    /// If there are not [`head_size`](Self::head_size) logits, or one is NaN or
    /// infinite.
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
                let exceedances: Vec<f64> = logits.iter().map(|&x| loss::sigmoid(x)).collect();
                Distribution::from_exceedances(labels, &exceedances)
            }
            Layout::RankPairs => {
                let exceedances =
                    logits.chunks_exact(2).map(|pair| loss::sigmoid(pair[1] - pair[0]));
                Distribution::from_exceedances(labels, &exceedances.collect::<Vec<_>>())
            }
        }
    }

    /// The point estimate, in units of the label, from a distribution that this method
    /// [decoded](Self::decode) or an average of such distributions.
    pub fn estimate(&self, distribution: &Distribution) -> f64 {
        match self.readout() {
            Readout::Expectation => distribution.expectation(),
            Readout::Median => distribution.quantile(0.5),
            Readout::Count => {
                let exceedances = ranking_target(distribution);
                distribution.labels().value(exceedances.iter().filter(|&&p| p >= HALF).count())
            }
        }
    }

    /// The point estimate from the distributions of several views of one face, such as a
    /// crop and its mirror image (flip fusion, spec 4). Methods that count how many ranks
    /// are exceeded answer with the mean of the views' counts, as the authors do; the
    /// count of an averaged distribution would be a whole label again. All others read
    /// the estimate from the [average](Distribution::average) of the distributions.
    ///
    /// # Errors
    /// As [`Distribution::average`].
    pub fn fused_estimate(&self, views: &[Distribution]) -> Result<f64, LabelError> {
        let average = match views {
            [one] => return Ok(self.estimate(one)),
            _ => Distribution::average(views)?,
        };
        Ok(match self.readout() {
            Readout::Count => {
                views.iter().map(|view| self.estimate(view)).sum::<f64>() / views.len() as f64
            }
            Readout::Expectation | Readout::Median => self.estimate(&average),
        })
    }

    /// The loss of one sample and its gradient, in double precision.
    ///
    /// # Errors
    /// As [`decode`](Self::decode) for the logits, and if the target was encoded by
    /// another method and does not fit this one.
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
