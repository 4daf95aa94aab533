//! The engine compared with PyTorch (values of tools/golden_net.py), and its guarantees.

mod common;

use common::{crop, model};
use dldl_net::{Calibration, Crop, Engine, NetError, NetSpec, Pooling, Precision, Weights};

#[derive(serde::Deserialize)]
struct Golden {
    net: String,
    pooling: Pooling,
    size: usize,
    seed: u64,
    logits: Vec<f64>,
    fused_expectation: f64,
}

#[test]
fn outputs_match_pytorch() {
    let golden: Vec<Golden> = serde_json::from_str(include_str!("data/golden.json")).unwrap();
    assert_eq!(golden.len(), 4);
    for case in golden {
        let mut net = match case.net.as_str() {
            "tiny-age" => NetSpec::tiny_age(101),
            "thin-age" => NetSpec::thin_age(101),
            other => panic!("unknown network {other}"),
        };
        net.pooling = case.pooling;
        let engine = Engine::from_weights(&model(net, case.seed)).unwrap().flip_fusion(true);
        let crops = [crop(case.size, case.seed)];
        let logits = &engine.logits(&crops).unwrap()[0];
        assert_eq!(logits.len(), case.logits.len());
        for (k, (got, expected)) in logits.iter().zip(&case.logits).enumerate() {
            let difference = (f64::from(*got) - expected).abs();
            assert!(difference < 1e-4, "{} output {k}: {got} instead of {expected}", case.net);
        }
        let fused = engine.run(&crops).unwrap()[0][0].distribution.expectation();
        assert!((fused - case.fused_expectation).abs() < 1e-3, "{}: {fused}", case.net);
    }
}

fn tiny() -> Weights {
    model(NetSpec::tiny_age(101), 7)
}

fn crops(sizes: &[usize]) -> Vec<Crop> {
    sizes.iter().enumerate().map(|(i, &size)| crop(size, 20 + i as u64)).collect()
}

#[test]
fn results_are_identical_for_all_thread_counts_and_batches() {
    let crops = crops(&[64, 96, 32, 64, 128]);
    let engine = |threads| Engine::from_weights(&tiny()).unwrap().threads(threads).unwrap();
    let one = engine(1).run(&crops).unwrap();
    assert_eq!(engine(3).run(&crops).unwrap(), one);
    assert_eq!(engine(0).run(&crops).unwrap(), one);
    for (crop, together) in crops.iter().zip(&one) {
        assert_eq!(&engine(2).run(std::slice::from_ref(crop)).unwrap()[0], together);
    }
    assert!(engine(2).run(&[]).unwrap().is_empty());
}

#[test]
fn flip_fusion_is_symmetric() {
    let engine = Engine::from_weights(&tiny()).unwrap();
    let crop = crop(64, 3);
    let pair = [crop.clone(), crop.flipped()];
    let plain = engine.run(&pair).unwrap();
    assert!((plain[0][0].value - plain[1][0].value).abs() > 1e-3);
    let fused = engine.flip_fusion(true).run(&pair).unwrap();
    let mean = (plain[0][0].value + plain[1][0].value) / 2.0;
    assert!((fused[0][0].value - fused[1][0].value).abs() < 1e-9);
    assert!((fused[0][0].value - mean).abs() < 1e-9);
}

#[test]
fn temperatures_divide_the_logits() {
    let mut weights = tiny();
    let crops = crops(&[64]);
    let run = |weights: &Weights| {
        let engine = Engine::from_weights(weights).unwrap();
        engine.run(&crops).unwrap().remove(0).remove(0).distribution
    };
    let plain = run(&weights);
    weights.info.heads[0].calibration = Some(Calibration::temperature(2.0));
    let cooled = run(&weights);
    let log_ratio = |p: &[f64]| (p[10] / p[90]).ln();
    let (a, b) = (log_ratio(plain.probabilities()), log_ratio(cooled.probabilities()));
    assert!((a - 2.0 * b).abs() < 1e-5, "{a} is not twice {b}");
    assert!(cooled.entropy() > plain.entropy());
}

#[test]
fn half_precision_changes_ages_little() {
    let weights = tiny();
    let halves = Weights::from_bytes(&weights.to_bytes(Precision::F16).unwrap()).unwrap();
    let crops = crops(&[64, 96]);
    let full = Engine::from_weights(&weights).unwrap().run(&crops).unwrap();
    let half = Engine::from_weights(&halves).unwrap().run(&crops).unwrap();
    assert_ne!(full, half);
    for (a, b) in full.iter().zip(&half) {
        assert!((a[0].value - b[0].value).abs() < 0.1);
    }
}

#[test]
fn errors_name_crops_of_the_wrong_size() {
    let engine = Engine::from_weights(&tiny()).unwrap();
    let bad = Crop::new(100, vec![0; 30_000]).unwrap();
    let message = match engine.run(&[crop(64, 1), bad]) {
        Err(NetError::Crop(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(message.contains("crop 1") && message.contains("multiple of 32"), "{message}");
}

#[test]
fn infinite_outputs_are_an_error() {
    let mut tensors = std::collections::BTreeMap::new();
    let good = tiny();
    for (name, _) in good.info.net.tensors() {
        tensors.insert(name.clone(), good.tensor(&name).to_vec());
    }
    tensors.get_mut("fc.weight").unwrap().fill(3e38);
    let engine = Engine::from_weights(&Weights::new(good.info, tensors).unwrap()).unwrap();
    assert!(matches!(engine.run(&crops(&[64])), Err(NetError::Label(_))));
}

/// Class activation maps depend on this (specification 5.7).
#[test]
fn logits_are_the_head_applied_to_the_mean_feature_map() {
    for pooling in [Pooling::Hybrid, Pooling::Average] {
        let mut net = NetSpec::tiny_age(101);
        net.pooling = pooling;
        let weights = model(net, 5);
        let engine = Engine::from_weights(&weights).unwrap();
        let crop = crop(96, 4);
        let map = engine.feature_map(&crop, false).unwrap();
        let side = if pooling == Pooling::Hybrid { 3 } else { 6 };
        assert_eq!((map.height, map.width, map.values.len()), (side, side, 128 * side * side));
        assert!(map.values.iter().all(|v| *v >= 0.0) && map.values.iter().any(|v| *v > 0.0));
        let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
        let features: Vec<f32> = map.values.chunks(side * side).map(mean).collect();
        assert_eq!(engine.head_weight().unwrap(), weights.tensor("fc.weight"));
        let rows = engine.head_weight().unwrap().chunks(128).zip(weights.tensor("fc.bias"));
        let logits = &engine.logits(std::slice::from_ref(&crop)).unwrap()[0];
        assert_eq!(&map.logits, logits);
        for ((row, bias), logit) in rows.zip(logits) {
            let expected = row.iter().zip(&features).map(|(w, f)| w * f).sum::<f32>() + bias;
            assert!(
                (expected - logit).abs() < 1e-4 * (1.0 + logit.abs()),
                "{logit} instead of {expected}"
            );
        }
        let mirrored = engine.feature_map(&crop, true).unwrap();
        assert_eq!(mirrored, engine.feature_map(&crop.flipped(), false).unwrap());
        assert_ne!(mirrored, map);
    }
}

#[test]
fn quantized_models_reject_feature_maps() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../dldl/models/tiny-int8.safetensors");
    let engine = Engine::load(path).unwrap();
    let error = engine.feature_map(&crop(96, 4), false).unwrap_err().to_string();
    assert!(error.contains("tiny-int8") && error.contains("quantized"), "{error}");
    assert!(engine.head_weight().is_err());
}
