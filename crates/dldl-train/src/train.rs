//! The training loop: batches in, steps, validation, checkpoints, log, and at
//! the end chart and weights. Each of these lives in its own file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dldl_data::{Manifest, Split};
use dldl_net::Normalisation;

use crate::batches::{Batch, Source};
use crate::chart::{self, Errors};
use crate::checkpoint::{self, Best, EpochSums, State};
use crate::config::{Export, TrainConfig};
use crate::error::TrainError;
use crate::events::Events;
use crate::folder::RunFolder;
use crate::learner::{Learner, averaged, learner};
use crate::log::{self, EpochRecord, Log, Record, StepRecord};
use crate::loss::{Criterion, Goal, Head, HeadSums, LossValues};
use crate::model::NamedTensors;
use crate::optim::Rates;
use crate::plan::{Plan, Position};
use crate::progress::{Progress, Start, Step, Summary};
use crate::truths::Datasets;
use crate::validate::validate;
use crate::{examples, export};

/// Trains from the start. See [`RunFolder`] for what it leaves behind.
///
/// # Errors
/// If the configuration or the data cannot be used, a file cannot be written,
/// the run folder holds a checkpoint already, or the loss stops being a number.
pub fn train(config: TrainConfig, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
    let last = RunFolder::new(&config.run).last();
    if last.exists() {
        let what = "belongs to a training that was begun: resume it or choose another run folder";
        return Err(TrainError::Checkpoint { path: last, what: what.into() });
    }
    Trainer::new(config, None, progress)?.run(progress)
}

/// Goes on from the newest checkpoint of the run folder as if nothing had
/// happened: the log and the weights become those of an uninterrupted training.
/// Without a checkpoint it trains from the start.
///
/// # Errors
/// As [`train`], and if the checkpoint is of another recipe.
pub fn resume(config: TrainConfig, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
    let last = RunFolder::new(&config.run).last();
    if !last.exists() {
        progress.note("no checkpoint yet: training from the start");
        return Trainer::new(config, None, progress)?.run(progress);
    }
    let (state, tensors) = checkpoint::load(&last)?;
    if !state.config.same_curve(&config) {
        let what = "belongs to another recipe: restore the configuration (config.toml beside it) \
                    or choose another run folder";
        return Err(TrainError::Checkpoint { path: last, what: what.into() });
    }
    progress.note(&format!("resuming after step {}", state.step));
    Trainer::new(config, Some((state, tensors)), progress)?.run(progress)
}

struct Trainer {
    config: TrainConfig,
    files: RunFolder,
    plan: Plan,
    datasets: Arc<Datasets>,
    train: Source,
    val: Source,
    learner: Box<dyn Learner>,
    /// The criterion of each phase.
    criteria: Vec<Criterion>,
    state: State,
    log: Log,
    events: Events,
    /// When this sitting began, and the seconds of the earlier ones.
    begun: Instant,
    before: f64,
    /// Seconds of the epochs that ended in this sitting, and those of waiting.
    clock: (f64, f64),
}

impl Trainer {
    fn new(
        config: TrainConfig,
        checkpoint: Option<(State, NamedTensors)>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let datasets = Arc::new(Datasets::open(&config)?);
        let heads = (0..config.phases.len())
            .map(|phase| datasets.heads(&config, config.phase_method(phase)))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let criteria: Vec<Criterion> = heads.iter().cloned().map(Criterion::new).collect();
        let spec = config.spec_with(criteria[0].outputs());
        let average = config.ema > 0.0;
        let mut learner = learner(config.device, &spec, config.seed, &config.optimizer, average)?;
        let (heads, normalisation) = (Arc::new(heads), Normalisation::default());
        let source =
            |split| Source::new(&datasets, split, &heads, &config.sampling, &normalisation);
        let (train, val) = (source(Split::Train), source(Split::Val));
        if train.drawn() < 2 {
            let names: Vec<String> =
                config.data.iter().map(|data| data.cache.display().to_string()).collect();
            return Err(TrainError::Data(format!(
                "{}: fewer than two samples to learn from in the train split",
                names.join(", ")
            )));
        }
        if val.is_empty() {
            progress.note("there is no val split: no validation, the last epoch is exported");
        }
        let plan = Plan::new(&config.phases, train.drawn());
        let state = match checkpoint {
            Some((mut state, tensors)) => {
                learner.load(&tensors)?;
                state.config = config.clone();
                state
            }
            None => {
                if let Some(path) = &config.init {
                    start_from(&mut *learner, path, progress)?;
                }
                State::new(config.clone())
            }
        };
        // Nothing is left behind where it cannot begin.
        let files = RunFolder::new(&config.run);
        std::fs::create_dir_all(&config.run).map_err(|e| TrainError::io(&config.run, e))?;
        checkpoint::write_atomically(&files.config(), config.to_toml().as_bytes())?;
        let log = Log::open(&files.log(), state.log_bytes)?;
        let events = Events::open(&files.events(), state.events_bytes)?;
        progress.start(&Start {
            epochs: plan.epochs(),
            steps: plan.steps(),
            done: state.step,
            train: train.len(),
            drawn: train.drawn(),
            val: val.len(),
            parameters: spec.parameter_count(),
        });
        Ok(Self {
            before: state.seconds,
            begun: Instant::now(),
            clock: (0.0, 0.0),
            config,
            files,
            plan,
            datasets,
            train,
            val,
            learner,
            criteria,
            state,
            log,
            events,
        })
    }

    fn run(mut self, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
        let mut batches = self.train.train_batches(
            &self.plan,
            self.state.step,
            &self.config.augment,
            self.config.seed,
            self.config.loader_threads,
            self.config.prefetch,
        );
        let pause = Duration::from_secs_f64(60.0 * self.config.checkpoint_minutes);
        let mut saved = Instant::now();
        while self.state.step < self.plan.steps() {
            if self.is_out_of_patience() {
                progress.note("no better validation for too long: the training ends here");
                break;
            }
            if progress.stop() {
                self.save(&self.files.last())?;
                return Ok(self.summary(false));
            }
            let begun = Instant::now();
            let batch = batches.next().ok_or_else(|| {
                TrainError::Data("the loader ended before the training did".into())
            })??;
            let waited = begun.elapsed().as_secs_f64();
            let position = self.plan.at(self.state.step);
            let (lr, loss) = self.step(&batch, &position)?;
            let seconds = begun.elapsed().as_secs_f64();
            for sums in [&mut self.state.epoch, &mut self.state.recent] {
                sums.add(&loss, position.batch, seconds, waited);
            }
            self.state.step += 1;
            let sums = &self.state.epoch;
            progress.step(&Step {
                done: self.state.step,
                lr,
                loss: loss.total,
                epoch_loss: sums.loss / sums.steps as f64,
                images_per_second: sums.images as f64 / sums.seconds,
                waiting: sums.waited / sums.seconds,
                position: position.clone(),
            });
            let ends = position.ends_epoch();
            if ends || (position.step + 1).is_multiple_of(self.config.log_every) {
                self.log_steps(&position, lr)?;
            }
            if ends {
                self.end_epoch(&position, lr, progress)?;
                saved = Instant::now();
            } else if saved.elapsed() >= pause {
                self.save(&self.files.last())?;
                saved = Instant::now();
            }
        }
        self.finish(progress)
    }

    /// One step on one batch: the learning rate and the loss.
    fn step(
        &mut self,
        batch: &Batch,
        position: &Position,
    ) -> Result<(f64, LossValues), TrainError> {
        let phase = &self.config.phases[position.phase];
        if position.phase_step == 0 {
            if phase.restart && position.phase > 0 {
                self.learner.reset_optimizer();
            }
            if phase.reset_bias {
                let mut tensors = self.learner.weights();
                tensors.retain(|name, _| name == "fc.bias");
                tensors.values_mut().for_each(|(_, values)| values.fill(0.0));
                self.learner.set_weights(&tensors)?;
            }
        }
        let (done, total) = position.progress();
        let lr =
            self.config.learning_rate * self.config.schedule.factor(done, total) * phase.lr_scale;
        let rates = Rates { trunk: lr * phase.trunk_lr_scale, head: lr * phase.head_lr_scale };
        let criterion = &self.criteria[position.phase];
        let diverged = |loss| TrainError::Diverged {
            loss,
            step: self.state.step + 1,
            epoch: position.epoch + 1,
        };
        let counts = criterion.counts(&batch.truths);
        let mut values = LossValues::default();
        for range in parts(batch.len(), phase.accumulate) {
            let truths = &batch.truths[range.clone()];
            let mut loss = |logits: &[f32]| {
                if logits.iter().any(|v| !v.is_finite()) {
                    return Err(diverged(f64::NAN));
                }
                let (part, gradient) = criterion.loss(logits, truths, &counts)?;
                values.add(&part);
                Ok(gradient)
            };
            let frozen = phase.trunk_lr_scale == 0.0;
            self.learner.learn(batch.pictures(range), frozen, &mut loss)?;
        }
        self.learner.apply(rates);
        // The first steps count for little, and each phase begins anew: weights
        // made for another resolution would spoil the average.
        let step = position.phase_step as f64;
        self.learner.average(self.config.ema.min(step / (10.0 + step)));
        Ok((lr, values))
    }

    fn log_steps(&mut self, position: &Position, lr: f64) -> Result<(), TrainError> {
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

    /// Whether the last epochs brought nothing, as the recipe counts it.
    fn is_out_of_patience(&self) -> bool {
        let done = match self.state.step {
            0 => 0,
            step => {
                let last = self.plan.at(step - 1);
                last.epoch + usize::from(last.ends_epoch())
            }
        };
        let best = self.state.best.as_ref().map_or(done, |best| best.epoch);
        self.config.patience > 0 && done >= best + self.config.patience
    }

    fn end_epoch(
        &mut self,
        position: &Position,
        lr: f64,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let begun = Instant::now();
        let criterion = &self.criteria[position.phase];
        let threads = self.config.loader_threads;
        let validation =
            validate(&*self.learner, criterion, &self.val, threads, position, progress)?;
        let epoch = position.epoch + 1;
        let so_far = self.state.best.as_ref().map_or(f64::INFINITY, |best| best.score);
        let errors: BTreeMap<String, f64> = match &validation {
            Some(found) => {
                let named = criterion.heads().iter().zip(&found.errors);
                named.filter_map(|(head, error)| Some((head.name.clone(), (*error)?))).collect()
            }
            None => BTreeMap::new(),
        };
        let best = validation.as_ref().filter(|found| found.score < so_far);
        let is_best = best.is_some();
        if let Some(found) = best {
            self.state.best = Some(Best { epoch, score: found.score, errors: errors.clone() });
        }
        let sums = std::mem::take(&mut self.state.epoch);
        let first = &criterion.heads()[0];
        let first_mae = match first.goal {
            Goal::Labels { .. } => errors.get(&first.name).copied(),
            Goal::Classes(_) | Goal::Vector(..) => None,
        };
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
            val_seconds: begun.elapsed().as_secs_f64(),
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

    fn finish(self, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
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
                what: format!("is of step {}, which ends no epoch of the log", state.step),
            })?;
        let data: Vec<&Manifest> =
            self.datasets.caches.iter().map(|(_, cache)| cache.manifest()).collect();
        export::write(&self.config, &data, &epoch, tensors, &self.files)?;
        let summary = self.summary(true);
        if let Some(path) = &summary.weights {
            progress.note(&format!("weights written to {}", path.display()));
        }
        Ok(summary)
    }

    fn summary(&self, finished: bool) -> Summary {
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
        self.before + self.begun.elapsed().as_secs_f64()
    }

    fn draw(&self) -> Result<(), TrainError> {
        let records = log::read(&self.files.log())?;
        let heads = self.criteria[0].heads();
        let heads: Vec<Errors> = heads.iter().map(|head| errors(head, heads.len() == 1)).collect();
        let title = self.config.model_name();
        let svg = chart::draw(&records, &title, &heads)?;
        checkpoint::write_atomically(&self.files.chart(), svg.as_bytes())?;
        let png = chart::draw_png(&records, &title, &heads)?;
        checkpoint::write_atomically(&self.files.chart_png(), &png)
    }

    /// Draws some validation samples after an epoch; those of the best epochs go
    /// to TensorBoard as well.
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
        let png = canvas.png()?;
        checkpoint::write_atomically(&self.files.examples(), &png)?;
        match epoch.best {
            true => self.events.picture(epoch.step, "examples", canvas.size, png),
            false => Ok(()),
        }
    }

    fn save(&self, path: &Path) -> Result<(), TrainError> {
        let state =
            State { log_bytes: self.log.bytes(), seconds: self.seconds(), ..self.state.clone() };
        checkpoint::save(path, &state, &self.learner.save())
    }
}

/// How a head's errors are called, where it is the only one or not.
fn errors(head: &Head, only: bool) -> Errors {
    let name = head.name.as_str();
    let (what, unit) = match &head.goal {
        Goal::Labels { .. } => (
            if only { "mean absolute error" } else { name },
            if name == dldl_data::AGE { "years" } else { "points" },
        ),
        Goal::Classes(_) => (name, "share wrong"),
        Goal::Vector(..) => (name, "cosine distance"),
    };
    Errors { head: name.into(), what: what.into(), unit }
}

/// The ranges of `count` samples in `parts` parts, as equal as they can be.
fn parts(count: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = parts.min(count);
    (0..parts).map(move |i| i * count / parts..(i + 1) * count / parts)
}

/// Puts the tensors of a weights file into `learner`, but leaves its own head
/// where the file's is of another shape.
fn start_from(
    learner: &mut dyn Learner,
    path: &Path,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let mut tensors = export::load(path)?;
    let own = learner.weights();
    if !tensors.contains_key("fc.weight") {
        progress.note("the head starts anew: a pretraining has none");
    } else if tensors.get("fc.weight").map(|t| &t.0) != own.get("fc.weight").map(|t| &t.0) {
        progress.note("the head has another shape than the one to start from: it starts anew");
        tensors.retain(|name, _| !name.starts_with("fc."));
    }
    learner
        .set_weights(&tensors)
        .map_err(|e| TrainError::Weights(format!("{} is of another network: {e}", path.display())))
}

impl EpochSums {
    fn add(&mut self, loss: &LossValues, images: usize, seconds: f64, waited: f64) {
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
