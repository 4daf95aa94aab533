use dldl_label::{Bands, Conformal};

use super::*;
use crate::{Crop, Engine, NetSpec, Precision, Weights};

fn two_heads() -> Weights {
    let one = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
    let mut info = one.info.clone();
    info.net.outputs = 101 + 41;
    let mut second = Head::new(Task::Attractiveness, LabelSet::attractiveness_5(), Method::Dldl);
    second.calibration = Some(Calibration::temperature(2.0));
    info.heads.push(second);
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let count: usize = shape.iter().product();
        let own = one.info.net.tensors();
        let old = own.iter().any(|(n, _)| *n == name).then(|| one.tensor(&name));
        let mut values = old.unwrap_or_default().to_vec();
        // The second head's values repeat some of the first's.
        values.extend_from_within(..count - values.len());
        (name, values)
    };
    let tensors = info.net.tensors().into_iter().map(tensor).collect();
    Weights::new(info, tensors).unwrap()
}

fn table() -> IntervalCalibration {
    let scores: Vec<f64> = (1..=999).map(|i| 0.5 + f64::from(i) / 2000.0).collect();
    let levels = Conformal::fit(&scores).unwrap();
    IntervalCalibration { on: "faces, val split".into(), n: 999, levels, bands: None }
}

fn crop() -> Crop {
    Crop::new(64, (0..3 * 64 * 64).map(|i| (i % 251) as u8).collect()).unwrap()
}

#[test]
fn calibrated_intervals_apply_to_the_matching_kind_of_estimate_only() {
    let d = Distribution::gaussian(&LabelSet::age(), 30.0, 2.0).unwrap();
    let mut head = two_heads().info.heads.remove(0);
    let ends = |level| {
        let (low, high) = d.conformal_interval(level);
        Interval { level: 0.9, low, high }
    };
    assert_eq!(head.interval(&d, 30.0, 0.9, true), ends(0.9));
    let intervals = IntervalTables { fused: Some(table()), unfused: None };
    head.calibration = Some(Calibration { intervals, ..Calibration::temperature(1.0) });
    // The 900th of 999 scores.
    assert_eq!(head.interval(&d, 30.0, 0.9, true), ends(0.95));
    assert_eq!(head.interval(&d, 30.0, 0.9, false), ends(0.9));

    let mut weights = two_heads();
    weights.info.heads[0].calibration = head.calibration.clone();
    let plain = Engine::from_weights(&weights).unwrap();
    let estimate = plain.run(&[crop()]).unwrap().remove(0).remove(0);
    assert!(!estimate.is_calibrated());
    let fused = plain.flip_fusion(true).run(&[crop()]).unwrap().remove(0).remove(0);
    assert!(fused.is_calibrated());
    let (low, high) = fused.distribution.conformal_interval(0.95);
    assert_eq!(fused.interval(0.9), Interval { level: 0.9, low, high });
}

/// The band follows from the estimate, not from the distribution's own mean.
#[test]
fn levels_by_band_follow_the_estimate() {
    let scores: Vec<f64> = (1..=200).map(|i| f64::from(i) / 200.0).collect();
    let estimates: Vec<f64> = scores.iter().map(|s| 100.0 * s).collect();
    let bands = Bands::fit(&[0.0, 50.0], &estimates, &scores, 50).unwrap();
    let banded = IntervalCalibration { bands: Some(bands.clone()), ..table() };
    let mut weights = two_heads();
    let intervals = IntervalTables { fused: None, unfused: Some(banded) };
    let calibration = Calibration { intervals, ..Calibration::temperature(1.0) };
    weights.info.heads[0].calibration = Some(calibration);
    let head = &weights.info.heads[0];
    let d = Distribution::gaussian(&LabelSet::age(), 50.0, 2.0).unwrap();
    let ends = |own| {
        let (low, high) = d.conformal_interval(own);
        Interval { level: 0.5, low: low.min(49.9), high }
    };
    let [young, old] = [49.9, 50.0].map(|value| bands.levels(value).level(0.5));
    assert!(young < 0.3 && old > 0.7);
    assert_eq!(head.interval(&d, 49.9, 0.5, false), ends(young));
    assert_eq!(head.interval(&d, 50.0, 0.5, false), ends(old));
    // Not for the other kind of distribution.
    assert_eq!(head.interval(&d, 49.9, 0.5, true), ends(0.5));

    let text = serde_json::to_string(&weights.info).unwrap();
    assert!(text.contains(r#""bands":[{"from":0.0,"n":99,"#), "{text}");
    assert_eq!(serde_json::from_str::<ModelInfo>(&text).unwrap(), weights.info);
    let engine = Engine::from_weights(&weights).unwrap();
    let estimate = engine.run(&[crop()]).unwrap().remove(0).remove(0);
    let own = bands.levels(estimate.value).level(0.8);
    let (low, high) = estimate.distribution.conformal_interval(own);
    let (low, high) = (low.min(estimate.value), high.max(estimate.value));
    assert_eq!(estimate.interval(0.8), Interval { level: 0.8, low, high });
}

#[test]
fn heads_are_written_and_read_and_check_their_tables() {
    let mut head = two_heads().info.heads.remove(0);
    let intervals = IntervalTables { fused: Some(table()), unfused: Some(table()) };
    head.calibration = Some(Calibration { intervals, ..Calibration::temperature(1.0) });
    let text = serde_json::to_string(&head).unwrap();
    assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
    let text = text.replace(r#""levels":["#, r#""levels":[2.0,"#);
    assert!(serde_json::from_str::<Head>(&text).is_err());
}

#[test]
fn each_head_decodes_its_own_outputs() {
    let weights = two_heads();
    let bytes = weights.to_bytes(Precision::F32).unwrap();
    assert_eq!(Weights::from_bytes(&bytes).unwrap(), weights);
    assert_eq!(weights.info.output_ranges(), [0..101, 101..142]);

    let engine = Engine::from_bytes(&bytes).unwrap();
    let crops = [crop()];
    let both = engine.run(&crops).unwrap().remove(0);
    assert_eq!(both.len(), 2);
    let alone = Weights::random("one", NetSpec::vgg16(1, 16, 101)).unwrap();
    let alone = Engine::from_weights(&alone).unwrap();
    assert_eq!(alone.run(&crops).unwrap()[0][0], both[0]);
    let logits = engine.logits(&crops).unwrap().remove(0);
    let halved: Vec<f32> = logits[101..].iter().map(|v| v / 2.0).collect();
    let expected = Method::Dldl.decode(&LabelSet::attractiveness_5(), &halved).unwrap();
    assert_eq!((both[1].task, both[1].std), (Task::Attractiveness, expected.std()));
    assert_eq!(both[1].distribution, expected);
    // Flip fusion averages every head's distributions.
    let mirrored = engine.run(&[crops[0].flipped()]).unwrap().remove(0);
    let fused = engine.flip_fusion(true).run(&crops).unwrap().remove(0);
    for ((a, b), fused) in both.iter().zip(&mirrored).zip(&fused) {
        let pair = [a.distribution.clone(), b.distribution.clone()];
        assert_ne!(pair[0], pair[1]);
        assert_eq!(fused.distribution, Distribution::average(&pair).unwrap());
    }
}

/// The estimate is the mean of two counts, the distribution the average of two.
#[test]
fn flip_fusion_of_counts_is_the_mean_of_two_counts() {
    let mut weights = Weights::random("ranks", NetSpec::vgg16(1, 16, 101)).unwrap();
    let labels = LabelSet::new(0.0, 101.0, 1.0).unwrap();
    weights.info.heads = vec![Head::new(Task::Age, labels, Method::RankingBce)];
    let engine = Engine::from_weights(&weights).unwrap();
    let views = [crop(), crop().flipped()];
    let both = views.clone().map(|view| engine.run(&[view]).unwrap().remove(0).remove(0));
    let [plain, mirrored] = both.map(|one| (one.value, one.distribution));
    let fused = engine.flip_fusion(true).run(&views[..1]).unwrap().remove(0).remove(0);
    assert_ne!(plain.0, mirrored.0);
    assert_eq!(fused.value, 0.5 * (plain.0 + mirrored.0));
    let average = Distribution::average(&[plain.1, mirrored.1]).unwrap();
    assert_eq!(fused.distribution, average);
}

fn recalibrated(nodes: &[[f64; 2]]) -> Calibration {
    let recalibration = Some(Recalibration::try_from(nodes.to_vec()).unwrap());
    Calibration { recalibration, ..Calibration::temperature(1.0) }
}

/// Estimate and distribution move by the same map, and intervals hold the estimate
/// even at level 0.
#[test]
fn recalibration_corrects_the_answer() {
    let mut weights = two_heads();
    let before = Engine::from_weights(&weights).unwrap().flip_fusion(true);
    let before = before.run(&[crop()]).unwrap().remove(0);
    let nodes = [[0.0, 0.0], [40.0, 30.0], [60.0, 70.0], [100.0, 100.0]];
    weights.info.heads[0].calibration = Some(recalibrated(&nodes));
    let bytes = weights.to_bytes(Precision::F32).unwrap();
    assert_eq!(Weights::from_bytes(&bytes).unwrap(), weights);
    let engine = Engine::from_bytes(&bytes).unwrap().flip_fusion(true);
    let after = engine.run(&[crop()]).unwrap().remove(0);
    let head = &weights.info.heads[0];
    let map = head.recalibration().unwrap();
    assert_eq!(after[0].value, map.value(before[0].value));
    assert_ne!(after[0].value, before[0].value);
    assert_eq!(after[0].distribution, map.distribution(&before[0].distribution));
    assert_eq!(after[0].std, after[0].distribution.std());
    assert_eq!(after[1], before[1]);
    for level in [0.0, 0.1, 0.5, 0.9, 1.0] {
        let Interval { low, high, .. } = after[0].interval(level);
        assert!(low <= after[0].value && after[0].value <= high, "{level}: {low} {high}");
        let same = head.interval(&after[0].distribution, after[0].value, level, true);
        assert_eq!(after[0].interval(level), same);
    }
    // A plain distribution, decoded by hand.
    let logits = engine.logits(&[crop()]).unwrap().remove(0);
    let plain = head.decode(&logits[..101]).unwrap();
    let alone = engine.flip_fusion(false).run(&[crop()]).unwrap().remove(0).remove(0);
    assert_eq!((alone.value, &alone.distribution), (head.value(&plain), &map.distribution(&plain)));
    assert_eq!(head.answer(&[plain]).unwrap(), (alone.value, alone.distribution));
}

#[test]
fn recalibrations_of_other_labels_are_rejected() {
    let mut info = two_heads().info;
    let nodes = [[0.0, 0.0], [50.0, 40.0], [100.0, 100.0]];
    info.heads[0].calibration = Some(recalibrated(&nodes));
    assert!(info.check().is_ok());
    info.heads[1].calibration = info.heads[0].calibration.clone();
    let error = info.check().unwrap_err().to_string();
    assert!(error.contains("attractiveness"), "{error}");
}

#[test]
fn removing_interval_calibration_keeps_temperatures() {
    let mut info = two_heads().info;
    let intervals = || IntervalTables { fused: Some(table()), unfused: None };
    for (task, temperature) in [(Task::Age, 1.0), (Task::Attractiveness, 4.0)] {
        let head = info.head_mut(task).unwrap();
        let intervals = intervals();
        head.calibration = Some(Calibration { intervals, ..Calibration::temperature(temperature) });
    }
    info.remove_interval_calibration();
    assert_eq!(info.head(Task::Age).unwrap().calibration, None);
    let kept = Some(Calibration::temperature(4.0));
    assert_eq!(info.head(Task::Attractiveness).unwrap().calibration, kept);
    assert!(info.head(Task::RealAge).is_none());
    let kept = recalibrated(&[[0.0, 0.0], [50.0, 40.0], [100.0, 100.0]]);
    let intervals = intervals();
    info.heads[0].calibration = Some(Calibration { intervals, ..kept.clone() });
    info.remove_interval_calibration();
    assert_eq!(info.heads[0].calibration, Some(kept));
}

#[test]
fn heads_that_do_not_match_are_rejected() {
    let good = two_heads().info;
    assert!(good.check().is_ok());
    let mut same = good.clone();
    same.heads[1].task = Task::Age;
    assert!(same.check().unwrap_err().to_string().contains("age"));
    let mut few = good.clone();
    few.net.outputs = 101;
    assert!(few.check().unwrap_err().to_string().contains("142"));
    let mut none = good.clone();
    none.heads.clear();
    assert!(none.check().is_err());
    let mut cold = good;
    cold.heads[1].calibration = Some(Calibration::temperature(0.0));
    assert!(cold.check().is_err());
}
