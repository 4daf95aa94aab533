//! The bridge between Ranking and label distributions on trained models: what each
//! believes of "more than l_k" (docs/ranking.md). A Ranking model says it with one
//! sigmoid for each label, a model of distributions with one minus its cumulative
//! distribution; here are both, of one picture or averaged over a set.

use std::convert::Infallible;

use dldl::{Crop, Distribution, Estimator, Head, NetError, parallel};
use dldl_data::Problem;
use dldl_label::{LabelSet, Task, ranking_target};
use serde::{Deserialize, Serialize};

use super::set::Samples;
use super::{SetOptions, UnderstandError, head_of};
use crate::{Progress, Scale, Source};

/// How far from the truth the aligned curves reach, in the scale's units.
const REACH: i32 = 20;

/// What several models believe of the same faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The picture's name, or the dataset's with its split.
    pub of: String,
    /// What is estimated.
    pub task: Task,
    /// Unit and digits of the numbers.
    pub scale: Scale,
    /// The models.
    pub models: Vec<Believer>,
    /// All faces, and then by band; of a picture, each face.
    pub groups: Vec<Beliefs>,
    /// The curves with the truth moved to 0; none where it is not known.
    pub aligned: Option<Aligned>,
    /// The pictures that could not be used, and why.
    #[serde(default)]
    pub failed: Vec<Problem>,
}

/// A model, and how it does on the faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Believer {
    /// Its name.
    pub name: String,
    /// The method that it was trained with.
    pub method: String,
    /// Whether its last layer has an output, or a pair, for each "more than l_k"; else
    /// the curve is one minus the cumulative distribution.
    pub ranks: bool,
    /// The labels l_k, all but the last one.
    pub labels: Vec<f64>,
    /// The mean absolute error of its own estimate, where the truth is known.
    pub mae: Option<f64>,
    /// The mean over the faces of how much a curve rises in all, where it should
    /// only fall: 0 for distributions, by their nature.
    pub rises: f64,
}

/// What the models believe of some faces, on average.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beliefs {
    /// Which faces: `face 1`, `all`, `18-29`.
    pub name: String,
    /// How many.
    pub n: usize,
    /// Their mean truth, where it is known.
    pub truth: Option<f64>,
    /// The probability of more than each label, by model.
    pub curves: Vec<Vec<f64>>,
    /// The mean over the labels of the difference of the first two models' curves,
    /// where their labels are the same.
    pub apart: Option<f64>,
}

/// Curves over the distance from the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aligned {
    /// Distances from the truth, in units of the label.
    pub offsets: Vec<f64>,
    /// The mean probability of more than the truth and that distance, by model.
    pub curves: Vec<Vec<f64>>,
}

/// The probability of more than each label but the last, as a head's outputs for
/// one picture say it: the sigmoid of each, if there is one for each, or of the
/// difference, if there is a pair for each (OR-CNN); else one minus the cumulative
/// distribution.
///
/// # Errors
/// As [`Head::decode`].
pub fn beliefs(head: &Head, logits: &[f32]) -> Result<Vec<f64>, NetError> {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
    match outputs_for_a_rank(head) {
        Some(1) => Ok(logits.iter().map(|x| sigmoid(*x)).collect()),
        Some(_) => Ok(logits.chunks_exact(2).map(|pair| sigmoid(pair[1] - pair[0])).collect()),
        None => Ok(ranking_target(&head.decode(logits)?)),
    }
}

/// How many outputs there are for each "more than l_k": none for a head of
/// distributions, which has one for each label, or of a value alone.
fn outputs_for_a_rank(head: &Head) -> Option<usize> {
    let ranks = head.labels.len() - 1;
    (1..=2).find(|each| ranks > 1 && head.outputs() == each * ranks && head.outputs() != ranks + 1)
}

/// The beliefs of models of crops of one picture: `crops[m]` are those for model m
/// and its head number `heads[m]`, the faces in the same order.
///
/// # Errors
/// [`NetError`] if a model cannot run.
///
/// # Panics
/// If there are not as many lists of crops as models, they differ in length, or a
/// model has no such head.
pub fn learned_of_crops(
    models: &[Estimator],
    heads: &[usize],
    crops: &[Vec<Crop>],
    picture: &str,
) -> Result<Learned, NetError> {
    assert_eq!(models.len(), crops.len(), "ranking: a list of crops for each model");
    let faces = crops.first().map_or(0, Vec::len);
    let mut tally = Tally::new(models, heads, faces);
    for face in 0..faces {
        let each = models.iter().zip(heads).zip(crops);
        let seen = each.map(|((model, head), crops)| see(model, *head, &crops[face]));
        tally.add(&seen.collect::<Result<Vec<_>, _>>()?, None, &[face]);
    }
    let name = |i: usize| format!("face {}", i + 1);
    Ok(tally.finish(picture.into(), &name, Vec::new()))
}

/// The mean beliefs of models over a set.
///
/// # Errors
/// As [`over_set`](super::over_set), for every model.
pub fn learned_over_set(
    models: &[Estimator],
    source: &Source,
    options: &SetOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Learned, UnderstandError> {
    let sets = models.iter().map(|model| Samples::choose(model, source, options));
    let sets: Vec<Samples> = sets.collect::<Result<_, _>>()?;
    let heads: Vec<usize> = sets.iter().map(|set| set.head).collect();
    // The same for all: what is chosen depends on the task and the split only.
    let chosen = sets.first().map_or(Vec::new(), |set| set.chosen.clone());
    let scale = scale_of(models, &heads);
    let mut tally = Tally::new(models, &heads, 1 + scale.band_count());
    let mut failed = Vec::new();
    let work = |&i: &usize| {
        let one = |(model, set): (&Estimator, &Samples)| {
            see(model, set.head, &set.crop(i)?).map_err(|e| e.to_string())
        };
        models.iter().zip(&sets).map(one).collect::<Result<Vec<Seen>, String>>()
    };
    let done = parallel::ordered(&chosen, options.threads, work, |n, result| {
        match result {
            Ok(seen) => {
                let truth = sets[0].truth(chosen[n]);
                tally.add(&seen, Some(truth), &[0, 1 + scale.band(truth)]);
            }
            Err(reason) => {
                failed.push(Problem { file: sets[0].all[chosen[n]].file.clone(), reason });
            }
        }
        progress(Progress { done: n + 1, total: chosen.len() });
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done;
    let split = options.split.map_or("all", dldl_data::Split::name);
    let name = |i: usize| if i == 0 { "all".into() } else { scale.band_name(i - 1) };
    Ok(tally.finish(format!("{} ({split})", source.name()), &name, failed))
}

/// What one model says of one crop and its mirror image.
struct Seen {
    curve: Vec<f64>,
    rises: f64,
    estimate: f64,
}

fn see(model: &Estimator, head: usize, crop: &Crop) -> Result<Seen, NetError> {
    let engine = model.engine();
    let (head, range) = head_of(engine, head);
    let views = engine.logits(&[crop.clone(), crop.flipped()])?;
    let curves = views.iter().map(|view| beliefs(&head, &view[range.clone()]));
    let curves: Vec<Vec<f64>> = curves.collect::<Result<_, _>>()?;
    let rise = |curve: &Vec<f64>| curve.windows(2).map(|w| (w[1] - w[0]).max(0.0)).sum::<f64>();
    let rises = curves.iter().map(rise).sum::<f64>() / 2.0;
    let curve = curves[0].iter().zip(&curves[1]).map(|(a, b)| 0.5 * (a + b)).collect();
    let decoded = views.iter().map(|view| head.decode(&view[range.clone()]));
    let decoded: Vec<Distribution> = decoded.collect::<Result<_, _>>()?;
    let estimate = head.method.estimate(&Distribution::average(&decoded)?);
    Ok(Seen { curve, rises, estimate })
}

fn scale_of(models: &[Estimator], heads: &[usize]) -> Scale {
    let Head { task, labels, .. } = head_of(models[0].engine(), heads[0]).0;
    Scale::new(task, &labels)
}

/// Sums over faces.
struct Tally {
    task: Task,
    scale: Scale,
    models: Vec<Believer>,
    labels: Vec<LabelSet>,
    groups: Vec<Beliefs>,
    aligned: Aligned,
    /// All faces, and those whose truth is known.
    n: usize,
    known: usize,
}

impl Tally {
    fn new(models: &[Estimator], heads: &[usize], groups: usize) -> Self {
        let heads: Vec<(String, Head)> = models
            .iter()
            .zip(heads)
            .map(|(m, h)| (m.engine().info().name.clone(), head_of(m.engine(), *h).0))
            .collect();
        let believer = |(name, head): &(String, Head)| {
            let labels = head.labels.values();
            Believer {
                name: name.clone(),
                method: head.method.name().into(),
                ranks: outputs_for_a_rank(head).is_some(),
                labels: labels[..labels.len() - 1].into(),
                mae: None,
                rises: 0.0,
            }
        };
        let empty = |len: &dyn Fn(&Believer) -> usize, models: &[Believer]| -> Vec<Vec<f64>> {
            models.iter().map(|m| vec![0.0; len(m)]).collect()
        };
        let (task, scale) = (heads[0].1.task, Scale::new(heads[0].1.task, &heads[0].1.labels));
        let models: Vec<Believer> = heads.iter().map(believer).collect();
        let group = |_| Beliefs {
            name: String::new(),
            n: 0,
            truth: None,
            curves: empty(&|m| m.labels.len(), &models),
            apart: None,
        };
        let groups = (0..groups).map(group).collect();
        let offsets: Vec<f64> = (-REACH..=REACH).map(|i| f64::from(i) * scale.unit).collect();
        let curves = empty(&|_| offsets.len(), &models);
        let labels = heads.into_iter().map(|(_, head)| head.labels).collect();
        let aligned = Aligned { offsets, curves };
        Self { task, scale, models, labels, groups, aligned, n: 0, known: 0 }
    }

    fn add(&mut self, seen: &[Seen], truth: Option<f64>, groups: &[usize]) {
        self.n += 1;
        for &g in groups {
            let group = &mut self.groups[g];
            group.n += 1;
            if let Some(truth) = truth {
                *group.truth.get_or_insert(0.0) += truth;
            }
            for (sum, seen) in group.curves.iter_mut().zip(seen) {
                sum.iter_mut().zip(&seen.curve).for_each(|(sum, r)| *sum += r);
            }
        }
        for (model, seen) in self.models.iter_mut().zip(seen) {
            model.rises += seen.rises;
        }
        let Some(truth) = truth else { return };
        self.known += 1;
        for (m, seen) in seen.iter().enumerate() {
            *self.models[m].mae.get_or_insert(0.0) += (seen.estimate - truth).abs();
            let sums = self.aligned.curves[m].iter_mut().zip(&self.aligned.offsets);
            sums.for_each(|(sum, d)| *sum += more_than(&self.labels[m], &seen.curve, truth + d));
        }
    }

    fn finish(
        mut self,
        of: String,
        name: &dyn Fn(usize) -> String,
        failed: Vec<Problem>,
    ) -> Learned {
        let same = self.models.len() > 1 && self.models[0].labels == self.models[1].labels;
        for (i, group) in self.groups.iter_mut().enumerate() {
            group.name = name(i);
            let n = group.n as f64;
            group.truth = group.truth.map(|sum| sum / n);
            group.curves.iter_mut().flatten().for_each(|v| *v /= n);
            if let [a, b, ..] = &group.curves[..]
                && same
            {
                let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum();
                group.apart = Some(sum / a.len() as f64);
            }
        }
        self.groups.retain(|group| group.n > 0);
        let known = self.known as f64;
        for model in &mut self.models {
            model.rises /= self.n.max(1) as f64;
            model.mae = model.mae.map(|sum| sum / known);
        }
        self.aligned.curves.iter_mut().flatten().for_each(|v| *v /= known);
        Learned {
            of,
            task: self.task,
            scale: self.scale,
            models: self.models,
            groups: self.groups,
            aligned: (self.known > 0).then_some(self.aligned),
            failed,
        }
    }
}

/// A curve between its labels: 1 below the first, 0 from the last on.
fn more_than(labels: &LabelSet, curve: &[f64], y: f64) -> f64 {
    if y < labels.min() {
        return 1.0;
    }
    if y >= labels.max() {
        return 0.0;
    }
    let (k, weight) = labels.bracket(y);
    let at = |k: usize| curve.get(k).copied().unwrap_or(0.0);
    at(k) + weight * (at(k + 1) - at(k))
}

#[cfg(test)]
mod tests;
