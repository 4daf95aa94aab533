//! Video: the faces of each frame, and the people of all frames.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dldl::RecordOptions;
use dldl_video::{
    Analyzer, AnalyzerParams, Ffmpeg, FrameReader, PersonRecord, ReadOptions, Source, TrackerParams,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors::failure;
use crate::estimator::Estimator;
use crate::faces::{Context, Estimate, Faces, Frame, checked_level, json, loads, with};
use crate::pool::Pool;

type Shared = Arc<dldl::Estimator>;

/// A video, frame by frame.
#[pyclass(frozen, module = "dldl")]
pub struct Video {
    name: String,
    estimator: Shared,
    pool: Arc<Pool>,
    options: RecordOptions,
    state: Mutex<State>,
}

struct State {
    /// None after the last frame.
    reader: Option<FrameReader>,
    analyzer: Analyzer<Shared>,
}

/// Opens a video.
#[pyfunction]
#[pyo3(signature = (source, estimator, *, level=0.9, fps=None, start=None, duration=None,
                    search_every=AnalyzerParams::default().search_every, min_frames=3,
                    max_gap=TrackerParams::default().max_gap, ffmpeg=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub fn video(
    py: Python<'_>,
    source: PathBuf,
    estimator: &Bound<'_, Estimator>,
    level: f64,
    fps: Option<f64>,
    start: Option<f64>,
    duration: Option<f64>,
    search_every: f64,
    min_frames: u16,
    max_gap: f64,
    ffmpeg: Option<PathBuf>,
) -> PyResult<Video> {
    let level = checked_level(level)?;
    for (name, value, least) in [
        ("fps", fps, f64::MIN_POSITIVE),
        ("duration", duration, f64::MIN_POSITIVE),
        ("start", start, 0.0),
        ("search_every", Some(search_every), 0.0),
        ("max_gap", Some(max_gap), 0.0),
    ] {
        if value.is_some_and(|value| !(least..f64::INFINITY).contains(&value)) {
            let expected = if least > 0.0 { "above 0" } else { "from 0" };
            let text = format!("invalid {name} {value:?}: expected a number {expected}");
            return Err(PyValueError::new_err(text.replace("Some(", "").replace(')', "")));
        }
    }
    let Estimator { inner, pool, min_quality, .. } = estimator.get();
    let source = Source::parse(&source.to_string_lossy());
    let tracker =
        TrackerParams { min_hits: min_frames.into(), max_gap, ..TrackerParams::default() };
    let params = AnalyzerParams { tracker, search_every, min_quality: *min_quality };
    let read = ReadOptions { fps, start, duration };
    let open = || FrameReader::open(&Ffmpeg::find(ffmpeg.as_deref())?, &source, &read);
    let reader = py.detach(open).map_err(|e| failure(&e))?;
    let analyzer = Analyzer::new(Arc::clone(inner), params);
    Ok(Video {
        name: source.name(),
        estimator: Arc::clone(inner),
        pool: Arc::clone(pool),
        options: RecordOptions { level, min_quality: *min_quality, ..RecordOptions::default() },
        state: Mutex::new(State { reader: Some(reader), analyzer }),
    })
}

impl Video {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Video {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// In seconds; none for streams and files that do not say.
    #[getter]
    fn duration(&self) -> Option<f64> {
        self.state().reader.as_ref().and_then(FrameReader::duration)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Faces>> {
        let next = || -> PyResult<_> {
            let mut state = self.state();
            let State { reader, analyzer } = &mut *state;
            let Some(open) = reader else { return Ok(None) };
            let Some(frame) = open.next_frame().map_err(|e| failure(&e))? else {
                *reader = None;
                return Ok(None);
            };
            let faces = self.pool.install(|| analyzer.frame(&frame)).map_err(|e| failure(&e))?;
            Ok(Some((frame, faces)))
        };
        let Some((frame, faces)) = py.detach(next)? else { return Ok(None) };
        let context = Arc::new(Context {
            image: self.name.clone(),
            model: self.estimator.engine().info().name.clone(),
            size: (frame.picture.width(), frame.picture.height()),
            reduction: 1,
            options: self.options.clone(),
        });
        let frame = Frame { index: frame.index, time: frame.time, rgb: frame.picture.into_rgb() };
        Faces::of_frame(py, context, frame, faces).map(Some)
    }

    fn people(&self, py: Python<'_>) -> Vec<Person> {
        let people = py.detach(|| self.state().analyzer.people());
        let person = |inner| Person {
            inner,
            video: self.name.clone(),
            estimator: Arc::clone(&self.estimator),
            options: self.options.clone(),
        };
        people.into_iter().map(person).collect()
    }

    /// Ends ffmpeg.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.state().reader = None);
    }

    fn __repr__(&self) -> String {
        format!("Video({:?})", self.name)
    }
}

/// A person in a video.
#[pyclass(frozen, module = "dldl")]
pub struct Person {
    inner: dldl_video::Person,
    video: String,
    estimator: Shared,
    options: RecordOptions,
}

impl Person {
    fn estimate(&self, task: dldl::Task) -> Option<Estimate> {
        let head = self.inner.heads.iter().find(|head| head.task == task)?;
        Some(Estimate::new(head.clone(), self.options.level))
    }
}

#[pymethods]
impl Person {
    #[getter]
    fn track(&self) -> u64 {
        self.inner.track
    }

    #[getter]
    fn first(&self) -> f64 {
        self.inner.first
    }

    #[getter]
    fn last(&self) -> f64 {
        self.inner.last
    }

    #[getter]
    fn frames(&self) -> u64 {
        self.inner.frames
    }

    #[getter]
    fn age(&self) -> Option<Estimate> {
        self.estimate(dldl::Task::Age)
    }

    #[getter]
    fn attractiveness(&self) -> Option<Estimate> {
        self.estimate(dldl::Task::Attractiveness)
    }

    #[getter]
    fn real_age(&self) -> Option<Estimate> {
        self.estimate(dldl::Task::RealAge)
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
        let options = with(&self.options, level, distribution, thresholds)?;
        let model = self.estimator.engine().info();
        json(&PersonRecord::new(&self.video, model, &self.inner, &options))
    }

    fn __repr__(&self) -> String {
        let dldl_video::Person { track, first, last, .. } = self.inner;
        let age = self.age().map_or(String::new(), |age| format!(", age={}", age.short()));
        format!("Person({track}, from {first:.1} to {last:.1} s{age})")
    }
}
