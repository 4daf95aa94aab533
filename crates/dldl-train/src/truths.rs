//! What the heads learn from which samples: from a recipe and its datasets to
//! [`Head`]s, and from a sample to its truths.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dldl_data::{Annotation, Cache, Sample, Split, Spread};
use dldl_label::Method;

use crate::config::{DataConfig, HeadConfig, Sigma, TrainConfig};
use crate::error::TrainError;
use crate::head::{Goal, Head, Truth, Truths};
use crate::teacher::Teacher;

/// A sample's label for a head that is named after its task.
fn annotation<'a>(sample: &'a Sample, head: &Head) -> Option<&'a Annotation> {
    sample.annotation(head.name.parse().ok()?)
}

/// The datasets of a training.
pub(crate) struct Datasets {
    pub(crate) caches: Vec<(DataConfig, Cache)>,
    origins: Vec<Origin>,
}

/// Where a head's truths come from.
enum Origin {
    Labels {
        spread: Spread,
        sigma: Sigma,
        min_sigma: f64,
    },
    /// People's classes, by the number of the dataset and the name in it.
    Identity(HashMap<(usize, String), usize>),
    Embedding(Teacher),
}

impl Datasets {
    /// Opens what the recipe names.
    ///
    /// # Errors
    /// If a cache or a teacher's file cannot be read, or the caches' crops are
    /// aligned in different ways.
    pub(crate) fn open(config: &TrainConfig) -> Result<Self, TrainError> {
        let mut caches: Vec<(DataConfig, Cache)> = Vec::new();
        for data in &config.data {
            let cache = Cache::open(&data.cache).map_err(|e| TrainError::Data(e.to_string()))?;
            if let Some((first, other)) = caches.first() {
                let template = |cache: &Cache| cache.manifest().parameters.template.clone();
                if template(other) != template(&cache) {
                    return Err(TrainError::Data(format!(
                        "{} and {} are aligned by different templates",
                        first.cache.display(),
                        data.cache.display()
                    )));
                }
            }
            caches.push((data.clone(), cache));
        }
        let origin = |head: &HeadConfig| {
            Ok(match head {
                HeadConfig::Labels { spread, sigma, min_sigma, .. } => {
                    Origin::Labels { spread: *spread, sigma: sigma.clone(), min_sigma: *min_sigma }
                }
                HeadConfig::Identity { .. } => Origin::Identity(people(&caches)),
                HeadConfig::Embedding { embeddings, list, .. } => {
                    Origin::Embedding(Teacher::load(embeddings, list)?)
                }
            })
        };
        let origins = config.heads.iter().map(origin).collect::<Result<_, TrainError>>()?;
        Ok(Self { caches, origins })
    }

    /// The heads, all with `method` where there is one.
    ///
    /// # Errors
    /// If identities are to be learned and there are fewer than two people.
    pub(crate) fn heads(
        &self,
        config: &TrainConfig,
        other: Option<&Method>,
    ) -> Result<Vec<Head>, TrainError> {
        let head = |(head, origin): (&HeadConfig, &Origin)| {
            let (goal, weight) = match (head, origin) {
                (HeadConfig::Labels { labels, method, weight, .. }, _) => {
                    let (method, labels) = (*other.unwrap_or(method), labels.clone());
                    (Goal::Labels { method, labels }, *weight)
                }
                (HeadConfig::Identity { weight }, Origin::Identity(classes)) => {
                    if classes.len() < 2 {
                        let what = "there are fewer than two people in the train splits";
                        return Err(TrainError::Data(what.into()));
                    }
                    (Goal::Classes(classes.len()), *weight)
                }
                (HeadConfig::Embedding { loss, weight, .. }, Origin::Embedding(teacher)) => {
                    (Goal::Vector(teacher.length(), *loss), *weight)
                }
                _ => unreachable!("origins are made of the heads"),
            };
            Ok(Head { name: head.name().into(), goal, weight })
        };
        config.heads.iter().zip(&self.origins).map(head).collect()
    }

    /// Whether anything is learned from a sample of dataset number `data`.
    pub(crate) fn is_useful(&self, heads: &[Head], data: usize, sample: &Sample) -> bool {
        self.origins.iter().zip(heads).any(|(origin, head)| match origin {
            Origin::Labels { .. } => annotation(sample, head).is_some(),
            Origin::Identity(classes) => class(classes, data, sample).is_some(),
            Origin::Embedding(teacher) => teacher.of(&sample.file).is_some(),
        })
    }

    /// A sample's truths for the heads.
    ///
    /// # Errors
    /// If a label makes no sense.
    pub(crate) fn truths(
        &self,
        heads: &[Head],
        data: usize,
        sample: &Sample,
    ) -> Result<Truths, TrainError> {
        let truth = |(head, origin): (&Head, &Origin)| match (&head.goal, origin) {
            (Goal::Labels { method, labels }, Origin::Labels { spread, sigma, min_sigma }) => {
                let Some(annotation) = annotation(sample, head) else { return Ok(None) };
                let rescale = self.caches[data].0.rescale.as_ref();
                let annotation = match rescale.filter(|r| r.task.name() == head.name) {
                    Some(scale) => annotation.rescaled(scale.from, scale.to),
                    None => annotation.clone(),
                };
                let mean = annotation.mean();
                let distribution = annotation
                    .distribution(labels, *spread, sigma.at(mean), *min_sigma)
                    .map_err(|e| TrainError::Data(format!("{}: {e}", sample.file)))?;
                Ok(Some(Truth::Label { target: method.target(&distribution, mean), mean }))
            }
            (_, Origin::Identity(classes)) => Ok(class(classes, data, sample).map(Truth::Class)),
            (_, Origin::Embedding(teacher)) => {
                Ok(teacher.of(&sample.file).map(|row| Truth::Vector(Arc::from(row))))
            }
            _ => unreachable!("heads are made of their origins"),
        };
        heads.iter().zip(&self.origins).map(truth).collect()
    }
}

fn class(classes: &HashMap<(usize, String), usize>, data: usize, sample: &Sample) -> Option<usize> {
    classes.get(&(data, sample.identity.clone()?)).copied()
}

/// The people of the train splits, numbered in the order of their names.
fn people(caches: &[(DataConfig, Cache)]) -> HashMap<(usize, String), usize> {
    let mut names = BTreeSet::new();
    for (i, (_, cache)) in caches.iter().enumerate() {
        let samples = cache.samples().iter().map(|s| &s.sample);
        let train = samples.filter(|s| s.split == Split::Train);
        names.extend(train.filter_map(|s| Some((i, s.identity.clone()?))));
    }
    names.into_iter().enumerate().map(|(class, name)| (name, class)).collect()
}
