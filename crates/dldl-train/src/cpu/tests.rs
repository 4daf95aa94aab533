//! The CPU learner on its own. That its numbers are those of a framework is tested
//! in `gpu::parity`.

use dldl_label::{LabelSet, Method};
use dldl_net::{Crop, Engine, ModelInfo, NetSpec, Weights};

use super::*;
use crate::testing::{ShortTraining, numbers};

fn learner(spec: &NetSpec) -> CpuLearner {
    let config =
        OptimizerConfig { epsilon: 1e-4, weight_decay: 0.01, ..OptimizerConfig::default() };
    CpuLearner::new(spec, 3, &config, true).unwrap()
}

#[test]
fn trained_weights_give_the_engine_the_same_logits() {
    let labels = LabelSet::attractiveness_5();
    let spec = NetSpec::vgg16(1, 8, labels.len());
    let mut cpu = learner(&spec);
    // No tensor is at its initial value.
    let training =
        ShortTraining { outputs: labels.len(), size: 64, count: 3, rate: 1e-3, steps: 2 };
    training.losses(&mut cpu);
    cpu.update_ema(0.0);

    let info = ModelInfo::new("test", spec, labels, Method::Dldl);
    let crop = |i: usize| {
        let rgb = (0..3 * 64 * 64).map(|j| ((i + j) * 7919 % 256) as u8).collect();
        Crop::new(64, rgb).unwrap()
    };
    let crops: Vec<Crop> = (0..3).map(crop).collect();
    let mut pixels = Vec::new();
    for crop in &crops {
        let (mean, std) = (info.normalization.mean, info.normalization.std);
        for c in 0..3 {
            let channel = crop.rgb().iter().skip(c).step_by(3);
            pixels.extend(channel.map(|&v| (f32::from(v) / 255.0 - mean[c]) / std[c]));
        }
    }
    let own = cpu.logits(ImageBatch { pixels: &pixels, count: 3, size: 64 });
    let tensors = cpu.weights().into_iter().map(|(name, t)| (name, t.values)).collect();
    let engine = Engine::from_weights(&Weights::new(info, tensors).unwrap()).unwrap();
    let expected: Vec<f32> = engine.logits(&crops).unwrap().concat();
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.01, "logits of nothing: {largest}");
    for (got, e) in own.iter().zip(&expected) {
        assert!((got - e).abs() < 1e-4 * largest.max(1.0), "{got} {e}");
    }
}

#[test]
fn threads_and_checkpoints_do_not_change_a_bit() {
    let spec = NetSpec::vgg16(1, 4, 5);
    let training = ShortTraining { outputs: 5, size: 64, count: 6, rate: 1e-3, steps: 2 };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut cpu = learner(&spec);
            let mut losses = training.losses(&mut cpu);
            let mut other = learner(&spec);
            other.load(&cpu.save()).unwrap();
            losses.extend(training.losses(&mut other));
            (losses, other.save())
        })
    };
    let mut whole = learner(&spec);
    training.losses(&mut whole);
    training.losses(&mut whole);
    let one = run(1);
    assert_eq!(one.1, whole.save());
    assert_eq!(one, run(3));
    assert_eq!(one, run(8));
}

#[test]
fn outputs_with_shared_weights_get_the_same_row() {
    let mut cpu = learner(&NetSpec::vgg16(1, 16, 7));
    ShortTraining { outputs: 7, size: 32, count: 4, rate: 1e-2, steps: 1 }.losses(&mut cpu);
    cpu.share_weights(2..6);
    let weights = cpu.weights();
    let rows: Vec<&[f32]> = values(&weights, "fc.weight").chunks(32).collect();
    assert!(rows[2..6].windows(2).all(|pair| pair[0] == pair[1]));
    assert!(rows[1] != rows[2] && rows[5] != rows[6]);
}

#[test]
fn a_frozen_trunk_keeps_its_weights_and_statistics() {
    let mut cpu = learner(&NetSpec::vgg16(1, 4, 5));
    let before = cpu.weights();
    let pixels = numbers(2 * 3 * 32 * 32, 9);
    let images = ImageBatch { pixels: &pixels, count: 2, size: 32 };
    let mut loss = |logits: &[f32]| Ok(numbers(logits.len(), 3));
    cpu.accumulate_gradients(images, true, &mut loss).unwrap();
    cpu.optimizer_step(LearningRates { trunk: 0.1, head: 0.1 });
    for (name, tensor) in cpu.weights() {
        assert_eq!(tensor == before[&name], !name.starts_with("fc."), "{name}");
    }
}

#[test]
fn tensors_of_another_shape_are_refused_by_name() {
    let mut cpu = learner(&NetSpec::vgg16(1, 4, 5));
    let whole = cpu.save();
    for name in ["conv3.weight", "ema.bn2.bias"] {
        let mut tensors = whole.clone();
        tensors.get_mut(name).unwrap().shape.push(1);
        let message = cpu.load(&tensors).unwrap_err().to_string();
        assert!(message.contains(name.trim_start_matches("ema.")), "{message}");
    }
}
