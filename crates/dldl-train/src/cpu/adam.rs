//! Adam on host memory.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Gradients;
use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::learner::LearningRates;
use crate::tensor::{NamedTensors, Tensor, find};

/// Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) if the
/// weight decay is not 0. Decay acts on the weights of the convolutions and the
/// head only: pulling a normalization's scale or a bias towards 0 would
/// regularize nothing.
pub(super) struct Adam {
    config: OptimizerConfig,
    states: BTreeMap<String, State>,
}

/// The moments of one tensor, and how many steps they cover. Each tensor has its
/// own count, since a frozen trunk makes no steps.
struct State {
    time: usize,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Values that a thread updates at a time.
const CHUNK: usize = 1 << 14;

impl Adam {
    /// A fresh optimizer, without moments.
    pub fn new(config: &OptimizerConfig) -> Self {
        Self { config: config.clone(), states: BTreeMap::new() }
    }

    /// Clears the moments.
    pub fn reset(&mut self) {
        self.states.clear();
    }

    /// Moves those of `weights` that have a gradient by one step against it.
    pub fn step(&mut self, rates: LearningRates, weights: &mut NamedTensors, gradients: Gradients) {
        for (name, gradient) in gradients {
            let head = name.starts_with("fc.");
            let rate = if head { rates.head } else { rates.trunk };
            let Some(weight) = weights.get_mut(&name) else { continue };
            if rate > 0.0 {
                let decays = weight.shape.len() > 1;
                self.update(name, &mut weight.values, &gradient, rate, decays);
            }
        }
    }

    fn update(
        &mut self,
        name: String,
        values: &mut [f32],
        gradient: &[f32],
        rate: f64,
        decays: bool,
    ) {
        let zeros = || vec![0.0; gradient.len()];
        let state = self.states.entry(name);
        let state = state.or_insert_with(|| State { time: 0, first: zeros(), second: zeros() });
        state.time += 1;
        let time = state.time as i32;
        let (beta1, beta2) = (self.config.beta1, self.config.beta2);
        let step = (rate / (1.0 - beta1.powi(time))) as f32;
        let root = (1.0 / (1.0 - beta2.powi(time)).sqrt()) as f32;
        let keep = if decays { (1.0 - rate * self.config.weight_decay) as f32 } else { 1.0 };
        let epsilon = self.config.epsilon as f32;
        let (b1, b2) = (beta1 as f32, beta2 as f32);
        let (a1, a2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let moments = state.first.par_chunks_mut(CHUNK).zip(state.second.par_chunks_mut(CHUNK));
        let numbers = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
        numbers.zip(moments).for_each(|((values, gradient), (first, second))| {
            let moments = first.iter_mut().zip(second);
            for ((w, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                *m = *m * b1 + g * a1;
                *v = *v * b2 + g * g * a2;
                *w = *w * keep - step * *m / (v.sqrt() * root + epsilon);
            }
        });
    }

    /// The state, as in [`Learner::save`](crate::learner::Learner::save).
    pub fn to_tensors(&self) -> NamedTensors {
        let mut out = NamedTensors::new();
        for (name, state) in &self.states {
            let count = state.first.len();
            out.insert(format!("adam.m.{name}"), Tensor::new([count], state.first.clone()));
            out.insert(format!("adam.v.{name}"), Tensor::new([count], state.second.clone()));
            out.insert(format!("adam.t.{name}"), Tensor::full([1], state.time as f32));
        }
        out
    }

    /// Restores what [`to_tensors`](Self::to_tensors) returned.
    ///
    /// # Errors
    /// [`TrainError::MissingTensor`] or [`TrainError::TensorShape`] if the second moment or the steps of a tensor are
    /// missing or have another shape.
    pub fn restore(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let mut states = BTreeMap::new();
        for (key, first) in tensors {
            let Some(name) = key.strip_prefix("adam.m.") else { continue };
            let second = find(tensors, &format!("adam.v.{name}"), &first.shape)?.values.clone();
            let time = find(tensors, &format!("adam.t.{name}"), &[1])?.values[0] as usize;
            states.insert(name.to_owned(), State { time, first: first.values.clone(), second });
        }
        self.states = states;
        Ok(())
    }
}
