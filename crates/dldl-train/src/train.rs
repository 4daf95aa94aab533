//! The training loop. Batches, learner, losses and validation are in files of their
//! own; `records` writes the log, checkpoints, charts and weights.

mod records;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dldl_data::Split;
use dldl_net::Normalization;

use crate::backend::learner;
use crate::batches::{Batch, Source};
use crate::checkpoint::{self, State};
use crate::config::{TrainConfig, Val};
use crate::error::TrainError;
use crate::events::Events;
use crate::folder::RunFolder;
use crate::init::{BuiltInModels, InitWeights};
use crate::learner::{Learner, LearningRates};
use crate::log::Log;
use crate::loss::{Criterion, LossValues};
use crate::plan::{Plan, Position};
use crate::progress::{Progress, Start, Step, Summary};
use crate::targets::Datasets;
use crate::tensor::NamedTensors;

/// Trains from the start. See [`RunFolder`] for the files that it writes.
///
/// # Errors
/// If the configuration or the data cannot be used, a file cannot be written, the run
/// folder holds a checkpoint already, or the loss is no longer finite.
pub fn train(config: TrainConfig, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
    Training::new(config).run(progress)
}

/// Continues from the newest checkpoint of the run folder: the log and the weights
/// become those of an uninterrupted training. Without a checkpoint it trains from the
/// start.
///
/// # Errors
/// As [`train`], and if the checkpoint belongs to another recipe or other data.
pub fn resume(config: TrainConfig, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
    Training::new(config).resume(progress)
}

/// A training whose `init` may name a built-in model.
#[derive(Debug, Clone)]
pub struct Training {
    config: TrainConfig,
    built_in: Option<BuiltInModels>,
}

impl Training {
    /// A training by this recipe.
    pub fn new(config: TrainConfig) -> Self {
        Self { config, built_in: None }
    }

    /// Lets `init` name these models; any other `init` is a path.
    pub fn built_in_models(self, models: BuiltInModels) -> Self {
        Self { built_in: Some(models), ..self }
    }

    /// As [`train`].
    ///
    /// # Errors
    /// As [`train`].
    pub fn run(self, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
        let last = RunFolder::new(&self.config.run).last();
        if last.exists() {
            return Err(TrainError::RunExists { path: last });
        }
        Trainer::new(self, None, progress)?.run(progress)
    }

    /// As [`resume`].
    ///
    /// # Errors
    /// As [`resume`].
    pub fn resume(self, progress: &mut dyn Progress) -> Result<Summary, TrainError> {
        let last = RunFolder::new(&self.config.run).last();
        if !last.exists() {
            progress.note("no checkpoint yet: training from the start");
            return Trainer::new(self, None, progress)?.run(progress);
        }
        let (state, tensors) = checkpoint::load(&last)?;
        if !state.config.same_result(&self.config) {
            return Err(TrainError::OtherRecipe { path: last });
        }
        progress.note(&format!("resuming after step {}", state.step));
        Trainer::new(self, Some((state, tensors)), progress)?.run(progress)
    }
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
    /// When this run started, and the seconds of the runs that it resumes.
    started: Instant,
    seconds_before: f64,
    /// Seconds of the epochs that ended in this run, and those spent waiting.
    clock: (f64, f64),
}

impl Trainer {
    fn new(
        training: Training,
        checkpoint: Option<(State, NamedTensors)>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let Training { config, built_in } = training;
        config.check()?;
        let datasets = Arc::new(Datasets::open(&config, built_in)?);
        let heads = (0..config.phases.len())
            .map(|phase| datasets.heads(&config, config.phase_method(phase)))
            .collect::<Result<Vec<_>, TrainError>>()?;
        let criteria: Vec<Criterion> = heads.iter().cloned().map(Criterion::new).collect();
        let spec = config.spec_with(criteria[0].outputs());
        let ema = config.ema > 0.0;
        let mut learner = learner(config.device, &spec, config.seed, &config.optimizer, ema)?;
        let (heads, normalization) = (Arc::new(heads), Normalization::default());
        let source = |splits: &[Split], teachers| {
            Source::new(&datasets, splits, &heads, teachers, &config.sampling, &normalization)
        };
        let (to_learn, to_validate): (&[Split], &[Split]) = match config.val {
            Val::Split => (&[Split::Train], &[Split::Val]),
            Val::None => (&[Split::Train, Split::Val], &[]),
        };
        let teacher_scales = config.phases.iter().map(|phase| phase.teacher_scale).collect();
        let (train, val) = (source(to_learn, Some(teacher_scales)), source(to_validate, None));
        if train.samples_per_epoch() < 2 {
            let names: Vec<String> =
                config.data.iter().map(|data| data.cache.display().to_string()).collect();
            return Err(TrainError::TooFewSamples(format!(
                "the train split of {} has fewer than two samples with a label to learn",
                names.join(", ")
            )));
        }
        if val.is_empty() {
            let why = match config.val {
                Val::Split => "no val split: training",
                Val::None => "training on the val split as well,",
            };
            progress.note(&format!("{why} without validation, the last epoch is exported"));
        }
        let plan = Plan::new(&config.phases, train.samples_per_epoch());
        let files = RunFolder::new(&config.run);
        let samples = [train.len(), val.len()];
        let state = match checkpoint {
            Some((state, _)) if state.samples != samples => {
                return Err(TrainError::OtherData {
                    path: files.last(),
                    expected: state.samples,
                    found: samples,
                });
            }
            Some((mut state, tensors)) => {
                learner.load(&tensors)?;
                state.config = config.clone();
                state
            }
            None => {
                for (outputs, biases) in criteria[0].shared_outputs() {
                    set_biases(&mut *learner, outputs, &biases)?;
                }
                if let Some(path) = &config.init {
                    let weights = InitWeights::load(path, built_in)?;
                    weights.apply(&mut *learner, criteria[0].heads(), progress)?;
                }
                for (outputs, _) in criteria[0].shared_outputs() {
                    learner.share_weights(outputs);
                }
                State::new(config.clone(), samples)
            }
        };
        // Created last: a training that cannot start leaves nothing behind.
        std::fs::create_dir_all(&config.run).map_err(|e| TrainError::io(&config.run, e))?;
        let log = Log::open(&files.log(), state.log_bytes)?;
        let events = Events::open(&files.events(), state.events_bytes)?;
        checkpoint::write(&files.config(), config.to_toml().as_bytes())?;
        progress.start(&Start {
            epochs: plan.epochs(),
            steps: plan.steps(),
            done: state.step,
            train: train.len(),
            samples_per_epoch: train.samples_per_epoch(),
            val: val.len(),
            parameters: spec.parameter_count(),
        });
        Ok(Self {
            seconds_before: state.seconds,
            started: Instant::now(),
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
                progress.note(&format!(
                    "no better validation in {} epochs: stopping early",
                    self.config.patience
                ));
                break;
            }
            if progress.stop() {
                self.save(&self.files.last())?;
                return Ok(self.summary(false));
            }
            let started = Instant::now();
            let batch = batches.next().expect("there is a batch for every step")?;
            let waited = started.elapsed().as_secs_f64();
            let position = self.plan.at(self.state.step);
            let (lr, loss) = self.step(&batch, &position)?;
            let seconds = started.elapsed().as_secs_f64();
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

    /// One step on one batch. Returns the learning rate and the loss.
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
                let criterion = &self.criteria[position.phase];
                let zeros = vec![0.0; criterion.outputs()];
                set_biases(&mut *self.learner, 0..criterion.outputs(), &zeros)?;
                for (outputs, biases) in criterion.shared_outputs() {
                    set_biases(&mut *self.learner, outputs, &biases)?;
                }
            }
        }
        let (done, total) = position.progress();
        let lr =
            self.config.learning_rate * self.config.schedule.factor(done, total) * phase.lr_scale;
        let rates =
            LearningRates { trunk: lr * phase.trunk_lr_scale, head: lr * phase.head_lr_scale };
        let criterion = &self.criteria[position.phase];
        let diverged = |loss| TrainError::Diverged {
            loss,
            step: self.state.step + 1,
            epoch: position.epoch + 1,
        };
        let counts = criterion.counts(&batch.targets);
        let mut values = LossValues::default();
        for range in parts(batch.len(), phase.accumulate) {
            let targets = &batch.targets[range.clone()];
            let mut loss = |logits: &[f32]| {
                if logits.iter().any(|v| !v.is_finite()) {
                    return Err(diverged(f64::NAN));
                }
                let (part, gradient) = criterion.loss(logits, targets, &counts)?;
                values.add(&part);
                Ok(gradient)
            };
            let frozen = phase.trunk_lr_scale == 0.0;
            self.learner.accumulate_gradients(batch.images(range), frozen, &mut loss)?;
        }
        self.learner.optimizer_step(rates);
        for (outputs, _) in criterion.shared_outputs() {
            self.learner.share_weights(outputs);
        }
        // The decay grows over the first steps of each phase: the average should forget
        // the initial weights and those of another resolution.
        let step = position.phase_step as f64;
        self.learner.update_ema(self.config.ema.min(step / (10.0 + step)));
        Ok((lr, values))
    }

    /// Whether the last epochs (`patience` of the recipe) had no better validation.
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
}

/// The ranges of `parts` parts of `count` samples, as equal as possible.
fn parts(count: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = parts.min(count);
    (0..parts).map(move |i| i * count / parts..(i + 1) * count / parts)
}

/// Replaces the biases of some outputs.
fn set_biases(
    learner: &mut dyn Learner,
    outputs: Range<usize>,
    biases: &[f64],
) -> Result<(), TrainError> {
    let mut tensors = learner.weights();
    tensors.retain(|name, _| name == "fc.bias");
    for tensor in tensors.values_mut() {
        tensor.values[outputs.clone()].iter_mut().zip(biases).for_each(|(v, &b)| *v = b as f32);
    }
    learner.set_weights(&tensors)
}
