//! The learner on the CPU's kernels against Burn's plain operations.

use burn::tensor::Device;
use dldl_net::{NetSpec, Pooling};

use super::*;
use crate::learner::BurnLearner;

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i + seed) * 7919 % 10007) as f32 / 5000.0 - 1.0).collect()
}

/// A cross entropy with fixed targets, and its gradient.
fn cross_entropy(logits: &[f32], outputs: usize) -> (f64, Vec<f32>) {
    let rows = logits.len() / outputs;
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (i, row) in logits.chunks(outputs).enumerate() {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = row.iter().map(|x| (x - largest).exp()).sum();
        let target = (i * 5) % outputs;
        loss -= f64::from(row[target] - largest - total.ln()) / rows as f64;
        for (o, x) in row.iter().enumerate() {
            let p = (x - largest).exp() / total - if o == target { 1.0 } else { 0.0 };
            gradient.push(p / rows as f32);
        }
    }
    (loss, gradient)
}

/// The losses of some steps, on batches of their own.
fn curve(
    learner: &mut dyn Learner,
    outputs: usize,
    size: usize,
    count: usize,
    rate: f64,
    steps: usize,
) -> Vec<f64> {
    let step = |step: usize| {
        let pixels = numbers(count * 3 * size * size, 100 * (step % 5));
        let pictures = Pictures { pixels: &pixels, count, size };
        let mut value = 0.0;
        let mut loss = |logits: &[f32]| {
            let (loss, gradient) = cross_entropy(logits, outputs);
            value = loss;
            Ok(gradient)
        };
        learner.learn(pictures, false, &mut loss).unwrap();
        learner.apply(Rates { trunk: rate, head: rate });
        learner.average(0.9);
        value
    };
    (0..steps).map(step).collect()
}

fn pair(spec: &NetSpec) -> (CpuLearner, BurnLearner) {
    let config =
        OptimizerConfig { epsilon: 1e-4, weight_decay: 0.01, ..OptimizerConfig::default() };
    let burn = BurnLearner::new(Device::flex(), spec, 3, &config, true);
    (CpuLearner::new(spec, 3, &config, true), burn)
}

/// Gradients, running statistics and logits after one pass, through the whole
/// network, odd sizes and widths that fill no vector included.
#[test]
fn one_pass_is_burns() {
    let odd = NetSpec {
        stages: vec![vec![5, 20], vec![20, 33], vec![40]],
        pooling: Pooling::Average,
        outputs: 7,
    };
    for (spec, size) in [(NetSpec::vgg16(1, 4, 7), 64), (odd, 44)] {
        let (mut cpu, mut burn) = pair(&spec);
        // Some scales are negative: there, the pool keeps the smallest.
        let mut tensors = cpu.weights();
        for (name, (_, values)) in &mut tensors {
            if name.starts_with("bn") && name.ends_with(".weight") {
                values.iter_mut().step_by(3).for_each(|v| *v = -0.5);
            }
        }
        cpu.set_weights(&tensors).unwrap();
        burn.set_weights(&tensors).unwrap();
        let pixels = numbers(5 * 3 * size * size, 1);
        let pictures = Pictures { pixels: &pixels, count: 5, size };
        let mut seen = Vec::new();
        for learner in [&mut cpu as &mut dyn Learner, &mut burn] {
            let mut loss = |logits: &[f32]| {
                seen.push(logits.to_vec());
                Ok(numbers(logits.len(), 3))
            };
            learner.learn(pictures, false, &mut loss).unwrap();
        }
        close("logits", &seen[0], &seen[1], 1e-4);
        for (name, own) in &cpu.waiting {
            close(name, own, &burn.gradient(name), 2e-3);
        }
        let (own, others) = (cpu.weights(), burn.weights());
        for (name, (_, own)) in own.iter().filter(|(name, _)| name.contains("running")) {
            close(name, own, &others[name].1, 1e-4);
        }
        burn.set_weights(&own).unwrap();
        cpu.set_weights(&own).unwrap();
        close("logits in use", &cpu.logits(pictures), &burn.logits(pictures), 1e-4);
    }
}

/// Some outputs share their weights after a step, the others have their own.
#[test]
fn shared_weights_are_burns() {
    let (mut cpu, mut burn) = pair(&NetSpec::vgg16(1, 16, 7));
    for learner in [&mut cpu as &mut dyn Learner, &mut burn] {
        curve(learner, 7, 32, 4, 1e-2, 1);
        learner.share_weights(2..6);
        learner.average(0.0);
    }
    let (own, others) = (cpu.weights(), burn.weights());
    close("fc.weight", values(&own, "fc.weight"), values(&others, "fc.weight"), 1e-3);
    let rows: Vec<&[f32]> = values(&own, "fc.weight").chunks(32).collect();
    assert!(rows[2..6].windows(2).all(|pair| pair[0] == pair[1]));
    assert!(rows[1] != rows[2] && rows[5] != rows[6]);
    // It learns on, on either.
    let steps = |learner: &mut dyn Learner| curve(learner, 7, 32, 4, 1e-3, 3);
    let (ours, theirs) = (steps(&mut cpu), steps(&mut burn));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-2 * b), "{ours:?} {theirs:?}");
}

fn close(name: &str, own: &[f32], other: &[f32], tolerance: f32) {
    assert_eq!(own.len(), other.len(), "{name}");
    let scale = other.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, (a, b)) in own.iter().zip(other).enumerate() {
        assert!((a - b).abs() < tolerance * scale, "{name} at {i}: {a} against {b} of {scale}");
    }
}

#[test]
fn fifty_steps_are_burns() {
    for (stages, size, count, rate, pooling) in [
        (vec![vec![16, 16], vec![32, 32]], 16, 16, 1e-3, Pooling::Hybrid),
        (vec![vec![16, 16], vec![32, 32]], 32, 16, 3e-4, Pooling::Hybrid),
        (vec![vec![16, 16], vec![32, 32], vec![64]], 32, 16, 3e-4, Pooling::Hybrid),
        (vec![vec![16, 16], vec![32, 32], vec![64]], 32, 16, 1e-4, Pooling::Hybrid),
    ] {
        let spec = NetSpec { stages, pooling, outputs: 7 };
        let (mut cpu, mut burn) = pair(&spec);
        let other = curve(&mut burn, 7, size, count, rate, 50);
        let own = curve(&mut cpu, 7, size, count, rate, 50);
        eprintln!(
            "{size} {count} {rate} {} {} {:?}",
            own[0],
            own[49],
            own.iter().zip(&other).map(|(a, b)| ((a - b) / b).abs() as f32).fold(0.0, f32::max)
        );
    }
}

#[test]
fn threads_do_not_change_a_bit_and_a_checkpoint_goes_on() {
    let spec = NetSpec::vgg16(1, 4, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (mut cpu, _) = pair(&spec);
            let mut losses = curve(&mut cpu, 5, 64, 6, 1e-3, 2);
            let (mut other, _) = pair(&spec);
            other.load(&cpu.save()).unwrap();
            losses.extend(curve(&mut other, 5, 64, 6, 1e-3, 2));
            (losses, other.save())
        })
    };
    let whole = {
        let (mut cpu, _) = pair(&spec);
        curve(&mut cpu, 5, 64, 6, 1e-3, 2);
        curve(&mut cpu, 5, 64, 6, 1e-3, 2);
        cpu.save()
    };
    let one = run(1);
    assert_eq!(one.1, whole);
    assert_eq!(one, run(3));
    assert_eq!(one, run(8));
}

#[test]
fn a_frozen_trunk_rests() {
    let (mut cpu, _) = pair(&NetSpec::vgg16(1, 4, 5));
    let before = cpu.weights();
    let pixels = numbers(2 * 3 * 32 * 32, 9);
    let pictures = Pictures { pixels: &pixels, count: 2, size: 32 };
    let mut loss = |logits: &[f32]| Ok(numbers(logits.len(), 3));
    cpu.learn(pictures, true, &mut loss).unwrap();
    cpu.apply(Rates { trunk: 0.1, head: 0.1 });
    for (name, tensor) in cpu.weights() {
        assert_eq!(tensor == before[&name], !name.starts_with("fc."), "{name}");
    }
}

#[test]
fn tensors_of_another_shape_are_named() {
    let (mut cpu, _) = pair(&NetSpec::vgg16(1, 4, 5));
    let whole = cpu.save();
    for name in ["conv3.weight", "ema.bn2.bias"] {
        let mut tensors = whole.clone();
        tensors.get_mut(name).unwrap().0.push(1);
        let message = cpu.load(&tensors).unwrap_err().to_string();
        assert!(message.contains(name.trim_start_matches("ema.")), "{message}");
    }
}
