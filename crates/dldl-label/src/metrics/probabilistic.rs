//! Scoring rules for whole distributions.

use crate::{Distribution, LabelSet};

/// Replaces a probability of 0 in the logarithm: means stay finite, yet the value is
/// conspicuously large.
const LEAST: f64 = f64::MIN_POSITIVE;

/// Negative log-likelihood of a true value, in nats: `-ln(p / (m step))`, where `p`
/// is the probability of the `m` labels from `low` to `high` ([`labels_within`]).
///
/// For a single value, `low = high`, it is the density at the nearest label (the end
/// of the range for a value outside it); with a step of 1 it equals the cross-entropy
/// of the discrete distribution. A range counts as equally likely values. If the
/// probability is 0, as for methods that predict a single value, it is about 708.
pub fn nll(distribution: &Distribution, low: f64, high: f64) -> f64 {
    let labels = distribution.labels();
    let range = labels_within(labels, low, high);
    let width = range.len() as f64 * labels.step();
    let p: f64 = distribution.probabilities()[range].iter().sum();
    -p.max(LEAST).ln() + width.ln()
}

/// Continuous ranked probability score of a discrete distribution for the true value
/// `y`, `integral of (F(x) - 1[x >= y])^2 dx`, in units of the label; lower is better.
/// It equals `E|X - y| - E|X - X'| / 2`: the absolute error for a distribution at one
/// label, and less for one that expresses its uncertainty (Gneiting, Raftery, JASA
/// 2007). A `y` outside the range counts as its nearer end.
pub fn crps(distribution: &Distribution, y: f64) -> f64 {
    let labels = distribution.labels();
    let y = y.clamp(labels.min(), labels.max());
    let cdf = distribution.cdf();
    let piece = |k: usize| {
        let (from, to) = (labels.value(k), labels.value(k + 1));
        let below = (y - from).clamp(0.0, to - from);
        cdf[k].powi(2) * below + (1.0 - cdf[k]).powi(2) * (to - from - below)
    };
    (0..labels.len() - 1).map(piece).sum()
}

/// Indices of the labels from `low` to `high` (both included); of the label nearest
/// to the midpoint if there is none.
pub fn labels_within(labels: &LabelSet, low: f64, high: f64) -> std::ops::Range<usize> {
    let (first, last) = (labels.nearest(low), labels.nearest(high));
    // Labels in steps such as 0.1 are not exact.
    let slack = 1e-6 * labels.step();
    let first = if labels.value(first) < low - slack { first + 1 } else { first };
    let end = if labels.value(last) > high + slack { last } else { last + 1 };
    if first < end {
        return first..end;
    }
    let nearest = labels.nearest(0.5 * (low + high));
    nearest..nearest + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Distribution {
        let labels = LabelSet::new(1.0, 3.0, 1.0).unwrap();
        Distribution::from_probabilities(&labels, &[0.25, 0.5, 0.25]).unwrap()
    }

    #[test]
    fn scores_match_hand_computed_values() {
        let d = three();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(nll(&d, 2.0, 2.0), 2f64.ln());
        close(nll(&d, 2.4, 2.4), 2f64.ln());
        // Values outside the range count as its end.
        close(nll(&d, 9.0, 9.0), 4f64.ln());
        // Two labels share three quarters.
        close(nll(&d, 1.0, 2.0), (8f64 / 3.0).ln());
        // On a finer grid the same probability is a higher density.
        let fine = LabelSet::new(0.1, 0.3, 0.1).unwrap();
        let fine = Distribution::from_probabilities(&fine, d.probabilities()).unwrap();
        close(nll(&fine, 0.2, 0.2), 0.2f64.ln());
        // (1/4)^2 + (1/4)^2; at 1: (3/4)^2 + (1/4)^2; halfway between labels.
        close(crps(&d, 2.0), 0.125);
        close(crps(&d, 1.0), 0.625);
        close(crps(&d, -5.0), 0.625);
        close(crps(&d, 1.5), 0.5 * 0.0625 + 0.5 * 0.5625 + 0.0625);
    }

    #[test]
    fn distribution_at_one_label() {
        let labels = LabelSet::age();
        let sure = Distribution::gaussian(&labels, 30.0, 0.0).unwrap();
        assert_eq!((crps(&sure, 37.5), crps(&sure, 30.0)), (7.5, 0.0));
        assert_eq!(nll(&sure, 30.0, 30.0), 0.0);
        assert!((nll(&sure, 31.0, 31.0) - 708.396).abs() < 1e-3);
    }

    #[test]
    fn labels_within_ranges() {
        let ages = LabelSet::age();
        assert_eq!(labels_within(&ages, 3.0, 9.0), 3..10);
        assert_eq!(labels_within(&ages, 2.6, 9.4), 3..10);
        assert_eq!(labels_within(&ages, 3.2, 3.4), 3..4);
        assert_eq!(labels_within(&ages, 70.0, 130.0), 70..101);
        assert_eq!(labels_within(&ages, 120.0, 130.0), 100..101);
        let tenths = LabelSet::attractiveness_5();
        assert_eq!(labels_within(&tenths, 1.3, 1.7), 3..8);
    }
}
