//! Label distributions and the methods that learn them, for those who train elsewhere.
//! `python/dldl/losses.py` has the functions on NumPy's arrays.

use dldl_label::{Distribution, Label, LabelError, LabelSet, Method, Target};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict};

use crate::array;

fn value(error: LabelError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn method(json: &str) -> PyResult<Method> {
    serde_json::from_str(json).map_err(|e| PyValueError::new_err(format!("method: {e}")))
}

fn label_set([min, max, step]: [f64; 3]) -> PyResult<LabelSet> {
    LabelSet::new(min, max, step).map_err(value)
}

/// The names of the methods.
#[pyfunction]
pub fn method_names() -> Vec<&'static str> {
    Method::ALL.iter().map(Method::name).collect()
}

/// The number of a network's outputs.
#[pyfunction]
pub fn head_size(method: &str, labels: [f64; 3]) -> PyResult<usize> {
    Ok(self::method(method)?.head_size(&label_set(labels)?))
}

/// Gaussians over the labels, [N, K].
#[pyfunction]
pub fn label_distribution<'py>(
    py: Python<'py>,
    means: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    labels: [f64; 3],
) -> PyResult<Bound<'py, PyByteArray>> {
    let labels = label_set(labels)?;
    let (means, sigmas) = (array::read(means, "mean")?, array::read(sigmas, "sigma")?);
    let mut all = Vec::with_capacity(means.len() * labels.len());
    for (mean, sigma) in means.into_iter().zip(sigmas) {
        let distribution = Distribution::gaussian(&labels, mean, sigma).map_err(value)?;
        all.extend_from_slice(distribution.probabilities());
    }
    Ok(array::write(py, &all))
}

/// The targets of labels.
fn encode(
    method: &Method,
    labels: &LabelSet,
    means: &Bound<'_, PyAny>,
    sigmas: &Bound<'_, PyAny>,
) -> PyResult<Vec<Target>> {
    let (means, sigmas) = (array::read(means, "mean")?, array::read(sigmas, "sigma")?);
    let one = |(mean, sigma)| method.encode(labels, &Label::new(mean, sigma)?);
    means.into_iter().zip(sigmas).map(|pair| one(pair).map_err(value)).collect()
}

/// A part of a target, if the method needs it.
type Part = fn(&Target) -> Option<Vec<f64>>;

/// A dictionary with `distribution` [N, K], `expectation` [N] and `ranks` [N, K - 1], as far as
/// the method needs them.
#[pyfunction]
pub fn targets<'py>(
    py: Python<'py>,
    method: &str,
    means: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    labels: [f64; 3],
) -> PyResult<Bound<'py, PyDict>> {
    let (method, labels) = (self::method(method)?, label_set(labels)?);
    let targets = encode(&method, &labels, means, sigmas)?;
    let all = PyDict::new(py);
    let parts: [(&str, Part); 3] = [
        ("distribution", |target| target.distribution.clone()),
        ("expectation", |target| target.expectation.map(|e| vec![e])),
        ("ranks", |target| target.ranks.clone()),
    ];
    for (name, part) in parts {
        if let Some(values) = targets.iter().map(part).collect::<Option<Vec<_>>>() {
            all.set_item(name, array::write(py, &values.concat()))?;
        }
    }
    Ok(all)
}

/// The losses [N] and their gradients by the logits [N, H].
#[pyfunction]
pub fn loss<'py>(
    py: Python<'py>,
    method: &str,
    logits: &Bound<'py, PyAny>,
    means: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    labels: [f64; 3],
) -> PyResult<(Bound<'py, PyByteArray>, Bound<'py, PyByteArray>)> {
    let (method, labels) = (self::method(method)?, label_set(labels)?);
    let targets = encode(&method, &labels, means, sigmas)?;
    let logits = array::read(logits, "logits")?;
    let all = py.detach(|| {
        let rows = logits.chunks_exact(method.head_size(&labels)).zip(&targets);
        rows.map(|(row, target)| method.loss(&labels, target, row)).collect::<Result<Vec<_>, _>>()
    });
    let all = all.map_err(value)?;
    let totals: Vec<f64> = all.iter().map(|loss| loss.total).collect();
    let gradients: Vec<f64> = all.into_iter().flat_map(|loss| loss.gradient).collect();
    Ok((array::write(py, &totals), array::write(py, &gradients)))
}

/// The distributions [N, K] that logits [N, H] mean, and the estimates [N] from them.
#[pyfunction]
pub fn decode<'py>(
    py: Python<'py>,
    method: &str,
    logits: &Bound<'py, PyAny>,
    labels: [f64; 3],
) -> PyResult<(Bound<'py, PyByteArray>, Bound<'py, PyByteArray>)> {
    let (method, labels) = (self::method(method)?, label_set(labels)?);
    let logits = array::read(logits, "logits")?;
    let (mut probabilities, mut estimates) = (Vec::new(), Vec::new());
    for row in logits.chunks_exact(method.head_size(&labels)) {
        let row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        let distribution = method.decode(&labels, &row).map_err(value)?;
        estimates.push(method.estimate(&distribution));
        probabilities.extend_from_slice(distribution.probabilities());
    }
    Ok((array::write(py, &probabilities), array::write(py, &estimates)))
}
