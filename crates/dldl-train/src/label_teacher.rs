//! Teachers of label distributions: a network's answers from a file, or models that are
//! run on the same augmented crops as the network that learns.

use std::path::PathBuf;

use dldl_label::{Distribution, LabelError, LabelSet, Task};
use dldl_net::{Crop, Engine, HeadEstimate, NetError};

use crate::config::TeacherConfig;
use crate::error::TrainError;
use crate::init::BuiltInModels;
use crate::teacher::Teacher;

/// The teacher of a head.
pub(crate) struct LabelTeacher {
    /// Its share of a target, 0 to 1.
    pub(crate) share: f64,
    source: Source,
}

enum Source {
    /// Distributions, or estimates with the spread around them.
    Rows(Teacher, Option<f64>),
    /// An ensemble, by its index, and the position of the head in each of its models.
    Ensemble(usize, Vec<usize>),
}

/// Models that are run on the same crops; their distributions are averaged.
pub(crate) struct Ensemble {
    paths: Vec<PathBuf>,
    /// Side of the crops, in pixels.
    pub(crate) size: usize,
    engines: Vec<Engine>,
}

/// The estimates of an ensemble for a batch: by model, crop and head.
pub(crate) struct Answers(Vec<Vec<Vec<HeadEstimate>>>);

impl LabelTeacher {
    /// Opens the teacher of a head with this task and these labels. Its models are taken
    /// from `ensembles` or added to them.
    ///
    /// # Errors
    /// If a file cannot be read or is of other labels.
    pub(crate) fn open(
        config: &TeacherConfig,
        task: Task,
        labels: &LabelSet,
        ensembles: &mut Vec<Ensemble>,
        built_in: Option<BuiltInModels>,
    ) -> Result<Self, TrainError> {
        let source = match (&config.distributions, &config.list) {
            (Some(path), Some(list)) => {
                let rows = Teacher::load(path, list)?;
                check_rows(&rows, config.sigma, labels)
                    .map_err(|reason| TrainError::Embeddings { path: path.clone(), reason })?;
                Source::Rows(rows, config.sigma)
            }
            _ => {
                let new = Ensemble::load(&config.models, config.size, built_in)?;
                let heads = new.heads(task, labels)?;
                let same = |e: &Ensemble| e.paths == new.paths && e.size == new.size;
                let index = ensembles.iter().position(same).unwrap_or(ensembles.len());
                if index == ensembles.len() {
                    ensembles.push(new);
                }
                Source::Ensemble(index, heads)
            }
        };
        Ok(Self { share: config.weight, source })
    }

    /// Whether it has an answer for the picture `file`.
    pub(crate) fn knows(&self, file: &str) -> bool {
        match &self.source {
            Source::Rows(rows, _) => rows.of(file).is_some(),
            Source::Ensemble(..) => true,
        }
    }

    /// Its distribution for the picture `file`, which is crop `i` of the batch that the
    /// ensembles gave these `answers` for.
    ///
    /// # Errors
    /// If the row of the file is not a distribution.
    pub(crate) fn distribution(
        &self,
        labels: &LabelSet,
        file: &str,
        answers: &[Answers],
        i: usize,
    ) -> Result<Option<Distribution>, LabelError> {
        match &self.source {
            Source::Rows(rows, sigma) => {
                rows.of(file).map(|row| distribution_of(row, *sigma, labels)).transpose()
            }
            Source::Ensemble(index, heads) => {
                let of_model = |(crops, &head): (&Vec<Vec<HeadEstimate>>, &usize)| {
                    crops[i][head].distribution.clone()
                };
                let all: Vec<_> = answers[*index].0.iter().zip(heads).map(of_model).collect();
                Distribution::average(&all).map(Some)
            }
        }
    }
}

impl Ensemble {
    fn load(
        paths: &[PathBuf],
        size: Option<usize>,
        built_in: Option<BuiltInModels>,
    ) -> Result<Self, TrainError> {
        let load = |path: &PathBuf| {
            let fail = |source| TrainError::TeacherModel { path: path.clone(), source };
            match path.to_str().and_then(|name| built_in?(name)) {
                Some(bytes) => Engine::from_bytes(bytes).map_err(fail),
                None => Engine::load(path).map_err(fail),
            }
        };
        let engines = paths.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let size = size.unwrap_or_else(|| engines[0].info().input_size);
        for (engine, path) in engines.iter().zip(paths) {
            let step = engine.info().net.size_step();
            if size == 0 || !size.is_multiple_of(step) {
                let what = format!("it needs crops of a multiple of {step} pixels, not {size}");
                return Err(TrainError::OtherTeacher { path: path.clone(), what });
            }
        }
        Ok(Self { paths: paths.to_vec(), size, engines })
    }

    /// The position of the head of this task and these labels in each model.
    fn heads(&self, task: Task, labels: &LabelSet) -> Result<Vec<usize>, TrainError> {
        let of_model = |(engine, path): (&Engine, &PathBuf)| {
            let mut heads = engine.info().heads.iter();
            heads.position(|h| h.task == task && h.labels == *labels).ok_or_else(|| {
                let (min, max) = (labels.min(), labels.max());
                let what = format!(
                    "it has no head for {task} with labels from {min} to {max} in steps of {}",
                    labels.step()
                );
                TrainError::OtherTeacher { path: path.clone(), what }
            })
        };
        self.engines.iter().zip(&self.paths).map(of_model).collect()
    }

    /// The estimates for crops of its size.
    ///
    /// # Errors
    /// If a model's outputs are not finite.
    pub(crate) fn run(&self, crops: &[Crop]) -> Result<Answers, NetError> {
        self.engines.iter().map(|engine| engine.run(crops)).collect::<Result<_, _>>().map(Answers)
    }
}

/// Whether the rows are distributions over `labels`, or estimates with a spread.
fn check_rows(rows: &Teacher, sigma: Option<f64>, labels: &LabelSet) -> Result<(), String> {
    match (rows.length(), sigma) {
        (1, None) => return Err("it has estimates: the teacher needs a sigma".into()),
        (1, Some(_)) => {}
        (length, _) if length != labels.len() => {
            return Err(format!("{length} values per row, expected 1 or {}", labels.len()));
        }
        _ => {}
    }
    for (i, row) in rows.rows().enumerate() {
        distribution_of(row, sigma, labels).map_err(|e| format!("row {i}: {e}"))?;
    }
    Ok(())
}

/// The distribution in a row.
fn distribution_of(
    row: &[f32],
    sigma: Option<f64>,
    labels: &LabelSet,
) -> Result<Distribution, LabelError> {
    if let ([estimate], Some(sigma)) = (row, sigma) {
        return Distribution::gaussian(labels, f64::from(*estimate), sigma);
    }
    let row: Vec<f64> = row.iter().map(|&p| f64::from(p)).collect();
    Distribution::from_probabilities(labels, &row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_files_are_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let config = |sigma| TeacherConfig {
            distributions: Some(dir.path().join("t.npy")),
            list: Some(dir.path().join("t.txt")),
            weight: 0.5,
            sigma,
            ..TeacherConfig::default()
        };
        std::fs::write(dir.path().join("t.txt"), "a.jpg\n").unwrap();
        let labels = LabelSet::new(0.0, 2.0, 1.0).unwrap();
        for (row, sigma, part) in [
            (&[30.0f32][..], None, "sigma"),
            (&[0.5, 0.5], Some(1.0), "2 values per row, expected 1 or 3"),
            (&[0.5, 0.5, 0.5], None, "row 0: probabilities sum to 1.5"),
            (&[1.5, -0.5, 0.0], None, "row 0: invalid value -0.5"),
        ] {
            let data: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
            let shape = format!("(1, {})", row.len());
            let bytes = crate::npy::tests::file("<f4", &shape, &data);
            std::fs::write(dir.path().join("t.npy"), bytes).unwrap();
            let open =
                LabelTeacher::open(&config(sigma), Task::Age, &labels, &mut Vec::new(), None);
            let error = open.err().unwrap().to_string();
            assert!(error.contains(part) && error.contains("t.npy"), "{error}");
        }
    }

    #[test]
    fn models_answer_for_every_picture_by_the_mean_of_their_distributions() {
        let built_in: BuiltInModels = |name| match dldl::models::bytes(name) {
            Ok(std::borrow::Cow::Borrowed(bytes)) => Some(bytes),
            _ => None,
        };
        let other_model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-age.safetensors");
        let labels = LabelSet::age();
        let mut ensembles = Vec::new();
        let mut open = |models: &[&str], size, task, labels: &LabelSet| {
            let models = models.iter().map(PathBuf::from).collect();
            let config = TeacherConfig { models, size, weight: 0.5, ..TeacherConfig::default() };
            LabelTeacher::open(&config, task, labels, &mut ensembles, Some(built_in))
        };
        let one = open(&["tiny"], Some(64), Task::Age, &labels).unwrap();
        let both = open(&["tiny", other_model], Some(64), Task::Age, &labels).unwrap();
        // The same models on the same crops are run once.
        let again = open(&["tiny"], Some(64), Task::Attractiveness, &LabelSet::attractiveness_5());
        assert!(again.is_ok());
        let refused = |result: Result<LabelTeacher, TrainError>, part: &str| {
            let message = result.err().unwrap().to_string();
            assert!(message.contains(part), "{message}");
        };
        let other = LabelSet::new(0.0, 90.0, 1.0).unwrap();
        refused(open(&["tiny"], None, Task::Age, &other), "no head for age with labels from 0");
        refused(open(&["tiny"], Some(50), Task::Age, &labels), "a multiple of 32 pixels, not 50");
        refused(open(&["missing.safetensors"], None, Task::Age, &labels), "missing.safetensors");
        assert_eq!(ensembles.len(), 2);

        let rgb = (0..3 * 64 * 64).map(|i| (i * 7 % 251) as u8).collect();
        let crops = [Crop::new(64, vec![90; 3 * 64 * 64]).unwrap(), Crop::new(64, rgb).unwrap()];
        let answers: Vec<Answers> = ensembles.iter().map(|e| e.run(&crops).unwrap()).collect();
        let of = |teacher: &LabelTeacher, i| {
            teacher.distribution(&labels, "any.jpg", &answers, i).unwrap().unwrap()
        };
        let direct = |name: &str| {
            let engine = dldl::models::engine(name).unwrap();
            engine.run(&crops[1..]).unwrap()[0][0].distribution.clone()
        };
        assert!(one.knows("any.jpg") && of(&one, 0) != of(&one, 1));
        let same = |a: &Distribution, b: &Distribution| {
            let pairs = a.probabilities().iter().zip(b.probabilities());
            assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-12);
        };
        same(&of(&one, 1), &direct("tiny"));
        let mean = Distribution::average(&[direct("tiny"), direct(other_model)]).unwrap();
        same(&of(&both, 1), &mean);
    }
}
