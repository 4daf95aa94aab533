//! The optimiser: Burn's Adam arithmetic over the parameters of an [`AgeNet`],
//! with its state under our own names, so that a checkpoint is a table of
//! tensors. Learning rates come from `schedule.rs`.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::model::{AgeNet, NamedTensors, read};

/// Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) where
/// the weight decay is not 0. Decay acts on the weights of the convolutions and
/// of the head only: pulling a normalisation's scale or a bias towards 0 would
/// regularise nothing.
pub struct Adam {
    decayed: AdamW,
    plain: AdamW,
    states: BTreeMap<String, AdaptiveMomentumState<1>>,
}

impl Adam {
    /// A fresh optimiser (zero moments).
    pub fn new(config: &OptimizerConfig) -> Self {
        let build = |decay: f64| {
            AdamWConfig::new()
                .with_beta_1(config.beta1 as f32)
                .with_beta_2(config.beta2 as f32)
                .with_epsilon(config.epsilon as f32)
                .with_weight_decay(decay as f32)
                .build()
        };
        Self { decayed: build(config.weight_decay), plain: build(0.0), states: BTreeMap::new() }
    }

    /// One step with learning rate `lr`: moves the parameters of `net` against
    /// `gradients` (of the loss, from its `backward()`).
    pub fn step(&mut self, lr: f64, net: &mut AgeNet, mut gradients: Gradients) {
        let grads = &mut gradients;
        for (i, layer) in net.layers.iter_mut().enumerate() {
            self.update(&format!("conv{i}.weight"), &mut layer.weight, true, lr, grads);
            self.update(&format!("bn{i}.weight"), &mut layer.gamma, false, lr, grads);
            self.update(&format!("bn{i}.bias"), &mut layer.beta, false, lr, grads);
        }
        self.update("fc.weight", &mut net.fc_weight, true, lr, grads);
        self.update("fc.bias", &mut net.fc_bias, false, lr, grads);
    }

    fn update<const D: usize>(
        &mut self,
        name: &str,
        param: &mut Param<Tensor<D>>,
        decay: bool,
        lr: f64,
        gradients: &mut Gradients,
    ) {
        let value = param.val();
        let Some(gradient) = value.grad_remove(gradients) else { return };
        let dims = value.dims();
        let count = dims.iter().product::<usize>();
        // The moments are kept flat: one kind of state whatever the rank.
        let flat = value.inner().reshape([count]);
        let gradient = gradient.reshape([count]);
        let adam = if decay { &self.decayed } else { &self.plain };
        let state = self.states.remove(name).map(AdamWState::new);
        let (flat, state) = adam.step(lr, flat, gradient, state);
        if let Some(state) = state {
            self.states.insert(name.into(), state.momentum);
        }
        *param = Param::from_tensor(Tensor::from_inner(flat.reshape(dims)));
    }

    /// The number of steps taken and the moments as `adam.m.NAME`, `adam.v.NAME`.
    pub fn to_tensors(&self) -> (usize, NamedTensors) {
        let mut out = NamedTensors::new();
        let mut time = 0;
        for (name, state) in &self.states {
            time = state.time;
            out.insert(format!("adam.m.{name}"), read(state.moment_1.clone()));
            out.insert(format!("adam.v.{name}"), read(state.moment_2.clone()));
        }
        (time, out)
    }

    /// Puts back what [`to_tensors`](Self::to_tensors) gave, on `device` (one
    /// without autodiff).
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if the second moment of a parameter is missing.
    pub fn restore(
        &mut self,
        time: usize,
        tensors: &NamedTensors,
        device: &Device,
    ) -> Result<(), TrainError> {
        self.states.clear();
        let tensor = |values: &[f32]| {
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        for (key, (_, first)) in tensors {
            let Some(name) = key.strip_prefix("adam.m.") else { continue };
            let second = format!("adam.v.{name}");
            let Some((_, second)) = tensors.get(&second) else {
                return Err(TrainError::Tensor { name: second, what: "is missing".into() });
            };
            let state = AdaptiveMomentumState::new(time, tensor(first), tensor(second));
            self.states.insert(name.into(), state);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_net::{NetSpec, Pooling};

    fn net(device: &Device) -> AgeNet {
        let spec = NetSpec { stages: vec![vec![16]], pooling: Pooling::Hybrid, outputs: 3 };
        AgeNet::new(&spec, 1, device)
    }

    fn gradients(net: &AgeNet, device: &Device) -> Gradients {
        let x = (0..2 * 3 * 64).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect::<Vec<_>>();
        let x = Tensor::<4>::from_data(TensorData::new(x, [2, 3, 8, 8]), device);
        let weights = Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], device);
        (net.forward(x, true) * weights).sum().backward()
    }

    /// The first step of Adam is `lr * g / (|g| + eps)`: the rate itself, with
    /// the gradient's sign; the decay comes on top, on the weights alone.
    #[test]
    fn the_first_step_is_the_rate_and_decay_acts_on_weights_alone() {
        let device = Device::flex().autodiff();
        let before = net(&device);
        let grads = gradients(&before, &device);
        let sign = before.fc_weight.val().grad(&grads).unwrap().sign();
        let sign = sign.into_data().try_into_vec::<f32>().unwrap();
        let mut after = before.clone();
        let config = OptimizerConfig { weight_decay: 0.1, ..OptimizerConfig::default() };
        Adam::new(&config).step(0.01, &mut after, grads);
        let (before, after) = (before.to_tensors(), after.to_tensors());
        let (old, new) = (&before["fc.weight"].1, &after["fc.weight"].1);
        for i in 0..old.len() {
            let expected = old[i] * (1.0 - 0.01 * 0.1) - 0.01 * sign[i];
            assert!((new[i] - expected).abs() < 1e-5, "{i}: {} {expected}", new[i]);
        }
        // Bias 0 and its gradient 2 * (1, -2, 0.5): no decay to see.
        let bias = &after["fc.bias"].1;
        for (got, e) in bias.iter().zip([-0.01, 0.01, -0.01]) {
            assert!((got - e).abs() < 1e-6, "{bias:?}");
        }
        for (old, new) in before["bn0.weight"].1.iter().zip(&after["bn0.weight"].1) {
            // A scale of 1 moves by the rate or, without a gradient, not at all.
            let moved = (new - old).abs();
            assert!(moved < 1e-6 || (moved - 0.01).abs() < 1e-4, "{old} {new}");
        }
    }

    #[test]
    fn a_restored_optimiser_goes_on_as_the_old_one() {
        let device = Device::flex().autodiff();
        let config = OptimizerConfig::default();
        let (mut net, mut adam) = (net(&device), Adam::new(&config));
        let grads = gradients(&net, &device);
        adam.step(0.01, &mut net, grads);
        let (time, tensors) = adam.to_tensors();
        assert_eq!((time, tensors.len()), (1, 2 * 5));
        let mut other = Adam::new(&config);
        other.restore(time, &tensors, &Device::flex()).unwrap();
        let mut copy = net.clone();
        let grads = gradients(&net, &device);
        adam.step(0.01, &mut net, grads);
        let grads = gradients(&copy, &device);
        other.step(0.01, &mut copy, grads);
        let parameters = |net: &AgeNet| {
            let mut tensors = net.to_tensors();
            tensors.retain(|name, _| !name.contains("running"));
            tensors
        };
        assert_eq!(parameters(&net), parameters(&copy));
        let mut half = tensors;
        half.remove("adam.v.fc.bias");
        assert!(other.restore(1, &half, &Device::flex()).is_err());
    }
}
