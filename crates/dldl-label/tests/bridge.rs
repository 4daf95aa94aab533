//! The relation of Ranking to label distributions (specification 1.7, proof in
//! docs/ranking.md), beyond what `properties.rs` checks.

use dldl_label::{Distribution, Label, LabelSet, Method, metrics, ranking_code, ranking_target};
use proptest::prelude::*;

fn label_sets() -> impl Strategy<Value = LabelSet> {
    (-50.0..50.0, 0.01..3.0, 1..150_u32).prop_map(|(min, step, steps): (f64, f64, u32)| {
        LabelSet::new(min, min + step * f64::from(steps), step).unwrap()
    })
}

fn logits() -> impl Strategy<Value = (LabelSet, Vec<f64>)> {
    label_sets().prop_flat_map(|labels| {
        let logits = prop::collection::vec(-6.0..6.0, labels.len());
        (Just(labels), logits)
    })
}

fn softmax(labels: &LabelSet, logits: &[f64]) -> Distribution {
    let logits: Vec<f32> = logits.iter().map(|x| *x as f32).collect();
    Distribution::from_logits(labels, &logits).unwrap()
}

/// The inverse: `p_0 = 1 - r_0`, `p_k = r_(k-1) - r_k`, and the last `r_(K-2)`.
fn from_ranks(ranks: &[f64]) -> Vec<f64> {
    let above = std::iter::once(1.0).chain(ranks.iter().copied());
    let below = ranks.iter().copied().chain([0.0]);
    above.zip(below).map(|(a, b)| a - b).collect()
}

/// The standard normal cumulative distribution, by Simpson's rule.
fn normal_cdf(z: f64) -> f64 {
    let (low, steps) = (-9.0, 2000);
    let high = z.clamp(low, 9.0);
    let h = (high - low) / f64::from(steps);
    let density = |i: i32| (-0.5 * (low + h * f64::from(i)).powi(2)).exp();
    let inner = (1..steps).map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * density(i)).sum::<f64>();
    (density(0) + inner + density(steps)) * h / 3.0 / std::f64::consts::TAU.sqrt()
}

proptest! {
    /// `c = T p` with the lower triangular matrix of ones, term by term.
    #[test]
    fn cumulative_distribution_is_the_triangular_matrix_times_p((labels, x) in logits()) {
        let d = softmax(&labels, &x);
        let p = d.probabilities();
        let one = |row: usize, column: usize| if column <= row { 1.0 } else { 0.0 };
        let rank = ranking_target(&d);
        prop_assert_eq!(rank.len(), labels.len() - 1);
        for (k, r) in rank.iter().enumerate() {
            let c: f64 = (0..p.len()).map(|j| one(k, j) * p[j]).sum();
            prop_assert!((r - (1.0 - c)).abs() < 1e-12);
        }
    }

    /// The map from distributions to ranks is injective...
    #[test]
    fn distribution_is_recovered_from_its_ranks((labels, x) in logits()) {
        let d = softmax(&labels, &x);
        let back = from_ranks(&ranking_target(&d));
        for (a, b) in d.probabilities().iter().zip(&back) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    /// ... and onto the non-increasing sequences.
    #[test]
    fn every_non_increasing_sequence_of_ranks_has_a_distribution(
        labels in label_sets(),
        seed in prop::collection::vec(0.0..=1.0, 150),
    ) {
        let mut ranks = seed[..labels.len() - 1].to_vec();
        ranks.sort_by(|a: &f64, b| b.total_cmp(a));
        let d = Distribution::from_probabilities(&labels, &from_ranks(&ranks)).unwrap();
        for (a, b) in ranking_target(&d).iter().zip(&ranks) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    /// Hard codes correspond to distributions at one label.
    #[test]
    fn hard_codes_are_one_hot_distributions(labels in label_sets(), k in 0..151_usize) {
        let k = k % labels.len();
        let code = ranking_code(&labels, labels.value(k));
        prop_assert_eq!(code.iter().sum::<f64>(), k as f64);
        let alone = Distribution::gaussian(&labels, labels.value(k), 0.0).unwrap();
        prop_assert_eq!(from_ranks(&code), alone.probabilities());
        prop_assert_eq!(ranking_target(&alone), code);
    }

    /// As sigma decreases, the soft target approaches the code monotonically and
    /// reaches it.
    #[test]
    fn soft_target_approaches_the_code_with_smaller_sigma(k in 15..86_usize) {
        let ages = LabelSet::age();
        let code = ranking_code(&ages, k as f64);
        let distance = |sigma: f64| {
            let d = Distribution::gaussian(&ages, k as f64, sigma).unwrap();
            let pairs = ranking_target(&d).into_iter().zip(&code);
            pairs.map(|(r, c)| (r - c).abs()).fold(0.0, f64::max)
        };
        let steps: Vec<f64> = [4.0, 2.0, 1.0, 0.5, 0.25, 0.1].map(distance).into();
        prop_assert!(steps.windows(2).all(|w| w[1] < w[0]), "{:?}", steps);
        prop_assert!(distance(0.02) == 0.0);
    }

    /// The sum over labels is the integral of specification 1.7 by the midpoint rule, up
    /// to half a step beyond the label. The error is `h^2 / 24` times the slope of the
    /// density, at most 0.242 / sigma^2, plus the next term of the rule, `7 h^4 / 5760`
    /// times the third derivative.
    #[test]
    fn sum_is_the_integral_up_to_half_a_step_further(
        mean in 35.0..65.0,
        sigma in 1.0..5.0,
        step in prop_oneof![Just(0.5), Just(1.0)],
    ) {
        let labels = LabelSet::new(0.0, 100.0, step).unwrap();
        let d = Distribution::gaussian(&labels, mean, sigma).unwrap();
        let ratio: f64 = step / sigma;
        let bound = 0.0101 * ratio.powi(2) + 0.002 * ratio.powi(4);
        for (k, r) in ranking_target(&d).into_iter().enumerate() {
            let exact = 1.0 - normal_cdf((labels.value(k) + 0.5 * step - mean) / sigma);
            prop_assert!((r - exact).abs() < bound, "label {}: {} {}", k, r, exact);
        }
    }

    /// The integral itself is above one half for labels below y, below one half for
    /// labels above it, and converges to the code of any y as sigma goes to 0.
    #[test]
    fn integral_converges_to_the_code_of_every_y(y in 5.0..95.0) {
        let ages = LabelSet::age();
        let apart = |label: &f64| f64::abs(label - y) > 0.01;
        prop_assume!(ages.values().iter().all(apart));
        let above = |k: usize, sigma: f64| 1.0 - normal_cdf((ages.value(k) - y) / sigma);
        for (k, code) in ranking_code(&ages, y).into_iter().enumerate() {
            prop_assert_eq!(above(k, 2.0) > 0.5, code == 1.0);
            prop_assert!((above(k, 1e-3) - code).abs() < 1e-6);
        }
    }

    /// The error of the expectation is bounded by the Wasserstein distance, the sum of
    /// the differences of the ranks.
    #[test]
    fn expectations_differ_by_at_most_the_ranks((labels, x) in logits(), shift in 0.1..3.0) {
        let (p, q) = (softmax(&labels, &x), {
            let y: Vec<f64> = x.iter().enumerate().map(|(k, x)| x + shift * (k as f64).sin()).collect();
            softmax(&labels, &y)
        });
        let pairs = ranking_target(&p).into_iter().zip(ranking_target(&q));
        let apart: f64 = pairs.map(|(a, b)| (a - b).abs()).sum();
        let error = (p.expectation() - q.expectation()).abs();
        prop_assert!(error <= labels.step() * apart + 1e-9);
    }

    /// The gradient of DLDL, `p^ - p` (specification 1.6), summed from the left, is the
    /// negative of Ranking's gradient `r^ - r` (cross-entropy of sigmoids).
    #[test]
    fn gradients_are_related_by_the_same_matrix((labels, x) in logits(), t in 0.0..1.0) {
        let mean = labels.min() + t * (labels.max() - labels.min());
        let label = Label::new(mean, 2.0 * labels.step()).unwrap();
        let target = Method::Dldl.encode(&labels, &label).unwrap();
        let gradient = Method::Dldl.loss(&labels, &target, &x).unwrap().gradient;
        let truth = Distribution::gaussian(&labels, mean, label.sigma).unwrap();
        let seen = ranking_target(&softmax(&labels, &x));
        let mut sum = 0.0;
        for ((k, r), seen) in ranking_target(&truth).into_iter().enumerate().zip(seen) {
            sum += gradient[k];
            prop_assert!((sum + (seen - r)).abs() < 1e-5, "label {}", k);
        }
    }

    /// The squared errors of a distribution's ranks are the continuous ranked
    /// probability score, `E|Y - y| - E|Y - Y'| / 2`.
    #[test]
    fn squared_errors_of_ranks_are_the_crps((labels, x) in logits(), k in 0..151_usize) {
        let y = labels.value(k % labels.len());
        let d = softmax(&labels, &x);
        let (p, l) = (d.probabilities(), labels.values());
        let pairs = ranking_target(&d).into_iter().zip(ranking_code(&labels, y));
        let squares: f64 = labels.step() * pairs.map(|(r, c)| (r - c).powi(2)).sum::<f64>();
        let far: f64 = p.iter().zip(&l).map(|(p, l)| p * (l - y).abs()).sum();
        let apart: f64 = (0..p.len())
            .flat_map(|i| (0..p.len()).map(move |j| (i, j)))
            .map(|(i, j)| p[i] * p[j] * (l[i] - l[j]).abs())
            .sum();
        prop_assert!((squares - (far - 0.5 * apart)).abs() < 1e-6 * (1.0 + far));
    }
}

/// Between labels, the code of an age is its own, while the limit of a sampled
/// Gaussian is the code of the nearest label. They agree for integer ages.
#[test]
fn limit_of_a_sampled_gaussian_is_the_code_of_the_nearest_label() {
    let ages = LabelSet::age();
    let limit = ranking_target(&Distribution::gaussian(&ages, 31.4, 1e-3).unwrap());
    assert_eq!(limit, ranking_code(&ages, 31.0));
    let own = ranking_code(&ages, 31.4);
    assert_eq!(own.iter().sum::<f64>() - limit.iter().sum::<f64>(), 1.0);
    // They differ in one rank of a hundred.
    assert_eq!(metrics::mae(&limit, &own), Some(0.01));
}
