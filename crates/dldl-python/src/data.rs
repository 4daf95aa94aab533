//! Datasets, their preparation and evaluations: what `dldl prepare` and `dldl eval` do.

use std::path::{Path, PathBuf};

use dldl_data::{Parameters, Part, Protocol};
use dldl_eval::{Options, Source};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::failure;
use crate::faces::{json, loads};
use crate::worker;

/// The names of the dataset formats.
#[pyfunction]
pub fn dataset_names() -> Vec<&'static str> {
    dldl_data::FORMATS.iter().map(|format| format.name).collect()
}

fn protocol(text: &str) -> PyResult<Protocol> {
    text.parse().map_err(|e| PyValueError::new_err(format!("protocol `{text}`: {e}")))
}

fn part(text: Option<&str>) -> PyResult<Option<Part>> {
    let part = text.map(str::parse).transpose();
    part.map_err(|e: dldl_data::InvalidPart| PyValueError::new_err(e.to_string()))
}

/// A labeled dataset on disk.
#[pyclass(frozen, module = "dldl")]
pub struct Dataset {
    inner: dldl_data::Dataset,
}

/// Reads a dataset in one of the formats.
#[pyfunction]
#[pyo3(signature = (dataset, root, *, labels=None, protocol="published"))]
pub fn load_dataset(
    py: Python<'_>,
    dataset: &str,
    root: PathBuf,
    labels: Option<PathBuf>,
    protocol: &str,
) -> PyResult<Dataset> {
    let protocol = self::protocol(protocol)?;
    let load = || dldl_data::load_with(dataset, &root, labels.as_deref(), &protocol);
    Ok(Dataset { inner: py.detach(load).map_err(|e| failure(&e))? })
}

#[pymethods]
impl Dataset {
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    #[getter]
    fn root(&self) -> &Path {
        &self.inner.root
    }

    fn __len__(&self) -> usize {
        self.inner.samples.len()
    }

    #[getter]
    fn samples<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, json(&self.inner.samples)?)
    }

    #[getter]
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, json(&self.inner.problems)?)
    }

    #[pyo3(signature = (out, *, size=224, detect=true, part=None, threads=0, progress=None))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn prepare<'py>(
        &self,
        py: Python<'py>,
        out: PathBuf,
        size: usize,
        detect: bool,
        part: Option<&str>,
        threads: usize,
        progress: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut parameters = Parameters { crop_size: size, ..Parameters::default() };
        if !detect {
            parameters.detector = None;
        }
        let part = self::part(part)?;
        let work = |control: &worker::Control<[usize; 2]>| {
            let show = |p: dldl_data::Progress| {
                control.check();
                control.report([p.done, p.total]);
            };
            dldl_data::prepare_part(&self.inner, &out, &parameters, part, threads, &show)
        };
        let report = worker::run(py, work, |_, done| report(&progress, done))?;
        loads(py, json(&report.map_err(|e| failure(&e))?)?)
    }

    fn __repr__(&self) -> String {
        format!("Dataset({:?}, {} pictures)", self.inner.name, self.inner.samples.len())
    }
}

/// Calls `progress(done, total)`, if there is one.
fn report(progress: &Option<Bound<'_, PyAny>>, [done, total]: [usize; 2]) -> PyResult<()> {
    progress.as_ref().map_or(Ok(()), |call| call.call1((done, total)).map(|_| ()))
}

/// A model's errors on a dataset.
#[pyclass(frozen, module = "dldl")]
pub struct Evaluation {
    inner: dldl_eval::Evaluation,
}

#[pymethods]
impl Evaluation {
    fn to_json(&self) -> String {
        self.inner.to_json()
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, self.to_json())
    }

    fn __str__(&self) -> String {
        self.inner.to_string()
    }
}

/// Runs a model over a labeled dataset, or over a cache.
#[pyfunction]
#[pyo3(signature = (dataset, root, *, model=dldl::DEFAULT_MODEL.into(), labels=None,
                    protocol="published", split="test", task=None, rescale=None, detect=true,
                    thresholds=Vec::new(), part=None, threads=0, progress=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub fn evaluate(
    py: Python<'_>,
    dataset: &str,
    root: PathBuf,
    model: PathBuf,
    labels: Option<PathBuf>,
    protocol: &str,
    split: &str,
    task: Option<&str>,
    rescale: Option<[f64; 2]>,
    detect: bool,
    thresholds: Vec<f64>,
    part: Option<&str>,
    threads: usize,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Evaluation> {
    let value = |e: &dyn std::fmt::Display| PyValueError::new_err(e.to_string());
    let protocol = self::protocol(protocol)?;
    let split = match split {
        "all" => None,
        _ => Some(split.parse().map_err(|e| value(&format!("{e}, or all")))?),
    };
    let task = task.map(str::parse).transpose().map_err(|e: dldl_label::LabelError| value(&e))?;
    let options = Options {
        task,
        split,
        rescale,
        no_detect: !detect,
        corruption: None,
        thresholds,
        part: self::part(part)?,
        threads,
    };
    let open = || Source::open_with(dataset, &root, labels.as_deref(), &protocol);
    let source = py.detach(open).map_err(|e| failure(&e))?;
    let estimator = py.detach(|| dldl::Estimator::load(&model)).map_err(|e| failure(&e))?;
    let work = |control: &worker::Control<[usize; 2]>| {
        let mut show = |p: dldl_eval::Progress| {
            control.check();
            control.report([p.done, p.total]);
        };
        dldl_eval::evaluate(estimator, &source, &options, &mut show)
    };
    let evaluation = worker::run(py, work, |_, done| report(&progress, done))?;
    Ok(Evaluation { inner: evaluation.map_err(|e| failure(&e))? })
}
