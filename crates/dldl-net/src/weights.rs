//! The weights file: safetensors with the description as JSON in its metadata.
//! Any safetensors reader can open it, and loading executes no code.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{ModelInfo, NetError};

/// The metadata key that holds the description.
pub const INFO_KEY: &str = "dldl";

/// How values are stored in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit.
    F32,
    /// 16-bit (IEEE half) for the weights of the convolutions and the last layer: half
    /// the size. Batch norm and biases, one value in two hundred, stay 32-bit because a
    /// small variance would lose precision.
    F16,
}

/// A model: its description and its f32 tensors, in PyTorch's layout and with the names
/// of [`NetSpec::tensors`](crate::NetSpec::tensors).
#[derive(Clone, PartialEq)]
pub struct Weights {
    /// The description.
    pub info: ModelInfo,
    tensors: BTreeMap<String, Vec<f32>>,
}

impl Weights {
    /// Creates a model from a description and tensors.
    ///
    /// # Errors
    /// [`NetError`] if the description contradicts itself, or a tensor is missing,
    /// unexpected, of a wrong length or not finite, or a variance is negative.
    pub fn new(info: ModelInfo, tensors: BTreeMap<String, Vec<f32>>) -> Result<Self, NetError> {
        let weights = Self { info, tensors };
        weights.check()?;
        Ok(weights)
    }

    /// Checks that description and tensors are valid and consistent. `info` can be changed
    /// after [`Weights::new`].
    ///
    /// # Errors
    /// As [`Weights::new`].
    pub fn check(&self) -> Result<(), NetError> {
        self.info.check()?;
        reject_quantized(&self.info)?;
        let wanted = self.info.net.tensors();
        for (name, shape) in &wanted {
            let tensor = self.tensors.get(name).ok_or_else(|| NetError::missing(name))?;
            let count: usize = shape.iter().product();
            if tensor.len() != count {
                let what = format!("has {} values instead of {count} ({shape:?})", tensor.len());
                return Err(NetError::tensor(name, what));
            }
            if let Some(i) = tensor.iter().position(|v| !v.is_finite()) {
                let what = format!("contains {} at position {i}", tensor[i]);
                return Err(NetError::tensor(name, what));
            }
            if name.ends_with("running_var") && tensor.iter().any(|&v| v < 0.0) {
                return Err(NetError::tensor(name, "contains a negative variance"));
            }
        }
        match self.tensors.keys().find(|k| !wanted.iter().any(|(w, _)| w == *k)) {
            Some(name) => Err(NetError::unexpected(name)),
            None => Ok(()),
        }
    }

    /// The values of one tensor, row-major.
    ///
    /// # Panics
    /// If the network has no tensor of this name.
    pub fn tensor(&self, name: &str) -> &[f32] {
        &self.tensors[name]
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
    /// If it is not safetensors, has no description, is quantized, or as
    /// [`Weights::new`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetError> {
        let info = Self::read_info(bytes)?;
        reject_quantized(&info)?;
        let file = SafeTensors::deserialize(bytes).map_err(NetError::Safetensors)?;
        let shapes: HashMap<String, Vec<usize>> = info.net.tensors().into_iter().collect();
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let shape = shapes.get(name).ok_or_else(|| NetError::unexpected(name))?;
            if shape != view.shape() {
                let what = format!("has shape {:?} instead of {shape:?}", view.shape());
                return Err(NetError::tensor(name, what));
            }
            tensors.insert(name.to_owned(), values(name, &view)?);
        }
        Self::new(info, tensors)
    }

    /// Reads only the description of a file.
    ///
    /// # Errors
    /// If it is not safetensors or has no valid description.
    pub fn read_info(bytes: &[u8]) -> Result<ModelInfo, NetError> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(NetError::Safetensors)?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get(INFO_KEY)).ok_or_else(|| {
            NetError::Format(format!(
                "not a dldl model: a safetensors file without a description under \"{INFO_KEY}\""
            ))
        })?;
        let info: ModelInfo = serde_json::from_str(json).map_err(NetError::Description)?;
        info.check()?;
        Ok(info)
    }

    /// Returns the content of the file.
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a value is too large for half precision, or as
    /// [`Weights::check`].
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, NetError> {
        self.check()?;
        let mut data = Vec::new();
        for (name, shape) in self.info.net.tensors() {
            let values = &self.tensors[&name];
            if precision == Precision::F32 || shape.len() < 2 {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                data.push((name, Dtype::F32, shape, bytes));
            } else {
                let halves = values.iter().map(|&v| f16::from_f32(v));
                if halves.clone().any(|v| !v.is_finite()) {
                    return Err(NetError::tensor(&name, "is too large for half precision"));
                }
                let bytes = halves.flat_map(|v| v.to_le_bytes()).collect();
                data.push((name, Dtype::F16, shape, bytes));
            }
        }
        let views = data.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes)
                .expect("the length matches the shape");
            (name.as_str(), view)
        });
        let info = serde_json::to_string(&self.info).expect("a description can be written as JSON");
        let metadata = HashMap::from([(INFO_KEY.to_owned(), info)]);
        safetensors::serialize(views, Some(metadata)).map_err(NetError::Safetensors)
    }

    /// Writes a file with [`dldl_io::write_atomic`].
    ///
    /// # Errors
    /// [`NetError::File`] if it cannot be written, or as [`Weights::to_bytes`].
    pub fn save(&self, path: impl AsRef<Path>, precision: Precision) -> Result<(), NetError> {
        let path = path.as_ref();
        self.to_bytes(precision)
            .and_then(|bytes| write(path, &bytes))
            .map_err(NetError::in_file(path))
    }
}

impl std::fmt::Debug for Weights {
    /// The description, without the values.
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Weights").field("info", &self.info).finish_non_exhaustive()
    }
}

fn reject_quantized(info: &ModelInfo) -> Result<(), NetError> {
    match &info.quantization {
        None => Ok(()),
        Some(_) => Err(NetError::Spec(
            "a quantized model can only be run: use the f32 model it was quantized from".into(),
        )),
    }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), NetError> {
    dldl_io::write_atomic(path, bytes).map_err(NetError::Write)
}

/// The values of an F32 or F16 tensor.
pub(crate) fn values(name: &str, view: &TensorView) -> Result<Vec<f32>, NetError> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => Ok(data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F16 => {
            Ok(data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect())
        }
        other => Err(NetError::tensor(name, format!("has type {other:?} instead of F32 or F16"))),
    }
}
