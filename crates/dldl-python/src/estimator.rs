//! The estimator: detector and model.

use std::sync::Arc;

use dldl::{
    DetectorParams, FaceEstimate, Picture, Precision, RecordOptions, SearchNet, models, parallel,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors::{DldlError, failure};
use crate::faces::{Context, Face, Faces, checked_level, json, loads};
use crate::picture::{self, Input};
use crate::pool::Pool;
use crate::worker;

/// Pictures that are copied before a batch of them is worked on: at most this many, of at most
/// this many bytes.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 256 << 20;

/// Detector, alignment and model in one.
#[pyclass(frozen, module = "dldl")]
pub struct Estimator {
    pub inner: Arc<dldl::Estimator>,
    pub pool: Arc<Pool>,
    detect: bool,
    pub min_quality: f64,
}

/// The names of the built-in models.
#[pyfunction]
pub fn model_names() -> Vec<&'static str> {
    models::names()
}

impl Estimator {
    /// The faces of a picture, with the picture's size.
    fn see(&self, input: &Input) -> Result<Seen, String> {
        let picture = input.decode()?;
        let faces = match self.detect {
            true => self.inner.estimate(&picture),
            false => self.inner.estimate_whole(&picture).map(|face| vec![face]),
        };
        let faces = faces.map_err(|e| crate::errors::text(&e))?;
        Ok(Seen { size: picture.full_size(), reduction: picture.reduction(), faces })
    }

    fn faces(&self, py: Python<'_>, name: String, seen: Seen, level: f64) -> PyResult<Faces> {
        let Seen { size, reduction, faces } = seen;
        let options =
            RecordOptions { level, min_quality: self.min_quality, ..RecordOptions::default() };
        let model = self.model_name();
        Faces::of_picture(py, Context { image: name, model, size, reduction, options }, faces)
    }

    fn model_name(&self) -> String {
        self.inner.engine().info().name.clone()
    }
}

/// What was seen in a picture.
struct Seen {
    size: (usize, usize),
    reduction: usize,
    faces: Vec<FaceEstimate>,
}

#[pymethods]
impl Estimator {
    #[new]
    #[pyo3(signature = (model=dldl::DEFAULT_MODEL.into(), *, threads=None, detect=true, flip=true,
                        detector="yunet", precision=None, min_quality=0.0))]
    #[expect(clippy::too_many_arguments, reason = "they have names in Python")]
    fn new(
        py: Python<'_>,
        model: std::path::PathBuf,
        threads: Option<usize>,
        detect: bool,
        flip: bool,
        detector: &str,
        precision: Option<&str>,
        min_quality: f64,
    ) -> PyResult<Self> {
        let unknown = |what: &str, name: &str, known: &str| {
            PyValueError::new_err(format!("unknown {what} `{name}`: expected {known}"))
        };
        let search = match detector {
            "mtcnn" => SearchNet::Mtcnn,
            "yunet" => SearchNet::YuNet,
            _ => return Err(unknown("detector", detector, "yunet or mtcnn")),
        };
        let precision = match precision {
            None => None,
            Some("f32") => Some(Precision::F32),
            Some("int8") => Some(Precision::Int8),
            Some("auto") => Some(Precision::Auto),
            Some(other) => return Err(unknown("precision", other, "f32, int8 or auto")),
        };
        if !(0.0..=1.0).contains(&min_quality) {
            let text = format!("invalid min_quality {min_quality}: expected a number from 0 to 1");
            return Err(PyValueError::new_err(text));
        }
        if threads == Some(0) {
            return Err(PyValueError::new_err("invalid threads 0: expected a number from 1"));
        }
        let load = || {
            let model = match precision {
                Some(kind) => models::in_precision(&model, kind)?,
                None => model,
            };
            dldl::Estimator::load(model)
        };
        let estimator = py.detach(load).map_err(|e| failure(&e))?;
        let params = DetectorParams { search, ..DetectorParams::default() };
        let estimator = estimator.flip_fusion(flip).detector_params(params);
        let pool = Arc::new(Pool::new(threads.unwrap_or(0)));
        Ok(Self { inner: Arc::new(estimator), pool, detect, min_quality })
    }

    /// The model's description.
    #[getter]
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        loads(py, json(self.inner.engine().info())?)
    }

    #[pyo3(signature = (image, *, level=0.9, bgr=false))]
    fn estimate(
        &self,
        py: Python<'_>,
        image: &Bound<'_, PyAny>,
        level: f64,
        bgr: bool,
    ) -> PyResult<Faces> {
        let level = checked_level(level)?;
        let input = Input::new(image, bgr, "picture")?;
        let seen = py.detach(|| self.pool.install(|| self.see(&input)));
        let seen = seen.map_err(|reason| picture::error(py, &input.name, &reason))?;
        self.faces(py, input.name, seen, level)
    }

    #[pyo3(signature = (images, *, level=0.9, bgr=false))]
    fn estimate_batch<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        level: f64,
        bgr: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let level = checked_level(level)?;
        let results = PyList::empty(py);
        let mut images = images.try_iter()?;
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < BATCH && bytes < BATCH_BYTES {
                let Some(image) = images.next() else { break };
                let name = format!("images[{}]", results.len() + batch.len());
                let input = Input::new(&image?, bgr, &name);
                bytes += input.as_ref().map_or(0, Input::bytes);
                batch.push(input);
            }
            if batch.is_empty() {
                return Ok(results);
            }
            for result in self.batch(py, batch, level)? {
                match result {
                    Ok(faces) => results.append(Py::new(py, faces)?)?,
                    Err(error) => results.append(error.into_value(py))?,
                }
            }
        }
    }

    #[pyo3(signature = (crops, *, level=0.9, bgr=false))]
    fn estimate_crops(
        &self,
        py: Python<'_>,
        crops: &Bound<'_, PyAny>,
        level: f64,
        bgr: bool,
    ) -> PyResult<Vec<Py<Face>>> {
        let level = checked_level(level)?;
        let side = self.inner.engine().info().input_size;
        let crops = picture::crops(crops, bgr, side)?;
        let seen = py.detach(|| {
            let estimate = |crop: dldl::Crop| {
                let picture = Picture::new(side, side, crop.into_rgb()).expect("a crop has pixels");
                self.inner.estimate_whole(&picture)
            };
            self.pool.install(|| crops.into_iter().map(estimate).collect::<Result<Vec<_>, _>>())
        });
        let seen = seen.map_err(|e| failure(&e))?.into_iter().enumerate();
        let one = |(i, face)| {
            let seen = Seen { size: (side, side), reduction: 1, faces: vec![face] };
            let faces = self.faces(py, format!("crops[{i}]"), seen, level)?;
            Ok(faces.into_first().expect("one for each crop"))
        };
        seen.map(one).collect()
    }

    fn __repr__(&self) -> String {
        format!("Estimator({:?})", self.model_name())
    }
}

impl Estimator {
    /// The results of pictures, in order.
    fn batch(
        &self,
        py: Python<'_>,
        inputs: Vec<PyResult<Input>>,
        level: f64,
    ) -> PyResult<Vec<PyResult<Faces>>> {
        let (mut usable, mut results) = (Vec::new(), Vec::new());
        for input in inputs {
            match input {
                Ok(input) => {
                    usable.push(input);
                    results.push(None);
                }
                Err(error) => results.push(Some(error)),
            }
        }
        let work = |control: &worker::Control<()>| {
            let mut all = Vec::with_capacity(usable.len());
            let see = |input: &Input| match control.stopped() {
                true => Err(String::new()),
                false => self.see(input),
            };
            let ended = parallel::ordered(&usable, self.pool.threads(), see, |_, result| {
                all.push(result);
                if control.stopped() { Err(()) } else { Ok(()) }
            });
            ended.map(|()| all)
        };
        let seen = worker::run(py, work, |_, ()| Ok(()))?;
        let seen = seen.map_err(|()| DldlError::new_err("stopped"))?;
        let names = usable.into_iter().map(|input| input.name);
        let mut seen = seen.into_iter().zip(names);
        let one = |failed: Option<PyErr>| match failed {
            Some(error) => Err(error),
            None => {
                let (seen, name) = seen.next().expect("a result for each usable picture");
                let seen = seen.map_err(|reason| picture::error(py, &name, &reason))?;
                self.faces(py, name, seen, level)
            }
        };
        Ok(results.into_iter().map(one).collect())
    }
}
