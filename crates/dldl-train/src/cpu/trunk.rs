//! A network's convolutions on `dldl_kernels::train`, forward and backward, and
//! their working memory.

use dldl_kernels::train::{
    Gradient, Kernels, Maps, Norm, Output, Scratch, Source, average, average_backward, backward,
    forward, stem_backward, stem_forward,
};
use dldl_kernels::{Lanes, Level};
use dldl_net::NetSpec;

use super::Gradients;
use crate::learner::{BN_MOMENTUM, ImageBatch};
use crate::tensor::{NamedTensors, values};

/// Which mean and variance the batch normalization uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistics {
    /// Those of the batch, in training.
    Batch,
    /// The running ones, in inference.
    Running,
}

/// The convolutions, and the activations of their last forward pass.
pub(super) struct Trunk {
    level: Level,
    layers: Vec<Layer>,
    /// The gradient with respect to the last layer's output.
    top: Vec<Lanes>,
    scratch: Scratch,
}

#[derive(Default)]
struct Layer {
    cout: usize,
    pool: bool,
    /// Height and width of the convolution.
    side: usize,
    kernels: Kernels,
    /// The convolution's output; overwritten by the gradient of the layer below.
    z: Vec<Lanes>,
    /// The same after pooling.
    pooled: Vec<Lanes>,
    norm: Norm,
    /// Mean and (biased) variance of the batch.
    statistics: (Vec<f32>, Vec<f32>),
}

impl Layer {
    fn maps(&self) -> Maps {
        Maps { channels: self.cout, height: self.side, width: self.side }
    }

    /// The input of the layer above.
    fn output(&self) -> Source<'_> {
        let maps = self.maps();
        match self.pool {
            true => Source { values: &self.pooled, maps: maps.pooled(), norm: &self.norm },
            false => Source { values: &self.z, maps, norm: &self.norm },
        }
    }
}

impl Trunk {
    pub fn new(spec: &NetSpec) -> Self {
        let layer = |(cout, pool)| Layer { cout, pool, ..Layer::default() };
        Self {
            level: Level::detect(),
            layers: spec.layers().into_iter().map(layer).collect(),
            top: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// The features `[count, C]` of images.
    pub fn forward(
        &mut self,
        weights: &NamedTensors,
        images: ImageBatch,
        statistics: Statistics,
    ) -> Vec<f32> {
        let (level, count, scratch) = (self.level, images.count, &self.scratch);
        let mut side = images.size;
        for i in 0..self.layers.len() {
            let (below, layer) = self.layers.split_at_mut(i);
            let (below, layer) = (below.last(), &mut layer[0]);
            layer.side = side;
            let maps = layer.maps();
            layer.z.resize(count * maps.size(), Lanes::default());
            if layer.pool {
                layer.pooled.resize(count * maps.pooled().size(), Lanes::default());
                side /= 2;
            }
            let weight = values(weights, &format!("conv{i}.weight"));
            let gamma = values(weights, &format!("bn{i}.weight"));
            let beta = values(weights, &format!("bn{i}.bias"));
            let sums = match below {
                None => stem_forward(level, images.pixels, weight, maps, &mut layer.z, scratch),
                Some(below) => {
                    let both = statistics == Statistics::Batch;
                    layer.kernels.set(level, weight, layer.cout, below.cout, both);
                    let output = Output { z: &mut layer.z, pooled: &mut layer.pooled, gamma };
                    forward(level, count, below.output(), &layer.kernels, output, scratch)
                }
            };
            layer.norm = match statistics {
                Statistics::Batch => {
                    layer.statistics = sums.mean_and_variance(layer.cout, count * maps.area());
                    Norm::new(&layer.statistics.0, &layer.statistics.1, gamma, beta)
                }
                Statistics::Running => {
                    let mean = values(weights, &format!("bn{i}.running_mean"));
                    let variance = values(weights, &format!("bn{i}.running_var"));
                    Norm::new(mean, variance, gamma, beta)
                }
            };
        }
        average(count, self.layers.last().expect("a network has layers").output())
    }

    /// Moves the running statistics towards those of the last pass, which had
    /// `count` images. As in PyTorch, the running variance is the unbiased one.
    pub fn update_running(&self, weights: &mut NamedTensors, count: usize) {
        for (i, layer) in self.layers.iter().enumerate() {
            let n = (count * layer.maps().area()) as f64;
            let unbiased = n / (n.max(2.0) - 1.0);
            let (mean, variance) = &layer.statistics;
            for (name, new, scale) in
                [("running_mean", mean, 1.0), ("running_var", variance, unbiased)]
            {
                let old = weights.get_mut(&format!("bn{i}.{name}")).expect("its name is known");
                for (old, new) in old.values.iter_mut().zip(new) {
                    let moved = f64::from(*old) * (1.0 - BN_MOMENTUM);
                    *old = (moved + f64::from(*new) * (BN_MOMENTUM * scale)) as f32;
                }
            }
        }
    }

    /// The gradients with respect to all tensors, given that with respect to the
    /// features of the last pass, which used the statistics of the batch.
    pub fn backward(
        &mut self,
        weights: &NamedTensors,
        images: ImageBatch,
        features: &[f32],
    ) -> Gradients {
        let (level, count) = (self.level, images.count);
        let mut gradients = Gradients::new();
        let last = self.layers.last().expect("a network has layers").output();
        let mut stride = last.maps.size();
        let mut sums = average_backward(last, features, &mut self.top);
        for i in (0..self.layers.len()).rev() {
            let (below, layer) = self.layers.split_at_mut(i);
            let (layer, above) = layer.split_first_mut().expect("there is the layer");
            let maps = layer.maps();
            let (gamma, beta, chain) = layer.norm.backward(&sums, count * maps.area());
            let mut weight = vec![0.0; values(weights, &format!("conv{i}.weight")).len()];
            let pool = match layer.pool {
                true => values(weights, &format!("bn{i}.weight")),
                false => &[],
            };
            let from = above.first().map_or(&self.top, |above| &above.z);
            let gradient = Gradient { values: from, stride, pool, chain: &chain };
            match below.last() {
                None => {
                    let (z, scratch) = (&layer.z, &self.scratch);
                    stem_backward(level, images.pixels, maps, gradient, z, &mut weight, scratch);
                }
                Some(below) => {
                    let (source, kernels, scratch) =
                        (below.output(), &layer.kernels, &mut self.scratch);
                    let z = &mut layer.z;
                    sums =
                        backward(level, count, source, kernels, gradient, z, &mut weight, scratch);
                }
            }
            stride = maps.size();
            gradients.insert(format!("conv{i}.weight"), weight);
            gradients.insert(format!("bn{i}.weight"), gamma);
            gradients.insert(format!("bn{i}.bias"), beta);
        }
        gradients
    }
}
