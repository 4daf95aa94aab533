//! Probability distributions over a label set: constructors and statistics.
//! What a network learns from them is in `method`.

use crate::metrics::labels_within;
use crate::{Label, LabelError, LabelSet};

/// Largest accepted deviation of a sum of probabilities from 1. Single-precision
/// rounding over thousands of labels stays well below it; a missing softmax does
/// not.
const SUM_TOLERANCE: f64 = 1e-3;

/// A probability for every label of a set. The probabilities sum to 1 up to
/// rounding.
///
/// The moments are those of the discrete distribution. Quantiles, intervals and
/// [`cdf_at`](Self::cdf_at) spread the probability of each label evenly over a
/// bin that extends half a step to either side; the two outermost bins end at
/// the ends of the range.
///
/// ```
/// use dldl_label::{Distribution, LabelSet};
///
/// let labels = LabelSet::new(1.0, 3.0, 1.0)?;
/// let d = Distribution::from_probabilities(&labels, &[0.25, 0.5, 0.25])?;
/// assert_eq!((d.expectation(), d.variance()), (2.0, 0.5));
/// assert_eq!(d.equal_tailed_interval(0.5), (1.5, 2.5));
/// # Ok::<(), dldl_label::LabelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    labels: LabelSet,
    probabilities: Vec<f64>,
}

impl Distribution {
    /// The Gaussian label distribution (spec 1.2): `p_k` proportional to
    /// `exp(-(l_k - mean)^2 / (2 sigma^2))`, truncated at the ends of the range
    /// and renormalized. `mean` may lie between labels or outside the range.
    ///
    /// With `sigma` 0, the two labels around `mean` share the probability so that
    /// the expectation is `mean` (the nearer end for a mean outside the range);
    /// the authors' code divides 0 by 0 there. Exponents are relative to the
    /// largest one, so no `sigma` is too small and no `mean` too far away.
    ///
    /// # Errors
    /// If `mean` is not finite, or `sigma` is negative or not finite.
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
                // (l_k - y)^2 - (l_peak - y)^2 as a product avoids the
                // difference of two huge squares; at least 0 up to rounding.
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
    /// them, which preserves the mean; a value outside the range counts as the
    /// nearer end.
    ///
    /// # Errors
    /// If a value is not finite, a count is negative or not finite, or the sum of
    /// the counts is zero (as for an empty histogram) or not finite.
    pub fn from_histogram(labels: &LabelSet, histogram: &[(f64, f64)]) -> Result<Self, LabelError> {
        let mut weights = vec![0.0; labels.len()];
        for (index, &(value, count)) in histogram.iter().enumerate() {
            if !value.is_finite() {
                return Err(LabelError::Value {
                    what: "histogram values",
                    index,
                    value,
                    expected: "a finite number",
                });
            }
            if !(count.is_finite() && count >= 0.0) {
                return Err(LabelError::Value {
                    what: "histogram counts",
                    index,
                    value: count,
                    expected: "a finite number of at least 0",
                });
            }
            let (k, upper) = labels.bracket(value);
            weights[k] += count * (1.0 - upper);
            weights[k + 1] += count * upper;
        }
        let sum: f64 = weights.iter().sum();
        if !(sum.is_finite() && sum > 0.0) {
            return Err(LabelError::Sum {
                what: "histogram counts",
                sum,
                expected: "a finite sum above 0",
            });
        }
        Ok(Self::normalized(labels, weights))
    }

    /// The softmax of a network's K outputs (spec 1.4), computed in double
    /// precision.
    ///
    /// # Errors
    /// If there is not one logit per label, or one is NaN or infinite.
    pub fn from_logits(labels: &LabelSet, logits: &[f32]) -> Result<Self, LabelError> {
        let logits: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        Self::softmax(labels, &logits)
    }

    /// [`from_logits`](Self::from_logits) for logits in double precision.
    pub(crate) fn softmax(labels: &LabelSet, logits: &[f64]) -> Result<Self, LabelError> {
        let log_probabilities = log_softmax(labels, logits)?;
        Ok(Self::normalized(labels, log_probabilities.iter().map(|x| x.exp()).collect()))
    }

    /// The distribution with the given exceedance probabilities `P(Y > l_k)`, one
    /// for each label but the last: the inverse of
    /// [`ranking_target`](crate::ranking_target).
    ///
    /// They need not decrease from label to label: they are sorted in descending
    /// order first. Sorting never moves them further from the true ones
    /// (Chernozhukov, Fernandez-Val, Galichon, "Improving point and interval
    /// estimators of monotone functions by rearrangement", Biometrika 2009). It
    /// preserves their sum, hence the expectation, and how many of them exceed
    /// one half.
    ///
    /// # Errors
    /// If there is not one for each label but the last, or one is not in `[0, 1]`.
    pub fn from_exceedances(labels: &LabelSet, exceedances: &[f64]) -> Result<Self, LabelError> {
        const WHAT: &str = "exceedance probabilities";
        check_length(WHAT, labels.len() - 1, exceedances.len())?;
        if let Some(index) = exceedances.iter().position(|p| !(0.0..=1.0).contains(p)) {
            let (value, expected) = (exceedances[index], "a probability from 0 to 1");
            return Err(LabelError::Value { what: WHAT, index, value, expected });
        }
        let mut descending = exceedances.to_vec();
        descending.sort_by(|a, b| b.total_cmp(a));
        let before = std::iter::once(1.0).chain(descending.iter().copied());
        let after = descending.iter().copied().chain(std::iter::once(0.0));
        Ok(Self::normalized(labels, before.zip(after).map(|(a, b)| a - b).collect()))
    }

    /// The distribution with the given probabilities. Their sum may differ from 1
    /// by up to 1e-3, as after computations in single precision; they are
    /// renormalized.
    ///
    /// # Errors
    /// If there is not one per label, one is negative or not finite, or their sum
    /// differs from 1 by more than that.
    pub fn from_probabilities(
        labels: &LabelSet,
        probabilities: &[f64],
    ) -> Result<Self, LabelError> {
        const WHAT: &str = "probabilities";
        check_length(WHAT, labels.len(), probabilities.len())?;
        if let Some(index) = probabilities.iter().position(|p| !(p.is_finite() && *p >= 0.0)) {
            let (value, expected) = (probabilities[index], "a finite number of at least 0");
            return Err(LabelError::Value { what: WHAT, index, value, expected });
        }
        let sum: f64 = probabilities.iter().sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(LabelError::Sum { what: WHAT, sum, expected: "a sum of 1" });
        }
        Ok(Self::normalized(labels, probabilities.to_vec()))
    }

    /// The mean of several distributions over the same labels, label by label.
    /// Its expectation is the mean of their expectations. Applied to an image and
    /// its mirror image, this is the flip fusion of spec 4.
    ///
    /// # Errors
    /// If there are no distributions, or their label sets differ.
    pub fn average(distributions: &[Distribution]) -> Result<Self, LabelError> {
        let (first, rest) = distributions
            .split_first()
            .ok_or(LabelError::Empty { what: "distributions to average" })?;
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

    /// The mixture `(1 - share) * self + share * other`.
    ///
    /// # Errors
    /// If the label sets differ, or `share` is not from 0 to 1.
    pub fn mixed(&self, other: &Self, share: f64) -> Result<Self, LabelError> {
        if other.labels != self.labels {
            return Err(LabelError::DifferentLabels);
        }
        if !(0.0..=1.0).contains(&share) {
            let expected = "a number from 0 to 1";
            return Err(LabelError::Parameter { name: "share", value: share, expected });
        }
        let pairs = self.probabilities.iter().zip(&other.probabilities);
        let mixed = pairs.map(|(p, q)| (1.0 - share) * p + share * q).collect();
        Ok(Self::normalized(&self.labels, mixed))
    }

    /// The distribution given that the value is in a range, both ends included and infinite
    /// where the range is open. If it has next to no probability there (below 1e-9), all of
    /// it moves to the label in the range that is nearest to the expectation.
    ///
    /// # Errors
    /// If an end is NaN or `low` is above `high`.
    pub fn restricted(&self, low: f64, high: f64) -> Result<Self, LabelError> {
        if low.is_nan() || high.is_nan() || low > high {
            return Err(LabelError::Range { low, high });
        }
        let inside = labels_within(&self.labels, low, high);
        let mut weights = vec![0.0; self.probabilities.len()];
        weights[inside.clone()].copy_from_slice(&self.probabilities[inside.clone()]);
        if weights.iter().sum::<f64>() < 1e-9 {
            let nearest = self.labels.nearest(self.expectation());
            weights.fill(0.0);
            weights[nearest.clamp(inside.start, inside.end - 1)] = 1.0;
        }
        Ok(Self::normalized(&self.labels, weights))
    }

    /// Divides non-negative weights, at least one of them positive, by their sum.
    pub(crate) fn normalized(labels: &LabelSet, mut weights: Vec<f64>) -> Self {
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

    /// The expectation `sum_k p_k l_k` (spec 1.4), in units of the label: the
    /// estimate of DLDL-v2.
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

    /// The most probable label; the smallest of several.
    pub fn mode(&self) -> f64 {
        let mut best = 0;
        for (k, &p) in self.probabilities.iter().enumerate() {
            if p > self.probabilities[best] {
                best = k;
            }
        }
        self.labels.value(best)
    }

    /// The entropy `-sum_k p_k ln p_k` in nats: 0 if a single label has all the
    /// probability, `ln K` for the uniform distribution.
    pub fn entropy(&self) -> f64 {
        // `0.0 -` instead of a minus sign avoids negative zero.
        0.0 - self.probabilities.iter().filter(|&&p| p > 0.0).map(|p| p * p.ln()).sum::<f64>()
    }

    /// The cumulative distribution at the labels, `c_k = p_0 + ... + p_k` (spec
    /// 1.7): non-decreasing, the last one exactly 1.
    pub fn cdf(&self) -> Vec<f64> {
        let mut sum = 0.0;
        let mut cdf: Vec<f64> = self
            .probabilities
            .iter()
            .map(|p| {
                sum += p;
                // Rounding must not push a probability above 1.
                f64::min(sum, 1.0)
            })
            .collect();
        *cdf.last_mut().expect("a label set is not empty") = 1.0;
        cdf
    }

    /// The probability of a value of at most `y`, with each label's probability
    /// spread evenly over its bin: piecewise linear, 0 below the range and 1 above
    /// it. NaN for NaN.
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

    /// The probability that the label is at least `threshold`: the mass of the labels that
    /// are not below it. With whole years as labels, `at_least(18.0)` is P(age >= 18), the
    /// mass of 18 and up, since someone of 18 years and some months is 18. A label within
    /// 1e-6 steps of the threshold counts as equal to it. NaN for NaN.
    pub fn at_least(&self, threshold: f64) -> f64 {
        if threshold.is_nan() {
            return threshold;
        }
        let least = threshold - 1e-6 * self.labels.step();
        let reached = self.pairs().filter(|(label, _)| *label >= least);
        // Rounding must not push a probability above 1.
        reached.map(|(_, p)| p).sum::<f64>().min(1.0)
    }

    /// The smallest value `y` with `cdf_at(y) >= q`: the median for 0.5. For `q`
    /// 0 and 1, the outer ends of the bins with non-zero probability. Always
    /// inside the range of the labels.
    ///
    /// # Panics
    /// If `q` is not in `[0, 1]`.
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
        // Reached only if rounding leaves the sum just below a q next to 1.
        last
    }

    /// The interval with probability `level` that leaves equal probability below
    /// and above it: `(low, high)`, the quantiles `(1 - level) / 2` and
    /// `(1 + level) / 2`.
    ///
    /// This is the distribution's own belief. For an interval that covers true
    /// values at a known rate, see
    /// [`conformal_interval`](Self::conformal_interval).
    ///
    /// # Panics
    /// If `level` is not in `[0, 1]`.
    pub fn equal_tailed_interval(&self, level: f64) -> (f64, f64) {
        assert!((0.0..=1.0).contains(&level), "level {level} is not in [0, 1]");
        (self.quantile(0.5 * (1.0 - level)), self.quantile(0.5 * (1.0 + level)))
    }

    /// The ends of a label's bin.
    fn bin(&self, k: usize) -> (f64, f64) {
        self.labels.bin(k)
    }

    /// Labels and their probabilities.
    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.probabilities.iter().enumerate().map(|(k, &p)| (self.labels.value(k), p))
    }
}

/// The logarithm of the softmax, without overflow; `logits` has one entry per
/// label.
pub(crate) fn log_softmax(labels: &LabelSet, logits: &[f64]) -> Result<Vec<f64>, LabelError> {
    const WHAT: &str = "logits";
    check_length(WHAT, labels.len(), logits.len())?;
    if let Some(index) = logits.iter().position(|x| !x.is_finite()) {
        let (value, expected) = (logits[index], "a finite number");
        return Err(LabelError::Value { what: WHAT, index, value, expected });
    }
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = logits.iter().map(|x| (x - max).exp()).sum::<f64>().ln();
    Ok(logits.iter().map(|x| x - max - log_sum).collect())
}

/// Checks the length of a slice.
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
    fn statistics_match_hand_computed_values() {
        let d = three([0.25, 0.5, 0.25]);
        assert_eq!((d.expectation(), d.variance(), d.mode()), (2.0, 0.5, 2.0));
        assert_eq!(d.std(), 0.5_f64.sqrt());
        assert_eq!(d.entropy(), 1.5 * 2.0_f64.ln());
        assert_eq!(d.cdf(), [0.25, 0.75, 1.0]);
        let tails = [0.0, 1.0, 1.2, 2.0, 2.0000001, 2.1, 3.0, 3.1].map(|y| d.at_least(y));
        assert_eq!(tails, [1.0, 1.0, 0.75, 0.75, 0.75, 0.25, 0.25, 0.0]);
        // Bins 1..1.5, 1.5..2.5 and 2.5..3.
        assert_eq!(d.quantile(0.125), 1.25);
        assert_eq!(d.quantile(0.5), 2.0);
        assert_eq!(d.equal_tailed_interval(0.5), (1.5, 2.5));
        assert_eq!(d.equal_tailed_interval(0.0), (2.0, 2.0));
        assert_eq!(d.equal_tailed_interval(1.0), (1.0, 3.0));
        assert_eq!((d.cdf_at(1.25), d.cdf_at(2.0)), (0.125, 0.5));
        assert!(d.cdf_at(f64::NAN).is_nan());
    }

    #[test]
    fn distribution_at_one_label() {
        let d = three([0.0, 1.0, 0.0]);
        assert_eq!((d.std(), d.entropy()), (0.0, 0.0));
        assert!(d.entropy().is_sign_positive());
        assert_eq!(d.equal_tailed_interval(1.0), (1.5, 2.5));
        assert_eq!(three([0.5, 0.0, 0.5]).mode(), 1.0);
        // The smallest value with half of the probability below it.
        assert_eq!(three([0.5, 0.0, 0.5]).quantile(0.5), 1.5);
    }

    #[test]
    fn sigma_zero_between_labels_preserves_the_mean() {
        let d = Distribution::gaussian(&LabelSet::age(), 31.25, 0.0).unwrap();
        assert_eq!(d.probabilities()[30..34], [0.0, 0.75, 0.25, 0.0]);
        assert_eq!(d.expectation(), 31.25);
        let d = Distribution::gaussian(&LabelSet::age(), 116.0, 0.0).unwrap();
        assert_eq!(d.probabilities()[100], 1.0);
    }

    #[test]
    fn distant_or_narrow_gaussians_do_not_underflow() {
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
        // Halfway between two labels, both get one half.
        let d = Distribution::gaussian(&ages, 31.5, 1e-200).unwrap();
        assert_eq!(d.expectation(), 31.5);
        // Also where rounding picks the neighbor that is slightly further away.
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
    fn histogram_values_between_and_outside_labels() {
        let d = Distribution::from_histogram(
            &LabelSet::new(1.0, 3.0, 1.0).unwrap(),
            &[(1.5, 2.0), (3.0, 1.0), (9.0, 1.0), (2.0, 0.0)],
        );
        assert_eq!(d.unwrap().probabilities(), [0.25, 0.25, 0.5]);
    }

    #[test]
    fn errors_name_the_invalid_input() {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        let text = |result: Result<Distribution, LabelError>| result.unwrap_err().to_string();
        for (error, expected) in [
            (
                text(Distribution::from_logits(&labels, &[0.0])),
                "wrong number of logits: expected 3, got 1",
            ),
            (
                text(Distribution::from_logits(&labels, &[0.0, f32::NAN, 0.0])),
                "invalid value NaN at index 1 of logits: expected a finite number",
            ),
            (
                text(Distribution::from_probabilities(&labels, &[0.5, -0.5, 1.0])),
                "invalid value -0.5 at index 1 of probabilities: expected a finite number of at \
                 least 0",
            ),
            (
                text(Distribution::from_probabilities(&labels, &[1.0, 1.0, 1.0])),
                "probabilities sum to 3: expected a sum of 1",
            ),
            (
                text(Distribution::from_histogram(&labels, &[])),
                "histogram counts sum to 0: expected a finite sum above 0",
            ),
            (
                text(Distribution::from_histogram(&labels, &[(f64::INFINITY, 1.0)])),
                "invalid value inf at index 0 of histogram values: expected a finite number",
            ),
            (
                text(Distribution::from_histogram(&labels, &[(2.0, 1.0), (2.0, -1.0)])),
                "invalid value -1 at index 1 of histogram counts: expected a finite number of at \
                 least 0",
            ),
            (
                text(Distribution::gaussian(&labels, 2.0, -1.0)),
                "invalid label with mean 2 and sigma -1: sigma must be finite and at least 0",
            ),
            (
                text(Distribution::average(&[])),
                "no distributions to average: expected at least one",
            ),
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
    fn quantile_outside_zero_to_one_panics() {
        three([0.2, 0.3, 0.5]).quantile(1.5);
    }

    #[test]
    fn mixtures_and_restrictions() {
        let labels = LabelSet::new(0.0, 3.0, 1.0).unwrap();
        let d = |p: &[f64]| Distribution::from_probabilities(&labels, p).unwrap();
        let (a, b) = (d(&[0.5, 0.5, 0.0, 0.0]), d(&[0.0, 0.0, 0.5, 0.5]));
        assert_eq!(a.mixed(&b, 0.25).unwrap(), d(&[0.375, 0.375, 0.125, 0.125]));
        assert!(a.mixed(&b, 1.5).is_err() && a.mixed(&b, f64::NAN).is_err());
        let other = Distribution::gaussian(&LabelSet::age(), 3.0, 1.0).unwrap();
        assert_eq!(a.mixed(&other, 0.5), Err(LabelError::DifferentLabels));
        assert_eq!(a.restricted(1.0, 2.0).unwrap(), d(&[0.0, 1.0, 0.0, 0.0]));
        assert_eq!(a.restricted(2.0, f64::INFINITY).unwrap(), d(&[0.0, 0.0, 1.0, 0.0]));
        assert_eq!(b.restricted(f64::NEG_INFINITY, 1.0).unwrap(), d(&[0.0, 1.0, 0.0, 0.0]));
        assert!(a.restricted(2.0, 1.0).is_err() && a.restricted(f64::NAN, 1.0).is_err());
    }
}
