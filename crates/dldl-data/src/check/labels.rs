//! How many samples have which labels.

use std::collections::BTreeMap;

use dldl_label::Task;
use serde::Serialize;

use super::PerSplit;
use crate::{Annotation, LabelInfo, Sample};

/// The labels of one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labeled {
    /// The task.
    pub task: Task,
    /// Samples with such a label.
    pub samples: PerSplit,
    /// The lowest mean of a label.
    pub min: f64,
    /// The mean over the samples of the labels' means.
    pub mean: f64,
    /// The highest mean of a label.
    pub max: f64,
    /// Labels that are one number.
    pub single: usize,
    /// Labels that are a number with its raters' standard deviation.
    pub with_sigma: usize,
    /// Labels that are the answers of raters.
    pub answers: usize,
    /// Labels that are ranges.
    pub ranges: usize,
    /// The mean of the standard deviations that are known.
    pub mean_sigma: Option<f64>,
    /// Labels whose mean lies outside of the dataset's label set; they are taken
    /// for its nearest end.
    pub outside: usize,
    /// The histogram of the labels' means.
    pub bins: Vec<Bin>,
}

/// One bar of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// The least label in it.
    pub from: f64,
    /// The bar ends here; the end belongs to it only where the labels are ranges.
    pub to: f64,
    /// How many samples.
    pub samples: PerSplit,
}

/// The labels of all tasks that any sample has. `known` has the tasks' label sets.
pub(super) fn of(samples: &[Sample], known: &[LabelInfo]) -> Vec<Labeled> {
    let mut by_task: BTreeMap<Task, Vec<(&Sample, &Annotation)>> = BTreeMap::new();
    for sample in samples {
        for (task, annotation) in &sample.labels {
            by_task.entry(*task).or_default().push((sample, annotation));
        }
    }
    let task = |(task, labels): (Task, Vec<_>)| {
        one(task, &labels, known.iter().find(|known| known.task == task))
    };
    by_task.into_iter().map(task).collect()
}

fn one(task: Task, labels: &[(&Sample, &Annotation)], known: Option<&LabelInfo>) -> Labeled {
    let means = || labels.iter().map(|(_, annotation)| annotation.mean());
    let count = |what: fn(&Annotation) -> bool| labels.iter().filter(|(_, r)| what(r)).count();
    let sigmas: Vec<f64> = labels.iter().filter_map(|(_, annotation)| annotation.sigma()).collect();
    let ranges = count(|r| matches!(r, Annotation::Interval { .. }));
    let outside = known
        .map_or(0, |task| means().filter(|mean| !(task.min..=task.max).contains(mean)).count());
    // Years in bands of five, and scores in steps that give some ten bars.
    let width = match known {
        Some(task) if task.step < 1.0 && task.max - task.min <= 6.0 => 0.5,
        Some(task) if task.step < 1.0 => 1.0,
        _ => 5.0,
    };
    let all_ranges = ranges == labels.len();
    Labeled {
        task,
        samples: PerSplit::of(labels.iter().map(|(sample, _)| *sample)),
        min: means().fold(f64::INFINITY, f64::min),
        mean: means().sum::<f64>() / labels.len() as f64,
        max: means().fold(f64::NEG_INFINITY, f64::max),
        single: count(|r| matches!(r, Annotation::Value { sigma: None, .. })),
        with_sigma: count(|r| matches!(r, Annotation::Value { sigma: Some(_), .. })),
        answers: count(|r| matches!(r, Annotation::Histogram { .. })),
        ranges,
        mean_sigma: (!sigmas.is_empty()).then(|| sigmas.iter().sum::<f64>() / sigmas.len() as f64),
        outside,
        bins: if all_ranges { by_range(labels) } else { by_mean(labels, width) },
    }
}

/// A bar for each range.
fn by_range(labels: &[(&Sample, &Annotation)]) -> Vec<Bin> {
    let mut bins: Vec<Bin> = Vec::new();
    for (sample, annotation) in labels {
        let Annotation::Interval { interval: [from, to] } = **annotation else { continue };
        let at = bins.iter().position(|bin| (bin.from, bin.to) == (from, to));
        let at = at.unwrap_or_else(|| {
            bins.push(Bin { from, to, samples: PerSplit::default() });
            bins.len() - 1
        });
        bins[at].samples.add(sample.split);
    }
    bins.sort_by(|a, b| a.from.total_cmp(&b.from).then(a.to.total_cmp(&b.to)));
    bins
}

/// Bars of one width, without gaps from the lowest to the highest.
fn by_mean(labels: &[(&Sample, &Annotation)], width: f64) -> Vec<Bin> {
    let number = |annotation: &Annotation| (annotation.mean() / width).floor() as i64;
    let mut counts: BTreeMap<i64, PerSplit> = BTreeMap::new();
    for (sample, annotation) in labels {
        counts.entry(number(annotation)).or_default().add(sample.split);
    }
    let ends = counts.first_key_value().zip(counts.last_key_value());
    let Some(((&first, _), (&last, _))) = ends else { return Vec::new() };
    let bin = |i: i64| Bin {
        from: i as f64 * width,
        to: (i + 1) as f64 * width,
        samples: counts.get(&i).copied().unwrap_or_default(),
    };
    (first..=last).map(bin).collect()
}
