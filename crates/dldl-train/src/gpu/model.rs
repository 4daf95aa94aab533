//! The network as Burn modules. Names and shapes of its parameters are those of
//! `dldl-net`'s weights file, so exporting is copying.

use burn::module::{Module, Param, RunningState};
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, linear, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use dldl_kernels::BN_EPSILON;
use dldl_net::NetSpec;

use crate::error::TrainError;
use crate::initial::initial_weights;
use crate::learner::BN_MOMENTUM;
use crate::tensor::{self, NamedTensors};

/// One layer: 3x3 convolution without bias, batch normalization, ReLU.
#[derive(Module, Debug)]
pub(super) struct Layer {
    /// Convolution kernel, `[out, in, 3, 3]`.
    pub weight: Param<Tensor<4>>,
    /// Scale of the batch normalization, `[out]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift of the batch normalization, `[out]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean, `[out]`; gets no gradient.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running (unbiased) variance, `[out]`; gets no gradient.
    pub running_var: RunningState<Tensor<1>>,
}

/// Thin- or TinyAgeNet (or any other [`NetSpec`]) on a Burn device.
#[derive(Module, Debug)]
pub(super) struct AgeNet {
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

/// `pool(relu(bn(conv(x))))`, `[n, in, h, w]` to `[n, out, h', w']` where
/// `h' = h / 2` if `pool` and `h` otherwise.
///
/// With `training` the normalization uses the statistics of the batch and moves
/// the running ones; without, it uses the running ones.
fn block(x: Tensor<4>, layer: &Layer, training: bool, pool: bool) -> Tensor<4> {
    let x = conv2d(x, layer.weight.val(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
    let (gamma, beta) = (layer.gamma.val(), layer.beta.val());
    let x = if training {
        let [n, _, h, w] = x.dims();
        let out = batch_norm_train(x, gamma, beta, BN_EPSILON);
        layer.update_running(out.mean, out.variance, n * h * w);
        out.output
    } else {
        let mean = layer.running_mean.value_sync();
        let variance = layer.running_var.value_sync();
        batch_norm(x, gamma, beta, mean, variance, BN_EPSILON)
    };
    let x = relu(x);
    if pool { max_pool2d(x, MaxPoolOptions::new([2, 2])) } else { x }
}

impl Layer {
    fn zeros(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([outputs, inputs, 3, 3], device)),
            gamma: Param::from_tensor(Tensor::zeros([outputs], device)),
            beta: Param::from_tensor(Tensor::zeros([outputs], device)),
            running_mean: RunningState::new(Tensor::zeros([outputs], device)),
            running_var: RunningState::new(Tensor::zeros([outputs], device)),
        }
    }

    /// Moves the running statistics by [`BN_MOMENTUM`] towards a batch's `mean`
    /// and biased `variance` over `count` values per channel. As in PyTorch, the
    /// running variance is the unbiased one.
    fn update_running(&self, mean: Tensor<1>, variance: Tensor<1>, count: usize) {
        let unbiased = count as f64 / (count.max(2) - 1) as f64;
        let blend = |old: Tensor<1>, new: Tensor<1>, scale: f64| {
            (old * (1.0 - BN_MOMENTUM) + new.detach() * (BN_MOMENTUM * scale)).detach()
        };
        self.running_mean.update(blend(self.running_mean.value_sync(), mean, 1.0));
        self.running_var.update(blend(self.running_var.value_sync(), variance, unbiased));
    }
}

impl AgeNet {
    /// A network with the [`initial_weights`] of `seed`.
    pub fn new(spec: &NetSpec, seed: u64, device: &Device) -> Self {
        let mut layers = Vec::new();
        let mut pools = Vec::new();
        let mut inputs = 3;
        for (outputs, pool) in spec.layers() {
            layers.push(Layer::zeros(inputs, outputs, device));
            pools.push(pool);
            inputs = outputs;
        }
        let net = Self {
            layers,
            fc_weight: Param::from_tensor(Tensor::zeros([spec.outputs(), inputs], device)),
            fc_bias: Param::from_tensor(Tensor::zeros([spec.outputs()], device)),
            pools,
        };
        net.with_tensors(&initial_weights(spec, seed)).expect("they are of this network")
    }

    /// Logits `[n, K]` of normalized images `[n, 3, s, s]`.
    pub fn forward(&self, x: Tensor<4>, training: bool) -> Tensor<2> {
        self.head(self.features(x, training))
    }

    /// The input of the head, `[n, C]`: the blocks and the mean over the remaining
    /// positions (7x7 at 224 pixels, or 14x14 with plain average pooling).
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

    /// This network with its tensors replaced by those in `tensors`; extra ones
    /// are ignored.
    ///
    /// # Errors
    /// [`TrainError::MissingTensor`] or [`TrainError::TensorShape`] if one is missing or has another shape.
    pub fn with_tensors(mut self, tensors: &NamedTensors) -> Result<Self, TrainError> {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            replace(&mut layer.weight, tensors, &format!("conv{i}.weight"))?;
            replace(&mut layer.gamma, tensors, &format!("bn{i}.weight"))?;
            replace(&mut layer.beta, tensors, &format!("bn{i}.bias"))?;
            let old = layer.running_mean.value_sync();
            let mean = upload(old, tensors, &format!("bn{i}.running_mean"))?;
            layer.running_mean = RunningState::new(mean);
            let old = layer.running_var.value_sync();
            let var = upload(old, tensors, &format!("bn{i}.running_var"))?;
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

    /// `self = decay * self + (1 - decay) * other` over all tensors; both must be
    /// [`frozen`](Self::frozen).
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

/// Copies a tensor to the host.
pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> tensor::Tensor {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().try_into_vec::<f32>().expect("the tensors of a model are f32");
    tensor::Tensor { shape, values }
}

/// Copies a tensor of the shape of `old` to its device.
fn upload<const D: usize>(
    old: Tensor<D>,
    tensors: &NamedTensors,
    name: &str,
) -> Result<Tensor<D>, TrainError> {
    let tensor = tensor::find(tensors, name, &old.dims())?;
    let data = TensorData::new(tensor.values.clone(), old.dims());
    Ok(Tensor::from_data(data, &old.device()))
}

fn replace<const D: usize>(
    param: &mut Param<Tensor<D>>,
    tensors: &NamedTensors,
    name: &str,
) -> Result<(), TrainError> {
    *param = Param::from_tensor(upload(param.val(), tensors, name)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_net::Pooling;

    fn small() -> NetSpec {
        NetSpec { stages: vec![vec![16]], pooling: Pooling::Hybrid, outputs: 3 }
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let net = AgeNet::new(&small(), 1, &Device::flex());
        let whole = net.to_tensors();
        let mut missing = whole.clone();
        missing.remove("bn0.running_var");
        let mut wrong = whole;
        wrong.insert("fc.bias".into(), tensor::Tensor::full([4], 0.0));
        for (tensors, word) in [(missing, "bn0.running_var"), (wrong, "fc.bias")] {
            let error = net.clone().with_tensors(&tensors).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_moving_average_blends_every_tensor() {
        let device = Device::flex();
        let (a, b) = (AgeNet::new(&small(), 1, &device), AgeNet::new(&small(), 2, &device));
        let doubled = |net: &AgeNet| {
            let mut tensors = net.to_tensors();
            tensors.values_mut().flat_map(|t| &mut t.values).for_each(|v| *v = *v * 2.0 + 1.0);
            net.clone().with_tensors(&tensors).unwrap()
        };
        let (a, b) = (a.frozen(), doubled(&b).frozen());
        let mut mean = a.clone();
        mean.blend(&b, 0.75);
        let (a, b) = (a.to_tensors(), b.to_tensors());
        for (name, got) in mean.to_tensors() {
            for (i, got) in got.values.iter().enumerate() {
                let expected = 0.75 * a[&name].values[i] + 0.25 * b[&name].values[i];
                assert!((got - expected).abs() < 1e-6, "{name} {i}: {got} {expected}");
            }
        }
    }
}
