//! The learner on the CPU's own kernels: forward, backward and Adam without a
//! framework. Its state is a table of tensors, so a checkpoint is an exact copy of
//! it; its working memory is reused from step to step.

mod adam;
mod trunk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

use dldl_net::NetSpec;

use crate::config::OptimizerConfig;
use crate::error::TrainError;
use crate::initial::initial_weights;
use crate::learner::{EMA, ImageBatch, Learner, LearningRates, Loss, averaged};
use crate::tensor::{NamedTensors, find, values};
use adam::Adam;
use trunk::{Statistics, Trunk};

/// Gradients by the names of their tensors.
type Gradients = BTreeMap<String, Vec<f32>>;

/// A [`Learner`] on `dldl_kernels::train`. The same calls give the same bits,
/// whatever the number of threads.
pub struct CpuLearner {
    weights: NamedTensors,
    ema: Option<NamedTensors>,
    adam: Adam,
    gradients: Gradients,
    /// Working memory of one pass at a time.
    trunk: Mutex<Trunk>,
}

impl CpuLearner {
    /// As [`learner`](crate::backend::learner).
    ///
    /// # Errors
    /// [`TrainError::UnsupportedNetwork`] if the kernels cannot train the network:
    /// they need a first convolution without pooling, and layers with at least as
    /// many channels as the layer before.
    pub fn new(
        spec: &NetSpec,
        seed: u64,
        optimizer: &OptimizerConfig,
        ema: bool,
    ) -> Result<Self, TrainError> {
        check(spec)?;
        let weights = initial_weights(spec, seed);
        Ok(Self {
            ema: ema.then(|| weights.clone()),
            weights,
            adam: Adam::new(optimizer),
            gradients: Gradients::new(),
            trunk: Mutex::new(Trunk::new(spec)),
        })
    }

    /// The accumulated gradients.
    #[cfg(all(test, feature = "burn"))]
    pub(crate) fn gradients(&self) -> &BTreeMap<String, Vec<f32>> {
        &self.gradients
    }
}

/// Whether the kernels can train this network: a layer's gradient takes the memory
/// of the layer above, which must be as large, and the stem does not pool.
fn check(spec: &NetSpec) -> Result<(), TrainError> {
    let fail = |layer, reason| Err(TrainError::UnsupportedNetwork { layer, reason });
    let layers = spec.layers();
    if layers[0].1 {
        let reason = "it is followed by pooling; give the first stage a second convolution";
        return fail(0, reason.into());
    }
    match layers.windows(2).position(|pair| pair[1].0 < pair[0].0) {
        Some(i) => fail(
            i + 1,
            format!(
                "its {} output channels are fewer than the {} of conv{i}; use widths that do \
                 not shrink",
                layers[i + 1].0,
                layers[i].0
            ),
        ),
        None => Ok(()),
    }
}

impl Learner for CpuLearner {
    fn accumulate_gradients(
        &mut self,
        images: ImageBatch,
        frozen_trunk: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError> {
        let trunk = self.trunk.get_mut().expect("no pass panics");
        let statistics = if frozen_trunk { Statistics::Running } else { Statistics::Batch };
        let features = trunk.forward(&self.weights, images, statistics);
        let head = values(&self.weights, "fc.weight");
        let logits = dldl_kernels::linear(&features, head, values(&self.weights, "fc.bias"));
        let gradient = loss(&logits)?;
        let outputs = logits.len() / images.count;
        let (weight, bias, features_gradient) = head_backward(&features, head, &gradient, outputs);
        let mut gradients =
            Gradients::from([("fc.weight".into(), weight), ("fc.bias".into(), bias)]);
        if !frozen_trunk {
            trunk.update_running(&mut self.weights, images.count);
            gradients.extend(trunk.backward(&self.weights, images, &features_gradient));
        }
        for (name, gradient) in gradients {
            match self.gradients.get_mut(&name) {
                Some(sum) => sum.iter_mut().zip(&gradient).for_each(|(s, g)| *s += g),
                None => {
                    self.gradients.insert(name, gradient);
                }
            }
        }
        Ok(())
    }

    fn optimizer_step(&mut self, rates: LearningRates) {
        self.adam.step(rates, &mut self.weights, std::mem::take(&mut self.gradients));
    }

    fn share_weights(&mut self, outputs: Range<usize>) {
        let weight = self.weights.get_mut("fc.weight").expect("every network has a head");
        let width = weight.shape[1];
        let rows = &mut weight.values[outputs.start * width..outputs.end * width];
        let mut mean = vec![0.0; width];
        for row in rows.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, w)| *sum += w / outputs.len() as f32);
        }
        rows.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(&mean));
    }

    fn update_ema(&mut self, decay: f64) {
        let Some(ema) = &mut self.ema else { return };
        for (old, new) in ema.values_mut().zip(self.weights.values()) {
            for (old, new) in old.values.iter_mut().zip(&new.values) {
                *old = *old * decay as f32 + new * (1.0 - decay) as f32;
            }
        }
    }

    fn logits(&self, images: ImageBatch) -> Vec<f32> {
        let weights = self.ema.as_ref().unwrap_or(&self.weights);
        let mut trunk = self.trunk.lock().expect("no pass panics");
        let features = trunk.forward(weights, images, Statistics::Running);
        dldl_kernels::linear(&features, values(weights, "fc.weight"), values(weights, "fc.bias"))
    }

    fn weights(&self) -> NamedTensors {
        self.weights.clone()
    }

    fn set_weights(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let mut weights = self.weights.clone();
        for (name, own) in &mut weights {
            if tensors.contains_key(name) {
                *own = find(tensors, name, &own.shape)?.clone();
            }
        }
        self.weights = weights;
        self.ema = self.ema.is_some().then(|| self.weights.clone());
        Ok(())
    }

    fn reset_optimizer(&mut self) {
        self.adam.reset();
    }

    fn save(&self) -> NamedTensors {
        let mut tensors = self.weights.clone();
        if let Some(ema) = &self.ema {
            tensors.extend(ema.iter().map(|(n, t)| (format!("{EMA}{n}"), t.clone())));
        }
        tensors.extend(self.adam.to_tensors());
        tensors
    }

    fn load(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let read = |tensors: &NamedTensors| {
            let each = self.weights.iter();
            each.map(|(name, own)| Ok((name.clone(), find(tensors, name, &own.shape)?.clone())))
                .collect()
        };
        let weights: Result<NamedTensors, TrainError> = read(tensors);
        let ema = match self.ema {
            Some(_) => Some(read(&averaged(tensors))?),
            None => None,
        };
        self.adam.restore(tensors)?;
        (self.weights, self.ema) = (weights?, ema);
        Ok(())
    }
}

/// The gradients with respect to the head's weight, its bias and the features
/// `[n, C]`, given the gradient with respect to the logits `[n, outputs]`.
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
