//! From labeled pictures to predictions, with and without flip fusion in one
//! pass. What is counted of them is in [`crate::figures`].

use std::convert::Infallible;
use std::path::Path;

use dldl::{Crop, Estimator, Head, ModelInfo, Task, parallel};
use dldl_data::{
    Annotation, Cache, DataError, Dataset, Problem, Protocol, Sample, Split, main_face,
};

use crate::{Baseline, Disturbance, Evaluation, Prediction, Scale, Subject};

/// Where the labeled pictures come from.
pub enum Source {
    /// A dataset as it lies on disk: faces are detected and aligned on the fly.
    Dataset(Dataset),
    /// A packed cache of crops that are aligned already.
    Cache(Box<Cache>),
}

impl Source {
    /// Opens a dataset by its format's name ([`dldl_data::FORMATS`]), or the
    /// packed cache in `root` for the name `cache`.
    ///
    /// # Errors
    /// As [`dldl_data::load`] and [`Cache::open`].
    pub fn open(format: &str, root: &Path, labels: Option<&Path>) -> Result<Self, DataError> {
        Self::open_with(format, root, labels, &Protocol::default())
    }

    /// The same, divided by a protocol; a cache is divided already.
    ///
    /// # Errors
    /// As [`dldl_data::load_with`] and [`Cache::open`], and
    /// [`DataError::Parameter`] if a cache is to be divided in another way than it
    /// was prepared.
    pub fn open_with(
        format: &str,
        root: &Path,
        labels: Option<&Path>,
        protocol: &Protocol,
    ) -> Result<Self, DataError> {
        if format != "cache" {
            return dldl_data::load_with(format, root, labels, protocol).map(Source::Dataset);
        }
        let cache = Cache::open(root)?;
        let prepared = &cache.manifest().protocol;
        if *protocol != Protocol::default() && protocol != prepared {
            let reason = format!("{protocol}: the cache was prepared with the protocol {prepared}");
            return Err(DataError::Parameter(reason));
        }
        Ok(Source::Cache(Box::new(cache)))
    }

    /// The name of the dataset.
    pub fn name(&self) -> &str {
        match self {
            Source::Dataset(dataset) => &dataset.name,
            Source::Cache(cache) => &cache.manifest().dataset,
        }
    }

    /// How it is divided; none where that is the dataset's own way.
    fn protocol(&self) -> Option<&Protocol> {
        let protocol = match self {
            Source::Dataset(dataset) => &dataset.protocol,
            Source::Cache(cache) => &cache.manifest().protocol,
        };
        Some(protocol).filter(|p| !p.is_published())
    }

    /// All its samples, of all splits.
    pub(crate) fn samples(&self) -> Vec<&Sample> {
        match self {
            Source::Dataset(dataset) => dataset.samples.iter().collect(),
            Source::Cache(cache) => cache.samples().iter().map(|s| &s.sample).collect(),
        }
    }
}

/// What is evaluated, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The task to measure; by default that of the model's first head. Samples
    /// without such a label are left out.
    pub task: Option<Task>,
    /// One split, or all samples.
    pub split: Option<Split>,
    /// The ends of the dataset's scale where it is another than that of the
    /// model's labels: its labels are rescaled, linearly, so that these come to
    /// the ends of the model's (specification 5.8).
    pub rescale: Option<[f64; 2]>,
    /// Takes every picture whole, for pictures that are aligned already.
    pub no_detect: bool,
    /// What is wrong with the pictures, on purpose; for datasets as they lie on
    /// disk only.
    pub disturbance: Option<Disturbance>,
    /// Threads; 0 for as many as there are processors.
    pub threads: usize,
}

/// How far an evaluation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pictures dealt with.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
}

/// Why nothing could be evaluated. Pictures that fail are no errors: they are
/// counted and named in the report.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model does not estimate it.
    #[error("the model does not estimate {task}: its tasks are {known}")]
    Task {
        /// The task that was asked for.
        task: Task,
        /// The model's tasks.
        known: String,
    },
    /// A scale of no width, or with an end that is no number.
    #[error("the scale from {} to {} cannot be rescaled", .0[0], .0[1])]
    Rescale([f64; 2]),
    /// There is nothing in the split.
    #[error("the dataset {dataset} has no samples labeled with {task}{}", split.map_or(String::new(), |s| format!(" in the split {s}")))]
    Empty {
        /// The dataset's name.
        dataset: String,
        /// The split that was asked for.
        split: Option<Split>,
        /// The task.
        task: Task,
    },
    /// A cache has no pictures that could be disturbed.
    #[error("a cache holds crops, not pictures: a disturbance needs the dataset itself")]
    Disturbance,
    /// The cache's crops are not what the model wants to see.
    #[error(
        "the cache was aligned by the template \"{cache}\", the model needs \"{model}\": \
         evaluate on the dataset itself, or prepare a cache with the model's template"
    )]
    Template {
        /// The cache's template.
        cache: String,
        /// The model's template.
        model: String,
    },
}

/// Runs the model over the pictures, in parallel, and counts its errors. In a
/// picture with several faces the label is taken to be that of
/// [`main_face`]; a picture without a face is taken whole, as in a prepared
/// cache. `progress` is called on this thread after each picture.
///
/// The baseline is the median label of the source's train split.
///
/// # Errors
/// [`EvalError`] if nothing is in the split or the cache does not fit the
/// model.
pub fn evaluate(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, EvalError> {
    let run = Run::new(estimator, source, options)?;
    let make = |seen: &_, sample: &_, annotation: &_| predict(&run.head, seen, sample, annotation);
    let (predictions, failed) = run.over(&make, progress);
    let baseline = Baseline::new(run.labels(Split::Train), &predictions);
    let problems = match source {
        Source::Dataset(dataset) => dataset.problems.clone(),
        Source::Cache(_) => Vec::new(),
    };
    Ok(Evaluation::new(run.subject(), predictions, baseline, failed, problems))
}

/// What a head says of a sample by the network's outputs.
pub(crate) fn predict(
    head: &Head,
    seen: &Seen,
    sample: &Sample,
    annotation: &Annotation,
) -> Result<Prediction, String> {
    let distribution = |logits: &Vec<f32>| head.decode(logits).map_err(|e| e.to_string());
    let [plain, flipped] = &seen.logits;
    let both = [distribution(plain)?, distribution(flipped)?];
    Prediction::new(sample, annotation, head, both, seen.aligned).map_err(|e| e.to_string())
}

/// A model that is to be run over a source.
pub(crate) struct Run<'a> {
    estimator: Estimator,
    source: &'a Source,
    options: &'a Options,
    samples: Vec<&'a Sample>,
    /// What is looked at of all that the model estimates, and the place of its
    /// outputs.
    pub head: Head,
    outputs: std::ops::Range<usize>,
    /// What is wrong with the pictures.
    pub disturbance: Option<Disturbance>,
    /// Which samples.
    wanted: Vec<usize>,
}

/// What came out of the network for one picture.
pub(crate) struct Seen {
    /// The head's outputs for the crop and for its mirror image, before they are
    /// corrected and decoded.
    pub logits: [Vec<f32>; 2],
    /// Whether the crop is aligned by a face's landmarks.
    pub aligned: bool,
}

impl<'a> Run<'a> {
    /// Checks that all fits together.
    pub fn new(
        estimator: Estimator,
        source: &'a Source,
        options: &'a Options,
    ) -> Result<Self, EvalError> {
        let info = estimator.engine().info();
        if let Source::Cache(cache) = source {
            if options.disturbance.is_some() {
                return Err(EvalError::Disturbance);
            }
            let (cache, model) = (&cache.manifest().parameters.template, &info.template);
            if cache != model {
                let (cache, model) = (cache.name.clone(), model.name.clone());
                return Err(EvalError::Template { cache, model });
            }
        }
        if let Some([low, high]) = options.rescale
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(EvalError::Rescale([low, high]));
        }
        let place = find_head(info, options.task)?;
        let (head, outputs) = (info.heads[place].clone(), info.output_ranges().swap_remove(place));
        let samples = source.samples();
        let wanted: Vec<usize> = (0..samples.len())
            .filter(|&i| options.split.is_none_or(|split| samples[i].split == split))
            .filter(|&i| samples[i].annotation(head.task).is_some())
            .collect();
        if wanted.is_empty() {
            let dataset = source.name().to_owned();
            let (split, task) = (options.split, head.task);
            return Err(EvalError::Empty { dataset, split, task });
        }
        // Each crop's mirror image is looked at apart.
        let estimator = estimator.flip_fusion(false);
        let disturbance = options.disturbance;
        Ok(Self { estimator, source, options, samples, head, outputs, disturbance, wanted })
    }

    /// Makes something of every picture, in the order of the samples; and says
    /// which pictures cannot be used.
    pub fn over<T: Send>(
        &self,
        make: &(impl Fn(&Seen, &Sample, &Annotation) -> Result<T, String> + Sync),
        progress: &mut dyn FnMut(Progress),
    ) -> (Vec<T>, Vec<Problem>) {
        let (mut made, mut failed) = (Vec::new(), Vec::new());
        let work = |&i: &usize| {
            let annotation = self.annotation(i).expect("what is wanted has the label");
            make(&self.look(i)?, self.samples[i], &annotation)
        };
        let total = self.wanted.len();
        let done = parallel::ordered(&self.wanted, self.options.threads, work, |n, result| {
            match result {
                Ok(one) => made.push(one),
                Err(reason) => {
                    let file = self.samples[self.wanted[n]].file.clone();
                    failed.push(Problem { file, reason });
                }
            }
            progress(Progress { done: n + 1, total });
            Ok::<_, Infallible>(())
        });
        let Ok(()) = done;
        (made, failed)
    }

    /// What is known of sample `i`, on the scale of the model's labels.
    fn annotation(&self, i: usize) -> Option<Annotation> {
        let annotation = self.samples[i].annotation(self.head.task)?;
        let labels = &self.head.labels;
        Some(match self.options.rescale {
            Some(from) => annotation.rescaled(from, [labels.min(), labels.max()]),
            None => annotation.clone(),
        })
    }

    /// The labels of a split.
    fn labels(&self, split: Split) -> Vec<f64> {
        let all = (0..self.samples.len()).filter(|&i| self.samples[i].split == split);
        all.filter_map(|i| Some(self.annotation(i)?.mean())).collect()
    }

    /// What is evaluated.
    pub fn subject(&self) -> Subject {
        let head = &self.head;
        Subject {
            model: self.estimator.engine().info().name.clone(),
            task: head.task,
            method: head.method.name().to_owned(),
            dataset: self.source.name().to_owned(),
            split: self.options.split.map_or("all", Split::name).to_owned(),
            protocol: self.source.protocol().map(Protocol::to_string),
            labels: head.labels.clone(),
            scale: Scale::new(head.task, &head.labels),
            calibration: head.calibration.clone(),
        }
    }

    /// The network's outputs for sample `i`, or the reason why there are none.
    fn look(&self, i: usize) -> Result<Seen, String> {
        let engine = self.estimator.engine();
        let (crop, aligned) = match self.source {
            Source::Dataset(dataset) => {
                let path = dataset.root.join(&self.samples[i].file);
                // Not `decode_file`: the report names the file already.
                let bytes = std::fs::read(&path).map_err(|e| format!("cannot be read: {e}"))?;
                let mut picture = dldl::decode(&bytes).map_err(|e| e.to_string())?;
                let mut template = engine.info().template.clone();
                if let Some(disturbance) = self.disturbance {
                    picture = disturbance.picture(picture);
                    template = disturbance.template(&template);
                }
                let faces = match self.options.no_detect {
                    true => Vec::new(),
                    false => self.estimator.detect(&picture),
                };
                match main_face(&faces, picture.width(), picture.height()) {
                    Some(face) => {
                        let (landmarks, size) = (&faces[face].landmarks, engine.info().input_size);
                        (dldl_face::align(&picture, landmarks, &template, size), true)
                    }
                    None => (self.estimator.whole_crop(&picture), false),
                }
            }
            Source::Cache(cache) => {
                let crop = cache.decode(i).map_err(|e| e.to_string())?;
                (fitted(crop, engine.info().input_size), cache.samples()[i].aligned)
            }
        };
        let flipped = crop.flipped();
        let both = engine.logits(&[crop, flipped]).map_err(|e| e.to_string())?;
        let mut both = both.into_iter().map(|all| all[self.outputs.clone()].to_vec());
        let mut next = || both.next().ok_or("a crop without a result");
        Ok(Seen { logits: [next()?, next()?], aligned })
    }
}

fn fitted(crop: Crop, size: usize) -> Crop {
    if crop.size() == size { crop } else { dldl_data::resize(&crop, size) }
}

/// The position of a task's head in a model, or of the first one if no task is given.
///
/// # Errors
/// [`EvalError::Task`] if the model has no such head.
pub fn find_head(info: &ModelInfo, task: Option<Task>) -> Result<usize, EvalError> {
    let Some(task) = task else { return Ok(0) };
    info.heads.iter().position(|head| head.task == task).ok_or_else(|| {
        let known: Vec<&str> = info.heads.iter().map(|head| head.task.name()).collect();
        EvalError::Task { task, known: known.join(", ") }
    })
}
