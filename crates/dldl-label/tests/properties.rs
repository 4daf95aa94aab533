//! Properties of every label set, distribution and method.

use dldl_label::{
    Distribution, Label, LabelSet, Layout, LossKind, Method, Penalty, Scaling, Target,
    ranking_code, ranking_target,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

/// Label sets of a realistic size.
fn label_sets() -> impl Strategy<Value = LabelSet> {
    (-50.0..50.0, 0.01..3.0, 1..150_u32).prop_map(|(min, step, steps): (f64, f64, u32)| {
        LabelSet::new(min, min + step * f64::from(steps), step).unwrap()
    })
}

/// Typical network outputs, some of them very peaked.
fn distributions() -> impl Strategy<Value = Distribution> {
    (label_sets(), 0.0..30.0_f32).prop_flat_map(|(labels, scale)| {
        let logits = prop::collection::vec(-1.0..1.0_f32, labels.len());
        logits.prop_map(move |logits| {
            let logits: Vec<f32> = logits.iter().map(|x| x * scale).collect();
            Distribution::from_logits(&labels, &logits).unwrap()
        })
    })
}

fn methods() -> impl Strategy<Value = Method> {
    let scaling = prop_oneof![Just(Scaling::PerSample), Just(Scaling::PerElement)];
    let penalty = prop_oneof![Just(Penalty::L1), Just(Penalty::SmoothL1), Just(Penalty::L2)];
    prop_oneof![
        prop::sample::select(Method::ALL),
        (0.0..20.0, scaling, penalty).prop_map(|(lambda, scaling, penalty)| Method::DldlV2 {
            lambda,
            scaling,
            penalty
        }),
        (0.0..2.0, 0.0..2.0).prop_map(|(mean, variance)| Method::MeanVariance { mean, variance }),
    ]
}

fn is_distribution(d: &Distribution) -> Result<(), TestCaseError> {
    prop_assert_eq!(d.probabilities().len(), d.labels().len());
    prop_assert!(d.probabilities().iter().all(|p| (0.0..=1.0).contains(p)));
    prop_assert!((d.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let slack = 1e-12 * d.labels().max().abs().max(d.labels().min().abs());
    let range = d.labels().min() - slack..=d.labels().max() + slack;
    for y in [d.expectation(), d.mode(), d.quantile(0.0), d.quantile(0.5), d.quantile(1.0)] {
        prop_assert!(range.contains(&y), "{} outside {:?}", y, range);
    }
    prop_assert!(d.entropy() >= 0.0);
    prop_assert!(d.entropy() <= (d.labels().len() as f64).ln() + 1e-12);
    prop_assert!(d.std() <= 0.5 * (d.labels().max() - d.labels().min()) + 1e-9);
    Ok(())
}

proptest! {
    #[test]
    fn gaussian_is_a_distribution_for_every_mean_and_sigma(
        labels in label_sets(),
        mean in prop_oneof![-100.0..100.0, any::<f64>().prop_filter("finite", |x| x.is_finite())],
        sigma in prop_oneof![
            Just(0.0),
            Just(f64::MIN_POSITIVE),
            1e-12..1e-3,
            1e-3..50.0,
            Just(f64::MAX),
        ],
    ) {
        is_distribution(&Distribution::gaussian(&labels, mean, sigma).unwrap())?;
    }

    /// Far from the ends of the range and with a sigma that the step resolves, the
    /// sampled Gaussian has the requested moments.
    #[test]
    fn gaussian_has_the_requested_mean_and_sigma_inside_the_range(
        mean in 20.0..80.0,
        sigma in 1.0..2.5,
    ) {
        let d = Distribution::gaussian(&LabelSet::age(), mean, sigma).unwrap();
        prop_assert!((d.expectation() - mean).abs() < 1e-6);
        prop_assert!((d.std() - sigma).abs() < 1e-6);
        // The median is that of a histogram with bins one step wide.
        prop_assert!((d.quantile(0.5) - mean).abs() < 0.06);
        prop_assert!((d.mode() - mean).abs() <= 0.5 + 1e-9);
    }

    #[test]
    fn sigma_zero_preserves_the_mean_at_and_between_labels(labels in label_sets(), t in -0.2..1.2) {
        let mean = labels.min() + t * (labels.max() - labels.min());
        let d = Distribution::gaussian(&labels, mean, 0.0).unwrap();
        let inside = mean.clamp(labels.min(), labels.max());
        prop_assert!((d.expectation() - inside).abs() < 1e-5 * labels.step());
        prop_assert!(d.probabilities().iter().filter(|&&p| p > 0.0).count() <= 2);
        let nearest = labels.value(labels.nearest(mean));
        let on_grid = Distribution::gaussian(&labels, nearest, 0.0).unwrap();
        prop_assert_eq!(on_grid.probabilities()[labels.nearest(mean)], 1.0);
    }

    /// Shifting the mean by whole labels shifts the distribution.
    #[test]
    fn gaussian_shifts_with_its_mean(mean in 30.0..60.0, sigma in 0.3..2.0, by in 1..10_usize) {
        let ages = LabelSet::age();
        let d = Distribution::gaussian(&ages, mean, sigma).unwrap();
        let shifted = Distribution::gaussian(&ages, mean + by as f64, sigma).unwrap();
        for k in 0..ages.len() - by {
            let (a, b) = (d.probabilities()[k], shifted.probabilities()[k + by]);
            prop_assert!((a - b).abs() < 1e-12);
        }
        prop_assert!((shifted.expectation() - d.expectation() - by as f64).abs() < 1e-9);
        prop_assert!((shifted.quantile(0.3) - d.quantile(0.3) - by as f64).abs() < 1e-9);
    }

    #[test]
    fn softmax_is_a_distribution_and_invariant_to_offsets(d in distributions(), offset in -50.0..50.0_f32) {
        is_distribution(&d)?;
        let logits: Vec<f32> = d.probabilities().iter().map(|p| p.ln() as f32 + offset).collect();
        let again = Distribution::from_logits(d.labels(), &logits).unwrap();
        for (a, b) in d.probabilities().iter().zip(again.probabilities()) {
            prop_assert!((a - b).abs() < 1e-4);
        }
    }

    #[test]
    fn cdf_increases_to_one(d in distributions(), a in -200.0..500.0, b in -200.0..500.0) {
        let cdf = d.cdf();
        prop_assert!(cdf.windows(2).all(|w| w[0] <= w[1]));
        prop_assert_eq!(cdf[cdf.len() - 1], 1.0);
        let (a, b) = (f64::min(a, b), f64::max(a, b));
        prop_assert!(d.cdf_at(a) <= d.cdf_at(b) + 1e-15);
        prop_assert_eq!(d.cdf_at(d.labels().min() - 1.0), 0.0);
        prop_assert_eq!(d.cdf_at(d.labels().max()), 1.0);
    }

    #[test]
    fn quantile_inverts_cdf(d in distributions(), q in 0.0..=1.0) {
        let y = d.quantile(q);
        prop_assert!((d.cdf_at(y) - q).abs() < 1e-9, "F({}) = {}", y, d.cdf_at(y));
        // It is the smallest such value.
        let left = y - 1e-6 * d.labels().step();
        prop_assert!(d.cdf_at(left) <= q);
    }

    #[test]
    fn equal_tailed_interval_grows_with_its_level(d in distributions(), a in 0.0..=1.0, b in 0.0..=1.0) {
        let (inner, outer) = (d.equal_tailed_interval(f64::min(a, b)), d.equal_tailed_interval(f64::max(a, b)));
        prop_assert!(outer.0 <= inner.0 && inner.0 <= inner.1 && inner.1 <= outer.1);
        let held = d.cdf_at(outer.1) - d.cdf_at(outer.0);
        prop_assert!((held - f64::max(a, b)).abs() < 1e-9);
    }

    #[test]
    fn histogram_preserves_the_mean_of_the_ratings(
        labels in label_sets(),
        answers in prop::collection::vec((0.0..=1.0, 0..20_u32), 1..12),
    ) {
        let histogram: Vec<(f64, f64)> = answers
            .iter()
            .map(|&(t, n): &(f64, u32)| {
                (labels.min() + t * (labels.max() - labels.min()), f64::from(n))
            })
            .collect();
        let total: f64 = histogram.iter().map(|(_, n)| n).sum();
        let d = Distribution::from_histogram(&labels, &histogram);
        if total == 0.0 {
            prop_assert!(d.is_err());
        } else {
            let d = d.unwrap();
            is_distribution(&d)?;
            let mean = histogram.iter().map(|(y, n)| y * n).sum::<f64>() / total;
            prop_assert!((d.expectation() - mean).abs() < 1e-5 * labels.step());
            // Splitting between labels adds at most a quarter of a squared step to the
            // variance.
            let variance =
                histogram.iter().map(|(y, n)| n * (y - mean).powi(2)).sum::<f64>() / total;
            let added = d.variance() - variance;
            let step2 = labels.step().powi(2);
            prop_assert!(added > -1e-4 * step2 && added < 0.2501 * step2);
        }
    }

    #[test]
    fn average_has_the_mean_expectation(a in distributions(), peak in 0.0..1.0) {
        let b = a.labels().min() + peak * (a.labels().max() - a.labels().min());
        let b = Distribution::gaussian(a.labels(), b, a.labels().step()).unwrap();
        let both = Distribution::average(&[a.clone(), b.clone()]).unwrap();
        is_distribution(&both)?;
        let expected = 0.5 * (a.expectation() + b.expectation());
        prop_assert!((both.expectation() - expected).abs() < 1e-9);
    }

    #[test]
    fn gradients_match_finite_differences(
        method in methods(),
        labels in label_sets(),
        t in 0.0..1.0,
        sigma in 0.2..5.0,
        seed in prop::collection::vec(-3.0..3.0, 151),
    ) {
        let mean = labels.min() + t * (labels.max() - labels.min());
        let label = Label::new(mean, sigma * labels.step()).unwrap();
        let target = method.encode(&labels, &label).unwrap();
        let logits = &seed.iter().cycle().copied().take(method.head_size(&labels)).collect::<Vec<_>>();
        let loss = |x: &[f64]| method.loss(&labels, &target, x).unwrap();
        let at = loss(logits);
        let terms = method.loss_terms(&labels);
        let range = labels.max() - labels.min();
        for (term, value) in terms.iter().zip(&at.terms) {
            // Skip cases so close to the kink of the absolute value, or to the joint of
            // the smooth L1 penalty, that a step of 1e-5 in a logit crosses it.
            match term.kind {
                LossKind::Expectation(Penalty::L1) => prop_assume!(*value > 1e-5 * range),
                LossKind::Expectation(Penalty::SmoothL1) => {
                    prop_assume!((value - 0.5).abs() > 1e-5 * range);
                }
                LossKind::Value(Penalty::L1) => prop_assume!(*value > 1e-4),
                _ => {}
            }
        }
        // Rounding errors grow with the magnitude of the terms.
        let reach = labels.max().abs() + labels.min().abs();
        let size = |kind| match kind {
            LossKind::Expectation(Penalty::L2) | LossKind::Variance => reach * reach,
            LossKind::Expectation(_) => reach,
            _ => 1.0,
        };
        let scale = 1.0 + terms.iter().map(|t| t.weight * size(t.kind)).sum::<f64>();
        let h = 1e-5;
        for k in 0..logits.len() {
            let mut x = logits.to_vec();
            x[k] += h;
            let above = loss(&x).total;
            x[k] -= 2.0 * h;
            let below = loss(&x).total;
            let numeric = (above - below) / (2.0 * h);
            prop_assert!(
                (numeric - at.gradient[k]).abs() < 1e-8 * scale,
                "logit {}: {} by differences, {} by formula", k, numeric, at.gradient[k]
            );
        }
        if method.layout() == Layout::Labels {
            // A softmax is invariant to a common offset.
            prop_assert!(at.gradient.iter().sum::<f64>().abs() < 1e-12 * scale);
        }
    }

    /// Outputs that represent the target decode to it and have a loss close to the
    /// minimum.
    #[test]
    fn outputs_that_match_the_target_decode_to_it(
        method in prop::sample::select(Method::ALL), mean in 20.0..80.0, sigma in 1.0..4.0,
    ) {
        let ages = LabelSet::age();
        let target = method.encode(&ages, &Label::new(mean, sigma).unwrap()).unwrap();
        let logit = |p: f64| (p.clamp(1e-9, 1.0 - 1e-9) / (1.0 - p.clamp(1e-9, 1.0 - 1e-9))).ln();
        let ranks = || target.ranks.iter().flatten().map(|&r| logit(r));
        let logits: Vec<f64> = match method.layout() {
            Layout::Value => vec![(mean / 50.0 - 1.0).atanh()],
            Layout::Labels => match &target.distribution {
                Some(p) => p.iter().map(|p| p.max(1e-12).ln()).collect(),
                None => (0..101).map(|k| -0.5 * ((ages.value(k) - mean) / sigma).powi(2)).collect(),
            },
            Layout::Ranks => ranks().collect(),
            Layout::RankPairs => ranks().flat_map(|x| [0.0, x]).collect(),
        };
        let read: Vec<f32> = logits.iter().map(|&x| x as f32).collect();
        let estimate = method.estimate(&method.decode(&ages, &read).unwrap());
        // Methods that classify or count can only return whole years.
        prop_assert!((estimate - mean).abs() < 1.0 + 1e-3, "{}", estimate);
        let zeros = vec![0.0; logits.len()];
        let at = method.loss(&ages, &target, &logits).unwrap();
        let elsewhere = method.loss(&ages, &target, &zeros).unwrap();
        prop_assert!(at.total > -1e-12);
        prop_assert!(at.total < elsewhere.total || (mean - 50.0).abs() < 1.0);
    }

    /// The inverse of spec 1.7: ranks, also inconsistent ones, give a distribution with
    /// the same expectation and the same count.
    #[test]
    fn ranks_define_a_distribution(
        labels in label_sets(), seed in prop::collection::vec(0.0..=1.0, 151),
    ) {
        let exceedances = &seed[..labels.len() - 1];
        let d = Distribution::from_exceedances(&labels, exceedances).unwrap();
        is_distribution(&d)?;
        let expected = labels.min() + labels.step() * exceedances.iter().sum::<f64>();
        prop_assert!((d.expectation() - expected).abs() < 1e-9 * (1.0 + expected.abs()));
        let count = exceedances.iter().filter(|&&p| p >= 0.5).count();
        prop_assert_eq!(Method::RankingBce.estimate(&d), labels.value(count));
        let mut descending = exceedances.to_vec();
        descending.sort_by(|a, b| b.total_cmp(a));
        for (a, b) in ranking_target(&d).iter().zip(descending) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn per_element_is_per_sample_with_lambda_k_over_k(
        labels in label_sets(),
        lambda in 0.01..10.0,
        t in 0.0..1.0,
    ) {
        let k = labels.len() as f64;
        let label = Label::new(labels.min() + t * (labels.max() - labels.min()), 0.5).unwrap();
        let code = Method::dldl_v2(lambda, Scaling::PerElement).unwrap();
        let paper = Method::dldl_v2(k * lambda, Scaling::PerSample).unwrap();
        let target = code.encode(&labels, &label).unwrap();
        let logits: Vec<f64> = (0..labels.len()).map(|i| (i as f64).sin()).collect();
        let code = code.loss(&labels, &target, &logits).unwrap();
        let paper = paper.loss(&labels, &target, &logits).unwrap();
        prop_assert!((k * code.total - paper.total).abs() < 1e-9 * (1.0 + paper.total));
    }

    /// Spec 1.7: Ranking's target is one minus the cumulative distribution.
    #[test]
    fn ranking_is_the_limit_of_small_sigma(labels in label_sets(), t in 0.0..1.0) {
        let mean = labels.min() + t * (labels.max() - labels.min());
        let nearest = labels.value(labels.nearest(mean));
        // Halfway between two labels, both have half of the probability.
        prop_assume!((mean - nearest).abs() < 0.49 * labels.step());
        let d = Distribution::gaussian(&labels, mean, 1e-3 * labels.step()).unwrap();
        prop_assert_eq!(ranking_target(&d), ranking_code(&labels, nearest));
    }

    #[test]
    fn ranking_sums_to_the_expectation(d in distributions()) {
        let rank = ranking_target(&d);
        prop_assert!(rank.windows(2).all(|w| w[0] >= w[1]));
        let expectation = d.labels().min() + d.labels().step() * rank.iter().sum::<f64>();
        prop_assert!((expectation - d.expectation()).abs() < 1e-9);
    }

    #[test]
    fn nearest_and_bracket_locate_values(labels in label_sets(), k in 0..151_usize, t in -0.49..0.49_f64) {
        let k = k % labels.len();
        prop_assert_eq!(labels.nearest(labels.value(k) + t * labels.step()), k);
        let y: f64 = labels.value(k) + t * labels.step();
        let y = y.clamp(labels.min(), labels.max());
        let (low, weight) = labels.bracket(y);
        prop_assert!((0.0..=1.0).contains(&weight));
        let back = (1.0 - weight) * labels.value(low) + weight * labels.value(low + 1);
        prop_assert!((back - y).abs() < 2e-6 * labels.step());
    }

    #[test]
    fn serialized_values_round_trip(labels in label_sets(), method in methods()) {
        let text = serde_json::to_string(&labels).unwrap();
        let back: LabelSet = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.len(), labels.len());
        prop_assert!((back.max() - labels.max()).abs() < 1e-12);
        let text = serde_json::to_string(&method).unwrap();
        match (serde_json::from_str(&text).unwrap(), method) {
            (
                Method::DldlV2 { lambda: a, scaling: s, penalty: p },
                Method::DldlV2 { lambda, scaling, penalty },
            ) => {
                prop_assert!((a - lambda).abs() < 1e-12);
                prop_assert_eq!((s, p), (scaling, penalty));
            }
            (
                Method::MeanVariance { mean: a, variance: b },
                Method::MeanVariance { mean, variance },
            ) => {
                prop_assert!((a - mean).abs() < 1e-12 && (b - variance).abs() < 1e-12);
            }
            (back, method) => prop_assert_eq!(back, method),
        }
    }
}

#[test]
fn targets_without_the_required_field_are_rejected() {
    let ages = LabelSet::age();
    let method: Method = "dldl-v2".parse().unwrap();
    let error = method.loss(&ages, &Target::default(), &[0.0; 101]).unwrap_err();
    assert_eq!(error.to_string(), "target has no distribution, which the method's loss requires");
}
