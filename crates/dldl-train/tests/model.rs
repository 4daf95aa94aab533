//! The network as it is trained against the engine that uses it: the same
//! weights, the same logits.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use dldl_label::{LabelSet, Method};
use dldl_net::{Crop, Engine, ModelInfo, NetSpec, Pooling, Weights};
use dldl_train::model::AgeNet;
use dldl_train::optim::{Adam, ParamGradients, Rates};
use dldl_train::{TrainConfig, TrainError};
use rand::RngExt;

fn pixels(count: usize, size: usize) -> Vec<u8> {
    let mut rng = dldl_data::sample_rng(3, 1, 4);
    (0..3 * count * size * size).map(|_| rng.random()).collect()
}

/// Interleaved bytes to normalized planes.
fn planes(crops: &[Crop], info: &ModelInfo, device: &Device) -> Tensor<4> {
    let size = crops[0].size;
    let (mean, std) = (info.normalization.mean, info.normalization.std);
    let mut out = Vec::new();
    for crop in crops {
        for c in 0..3 {
            let channel = crop.rgb.iter().skip(c).step_by(3);
            out.extend(channel.map(|&v| (f32::from(v) / 255.0 - mean[c]) / std[c]));
        }
    }
    Tensor::from_data(TensorData::new(out, [crops.len(), 3, size, size]), device)
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

#[test]
fn logits_are_the_engines_after_some_training() {
    let device = Device::flex().autodiff();
    let labels = LabelSet::attractiveness_5();
    let spec = NetSpec::tiny_age(labels.len());
    let info = ModelInfo::new("test", spec.clone(), labels, Method::Dldl);
    let crops: Vec<Crop> = pixels(3, 64)
        .chunks_exact(3 * 64 * 64)
        .map(|rgb| Crop::new(64, rgb.to_vec()).unwrap())
        .collect();

    // Two steps, so that no tensor is at its initial value.
    let mut net = AgeNet::new(&spec, 5, &device);
    let mut adam = Adam::new(&TrainConfig::new("c", "r").optimizer);
    for _ in 0..2 {
        let logits = net.forward(planes(&crops, &info, &device), true);
        let gradients = ParamGradients::of(&net, logits.powf_scalar(2.0).sum().backward());
        adam.step(Rates { trunk: 1e-3, head: 1e-3 }, &mut net, gradients);
    }

    let tensors: BTreeMap<_, _> =
        net.to_tensors().into_iter().map(|(name, (_, values))| (name, values)).collect();
    let engine = Engine::from_weights(&Weights::new(info.clone(), tensors).unwrap()).unwrap();
    let expected: Vec<f32> = engine.logits(&crops).unwrap().concat();
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.01, "logits of nothing: {largest}");
    {
        let net = net.frozen();
        let got = values(net.forward(planes(&crops, &info, &Device::flex()), false));
        for (got, e) in got.iter().zip(&expected) {
            assert!((got - e).abs() < 1e-4 * largest.max(1.0), "{got} {e}");
        }
    }
}

#[test]
fn initial_weights_are_those_of_the_specification() {
    let spec = NetSpec::tiny_age(101);
    let device = Device::flex();
    let tensors = AgeNet::new(&spec, 1, &device).to_tensors();
    assert_eq!(tensors, AgeNet::new(&spec, 1, &device).to_tensors());
    assert_ne!(tensors, AgeNet::new(&spec, 2, &device).to_tensors());
    let shapes: BTreeMap<_, _> = spec.tensors().into_iter().collect();
    let own: BTreeMap<_, _> = tensors.iter().map(|(n, t)| (n.clone(), t.0.clone())).collect();
    assert_eq!(own, shapes);
    let weights = &tensors["conv12.weight"].1;
    let n = weights.len() as f64;
    let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
    let variance = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n;
    let expected = 2.0 / (9.0 * 128.0);
    assert!(mean.abs() < 4.0 * (expected / n).sqrt(), "{mean}");
    assert!((variance / expected - 1.0).abs() < 0.02, "{variance} {expected}");
    assert!(tensors["bn3.weight"].1.iter().all(|&g| g == 1.0));
    assert!(tensors["fc.bias"].1.iter().all(|&b| b == 0.0));
    let bound = 1.0 / 128f32.sqrt();
    let largest = tensors["fc.weight"].1.iter().fold(0.0f32, |m, w| m.max(w.abs()));
    assert!(largest <= bound && largest > 0.99 * bound, "{largest}");
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let spec = NetSpec { stages: vec![vec![16]], pooling: Pooling::Hybrid, outputs: 3 };
    let net = AgeNet::new(&spec, 1, &Device::flex());
    let whole = net.to_tensors();
    let mut missing = whole.clone();
    missing.remove("bn0.running_var");
    let mut wrong = whole;
    wrong.insert("fc.bias".into(), (vec![4], vec![0.0; 4]));
    for (tensors, word) in [(missing, "bn0.running_var"), (wrong, "fc.bias")] {
        let error = net.clone().with_tensors(&tensors).unwrap_err();
        assert!(matches!(&error, TrainError::Tensor { name, .. } if name == word), "{error}");
    }
}

#[test]
fn the_moving_average_blends_every_tensor() {
    let spec = NetSpec { stages: vec![vec![16]], pooling: Pooling::Hybrid, outputs: 3 };
    let device = Device::flex();
    let (a, b) = (AgeNet::new(&spec, 1, &device), AgeNet::new(&spec, 2, &device));
    let doubled = |net: &AgeNet| {
        let mut tensors = net.to_tensors();
        tensors.values_mut().flat_map(|t| &mut t.1).for_each(|v| *v = *v * 2.0 + 1.0);
        net.clone().with_tensors(&tensors).unwrap()
    };
    let (a, b) = (a.frozen(), doubled(&b).frozen());
    let mut mean = a.clone();
    mean.blend(&b, 0.75);
    let (a, b) = (a.to_tensors(), b.to_tensors());
    for (name, (_, got)) in mean.to_tensors() {
        for (i, got) in got.iter().enumerate() {
            let expected = 0.75 * a[&name].1[i] + 0.25 * b[&name].1[i];
            assert!((got - expected).abs() < 1e-6, "{name} {i}: {got} {expected}");
        }
    }
}
