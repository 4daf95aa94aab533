use dldl::{LabelSet, Method};
use dldl_label::Conformal;

use super::held::Answer;
use super::*;

/// Ages drawn from Gaussians around estimates, and a network that predicts `belief`
/// times their spread.
fn world(n: usize, belief: f64, seed: u64) -> (Head, Vec<Held>) {
    let labels = LabelSet::age();
    let mut state = seed;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let one = |i: usize| {
        let (mean, sigma) = (20.0 + 50.0 * uniform(), 2.0 + 4.0 * uniform());
        let gauss: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        // People are whole years old.
        let truth = (mean + sigma * gauss).round().clamp(0.0, 100.0);
        let believed = sigma * belief;
        let logit = |age: f64| (-0.5 * ((age - mean) / believed).powi(2)) as f32;
        let logits: Vec<f32> = labels.values().into_iter().map(logit).collect();
        Held {
            logits: [logits.clone(), logits],
            label: [truth; 2],
            truth,
            person: format!("person {i}"),
        }
    };
    let held = (0..n).map(one).collect();
    (Head::new(Task::Age, labels, Method::Dldl), held)
}

/// The head with intervals calibrated on pictures.
fn calibrated(head: &Head, held: &[Held], edges: Option<&[f64]>) -> Head {
    let fused = Some(fit(&answers(head, held, View::Fused), edges, "a world"));
    let intervals = IntervalTables { fused, unfused: None };
    let calibration = Calibration { intervals, ..Calibration::temperature(1.0) };
    Head { calibration: Some(calibration), ..head.clone() }
}

/// For each picture, its estimate and whether its interval contains the true value.
fn inside(head: &Head, held: &[Held], level: f64) -> Vec<(f64, bool)> {
    let answers = answers(head, held, View::Fused).into_iter().zip(held);
    let one = |(answer, one): (Answer, &Held)| {
        let interval = head.interval(&answer.distribution, answer.value, level, true);
        (answer.value, interval.low <= one.truth && one.truth <= interval.high)
    };
    answers.map(one).collect()
}

fn share(inside: impl IntoIterator<Item = bool>) -> (f64, f64) {
    let (mut n, mut yes) = (0.0, 0.0);
    for one in inside {
        (n, yes) = (n + 1.0, yes + f64::from(u8::from(one)));
    }
    (yes / n, n)
}

/// With whole years, and networks that are overconfident, calibrated and
/// underconfident.
#[test]
fn calibrated_intervals_cover_new_people() {
    for (belief, seed) in [(0.3, 1), (1.0, 2), (2.5, 3)] {
        let (head, calibration) = world(2000, belief, seed);
        let (_, new) = world(4000, belief, seed + 10);
        for edges in [None, Some(&[0.0, 30.0, 40.0, 50.0, 60.0][..])] {
            let head = calibrated(&head, &calibration, edges);
            for level in LEVELS {
                let (share, _) = share(inside(&head, &new, level).into_iter().map(|i| i.1));
                // Three standard errors of both samples.
                let chance = 3.0 * (level * (1.0 - level) * (1.0 / 2000.0 + 1.0 / 4000.0)).sqrt();
                assert!((share - level).abs() < chance, "{belief}, {level}: {share}");
            }
        }
    }
}

/// A network that is overconfident below 45 years and underconfident above: one table is
/// right on average only, levels by band are right in every band.
#[test]
fn levels_by_band_cover_in_every_band_of_the_estimate() {
    let mixed = |n: usize, seed: u64| {
        let (head, low) = world(n, 0.5, seed);
        let (_, high) = world(n, 2.0, seed + 100);
        let of = |one: &Held| head.value(&head.decode(&one.logits[0]).unwrap());
        let low = low.into_iter().filter(|one| of(one) < 45.0);
        let high = high.into_iter().filter(|one| of(one) >= 45.0);
        let held: Vec<Held> = low.chain(high).collect();
        (head, held)
    };
    let (head, calibration) = mixed(3000, 21);
    let (_, new) = mixed(6000, 22);
    let edges = [0.0, 25.0, 35.0, 45.0, 55.0, 65.0];
    let banded = calibrated(&head, &calibration, Some(&edges));
    let bands = banded.intervals(true).unwrap().bands.clone().unwrap();
    assert_eq!(bands.edges(), edges);
    let in_band = |head: &Head, k: usize, level: f64| {
        let all = inside(head, &new, level).into_iter();
        share(all.filter(|(value, _)| bands.band(*value) == k).map(|i| i.1))
    };
    for (k, band) in bands.bands().iter().enumerate() {
        for level in LEVELS {
            let (share, n) = in_band(&banded, k, level);
            // Four standard errors of both samples, for 24 comparisons.
            let both = 1.0 / n + 1.0 / band.n as f64;
            let chance = 4.0 * (level * (1.0 - level) * both).sqrt();
            assert!((share - level).abs() < chance, "{}, {level}: {share}", band.from);
        }
    }
    // One table covers 90 % of the mixture by all of one half and 80 % of the other.
    let one = calibrated(&head, &calibration, None);
    assert!(in_band(&one, 1, 0.9).0 < 0.84 && in_band(&one, 4, 0.9).0 > 0.97);

    // Cross-validated on the calibration's own pictures.
    let new = answers(&head, &calibration, View::Fused);
    let table = banded.intervals(true).unwrap();
    let parts = left_out(&new, &calibration, table);
    let own =
        |i: usize, level: f64| parts[calibration[i].fold()].levels_of(new[i].value).level(level);
    let scale = Scale::new(Task::Age, &head.labels);
    let found = by_band(&scale, table, (&new, &|_, level| level), (&new, &own));
    assert_eq!((found.len(), found[1].name.as_str()), (6, "25-34"));
    assert_eq!(found.iter().map(|b| b.n).sum::<usize>(), calibration.len());
    for band in &found {
        assert!((band.after[2] - 0.9).abs() < 0.06, "{band:?}");
    }
    assert!(found[1].before[2] < 0.7 && found[4].before[2] > 0.97, "{found:?}");
}

/// Bands with too few pictures are merged; a single one is no band.
#[test]
fn few_pictures_have_one_table() {
    let (head, held) = world(150, 1.0, 6);
    let table = fit(&answers(&head, &held, View::Fused), Some(&[0.0, 45.0]), "a world");
    assert_eq!((table.n, table.bands), (150, None));
}

#[test]
fn uncalibrated_intervals_of_an_overconfident_network_do_not() {
    let (head, held) = world(2000, 0.3, 1);
    let own = answers(&head, &held, View::Fused);
    let before = quality(&held, &own, &|_, level| level).coverage;
    assert!(before[2] < 0.5, "{before:?}");
    let parts = left_out(&own, &held, &fit(&own, None, ""));
    let level = |i: usize, level: f64| parts[held[i].fold()].levels.level(level);
    let after = quality(&held, &own, &level).coverage;
    assert!((after[2] - 0.9).abs() < 0.02, "{after:?}");
}

#[test]
fn halves_of_people_are_disjoint_and_of_equal_size() {
    // Names that differ in one place only, at the end or before it.
    for end in ["", ".jpg", "/0001.png"] {
        let names = (0..2000).map(|i| format!("person {i}{end}"));
        let first = names.filter(|name| in_first_half(name)).count();
        // Four standard errors.
        assert!(first.abs_diff(1000) < 90, "{end}: {first}");
    }
    // The values are part of every calibration that was made: they must not change.
    let of = |name: &str| in_first_half(name);
    assert_eq!(["a.jpg", "b.jpg", "person 7", ""].map(of), [true, true, false, false]);
}

/// A network whose estimates are four years too high below 45, on people that it has not
/// seen.
#[test]
fn a_recalibration_corrects_a_bias_that_depends_on_the_estimate() {
    let biased = |n: usize, seed: u64| {
        let (head, mut held) = world(n, 1.0, seed);
        for one in &mut held {
            if head.value(&head.decode(&one.logits[0]).unwrap()) < 45.0 {
                one.truth = (one.truth - 4.0).max(0.0);
                one.label = [one.truth; 2];
            }
        }
        (head, held)
    };
    let (head, first) = biased(1000, 31);
    let (map, errors) = recalibration(&head, &first);
    assert!(errors.after < errors.before && errors.after <= errors.cross_validated + 1e-9);
    assert!(errors.cross_validated < errors.before - 0.3, "{errors:?}");
    let calibration = Calibration { recalibration: Some(map), ..Calibration::temperature(1.0) };
    let corrected = Head { calibration: Some(calibration), ..head.clone() };
    let (_, second) = biased(2000, 32);
    let of = |head: &Head| {
        let answers = answers(head, &second, View::Fused);
        for (answer, one) in answers.iter().zip(&second) {
            let d = &answer.distribution;
            assert_eq!(answer.score, d.nonconformity_score(one.truth));
            for level in [0.05, 0.5, 0.9] {
                let i = head.interval(d, answer.value, level, true);
                assert!(head.recalibration().is_none() || i.low <= answer.value);
                assert!(head.recalibration().is_none() || answer.value <= i.high);
            }
        }
        quality(&second, &answers, &|_, level| level)
    };
    let (before, after) = (of(&head), of(&corrected));
    assert!(after.mae < before.mae - 0.3 && after.crps < before.crps, "{before:?} {after:?}");
    // The distributions were right but for the bias.
    assert!((after.coverage[2] - 0.9).abs() < 0.03, "{after:?}");
    assert!(before.coverage[2] < 0.87, "{before:?}");
}

/// Dividing the logits of a Gaussian by the square of a factor widens it by that
/// factor.
#[test]
fn the_temperature_corrects_a_wrong_spread() {
    let (head, held) = world(1500, 0.5, 4);
    let found = best_temperature(&head, &held);
    assert!((found - 4.0).abs() < 0.4, "{found}");
    let better = Head { calibration: Some(Calibration::temperature(found)), ..head.clone() };
    let with = |head| quality(&held, &answers(head, &held, View::Fused), &|_, level| level);
    assert!(with(&better).nll < with(&head).nll - 0.5);
    let covered = with(&better).coverage;
    assert!((covered[2] - 0.9).abs() < 0.03, "{covered:?}");
}

#[test]
fn levels_need_enough_pictures() {
    assert_eq!([0.5, 0.8, 0.9, 0.95, 0.99].map(pictures_needed), [1, 4, 9, 19, 99]);
    for n in 1..300 {
        let level = highest_level(n);
        assert!(pictures_needed(level) <= n, "{n}");
        assert!(level > 0.985 || pictures_needed(level + 0.01) > n, "{n}");
        // Below that level, intervals are narrower than the whole range.
        let scores: Vec<f64> = (0..n).map(|i| 0.5 * i as f64 / n as f64).collect();
        let levels = Conformal::fit(&scores).unwrap();
        assert!(levels.level(level) < 1.0, "{n}");
        assert!(level > 0.985 || levels.level(level + 0.01) == 1.0, "{n}");
    }
}

#[test]
fn unfused_intervals_use_the_crop_alone() {
    let (head, mut held) = world(50, 1.0, 5);
    let scores = |held: &[Held], view| -> Vec<f64> {
        answers(&head, held, view).iter().map(|answer| answer.score).collect()
    };
    let unfused = scores(&held, View::Unfused);
    let fused = scores(&held, View::Fused);
    assert!(unfused.iter().zip(&fused).all(|(a, b)| (a - b).abs() < 1e-9));
    held.iter_mut().for_each(|one| one.logits[1].reverse());
    assert_eq!(scores(&held, View::Unfused), unfused);
    assert_ne!(scores(&held, View::Fused), unfused);
}
