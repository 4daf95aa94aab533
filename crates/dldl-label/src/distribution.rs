//! Probability distributions over a label set: how they are made and what can
//! be read from them.
//!
//! Not here: what a network learns from them (`method.rs`).

use crate::{Label, LabelError, LabelSet};

/// How far from 1 the sum of given probabilities may lie: single precision over
/// some thousand labels stays well below it, a forgotten softmax does not.
const SUM_TOLERANCE: f64 = 1e-3;

/// A probability for every label of a set; they sum to 1 (to rounding).
///
/// As a distribution over the real line, where quantiles need one, the mass of
/// a label is spread evenly over the bin of half a step on either side of it
/// (the two outermost bins end at the range's ends).
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    labels: LabelSet,
    probabilities: Vec<f64>,
}

impl Distribution {
    /// The Gaussian label distribution (spec 1.2): `p_k` proportional to
    /// `exp(-(l_k - mean)^2 / (2 sigma^2))`, truncated at the ends of the range
    /// and renormalized. `mean` is real-valued and may lie between labels or
    /// outside the range.
    ///
    /// With `sigma` 0 the mass goes to the two labels around `mean` so that the
    /// expectation is `mean` (the nearer end for a mean outside the range); the
    /// authors' code divides 0 by 0 there. However small a positive `sigma` is,
    /// or however far outside the mean, nothing underflows to 0/0: the exponents
    /// are taken relative to the largest.
    ///
    /// # Errors
    /// When `mean` is not finite, or `sigma` is negative or not finite.
    pub fn gaussian(labels: &LabelSet, mean: f64, sigma: f64) -> Result<Self, LabelError> {
        let Label { mean, sigma } = Label::new(mean, sigma)?;
        if sigma == 0.0 {
            return Self::from_histogram(labels, &[(mean, 1.0)]);
        }
        let peak = labels.nearest(mean);
        let peak_label = labels.value(peak);
        let weights = (0..labels.len())
            .map(|k| {
                if k == peak {
                    return 1.0;
                }
                // (l_k - y)^2 - (l_peak - y)^2 as a product: no difference of
                // two huge squares, and at least 0 but for rounding.
                let label = labels.value(k);
                let excess = (label - peak_label) * (label + peak_label - 2.0 * mean);
                // Divided twice, as sigma^2 may underflow.
                if excess <= 0.0 { 1.0 } else { (-0.5 * excess / sigma / sigma).exp() }
            })
            .collect();
        Ok(Self::normalized(labels, weights))
    }

    /// The distribution of raters' answers, given as pairs of value and count
    /// (or any weight). A value between two labels is split linearly between
    /// them, which keeps the mean; a value outside the range counts at the
    /// nearer end.
    ///
    /// # Errors
    /// When a value is not finite, a count is negative or not finite, or the
    /// counts do not sum to something positive and finite (an empty histogram).
    pub fn from_histogram(labels: &LabelSet, histogram: &[(f64, f64)]) -> Result<Self, LabelError> {
        let mut weights = vec![0.0; labels.len()];
        for (index, &(value, count)) in histogram.iter().enumerate() {
            if !value.is_finite() {
                return Err(LabelError::Value { what: "histogram values", index, value });
            }
            if !(count.is_finite() && count >= 0.0) {
                return Err(LabelError::Value { what: "histogram counts", index, value: count });
            }
            let (k, upper) = labels.bracket(value);
            weights[k] += count * (1.0 - upper);
            weights[k + 1] += count * upper;
        }
        let sum: f64 = weights.iter().sum();
        if !(sum.is_finite() && sum > 0.0) {
            return Err(LabelError::Sum { what: "histogram counts", sum });
        }
        Ok(Self::normalized(labels, weights))
    }

    /// The softmax of a network's K outputs (spec 1.4), in double precision.
    ///
    /// # Errors
    /// When there is not one logit per label, or one is NaN or infinite.
    pub fn from_logits(labels: &LabelSet, logits: &[f32]) -> Result<Self, LabelError> {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        Self::softmax(labels, &logits)
    }

    /// [`from_logits`](Self::from_logits) of logits in double precision.
    pub(crate) fn softmax(labels: &LabelSet, logits: &[f64]) -> Result<Self, LabelError> {
        let log_probabilities = log_softmax(labels, logits)?;
        Ok(Self::normalized(labels, log_probabilities.iter().map(|x| x.exp()).collect()))
    }

    /// The distribution with the given probabilities of more than each label but
    /// the last: [`ranking_target`](crate::ranking_target) undone. They need not
    /// fall from label to label: they are put in descending order first, which is
    /// never further from the true ones (Chernozhukov, Fernandez-Val, Galichon,
    /// "Improving point and interval estimators of monotone functions by
    /// rearrangement", Biometrika 2009) and keeps both their sum, hence the
    /// expectation, and how many of them exceed a half.
    ///
    /// # Errors
    /// When there is not one for each label but the last, or one lies outside
    /// `[0, 1]`.
    pub fn from_exceedances(labels: &LabelSet, exceedances: &[f64]) -> Result<Self, LabelError> {
        const WHAT: &str = "probabilities of more than a label";
        check_length(WHAT, labels.len() - 1, exceedances.len())?;
        if let Some(index) = exceedances.iter().position(|p| !(0.0..=1.0).contains(p)) {
            return Err(LabelError::Value { what: WHAT, index, value: exceedances[index] });
        }
        let mut falling = exceedances.to_vec();
        falling.sort_by(|a, b| b.total_cmp(a));
        let before = std::iter::once(1.0).chain(falling.iter().copied());
        let after = falling.iter().copied().chain(std::iter::once(0.0));
        Ok(Self::normalized(labels, before.zip(after).map(|(a, b)| a - b).collect()))
    }

    /// The distribution with the given probabilities, which must sum to 1 to
    /// 1e-3 (they may come from single precision) and are renormalized.
    ///
    /// # Errors
    /// When there is not one per label, one is negative or not finite, or their
    /// sum is further from 1.
    pub fn from_probabilities(
        labels: &LabelSet,
        probabilities: &[f64],
    ) -> Result<Self, LabelError> {
        const WHAT: &str = "probabilities";
        check_length(WHAT, labels.len(), probabilities.len())?;
        if let Some(index) = probabilities.iter().position(|p| !(p.is_finite() && *p >= 0.0)) {
            return Err(LabelError::Value { what: WHAT, index, value: probabilities[index] });
        }
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(LabelError::Sum { what: WHAT, sum });
        }
        Ok(Self::normalized(labels, probabilities.to_vec()))
    }

    /// The mean of several distributions over the same labels, label by label;
    /// of the distributions of a picture and of its mirror image, the flip
    /// fusion of spec 4. Its expectation is the mean of theirs.
    ///
    /// # Errors
    /// When there is none, or the label sets differ.
    pub fn average(distributions: &[Distribution]) -> Result<Self, LabelError> {
        let (first, rest) = distributions.split_first().ok_or(LabelError::NothingToAverage)?;
        let mut sums = first.probabilities.clone();
        for other in rest {
            if other.labels != first.labels {
                return Err(LabelError::DifferentLabels);
            }
            for (sum, p) in sums.iter_mut().zip(&other.probabilities) {
                *sum += p;
            }
        }
        Ok(Self::normalized(&first.labels, sums))
    }

    /// Divides non-negative weights, of which at least one is positive, by
    /// their sum.
    fn normalized(labels: &LabelSet, mut weights: Vec<f64>) -> Self {
        debug_assert_eq!(weights.len(), labels.len());
        let sum: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= sum;
        }
        Distribution { labels: labels.clone(), probabilities: weights }
    }

    /// The label set.
    pub fn labels(&self) -> &LabelSet {
        &self.labels
    }

    /// One probability per label, in the order of the labels.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The expectation `sum_k p_k l_k` (spec 1.4): the estimate of DLDL-v2. In
    /// units of the label.
    pub fn expectation(&self) -> f64 {
        self.pairs().map(|(label, p)| p * label).sum()
    }

    /// The variance `sum_k p_k (l_k - expectation)^2`.
    pub fn variance(&self) -> f64 {
        let mean = self.expectation();
        self.pairs().map(|(label, p)| p * (label - mean).powi(2)).sum()
    }

    /// The standard deviation: the square root of the variance.
    pub fn std(&self) -> f64 {
        self.variance().sqrt()
    }

    /// The label with the greatest probability; the smallest of several.
    pub fn mode(&self) -> f64 {
        let mut best = 0;
        for (k, &p) in self.probabilities.iter().enumerate() {
            if p > self.probabilities[best] {
                best = k;
            }
        }
        self.labels.value(best)
    }

    /// The entropy `-sum_k p_k ln p_k` in nats: 0 for a certain label, `ln K`
    /// for the uniform distribution.
    pub fn entropy(&self) -> f64 {
        // `0.0 -` rather than a minus sign: no negative zero.
        0.0 - self.probabilities.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>()
    }

    /// The cumulative distribution at the labels: `c_k = p_0 + ... + p_k`
    /// (spec 1.7), not decreasing, the last one exactly 1.
    pub fn cdf(&self) -> Vec<f64> {
        let mut sum = 0.0;
        let mut cdf: Vec<f64> = self
            .probabilities
            .iter()
            .map(|p| {
                sum += p;
                // Rounding must not carry a probability above 1.
                f64::min(sum, 1.0)
            })
            .collect();
        *cdf.last_mut().expect("a label set is not empty") = 1.0;
        cdf
    }

    /// The probability of a value of at most `y`, each label's mass spread
    /// evenly over its bin: piecewise linear, 0 below the range and 1 above it. NaN
    /// for NaN.
    pub fn cdf_at(&self, y: f64) -> f64 {
        if y.is_nan() {
            return y;
        }
        let mut below = 0.0;
        for (k, p) in self.probabilities.iter().enumerate() {
            let (low, high) = self.bin(k);
            if y < high {
                return (below + p * ((y - low) / (high - low)).max(0.0)).min(1.0);
            }
            below += p;
        }
        1.0
    }

    /// The smallest value `y` with `cdf_at(y) >= q`: the median for 0.5. For
    /// `q` 0 and 1, the ends of the bins that hold any mass. Always inside the
    /// range of the labels.
    ///
    /// # Panics
    /// When `q` is not in `[0, 1]`.
    pub fn quantile(&self, q: f64) -> f64 {
        assert!((0.0..=1.0).contains(&q), "quantile {q} is not in [0, 1]");
        let mut below = 0.0;
        let mut last = self.labels.max();
        for (k, &p) in self.probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            let (low, high) = self.bin(k);
            if below + p >= q {
                return low + (high - low) * ((q - below) / p).clamp(0.0, 1.0);
            }
            below += p;
            last = high;
        }
        // Only where rounding leaves the sum just below a q next to 1.
        last
    }

    /// The central interval that holds `level` of the probability, with equal
    /// shares below and above: `(low, high)`, the quantiles `(1 - level) / 2`
    /// and `(1 + level) / 2`.
    ///
    /// # Panics
    /// When `level` is not in `[0, 1]`.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        assert!((0.0..=1.0).contains(&level), "level {level} is not in [0, 1]");
        (self.quantile(0.5 * (1.0 - level)), self.quantile(0.5 * (1.0 + level)))
    }

    /// The ends of a label's bin: half a step on either side, within the range.
    fn bin(&self, k: usize) -> (f64, f64) {
        let labels = &self.labels;
        let edge = |k: usize| 0.5 * (labels.value(k - 1) + labels.value(k));
        let low = if k == 0 { labels.min() } else { edge(k) };
        let high = if k + 1 == labels.len() { labels.max() } else { edge(k + 1) };
        (low, high)
    }

    /// Labels and their probabilities.
    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.probabilities.iter().enumerate().map(|(k, &p)| (self.labels.value(k), p))
    }
}

/// The logarithm of the softmax of one logit per label, without overflow.
pub(crate) fn log_softmax(labels: &LabelSet, logits: &[f64]) -> Result<Vec<f64>, LabelError> {
    const WHAT: &str = "logits";
    check_length(WHAT, labels.len(), logits.len())?;
    if let Some(index) = logits.iter().position(|x| !x.is_finite()) {
        return Err(LabelError::Value { what: WHAT, index, value: logits[index] });
    }
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    Ok(logits.iter().map(|x| x - max - log_sum).collect())
}

/// An error where a slice has not the expected length.
pub(crate) fn check_length(
    what: &'static str,
    expected: usize,
    actual: usize,
) -> Result<(), LabelError> {
    if expected == actual { Ok(()) } else { Err(LabelError::Length { what, expected, actual }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1, 2, 3 with the given probabilities.
    fn three(p: [f64; 3]) -> Distribution {
        Distribution::from_probabilities(&LabelSet::new(1.0, 3.0, 1.0).unwrap(), &p).unwrap()
    }

    #[test]
    fn by_hand() {
        let d = three([0.25, 0.5, 0.25]);
        assert_eq!((d.expectation(), d.variance(), d.mode()), (2.0, 0.5, 2.0));
        assert_eq!(d.std(), 0.5_f64.sqrt());
        assert_eq!(d.entropy(), 1.5 * 2.0_f64.ln());
        assert_eq!(d.cdf(), [0.25, 0.75, 1.0]);
        // Bins 1..1.5, 1.5..2.5 and 2.5..3.
        assert_eq!(d.quantile(0.125), 1.25);
        assert_eq!(d.quantile(0.5), 2.0);
        assert_eq!(d.interval(0.5), (1.5, 2.5));
        assert_eq!(d.interval(0.0), (2.0, 2.0));
        assert_eq!(d.interval(1.0), (1.0, 3.0));
        assert_eq!((d.cdf_at(1.25), d.cdf_at(2.0)), (0.125, 0.5));
        assert!(d.cdf_at(f64::NAN).is_nan());
    }

    #[test]
    fn of_a_certain_label() {
        let d = three([0.0, 1.0, 0.0]);
        assert_eq!((d.std(), d.entropy()), (0.0, 0.0));
        assert!(d.entropy().is_sign_positive());
        assert_eq!(d.interval(1.0), (1.5, 2.5));
        assert_eq!(three([0.5, 0.0, 0.5]).mode(), 1.0);
        // The smallest value with half of the mass below it.
        assert_eq!(three([0.5, 0.0, 0.5]).quantile(0.5), 1.5);
    }

    #[test]
    fn sigma_zero_off_the_grid_keeps_the_mean() {
        let d = Distribution::gaussian(&LabelSet::age(), 31.25, 0.0).unwrap();
        assert_eq!(d.probabilities()[30..34], [0.0, 0.75, 0.25, 0.0]);
        assert_eq!(d.expectation(), 31.25);
        let d = Distribution::gaussian(&LabelSet::age(), 116.0, 0.0).unwrap();
        assert_eq!(d.probabilities()[100], 1.0);
    }

    #[test]
    fn far_or_narrow_gaussians_do_not_underflow() {
        let ages = LabelSet::age();
        for (mean, sigma, label) in [
            (31.4, 1e-10, 31.0),
            (31.4, f64::MIN_POSITIVE, 31.0),
            (1e6, 2.0, 100.0),
            (-1e300, 1e-3, 0.0),
        ] {
            let d = Distribution::gaussian(&ages, mean, sigma).unwrap();
            assert!((d.expectation() - label).abs() < 1e-9, "{mean} {sigma}");
        }
        // Halfway, both neighbors share.
        let d = Distribution::gaussian(&ages, 31.5, 1e-200).unwrap();
        assert_eq!(d.expectation(), 31.5);
        // Also where rounding picks the neighbor that is a hair further away.
        let labels = LabelSet::new(1.5, 7.0, 0.1).unwrap();
        for k in 0..labels.len() - 1 {
            let middle = 0.5 * (labels.value(k) + labels.value(k + 1));
            for mean in [middle.next_down(), middle, middle.next_up()] {
                let d = Distribution::gaussian(&labels, mean, 1e-200).unwrap();
                assert!((d.expectation() - mean).abs() < 0.0501, "{mean}");
            }
        }
    }

    #[test]
    fn histogram_between_and_outside_labels() {
        let d = Distribution::from_histogram(
            &LabelSet::new(1.0, 3.0, 1.0).unwrap(),
            &[(1.5, 2.0), (3.0, 1.0), (9.0, 1.0), (2.0, 0.0)],
        );
        assert_eq!(d.unwrap().probabilities(), [0.25, 0.25, 0.5]);
    }

    #[test]
    fn wrong_input_is_named() {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        let said = |result: Result<Distribution, LabelError>| result.unwrap_err().to_string();
        for (error, expected) in [
            (said(Distribution::from_logits(&labels, &[0.0])), "logits: expected 3 values, got 1"),
            (
                said(Distribution::from_logits(&labels, &[0.0, f32::NAN, 0.0])),
                "logits: value NaN at position 1 is not allowed",
            ),
            (
                said(Distribution::from_probabilities(&labels, &[0.5, -0.5, 1.0])),
                "probabilities: value -0.5 at position 1 is not allowed",
            ),
            (
                said(Distribution::from_probabilities(&labels, &[1.0, 1.0, 1.0])),
                "probabilities: sum 3 cannot be a distribution",
            ),
            (
                said(Distribution::from_histogram(&labels, &[])),
                "histogram counts: sum 0 cannot be a distribution",
            ),
            (
                said(Distribution::from_histogram(&labels, &[(f64::INFINITY, 1.0)])),
                "histogram values: value inf at position 0 is not allowed",
            ),
            (
                said(Distribution::from_histogram(&labels, &[(2.0, 1.0), (2.0, -1.0)])),
                "histogram counts: value -1 at position 1 is not allowed",
            ),
            (
                said(Distribution::gaussian(&labels, 2.0, -1.0)),
                "label with mean 2 and sigma -1: sigma must be finite and at least 0",
            ),
            (said(Distribution::average(&[])), "no distribution to average"),
        ] {
            assert_eq!(error, expected);
        }
        let other = Distribution::gaussian(&LabelSet::age(), 2.0, 1.0).unwrap();
        let error = Distribution::average(&[three([0.2, 0.3, 0.5]), other]).unwrap_err();
        assert_eq!(error, LabelError::DifferentLabels);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        let d = Distribution::from_logits(&labels, &[f32::MIN, f32::MAX, f32::MAX]).unwrap();
        assert_eq!(d.probabilities(), [0.0, 0.5, 0.5]);
    }

    #[test]
    #[should_panic(expected = "quantile 1.5 is not in [0, 1]")]
    fn quantile_outside_panics() {
        three([0.2, 0.3, 0.5]).quantile(1.5);
    }
}
