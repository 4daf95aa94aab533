//! A network that learns, behind the few calls that the loop needs: pictures
//! in, logits out, gradients of the logits in, a step, and the state to and
//! from a checkpoint. [`BurnLearner`] is the one that runs on every device.
//!
//! Not here: losses (`loss.rs`), which are computed on the host from the logits,
//! and everything about data, schedules and files.

use std::ops::Range;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use dldl_net::NetSpec;

use crate::config::{DeviceKind, OptimizerConfig};
use crate::cpu::CpuLearner;
use crate::error::TrainError;
use crate::model::{AgeNet, NamedTensors, read};
use crate::optim::{Adam, ParamGradients, Rates};

/// Normalized pictures on the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pictures<'a> {
    /// `[count, 3, size, size]`.
    pub pixels: &'a [f32],
    /// How many.
    pub count: usize,
    /// Their side.
    pub size: usize,
}

/// Logits `[count, outputs]` to the gradient of the loss with respect to them.
pub type Loss<'a> = dyn FnMut(&[f32]) -> Result<Vec<f32>, TrainError> + 'a;

/// A network, its optimizer and, where wanted, the moving average of its
/// weights. The same calls give the same numbers, whatever the number of threads.
pub trait Learner {
    /// One forward and backward pass in training. `loss` is called once, with
    /// the logits; the gradients that follow from what it returns are added to
    /// those that wait for [`apply`](Self::apply). With `frozen` the blocks are
    /// used as they are (running statistics, no gradient) and only the head
    /// learns.
    ///
    /// # Errors
    /// Those of `loss`.
    fn learn(
        &mut self,
        pictures: Pictures,
        frozen: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError>;

    /// One step of the optimizer along the gradients that wait.
    fn apply(&mut self, rates: Rates);

    /// Gives some outputs of the head the mean of their weights, so that they
    /// differ in their biases alone. After every step it is the nearest network
    /// for which that holds.
    fn share_weights(&mut self, outputs: Range<usize>);

    /// Moves the average of the weights: `decay` times itself plus `1 - decay`
    /// times the weights as they are. Nothing without an average.
    fn average(&mut self, decay: f64);

    /// The logits `[count, outputs]` in use, with the averaged weights where
    /// there are any.
    fn logits(&self, pictures: Pictures) -> Vec<f32>;

    /// The network's tensors, running statistics included, by their names in
    /// the weights file.
    fn weights(&self) -> NamedTensors;

    /// Replaces the network's tensors, and the average by the same; what
    /// `tensors` has not is left as it is.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if one is of another shape.
    fn set_weights(&mut self, tensors: &NamedTensors) -> Result<(), TrainError>;

    /// Forgets the optimizer's moments.
    fn reset_optimizer(&mut self);

    /// Everything, for a checkpoint: the network's tensors, `ema.NAME` for the
    /// averaged ones, and of the optimizer `adam.m.NAME`, `adam.v.NAME` (the
    /// moments) and `adam.t.NAME` (the steps that they are of, `[1]`).
    fn save(&self) -> NamedTensors;

    /// Puts back what [`save`](Self::save) gave.
    ///
    /// # Errors
    /// [`TrainError::Tensor`] if a tensor is missing or of another shape.
    fn load(&mut self, tensors: &NamedTensors) -> Result<(), TrainError>;
}

/// Prefix of the averaged weights' names in a checkpoint.
pub(crate) const EMA: &str = "ema.";

/// The averaged weights of a checkpoint under the network's own names.
pub(crate) fn averaged(tensors: &NamedTensors) -> NamedTensors {
    let strip = |(name, tensor): (&String, &(Vec<usize>, Vec<f32>))| {
        Some((name.strip_prefix(EMA)?.to_string(), tensor.clone()))
    };
    tensors.iter().filter_map(strip).collect()
}

/// The learner for a device, with random initial weights that follow from
/// `seed`; `average` says whether it keeps an average of its weights.
///
/// # Errors
/// [`TrainError::Config`] if this build does not have the device.
pub fn learner(
    kind: DeviceKind,
    spec: &NetSpec,
    seed: u64,
    optimizer: &OptimizerConfig,
    average: bool,
) -> Result<Box<dyn Learner>, TrainError> {
    if kind == DeviceKind::Cpu && CpuLearner::takes(spec) {
        return Ok(Box::new(CpuLearner::new(spec, seed, optimizer, average)));
    }
    Ok(Box::new(BurnLearner::new(device(kind)?, spec, seed, optimizer, average)))
}

/// The device of a configuration, without autodiff.
///
/// # Errors
/// [`TrainError::Config`] if this build does not have it.
pub fn device(kind: DeviceKind) -> Result<Device, TrainError> {
    match kind {
        DeviceKind::Cpu => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Ok(Device::cuda(0)),
        #[allow(unreachable_patterns)]
        other => {
            let name = match other {
                DeviceKind::Vulkan => "vulkan",
                DeviceKind::Wgpu => "wgpu",
                _ => "cuda",
            };
            Err(TrainError::Config(format!(
                "this program was built without the device {name}: build one with \
                 `cargo build --release --features {name}`"
            )))
        }
    }
}

/// A [`Learner`] of Burn's tensors, on any of its devices.
pub struct BurnLearner {
    /// Without autodiff.
    device: Device,
    net: AgeNet,
    ema: Option<AgeNet>,
    adam: Adam,
    waiting: ParamGradients,
}

impl BurnLearner {
    /// On `device`, one without autodiff; the rest as for [`learner`].
    pub fn new(
        device: Device,
        spec: &NetSpec,
        seed: u64,
        optimizer: &OptimizerConfig,
        average: bool,
    ) -> Self {
        let net = AgeNet::new(spec, seed, &device.clone().autodiff());
        let ema = average.then(|| net.frozen());
        let (adam, waiting) = (Adam::new(optimizer), ParamGradients::default());
        Self { device, net, ema, adam, waiting }
    }

    /// A gradient that waits, flat.
    #[cfg(test)]
    pub(crate) fn gradient(&self, name: &str) -> Vec<f32> {
        self.waiting.read(name)
    }
}

/// Pictures on a device, `[count, 3, size, size]`.
fn tensor(pictures: Pictures, device: &Device) -> Tensor<4> {
    let shape = [pictures.count, 3, pictures.size, pictures.size];
    Tensor::from_data(TensorData::new(pictures.pixels.to_vec(), shape), device)
}

impl Learner for BurnLearner {
    fn learn(
        &mut self,
        pictures: Pictures,
        frozen: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError> {
        let device = self.device.clone().autodiff();
        let features = self.net.features(tensor(pictures, &device), !frozen);
        let features = if frozen { features.detach() } else { features };
        let logits = self.net.head(features);
        let shape = logits.dims();
        let gradient = loss(&read(logits.clone()).1)?;
        // The gradient of this sum with respect to the logits is what the loss
        // gave: Burn takes it from there.
        let gradient = Tensor::from_data(TensorData::new(gradient, shape), &device);
        let gradients = (logits * gradient).sum().backward();
        self.waiting.add(ParamGradients::of(&self.net, gradients));
        Ok(())
    }

    fn apply(&mut self, rates: Rates) {
        self.adam.step(rates, &mut self.net, std::mem::take(&mut self.waiting));
    }

    fn share_weights(&mut self, outputs: Range<usize>) {
        let weight = self.net.fc_weight.val().inner();
        let width = weight.dims()[1];
        let rows = weight.clone().slice([outputs.clone(), 0..width]);
        let mean = rows.mean_dim(0).repeat_dim(0, outputs.len());
        let weight = weight.slice_assign([outputs, 0..width], mean);
        self.net.fc_weight = Param::from_tensor(Tensor::from_inner(weight));
    }

    fn average(&mut self, decay: f64) {
        if let Some(ema) = &mut self.ema {
            ema.blend(&self.net.frozen(), decay);
        }
    }

    fn logits(&self, pictures: Pictures) -> Vec<f32> {
        let x = tensor(pictures, &self.device);
        read(match &self.ema {
            Some(ema) => ema.forward(x, false),
            None => self.net.frozen().forward(x, false),
        })
        .1
    }

    fn weights(&self) -> NamedTensors {
        self.net.to_tensors()
    }

    fn set_weights(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        let mut all = self.net.to_tensors();
        all.extend(tensors.iter().map(|(name, tensor)| (name.clone(), tensor.clone())));
        self.net = self.net.clone().with_tensors(&all)?;
        self.ema = self.ema.is_some().then(|| self.net.frozen());
        Ok(())
    }

    fn reset_optimizer(&mut self) {
        self.adam.reset();
    }

    fn save(&self) -> NamedTensors {
        let mut tensors = self.net.to_tensors();
        if let Some(ema) = &self.ema {
            let named = ema.to_tensors().into_iter().map(|(n, t)| (format!("{EMA}{n}"), t));
            tensors.extend(named);
        }
        tensors.extend(self.adam.to_tensors());
        tensors
    }

    fn load(&mut self, tensors: &NamedTensors) -> Result<(), TrainError> {
        self.net = self.net.clone().with_tensors(tensors)?;
        self.adam.restore(tensors, &self.device)?;
        if self.ema.is_some() {
            self.ema = Some(self.net.frozen().with_tensors(&averaged(tensors))?);
        }
        Ok(())
    }
}
