//! Random initial weights (specification 2.1).

use dldl_data::sample_rng;
use dldl_net::NetSpec;
use rand::RngExt;

use crate::tensor::{NamedTensors, Tensor};

/// All tensors of a network before its first step, by their names in the weights
/// file: convolutions from N(0, 2 / (9 out)), batch normalization at scale 1 and
/// shift 0 with running statistics 0 and 1, the head's weight from
/// U(-1/sqrt(C), 1/sqrt(C)) and its bias 0. The same `seed` gives the same bits on
/// every device.
pub fn initial_weights(spec: &NetSpec, seed: u64) -> NamedTensors {
    // Epochs count up from 0, so no sample's augmentation uses this stream.
    let mut rng = sample_rng(seed, u64::MAX, 0);
    let mut tensors = NamedTensors::new();
    let mut inputs = 3;
    for (i, (outputs, _)) in spec.layers().into_iter().enumerate() {
        let std = (2.0 / (9 * outputs) as f64).sqrt();
        let weight = (0..outputs * inputs * 9).map(|_| (normal(&mut rng) * std) as f32).collect();
        tensors.insert(format!("conv{i}.weight"), Tensor::new([outputs, inputs, 3, 3], weight));
        tensors.insert(format!("bn{i}.weight"), Tensor::full([outputs], 1.0));
        tensors.insert(format!("bn{i}.bias"), Tensor::full([outputs], 0.0));
        tensors.insert(format!("bn{i}.running_mean"), Tensor::full([outputs], 0.0));
        tensors.insert(format!("bn{i}.running_var"), Tensor::full([outputs], 1.0));
        inputs = outputs;
    }
    let bound = 1.0 / (inputs as f32).sqrt();
    let outputs = spec.outputs();
    let weight = (0..outputs * inputs).map(|_| rng.random_range(-bound..bound)).collect();
    tensors.insert("fc.weight".into(), Tensor::new([outputs, inputs], weight));
    tensors.insert("fc.bias".into(), Tensor::full([outputs], 0.0));
    tensors
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut impl RngExt) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn initial_weights_follow_the_specification() {
        let spec = NetSpec::tiny_age(101);
        let tensors = initial_weights(&spec, 1);
        assert_eq!(tensors, initial_weights(&spec, 1));
        assert_ne!(tensors, initial_weights(&spec, 2));
        let shapes: BTreeMap<_, _> = spec.tensors().into_iter().collect();
        let own: BTreeMap<_, _> =
            tensors.iter().map(|(name, t)| (name.clone(), t.shape.clone())).collect();
        assert_eq!(own, shapes);
        let weights = &tensors["conv12.weight"].values;
        let n = weights.len() as f64;
        let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / n;
        let variance = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / n;
        let expected = 2.0 / (9.0 * 128.0);
        assert!(mean.abs() < 4.0 * (expected / n).sqrt(), "{mean}");
        assert!((variance / expected - 1.0).abs() < 0.02, "{variance} {expected}");
        assert!(tensors["bn3.weight"].values.iter().all(|&g| g == 1.0));
        assert!(tensors["fc.bias"].values.iter().all(|&b| b == 0.0));
        let bound = 1.0 / 128f32.sqrt();
        let largest = tensors["fc.weight"].values.iter().fold(0.0f32, |m, w| m.max(w.abs()));
        assert!(largest <= bound && largest > 0.99 * bound, "{largest}");
    }

    /// Values computed when the initial weights were introduced: recipes with a seed must
    /// keep giving the same network.
    #[test]
    fn initial_weights_of_a_seed_never_change() {
        let spec = NetSpec::tiny_age(101);
        for (seed, first, last, head) in [
            (1, [0.0590991, -0.14204483, 0.10423425], 0.01878062, [-0.048782635, -0.056471]),
            (42, [-0.03523244, -0.07949386, 0.0076547605], -0.040184814, [0.06639645, -0.05042055]),
        ] {
            let tensors = initial_weights(&spec, seed);
            assert_eq!(tensors["conv0.weight"].values[..3], first);
            assert_eq!(tensors["conv12.weight"].values.last(), Some(&last));
            let values = &tensors["fc.weight"].values;
            assert_eq!([values[0], values[values.len() - 1]], head);
        }
    }
}
