//! Metrics of predictions, each with a 95 % interval. Here is what they share; metrics
//! of estimates, of distributions, of groups, of labels that are ranges, of age assurance,
//! of thresholds and of rejecting poor pictures each have their file.

mod assurance;
mod at_least;
mod estimated;
mod groups;
mod hits;
mod metrics;
mod probabilistic;
mod readouts;
mod rejection;

use std::collections::HashMap;

use dldl_label::metrics::bootstrap;
use serde::{Deserialize, Serialize};

use crate::Prediction;

pub use assurance::{Assurance, AssuranceGroup, ChallengeAge, assurance};
pub use at_least::{AtLeast, AtLeastGroup, Bin, Cutoff, RATES, RocPoint, at_least};
pub use estimated::{ByEstimate, EstimateBand, by_estimate};
pub use groups::{Breakdown, Group, MIN_GROUP, breakdowns};
pub use hits::{GroupHits, Hits, hits};
pub use metrics::{Metrics, Threshold, metrics};
pub use probabilistic::{Coverage, Probabilistic, Reliability, covered, probabilistic};
pub use readouts::{Readouts, readouts};
pub use rejection::{Rejection, RejectionCurve, RejectionPoint, rejection};

/// A metric and its sampling error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The value over the evaluated pictures.
    pub value: f64,
    /// The 95 % interval: percentiles of the bootstrap over people, or over
    /// photographs where people are not known ([`dldl_label::metrics::bootstrap`]). None if
    /// all pictures show one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// Which person, by number, each prediction belongs to. A picture without a group counts
/// as a person of its own.
pub(crate) struct People {
    of: Vec<usize>,
    /// The number of pictures of each person.
    pictures: Vec<f64>,
}

impl People {
    pub fn of<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let (mut of, mut pictures) = (Vec::new(), Vec::new());
        for prediction in predictions {
            let new = pictures.len();
            let number = match &prediction.group {
                Some(group) => *numbers.entry(group).or_insert(new),
                None => new,
            };
            if number == new {
                pictures.push(0.0);
            }
            pictures[number] += 1.0;
            of.push(number);
        }
        Self { of, pictures }
    }

    /// The number of people.
    pub fn count(&self) -> usize {
        self.pictures.len()
    }
}

/// Sums of columns over the pictures of each person. The metrics of a bootstrap
/// resample follow from these without visiting every picture.
struct Sums<const N: usize>(Vec<[f64; N]>);

impl<const N: usize> Sums<N> {
    /// From one row per picture.
    fn new(people: &People, rows: impl Iterator<Item = [f64; N]>) -> Self {
        let mut sums = vec![[0.0; N]; people.count()];
        for (&person, row) in people.of.iter().zip(rows) {
            for (sum, value) in sums[person].iter_mut().zip(row) {
                *sum += value;
            }
        }
        Self(sums)
    }

    /// The sums of the columns with every person counted `counts` times.
    fn total(&self, counts: &[u32]) -> [f64; N] {
        let mut total = [0.0; N];
        for (row, &count) in self.0.iter().zip(counts).filter(|(_, count)| **count > 0) {
            for (sum, value) in total.iter_mut().zip(row) {
                *sum += f64::from(count) * value;
            }
        }
        total
    }
}

/// Metrics and their intervals. `figures` computes them with every person counted a
/// given number of times.
fn measure(people: usize, figures: impl Fn(&[u32]) -> Vec<Option<f64>>) -> Vec<Option<Measured>> {
    let values = figures(&vec![1; people]);
    let intervals = bootstrap(people, &figures);
    let both = values.into_iter().zip(intervals);
    both.map(|(value, interval)| Some(Measured { value: value?, interval })).collect()
}

/// The means of columns, given as one row per picture; none without pictures.
pub(crate) fn means<const N: usize>(
    people: &People,
    rows: impl Iterator<Item = [f64; N]>,
) -> Option<[Measured; N]> {
    let sums = Sums::new(people, rows);
    let figures = |counts: &[u32]| {
        let pictures = people.pictures.iter().zip(counts).map(|(n, &count)| n * f64::from(count));
        let n: f64 = pictures.sum();
        sums.total(counts).map(|sum| (n > 0.0).then(|| sum / n)).to_vec()
    };
    let figures: Option<Vec<Measured>> = measure(people.count(), figures).into_iter().collect();
    figures?.try_into().ok()
}

#[cfg(test)]
pub(crate) mod testing {
    //! Predictions for tests.

    use dldl::LabelSet;

    use crate::Prediction;
    use crate::Scale;
    use crate::prediction::LEVELS;

    pub fn years() -> Scale {
        Scale::new(dldl_label::Task::Age, &LabelSet::age())
    }

    /// A prediction whose estimates are all the same, with intervals that extend 1 to 4
    /// years to either side.
    pub fn prediction(truth: f64, estimate: f64) -> Prediction {
        let mut half = 0.0;
        let intervals = LEVELS.map(|_| {
            half += 1.0;
            [estimate - half, estimate + half]
        });
        Prediction {
            file: format!("{truth}-{estimate}.jpg"),
            truth,
            sigma: None,
            range: None,
            sex: None,
            race: None,
            group: None,
            aligned: true,
            median: Some(estimate),
            plain: estimate,
            flipped: estimate,
            fused: estimate,
            std: 2.0,
            pit: 0.5,
            nll: 1.0,
            crps: 1.0,
            intervals,
            at_least: Vec::new(),
            quality: None,
            measures: None,
            one_table: None,
        }
    }

    /// `n` ages from 0 to 79 of `people` people, with errors from -8 to 9.
    pub fn many(n: usize, people: usize) -> Vec<Prediction> {
        let one = |i: usize| {
            let truth = (i * 37 % 80) as f64;
            let error = (i * 7919 % 121) as f64 / 7.0 - 8.5;
            let group = Some(format!("person {}", i % people));
            Prediction { group, ..prediction(truth, truth + error + 0.5) }
        };
        (0..n).map(one).collect()
    }
}
