//! From a recipe and its datasets to [`Head`]s, and from a sample to its targets.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dldl_data::{Annotation, Cache, Sample, Split, Spread};
use dldl_label::{Distribution, LabelError, LabelSet, Method};

use crate::config::{DataConfig, HeadConfig, Ranges, Sigma, TrainConfig};
use crate::error::TrainError;
use crate::head::{Head, Objective, Target, Targets};
use crate::init::BuiltInModels;
use crate::label_teacher::{Answers, Ensemble, LabelTeacher};
use crate::teacher::Teacher;

/// A sample's label for a head that is named after its task.
fn annotation<'a>(sample: &'a Sample, head: &Head) -> Option<&'a Annotation> {
    sample.annotation(head.name.parse().ok()?)
}

/// The datasets of a training.
pub(crate) struct Datasets {
    pub(crate) caches: Vec<(DataConfig, Cache)>,
    sources: Vec<TargetSource>,
    /// The teachers that are run on the crops.
    pub(crate) ensembles: Vec<Ensemble>,
}

/// Where the targets of a head come from.
enum TargetSource {
    Labels(Conversion, Option<LabelTeacher>),
    /// The classes of people, by the index of the dataset and the name in it.
    Identity(HashMap<(usize, String), usize>),
    Embedding(Teacher),
}

/// How annotations become targets.
struct Conversion {
    spread: Spread,
    sigma: Sigma,
    min_sigma: f64,
    ranges: Ranges,
}

impl Conversion {
    /// The target of a sample with an annotation, a teacher's distribution with its share of
    /// the target, or both; `None` without either.
    fn target(
        &self,
        method: &Method,
        labels: &LabelSet,
        annotation: Option<&Annotation>,
        teacher: Option<(Distribution, f64)>,
    ) -> Result<Option<Target>, LabelError> {
        let whole = |distribution: &Distribution| Target::Label {
            target: Method::target_of_distribution(distribution),
            mean: distribution.expectation(),
        };
        let Some(annotation) = annotation else {
            return Ok(teacher.map(|(teacher, _)| whole(&teacher)));
        };
        let mean = annotation.mean();
        if let (Some([low, high]), Ranges::Censored) = (annotation.range(), self.ranges) {
            return Ok(Some(match teacher {
                Some((teacher, _)) => whole(&teacher.restricted(low, high)?),
                None => Target::Label { target: Method::target_of_range(low, high)?, mean },
            }));
        }
        let sigma = self.sigma.at(mean);
        let own = annotation.distribution(labels, self.spread, sigma, self.min_sigma)?;
        let Some((teacher, share)) = teacher else {
            return Ok(Some(Target::Label { target: method.target(&own, mean), mean }));
        };
        let mut target = Method::target_of_distribution(&own.mixed(&teacher, share)?);
        target.expectation = Some((1.0 - share) * mean + share * teacher.expectation());
        Ok(Some(Target::Label { target, mean }))
    }
}

impl Datasets {
    /// Opens the recipe's caches and teachers; `built_in` finds models by name.
    ///
    /// # Errors
    /// If a cache or a teacher's file cannot be read, or the caches' crops are aligned by
    /// different templates.
    pub(crate) fn open(
        config: &TrainConfig,
        built_in: Option<BuiltInModels>,
    ) -> Result<Self, TrainError> {
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
        let mut ensembles = Vec::new();
        let source = |head: &HeadConfig| {
            Ok(match head {
                HeadConfig::Labels {
                    task,
                    labels,
                    spread,
                    sigma,
                    min_sigma,
                    ranges,
                    teacher,
                    ..
                } => {
                    let conversion = Conversion {
                        spread: *spread,
                        sigma: sigma.clone(),
                        min_sigma: *min_sigma,
                        ranges: *ranges,
                    };
                    let teacher = teacher.as_ref();
                    let teacher = teacher
                        .map(|t| LabelTeacher::open(t, *task, labels, &mut ensembles, built_in));
                    TargetSource::Labels(conversion, teacher.transpose()?)
                }
                HeadConfig::Identity { .. } => TargetSource::Identity(people(&caches)),
                HeadConfig::Embedding { embeddings, list, .. } => {
                    TargetSource::Embedding(Teacher::load(embeddings, list)?)
                }
            })
        };
        let sources = config.heads.iter().map(source).collect::<Result<_, TrainError>>()?;
        Ok(Self { caches, sources, ensembles })
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

    /// Whether a sample of dataset `data` has a target for some head, with teachers of
    /// distributions or without.
    pub(crate) fn is_useful(
        &self,
        heads: &[Head],
        data: usize,
        sample: &Sample,
        teachers: bool,
    ) -> bool {
        self.sources.iter().zip(heads).any(|(source, head)| match source {
            TargetSource::Labels(_, teacher) => {
                let known = |teacher: &LabelTeacher| teacher.knows(&sample.file);
                annotation(sample, head).is_some()
                    || teachers && teacher.as_ref().is_some_and(known)
            }
            TargetSource::Identity(classes) => class(classes, data, sample).is_some(),
            TargetSource::Embedding(teacher) => teacher.of(&sample.file).is_some(),
        })
    }

    /// A sample's targets for the heads. `teacher_scale` is the factor of the shares of
    /// teachers of distributions; at 0 they are not used. The sample is number `i` of the
    /// batch for which the [`ensembles`](Self::ensembles) gave these `answers`.
    ///
    /// # Errors
    /// If a label is invalid.
    pub(crate) fn targets(
        &self,
        heads: &[Head],
        data: usize,
        sample: &Sample,
        teacher_scale: f64,
        answers: &[Answers],
        i: usize,
    ) -> Result<Targets, TrainError> {
        let target = |(head, source): (&Head, &TargetSource)| match (&head.objective, source) {
            (Objective::Labels { method, labels }, TargetSource::Labels(conversion, teacher)) => {
                let rescale = self.caches[data].0.rescale.as_ref();
                let rescale = rescale.filter(|r| r.task.name() == head.name);
                let annotation = annotation(sample, head).map(|annotation| match rescale {
                    Some(scale) => annotation.rescaled(scale.from, scale.to),
                    None => annotation.clone(),
                });
                let fail = |source| TrainError::SampleLabel { file: sample.file.clone(), source };
                let teacher = teacher.as_ref().filter(|_| teacher_scale > 0.0);
                let taught = match teacher {
                    None => None,
                    Some(teacher) => teacher
                        .distribution(labels, &sample.file, answers, i)
                        .map_err(fail)?
                        .map(|distribution| (distribution, teacher_scale * teacher.share)),
                };
                conversion.target(method, labels, annotation.as_ref(), taught).map_err(fail)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_combine_labels_and_teachers() {
        let ages = LabelSet::age();
        let conversion = |ranges| Conversion {
            spread: Spread::Given,
            sigma: Sigma::One(2.0),
            min_sigma: 0.0,
            ranges,
        };
        let censored = conversion(Ranges::Censored);
        let method = Method::Dldl;
        let gaussian = |mean, sigma| Distribution::gaussian(&ages, mean, sigma).unwrap();
        let teacher = || Some((gaussian(40.0, 5.0), 0.25));
        let of =
            |conversion: &Conversion, annotation: Option<&Annotation>, teacher| match conversion
                .target(&method, &ages, annotation, teacher)
                .unwrap()
            {
                Some(Target::Label { target, mean }) => Some((target, mean)),
                None => None,
                other => panic!("{other:?}"),
            };
        assert_eq!(of(&censored, None, None), None);
        // Without a label: the teacher alone, whatever its share.
        let (target, mean) = of(&censored, None, teacher()).unwrap();
        assert_eq!(target.distribution.as_deref(), Some(gaussian(40.0, 5.0).probabilities()));
        assert!((mean - 40.0).abs() < 1e-9);
        // With an age: the mixture.
        let age = Annotation::value(30.0);
        let (target, mean) = of(&censored, Some(&age), teacher()).unwrap();
        let mixed = gaussian(30.0, 2.0).mixed(&gaussian(40.0, 5.0), 0.25).unwrap();
        assert_eq!(target.distribution.as_deref(), Some(mixed.probabilities()));
        assert!((target.expectation.unwrap() - 32.5).abs() < 1e-9 && mean == 30.0);
        // With a range: censored, uniform, or the teacher given the range.
        let range = Annotation::Interval { interval: [20.0, 29.0] };
        let (target, mean) = of(&censored, Some(&range), None).unwrap();
        assert_eq!((target.range, target.distribution, mean), (Some([20.0, 29.0]), None, 24.5));
        let (target, _) = of(&censored, Some(&range), teacher()).unwrap();
        let given = gaussian(40.0, 5.0).restricted(20.0, 29.0).unwrap();
        assert_eq!(target.distribution.as_deref(), Some(given.probabilities()));
        let uniform = conversion(Ranges::Distribution);
        let (target, _) = of(&uniform, Some(&range), None).unwrap();
        assert!((target.distribution.unwrap()[25] - 0.1).abs() < 1e-12);
    }
}
