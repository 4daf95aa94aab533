//! Statistics of the labels of a dataset.

use std::collections::BTreeMap;

use dldl_label::Task;
use serde::Serialize;

use super::PerSplit;
use crate::{Annotation, LabelInfo, Sample};

/// The most bins of a histogram.
const MAX_BINS: usize = 200;

/// Statistics of the labels of one task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelReport {
    /// The task.
    pub task: Task,
    /// Samples with a label of this task.
    pub samples: PerSplit,
    /// The lowest label; of ratings and ranges, their mean.
    pub min: f64,
    /// The mean label.
    pub mean: f64,
    /// The highest label.
    pub max: f64,
    /// Labels with a single value.
    pub single: usize,
    /// Labels with a mean and a standard deviation.
    pub with_sigma: usize,
    /// Labels with individual ratings.
    pub ratings: usize,
    /// Labels that are ranges.
    pub ranges: usize,
    /// The mean of the known standard deviations.
    pub mean_sigma: Option<f64>,
    /// Labels outside of the label set of the dataset; in training they count as its
    /// nearest end.
    pub outside: usize,
    /// The histogram of the labels, of at most 200 bins.
    pub bins: Vec<Bin>,
}

/// One bin of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// The lower end.
    pub from: f64,
    /// The upper end, which belongs to the next bin, except if the labels are ranges.
    pub to: f64,
    /// How many samples.
    pub samples: PerSplit,
}

/// Statistics of all tasks with labels. `known` are the label sets of the dataset.
pub(super) fn of(samples: &[Sample], known: &[LabelInfo]) -> Vec<LabelReport> {
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

fn one(task: Task, labels: &[(&Sample, &Annotation)], known: Option<&LabelInfo>) -> LabelReport {
    let means = || labels.iter().map(|(_, annotation)| annotation.mean());
    let count = |what: fn(&Annotation) -> bool| labels.iter().filter(|(_, r)| what(r)).count();
    let sigmas: Vec<f64> = labels.iter().filter_map(|(_, annotation)| annotation.sigma()).collect();
    let ranges = count(|r| matches!(r, Annotation::Interval { .. }));
    let outside = known
        .map_or(0, |task| means().filter(|mean| !(task.min..=task.max).contains(mean)).count());
    // Bins of five years; for scores, a width that gives about ten bins.
    let width = match known {
        Some(task) if task.step < 1.0 && task.max - task.min <= 6.0 => 0.5,
        Some(task) if task.step < 1.0 => 1.0,
        _ => 5.0,
    };
    let all_ranges = ranges == labels.len();
    LabelReport {
        task,
        samples: PerSplit::of(labels.iter().map(|(sample, _)| *sample)),
        min: means().fold(f64::INFINITY, f64::min),
        mean: means().sum::<f64>() / labels.len() as f64,
        max: means().fold(f64::NEG_INFINITY, f64::max),
        single: count(|r| matches!(r, Annotation::Value { sigma: None, .. })),
        with_sigma: count(|r| matches!(r, Annotation::Value { sigma: Some(_), .. })),
        ratings: count(|r| matches!(r, Annotation::Histogram { .. })),
        ranges,
        mean_sigma: (!sigmas.is_empty()).then(|| sigmas.iter().sum::<f64>() / sigmas.len() as f64),
        outside,
        bins: if all_ranges { by_range(labels) } else { None }
            .unwrap_or_else(|| by_mean(labels, width)),
    }
}

/// A bin for each range; none if there are too many different ranges.
fn by_range(labels: &[(&Sample, &Annotation)]) -> Option<Vec<Bin>> {
    let mut bins: Vec<Bin> = Vec::new();
    for (sample, annotation) in labels {
        let Some([from, to]) = annotation.closed_range() else { continue };
        let at = match bins.iter().position(|bin| (bin.from, bin.to) == (from, to)) {
            Some(at) => at,
            None if bins.len() == MAX_BINS => return None,
            None => {
                bins.push(Bin { from, to, samples: PerSplit::default() });
                bins.len() - 1
            }
        };
        bins[at].samples.add(sample.split);
    }
    bins.sort_by(|a, b| a.from.total_cmp(&b.from).then(a.to.total_cmp(&b.to)));
    Some(bins)
}

/// Bins of equal width without gaps, wider than `width` if there would be too many.
fn by_mean(labels: &[(&Sample, &Annotation)], mut width: f64) -> Vec<Bin> {
    let means = || labels.iter().map(|(_, a)| a.mean()).filter(|mean| mean.is_finite());
    let (low, high) = (means().fold(f64::INFINITY, f64::min), means().fold(f64::MIN, f64::max));
    if low > high {
        return Vec::new();
    }
    let index = |mean: f64, width: f64| (mean / width).floor() - (low / width).floor();
    while index(high, width) >= MAX_BINS as f64 {
        width *= 10.0;
    }
    let first = (low / width).floor();
    let bin = |i: usize| Bin {
        from: (first + i as f64) * width,
        to: (first + (i + 1) as f64) * width,
        samples: PerSplit::default(),
    };
    let mut bins: Vec<Bin> = (0..=index(high, width) as usize).map(bin).collect();
    for (sample, annotation) in labels.iter().filter(|(_, a)| a.mean().is_finite()) {
        bins[index(annotation.mean(), width) as usize].samples.add(sample.split);
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;

    fn bins(means: &[f64]) -> Vec<Bin> {
        let sample = |&mean: &f64| {
            Sample::new("a.jpg", Split::Train).with(Task::Age, Annotation::value(mean))
        };
        let samples: Vec<Sample> = means.iter().map(sample).collect();
        of(&samples, &[crate::format::age("")]).remove(0).bins
    }

    /// A date as an age, or a slipped digit, must cost neither memory nor pages of output.
    #[test]
    fn histograms_of_absurd_labels_stay_small() {
        for means in [
            &[30.0, 20_140_101.0][..],
            &[30.0, 1e12],
            &[-1e300, 1e300],
            &[1e300],
            &[f64::MIN, f64::MAX],
            &[30.0, f64::NAN],
        ] {
            let bins = bins(means);
            assert!((1..=MAX_BINS).contains(&bins.len()), "{means:?}: {} bins", bins.len());
            let total: usize = bins.iter().map(|bin| bin.samples.total()).sum();
            assert_eq!(total, means.iter().filter(|mean| mean.is_finite()).count(), "{means:?}");
        }
    }

    #[test]
    fn too_many_different_ranges_are_binned_by_their_mean() {
        let range = |i: u32| {
            let interval = [f64::from(i) / 100.0, f64::from(i) / 100.0 + 1.0];
            Sample::new("a.jpg", Split::Train).with(Task::Age, Annotation::Interval { interval })
        };
        let samples: Vec<Sample> = (0..5000).map(range).collect();
        let report = of(&samples, &[]).remove(0);
        assert_eq!((report.ranges, report.bins.len()), (5000, 11));
    }
}
