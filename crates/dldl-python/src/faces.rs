//! Results: the faces of a picture and their estimates.

use std::sync::Arc;

use dldl::{FaceEstimate, FaceRecord, HeadEstimate, PictureRecord, RecordOptions, Task};
use dldl_video::TrackedFace;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use serde::Serialize;

/// What the results of one picture share.
pub struct Context {
    pub image: String,
    pub model: String,
    /// Sides of the picture as in its file.
    pub size: (usize, usize),
    /// By how much the picture was reduced while it was decoded.
    pub reduction: usize,
    pub options: RecordOptions,
}

/// The faces of a picture, or of a frame of a video.
#[pyclass(frozen, sequence, module = "dldl")]
pub struct Faces {
    context: Arc<Context>,
    faces: Vec<Py<Face>>,
    frame: Option<Frame>,
}

/// A frame of a video.
pub struct Frame {
    pub index: u64,
    pub time: f64,
    /// Three bytes per pixel, in rows.
    pub rgb: Vec<u8>,
}

impl Faces {
    /// The faces of a picture.
    pub fn of_picture(
        py: Python<'_>,
        context: Context,
        faces: Vec<FaceEstimate>,
    ) -> PyResult<Self> {
        let context = Arc::new(context);
        let face = |estimate| Face::of_picture(estimate, Arc::clone(&context));
        let faces = faces.into_iter().map(|f| Py::new(py, face(f))).collect::<PyResult<_>>()?;
        Ok(Self { context, faces, frame: None })
    }

    /// The first face.
    pub fn into_first(self) -> Option<Py<Face>> {
        self.faces.into_iter().next()
    }

    /// The faces of a frame.
    pub fn of_frame(
        py: Python<'_>,
        context: Arc<Context>,
        frame: Frame,
        faces: Vec<TrackedFace>,
    ) -> PyResult<Self> {
        let face = |tracked| Face::of_frame(tracked, Arc::clone(&context));
        let faces = faces.into_iter().map(|f| Py::new(py, face(f))).collect::<PyResult<_>>()?;
        Ok(Self { context, faces, frame: Some(frame) })
    }
}

#[pymethods]
impl Faces {
    #[getter]
    fn image(&self) -> &str {
        &self.context.image
    }

    #[getter]
    fn model(&self) -> &str {
        &self.context.model
    }

    #[getter]
    fn width(&self) -> usize {
        self.context.size.0
    }

    #[getter]
    fn height(&self) -> usize {
        self.context.size.1
    }

    #[getter]
    fn frame(&self) -> Option<u64> {
        self.frame.as_ref().map(|frame| frame.index)
    }

    #[getter]
    fn time(&self) -> Option<f64> {
        self.frame.as_ref().map(|frame| frame.time)
    }

    /// The pixels of a frame, three bytes each; none for a picture.
    #[getter]
    fn rgb<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.frame.as_ref().map(|frame| PyBytes::new(py, &frame.rgb))
    }

    fn __len__(&self) -> usize {
        self.faces.len()
    }

    fn __getitem__(&self, py: Python<'_>, index: isize) -> PyResult<Py<Face>> {
        let from = if index < 0 { index + self.faces.len() as isize } else { index };
        let face = usize::try_from(from).ok().and_then(|i| self.faces.get(i));
        face.map(|face| face.clone_ref(py))
            .ok_or_else(|| PyIndexError::new_err(format!("no face {index}")))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let faces = self.faces.iter().map(|face| face.clone_ref(py));
        PyTuple::new(py, faces)?.into_any().try_iter().map(Bound::into_any)
    }

    #[pyo3(signature = (*, level=None, distribution=false, thresholds=Vec::new()))]
    fn to_dict<'py>(
        &self,
        py: Python<'py>,
        level: Option<f64>,
        distribution: bool,
        thresholds: Vec<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        loads(py, self.to_json(level, distribution, thresholds)?)
    }

    #[pyo3(signature = (*, level=None, distribution=false, thresholds=Vec::new()))]
    fn to_json(
        &self,
        level: Option<f64>,
        distribution: bool,
        thresholds: Vec<f64>,
    ) -> PyResult<String> {
        let options = with(&self.context.options, level, distribution, thresholds)?;
        let record = |face: &Py<Face>| face.get().record(&options);
        json(&PictureRecord {
            image: self.context.image.clone(),
            width: Some(self.context.size.0),
            height: Some(self.context.size.1),
            frame: self.frame(),
            time: self.time().map(|time| (time * 1000.0).round() / 1000.0),
            model: self.context.model.clone(),
            version: PictureRecord::VERSION,
            faces: self.faces.iter().map(record).collect(),
            error: None,
        })
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("dldl.notebook")?.call_method1("faces_html", (slf,))
    }

    fn __repr__(&self) -> String {
        let faces: Vec<String> = self.faces.iter().map(|face| face.get().__repr__()).collect();
        format!("Faces({:?}, [{}])", self.context.image, faces.join(", "))
    }
}

/// A face and its estimates.
#[pyclass(frozen, module = "dldl")]
pub struct Face {
    kind: Kind,
    /// The estimates, in the order of the model's heads; empty if there are none.
    heads: Vec<Py<Estimate>>,
    context: Arc<Context>,
}

enum Kind {
    Picture(FaceEstimate),
    Frame(TrackedFace),
}

impl Face {
    fn of_picture(face: FaceEstimate, context: Arc<Context>) -> Self {
        Self::new(Kind::Picture(face), context)
    }

    fn of_frame(face: TrackedFace, context: Arc<Context>) -> Self {
        Self::new(Kind::Frame(face), context)
    }

    fn new(kind: Kind, context: Arc<Context>) -> Self {
        let heads = match &kind {
            Kind::Frame(tracked) if !tracked.heads.is_empty() => &tracked.heads[..],
            Kind::Picture(face) | Kind::Frame(TrackedFace { face, .. }) => {
                match context.options.refusal(face) {
                    None => &face.heads[..],
                    Some(_) => &[],
                }
            }
        };
        let level = context.options.level;
        let estimate = |head: &HeadEstimate| Estimate { head: head.clone(), level };
        let heads: Vec<Estimate> = heads.iter().map(estimate).collect();
        let heads = Python::attach(|py| {
            heads.into_iter().map(|head| Py::new(py, head)).collect::<PyResult<Vec<_>>>()
        });
        let heads = heads.expect("estimates are plain objects");
        Self { kind, heads, context }
    }

    fn face(&self) -> &FaceEstimate {
        match &self.kind {
            Kind::Picture(face) | Kind::Frame(TrackedFace { face, .. }) => face,
        }
    }

    fn record(&self, options: &RecordOptions) -> FaceRecord {
        match &self.kind {
            Kind::Picture(face) => FaceRecord::new(face, self.context.reduction, options),
            Kind::Frame(tracked) => dldl_video::face_record(tracked, options),
        }
    }

    fn estimate(&self, py: Python<'_>, task: Task) -> Option<Py<Estimate>> {
        let head = self.heads.iter().find(|head| head.get().head.task == task)?;
        Some(head.clone_ref(py))
    }

    /// A coordinate in pixels of the picture as in its file.
    fn pixels(&self, value: f32) -> f64 {
        f64::from(value) * self.context.reduction as f64
    }
}

#[pymethods]
impl Face {
    #[getter]
    fn bbox(&self) -> [f64; 4] {
        self.face().bbox.map(|v| self.pixels(v))
    }

    #[getter]
    fn score(&self) -> Option<f32> {
        self.face().score
    }

    #[getter]
    fn landmarks(&self) -> Option<[(f64, f64); 5]> {
        let points = self.face().landmarks?;
        Some(points.map(|[x, y]| (self.pixels(x), self.pixels(y))))
    }

    #[getter]
    fn rotation(&self) -> Option<u16> {
        self.record(&self.context.options).rotation
    }

    #[getter]
    fn quality(&self) -> f64 {
        self.face().quality
    }

    #[getter]
    fn not_assessed(&self) -> Option<String> {
        self.record(&self.context.options).not_assessed
    }

    #[getter]
    fn track(&self) -> Option<u64> {
        match &self.kind {
            Kind::Picture(_) => None,
            Kind::Frame(tracked) => tracked.track,
        }
    }

    #[getter]
    fn age(&self, py: Python<'_>) -> Option<Py<Estimate>> {
        self.estimate(py, Task::Age)
    }

    #[getter]
    fn attractiveness(&self, py: Python<'_>) -> Option<Py<Estimate>> {
        self.estimate(py, Task::Attractiveness)
    }

    #[getter]
    fn real_age(&self, py: Python<'_>) -> Option<Py<Estimate>> {
        self.estimate(py, Task::RealAge)
    }

    #[pyo3(signature = (*, level=None, distribution=false, thresholds=Vec::new()))]
    fn to_dict<'py>(
        &self,
        py: Python<'py>,
        level: Option<f64>,
        distribution: bool,
        thresholds: Vec<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        loads(py, self.to_json(level, distribution, thresholds)?)
    }

    #[pyo3(signature = (*, level=None, distribution=false, thresholds=Vec::new()))]
    fn to_json(
        &self,
        level: Option<f64>,
        distribution: bool,
        thresholds: Vec<f64>,
    ) -> PyResult<String> {
        let options = with(&self.context.options, level, distribution, thresholds)?;
        json(&self.record(&options))
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("dldl.notebook")?.call_method1("face_html", (slf,))
    }

    fn __repr__(&self) -> String {
        let [x, y, width, height] = self.bbox().map(f64::round);
        let mut text = format!("Face(bbox=({x}, {y}, {width}, {height})");
        for head in &self.heads {
            let Estimate { head, .. } = head.get();
            text += &format!(", {}={:.1}", head.task, head.value);
        }
        text + ")"
    }
}

/// The estimate of one task.
#[pyclass(frozen, module = "dldl")]
pub struct Estimate {
    head: HeadEstimate,
    level: f64,
}

impl Estimate {
    /// With the level of its intervals.
    pub fn new(head: HeadEstimate, level: f64) -> Self {
        Self { head, level }
    }

    /// The value, rounded to a tenth.
    pub fn short(&self) -> String {
        format!("{:.1}", self.head.value)
    }
}

#[pymethods]
impl Estimate {
    #[getter]
    fn task(&self) -> String {
        self.head.task.to_string()
    }

    #[getter]
    fn value(&self) -> f64 {
        self.head.value
    }

    #[getter]
    fn std(&self) -> f64 {
        self.head.std
    }

    #[getter]
    fn labels(&self) -> Vec<f64> {
        self.head.distribution.labels().values()
    }

    #[getter]
    fn probabilities(&self) -> Vec<f64> {
        self.head.distribution.probabilities().to_vec()
    }

    #[getter]
    fn is_calibrated(&self) -> bool {
        self.head.is_calibrated()
    }

    #[pyo3(signature = (level=None))]
    fn interval(&self, level: Option<f64>) -> PyResult<Interval> {
        let level = checked_level(level.unwrap_or(self.level))?;
        let interval = self.head.interval(level);
        Ok(Interval { level, low: interval.low, high: interval.high })
    }

    fn at_least(&self, threshold: f64) -> f64 {
        self.head.distribution.at_least(threshold)
    }

    fn __float__(&self) -> f64 {
        self.head.value
    }

    fn __repr__(&self) -> String {
        let interval = self.head.interval(self.level);
        let (value, std, percent) = (self.head.value, self.head.std, 100.0 * self.level);
        let (low, high) = (interval.low, interval.high);
        format!("Estimate({value:.2}, std={std:.2}, {percent} % from {low:.2} to {high:.2})")
    }
}

/// A range that holds the true value with a probability of `level`.
#[pyclass(frozen, get_all, module = "dldl")]
pub struct Interval {
    level: f64,
    low: f64,
    high: f64,
}

#[pymethods]
impl Interval {
    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let ends = [self.low, self.high].into_bound_py_any(py)?;
        ends.try_iter().map(Bound::into_any)
    }

    fn __contains__(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    fn __repr__(&self) -> String {
        format!("Interval(low={:.2}, high={:.2}, level={})", self.low, self.high, self.level)
    }
}

/// A level between 0 and 1.
pub fn checked_level(level: f64) -> PyResult<f64> {
    match 0.0 < level && level < 1.0 {
        true => Ok(level),
        false => {
            let text = format!("invalid level {level}: expected a number between 0 and 1");
            Err(PyValueError::new_err(text))
        }
    }
}

/// The options of a record, where some are given anew.
pub fn with(
    options: &RecordOptions,
    level: Option<f64>,
    distribution: bool,
    thresholds: Vec<f64>,
) -> PyResult<RecordOptions> {
    let level = checked_level(level.unwrap_or(options.level))?;
    if let Some(bad) = thresholds.iter().find(|t| !t.is_finite()) {
        let text = format!("invalid threshold {bad}: expected an age in years");
        return Err(PyValueError::new_err(text));
    }
    Ok(RecordOptions { level, distribution, thresholds, ..options.clone() })
}

/// JSON as Python's objects.
pub fn loads<'py>(py: Python<'py>, json: String) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (json,))
}

/// The JSON of a record.
pub fn json(record: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(record).map_err(|e| PyValueError::new_err(e.to_string()))
}
