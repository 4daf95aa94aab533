//! A correction of estimates fitted after the training: a monotone, piecewise linear
//! map of the label's range onto itself.

use serde::{Deserialize, Serialize};

use crate::distribution::check_length;
use crate::{Distribution, LabelError, LabelSet};

/// Number of nodes of a fitted map, evenly spaced over the range of the labels.
const NODES: usize = 9;

/// The least slope of a fitted map between two nodes. It is above 0 so that no two
/// estimates become one, and no part of a distribution a single point.
const LEAST_SLOPE: f64 = 0.1;

/// The most rounds over all directions of the search.
const ROUNDS: usize = 100;

/// A monotone, piecewise linear map of the labels' range onto itself.
///
/// Both ends of the range stay where they are, and every piece ascends: larger
/// estimates remain larger, and every label can still be reached.
///
/// ```
/// use dldl_label::{Distribution, LabelSet, Recalibration};
///
/// // Estimates that are five years too high from 30 to 60.
/// let estimates: Vec<f64> = (0..90).map(f64::from).collect();
/// let truths: Vec<f64> =
///     estimates.iter().map(|e| if (30.0..60.0).contains(e) { e - 5.0 } else { *e }).collect();
/// let map = Recalibration::fit(&LabelSet::age(), &estimates, &truths)?;
/// assert!((map.value(45.0) - 40.0).abs() < 0.5);
/// assert_eq!((map.value(0.0), map.value(100.0)), (0.0, 100.0));
///
/// let d = Distribution::gaussian(&LabelSet::age(), 45.0, 3.0)?;
/// assert!((map.distribution(&d).expectation() - 40.0).abs() < 0.5);
/// # Ok::<(), dldl_label::LabelError>(())
/// ```
///
/// Serialized as the list of nodes, `[estimate, corrected estimate]`. Deserialization
/// checks that there are at least two, in ascending order in both, with the same first
/// and the same last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<[f64; 2]>", into = "Vec<[f64; 2]>")]
pub struct Recalibration {
    nodes: Vec<[f64; 2]>,
}

impl TryFrom<Vec<[f64; 2]>> for Recalibration {
    type Error = LabelError;

    fn try_from(nodes: Vec<[f64; 2]>) -> Result<Self, LabelError> {
        const WHAT: &str = "nodes of a recalibration";
        if nodes.len() < 2 {
            check_length(WHAT, 2, nodes.len())?;
        }
        let wrong = |index: usize, value: f64, expected: &'static str| {
            Err(LabelError::Value { what: WHAT, index, value, expected })
        };
        for (index, node) in nodes.iter().enumerate() {
            for i in 0..2 {
                if !node[i].is_finite() || index > 0 && node[i] <= nodes[index - 1][i] {
                    return wrong(index, node[i], "finite numbers in ascending order");
                }
            }
        }
        for index in [0, nodes.len() - 1] {
            if nodes[index][0] != nodes[index][1] {
                return wrong(index, nodes[index][1], "ends that stay where they are");
            }
        }
        Ok(Self { nodes })
    }
}

impl From<Recalibration> for Vec<[f64; 2]> {
    fn from(recalibration: Recalibration) -> Self {
        recalibration.nodes
    }
}

impl Recalibration {
    /// The map of nine evenly spaced nodes that minimizes the mean absolute error of
    /// the corrected estimates of held-out samples.
    ///
    /// The error is convex in the nodes. From the map that changes nothing, the search
    /// moves runs of neighboring nodes up or down together, each time by the amount
    /// that is best (a weighted median) and keeps the map ascending, until no run
    /// improves. The error therefore never increases, and the result depends on nothing
    /// but the samples. Truths outside the range count as its nearer end.
    ///
    /// # Errors
    /// If there are no estimates, as many truths as estimates are not given, or one is
    /// not finite.
    pub fn fit(labels: &LabelSet, estimates: &[f64], truths: &[f64]) -> Result<Self, LabelError> {
        check_length("truths", estimates.len(), truths.len())?;
        if estimates.is_empty() {
            return Err(LabelError::Empty { what: "estimates" });
        }
        for (what, values) in [("estimates", estimates), ("truths", truths)] {
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                let (value, expected) = (values[index], "a finite number");
                return Err(LabelError::Value { what, index, value, expected });
            }
        }
        let (min, max) = (labels.min(), labels.max());
        let width = (max - min) / (NODES - 1) as f64;
        let node = |j: usize| if j + 1 == NODES { max } else { min + j as f64 * width };
        let mut map = Self { nodes: (0..NODES).map(|j| [node(j); 2]).collect() };
        let samples: Vec<[f64; 2]> =
            estimates.iter().zip(truths).map(|(e, t)| [*e, t.clamp(min, max)]).collect();
        let error = |map: &Self| -> f64 {
            samples.iter().map(|[estimate, truth]| (map.value(*estimate) - truth).abs()).sum()
        };
        let mut least = error(&map);
        for _ in 0..ROUNDS {
            let before = least;
            for length in 1..NODES - 1 {
                for first in 1..NODES - length {
                    let moved = map.moved(first..first + length, &samples);
                    // By rounding, the best step can be one that is no better.
                    let now = error(&moved);
                    if now < least {
                        (map, least) = (moved, now);
                    }
                }
            }
            if before - least <= 1e-9 * before {
                break;
            }
        }
        Ok(map)
    }

    /// The map with the nodes of a run moved together by the step that leaves the
    /// smallest error on the samples.
    fn moved(&self, run: std::ops::Range<usize>, samples: &[[f64; 2]]) -> Self {
        let share = |j: usize| f64::from(u8::from(run.contains(&j)));
        // The step that each sample prefers, and how far it moves per step.
        let mut steps: Vec<(f64, f64)> = Vec::new();
        for [estimate, truth] in samples {
            let (piece, place) = self.place(*estimate);
            let weight = share(piece) * (1.0 - place) + share(piece + 1) * place;
            if weight > 0.0 {
                steps.push(((truth - self.value(*estimate)) / weight, weight));
            }
        }
        let room = |piece: usize| {
            let [[x, y], [next_x, next_y]] = [self.nodes[piece], self.nodes[piece + 1]];
            (next_y - y - LEAST_SLOPE * (next_x - x)).max(0.0)
        };
        let step = weighted_median(&mut steps).clamp(-room(run.start - 1), room(run.end - 1));
        let mut moved = self.clone();
        moved.nodes[run].iter_mut().for_each(|node| node[1] += step);
        moved
    }

    /// The nodes: estimate and corrected estimate, ascending.
    pub fn nodes(&self) -> &[[f64; 2]] {
        &self.nodes
    }

    /// Whether its range is that of the labels.
    pub fn fits(&self, labels: &LabelSet) -> bool {
        let ends = [self.nodes[0][0], self.nodes[self.nodes.len() - 1][0]];
        ends == [labels.min(), labels.max()]
    }

    /// The piece of an estimate, and its place in it, 0..=1.
    fn place(&self, estimate: f64) -> (usize, f64) {
        let inner = &self.nodes[1..self.nodes.len() - 1];
        let piece = inner.iter().filter(|node| estimate >= node[0]).count();
        let [from, to] = [self.nodes[piece][0], self.nodes[piece + 1][0]];
        (piece, ((estimate - from) / (to - from)).clamp(0.0, 1.0))
    }

    /// The corrected estimate. Beyond the range it is the nearer end.
    pub fn value(&self, estimate: f64) -> f64 {
        let (piece, place) = self.place(estimate);
        let [from, to] = [self.nodes[piece][1], self.nodes[piece + 1][1]];
        // Exact at both ends of a piece, so that pieces meet and the map ascends.
        if place < 1.0 { (from + (to - from) * place).min(to) } else { to }
    }

    /// The distribution of the corrected label: each label's probability, spread evenly
    /// over its bin, moves with the map, and is collected in the bins that it reaches.
    /// Quantiles move with the map up to the width of a bin.
    ///
    /// # Panics
    /// If the range of the distribution's labels is another ([`fits`](Self::fits)).
    pub fn distribution(&self, distribution: &Distribution) -> Distribution {
        let labels = distribution.labels();
        let mut moved = vec![0.0; labels.len()];
        for (k, p) in distribution.probabilities().iter().enumerate() {
            for (to, share) in self.shares(labels, k) {
                moved[to] += p * share;
            }
        }
        Distribution::normalized(labels, moved)
    }

    /// Where the probability of label `k` goes: labels and shares, which sum to 1.
    ///
    /// # Panics
    /// If the range of the labels is another ([`fits`](Self::fits)), or there is no such
    /// label.
    pub fn shares(&self, labels: &LabelSet, k: usize) -> Vec<(usize, f64)> {
        assert!(self.fits(labels), "a recalibration is of one range of labels");
        let (low, high) = labels.bin(k);
        let inner = self.nodes.iter().map(|node| node[0]).filter(|x| low < *x && *x < high);
        let ends: Vec<f64> = [low].into_iter().chain(inner).chain([high]).collect();
        let mut shares = Vec::new();
        for piece in ends.windows(2) {
            let share = (piece[1] - piece[0]) / (high - low);
            let [from, to] = [self.value(piece[0]), self.value(piece[1])];
            let last = labels.nearest(to).min(labels.len() - 1);
            for j in labels.nearest(from).saturating_sub(1)..=(last + 1).min(labels.len() - 1) {
                let bin = labels.bin(j);
                let overlap = to.min(bin.1) - from.max(bin.0);
                if overlap > 0.0 {
                    shares.push((j, share * overlap / (to - from)));
                }
            }
        }
        shares
    }
}

/// The median of values with weights, sorted on return: the smallest value with at least
/// half of the weight up to it; 0 without values.
fn weighted_median(values: &mut [(f64, f64)]) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sum = 0.0;
    let up_to_half = values.iter().find(|(_, weight)| {
        sum += weight;
        sum >= half
    });
    up_to_half.or(values.last()).map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(nodes: &[[f64; 2]]) -> Recalibration {
        Recalibration::try_from(nodes.to_vec()).unwrap()
    }

    #[test]
    fn values_are_linear_between_nodes() {
        let map = map(&[[0.0, 0.0], [20.0, 30.0], [60.0, 50.0], [100.0, 100.0]]);
        let found = [-3.0, 0.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 116.0].map(|e| map.value(e));
        assert_eq!(found, [0.0, 0.0, 15.0, 30.0, 40.0, 50.0, 75.0, 100.0, 100.0]);
    }

    #[test]
    fn probabilities_move_with_the_map() {
        let labels = LabelSet::new(0.0, 4.0, 1.0).unwrap();
        let map = map(&[[0.0, 0.0], [2.0, 1.0], [4.0, 4.0]]);
        // The bin of 1, from 0.5 to 1.5, moves to 0.25 to 0.75: half to label 0, half to 1.
        assert_eq!(map.shares(&labels, 1), [(0, 0.5), (1, 0.5)]);
        // That of 2, from 1.5 to 2.5, in two pieces: to 0.75 to 1, and to 1 to 1.75.
        let expected = [(1, 0.5), (1, 0.5 * 0.5 / 0.75), (2, 0.5 * 0.25 / 0.75)];
        for ((to, share), (label, value)) in map.shares(&labels, 2).into_iter().zip(expected) {
            assert!(to == label && (share - value).abs() < 1e-15, "{to} {share}");
        }
        let d = Distribution::from_probabilities(&labels, &[0.0, 1.0, 0.0, 0.0, 0.0]).unwrap();
        assert_eq!(map.distribution(&d).probabilities(), [0.5, 0.5, 0.0, 0.0, 0.0]);
        // The median moves with the map: 1 to 0.5.
        assert!((map.distribution(&d).quantile(0.5) - 0.5).abs() < 1e-12);
    }

    /// A step of five years down from 30 to 60, with three outliers among the samples,
    /// which do not matter.
    #[test]
    fn the_fit_finds_a_map_of_its_own_form() {
        let labels = LabelSet::age();
        let truth = map(&[
            [0.0, 0.0],
            [25.0, 27.5],
            [37.5, 33.0],
            [62.5, 60.0],
            [75.0, 80.0],
            [100.0, 100.0],
        ]);
        let estimates: Vec<f64> = (0..400).map(|i| f64::from(i) / 4.0).collect();
        let mut truths: Vec<f64> = estimates.iter().map(|e| truth.value(*e)).collect();
        let before: f64 = estimates.iter().zip(&truths).map(|(e, t)| (e - t).abs()).sum();
        let found = Recalibration::fit(&labels, &estimates, &truths).unwrap();
        let after: f64 =
            estimates.iter().zip(&truths).map(|(e, t)| (found.value(*e) - t).abs()).sum();
        assert!(after < 0.02 * before, "{after} {before} {:?}", found.nodes());
        for i in [50, 150, 250] {
            truths[i] += 40.0;
        }
        let with = Recalibration::fit(&labels, &estimates, &truths).unwrap();
        for e in 0..100 {
            let e = f64::from(e);
            assert!((with.value(e) - truth.value(e)).abs() < 0.5, "{e} {}", with.value(e));
        }
    }

    #[test]
    fn right_estimates_and_single_samples_keep_the_map_ascending() {
        let labels = LabelSet::attractiveness_5();
        let right = [1.0, 2.25, 3.5, 4.0];
        let same = Recalibration::fit(&labels, &right, &right).unwrap();
        assert!(same.nodes().iter().all(|[x, y]| x == y), "{:?}", same.nodes());
        let far = Recalibration::fit(&labels, &[2.0], &[5.0]).unwrap();
        assert!(far.value(2.0) > 4.0 && Recalibration::try_from(far.nodes.clone()).is_ok());
    }

    #[test]
    fn invalid_maps_and_samples_are_rejected() {
        for nodes in [
            &[[0.0, 0.0]][..],
            &[[0.0, 0.0], [0.0, 1.0], [2.0, 2.0]],
            &[[0.0, 0.0], [1.0, 0.0], [2.0, 2.0]],
            &[[0.0, 0.5], [2.0, 2.0]],
            &[[0.0, 0.0], [2.0, 1.5]],
            &[[0.0, 0.0], [f64::NAN, 1.0], [2.0, 2.0]],
        ] {
            assert!(Recalibration::try_from(nodes.to_vec()).is_err(), "{nodes:?}");
        }
        let ages = LabelSet::age();
        assert!(Recalibration::fit(&ages, &[], &[]).is_err());
        assert!(Recalibration::fit(&ages, &[1.0], &[1.0, 2.0]).is_err());
        assert!(Recalibration::fit(&ages, &[f64::NAN], &[1.0]).is_err());
        assert!(Recalibration::fit(&ages, &[1.0], &[f64::INFINITY]).is_err());
    }
}
