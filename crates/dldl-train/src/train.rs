//! The training loop: batches in, steps, validation, checkpoints, log, and at
//! the end chart and weights. Each of these lives in its own file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dldl_data::{Cache, Split};
use dldl_net::Normalisation;

use crate::batches::{Batch, Source};
use crate::checkpoint::{self, Best, EpochSums, State};
use crate::config::{Export, TrainConfig};
use crate::error::TrainError;
use crate::folder::RunFolder;
use crate::learner::{Learner, averaged, learner};
use crate::log::{self, EpochRecord, Log, Record, StepRecord};
use crate::loss::{Criterion, Goal, Head, HeadSums, LossValues};
use crate::model::NamedTensors;
use crate::optim::Rates;
use crate::plan::{Plan, Position};
use crate::progress::{Progress, Start, Step, Summary};
use crate::validate::validate;
use crate::{chart, export};

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
    cache: Arc<Cache>,
    train: Source,
    val: Source,
    learner: Box<dyn Learner>,
    criterion: Criterion,
    state: State,
    log: Log,
    /// When this sitting began, and the seconds of the earlier ones.
    begun: Instant,
    before: f64,
}

impl Trainer {
    fn new(
        config: TrainConfig,
        checkpoint: Option<(State, NamedTensors)>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        config.check()?;
        let spec = config.spec();
        let average = config.ema > 0.0;
        let mut learner = learner(config.device, &spec, config.seed, &config.optimizer, average)?;
        let goal = Goal::Labels { method: config.method, labels: config.labels.clone() };
        let head = Head { name: config.task.clone(), goal, weight: 1.0 };
        let criterion = Criterion::new(vec![head]);
        let cache = Cache::open(&config.cache).map_err(|e| TrainError::Data(e.to_string()))?;
        let cache = Arc::new(cache);
        let normalisation = Normalisation::default();
        let source =
            |split| Source::new(&cache, split, criterion.heads(), config.sigma, &normalisation);
        let train = source(Split::Train);
        let val = source(Split::Val);
        if train.len() < 2 {
            let what = "has fewer than two samples in its train split";
            return Err(TrainError::Data(format!("{} {what}", config.cache.display())));
        }
        if val.is_empty() {
            progress.note("the cache has no val split: no validation, the last epoch is exported");
        }
        let plan = Plan::new(&config.phases, train.len());
        let files = RunFolder::new(&config.run);
        std::fs::create_dir_all(&config.run).map_err(|e| TrainError::io(&config.run, e))?;
        checkpoint::write_atomically(&files.config(), config.to_toml().as_bytes())?;

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
        let log = Log::open(&files.log(), state.log_bytes)?;
        progress.start(&Start {
            epochs: plan.epochs(),
            steps: plan.steps(),
            done: state.step,
            train: train.len(),
            val: val.len(),
            parameters: spec.parameter_count(),
        });
        Ok(Self {
            before: state.seconds,
            begun: Instant::now(),
            config,
            files,
            plan,
            cache,
            train,
            val,
            learner,
            criterion,
            state,
            log,
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
        let total = self.plan.epochs() as f64;
        let factor = self.config.schedule.factor(position.progress(), total);
        let lr = self.config.learning_rate * factor * position.lr_scale;
        let diverged = |loss| TrainError::Diverged {
            loss,
            step: self.state.step + 1,
            epoch: position.epoch + 1,
        };
        let counts = self.criterion.counts(&batch.truths);
        let mut values = LossValues::default();
        let mut loss = |logits: &[f32]| {
            if logits.iter().any(|v| !v.is_finite()) {
                return Err(diverged(f64::NAN));
            }
            let (part, gradient) = self.criterion.loss(logits, &batch.truths, &counts)?;
            values.add(&part);
            Ok(gradient)
        };
        self.learner.learn(batch.pictures(0..batch.len()), false, &mut loss)?;
        self.learner.apply(Rates { trunk: lr, head: lr });
        // The first steps count for little, and each phase begins anew: weights
        // made for another resolution would spoil the average.
        let step = position.phase_step as f64;
        self.learner.average(self.config.ema.min(step / (10.0 + step)));
        Ok((lr, values))
    }

    fn log_steps(&mut self, position: &Position, lr: f64) -> Result<(), TrainError> {
        let sums = std::mem::take(&mut self.state.recent);
        self.log.write(&Record::Step(StepRecord {
            step: self.state.step,
            epoch: position.epoch + 1,
            size: position.size,
            lr,
            loss: sums.loss / sums.steps as f64,
            terms: sums.mean_terms(&self.criterion),
            images_per_second: sums.images as f64 / sums.seconds,
            waiting: sums.waited / sums.seconds,
        }))
    }

    fn end_epoch(
        &mut self,
        position: &Position,
        lr: f64,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let begun = Instant::now();
        let (net, criterion) = (&*self.learner, &self.criterion);
        let validation = validate(net, criterion, &self.val, &self.config, position, progress)?;
        let val_mae = validation.map(|v| v.1);
        let epoch = position.epoch + 1;
        let so_far = self.state.best.as_ref().map_or(f64::INFINITY, |best| best.mae);
        let best = val_mae.filter(|mae| *mae < so_far);
        if let Some(mae) = best {
            self.state.best = Some(Best { epoch, mae });
        }
        let sums = std::mem::take(&mut self.state.epoch);
        let record = EpochRecord {
            step: self.state.step,
            epoch,
            phase: position.phase + 1,
            size: position.size,
            lr,
            loss: sums.loss / sums.steps as f64,
            terms: sums.mean_terms(&self.criterion),
            val_loss: validation.map(|v| v.0),
            val_mae,
            best: best.is_some(),
            images_per_second: sums.images as f64 / sums.seconds,
            waiting: sums.waited / sums.seconds,
            train_seconds: sums.seconds,
            val_seconds: begun.elapsed().as_secs_f64(),
            seconds: self.seconds(),
        };
        self.log.write(&Record::Epoch(record.clone()))?;
        if best.is_some() {
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
        export::write(&self.config, self.cache.manifest(), &epoch, tensors, &self.files)?;
        progress.note(&format!("weights written to {}", self.files.weights().display()));
        Ok(self.summary(true))
    }

    fn summary(&self, finished: bool) -> Summary {
        Summary {
            finished,
            steps: self.state.step,
            best: self.state.best.clone(),
            seconds: self.seconds(),
            weights: finished.then(|| self.files.weights()),
        }
    }

    fn seconds(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    fn draw(&self) -> Result<(), TrainError> {
        let records = log::read(&self.files.log())?;
        let unit = if self.config.task == "age" { "years" } else { "points" };
        let svg = chart::draw(&records, &self.config.model_name(), unit)?;
        checkpoint::write_atomically(&self.files.chart(), svg.as_bytes())
    }

    fn save(&self, path: &Path) -> Result<(), TrainError> {
        let state =
            State { log_bytes: self.log.bytes(), seconds: self.seconds(), ..self.state.clone() };
        checkpoint::save(path, &state, &self.learner.save())
    }
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
    if tensors.get("fc.weight").map(|t| &t.0) != own.get("fc.weight").map(|t| &t.0) {
        progress.note("the head has another shape than the one to start from: it starts anew");
        tensors.retain(|name, _| !name.starts_with("fc."));
    }
    learner.set_weights(&tensors)
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
            head.term_names().into_iter().map(String::from).zip(sums.terms.iter().map(mean))
        });
        terms.collect()
    }
}
