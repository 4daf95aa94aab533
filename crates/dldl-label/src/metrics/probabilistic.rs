//! How good a whole distribution is, not its estimate alone.

use crate::{Distribution, LabelSet};

/// What stands for a probability of 0 under the logarithm: no infinity comes
/// into a mean, but a figure that nobody overlooks.
const LEAST: f64 = f64::MIN_POSITIVE;

/// The negative logarithm of the density at a truth, in nats per unit of the
/// label: `-ln(p / (m step))`, where `p` is the probability of the `m` labels
/// from `low` to `high`. For one value, `low = high`, that is its nearest label
/// (the end of the range for a value outside), and with a step of 1 the
/// cross-entropy of the discrete distribution: the density is piecewise constant,
/// one step wide around each label. A range counts as equally likely values in
/// it. 708 where the probability is 0, as of a method that gives one value.
pub fn nll(distribution: &Distribution, low: f64, high: f64) -> f64 {
    let labels = distribution.labels();
    let range = labels_within(labels, low, high);
    let width = range.len() as f64 * labels.step();
    let p: f64 = distribution.probabilities()[range].iter().sum();
    -p.max(LEAST).ln() + width.ln()
}

/// The continuous ranked probability score of a distribution whose mass lies at
/// its labels, `integral of (F(x) - 1[x >= y])^2 dx`, in units of the label. It is
/// `E|X - y| - E|X - X'| / 2`: the absolute error for a distribution at one label,
/// and less for one that says how unsure it is. A `y` outside the range counts as
/// its nearer end.
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

/// The numbers of the labels from `low` to `high`, both included; of the one
/// nearest to the middle where there is none.
pub fn labels_within(labels: &LabelSet, low: f64, high: f64) -> std::ops::Range<usize> {
    let (first, last) = (labels.nearest(low), labels.nearest(high));
    // Labels are as inexact as 0.1 is.
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
    fn by_hand() {
        let d = three();
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(nll(&d, 2.0, 2.0), 2f64.ln());
        close(nll(&d, 2.4, 2.4), 2f64.ln());
        // Outside the range is its end.
        close(nll(&d, 9.0, 9.0), 4f64.ln());
        // Two labels share three quarters.
        close(nll(&d, 1.0, 2.0), (8f64 / 3.0).ln());
        // On a finer grid the same mass is a higher density.
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
    fn one_label_alone() {
        let labels = LabelSet::age();
        let sure = Distribution::gaussian(&labels, 30.0, 0.0).unwrap();
        assert_eq!((crps(&sure, 37.5), crps(&sure, 30.0)), (7.5, 0.0));
        assert_eq!(nll(&sure, 30.0, 30.0), 0.0);
        assert!((nll(&sure, 31.0, 31.0) - 708.396).abs() < 1e-3);
    }

    #[test]
    fn ranges_of_labels() {
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
