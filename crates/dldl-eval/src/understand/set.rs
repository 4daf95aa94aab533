//! Mean maps over a labeled dataset, by band of the true label.

use std::convert::Infallible;

use dldl::{Crop, Estimator, Task, parallel};
use dldl_data::{Problem, Sample, Split};
use dldl_face::crop_main_face_in_file;

use super::{Group, Kind, Map, Maps, Measure, Pattern, UnderstandError, cam, head_of, occlusion};
use crate::evaluate::find_head;
use crate::{EvalError, Progress, Scale, Source};

/// The mean of fewer faces than this is not shown, because a person might still be
/// recognizable.
const MIN_FACES: usize = 20;

/// Which pictures of a dataset are used, and how they are cropped.
#[derive(Debug, Clone, Default)]
pub struct SetOptions {
    /// The task. Default: that of the model's first head.
    pub task: Option<Task>,
    /// The split; `None` for all samples.
    pub split: Option<Split>,
    /// The maximum number of pictures, taken evenly over the dataset's order.
    pub limit: Option<usize>,
    /// Skips face detection and uses whole pictures, for pictures that are aligned already.
    pub no_detect: bool,
    /// Side of the crops in pixels. Default: the model's input size.
    pub size: Option<usize>,
    /// Number of threads; 0 for one per processor.
    pub threads: usize,
}

/// Computes the mean maps of all samples and of each band that has any. For occlusion
/// these are the mean absolute error and the mean change of the estimate.
///
/// # Errors
/// [`UnderstandError`] if the split is empty, the cache does not fit the model, or the
/// model does not support such maps. Pictures that fail are listed in the result.
pub fn over_set(
    kind: Kind,
    estimator: &Estimator,
    source: &Source,
    options: &SetOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Maps, UnderstandError> {
    let engine = estimator.engine();
    if kind == Kind::Cam {
        engine.head_weight()?;
    }
    let samples = Samples::choose(estimator, source, options)?;
    let (head, _) = head_of(engine, samples.head);
    let scale = Scale::new(head.task, &head.labels);
    let names = (0..scale.band_count()).map(|band| scale.band_name(band));
    let mut sums: Vec<Sums> = std::iter::once("all".into()).chain(names).map(Sums::new).collect();
    let mut failed = Vec::new();
    let work = |&i: &usize| {
        let crop = samples.crop(i)?;
        let maps = face_maps(kind, estimator, samples.head, &crop, samples.truth(i));
        maps.map(|maps| (crop, maps)).map_err(|e| e.to_string())
    };
    let total = samples.chosen.len();
    let done = parallel::ordered(&samples.chosen, options.threads, work, |n, result| {
        let i = samples.chosen[n];
        match result {
            Ok((crop, maps)) => {
                let truth = samples.truth(i);
                for group in [0, 1 + scale.band(truth)] {
                    sums[group].add(&crop, truth, &maps);
                }
            }
            Err(reason) => failed.push(Problem { file: samples.all[i].file.clone(), reason }),
        }
        progress(Progress { done: n + 1, total });
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done;
    let split = options.split.map_or("all", Split::name);
    Ok(Maps {
        kind,
        model: engine.info().name.clone(),
        task: head.task,
        scale,
        of: format!("{} ({split})", source.name()),
        size: samples.size,
        groups: sums.into_iter().filter_map(Sums::mean).collect(),
        failed,
    })
}

/// The selected samples of a source, and how to get their crops.
pub(super) struct Samples<'a> {
    estimator: &'a Estimator,
    source: &'a Source,
    pub(super) all: Vec<&'a Sample>,
    /// Indices into `all`.
    pub(super) chosen: Vec<usize>,
    pub(super) head: usize,
    task: Task,
    no_detect: bool,
    pub(super) size: usize,
}

impl<'a> Samples<'a> {
    /// Selects the samples.
    pub(super) fn choose(
        estimator: &'a Estimator,
        source: &'a Source,
        options: &SetOptions,
    ) -> Result<Self, EvalError> {
        let info = estimator.engine().info();
        let head = find_head(info, options.task)?;
        let task = info.heads[head].task;
        if let Source::Cache(cache) = source {
            let (cache, model) = (&cache.manifest().parameters.template, &info.template);
            if cache != model {
                let (cache, model) = (cache.name.clone(), model.name.clone());
                return Err(EvalError::Template { cache, model });
            }
        }
        let all = source.samples();
        let mut chosen: Vec<usize> = (0..all.len())
            .filter(|&i| options.split.is_none_or(|split| all[i].split == split))
            .filter(|&i| all[i].annotation(task).is_some())
            .collect();
        if chosen.is_empty() {
            let (dataset, split) = (source.name().to_owned(), options.split);
            let problems = source.problems();
            return Err(EvalError::Empty { dataset, split, task, problems });
        }
        if let Some(limit) = options.limit.filter(|limit| *limit < chosen.len()) {
            chosen = (0..limit).map(|i| chosen[i * chosen.len() / limit]).collect();
        }
        let (size, no_detect) = (options.size.unwrap_or(info.input_size), options.no_detect);
        Ok(Self { estimator, source, all, chosen, head, task, no_detect, size })
    }

    /// The true label of sample `i`: the annotation's mean.
    pub(super) fn truth(&self, i: usize) -> f64 {
        self.all[i].annotation(self.task).expect("selected samples have the label").mean()
    }

    /// The crop of sample `i`, or why there is none.
    pub(super) fn crop(&self, i: usize) -> Result<Crop, String> {
        match self.source {
            Source::Dataset(dataset) => {
                let path = dataset.root.join(&self.all[i].file);
                let detector = (!self.no_detect).then(|| self.estimator.detector());
                let template = &self.estimator.engine().info().template;
                crop_main_face_in_file(&path, detector, template, self.size)
                    .map(|main| main.crop)
                    .map_err(|e| e.reason())
            }
            Source::Cache(cache) => {
                let crop = cache.decode(i).map_err(|e| e.to_string())?;
                let fits = crop.size() == self.size;
                Ok(if fits { crop } else { dldl_data::resize(&crop, self.size) })
            }
        }
    }
}

/// The estimate and the maps of one face.
struct FaceMaps {
    estimate: f64,
    maps: Vec<Map>,
}

fn face_maps(
    kind: Kind,
    estimator: &Estimator,
    head: usize,
    crop: &Crop,
    truth: f64,
) -> Result<FaceMaps, dldl::NetError> {
    let engine = estimator.engine();
    if kind == Kind::Cam {
        let (map, estimate) = cam(engine, head, crop)?;
        return Ok(FaceMaps { estimate, maps: vec![map] });
    }
    let occluded = occlusion(engine, head, crop)?;
    let of = |measure: Measure, value: &dyn Fn(f64) -> f64| -> Vec<Map> {
        let pair = Pattern::ALL.into_iter().zip(&occluded.covered);
        pair.map(|(p, estimates)| p.map(measure, estimates.iter().map(|y| value(*y)).collect()))
            .collect()
    };
    let mut maps = of(Measure::Mae, &|y| (y - truth).abs());
    maps.extend(of(Measure::Change, &|y| y - occluded.intact));
    Ok(FaceMaps { estimate: occluded.intact, maps })
}

/// Sums over the faces of a group.
struct Sums {
    name: String,
    n: usize,
    estimate: f64,
    truth: f64,
    error: f64,
    maps: Vec<Map>,
    /// Side and sums of the crops' bytes.
    face: (usize, Vec<f64>),
}

impl Sums {
    fn new(name: String) -> Self {
        let face = (0, Vec::new());
        Self { name, n: 0, estimate: 0.0, truth: 0.0, error: 0.0, maps: vec![], face }
    }

    fn add(&mut self, crop: &Crop, truth: f64, face: &FaceMaps) {
        self.n += 1;
        self.estimate += face.estimate;
        self.truth += truth;
        self.error += (face.estimate - truth).abs();
        if self.n == 1 {
            self.maps = face.maps.clone();
            self.face = (crop.size(), crop.rgb().iter().map(|v| f64::from(*v)).collect());
            return;
        }
        for (sum, map) in self.maps.iter_mut().zip(&face.maps) {
            sum.values.iter_mut().zip(&map.values).for_each(|(sum, v)| *sum += v);
        }
        self.face.1.iter_mut().zip(crop.rgb()).for_each(|(sum, v)| *sum += f64::from(*v));
    }

    /// The means; `None` if there are no faces.
    fn mean(mut self) -> Option<Group> {
        let n = self.n as f64;
        for map in &mut self.maps {
            map.values.iter_mut().for_each(|v| *v /= n);
        }
        let mean_face = || {
            let (size, sums) = &self.face;
            Crop::new(*size, sums.iter().map(|s| (s / n).round() as u8).collect())
                .expect("a sum for each value of a crop")
        };
        let face = (self.n >= MIN_FACES).then(mean_face);
        (self.n > 0).then(|| Group {
            name: self.name,
            n: self.n,
            estimate: self.estimate / n,
            truth: Some(self.truth / n),
            mae: Some(self.error / n),
            maps: self.maps,
            face,
        })
    }
}
