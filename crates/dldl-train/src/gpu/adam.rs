//! Burn's Adam over the parameters of an [`AgeNet`], with its state under the same
//! names as the CPU's, so that a checkpoint is a table of tensors.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{self, Device, Tensor, TensorData};

use super::model::{AgeNet, read};
use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::learner::LearningRates;
use crate::tensor::NamedTensors;

/// The gradients of a network's parameters, flat, by their names in the weights
/// file. Parameters that the loss does not depend on have none.
#[derive(Debug, Default)]
pub(super) struct Gradients(BTreeMap<String, Tensor<1>>);

impl Gradients {
    /// Those of one backward pass.
    pub fn of(net: &AgeNet, mut gradients: tensor::Gradients) -> Self {
        let mut out = Self::default();
        let grads = &mut gradients;
        for (i, layer) in net.layers.iter().enumerate() {
            out.take(format!("conv{i}.weight"), &layer.weight, grads);
            out.take(format!("bn{i}.weight"), &layer.gamma, grads);
            out.take(format!("bn{i}.bias"), &layer.beta, grads);
        }
        out.take("fc.weight".into(), &net.fc_weight, grads);
        out.take("fc.bias".into(), &net.fc_bias, grads);
        out
    }

    fn take<const D: usize>(
        &mut self,
        name: String,
        param: &Param<Tensor<D>>,
        gradients: &mut tensor::Gradients,
    ) {
        if let Some(gradient) = param.val().grad_remove(gradients) {
            let count = gradient.dims().iter().product::<usize>();
            self.0.insert(name, gradient.reshape([count]));
        }
    }

    /// The values of one gradient.
    #[cfg(test)]
    pub fn read(&self, name: &str) -> Vec<f32> {
        read(self.0[name].clone()).values
    }

    /// Adds other gradients to these.
    pub fn add(&mut self, others: Self) {
        for (name, other) in others.0 {
            let sum = match self.0.remove(&name) {
                Some(own) => own + other,
                None => other,
            };
            self.0.insert(name, sum);
        }
    }
}

/// Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) if the
/// weight decay is not 0. Decay acts on the weights of the convolutions and the
/// head only: pulling a normalization's scale or a bias towards 0 would
/// regularize nothing.
pub(super) struct Adam {
    decayed: AdamW,
    plain: AdamW,
    states: BTreeMap<String, AdaptiveMomentumState<1>>,
}

impl Adam {
    /// A fresh optimizer, without moments.
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

    /// Moves the parameters of `net` by one step against `gradients`.
    pub fn step(&mut self, rates: LearningRates, net: &mut AgeNet, gradients: Gradients) {
        let mut gradients = gradients.0;
        let grads = &mut gradients;
        if rates.trunk > 0.0 {
            let lr = rates.trunk;
            for (i, layer) in net.layers.iter_mut().enumerate() {
                self.update(&format!("conv{i}.weight"), &mut layer.weight, true, lr, grads);
                self.update(&format!("bn{i}.weight"), &mut layer.gamma, false, lr, grads);
                self.update(&format!("bn{i}.bias"), &mut layer.beta, false, lr, grads);
            }
        }
        if rates.head > 0.0 {
            self.update("fc.weight", &mut net.fc_weight, true, rates.head, grads);
            self.update("fc.bias", &mut net.fc_bias, false, rates.head, grads);
        }
    }

    /// Clears the moments.
    pub fn reset(&mut self) {
        self.states.clear();
    }

    fn update<const D: usize>(
        &mut self,
        name: &str,
        param: &mut Param<Tensor<D>>,
        decay: bool,
        lr: f64,
        gradients: &mut BTreeMap<String, Tensor<1>>,
    ) {
        let Some(gradient) = gradients.remove(name) else { return };
        let value = param.val();
        let dims = value.dims();
        // The moments are flat: one type of state for every rank.
        let flat = value.inner().reshape([dims.iter().product::<usize>()]);
        let adam = if decay { &self.decayed } else { &self.plain };
        let state = self.states.remove(name).map(AdamWState::new);
        let (flat, state) = adam.step(lr, flat, gradient, state);
        if let Some(state) = state {
            self.states.insert(name.into(), state.momentum);
        }
        *param = Param::from_tensor(Tensor::from_inner(flat.reshape(dims)));
    }

    /// The state, as in [`Learner::save`](crate::learner::Learner::save). Each
    /// parameter has its own count of steps, since a frozen trunk makes none.
    pub fn to_tensors(&self) -> NamedTensors {
        let mut out = NamedTensors::new();
        for (name, state) in &self.states {
            out.insert(format!("adam.m.{name}"), read(state.moment_1.clone()));
            out.insert(format!("adam.v.{name}"), read(state.moment_2.clone()));
            let time = crate::tensor::Tensor::full([1], state.time as f32);
            out.insert(format!("adam.t.{name}"), time);
        }
        out
    }

    /// Restores what [`to_tensors`](Self::to_tensors) returned, on `device` (one
    /// without autodiff).
    ///
    /// # Errors
    /// [`TrainError::MissingTensor`] or [`TrainError::TensorShape`] if the second moment or the steps of a parameter are
    /// missing or have another shape.
    pub fn restore(&mut self, tensors: &NamedTensors, device: &Device) -> Result<(), TrainError> {
        self.states.clear();
        let upload = |values: &[f32]| {
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        for (key, first) in tensors {
            let Some(name) = key.strip_prefix("adam.m.") else { continue };
            let second = crate::tensor::find(tensors, &format!("adam.v.{name}"), &first.shape)?;
            let time = crate::tensor::find(tensors, &format!("adam.t.{name}"), &[1])?;
            let (first, second) = (upload(&first.values), upload(&second.values));
            let state = AdaptiveMomentumState::new(time.values[0] as usize, first, second);
            self.states.insert(name.into(), state);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_net::{NetSpec, Pooling};

    const RATES: LearningRates = LearningRates { trunk: 0.01, head: 0.01 };

    fn net(device: &Device) -> AgeNet {
        let spec = NetSpec { stages: vec![vec![16]], pooling: Pooling::Hybrid, outputs: 3 };
        AgeNet::new(&spec, 1, device)
    }

    fn gradients(net: &AgeNet, device: &Device) -> tensor::Gradients {
        let x = (0..2 * 3 * 64).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect::<Vec<_>>();
        let x = Tensor::<4>::from_data(TensorData::new(x, [2, 3, 8, 8]), device);
        let weights = Tensor::<2>::from_floats([[1.0, -2.0, 0.5]], device);
        (net.forward(x, true) * weights).sum().backward()
    }

    /// The first step of Adam is `lr * g / (|g| + eps)`: the rate itself, with the
    /// gradient's sign. Decay comes on top, on the weights only.
    #[test]
    fn the_first_step_is_the_rate_and_decay_acts_on_weights_only() {
        let device = Device::flex().autodiff();
        let before = net(&device);
        let grads = gradients(&before, &device);
        let sign = before.fc_weight.val().grad(&grads).unwrap().sign();
        let sign = sign.into_data().try_into_vec::<f32>().unwrap();
        let mut after = before.clone();
        let config = OptimizerConfig { weight_decay: 0.1, ..OptimizerConfig::default() };
        Adam::new(&config).step(RATES, &mut after, Gradients::of(&before, grads));
        let (before, after) = (before.to_tensors(), after.to_tensors());
        let (old, new) = (&before["fc.weight"].values, &after["fc.weight"].values);
        for i in 0..old.len() {
            let expected = old[i] * (1.0 - 0.01 * 0.1) - 0.01 * sign[i];
            assert!((new[i] - expected).abs() < 1e-5, "{i}: {} {expected}", new[i]);
        }
        // The bias is 0 and its gradient 2 * (1, -2, 0.5): decay does nothing here.
        let bias = &after["fc.bias"].values;
        for (got, e) in bias.iter().zip([-0.01, 0.01, -0.01]) {
            assert!((got - e).abs() < 1e-6, "{bias:?}");
        }
        for (old, new) in before["bn0.weight"].values.iter().zip(&after["bn0.weight"].values) {
            // A scale of 1 moves by the rate or, without a gradient, not at all.
            let moved = (new - old).abs();
            assert!(moved < 1e-6 || (moved - 0.01).abs() < 1e-4, "{old} {new}");
        }
    }

    #[test]
    fn a_restored_optimizer_continues_like_the_original() {
        let device = Device::flex().autodiff();
        let config = OptimizerConfig::default();
        let (mut net, mut adam) = (net(&device), Adam::new(&config));
        let grads = gradients(&net, &device);
        let grads = Gradients::of(&net, grads);
        adam.step(RATES, &mut net, grads);
        let tensors = adam.to_tensors();
        assert_eq!(tensors.len(), 3 * 5);
        let mut other = Adam::new(&config);
        other.restore(&tensors, &Device::flex()).unwrap();
        let mut copy = net.clone();
        let grads = gradients(&net, &device);
        let grads = Gradients::of(&net, grads);
        adam.step(RATES, &mut net, grads);
        let grads = gradients(&copy, &device);
        let grads = Gradients::of(&copy, grads);
        other.step(RATES, &mut copy, grads);
        let parameters = |net: &AgeNet| {
            let mut tensors = net.to_tensors();
            tensors.retain(|name, _| !name.contains("running"));
            tensors
        };
        assert_eq!(parameters(&net), parameters(&copy));
        let mut half = tensors;
        half.remove("adam.v.fc.bias");
        assert!(other.restore(&half, &Device::flex()).is_err());
    }
}
