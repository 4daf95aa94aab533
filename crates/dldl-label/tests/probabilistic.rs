//! Metrics of distributions and conformal intervals: comparison with numpy and scipy,
//! and general properties.

use dldl_label::metrics::{bias, bootstrap, crps, mae_rescaled, median_error, nll};
use dldl_label::{Bands, Conformal, Distribution, LabelSet, Recalibration};
use proptest::prelude::*;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("data/probabilistic.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[track_caller]
fn close(actual: f64, expected: f64) {
    let bound = 1e-9 * expected.abs().max(1.0);
    assert!((actual - expected).abs() <= bound, "{actual} is not {expected}");
}

#[test]
fn scores_match_scipy() {
    for case in golden()["distributions"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let labels = LabelSet::new(number("min"), number("max"), number("step")).unwrap();
        let p = numbers(&case["probabilities"]);
        let d = Distribution::from_probabilities(&labels, &p).unwrap();
        for score in case["scores"].as_array().unwrap() {
            let y = score["y"].as_f64().unwrap();
            close(nll(&d, y, y), score["nll"].as_f64().unwrap());
            close(crps(&d, y), score["crps"].as_f64().unwrap());
        }
        for (k, middle) in numbers(&case["middles"]).into_iter().enumerate() {
            close(d.pit(labels.value(k)), middle);
            close(d.nonconformity_score(labels.value(k)), (2.0 * middle - 1.0).abs());
        }
    }
}

#[test]
fn levels_match_numpy_order_statistics() {
    for case in golden()["conformal"].as_array().unwrap() {
        let conformal = Conformal::fit(&numbers(&case["scores"])).unwrap();
        for pair in case["levels"].as_array().unwrap() {
            let pair = numbers(pair);
            assert_eq!(conformal.level(pair[0]), pair[1], "{pair:?}");
        }
    }
}

#[test]
fn sample_metrics_match_numpy() {
    let case = &golden()["samples"];
    let (p, t) = (numbers(&case["predictions"]), numbers(&case["truths"]));
    let number = |key: &str| case[key].as_f64().unwrap();
    close(bias(&p, &t).unwrap(), number("bias"));
    close(median_error(&p, &t).unwrap(), number("median_error"));
    close(mae_rescaled(&p, &t).unwrap(), number("mae_rescaled"));
    let errors: Vec<f64> = p.iter().zip(&t).map(|(p, t)| (p - t).abs()).collect();
    let mean = |counts: &[u32]| {
        let sum: f64 = errors.iter().zip(counts).map(|(e, &n)| e * f64::from(n)).sum();
        vec![Some(sum / errors.len() as f64)]
    };
    let [low, high] = bootstrap(errors.len(), mean)[0].unwrap();
    let expected = numbers(&case["mae_interval"]);
    // 1000 resamples here, 20,000 in the reference.
    let slack = 0.06 * (expected[1] - expected[0]);
    assert!((low - expected[0]).abs() < slack, "{low} {expected:?}");
    assert!((high - expected[1]).abs() < slack, "{high} {expected:?}");
}

/// Typical network outputs over sets of 2 to 60 labels.
fn distributions() -> impl Strategy<Value = Distribution> {
    (-50.0..50.0, 0.01..3.0, 0.0..10.0_f32, prop::collection::vec(-1.0..1.0_f32, 2..60)).prop_map(
        |(min, step, scale, logits): (f64, f64, f32, Vec<f32>)| {
            let max = min + step * (logits.len() - 1) as f64;
            let labels = LabelSet::new(min, max, step).unwrap();
            let logits: Vec<f32> = logits.iter().map(|x| x * scale).collect();
            Distribution::from_logits(&labels, &logits).unwrap()
        },
    )
}

/// The point at a fraction `t` of the range.
fn point_at(d: &Distribution, t: f64) -> f64 {
    d.labels().min() + t * (d.labels().max() - d.labels().min())
}

proptest! {
    /// An interval contains exactly the values with a score of at most its level.
    #[test]
    fn interval_contains_values_with_scores_up_to_its_level(d in distributions(), t in 0.0..=1.0, level in 0.0..1.0) {
        let (y, slack) = (point_at(&d, t), 1e-9 * d.labels().step());
        let (low, high) = d.conformal_interval(level);
        let score = d.nonconformity_score(y);
        prop_assert!((0.0..=1.0).contains(&score));
        if score < level - 1e-9 {
            prop_assert!(low - slack <= y && y <= high + slack, "{} in {} {}", y, low, high);
        }
        if score > level + 1e-9 {
            prop_assert!(y < low + slack || high - slack < y, "{} not in {} {}", y, low, high);
        }
    }

    /// It differs from the equal-tailed interval only at the ends of the range, and
    /// grows with the level.
    #[test]
    fn conformal_intervals_reach_the_ends(d in distributions(), a in 0.0..1.0, b in 0.0..1.0) {
        let (low, high) = d.conformal_interval(f64::max(a, b));
        let plain = d.equal_tailed_interval(f64::max(a, b));
        prop_assert!(low == plain.0 || low == d.labels().min());
        prop_assert!(high == plain.1 || high == d.labels().max());
        prop_assert!(low <= plain.0 && plain.1 <= high);
        let inner = d.conformal_interval(f64::min(a, b));
        prop_assert!(low <= inner.0 && inner.0 <= inner.1 && inner.1 <= high);
        prop_assert_eq!(d.conformal_interval(1.0), (d.labels().min(), d.labels().max()));
    }

    #[test]
    fn pit_increases_between_the_middles_of_the_outermost_labels(
        d in distributions(), s in -0.2..1.2, t in -0.2..1.2,
    ) {
        let (a, b) = (point_at(&d, f64::min(s, t)), point_at(&d, f64::max(s, t)));
        prop_assert!(d.pit(a) <= d.pit(b) + 1e-15);
        let (first, last) = (d.pit(f64::NEG_INFINITY), d.pit(f64::INFINITY));
        prop_assert!((first - 0.5 * d.probabilities()[0]).abs() < 1e-15);
        prop_assert!(first <= d.pit(a) && d.pit(b) <= last);
        // Values beyond the ends count as the ends.
        prop_assert_eq!(d.pit(d.labels().min()), first);
        prop_assert_eq!(d.pit(d.labels().max()), last);
    }

    /// The true distribution has the best expected CRPS and NLL.
    #[test]
    fn crps_and_nll_are_proper_scoring_rules(p in prop::collection::vec(0.01..1.0, 8), q in prop::collection::vec(0.01..1.0, 8)) {
        let labels = LabelSet::new(0.0, 7.0, 1.0).unwrap();
        let of = |w: &[f64]| {
            let pairs: Vec<(f64, f64)> = labels.values().into_iter().zip(w.iter().copied()).collect();
            Distribution::from_histogram(&labels, &pairs).unwrap()
        };
        let (truth, other) = (of(&p), of(&q));
        let expected = |score: &dyn Fn(f64) -> f64| -> f64 {
            labels.values().iter().zip(truth.probabilities()).map(|(&y, p)| p * score(y)).sum()
        };
        let (of_truth, of_other) = (expected(&|y| crps(&truth, y)), expected(&|y| crps(&other, y)));
        prop_assert!(of_truth <= of_other + 1e-12);
        let (of_truth, of_other) = (expected(&|y| nll(&truth, y, y)), expected(&|y| nll(&other, y, y)));
        prop_assert!(of_truth <= of_other + 1e-12);
    }

    /// At most the mean distance from the true value; equal to it for a distribution at
    /// one label.
    #[test]
    fn crps_is_at_most_the_mean_error(d in distributions(), t in 0.0..=1.0) {
        let y = point_at(&d, t);
        let labels = d.labels().values();
        let mean: f64 = labels.iter().zip(d.probabilities()).map(|(l, p)| p * (l - y).abs()).sum();
        let found = crps(&d, y);
        prop_assert!(0.0 <= found && found <= mean + 1e-9, "{} {}", found, mean);
        let sure = Distribution::gaussian(d.labels(), labels[0], 0.0).unwrap();
        prop_assert!((crps(&sure, y) - (y - labels[0])).abs() < 1e-9);
    }

    /// The calibration scores themselves are covered as requested.
    #[test]
    fn levels_cover_the_calibration_scores(
        scores in prop::collection::vec(0.0..=1.0, 1..300), coverage in 0.0..=1.0,
    ) {
        let conformal = Conformal::fit(&scores).unwrap();
        let level = conformal.level(coverage);
        let inside = scores.iter().filter(|&&s| s <= level).count() as f64;
        // Levels are interpolated between whole percents.
        prop_assert!(inside + 1.0 >= (coverage - 0.01) * (scores.len() + 1) as f64);
        prop_assert!(conformal.level((coverage + 0.1).min(1.0)) >= level);
    }

    /// Exchangeable samples whose scores depend on the estimate: in every band, new
    /// samples are covered as promised, within the error of both samples.
    #[test]
    fn bands_cover_new_samples_of_their_estimates(
        seed in any::<u64>(), power in 0.2..5.0, level in prop::sample::select(vec![0.5, 0.8, 0.9, 0.95]),
    ) {
        let mut state = seed;
        let mut uniform = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut sample = |n: usize| -> (Vec<f64>, Vec<f64>) {
            let one = |_| {
                let estimate = 100.0 * uniform().powf(power);
                (estimate, uniform().powf(0.2 + estimate / 30.0))
            };
            (0..n).map(one).unzip()
        };
        let (estimates, scores) = sample(3000);
        let edges: Vec<f64> = (0..10).map(|k| 10.0 * f64::from(k)).collect();
        let bands = Bands::fit(&edges, &estimates, &scores, 100).unwrap();
        let (new_estimates, new_scores) = sample(6000);
        for (k, band) in bands.bands().iter().enumerate() {
            prop_assert!(band.n >= 100);
            let all = new_estimates.iter().zip(&new_scores);
            let own: Vec<f64> = all.filter(|(e, _)| bands.band(**e) == k).map(|(_, s)| *s).collect();
            let inside = own.iter().filter(|s| **s <= band.levels.level(level)).count();
            let error = inside as f64 / own.len() as f64 - level;
            // Seven standard errors: there are up to ten bands in each of 256 cases, and the
            // errors of high levels are skewed.
            let both = 1.0 / own.len() as f64 + 1.0 / band.n as f64;
            let chance = 7.0 * (level * (1.0 - level) * both).sqrt() + 1.0 / band.n as f64;
            prop_assert!(error.abs() < chance, "{} from {}: {} of {}", level, band.from, inside, own.len());
        }
        prop_assert_eq!(bands.bands().iter().map(|b| b.n).sum::<usize>(), 3000);
        let text = serde_json::to_string(&bands).unwrap();
        prop_assert_eq!(serde_json::from_str::<Bands>(&text).unwrap(), bands);
    }

    /// The error on the samples of the fit never increases, the order of estimates stays,
    /// distributions move by the same map, and nothing is lost in the file.
    #[test]
    fn recalibration_is_monotone_and_never_worse_on_its_samples(
        d in distributions(),
        samples in prop::collection::vec((0.0..=1.0, -0.3..1.3), 1..80),
        s in 0.0..=1.0, t in 0.0..=1.0, q in 0.0..=1.0,
    ) {
        let labels = d.labels();
        let estimates: Vec<f64> = samples.iter().map(|(e, _)| point_at(&d, *e)).collect();
        let truths: Vec<f64> = samples.iter().map(|(_, t)| point_at(&d, *t)).collect();
        let map = Recalibration::fit(labels, &estimates, &truths).unwrap();
        let error = |f: &dyn Fn(f64) -> f64| -> f64 {
            let clamped = |t: f64| t.clamp(labels.min(), labels.max());
            estimates.iter().zip(&truths).map(|(e, t)| (f(*e) - clamped(*t)).abs()).sum()
        };
        let (before, after) = (error(&|e| e), error(&|e| map.value(e)));
        let range = labels.max() - labels.min();
        prop_assert!(after <= before + 1e-12 * range * samples.len() as f64, "{} {}", before, after);
        let (a, b) = (point_at(&d, f64::min(s, t)), point_at(&d, f64::max(s, t)));
        // Ascends by at least a tenth of the distance.
        prop_assert!(map.value(b) - map.value(a) >= 0.099 * (b - a) - 1e-12 * range);
        prop_assert_eq!((map.value(labels.min()), map.value(labels.max())), (labels.min(), labels.max()));
        let text = serde_json::to_string(&map).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Recalibration>(&text).unwrap(), &map);
        prop_assert!(map.fits(labels));

        let moved = map.distribution(&d);
        let sum: f64 = moved.probabilities().iter().sum();
        prop_assert!((sum - 1.0).abs() < 1e-9);
        for k in 0..labels.len() {
            let shares = map.shares(labels, k);
            let sum: f64 = shares.iter().map(|(_, share)| share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9 && shares.iter().all(|(_, share)| *share >= 0.0));
        }
        // Cumulative probabilities move with the map, up to the probability of a bin.
        let y = d.quantile(q);
        let bin = moved.probabilities()[labels.nearest(map.value(y))];
        prop_assert!((moved.cdf_at(map.value(y)) - d.cdf_at(y)).abs() <= bin + 1e-9);
        // Moving the average is the average of the moved (flip fusion).
        let mut other = d.probabilities().to_vec();
        other.reverse();
        let other = Distribution::from_probabilities(labels, &other).unwrap();
        let before = map.distribution(&Distribution::average(&[d, other.clone()]).unwrap());
        let after = Distribution::average(&[moved, map.distribution(&other)]).unwrap();
        for (a, b) in before.probabilities().iter().zip(after.probabilities()) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }
}
