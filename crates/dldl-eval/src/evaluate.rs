//! From labelled pictures to predictions, with and without flip fusion in one
//! pass. What is counted of them is in [`crate::report`].

use std::convert::Infallible;
use std::path::Path;

use dldl::{Crop, Distribution, Estimator, parallel};
use dldl_data::{Cache, DataError, Dataset, Problem, Protocol, Sample, Split, main_face};

use crate::report::{Baseline, Report};

/// Where the labelled pictures come from.
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

    fn samples(&self) -> Vec<&Sample> {
        match self {
            Source::Dataset(dataset) => dataset.samples.iter().collect(),
            Source::Cache(cache) => cache.samples().iter().map(|s| &s.sample).collect(),
        }
    }
}

/// What is evaluated, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What is measured, by its task's name; by default what the model estimates
    /// first of all. Samples without such a label are left out.
    pub task: Option<String>,
    /// One split, or all samples.
    pub split: Option<Split>,
    /// Takes every picture whole, for pictures that are aligned already.
    pub no_detect: bool,
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

/// What the model says of one labelled picture, in units of the label.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The true value, or the raters' mean.
    pub truth: f64,
    /// The raters' standard deviation, where known.
    pub sigma: Option<f64>,
    /// The expectation from the crop as it is.
    pub plain: f64,
    /// The expectation of the mean of the two distributions, the crop's and its
    /// mirror image's.
    pub fused: f64,
    /// Whether the crop is aligned by a face's landmarks; if not, it is the
    /// whole picture.
    pub aligned: bool,
}

/// Why nothing could be evaluated. Pictures that fail are no errors: they are
/// counted and named in the report.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The model does not estimate it.
    #[error("the model does not estimate {task}, but {known}")]
    Task {
        /// The task that was asked for.
        task: String,
        /// The model's tasks.
        known: String,
    },
    /// There is nothing in the split.
    #[error("the dataset {dataset} has no samples labelled with {task}{}", split.map_or(String::new(), |s| format!(" in the split {s}")))]
    Empty {
        /// The dataset's name.
        dataset: String,
        /// The split that was asked for.
        split: Option<Split>,
        /// The task.
        task: String,
    },
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
) -> Result<Report, EvalError> {
    let estimator = estimator.flip_fusion(false);
    if let Source::Cache(cache) = source {
        let (cache, model) =
            (&cache.manifest().parameters.template, &estimator.engine().info().template);
        if cache != model {
            let (cache, model) = (cache.name.clone(), model.name.clone());
            return Err(EvalError::Template { cache, model });
        }
    }
    let heads = estimator.engine().info().heads();
    let tasks: Vec<String> = heads.into_iter().map(|(head, _)| head.task).collect();
    let task = options.task.as_ref().unwrap_or(&tasks[0]);
    let Some(head) = tasks.iter().position(|known| known == task) else {
        return Err(EvalError::Task { task: task.clone(), known: tasks.join(" and ") });
    };
    let samples = source.samples();
    let wanted: Vec<usize> = (0..samples.len())
        .filter(|&i| options.split.is_none_or(|split| samples[i].split == split))
        .filter(|&i| samples[i].rating(task).is_some())
        .collect();
    if wanted.is_empty() {
        let dataset = source.name().to_owned();
        let (split, task) = (options.split, task.clone());
        return Err(EvalError::Empty { dataset, split, task });
    }
    let (mut predictions, mut failed) = (Vec::new(), Vec::new());
    let work = |&i: &usize| {
        let rating = samples[i].rating(task).expect("what is wanted has the label");
        let (plain, fused, aligned) =
            predict(&estimator, source, i, samples[i], head, options.no_detect)?;
        Ok(Prediction { truth: rating.mean(), sigma: rating.sigma(), plain, fused, aligned })
    };
    let done = parallel::ordered(&wanted, options.threads, work, |n, result| {
        match result {
            Ok(prediction) => predictions.push(prediction),
            Err(reason) => {
                failed.push(Problem { file: samples[wanted[n]].file.clone(), reason });
            }
        }
        progress(Progress { done: n + 1, total: wanted.len() });
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done;
    let train = samples.iter().filter(|s| s.split == Split::Train);
    let train: Vec<f64> = train.filter_map(|s| Some(s.rating(task)?.mean())).collect();
    let problems = match source {
        Source::Dataset(dataset) => dataset.problems.clone(),
        Source::Cache(_) => Vec::new(),
    };
    let split = options.split.map_or("all", Split::name);
    Ok(Report {
        model: estimator.engine().info().name.clone(),
        dataset: source.name().to_owned(),
        split: split.to_owned(),
        baseline: Baseline::new(train, &predictions),
        failures: failed.len(),
        failed,
        problems,
        ..Report::of(&predictions)
    })
}

/// What head number `head` expects of sample `i`, without and with flip fusion,
/// and whether the crop is aligned; or the reason why there is no prediction.
fn predict(
    estimator: &Estimator,
    source: &Source,
    i: usize,
    sample: &Sample,
    head: usize,
    no_detect: bool,
) -> Result<(f64, f64, bool), String> {
    let (crop, aligned) = match source {
        Source::Dataset(dataset) => {
            let path = dataset.root.join(&sample.file);
            // Not `decode_file`: the report names the file already.
            let bytes = std::fs::read(&path).map_err(|e| format!("cannot be read: {e}"))?;
            let picture = dldl::decode(&bytes).map_err(|e| e.to_string())?;
            let faces = if no_detect { Vec::new() } else { estimator.detect(&picture) };
            match main_face(&faces, picture.width, picture.height) {
                Some(face) => (estimator.crop(&picture, &faces[face]), true),
                None => (estimator.whole_crop(&picture), false),
            }
        }
        Source::Cache(cache) => {
            let crop = cache.decode(i).map_err(|e| e.to_string())?;
            (fitted(crop, estimator.engine().info().input_size), cache.samples()[i].aligned)
        }
    };
    let both = [crop.flipped(), crop];
    let seen = estimator.engine().run_heads(&both).map_err(|e| e.to_string())?;
    let seen: Vec<Distribution> = seen.into_iter().map(|mut heads| heads.remove(head)).collect();
    let fused = Distribution::average(&seen).map_err(|e| e.to_string())?;
    Ok((seen[1].expectation(), fused.expectation(), aligned))
}

fn fitted(crop: Crop, size: usize) -> Crop {
    if crop.size == size { crop } else { dldl_data::resize(&crop, size) }
}
