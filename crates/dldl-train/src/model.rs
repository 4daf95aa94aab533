//! The network as Burn modules: explicit parameters, one function per block.
//!
//! The layers come from a [`NetSpec`]; the names and shapes of the parameters
//! are those of `dldl-net`'s weights file, so that exporting is copying. The
//! losses and the optimizer are elsewhere.

use std::collections::BTreeMap;

use burn::module::{Module, Param, RunningState};
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, linear, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use dldl_data::sample_rng;
use dldl_kernels::BN_EPSILON;
use dldl_net::NetSpec;
use rand::RngExt;

use crate::error::TrainError;

/// Share of the newest batch in the running statistics (Torch's default).
pub const BN_MOMENTUM: f64 = 0.1;

/// Tensors by name: shape and row-major values.
pub type NamedTensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// One layer: 3x3 convolution without bias, batch normalization, ReLU.
#[derive(Module, Debug)]
pub struct Layer {
    /// Convolution kernel, `[out, in, 3, 3]`.
    pub weight: Param<Tensor<4>>,
    /// Scale of the batch normalization, `[out]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift of the batch normalization, `[out]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean, `[out]`, outside of the gradient.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running (unbiased) variance, `[out]`, outside of the gradient.
    pub running_var: RunningState<Tensor<1>>,
}

/// Thin- or TinyAgeNet (or any other [`NetSpec`]) on a Burn device.
#[derive(Module, Debug)]
pub struct AgeNet {
    /// The convolution layers in order.
    pub layers: Vec<Layer>,
    /// Weight of the head, `[K, C]`.
    pub fc_weight: Param<Tensor<2>>,
    /// Bias of the head, `[K]`.
    pub fc_bias: Param<Tensor<1>>,
    /// Whether a 2x2 maximum pooling follows the layer of the same index.
    #[module(skip)]
    pools: Vec<bool>,
}

/// One block of Burn's own operations: `pool(relu(bn(conv(x))))`, `[n, in, h, w]`
/// to `[n, out, h', w']` where `h' = h / 2` if `pool` and `h` otherwise.
///
/// With `training` the normalization uses the statistics of the batch and moves
/// the running ones; without, it uses the running ones.
pub fn block(x: Tensor<4>, layer: &Layer, training: bool, pool: bool) -> Tensor<4> {
    let x = conv2d(x, layer.weight.val(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
    let (gamma, beta) = (layer.gamma.val(), layer.beta.val());
    let x = if training {
        let [n, _, h, w] = x.dims();
        let out = batch_norm_train(x, gamma, beta, BN_EPSILON);
        layer.update_running(out.mean, out.variance, n * h * w);
        out.output
    } else {
        let [mean, variance] = layer.statistics();
        batch_norm(x, gamma, beta, mean, variance, BN_EPSILON)
    };
    let x = relu(x);
    if pool { max_pool2d(x, MaxPoolOptions::new([2, 2])) } else { x }
}

impl Layer {
    fn new(weight: Vec<f32>, inputs: usize, outputs: usize, device: &Device) -> Self {
        let weight = TensorData::new(weight, [outputs, inputs, 3, 3]);
        Self {
            weight: Param::from_tensor(Tensor::from_data(weight, device)),
            gamma: Param::from_tensor(Tensor::ones([outputs], device)),
            beta: Param::from_tensor(Tensor::zeros([outputs], device)),
            running_mean: RunningState::new(Tensor::zeros([outputs], device)),
            running_var: RunningState::new(Tensor::ones([outputs], device)),
        }
    }

    /// Running mean and variance.
    fn statistics(&self) -> [Tensor<1>; 2] {
        [self.running_mean.value_sync(), self.running_var.value_sync()]
    }

    /// Moves the running statistics by [`BN_MOMENTUM`] towards a batch's `mean`
    /// and biased `variance` over `count` values per channel. As in Torch, the
    /// running variance is the unbiased one.
    pub fn update_running(&self, mean: Tensor<1>, variance: Tensor<1>, count: usize) {
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        let blend = |old: Tensor<1>, new: Tensor<1>, scale: f64| {
            (old * (1.0 - BN_MOMENTUM) + new.detach() * (BN_MOMENTUM * scale)).detach()
        };
        self.running_mean.update(blend(self.running_mean.value_sync(), mean, 1.0));
        self.running_var.update(blend(self.running_var.value_sync(), variance, unbiased));
    }
}

impl AgeNet {
    /// A network with the initial weights of specification 2.1: convolutions
    /// from N(0, 2 / (9 out)), normalization 1 and 0, the head's weight from
    /// U(-1/sqrt(C), 1/sqrt(C)) and its bias 0. The same `seed` gives the same
    /// weights on every device.
    pub fn new(spec: &NetSpec, seed: u64, device: &Device) -> Self {
        // No sample of any epoch has this stream.
        let mut rng = sample_rng(seed, u64::MAX, 0);
        let mut layers = Vec::new();
        let mut pools = Vec::new();
        let mut inputs = 3;
        for (outputs, pool) in spec.layers() {
            let std = (2.0 / (9 * outputs) as f64).sqrt();
            let weight =
                (0..outputs * inputs * 9).map(|_| (normal(&mut rng) * std) as f32).collect();
            layers.push(Layer::new(weight, inputs, outputs, device));
            pools.push(pool);
            inputs = outputs;
        }
        let bound = 1.0 / (inputs as f32).sqrt();
        let outputs = spec.outputs();
        let weight: Vec<f32> =
            (0..outputs * inputs).map(|_| rng.random_range(-bound..bound)).collect();
        let weight = TensorData::new(weight, [outputs, inputs]);
        Self {
            layers,
            fc_weight: Param::from_tensor(Tensor::from_data(weight, device)),
            fc_bias: Param::from_tensor(Tensor::zeros([outputs], device)),
            pools,
        }
    }

    /// Logits `[n, K]` of normalized pictures `[n, 3, s, s]`, `s` a multiple of
    /// 32: [`features`](Self::features), then [`head`](Self::head).
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<2> {
        self.head(self.features(x, training))
    }

    /// What the head sees, `[n, C]`: the blocks and the mean over the remaining
    /// positions (7x7 at 224, or 14x14 with plain average pooling).
    pub fn features(&self, x: Tensor<4>, training: bool) -> Tensor<2> {
        let blocks = self.layers.iter().zip(&self.pools);
        let x = blocks.fold(x, |x, (layer, &pool)| block(x, layer, training, pool));
        x.mean_dims(&[2, 3]).squeeze_dims(&[2, 3])
    }

    /// The logits `[n, K]` of features `[n, C]`.
    pub fn head(&self, features: Tensor<2>) -> Tensor<2> {
        linear(features, self.fc_weight.val().transpose(), Some(self.fc_bias.val()))
    }

    /// All tensors, running statistics included, by their names in the weights
    /// file: `conv{i}.weight`, `bn{i}.weight|bias|running_mean|running_var`,
    /// `fc.weight`, `fc.bias`.
    pub fn to_tensors(&self) -> NamedTensors {
        let mut out = NamedTensors::new();
        for (i, layer) in self.layers.iter().enumerate() {
            out.insert(format!("conv{i}.weight"), read(layer.weight.val()));
            out.insert(format!("bn{i}.weight"), read(layer.gamma.val()));
            out.insert(format!("bn{i}.bias"), read(layer.beta.val()));
            out.insert(format!("bn{i}.running_mean"), read(layer.running_mean.value_sync()));
            out.insert(format!("bn{i}.running_var"), read(layer.running_var.value_sync()));
        }
        out.insert("fc.weight".into(), read(self.fc_weight.val()));
        out.insert("fc.bias".into(), read(self.fc_bias.val()));
        out
    }

    /// This network with its tensors replaced by those in `tensors` (extra ones
    /// are ignored).
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if one is missing or of another shape.
    pub fn with_tensors(mut self, tensors: &NamedTensors) -> Result<Self, TrainError> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            replace(&mut layer.weight, tensors, &format!("conv{i}.weight"))?;
            replace(&mut layer.gamma, tensors, &format!("bn{i}.weight"))?;
            replace(&mut layer.beta, tensors, &format!("bn{i}.bias"))?;
            let old = layer.running_mean.value_sync();
            let mean = lookup(old, tensors, &format!("bn{i}.running_mean"))?;
            layer.running_mean = RunningState::new(mean);
            let old = layer.running_var.value_sync();
            let var = lookup(old, tensors, &format!("bn{i}.running_var"))?;
            layer.running_var = RunningState::new(var);
        }
        replace(&mut self.fc_weight, tensors, "fc.weight")?;
        replace(&mut self.fc_bias, tensors, "fc.bias")?;
        Ok(self)
    }

    /// An independent copy without gradients, running statistics included.
    pub fn frozen(&self) -> Self {
        self.valid()
    }

    /// `self = decay * self + (1 - decay) * other` over all tensors; both must
    /// be [`frozen`](Self::frozen). The moving average of the weights.
    pub fn blend(&mut self, other: &Self, decay: f64) {
        fn mix<const D: usize>(a: &mut Param<Tensor<D>>, b: &Param<Tensor<D>>, decay: f64) {
            *a = Param::initialized(a.id, a.val() * decay + b.val() * (1.0 - decay));
        }
        for (a, b) in self.layers.iter_mut().zip(&other.layers) {
            mix(&mut a.weight, &b.weight, decay);
            mix(&mut a.gamma, &b.gamma, decay);
            mix(&mut a.beta, &b.beta, decay);
            for (a, b) in
                [(&mut a.running_mean, &b.running_mean), (&mut a.running_var, &b.running_var)]
            {
                *a = RunningState::new(a.value_sync() * decay + b.value_sync() * (1.0 - decay));
            }
        }
        mix(&mut self.fc_weight, &other.fc_weight, decay);
        mix(&mut self.fc_bias, &other.fc_bias, decay);
    }
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut impl RngExt) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

pub(crate) fn read<const D: usize>(tensor: Tensor<D>) -> (Vec<usize>, Vec<f32>) {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().try_into_vec::<f32>().expect("the tensors of a model are f32");
    (shape, values)
}

fn lookup<const D: usize>(
    old: Tensor<D>,
    tensors: &NamedTensors,
    name: &str,
) -> Result<Tensor<D>, TrainError> {
    let Some((shape, values)) = tensors.get(name) else {
        return Err(TrainError::Tensor { name: name.into(), what: "is missing".into() });
    };
    if *shape != old.dims() {
        let what = format!("has shape {shape:?} instead of {:?}", old.dims());
        return Err(TrainError::Tensor { name: name.into(), what });
    }
    Ok(Tensor::from_data(TensorData::new(values.clone(), old.dims()), &old.device()))
}

fn replace<const D: usize>(
    param: &mut Param<Tensor<D>>,
    tensors: &NamedTensors,
    name: &str,
) -> Result<(), TrainError> {
    *param = Param::from_tensor(lookup(param.val(), tensors, name)?);
    Ok(())
}
