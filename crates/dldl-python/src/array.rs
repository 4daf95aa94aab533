//! Numbers from and to Python without a dependency on NumPy: anything with the buffer
//! protocol is read, and `bytearray`s are returned, which `python/dldl` wraps.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

/// The numbers of an array of `float64`, in C order.
pub fn read(values: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<f64>> {
    let wrong = |_| PyTypeError::new_err(format!("{what}: expected an array of float64"));
    PyBuffer::<f64>::get(values).map_err(wrong)?.to_vec(values.py())
}

/// The bytes of these numbers.
pub fn write<'py>(py: Python<'py>, values: &[f64]) -> Bound<'py, PyByteArray> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    PyByteArray::new(py, &bytes)
}
