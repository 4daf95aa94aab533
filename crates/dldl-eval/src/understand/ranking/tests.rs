use super::*;
use dldl::{Engine, Weights, models};
use dldl_net::NetSpec;

#[test]
fn curves_are_interpolated_between_labels_and_constant_outside() {
    let labels = LabelSet::new(0.0, 3.0, 1.0).unwrap();
    let curve = [0.9, 0.5, 0.1];
    let cases = [(-1.0, 1.0), (0.0, 0.9), (0.5, 0.7), (2.0, 0.1), (2.5, 0.05), (3.0, 0.0)];
    for (y, expected) in cases {
        assert!((interpolate(&labels, &curve, y) - expected).abs() < 1e-12, "{y}");
    }
}

fn head(method: &str) -> Head {
    Head::new(Task::Age, LabelSet::age(), method.parse().unwrap())
}

#[test]
fn curves_come_from_sigmoids_pairs_or_the_distribution() {
    let close = |seen: Vec<f64>, expected: f64| {
        assert_eq!(seen.len(), 100);
        assert!(seen.iter().all(|r| (r - expected).abs() < 1e-6), "{seen:?}");
    };
    // A sigmoid of ln 3 is 3/4.
    let x = 3.0_f32.ln();
    close(rank_curve(&head("ranking-bce"), &[x; 100]).unwrap(), 0.75);
    let pairs = [1.0, 1.0 + x].repeat(100);
    close(rank_curve(&head("or-cnn"), &pairs).unwrap(), 0.75);
    // All probability on the last label is above all others.
    let mut logits = [0.0; 101];
    logits[100] = 100.0;
    close(rank_curve(&head("dldl"), &logits).unwrap(), 1.0);
    let ranks = ["ranking-l2", "or-cnn", "dldl", "mr-l1"].map(|m| outputs_per_rank(&head(m)));
    assert_eq!(ranks, [Some(1), Some(2), None, None]);
}

#[test]
fn two_models_are_compared_label_by_label() {
    let shipped = Estimator::load(models::DEFAULT_MODEL).unwrap();
    let random = Weights::random("random", NetSpec::tiny_age(101)).unwrap();
    let random = Estimator::new(Engine::from_weights(&random).unwrap());
    let rgb = (0..3 * 96 * 96).map(|i| (i * 7 % 256) as u8).collect();
    let crop = Crop::new(96, rgb).unwrap();
    let crops = [vec![crop.clone()], vec![crop.clone()]];
    let rank_curves = rank_curves_of_crops(&[shipped, random], &[0, 0], &crops, "x.jpg").unwrap();
    assert_eq!((rank_curves.models.len(), rank_curves.groups.len()), (2, 1));
    let group = &rank_curves.groups[0];
    assert_eq!((group.name.as_str(), group.n, group.curves[0].len()), ("face 1", 1, 100));
    assert!(group.difference.unwrap() > 0.0 && rank_curves.aligned.is_none());
    assert!(rank_curves.models.iter().all(|m| m.violation == 0.0 && !m.ranks && m.mae.is_none()));
    // The sum of the curve is the estimate, for labels from 0 in steps of 1. (That of a model
    // with a recalibration is mapped.)
    let random = Weights::random("random", NetSpec::tiny_age(101)).unwrap();
    let fused = Engine::from_weights(&random).unwrap().flip_fusion(true);
    let estimate = fused.run(&[crop]).unwrap()[0][0].distribution.expectation();
    assert!((group.curves[1].iter().sum::<f64>() - estimate).abs() < 1e-9);
    let text = serde_json::to_string(&rank_curves).unwrap();
    let loaded: RankCurves = serde_json::from_str(&text).unwrap();
    assert_eq!(loaded.models, rank_curves.models);
    // Older files name two fields differently.
    let old = text.replace("\"violation\"", "\"rises\"").replace("\"difference\"", "\"apart\"");
    assert_eq!(serde_json::from_str::<RankCurves>(&old).unwrap(), loaded);
}
