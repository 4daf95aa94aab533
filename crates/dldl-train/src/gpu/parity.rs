//! The GPU's learner against the CPU's, on Burn's CPU backend.

use burn::tensor::Device;
use dldl_net::{NetSpec, Pooling};

use super::BurnLearner;
use crate::config::OptimizerConfig;
use crate::cpu::CpuLearner;
use crate::learner::{ImageBatch, Learner};
use crate::tensor::values;
use crate::testing::{ShortTraining, numbers};

fn pair(spec: &NetSpec) -> (CpuLearner, BurnLearner) {
    let config =
        OptimizerConfig { epsilon: 1e-4, weight_decay: 0.01, ..OptimizerConfig::default() };
    let burn = BurnLearner::new(Device::flex(), spec, 3, &config, true);
    (CpuLearner::new(spec, 3, &config, true).unwrap(), burn)
}

fn assert_close(name: &str, own: &[f32], other: &[f32], tolerance: f32) {
    assert_eq!(own.len(), other.len(), "{name}");
    let scale = other.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in own.iter().zip(other).enumerate() {
        assert!((a - b).abs() < tolerance * scale, "{name} at {i}: {a} against {b} of {scale}");
    }
}

#[test]
fn initial_weights_are_equal() {
    let (cpu, burn) = pair(&NetSpec::vgg16(1, 8, 7));
    assert_eq!(cpu.save(), burn.save());
}

/// Gradients, running statistics and logits after one pass through the whole
/// network, odd sizes and widths that fill no vector included.
#[test]
fn one_pass_gives_the_same_gradients_and_statistics() {
    let odd = NetSpec {
        stages: vec![vec![5, 20], vec![20, 33], vec![40]],
        pooling: Pooling::Average,
        outputs: 7,
    };
    for (spec, size) in [(NetSpec::vgg16(1, 4, 7), 64), (odd, 44)] {
        let (mut cpu, mut burn) = pair(&spec);
        // Some scales are negative: there, the pool keeps the smallest.
        let mut tensors = cpu.weights();
        for (name, tensor) in &mut tensors {
            if name.starts_with("bn") && name.ends_with(".weight") {
                tensor.values.iter_mut().step_by(3).for_each(|v| *v = -0.5);
            }
        }
        cpu.set_weights(&tensors).unwrap();
        burn.set_weights(&tensors).unwrap();
        let pixels = numbers(5 * 3 * size * size, 1);
        let images = ImageBatch { pixels: &pixels, count: 5, size };
        let mut seen = Vec::new();
        for learner in [&mut cpu as &mut dyn Learner, &mut burn] {
            let mut loss = |logits: &[f32]| {
                seen.push(logits.to_vec());
                Ok(numbers(logits.len(), 3))
            };
            learner.accumulate_gradients(images, false, &mut loss).unwrap();
        }
        assert_close("logits", &seen[0], &seen[1], 1e-4);
        for (name, own) in cpu.gradients() {
            assert_close(name, own, &burn.gradient(name), 2e-3);
        }
        let (own, others) = (cpu.weights(), burn.weights());
        for (name, own) in own.iter().filter(|(name, _)| name.contains("running")) {
            assert_close(name, &own.values, values(&others, name), 1e-4);
        }
        burn.set_weights(&own).unwrap();
        cpu.set_weights(&own).unwrap();
        assert_close("logits in use", &cpu.logits(images), &burn.logits(images), 1e-4);
    }
}

/// Some outputs share their weights after a step, the others have their own.
#[test]
fn shared_weights_are_equal_and_training_continues() {
    let (mut cpu, mut burn) = pair(&NetSpec::vgg16(1, 16, 7));
    let training = ShortTraining { outputs: 7, size: 32, count: 4, rate: 1e-2, steps: 1 };
    for learner in [&mut cpu as &mut dyn Learner, &mut burn] {
        training.losses(learner);
        learner.share_weights(2..6);
        learner.update_ema(0.0);
    }
    let (own, others) = (cpu.weights(), burn.weights());
    assert_close("fc.weight", values(&own, "fc.weight"), values(&others, "fc.weight"), 1e-3);
    let training = ShortTraining { rate: 1e-3, steps: 3, ..training };
    let (own, other) = (training.losses(&mut cpu), training.losses(&mut burn));
    assert!(own.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-2 * b), "{own:?} {other:?}");
}

#[test]
fn fifty_steps_have_the_same_losses() {
    for (stages, size, rate) in [
        (vec![vec![16, 16], vec![32, 32]], 16, 1e-3),
        (vec![vec![16, 16], vec![32, 32]], 32, 3e-4),
        (vec![vec![16, 16], vec![32, 32], vec![64]], 32, 3e-4),
        (vec![vec![16, 16], vec![32, 32], vec![64]], 32, 1e-4),
    ] {
        let spec = NetSpec { stages, pooling: Pooling::Hybrid, outputs: 7 };
        let (mut cpu, mut burn) = pair(&spec);
        let training = ShortTraining { outputs: 7, size, count: 16, rate, steps: 50 };
        let (own, other) = (training.losses(&mut cpu), training.losses(&mut burn));
        let off = own.iter().zip(&other).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max);
        assert!(off < 0.01, "{size} pixels, rate {rate}: {off}");
        assert!(own[49] < own[0], "{} {}", own[0], own[49]);
    }
}
