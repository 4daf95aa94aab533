//! Training: what `dldl train` does.

use std::path::PathBuf;

use dldl::models;
use dldl_train::log::EpochRecord;
use dldl_train::{Progress, Start, Step, TrainConfig, Training};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::errors::failure;
use crate::faces::json;
use crate::worker::{self, Control};

/// What Python is told.
enum Event {
    Start(Start),
    Step(Step),
    Epoch(Box<EpochRecord>),
    Note(String),
}

struct Report<'a>(&'a Control<Event>);

impl Progress for Report<'_> {
    fn start(&mut self, start: &Start) {
        self.0.report(Event::Start(start.clone()));
    }

    fn step(&mut self, step: &Step) {
        self.0.report(Event::Step(step.clone()));
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.0.report(Event::Epoch(Box::new(record.clone())));
    }

    fn note(&mut self, text: &str) {
        self.0.report(Event::Note(text.to_owned()));
    }

    fn stop(&mut self) -> bool {
        self.0.stopped()
    }
}

impl Event {
    /// As a dictionary whose `event` is the kind.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let event = PyDict::new(py);
        match self {
            Self::Start(start) => {
                event.set_item("event", "start")?;
                event.set_item("epochs", start.epochs)?;
                event.set_item("steps", start.steps)?;
                event.set_item("done", start.done)?;
                event.set_item("train", start.train)?;
                event.set_item("val", start.val)?;
                event.set_item("parameters", start.parameters)?;
            }
            Self::Step(step) => {
                event.set_item("event", "step")?;
                event.set_item("done", step.done)?;
                event.set_item("learning_rate", step.lr)?;
                event.set_item("loss", step.loss)?;
                event.set_item("epoch_loss", step.epoch_loss)?;
                event.set_item("images_per_second", step.images_per_second)?;
            }
            Self::Epoch(record) => {
                let text = json(record)?;
                event.update(py.import("json")?.call_method1("loads", (text,))?.cast()?)?;
                event.set_item("event", "epoch")?;
            }
            Self::Note(text) => {
                event.set_item("event", "note")?;
                event.set_item("text", text)?;
            }
        }
        Ok(event)
    }
}

/// The result of a training.
#[derive(Serialize)]
struct Result {
    finished: bool,
    steps: usize,
    seconds: f64,
    best_epoch: Option<usize>,
    errors: std::collections::BTreeMap<String, f64>,
    weights: Option<PathBuf>,
    run: PathBuf,
}

/// Trains by a recipe, and returns the JSON of the result.
#[pyfunction]
#[pyo3(signature = (recipe=None, recipe_json=None, *, settings=Vec::new(), resume=false, progress=None))]
pub fn train(
    py: Python<'_>,
    recipe: Option<PathBuf>,
    recipe_json: Option<&str>,
    settings: Vec<(String, String)>,
    resume: bool,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<String> {
    let config = match (&recipe, recipe_json) {
        (Some(path), None) => TrainConfig::load(path, &settings),
        (None, Some(text)) => {
            let wrong = |e: &dyn std::fmt::Display| PyValueError::new_err(format!("recipe: {e}"));
            let table: toml::Value = serde_json::from_str(text).map_err(|e| wrong(&e))?;
            let text = toml::to_string(&table).map_err(|e| wrong(&e))?;
            TrainConfig::parse(&text, &settings)
        }
        _ => return Err(PyValueError::new_err("expected one recipe")),
    };
    let config = config.map_err(|e| PyValueError::new_err(crate::errors::text(&e)))?;
    let run = config.run.clone();
    let training = Training::new(config).built_in_models(models::built_in);
    let work = |control: &Control<Event>| {
        let mut report = Report(control);
        if resume { training.resume(&mut report) } else { training.run(&mut report) }
    };
    let handle = |py: Python<'_>, event: Event| match &progress {
        Some(call) => call.call1((event.to_dict(py)?,)).map(|_| ()),
        None => Ok(()),
    };
    let summary = worker::run(py, work, handle)?.map_err(|e| failure(&e))?;
    json(&Result {
        finished: summary.finished,
        steps: summary.steps,
        seconds: summary.seconds,
        best_epoch: summary.best.as_ref().map(|best| best.epoch),
        errors: summary.best.map(|best| best.errors).unwrap_or_default(),
        weights: summary.weights,
        run,
    })
}
