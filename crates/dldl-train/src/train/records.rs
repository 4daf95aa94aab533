//! The files that a training writes: log, checkpoints, pictures and, at the end,
//! weights.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use dldl_data::Manifest;

use super::Trainer;
use crate::chart::{self, Errors};
use crate::checkpoint::{self, Best, EpochSums, State};
use crate::config::Export;
use crate::error::TrainError;
use crate::head::{Head, Objective};
use crate::learner::averaged;
use crate::log::{self, EpochRecord, Record, StepRecord};
use crate::loss::{Criterion, HeadSums, LossValues};
use crate::plan::Position;
use crate::progress::{Progress, Summary};
use crate::validate::validate;
use crate::{examples, export};

impl Trainer {
    pub(super) fn log_steps(&mut self, position: &Position, lr: f64) -> Result<(), TrainError> {
        let sums = std::mem::take(&mut self.state.recent);
        let record = Record::Step(StepRecord {
            step: self.state.step,
            epoch: position.epoch + 1,
            size: position.size,
            lr,
            loss: sums.loss / sums.steps as f64,
            terms: sums.mean_terms(&self.criteria[position.phase]),
            images_per_second: sums.images as f64 / sums.seconds,
            waiting: sums.waited / sums.seconds,
        });
        self.log.write(&record)?;
        self.events.write(&record)
    }

    pub(super) fn end_epoch(
        &mut self,
        position: &Position,
        lr: f64,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let started = Instant::now();
        let criterion = &self.criteria[position.phase];
        let threads = self.config.loader_threads;
        let validation =
            validate(&*self.learner, criterion, &self.val, threads, position, progress)?;
        let epoch = position.epoch + 1;
        let best_score = self.state.best.as_ref().map_or(f64::INFINITY, |best| best.score);
        let errors: BTreeMap<String, f64> = match &validation {
            Some(found) => {
                let named = criterion.heads().iter().zip(&found.errors);
                named.filter_map(|(head, error)| Some((head.name.clone(), (*error)?))).collect()
            }
            None => BTreeMap::new(),
        };
        let best = validation.as_ref().filter(|found| found.score < best_score);
        let is_best = best.is_some();
        if let Some(found) = best {
            self.state.best = Some(Best { epoch, score: found.score, errors: errors.clone() });
        }
        let sums = std::mem::take(&mut self.state.epoch);
        let first = criterion.heads().iter().find(|head| head.has_labels());
        let first_mae = first.and_then(|head| errors.get(&head.name).copied());
        let record = EpochRecord {
            step: self.state.step,
            epoch,
            phase: position.phase + 1,
            size: position.size,
            lr,
            loss: sums.loss / sums.steps as f64,
            terms: sums.mean_terms(criterion),
            val_loss: validation.as_ref().map(|v| v.loss),
            val_mae: first_mae,
            val_errors: errors,
            best: is_best,
            images_per_second: sums.images as f64 / sums.seconds,
            waiting: sums.waited / sums.seconds,
            train_seconds: sums.seconds,
            val_seconds: started.elapsed().as_secs_f64(),
            seconds: self.seconds(),
        };
        self.clock = (self.clock.0 + sums.seconds, self.clock.1 + sums.waited);
        self.log.write(&Record::Epoch(record.clone()))?;
        self.events.write(&Record::Epoch(record.clone()))?;
        self.show(position, &record)?;
        if is_best {
            self.save(&self.files.best())?;
        }
        self.save(&self.files.last())?;
        self.draw()?;
        progress.epoch(&record);
        Ok(())
    }

    pub(super) fn finish(self, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
        self.draw()?;
        let source = match (self.config.export, &self.state.best) {
            (Export::Best, Some(_)) => self.files.best(),
            _ => self.files.last(),
        };
        let (state, mut tensors) = checkpoint::load(&source)?;
        if self.config.ema > 0.0 {
            tensors = averaged(&tensors);
        }
        let records = log::read(&self.files.log())?;
        let of_step = |r| match r {
            Record::Epoch(e) if e.step == state.step => Some(e),
            _ => None,
        };
        let epoch =
            records.into_iter().find_map(of_step).ok_or_else(|| TrainError::Checkpoint {
                path: source,
                what: format!("made after step {}, where no epoch of the log ends", state.step),
            })?;
        let data: Vec<&Manifest> =
            self.datasets.caches.iter().map(|(_, cache)| cache.manifest()).collect();
        let heads = self.criteria[epoch.phase - 1].heads();
        export::write(&self.config, &data, &epoch, heads, tensors, &self.files)?;
        let summary = self.summary(true);
        if let Some(path) = &summary.weights {
            progress.note(&format!("weights written to {}", path.display()));
        }
        Ok(summary)
    }

    pub(super) fn summary(&self, finished: bool) -> Summary {
        Summary {
            finished,
            steps: self.state.step,
            best: self.state.best.clone(),
            seconds: self.seconds(),
            waiting: (self.clock.0 > 0.0).then(|| self.clock.1 / self.clock.0),
            weights: finished.then(|| match self.config.is_pretraining() {
                true => self.files.trunk(),
                false => self.files.weights(),
            }),
        }
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn draw(&self) -> Result<(), TrainError> {
        let records = log::read(&self.files.log())?;
        let heads = self.criteria[0].heads();
        let heads: Vec<Errors> = heads.iter().map(|head| errors(head, heads.len() == 1)).collect();
        let title = self.config.model_name();
        let chart = chart::chart(&records, &title, &heads);
        checkpoint::write(&self.files.chart(), chart.to_svg().as_bytes())?;
        checkpoint::write(&self.files.chart_png(), &chart.to_png())
    }

    /// Draws some validation samples after an epoch; TensorBoard gets those of the best
    /// epochs.
    fn show(&mut self, position: &Position, epoch: &EpochRecord) -> Result<(), TrainError> {
        let title = format!(
            "{}: label and estimate after epoch {} at {} pixels",
            self.config.model_name(),
            epoch.epoch,
            epoch.size
        );
        let criterion = &self.criteria[position.phase];
        let canvas = examples::draw(&*self.learner, criterion, &self.val, position, &title)?;
        let Some(canvas) = canvas else { return Ok(()) };
        let size = (canvas.width() as u32, canvas.height() as u32);
        let png = canvas.to_png();
        checkpoint::write(&self.files.examples(), &png)?;
        match epoch.best {
            true => self.events.picture(epoch.step, "examples", size, png),
            false => Ok(()),
        }
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), TrainError> {
        self.log.sync()?;
        self.events.sync()?;
        let state = State {
            log_bytes: self.log.bytes(),
            events_bytes: self.events.bytes(),
            seconds: self.seconds(),
            ..self.state.clone()
        };
        checkpoint::save(path, &state, &self.learner.save())
    }
}

/// The label and unit of a head's errors in the chart.
fn errors(head: &Head, only: bool) -> Errors {
    let name = head.name.as_str();
    let (what, unit) = match &head.objective {
        Objective::Labels { .. } => (
            if only { "mean absolute error" } else { name },
            if name == dldl_label::Task::Age.name() { "years" } else { "points" },
        ),
        Objective::Classes(_) => (name, "share wrong"),
        Objective::Vector(..) => (name, "cosine distance"),
    };
    Errors { head: name.into(), what: what.into(), unit }
}

impl EpochSums {
    pub(super) fn add(&mut self, loss: &LossValues, images: usize, seconds: f64, waited: f64) {
        self.steps += 1;
        self.images += images;
        self.loss += loss.total;
        self.heads.resize(loss.heads.len(), HeadSums::default());
        for (sums, head) in self.heads.iter_mut().zip(&loss.heads) {
            sums.add(head);
        }
        self.seconds += seconds;
        self.waited += waited;
    }

    fn mean_terms(&self, criterion: &Criterion) -> BTreeMap<String, f64> {
        let heads = criterion.heads().iter().zip(&self.heads);
        let terms = heads.flat_map(|(head, sums)| {
            let mean = |sum: &f64| sum / sums.samples.max(1) as f64;
            let name = |term: &str| match criterion.heads().len() {
                1 => term.to_owned(),
                _ => format!("{}.{term}", head.name),
            };
            head.term_names().into_iter().map(name).zip(sums.terms.iter().map(mean))
        });
        terms.collect()
    }
}
