//! The relation between Ranking and label distributions in trained models: their
//! P(label > l_k) as a curve over the labels (docs/ranking.md). For a Ranking model it is
//! a sigmoid for each label, for a model of distributions one minus the cumulative
//! distribution. Curves are computed for one picture or averaged over a dataset.

use std::convert::Infallible;

use dldl::{Crop, Distribution, Estimator, Head, NetError, parallel};
use dldl_data::Problem;
use dldl_label::{LabelSet, Task, ranking_target};
use serde::{Deserialize, Serialize};

use super::set::Samples;
use super::{SetOptions, UnderstandError, head_of};
use crate::{Progress, Scale, Source};

/// Largest distance from the true label in aligned curves, in the scale's units.
const REACH: i32 = 20;

/// The rank curves of several models on the same faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankCurves {
    /// The picture's name, or the dataset's with its split.
    pub of: String,
    /// The task.
    pub task: Task,
    /// Unit, digits and bands of the values.
    pub scale: Scale,
    /// The models.
    pub models: Vec<RankModel>,
    /// For a dataset all faces, followed by the bands; for a picture each face.
    pub groups: Vec<RankGroup>,
    /// The curves with the true label moved to 0, if it is known.
    pub aligned: Option<Aligned>,
    /// The pictures that failed, with the reason.
    #[serde(default)]
    pub failed: Vec<Problem>,
}

/// A model, and its errors on the faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankModel {
    /// Its name.
    pub name: String,
    /// The method that it was trained with.
    pub method: String,
    /// Whether its last layer has one output or a pair of outputs for each label > l_k. If
    /// not, the curve is one minus the cumulative distribution.
    pub ranks: bool,
    /// The labels l_k, without the last one.
    pub labels: Vec<f64>,
    /// The mean absolute error of its estimate, if the true labels are known.
    pub mae: Option<f64>,
    /// The total increase of a curve, which should only decrease, averaged over the faces.
    /// It is 0 for models of distributions.
    #[serde(alias = "rises")]
    pub violation: f64,
}

/// The mean curves of a group of faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankGroup {
    /// Its name: `face 1`, `all`, `18-29`.
    pub name: String,
    /// The number of faces.
    pub n: usize,
    /// The mean true label, if known.
    pub truth: Option<f64>,
    /// P(label > l_k) for each label l_k, by model.
    pub curves: Vec<Vec<f64>>,
    /// The mean absolute difference between the curves of the first two models, if they
    /// have the same labels.
    #[serde(alias = "apart")]
    pub difference: Option<f64>,
}

/// Curves over the distance from the true label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aligned {
    /// Distances from the true label, in units of the label.
    pub offsets: Vec<f64>,
    /// The mean P(label > true label + distance), by model.
    pub curves: Vec<Vec<f64>>,
}

/// P(label > l_k) for each label l_k except the last, from a head's outputs for one
/// picture: the sigmoid of the output if there is one for each label, or of the
/// difference if there is a pair for each (OR-CNN); otherwise one minus the cumulative
/// distribution.
///
/// # Errors
/// As [`Head::decode`].
pub fn rank_curve(head: &Head, logits: &[f32]) -> Result<Vec<f64>, NetError> {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
    match outputs_per_rank(head) {
        Some(1) => Ok(logits.iter().map(|x| sigmoid(*x)).collect()),
        Some(_) => Ok(logits.chunks_exact(2).map(|pair| sigmoid(pair[1] - pair[0])).collect()),
        None => Ok(ranking_target(&head.decode(logits)?)),
    }
}

/// The number of outputs for each label > l_k; `None` for heads of distributions, which
/// have an output for each label, and of a single value.
fn outputs_per_rank(head: &Head) -> Option<usize> {
    let ranks = head.labels.len() - 1;
    (1..=2).find(|each| ranks > 1 && head.outputs() == each * ranks && head.outputs() != ranks + 1)
}

/// Computes the curves of models for the faces of one picture. `crops[m]` are the crops for
/// model `m` and its head `heads[m]`, with the faces in the same order.
///
/// # Errors
/// [`NetError`] if a model cannot run.
///
/// # Panics
/// If the numbers of models and lists of crops differ, the lists differ in length, or a
/// model has no such head.
pub fn rank_curves_of_crops(
    models: &[Estimator],
    heads: &[usize],
    crops: &[Vec<Crop>],
    picture: &str,
) -> Result<RankCurves, NetError> {
    assert_eq!(models.len(), crops.len(), "ranking: a list of crops for each model");
    let faces = crops.first().map_or(0, Vec::len);
    let mut sums = Sums::new(models, heads, faces);
    for face in 0..faces {
        let each = models.iter().zip(heads).zip(crops);
        let face_curves = each.map(|((model, head), crops)| face_curve(model, *head, &crops[face]));
        sums.add(&face_curves.collect::<Result<Vec<_>, _>>()?, None, &[face]);
    }
    let name = |i: usize| format!("face {}", i + 1);
    Ok(sums.finish(picture.into(), &name, Vec::new()))
}

/// Computes the mean curves of models over a dataset.
///
/// # Errors
/// As [`over_set`](super::over_set), for every model.
pub fn rank_curves_over_set(
    models: &[Estimator],
    source: &Source,
    options: &SetOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<RankCurves, UnderstandError> {
    let sets = models.iter().map(|model| Samples::choose(model, source, options));
    let sets: Vec<Samples> = sets.collect::<Result<_, _>>()?;
    let heads: Vec<usize> = sets.iter().map(|set| set.head).collect();
    // The same for all models: the selection depends only on task and split.
    let chosen = sets.first().map_or(Vec::new(), |set| set.chosen.clone());
    let scale = scale_of(models, &heads);
    let mut sums = Sums::new(models, &heads, 1 + scale.band_count());
    let mut failed = Vec::new();
    let work = |&i: &usize| {
        let one = |(model, set): (&Estimator, &Samples)| {
            face_curve(model, set.head, &set.crop(i)?).map_err(|e| e.to_string())
        };
        models.iter().zip(&sets).map(one).collect::<Result<Vec<FaceCurve>, String>>()
    };
    let done = parallel::ordered(&chosen, options.threads, work, |n, result| {
        match result {
            Ok(face_curves) => {
                let truth = sets[0].truth(chosen[n]);
                sums.add(&face_curves, Some(truth), &[0, 1 + scale.band(truth)]);
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
    Ok(sums.finish(format!("{} ({split})", source.name()), &name, failed))
}

/// The output of one model for a crop and its mirror image.
struct FaceCurve {
    curve: Vec<f64>,
    violation: f64,
    estimate: f64,
}

fn face_curve(model: &Estimator, head: usize, crop: &Crop) -> Result<FaceCurve, NetError> {
    let engine = model.engine();
    let (head, range) = head_of(engine, head);
    let views = engine.logits(&[crop.clone(), crop.flipped()])?;
    let curves = views.iter().map(|view| rank_curve(&head, &view[range.clone()]));
    let curves: Vec<Vec<f64>> = curves.collect::<Result<_, _>>()?;
    let rise = |curve: &Vec<f64>| curve.windows(2).map(|w| (w[1] - w[0]).max(0.0)).sum::<f64>();
    let violation = curves.iter().map(rise).sum::<f64>() / 2.0;
    let curve = curves[0].iter().zip(&curves[1]).map(|(a, b)| 0.5 * (a + b)).collect();
    let decoded = views.iter().map(|view| head.decode(&view[range.clone()]));
    let decoded: Vec<Distribution> = decoded.collect::<Result<_, _>>()?;
    let (estimate, _) = head.answer(&decoded)?;
    Ok(FaceCurve { curve, violation, estimate })
}

fn scale_of(models: &[Estimator], heads: &[usize]) -> Scale {
    let Head { task, labels, .. } = head_of(models[0].engine(), heads[0]).0;
    Scale::new(task, &labels)
}

/// Sums over faces.
struct Sums {
    task: Task,
    scale: Scale,
    models: Vec<RankModel>,
    labels: Vec<LabelSet>,
    groups: Vec<RankGroup>,
    aligned: Aligned,
    /// The number of all faces, and of those with a known label.
    n: usize,
    known: usize,
}

impl Sums {
    fn new(models: &[Estimator], heads: &[usize], groups: usize) -> Self {
        let heads: Vec<(String, Head)> = models
            .iter()
            .zip(heads)
            .map(|(m, h)| (m.engine().info().name.clone(), head_of(m.engine(), *h).0))
            .collect();
        let model = |(name, head): &(String, Head)| {
            let labels = head.labels.values();
            RankModel {
                name: name.clone(),
                method: head.method.name().into(),
                ranks: outputs_per_rank(head).is_some(),
                labels: labels[..labels.len() - 1].into(),
                mae: None,
                violation: 0.0,
            }
        };
        let empty = |len: &dyn Fn(&RankModel) -> usize, models: &[RankModel]| -> Vec<Vec<f64>> {
            models.iter().map(|m| vec![0.0; len(m)]).collect()
        };
        let (task, scale) = (heads[0].1.task, Scale::new(heads[0].1.task, &heads[0].1.labels));
        let models: Vec<RankModel> = heads.iter().map(model).collect();
        let group = |_| RankGroup {
            name: String::new(),
            n: 0,
            truth: None,
            curves: empty(&|m| m.labels.len(), &models),
            difference: None,
        };
        let groups = (0..groups).map(group).collect();
        let offsets: Vec<f64> = (-REACH..=REACH).map(|i| f64::from(i) * scale.unit).collect();
        let curves = empty(&|_| offsets.len(), &models);
        let labels = heads.into_iter().map(|(_, head)| head.labels).collect();
        let aligned = Aligned { offsets, curves };
        Self { task, scale, models, labels, groups, aligned, n: 0, known: 0 }
    }

    /// Adds a face: the outputs of all models for it, its true label, and its groups.
    fn add(&mut self, faces: &[FaceCurve], truth: Option<f64>, groups: &[usize]) {
        self.n += 1;
        for &g in groups {
            let group = &mut self.groups[g];
            group.n += 1;
            if let Some(truth) = truth {
                *group.truth.get_or_insert(0.0) += truth;
            }
            for (sum, face) in group.curves.iter_mut().zip(faces) {
                sum.iter_mut().zip(&face.curve).for_each(|(sum, r)| *sum += r);
            }
        }
        for (model, face) in self.models.iter_mut().zip(faces) {
            model.violation += face.violation;
        }
        let Some(truth) = truth else { return };
        self.known += 1;
        for (m, face) in faces.iter().enumerate() {
            *self.models[m].mae.get_or_insert(0.0) += (face.estimate - truth).abs();
            let sums = self.aligned.curves[m].iter_mut().zip(&self.aligned.offsets);
            sums.for_each(|(sum, d)| *sum += interpolate(&self.labels[m], &face.curve, truth + d));
        }
    }

    fn finish(
        mut self,
        of: String,
        name: &dyn Fn(usize) -> String,
        failed: Vec<Problem>,
    ) -> RankCurves {
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
                group.difference = Some(sum / a.len() as f64);
            }
        }
        self.groups.retain(|group| group.n > 0);
        let known = self.known as f64;
        for model in &mut self.models {
            model.violation /= self.n.max(1) as f64;
            model.mae = model.mae.map(|sum| sum / known);
        }
        self.aligned.curves.iter_mut().flatten().for_each(|v| *v /= known);
        RankCurves {
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

/// P(label > y): the curve interpolated between its labels, 1 below the first label and 0
/// from the last one on.
fn interpolate(labels: &LabelSet, curve: &[f64], y: f64) -> f64 {
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
