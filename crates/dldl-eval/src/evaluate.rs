//! From labeled pictures to predictions, with and without flip fusion in one pass. Their
//! metrics are in [`crate::figures`].

use std::convert::Infallible;
use std::ops::Range;
use std::path::Path;

use dldl::{
    Crop, Estimator, Face, Head, Measures, ModelInfo, Task, ThresholdError, check_in_range,
    parallel, quality,
};
use dldl_data::{Annotation, Cache, DataError, Dataset, Part, Problem, Protocol, Sample, Split};
use dldl_face::{crop_main_face, decode_file};

use crate::{Baseline, Corruption, Evaluation, Prediction, Scale, Subject};

/// A source of labeled pictures.
pub enum Source {
    /// A dataset on disk: faces are detected and aligned on the fly.
    Dataset(Dataset),
    /// A packed cache of aligned crops.
    Cache(Box<Cache>),
}

impl Source {
    /// Opens a dataset by the name of its format ([`dldl_data::FORMATS`]), or for the
    /// name `cache` the packed cache in `root`.
    ///
    /// # Errors
    /// As [`dldl_data::load`] and [`Cache::open`].
    pub fn open(format: &str, root: &Path, labels: Option<&Path>) -> Result<Self, DataError> {
        Self::open_with(format, root, labels, &Protocol::default())
    }

    /// The same, split by a protocol. A cache is already split.
    ///
    /// # Errors
    /// As [`dldl_data::load_with`] and [`Cache::open`], and
    /// [`DataError::CacheProtocol`] for a protocol other than that with which a cache was
    /// prepared.
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
            let (requested, prepared) = (protocol.clone(), prepared.clone());
            return Err(DataError::CacheProtocol { requested, prepared });
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

    /// The first entries that cannot be used, to follow an error.
    pub(crate) fn problems(&self) -> String {
        match self {
            Source::Dataset(dataset) => Problem::summary(&dataset.problems),
            Source::Cache(_) => String::new(),
        }
    }

    /// The protocol of the splits; none for the published one.
    fn protocol(&self) -> Option<&Protocol> {
        let protocol = match self {
            Source::Dataset(dataset) => &dataset.protocol,
            Source::Cache(cache) => &cache.manifest().protocol,
        };
        Some(protocol).filter(|p| !p.is_published())
    }

    /// The samples of all splits.
    pub(crate) fn samples(&self) -> Vec<&Sample> {
        match self {
            Source::Dataset(dataset) => dataset.samples.iter().collect(),
            Source::Cache(cache) => cache.samples().iter().map(|s| &s.sample).collect(),
        }
    }
}

/// Settings of an evaluation.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The task to measure; by default that of the model's first head. Samples
    /// without such a label are left out.
    pub task: Option<Task>,
    /// The split to evaluate; by default all samples.
    pub split: Option<Split>,
    /// The ends of the dataset's scale, if it differs from that of the model's labels.
    /// The dataset's labels are then mapped linearly onto the range of the model's
    /// (specification 5.8).
    pub rescale: Option<[f64; 2]>,
    /// Skip face detection and use every picture whole, for aligned pictures.
    pub no_detect: bool,
    /// A corruption of all pictures; not for caches.
    pub corruption: Option<Corruption>,
    /// Thresholds, in units of the model's labels, to ask whether a value is at least
    /// that ([`crate::figures::AtLeast`]).
    pub thresholds: Vec<f64>,
    /// The part of the pictures to evaluate, for several machines that share them;
    /// [`Evaluation::merge`] joins what they found. By default all.
    pub part: Option<Part>,
    /// Number of threads; 0 for one per processor.
    pub threads: usize,
}

/// Progress of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pictures processed so far.
    pub done: usize,
    /// Total number of pictures.
    pub total: usize,
}

/// An evaluation that cannot start. Pictures that fail are not errors: they are counted
/// and listed in the evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The model has no head for the task.
    #[error("the model does not estimate {task}: its tasks are {known}")]
    Task {
        /// The task that was asked for.
        task: Task,
        /// The model's tasks.
        known: String,
    },
    /// The ends of the scale to rescale from are not finite or not ascending.
    #[error("cannot rescale from {} to {}: expected two numbers in ascending order", .0[0], .0[1])]
    Rescale([f64; 2]),
    /// A threshold that does not divide the labels.
    #[error(transparent)]
    Threshold(#[from] ThresholdError),
    /// No sample of the split has a label of the task.
    #[error("dataset {dataset} has no samples labeled with {task}{}{problems}", split.map_or(String::new(), |s| format!(" in the {s} split")))]
    Empty {
        /// The dataset's name.
        dataset: String,
        /// The requested split.
        split: Option<Split>,
        /// The task.
        task: Task,
        /// A [`Problem::summary`].
        problems: String,
    },
    /// A corruption of a cache, which has no pictures.
    #[error("cannot corrupt the crops of a cache: evaluate on the dataset itself")]
    CorruptedCache,
    /// The crops of the cache are aligned differently than the model expects.
    #[error(
        "the cache was aligned with the template \"{cache}\", but the model needs \"{model}\": \
         evaluate on the dataset itself, or prepare a cache with the model's template"
    )]
    Template {
        /// The cache's template.
        cache: String,
        /// The model's template.
        model: String,
    },
}

/// Runs the model over the pictures in parallel and computes the metrics of its errors.
/// In a picture with several faces, the label is assumed to be that of the
/// [`dldl_face::main_face`]. A picture without a face is used whole, as in a prepared
/// cache. `progress` is called on this thread after each picture.
///
/// The baseline is the median label of the source's train split.
///
/// # Errors
/// [`EvalError`] if the model, the source and the options do not fit together.
pub fn evaluate(
    estimator: Estimator,
    source: &Source,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, EvalError> {
    let run = Run::new(estimator, source, options)?;
    let (predictions, failed) = run.predictions(progress);
    let baseline = Baseline::new(run.labels(Split::Train), &predictions);
    let problems = match source {
        Source::Dataset(dataset) => dataset.problems.clone(),
        Source::Cache(_) => Vec::new(),
    };
    Ok(Evaluation::new(run.subject(), predictions, baseline, failed, problems))
}

/// A model and the samples to run it on.
pub(crate) struct Run<'a> {
    estimator: Estimator,
    source: &'a Source,
    options: &'a Options,
    samples: Vec<&'a Sample>,
    /// The evaluated head, and the range of its outputs.
    pub head: Head,
    outputs: Range<usize>,
    /// The head whose spread is part of the quality of a face.
    age: Option<(Head, Range<usize>)>,
    /// A corruption of all pictures.
    pub corruption: Option<Corruption>,
    /// Indices of the samples to evaluate.
    wanted: Vec<usize>,
}

/// The network's outputs for one picture.
pub(crate) struct Seen {
    /// The head's outputs for the crop and for its mirror image, before calibration and
    /// decoding.
    pub logits: [Vec<f32>; 2],
    /// Whether the crop is aligned by the landmarks of a face.
    pub aligned: bool,
    /// What is measured of the face; none if none was found.
    measures: Option<Measures>,
    /// Its quality; 0 if none was found, none if it cannot be known.
    quality: Option<f64>,
}

/// A crop, how it was made, and what is known of the face in it.
struct Look {
    crop: Crop,
    aligned: bool,
    face: Option<Face>,
    picture_size: [usize; 2],
    /// Whether a face was looked for.
    searched: bool,
}

impl<'a> Run<'a> {
    /// Checks that model, source and options fit together.
    pub fn new(
        estimator: Estimator,
        source: &'a Source,
        options: &'a Options,
    ) -> Result<Self, EvalError> {
        let info = estimator.engine().info();
        if let Source::Cache(cache) = source {
            if options.corruption.is_some() {
                return Err(EvalError::CorruptedCache);
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
        check_in_range(&options.thresholds, &head.labels)?;
        let age = [Task::Age, Task::RealAge].iter().find_map(|&task| {
            let place = info.heads.iter().position(|head| head.task == task)?;
            Some((info.heads[place].clone(), info.output_ranges().swap_remove(place)))
        });
        let samples = source.samples();
        let wanted: Vec<usize> = (0..samples.len())
            .filter(|&i| options.split.is_none_or(|split| samples[i].split == split))
            .filter(|&i| samples[i].annotation(head.task).is_some())
            .collect();
        if wanted.is_empty() {
            let dataset = source.name().to_owned();
            let (split, task) = (options.split, head.task);
            let problems = source.problems();
            return Err(EvalError::Empty { dataset, split, task, problems });
        }
        let wanted = match options.part {
            Some(part) => wanted[part.range(wanted.len())].to_vec(),
            None => wanted,
        };
        // Mirror images are evaluated separately.
        let estimator = estimator.flip_fusion(false);
        let corruption = options.corruption;
        Ok(Self { estimator, source, options, samples, head, outputs, age, corruption, wanted })
    }

    /// The prediction for every picture, and the pictures that could not be used.
    pub fn predictions(
        &self,
        progress: &mut dyn FnMut(Progress),
    ) -> (Vec<Prediction>, Vec<Problem>) {
        let (head, thresholds) = (&self.head, &self.options.thresholds);
        let make = |seen: &Seen, sample: &Sample, annotation: &Annotation| {
            let distribution = |logits: &Vec<f32>| head.decode(logits).map_err(|e| e.to_string());
            let [plain, flipped] = &seen.logits;
            let both = [distribution(plain)?, distribution(flipped)?];
            let prediction =
                Prediction::new(sample, annotation, head, both, seen.aligned, thresholds);
            let prediction = prediction.map_err(|e| e.to_string())?;
            Ok(Prediction { quality: seen.quality, measures: seen.measures, ..prediction })
        };
        self.over(&make, progress)
    }

    /// Maps every picture, in the order of the samples; also returns the pictures that
    /// could not be used.
    pub fn over<T: Send>(
        &self,
        make: &(impl Fn(&Seen, &Sample, &Annotation) -> Result<T, String> + Sync),
        progress: &mut dyn FnMut(Progress),
    ) -> (Vec<T>, Vec<Problem>) {
        let (mut made, mut failed) = (Vec::new(), Vec::new());
        let work = |&i: &usize| {
            let annotation = self.annotation(i).expect("wanted samples have the label");
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

    /// The label of sample `i`, on the scale of the model's labels.
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

    /// Describes what is evaluated.
    pub fn subject(&self) -> Subject {
        let head = &self.head;
        Subject {
            model: self.estimator.engine().info().name.clone(),
            task: head.task,
            method: head.method.name().to_owned(),
            dataset: self.source.name().to_owned(),
            split: self.options.split.map_or("all", Split::name).to_owned(),
            protocol: self.source.protocol().map(Protocol::to_string),
            part: self.options.part,
            labels: head.labels.clone(),
            scale: Scale::new(head.task, &head.labels),
            calibration: head.calibration.clone(),
            thresholds: self.options.thresholds.clone(),
        }
    }

    /// The network's outputs for sample `i`, or why there are none.
    fn look(&self, i: usize) -> Result<Seen, String> {
        let engine = self.estimator.engine();
        let look = self.crop(i)?;
        let measures = (look.face.is_some() || !look.searched)
            .then(|| Measures::new(&look.crop, look.face.as_ref(), look.picture_size));
        let flipped = look.crop.flipped();
        let all = engine.logits(&[look.crop, flipped]).map_err(|e| e.to_string())?;
        let [plain, flipped] = &all[..] else { return Err("a crop without a result".into()) };
        let quality = match &measures {
            Some(measures) => Some(quality(measures, self.age(plain, flipped)?)),
            // In a cache of older versions, an aligned face may have no landmarks.
            None => (!look.aligned).then_some(0.0),
        };
        let logits = [plain, flipped].map(|all| all[self.outputs.clone()].to_vec());
        Ok(Seen { logits, aligned: look.aligned, measures, quality })
    }

    /// The age and its standard deviation with flip fusion, if the model estimates it.
    fn age(&self, plain: &[f32], flipped: &[f32]) -> Result<Option<[f64; 2]>, String> {
        let Some((head, outputs)) = &self.age else { return Ok(None) };
        let decode = |all: &[f32]| head.decode(&all[outputs.clone()]).map_err(|e| e.to_string());
        let answer = head.answer(&[decode(plain)?, decode(flipped)?]);
        let (value, fused) = answer.map_err(|e| e.to_string())?;
        Ok(Some([value, fused.std()]))
    }

    /// The crop of sample `i`, or why there is none.
    fn crop(&self, i: usize) -> Result<Look, String> {
        let engine = self.estimator.engine();
        match self.source {
            Source::Dataset(dataset) => {
                let path = dataset.root.join(&self.samples[i].file);
                let mut picture = decode_file(&path).map_err(|e| e.reason())?;
                let mut template = engine.info().template.clone();
                if let Some(corruption) = self.corruption {
                    picture = corruption.picture(picture);
                    template = corruption.template(&template);
                }
                let detector = (!self.options.no_detect).then(|| self.estimator.detector());
                let main = crop_main_face(&picture, detector, &template, engine.info().input_size)
                    .map_err(|e| e.reason())?;
                Ok(Look {
                    crop: main.crop,
                    aligned: main.face.is_some(),
                    face: main.face,
                    picture_size: main.picture_size,
                    searched: detector.is_some(),
                })
            }
            Source::Cache(cache) => {
                let crop = cache.decode(i).map_err(|e| e.to_string())?;
                let sample = &cache.samples()[i];
                let parts = (sample.bbox, sample.score, sample.landmarks);
                let face = match parts {
                    (Some(bbox), Some(score), Some(landmarks)) => {
                        Some(Face { bbox, score, landmarks })
                    }
                    _ => None,
                };
                Ok(Look {
                    crop: fitted(crop, engine.info().input_size),
                    aligned: sample.aligned,
                    face,
                    picture_size: sample.picture,
                    searched: cache.manifest().parameters.detector.is_some(),
                })
            }
        }
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
