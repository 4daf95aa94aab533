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
