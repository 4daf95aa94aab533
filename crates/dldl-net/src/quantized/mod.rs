//! A model in 8-bit integers: its file, and the meaning of the values in it. They
//! are found by `calibrate` and run by `network`.
//!
//! Weights are signed bytes with a scale for each output channel. Activations
//! are bytes with a scale for each layer: after a ReLU nothing is negative. The
//! picture is taken in the bytes it has: the first layer's weights include the
//! normalization's division, and its bytes count from the normalization's mean.

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
    /// The value of a sum of 1, above 0; `[out]`.
    pub scale: Vec<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
    /// The value of an output byte of 1, above 0; none for the last layer, whose
    /// output is not rounded.
    pub output_scale: Option<f32>,
}

/// A model whose weights and activations are 8-bit integers; made by
/// [`quantize`].
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
    /// The description, in which [`ModelInfo::quantization`] is set.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`NetError::Spec`] if the description contradicts itself, or is of another
    /// network or of one that is not quantized; nothing is changed then.
    pub fn describe(&mut self, change: impl FnOnce(&mut ModelInfo)) -> Result<(), NetError> {
        let mut info = self.info.clone();
        change(&mut info);
        info.check()?;
        if info.net != self.info.net || info.quantization.is_none() {
            return Err(NetError::Spec("the new description is that of another network".into()));
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
    /// [`NetError::File`], which names the file; its source says what is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(NetError::Read);
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).map_err(NetError::in_file(path))
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// If it is not safetensors, has no description or that of a model in
    /// floating point, or a tensor is missing, unexpected, of another type or
    /// shape, not finite, or a scale that is not above 0.
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
                scale: part("scale").expect("was there"),
                bias: part("bias").expect("was there"),
                output_scale: part("output_scale").map(|s| s[0]),
                weight: bytes.remove(format!("conv{i}.weight").as_str()).expect("was there"),
            }
        });
        let layers = layers.collect();
        let head_weight = floats.remove("fc.weight").expect("was there");
        let head_bias = floats.remove("fc.bias").expect("was there");
        Ok(Self { info: info.clone(), layers, head_weight, head_bias })
    }

    /// The file's content.
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
            (name.as_str(), view.expect("lengths fit shapes"))
        });
        let info = serde_json::to_string(&self.info).expect("a description is plain data");
        let metadata = HashMap::from([(INFO_KEY.to_owned(), info)]);
        safetensors::serialize(views, Some(metadata)).map_err(NetError::Safetensors)
    }

    /// Writes a file by [`dldl_io::write_atomic`].
    ///
    /// # Errors
    /// [`NetError::File`] if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NetError> {
        let path = path.as_ref();
        self.to_bytes().and_then(|bytes| write(path, &bytes)).map_err(NetError::in_file(path))
    }
}

impl std::fmt::Debug for QuantizedWeights {
    /// The description without the million values.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("QuantizedWeights").field("info", &self.info).finish_non_exhaustive()
    }
}
