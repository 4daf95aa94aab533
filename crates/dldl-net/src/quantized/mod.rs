//! A model in 8-bit integers: its file format and quantization scheme. `calibrate`
//! quantizes a model, `network` runs it.
//!
//! Weights are signed bytes with a scale per output channel. Activations are unsigned
//! bytes with a scale per layer, as nothing is negative after a ReLU. The input is the
//! picture's bytes: the division by the standard deviation is part of the first layer's
//! weights, and the mean is the zero point.

mod calibrate;
mod network;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::weights::{INFO_KEY, values, write};
use crate::{ModelInfo, NetError, Weights};

pub use calibrate::quantize;
pub(crate) use network::{QuantizedArena, QuantizedNetwork};

/// A layer: `y = max(0, scale[o] sum_k weight[o][k] x[k] + bias[o])`, where `x` is
/// the bytes of its input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// `[out, in, 3, 3]`
    pub weight: Vec<i8>,
    /// The scale of the integer sums, above 0; `[out]`.
    pub scale: Vec<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
    /// The scale of the output bytes, above 0; none for the last layer, whose output is
    /// not quantized.
    pub output_scale: Option<f32>,
}

/// A model with 8-bit integer weights and activations, created by [`quantize`].
#[derive(Clone, PartialEq)]
pub struct QuantizedWeights {
    info: ModelInfo,
    layers: Vec<Layer>,
    /// `[outputs, features]`
    head_weight: Vec<f32>,
    /// `[outputs]`
    head_bias: Vec<f32>,
}

impl QuantizedWeights {
    /// The description; [`ModelInfo::quantization`] is set.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`NetError::Spec`] if the new description is inconsistent, or is of another network
    /// or one that is not quantized. Nothing is changed then.
    pub fn describe(&mut self, change: impl FnOnce(&mut ModelInfo)) -> Result<(), NetError> {
        let mut info = self.info.clone();
        change(&mut info);
        info.check()?;
        if info.net != self.info.net || info.quantization.is_none() {
            return Err(NetError::Spec("the new description is of another network".into()));
        }
        self.info = info;
        Ok(())
    }

    /// Names, types and shapes of the tensors in a file, in order.
    fn tensors(info: &ModelInfo) -> Vec<(String, Dtype, Vec<usize>)> {
        let mut tensors = Vec::new();
        let layers = info.net.layers();
        let mut inputs = 3;
        for (i, &(outputs, _)) in layers.iter().enumerate() {
            tensors.push((format!("conv{i}.weight"), Dtype::I8, vec![outputs, inputs, 3, 3]));
            tensors.push((format!("conv{i}.scale"), Dtype::F32, vec![outputs]));
            tensors.push((format!("conv{i}.bias"), Dtype::F32, vec![outputs]));
            if i + 1 < layers.len() {
                tensors.push((format!("conv{i}.output_scale"), Dtype::F32, vec![1]));
            }
            inputs = outputs;
        }
        tensors.push(("fc.weight".into(), Dtype::F32, vec![info.net.outputs, inputs]));
        tensors.push(("fc.bias".into(), Dtype::F32, vec![info.net.outputs]));
        tensors
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`NetError::File`] with the path; its source is the cause.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(NetError::Read);
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).map_err(NetError::in_file(path))
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// If it is not safetensors, has no description or one of a model in floating point,
    /// or a tensor is missing, unexpected, of another type or shape, or not finite, or a
    /// scale is not above 0.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetError> {
        let info = Weights::read_info(bytes)?;
        if info.quantization.is_none() {
            return Err(NetError::Format("the model is not quantized".into()));
        }
        let file = SafeTensors::deserialize(bytes).map_err(NetError::Safetensors)?;
        let wanted = Self::tensors(&info);
        if let Some(name) = file.names().into_iter().find(|n| !wanted.iter().any(|w| w.0 == **n)) {
            return Err(NetError::unexpected(name));
        }
        let mut bytes: BTreeMap<&str, Vec<i8>> = BTreeMap::new();
        let mut floats: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        for (name, dtype, shape) in &wanted {
            let view = file.tensor(name).map_err(|_| NetError::missing(name))?;
            if view.dtype() != *dtype || view.shape() != shape {
                let what = format!(
                    "has {:?} {:?} instead of {dtype:?} {shape:?}",
                    view.dtype(),
                    view.shape()
                );
                return Err(NetError::tensor(name, what));
            }
            if *dtype == Dtype::I8 {
                bytes.insert(name, view.data().iter().map(|&b| b as i8).collect());
                continue;
            }
            let values = values(name, &view)?;
            let is_scale = name.ends_with("scale");
            if let Some(v) = values.iter().find(|v| !v.is_finite() || is_scale && **v <= 0.0) {
                return Err(NetError::tensor(name, format!("contains {v}")));
            }
            floats.insert(name, values);
        }
        let layers = (0..info.net.layers().len()).map(|i| {
            let mut part = |part: &str| floats.remove(format!("conv{i}.{part}").as_str());
            Layer {
                scale: part("scale").expect("all tensors are present"),
                bias: part("bias").expect("all tensors are present"),
                output_scale: part("output_scale").map(|s| s[0]),
                weight: bytes
                    .remove(format!("conv{i}.weight").as_str())
                    .expect("all tensors are present"),
            }
        });
        let layers = layers.collect();
        let head_weight = floats.remove("fc.weight").expect("all tensors are present");
        let head_bias = floats.remove("fc.bias").expect("all tensors are present");
        Ok(Self { info: info.clone(), layers, head_weight, head_bias })
    }

    /// Returns the content of the file.
    ///
    /// # Errors
    /// [`NetError::Safetensors`] if it cannot be written as safetensors.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetError> {
        let mut data: HashMap<String, Vec<u8>> = HashMap::new();
        let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        for (i, layer) in self.layers.iter().enumerate() {
            let weight = layer.weight.iter().map(|&w| w as u8).collect();
            data.insert(format!("conv{i}.weight"), weight);
            data.insert(format!("conv{i}.scale"), floats(&layer.scale));
            data.insert(format!("conv{i}.bias"), floats(&layer.bias));
            if let Some(scale) = layer.output_scale {
                data.insert(format!("conv{i}.output_scale"), floats(&[scale]));
            }
        }
        data.insert("fc.weight".into(), floats(&self.head_weight));
        data.insert("fc.bias".into(), floats(&self.head_bias));
        let tensors = Self::tensors(&self.info);
        let views = tensors.iter().map(|(name, dtype, shape)| {
            let view = TensorView::new(*dtype, shape.clone(), &data[name]);
            (name.as_str(), view.expect("the length matches the shape"))
        });
        let info = serde_json::to_string(&self.info).expect("a description can be written as JSON");
        let metadata = HashMap::from([(INFO_KEY.to_owned(), info)]);
        safetensors::serialize(views, Some(metadata)).map_err(NetError::Safetensors)
    }

    /// Writes a file with [`dldl_io::write_atomic`].
    ///
    /// # Errors
    /// [`NetError::File`] if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NetError> {
        let path = path.as_ref();
        self.to_bytes().and_then(|bytes| write(path, &bytes)).map_err(NetError::in_file(path))
    }
}

impl std::fmt::Debug for QuantizedWeights {
    /// The description, without the values.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("QuantizedWeights").field("info", &self.info).finish_non_exhaustive()
    }
}
