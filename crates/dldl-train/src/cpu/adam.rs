//! Adam on plain numbers; what `crate::optim` is on Burn's tensors, with the
//! same names in a checkpoint.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Gradients;
use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::model::NamedTensors;
use crate::optim::Rates;

/// Adam (Kingma and Ba, 2015), or AdamW (Loshchilov and Hutter, 2019) where the
/// weight decay is not 0, which acts on the weights of convolutions and head
/// alone.
pub(super) struct Adam {
    config: OptimizerConfig,
    states: BTreeMap<String, State>,
}

/// The moments of one tensor, and the steps that they are of.
struct State {
    time: usize,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Numbers that a thread takes at a time.
const CHUNK: usize = 1 << 14;

impl Adam {
    /// A fresh optimizer (no moments).
    pub fn new(config: &OptimizerConfig) -> Self {
        Self { config: config.clone(), states: BTreeMap::new() }
    }

    /// Forgets the moments.
    pub fn reset(&mut self) {
        self.states.clear();
    }

    /// One step: moves those of `weights` that have a gradient against it.
    pub fn step(&mut self, rates: Rates, weights: &mut NamedTensors, gradients: Gradients) {
        for (name, gradient) in gradients {
            let head = name.starts_with("fc.");
            let rate = if head { rates.head } else { rates.trunk };
            let Some((shape, values)) = weights.get_mut(&name) else { continue };
            if rate > 0.0 {
                let decays = shape.len() > 1;
                self.update(name, values, &gradient, rate, decays);
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

    /// As [`crate::optim::Adam::to_tensors`].
    pub fn to_tensors(&self) -> NamedTensors {
        let mut out = NamedTensors::new();
        for (name, state) in &self.states {
            let shape = vec![state.first.len()];
            out.insert(format!("adam.m.{name}"), (shape.clone(), state.first.clone()));
            out.insert(format!("adam.v.{name}"), (shape, state.second.clone()));
            out.insert(format!("adam.t.{name}"), (vec![1], vec![state.time as f32]));
        }
        out
    }

    /// Puts back what [`to_tensors`](Self::to_tensors) gave.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if the second moment or the steps of a tensor are
    /// missing or of another length.
    pub fn restore(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let find = |name: String, length: usize| match tensors.get(&name) {
            Some((_, values)) if values.len() == length => Ok(values.clone()),
            Some(_) => Err(TrainError::Tensor { name, what: "has another length".into() }),
            None => Err(TrainError::Tensor { name, what: "is missing".into() }),
        };
        let mut states = BTreeMap::new();
        for (key, (_, first)) in tensors {
            let Some(name) = key.strip_prefix("adam.m.") else { continue };
            let second = find(format!("adam.v.{name}"), first.len())?;
            let time = find(format!("adam.t.{name}"), 1)?[0] as usize;
            states.insert(name.to_owned(), State { time, first: first.clone(), second });
        }
        self.states = states;
        Ok(())
    }
}
