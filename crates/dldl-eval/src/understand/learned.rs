//! Learned distributions beside those of the labels, for chosen faces of a dataset.

use std::convert::Infallible;
use std::fmt::{self, Write};

use dldl::{Distribution, Estimator, parallel};
use dldl_data::{Problem, Spread};
use dldl_label::{LabelSet, Task};
use dldl_plot::{Axis, Ink, Pen, Plot, Sheet};
use serde::{Deserialize, Serialize};

use super::set::Samples;
use super::{SetOptions, UnderstandError, head_of};
use crate::{Progress, Scale, Source};

/// Which faces are shown.
#[derive(Debug, Clone, Default)]
pub struct LearnedOptions {
    /// Task, split, crops and threads; `limit` is the number of faces, evenly spread over
    /// the labels in ascending order.
    pub set: SetOptions,
    /// These faces instead, by their file names in the dataset.
    pub files: Vec<String>,
    /// Standard deviation of a label's distribution where the dataset has none, in units of
    /// the label.
    pub sigma: f64,
}

/// The distributions of chosen faces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The dataset's name with its split.
    pub of: String,
    /// The task.
    pub task: Task,
    /// Unit, digits and bands of the values.
    pub scale: Scale,
    /// The labels of all distributions.
    pub labels: LabelSet,
    /// The models' names, each with its method.
    pub models: Vec<String>,
    /// The faces, in ascending order of their labels.
    pub faces: Vec<LearnedFace>,
    /// The pictures that failed, with the reason.
    pub failed: Vec<Problem>,
}

/// A face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedFace {
    /// The picture's name in the dataset.
    pub file: String,
    /// The mean of the label.
    pub truth: f64,
    /// The label's distribution.
    pub target: Vec<f64>,
    /// What each model has learned.
    pub learned: Vec<LearnedDistribution>,
}

/// A model's answer for a face, the mean over the crop and its mirror image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearnedDistribution {
    /// The estimate.
    pub value: f64,
    /// The standard deviation.
    pub std: f64,
    /// The divergence of this distribution from the label's, in nats; `None` if it is
    /// infinite.
    pub kl: Option<f64>,
    /// The probabilities.
    pub probabilities: Vec<f64>,
}

/// Runs the models on chosen faces of a dataset.
///
/// # Errors
/// As [`over_set`](super::over_set); and if the models' labels differ or the dataset has no
/// such file.
pub fn learned(
    models: &[Estimator],
    source: &Source,
    options: &LearnedOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Learned, UnderstandError> {
    let all = SetOptions { limit: None, ..options.set.clone() };
    let sets = models.iter().map(|model| Samples::choose(model, source, &all));
    let sets: Vec<Samples> = sets.collect::<Result<_, _>>()?;
    let heads: Vec<_> =
        models.iter().zip(&sets).map(|(m, set)| head_of(m.engine(), set.head)).collect();
    let labels = heads[0].0.labels.clone();
    if let Some(i) = heads.iter().position(|(head, _)| head.labels != labels) {
        let name = |i: usize| models[i].engine().info().name.clone();
        return Err(UnderstandError::OtherLabels { first: name(0), second: name(i) });
    }
    let chosen = choose(&sets[0], options)?;
    let task = heads[0].0.task;
    let work = |&i: &usize| {
        let annotation = sets[0].all[i].annotation(task).expect("chosen samples have the label");
        let target = annotation.distribution(&labels, Spread::Given, options.sigma, 0.0);
        let target = target.map_err(|e| e.to_string())?;
        let one = |((model, set), (head, range)): ((&Estimator, &Samples), &(dldl::Head, _))| {
            let crop = set.crop(i)?;
            let views = model.engine().logits(&[crop.clone(), crop.flipped()]);
            let views = views.map_err(|e| e.to_string())?;
            let range: std::ops::Range<usize> = Clone::clone(range);
            let decoded = views.iter().map(|view| head.decode(&view[range.clone()]));
            let decoded = decoded.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
            let (value, mean) = head.answer(&decoded).map_err(|e| e.to_string())?;
            Ok(LearnedDistribution {
                value,
                std: mean.std(),
                kl: Some(divergence(&target, &mean)).filter(|kl| kl.is_finite()),
                probabilities: mean.probabilities().to_vec(),
            })
        };
        let learned = models.iter().zip(&sets).zip(&heads).map(one);
        Ok(LearnedFace {
            file: sets[0].all[i].file.clone(),
            truth: annotation.mean(),
            target: target.probabilities().to_vec(),
            learned: learned.collect::<Result<_, String>>()?,
        })
    };
    let (mut faces, mut failed) = (Vec::new(), Vec::new());
    let done = parallel::ordered(&chosen, options.set.threads, work, |n, result| {
        match result {
            Ok(face) => faces.push(face),
            Err(reason) => {
                failed.push(Problem { file: sets[0].all[chosen[n]].file.clone(), reason });
            }
        }
        progress(Progress { done: n + 1, total: chosen.len() });
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done;
    let split = options.set.split.map_or("all", dldl_data::Split::name);
    let name = |(model, (head, _)): (&Estimator, &(dldl::Head, _))| {
        format!("{} ({})", model.engine().info().name, head.method.name())
    };
    Ok(Learned {
        of: format!("{} ({split})", source.name()),
        task,
        scale: Scale::new(task, &labels),
        models: models.iter().zip(&heads).map(name).collect(),
        labels,
        faces,
        failed,
    })
}

/// The faces that are asked for, in ascending order of their labels.
fn choose(set: &Samples, options: &LearnedOptions) -> Result<Vec<usize>, UnderstandError> {
    let mut chosen = set.chosen.clone();
    if !options.files.is_empty() {
        let named = |file: &String| {
            let found = set.chosen.iter().copied().find(|&i| set.all[i].file == *file);
            found.ok_or_else(|| UnderstandError::NoSuchFile { file: file.clone() })
        };
        chosen = options.files.iter().map(named).collect::<Result<_, _>>()?;
    }
    chosen.sort_by(|&a, &b| set.truth(a).total_cmp(&set.truth(b)));
    if let Some(limit) = options.set.limit.filter(|_| options.files.is_empty())
        && limit < chosen.len()
    {
        let step = (chosen.len() - 1) as f64 / (limit.max(2) - 1) as f64;
        chosen = (0..limit).map(|i| chosen[(i as f64 * step) as usize]).collect();
    }
    Ok(chosen)
}

/// `sum_k t_k ln(t_k / p_k)`, the divergence that DLDL minimizes.
fn divergence(target: &Distribution, learned: &Distribution) -> f64 {
    let both = target.probabilities().iter().zip(learned.probabilities());
    both.filter(|(t, _)| **t > 0.0).map(|(t, p)| t * (t / p).ln()).sum()
}

/// A file's name without its folders, cut where it would reach into the next plot.
fn short_name(file: &str) -> String {
    const MOST: usize = 24;
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.chars().count() > MOST {
        true => name.chars().take(MOST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

/// Draws each face's distributions: the label's as an area, the models' as lines. Returns
/// an SVG file.
pub fn learned_figure(learned: &Learned) -> String {
    let values = learned.labels.values();
    let half = learned.labels.step() / 2.0;
    let plot = |face: &LearnedFace| {
        let digits = learned.scale.digits.saturating_sub(2);
        let name = short_name(&face.file);
        let title = format!("{:.digits$} {}: {name}", face.truth, learned.scale.name);
        let all = face.learned.iter().flat_map(|l| &l.probabilities).chain(&face.target);
        let most = all.fold(0.0_f64, |m, p| m.max(*p));
        let x = Axis::linear(&learned.scale.name, learned.labels.min(), learned.labels.max());
        let mut plot = Plot::new(&title, x, Axis::linear("probability", 0.0, most));
        for (label, p) in values.iter().zip(&face.target) {
            let hint = format!("label {label}: {p:.4}");
            plot.rect(Ink::Muted, [label - half, label + half], [0.0, *p], 0.35, &hint);
        }
        for (i, (model, answer)) in learned.models.iter().zip(&face.learned).enumerate() {
            let points: Vec<(f64, f64)> =
                values.iter().copied().zip(answer.probabilities.iter().copied()).collect();
            let name = format!("{model}: {:.1$}", answer.value, digits + 1);
            plot.line(Pen::from(Ink::Series(i)), Some(&name), &points);
        }
        plot
    };
    let plots = learned.faces.iter().map(plot).collect();
    let subtitle = format!(
        "{}: the label's distribution (area) and what was learned (lines), crop and mirror image \
         averaged",
        learned.of
    );
    Sheet::new("Learned distributions", &subtitle, plots).columns(3).to_svg()
}

/// A line for each face and model.
impl fmt::Display for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.scale.digits.saturating_sub(1);
        writeln!(f, "{}, {}", self.of, self.scale.name)?;
        for face in &self.faces {
            writeln!(f, "\n{}: label {:.digits$}", face.file, face.truth)?;
            for (model, answer) in self.models.iter().zip(&face.learned) {
                let LearnedDistribution { value, std, kl, .. } = answer;
                let kl = kl.map_or("infinite".to_owned(), |kl| format!("{kl:.3}"));
                writeln!(
                    f,
                    "  {model:28} estimate {value:>7.digits$}  std {std:>6.digits$}  divergence {kl}"
                )?;
            }
        }
        for problem in &self.failed {
            writeln!(f, "\nfailed: {}: {}", problem.file, problem.reason)?;
        }
        Ok(())
    }
}

impl Learned {
    /// CSV with a line for each label of each face: file, truth, source, label, probability;
    /// the source is `label` or a model.
    pub fn to_csv(&self) -> String {
        let mut out = String::from("file,truth,source,label,probability\n");
        for face in &self.faces {
            let of_models = self.models.iter().zip(&face.learned);
            let of_models = of_models.map(|(m, l)| (m.as_str(), &l.probabilities));
            for (source, probabilities) in std::iter::once(("label", &face.target)).chain(of_models)
            {
                for (label, p) in self.labels.values().iter().zip(probabilities) {
                    let file = super::table::quoted(&face.file);
                    let source = super::table::quoted(source);
                    let _ = writeln!(out, "{file},{},{source},{label},{p}", face.truth);
                }
            }
        }
        out
    }

    /// All of it as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("distributions can be written as JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_is_that_of_the_method() {
        let labels = LabelSet::new(0.0, 2.0, 1.0).unwrap();
        let of = |p: &[f64]| Distribution::from_probabilities(&labels, p).unwrap();
        let (target, learned) = (of(&[0.5, 0.5, 0.0]), of(&[0.25, 0.5, 0.25]));
        assert!((divergence(&target, &learned) - 0.5 * 2f64.ln()).abs() < 1e-12);
        assert_eq!(divergence(&target, &target), 0.0);
        assert_eq!(divergence(&learned, &target), f64::INFINITY);
    }
}
