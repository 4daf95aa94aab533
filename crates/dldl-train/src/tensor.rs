//! Tensors in host memory, by name: weights, optimizer state, checkpoints.

use std::collections::BTreeMap;

use crate::error::TrainError;

/// A tensor of `f32` in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, as many as the product of the dimensions.
    pub values: Vec<f32>,
}

/// Tensors by name.
pub type NamedTensors = BTreeMap<String, Tensor>;

impl Tensor {
    /// A tensor of this shape.
    ///
    /// # Panics
    /// If the number of values is not the product of the dimensions.
    pub fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let shape = shape.into();
        let count: usize = shape.iter().product();
        assert_eq!(values.len(), count, "a tensor of shape {shape:?} needs {count} values");
        Self { shape, values }
    }

    /// A tensor whose values are all `value`.
    pub fn full(shape: impl Into<Vec<usize>>, value: f32) -> Self {
        let shape = shape.into();
        let values = vec![value; shape.iter().product()];
        Self { shape, values }
    }
}

/// The values of a tensor that is known to exist.
pub(crate) fn values<'a>(tensors: &'a NamedTensors, name: &str) -> &'a [f32] {
    &tensors[name].values
}

/// The tensor `name`, checked to have this shape.
///
/// # Errors
/// [`TrainError::MissingTensor`] and [`TrainError::TensorShape`].
pub(crate) fn find<'a>(
    tensors: &'a NamedTensors,
    name: &str,
    shape: &[usize],
) -> Result<&'a Tensor, TrainError> {
    match tensors.get(name) {
        None => Err(TrainError::MissingTensor { name: name.into() }),
        Some(tensor) if tensor.shape != shape => Err(TrainError::TensorShape {
            name: name.into(),
            found: tensor.shape.clone(),
            expected: shape.to_vec(),
        }),
        Some(tensor) => Ok(tensor),
    }
}
