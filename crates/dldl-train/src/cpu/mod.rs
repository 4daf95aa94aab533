//! The learner on the CPU's own kernels: one network, forward, backward and
//! Adam, without a framework in between. Its state is a table of tensors, so a
//! checkpoint is a copy of it, to the bit; its working memory is kept from step
//! to step.
//!
//! `trunk.rs` walks through the convolutions, `adam.rs` is the optimizer. Losses
//! and everything about data are elsewhere.

mod adam;
mod trunk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use burn::tensor::Device;
use dldl_net::NetSpec;

use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::learner::{EMA, Learner, Loss, Pictures, averaged};
use crate::model::{AgeNet, NamedTensors};
use crate::optim::Rates;
use adam::Adam;
use trunk::{Statistics, Trunk};

/// Gradients by the names of their tensors.
type Gradients = BTreeMap<String, Vec<f32>>;

/// A [`Learner`] on `dldl_kernels::train`. The same calls give the same bits,
/// whatever the number of threads.
pub struct CpuLearner {
    weights: NamedTensors,
    average: Option<NamedTensors>,
    adam: Adam,
    waiting: Gradients,
    /// Locked by whoever passes pictures through.
    trunk: Mutex<Trunk>,
}

impl CpuLearner {
    /// Whether the kernels can take this network: its first convolution is not
    /// pooled, and no layer has fewer channels than the one before.
    pub fn takes(spec: &NetSpec) -> bool {
        let layers = spec.layers();
        !layers[0].1 && layers.windows(2).all(|pair| pair[0].0 <= pair[1].0)
    }

    /// As [`crate::learner::learner`].
    ///
    /// # Panics
    /// If it does not [take](Self::takes) the network.
    pub fn new(spec: &NetSpec, seed: u64, optimizer: &OptimizerConfig, average: bool) -> Self {
        assert!(Self::takes(spec), "the kernels do not take this network");
        let weights = AgeNet::new(spec, seed, &Device::flex()).to_tensors();
        Self {
            average: average.then(|| weights.clone()),
            weights,
            adam: Adam::new(optimizer),
            waiting: Gradients::new(),
            trunk: Mutex::new(Trunk::new(spec)),
        }
    }
}

/// The numbers of a tensor of the network.
fn values<'a>(tensors: &'a NamedTensors, name: &str) -> &'a [f32] {
    &tensors[name].1
}

impl Learner for CpuLearner {
    fn learn(
        &mut self,
        pictures: Pictures,
        frozen: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError> {
        let trunk = self.trunk.get_mut().expect("no pass panics");
        let statistics = if frozen { Statistics::Running } else { Statistics::Batch };
        let features = trunk.forward(&self.weights, pictures, statistics);
        let head = values(&self.weights, "fc.weight");
        let logits = dldl_kernels::linear(&features, head, values(&self.weights, "fc.bias"));
        let gradient = loss(&logits)?;
        let outputs = logits.len() / pictures.count;
        let (weight, bias, features_gradient) = head_backward(&features, head, &gradient, outputs);
        let mut gradients =
            Gradients::from([("fc.weight".into(), weight), ("fc.bias".into(), bias)]);
        if !frozen {
            trunk.move_running(&mut self.weights, pictures.count);
            gradients.extend(trunk.backward(&self.weights, pictures, &features_gradient));
        }
        for (name, gradient) in gradients {
            match self.waiting.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&gradient).for_each(|(s, g)| *s += g),
                None => {
                    self.waiting.insert(name, gradient);
                }
            }
        }
        Ok(())
    }

    fn apply(&mut self, rates: Rates) {
        self.adam.step(rates, &mut self.weights, std::mem::take(&mut self.waiting));
    }

    fn share_weights(&mut self, outputs: Range<usize>) {
        let (shape, values) = self.weights.get_mut("fc.weight").expect("every network has a head");
        let width = shape[1];
        let rows = &mut values[outputs.start * width..outputs.end * width];
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, w)| *sum += w / outputs.len() as f32);
        }
        rows.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(&mean));
    }

    fn average(&mut self, decay: f64) {
        let Some(average) = &mut self.average else { return };
        for ((_, old), (_, new)) in average.values_mut().zip(self.weights.values()) {
            for (old, new) in old.iter_mut().zip(new) {
                *old = *old * decay as f32 + new * (1.0 - decay) as f32;
            }
        }
    }

    fn logits(&self, pictures: Pictures) -> Vec<f32> {
        let weights = self.average.as_ref().unwrap_or(&self.weights);
        let mut trunk = self.trunk.lock().expect("no pass panics");
        let features = trunk.forward(weights, pictures, Statistics::Running);
        dldl_kernels::linear(&features, values(weights, "fc.weight"), values(weights, "fc.bias"))
    }

    fn weights(&self) -> NamedTensors {
        self.weights.clone()
    }

    fn set_weights(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let mut weights = self.weights.clone();
        for (name, own) in &mut weights {
            if tensors.contains_key(name) {
                *own = find(tensors, name, &own.0)?;
            }
        }
        self.weights = weights;
        self.average = self.average.is_some().then(|| self.weights.clone());
        Ok(())
    }

    fn reset_optimizer(&mut self) {
        self.adam.reset();
    }

    fn save(&self) -> NamedTensors {
        let mut tensors = self.weights.clone();
        if let Some(average) = &self.average {
            tensors.extend(average.iter().map(|(n, t)| (format!("{EMA}{n}"), t.clone())));
        }
        tensors.extend(self.adam.to_tensors());
        tensors
    }

    fn load(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let read = |tensors: &NamedTensors| {
            let each = self.weights.iter();
            each.map(|(name, own)| Ok((name.clone(), find(tensors, name, &own.0)?))).collect()
        };
        let weights: Result<NamedTensors, TrainError> = read(tensors);
        let average = match self.average {
            Some(_) => Some(read(&averaged(tensors))?),
            None => None,
        };
        self.adam.restore(tensors)?;
        (self.weights, self.average) = (weights?, average);
        Ok(())
    }
}

/// A tensor that has to be there, and of this shape.
fn find(
    tensors: &NamedTensors,
    name: &str,
    shape: &[usize],
) -> Result<(Vec<usize>, Vec<f32>), TrainError> {
    let fail = |what: String| Err(TrainError::Tensor { name: name.into(), what });
    match tensors.get(name) {
        None => fail("is missing".into()),
        Some(tensor) if tensor.0 != shape => {
            fail(format!("has shape {:?} instead of {shape:?}", tensor.0))
        }
        Some(tensor) => Ok(tensor.clone()),
    }
}

/// The gradients of the head to its weight, its bias and the features
/// `[n, C]`, from the one to the logits `[n, outputs]`.
fn head_backward(
    features: &[f32],
    weight: &[f32],
    gradient: &[f32],
    outputs: usize,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let width = weight.len() / outputs;
    let mut to_weight = vec![0.0; weight.len()];
    let mut to_bias = vec![0.0; outputs];
    let mut to_features = vec![0.0; features.len()];
    let rows = features.chunks_exact(width).zip(to_features.chunks_exact_mut(width));
    for ((x, dx), gradient) in rows.zip(gradient.chunks_exact(outputs)) {
        for (o, &g) in gradient.iter().enumerate() {
            let row = o * width..(o + 1) * width;
            to_bias[o] += g;
            for ((dw, w), (x, dx)) in
                to_weight[row.clone()].iter_mut().zip(&weight[row]).zip(x.iter().zip(&mut *dx))
            {
                *dw += g * x;
                *dx += g * w;
            }
        }
    }
    (to_weight, to_bias, to_features)
}

#[cfg(test)]
mod tests;
