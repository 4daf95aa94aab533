//! A [`Learner`] of Burn's tensors, on any of its devices.

use std::ops::Range;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use dldl_net::NetSpec;

use super::adam::{Adam, Gradients};
use super::model::{AgeNet, read};
use crate::config::{DeviceKind, OptimizerConfig};
use crate::error::TrainError;
use crate::learner::{EMA, ImageBatch, Learner, LearningRates, Loss, averaged};
use crate::tensor::NamedTensors;

/// The Burn device for a GPU, without autodiff.
///
/// # Errors
/// [`TrainError::UnsupportedDevice`] if this build does not have it.
pub fn device(device: DeviceKind) -> Result<Device, TrainError> {
    match device {
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "wgpu")]
        DeviceKind::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Ok(Device::cuda(0)),
        device => Err(TrainError::UnsupportedDevice { device }),
    }
}

/// The network, its average and its optimizer on a Burn device.
pub struct BurnLearner {
    /// Without autodiff.
    device: Device,
    net: AgeNet,
    ema: Option<AgeNet>,
    adam: Adam,
    gradients: Gradients,
}

impl BurnLearner {
    /// On `device`, one without autodiff; the rest as for
    /// [`learner`](crate::backend::learner).
    pub fn new(
        device: Device,
        spec: &NetSpec,
        seed: u64,
        optimizer: &OptimizerConfig,
        ema: bool,
    ) -> Self {
        let net = AgeNet::new(spec, seed, &device.clone().autodiff());
        let ema = ema.then(|| net.frozen());
        let (adam, gradients) = (Adam::new(optimizer), Gradients::default());
        Self { device, net, ema, adam, gradients }
    }

    /// The values of an accumulated gradient.
    #[cfg(test)]
    pub(super) fn gradient(&self, name: &str) -> Vec<f32> {
        self.gradients.read(name)
    }
}

/// Copies images to a device, `[count, 3, size, size]`.
fn upload(images: ImageBatch, device: &Device) -> Tensor<4> {
    let shape = [images.count, 3, images.size, images.size];
    Tensor::from_data(TensorData::new(images.pixels.to_vec(), shape), device)
}

impl Learner for BurnLearner {
    fn accumulate_gradients(
        &mut self,
        images: ImageBatch,
        frozen_trunk: bool,
        loss: &mut Loss,
    ) -> Result<(), TrainError> {
        let device = self.device.clone().autodiff();
        let features = self.net.features(upload(images, &device), !frozen_trunk);
        let features = if frozen_trunk { features.detach() } else { features };
        let logits = self.net.head(features);
        let shape = logits.dims();
        let gradient = loss(&read(logits.clone()).values)?;
        // The gradient of this sum with respect to the logits is `gradient`, so
        // Burn's backward pass continues where the loss ended.
        let gradient = Tensor::from_data(TensorData::new(gradient, shape), &device);
        let gradients = (logits * gradient).sum().backward();
        self.gradients.add(Gradients::of(&self.net, gradients));
        Ok(())
    }

    fn optimizer_step(&mut self, rates: LearningRates) {
        self.adam.step(rates, &mut self.net, std::mem::take(&mut self.gradients));
    }

    fn share_weights(&mut self, outputs: Range<usize>) {
        let weight = self.net.fc_weight.val().inner();
        let width = weight.dims()[1];
        let rows = weight.clone().slice([outputs.clone(), 0..width]);
        let mean = rows.mean_dim(0).repeat_dim(0, outputs.len());
        let weight = weight.slice_assign([outputs, 0..width], mean);
        self.net.fc_weight = Param::from_tensor(Tensor::from_inner(weight));
    }

    fn update_ema(&mut self, decay: f64) {
        if let Some(ema) = &mut self.ema {
            ema.blend(&self.net.frozen(), decay);
        }
    }

    fn logits(&self, images: ImageBatch) -> Vec<f32> {
        let x = upload(images, &self.device);
        let logits = match &self.ema {
            Some(ema) => ema.forward(x, false),
            None => self.net.frozen().forward(x, false),
        };
        read(logits).values
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
