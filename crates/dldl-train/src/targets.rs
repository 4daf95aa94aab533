//! From a recipe and its datasets to [`Head`]s, and from a sample to its targets.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dldl_data::{Annotation, Cache, Sample, Split, Spread};
use dldl_label::Method;

use crate::config::{DataConfig, HeadConfig, Sigma, TrainConfig};
use crate::error::TrainError;
use crate::head::{Head, Objective, Target, Targets};
use crate::teacher::Teacher;

/// A sample's label for a head that is named after its task.
fn annotation<'a>(sample: &'a Sample, head: &Head) -> Option<&'a Annotation> {
    sample.annotation(head.name.parse().ok()?)
}

/// The datasets of a training.
pub(crate) struct Datasets {
    pub(crate) caches: Vec<(DataConfig, Cache)>,
    sources: Vec<TargetSource>,
}

/// Where the targets of a head come from.
enum TargetSource {
    Labels {
        spread: Spread,
        sigma: Sigma,
        min_sigma: f64,
    },
    /// The classes of people, by the index of the dataset and the name in it.
    Identity(HashMap<(usize, String), usize>),
    Embedding(Teacher),
}

impl Datasets {
    /// Opens the recipe's caches and embeddings.
    ///
    /// # Errors
    /// If a cache or a teacher's file cannot be read, or the caches' crops are aligned by
    /// different templates.
    pub(crate) fn open(config: &TrainConfig) -> Result<Self, TrainError> {
        let mut caches: Vec<(DataConfig, Cache)> = Vec::new();
        for data in &config.data {
            let cache = Cache::open(&data.cache)?;
            if let Some((first, other)) = caches.first() {
                let template = |cache: &Cache| cache.manifest().parameters.template.clone();
                if template(other) != template(&cache) {
                    return Err(TrainError::OtherTemplate {
                        first: first.cache.clone(),
                        second: data.cache.clone(),
                    });
                }
            }
            caches.push((data.clone(), cache));
        }
        let source = |head: &HeadConfig| {
            Ok(match head {
                HeadConfig::Labels { spread, sigma, min_sigma, .. } => TargetSource::Labels {
                    spread: *spread,
                    sigma: sigma.clone(),
                    min_sigma: *min_sigma,
                },
                HeadConfig::Identity { .. } => TargetSource::Identity(people(&caches)),
                HeadConfig::Embedding { embeddings, list, .. } => {
                    TargetSource::Embedding(Teacher::load(embeddings, list)?)
                }
            })
        };
        let sources = config.heads.iter().map(source).collect::<Result<_, TrainError>>()?;
        Ok(Self { caches, sources })
    }

    /// The heads; `method`, if given, replaces those of all heads with labels.
    ///
    /// # Errors
    /// If a head learns identities and there are fewer than two people.
    pub(crate) fn heads(
        &self,
        config: &TrainConfig,
        method: Option<&Method>,
    ) -> Result<Vec<Head>, TrainError> {
        let head = |(head, source): (&HeadConfig, &TargetSource)| {
            let (objective, weight) = match (head, source) {
                (HeadConfig::Labels { labels, method: own, weight, .. }, _) => {
                    let (method, labels) = (*method.unwrap_or(own), labels.clone());
                    (Objective::Labels { method, labels }, *weight)
                }
                (HeadConfig::Identity { weight }, TargetSource::Identity(classes)) => {
                    if classes.len() < 2 {
                        let what = "the train splits have fewer than two people";
                        return Err(TrainError::TooFewSamples(what.into()));
                    }
                    (Objective::Classes(classes.len()), *weight)
                }
                (HeadConfig::Embedding { loss, weight, .. }, TargetSource::Embedding(teacher)) => {
                    (Objective::Vector(teacher.length(), *loss), *weight)
                }
                _ => unreachable!("a source has the kind of its head"),
            };
            Ok(Head { name: head.name().into(), objective, weight })
        };
        config.heads.iter().zip(&self.sources).map(head).collect()
    }

    /// Whether a sample of dataset `data` has a target for some head.
    pub(crate) fn is_useful(&self, heads: &[Head], data: usize, sample: &Sample) -> bool {
        self.sources.iter().zip(heads).any(|(source, head)| match source {
            TargetSource::Labels { .. } => annotation(sample, head).is_some(),
            TargetSource::Identity(classes) => class(classes, data, sample).is_some(),
            TargetSource::Embedding(teacher) => teacher.of(&sample.file).is_some(),
        })
    }

    /// A sample's targets for the heads.
    ///
    /// # Errors
    /// If a label is invalid.
    pub(crate) fn targets(
        &self,
        heads: &[Head],
        data: usize,
        sample: &Sample,
    ) -> Result<Targets, TrainError> {
        let target = |(head, source): (&Head, &TargetSource)| match (&head.objective, source) {
            (
                Objective::Labels { method, labels },
                TargetSource::Labels { spread, sigma, min_sigma },
            ) => {
                let Some(annotation) = annotation(sample, head) else { return Ok(None) };
                let rescale = self.caches[data].0.rescale.as_ref();
                let annotation = match rescale.filter(|r| r.task.name() == head.name) {
                    Some(scale) => annotation.rescaled(scale.from, scale.to),
                    None => annotation.clone(),
                };
                let mean = annotation.mean();
                let distribution =
                    annotation.distribution(labels, *spread, sigma.at(mean), *min_sigma).map_err(
                        |source| TrainError::SampleLabel { file: sample.file.clone(), source },
                    )?;
                Ok(Some(Target::Label { target: method.target(&distribution, mean), mean }))
            }
            (_, TargetSource::Identity(classes)) => {
                Ok(class(classes, data, sample).map(Target::Class))
            }
            (_, TargetSource::Embedding(teacher)) => {
                Ok(teacher.of(&sample.file).map(|row| Target::Vector(Arc::from(row))))
            }
            _ => unreachable!("a head has the kind of its source"),
        };
        heads.iter().zip(&self.sources).map(target).collect()
    }
}

fn class(classes: &HashMap<(usize, String), usize>, data: usize, sample: &Sample) -> Option<usize> {
    classes.get(&(data, sample.identity.clone()?)).copied()
}

/// The classes of the people in the train splits, in the order of their names.
fn people(caches: &[(DataConfig, Cache)]) -> HashMap<(usize, String), usize> {
    let mut names = BTreeSet::new();
    for (i, (_, cache)) in caches.iter().enumerate() {
        let samples = cache.samples().iter().map(|s| &s.sample);
        let train = samples.filter(|s| s.split == Split::Train);
        names.extend(train.filter_map(|s| Some((i, s.identity.clone()?))));
    }
    names.into_iter().enumerate().map(|(class, name)| (name, class)).collect()
}
