//! What is gained by rejecting poor pictures: the error of those that remain, by the share
//! that is rejected.

use serde::{Deserialize, Serialize};

use super::{Measured, People, measure};
use crate::Prediction;

/// The number of points of a curve: 0, 5, ..., 95 % rejected.
const POINTS: usize = 20;

/// The errors that remain if the poorest pictures are rejected first, with flip fusion, over
/// the pictures whose quality is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejection {
    /// Number of pictures.
    pub n: usize,
    /// Rejected by quality ([`dldl::quality`]), lowest first.
    pub by_quality: RejectionCurve,
    /// Rejected by the distribution's standard deviation, largest first. Unlike quality,
    /// this rejects first the ages that are hard to estimate.
    pub by_std: RejectionCurve,
    /// The area under the curve if the largest errors were rejected first: no order has a
    /// smaller one.
    pub best_area: f64,
}

/// Errors by the share that is rejected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectionCurve {
    /// The area under the curve: the mean of the mean absolute errors of the best 1, 2, ...,
    /// n pictures, in units of the label. In a random order it is the mean absolute error of
    /// all pictures.
    pub area: Measured,
    /// The curve, from 0 to 95 % rejected.
    pub points: Vec<RejectionPoint>,
}

/// A point of a rejection curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RejectionPoint {
    /// The share of pictures that is rejected, 0..=1.
    pub rejected: f64,
    /// The quality or the standard deviation of the first picture that is not rejected.
    pub limit: f64,
    /// The mean absolute error of the others, in units of the label.
    pub mae: Measured,
}

/// The rejection curves; none if no quality is known.
pub fn rejection(predictions: &[Prediction]) -> Option<Rejection> {
    let known: Vec<&Prediction> = predictions.iter().filter(|p| p.quality.is_some()).collect();
    let error = |p: &Prediction| (p.fused - p.truth).abs();
    let by_quality = curve(&known, |p| p.quality.unwrap_or(0.0))?;
    let by_std = curve(&known, |p| -p.std)?;
    let points = by_std.points.into_iter();
    let points = points.map(|p| RejectionPoint { limit: -p.limit, ..p }).collect();
    let best = Order::new(&known, |p| -error(p));
    Some(Rejection {
        n: known.len(),
        by_quality,
        by_std: RejectionCurve { points, ..by_std },
        best_area: best.remaining(&vec![1; best.people.count()])?[POINTS],
    })
}

/// The curve if pictures are rejected in ascending order of `worth`.
fn curve(known: &[&Prediction], worth: impl Fn(&Prediction) -> f64) -> Option<RejectionCurve> {
    let order = Order::new(known, worth);
    let figures = |counts: &[u32]| match order.remaining(counts) {
        Some(errors) => errors.map(Some).to_vec(),
        None => vec![None; POINTS + 1],
    };
    let measured: Option<Vec<Measured>> =
        measure(order.people.count(), figures).into_iter().collect();
    let measured = measured?;
    let point = |(i, &mae): (usize, &Measured)| {
        let rejected = i as f64 / POINTS as f64;
        let first = (rejected * known.len() as f64 + 1e-9) as usize;
        RejectionPoint { rejected, limit: order.cases[first].worth, mae }
    };
    let points = measured[..POINTS].iter().enumerate().map(point).collect();
    Some(RejectionCurve { area: measured[POINTS], points })
}

/// Pictures in ascending order of their worth.
struct Order {
    people: People,
    cases: Vec<Case>,
}

struct Case {
    worth: f64,
    error: f64,
    person: usize,
}

impl Order {
    fn new(known: &[&Prediction], worth: impl Fn(&Prediction) -> f64) -> Self {
        let people = People::of(known.iter().copied());
        let case = |(p, &person): (&&Prediction, &usize)| Case {
            worth: worth(p),
            error: (p.fused - p.truth).abs(),
            person,
        };
        let mut cases: Vec<Case> = known.iter().zip(&people.of).map(case).collect();
        cases.sort_by(|a, b| a.worth.total_cmp(&b.worth));
        Self { people, cases }
    }

    /// The mean errors of what remains at each point, and the area, with every person
    /// counted `counts` times. Pictures of equal worth are in random order: each counts with
    /// their mean error.
    fn remaining(&self, counts: &[u32]) -> Option<[f64; POINTS + 1]> {
        let weight = |case: &Case| f64::from(counts[case.person]);
        let total: f64 = self.cases.iter().map(weight).sum();
        if total == 0.0 {
            return None;
        }
        let mut found = [0.0; POINTS + 1];
        // From the best to the worst: the number and the sum of errors so far.
        let (mut n, mut sum, mut areas) = (0.0, 0.0, 0.0);
        let mut next = POINTS;
        for ties in self.cases.chunk_by(|a, b| a.worth == b.worth).rev() {
            let size: f64 = ties.iter().map(weight).sum();
            let mean = ties.iter().map(|c| weight(c) * c.error).sum::<f64>() / size.max(1.0);
            for _ in 0..size as usize {
                (n, sum) = (n + 1.0, sum + mean);
                areas += sum / n;
            }
            // Points whose last remaining picture is one of these.
            while next > 0 {
                let kept = total * (1.0 - (next - 1) as f64 / POINTS as f64);
                if kept > n + 1e-9 {
                    break;
                }
                found[next - 1] = (sum - (n - kept) * mean) / kept;
                next -= 1;
            }
        }
        found[POINTS] = areas / total;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::testing::{many, prediction};

    /// Errors 1, 2, ..., n with falling quality; the spread says nothing.
    fn graded(n: usize) -> Vec<Prediction> {
        let one = |i: usize| Prediction {
            quality: Some(1.0 - i as f64 / n as f64),
            ..prediction(30.0, 31.0 + i as f64)
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn curves_match_hand_computed_ones() {
        let mut predictions = graded(40);
        predictions.reverse();
        predictions.push(prediction(30.0, 99.0));
        let found = rejection(&predictions).unwrap();
        assert_eq!((found.n, found.by_quality.points.len()), (40, 20));
        // The best k have errors 1 to k, whose mean is (k + 1) / 2.
        for (i, point) in found.by_quality.points.iter().enumerate() {
            let kept = 40 - 2 * i;
            assert!((point.rejected - 0.05 * i as f64).abs() < 1e-12);
            assert!((point.mae.value - (kept as f64 + 1.0) / 2.0).abs() < 1e-9, "{point:?}");
            assert!((point.limit - (1.0 - (kept as f64 - 1.0) / 40.0)).abs() < 1e-12, "{point:?}");
        }
        let area = (1..=40).map(|k| (f64::from(k) + 1.0) / 2.0).sum::<f64>() / 40.0;
        assert!((found.by_quality.area.value - area).abs() < 1e-9);
        assert!((found.best_area - area).abs() < 1e-9);
        // All have the same standard deviation: the order is random.
        for point in &found.by_std.points {
            assert!((point.mae.value - 20.5).abs() < 1e-9 && point.limit == 2.0, "{point:?}");
        }
        assert!((found.by_std.area.value - 20.5).abs() < 1e-9);
        let [low, high] = found.by_quality.area.interval.unwrap();
        assert!(low < area && area < high && high - low < area, "{low} {high}");
    }

    #[test]
    fn shares_that_are_no_whole_number_of_pictures_are_interpolated() {
        // 95 % of 3 are 2.85: the errors 1, 2 and 0.85 of 3.
        let found = rejection(&graded(3)).unwrap();
        let at = |i: usize| found.by_quality.points[i].mae.value;
        assert!((at(1) - (1.0 + 2.0 + 0.85 * 3.0) / 2.85).abs() < 1e-9);
        assert!((at(19) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_quality_there_is_no_curve() {
        assert_eq!(rejection(&many(20, 20)), None);
        assert_eq!(rejection(&[]), None);
    }
}
