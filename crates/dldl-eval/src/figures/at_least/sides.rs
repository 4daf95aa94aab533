//! The pictures on both sides of a threshold, and what follows from the order and the
//! values of their probabilities.

use super::{AtLeastGroup, BINS, Bin, Cutoff, RATES, ROC_STEP, RocPoint};
use crate::Prediction;
use crate::figures::{Measured, People, Sums, measure};

/// A group of pictures with their probabilities, in ascending order of these.
pub(super) struct Sides {
    people: People,
    /// Probability, whether above, and the number of the person.
    cases: Vec<(f64, bool, usize)>,
}

impl Sides {
    pub fn new(
        members: &[&Prediction],
        probability: impl Fn(&Prediction) -> f64,
        above: impl Fn(&&Prediction) -> bool,
    ) -> Self {
        let people = People::of(members.iter().copied());
        let case = |(p, &person): (&&Prediction, &usize)| (probability(p), above(p), person);
        let mut cases: Vec<_> = members.iter().zip(&people.of).map(case).collect();
        cases.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { people, cases }
    }

    pub fn above(&self) -> usize {
        self.cases.iter().filter(|case| case.1).count()
    }

    pub fn below(&self) -> usize {
        self.cases.len() - self.above()
    }

    /// All metrics, with cutoffs chosen on these pictures.
    pub fn measured(&self) -> AtLeastGroup {
        const N: usize = RATES.len();
        // In each resample, cutoffs are chosen anew.
        let figures = |counts: &[u32]| {
            let walk = self.walk(counts);
            let at = |wanted: &Wanted| {
                let cutoff = self.cutoff(counts, wanted);
                cutoff.map_or([None; 2], |cutoff| self.errors(counts, cutoff))
            };
            let failed = RATES.map(|rate| at(&Wanted::AboveFailed(rate)));
            let passed = RATES.map(|rate| at(&Wanted::BelowPassed(rate)));
            [&walk[..], failed.as_flattened(), passed.as_flattened()].concat()
        };
        let found = measure(self.people.count(), figures);
        let everybody = vec![1; self.people.count()];
        let (scores, rates) = found.split_at(3);
        let cutoffs = |kind: fn(f64) -> Wanted, found: &[Option<Measured>]| {
            let pairs = RATES.into_iter().zip(found.as_chunks::<2>().0);
            let row = |(rate, [below_passed, above_failed]): (f64, &[Option<Measured>; 2])| {
                let cutoff = self.cutoff(&everybody, &kind(rate));
                Cutoff { rate, cutoff, below_passed: *below_passed, above_failed: *above_failed }
            };
            pairs.map(row).collect()
        };
        AtLeastGroup {
            name: "all".into(),
            below: self.below(),
            above: self.above(),
            auc: scores[0],
            brier: scores[1],
            calibration_error: scores[2],
            at_above_failed: cutoffs(Wanted::AboveFailed, &rates[..2 * N]),
            at_below_passed: cutoffs(Wanted::BelowPassed, &rates[2 * N..]),
        }
    }

    /// All metrics, at the cutoffs of `all`.
    pub fn at_cutoffs_of(&self, name: String, all: &AtLeastGroup) -> AtLeastGroup {
        let cutoffs: Vec<f64> = (all.at_above_failed.iter().chain(&all.at_below_passed))
            .map(|row| row.cutoff.unwrap_or(f64::NAN))
            .collect();
        let figures = |counts: &[u32]| {
            let at = |&cutoff: &f64| match cutoff.is_nan() {
                true => [None; 2],
                false => self.errors(counts, cutoff),
            };
            let errors: Vec<[Option<f64>; 2]> = cutoffs.iter().map(at).collect();
            [&self.walk(counts)[..], errors.as_flattened()].concat()
        };
        let found = measure(self.people.count(), figures);
        let (scores, errors) = found.split_at(3);
        let mut errors = errors.as_chunks::<2>().0.iter();
        let mut rows = |of_all: &[Cutoff]| -> Vec<Cutoff> {
            let row =
                |(cutoff, [below_passed, above_failed]): (&Cutoff, &[Option<Measured>; 2])| {
                    Cutoff { below_passed: *below_passed, above_failed: *above_failed, ..*cutoff }
                };
            of_all.iter().zip(errors.by_ref()).map(row).collect()
        };
        AtLeastGroup {
            name,
            below: self.below(),
            above: self.above(),
            auc: scores[0],
            brier: scores[1],
            calibration_error: scores[2],
            at_above_failed: rows(&all.at_above_failed),
            at_below_passed: rows(&all.at_below_passed),
        }
    }

    /// AUC, Brier score and calibration error, with every person counted `counts` times.
    fn walk(&self, counts: &[u32]) -> [Option<f64>; 3] {
        let (mut n, mut squares) = (0.0, 0.0);
        // The sum over people above of those below with a lower probability.
        let (mut below, mut above, mut ordered) = (0.0, 0.0, 0.0);
        let mut bins = [[0.0; 3]; BINS];
        for ties in self.cases.chunk_by(|a, b| a.0 == b.0) {
            let mut of = [0.0; 2];
            for &(p, is_above, person) in ties {
                let count = f64::from(counts[person]);
                let truth = f64::from(u8::from(is_above));
                of[usize::from(is_above)] += count;
                n += count;
                squares += count * (p - truth) * (p - truth);
                let sums = &mut bins[bin(p)];
                (sums[0], sums[1], sums[2]) =
                    (sums[0] + count, sums[1] + count * p, sums[2] + count * truth);
            }
            ordered += of[1] * (below + 0.5 * of[0]);
            (below, above) = (below + of[0], above + of[1]);
        }
        let error: f64 = bins.iter().map(|[_, predicted, truth]| (predicted - truth).abs()).sum();
        let mean = |sum: f64| (n > 0.0).then(|| sum / n);
        let both = below > 0.0 && above > 0.0;
        [both.then(|| ordered / (below * above)), mean(squares), mean(error)]
    }

    /// The share below who pass, and that above who do not, at a cutoff.
    fn errors(&self, counts: &[u32], cutoff: f64) -> [Option<f64>; 2] {
        let (mut all, mut wrong) = ([0.0; 2], [0.0; 2]);
        for &(p, above, person) in &self.cases {
            let (side, count) = (usize::from(above), f64::from(counts[person]));
            all[side] += count;
            wrong[side] += if (p >= cutoff) == above { 0.0 } else { count };
        }
        [0, 1].map(|side| (all[side] > 0.0).then(|| wrong[side] / all[side]))
    }

    /// The cutoff with a rate of at most the wanted one, and the least of the other error.
    fn cutoff(&self, counts: &[u32], wanted: &Wanted) -> Option<f64> {
        let weight = |case: &(f64, bool, usize)| f64::from(counts[case.2]);
        let (above, rate) = match *wanted {
            Wanted::AboveFailed(rate) => (true, rate),
            Wanted::BelowPassed(rate) => (false, rate),
        };
        let side = || self.cases.iter().filter(|case| case.1 == above);
        let allowed = rate * side().map(weight).sum::<f64>() + 1e-9;
        if allowed < 1.0 {
            return None;
        }
        let mut wrong = 0.0;
        // The first one too many; it must not be counted, nor those equal to it.
        let mut too_many = |case: &&(f64, bool, usize)| {
            wrong += weight(case);
            wrong > allowed
        };
        match above {
            true => side().find(&mut too_many).map(|case| case.0),
            false => side().rev().find(&mut too_many).map(|case| case.0.next_up()),
        }
    }

    pub fn reliability(&self) -> Vec<Bin> {
        const COLUMNS: usize = 3 * BINS;
        let mut rows = vec![[0.0; COLUMNS]; self.cases.len()];
        for (row, &(p, above, _)) in rows.iter_mut().zip(&self.cases) {
            let at = 3 * bin(p);
            (row[at], row[at + 1], row[at + 2]) = (1.0, p, f64::from(u8::from(above)));
        }
        let order: Vec<usize> = self.cases.iter().map(|case| case.2).collect();
        let people = People { of: order, pictures: self.people.pictures.clone() };
        let sums = Sums::new(&people, rows.into_iter());
        let shares = measure(people.count(), |counts| {
            let total = sums.total(counts);
            let bins = total.as_chunks::<3>().0.iter();
            bins.map(|[n, _, above]| (*n > 0.0).then(|| above / n)).collect()
        });
        let total = sums.total(&vec![1; people.count()]);
        let bins = total.as_chunks::<3>().0.iter().zip(shares).enumerate();
        let bins = bins.filter_map(|(i, ([n, sum, _], observed))| {
            let [low, high] = [i, i + 1].map(|i| i as f64 / BINS as f64);
            Some(Bin { low, high, n: *n as usize, predicted: sum / n, observed: observed? })
        });
        bins.collect()
    }

    pub fn roc(&self) -> Vec<RocPoint> {
        let totals = [self.below() as f64, self.above() as f64];
        let mut failed = [0.0; 2];
        let mut points = vec![RocPoint { above_failed: 0.0, below_failed: 0.0 }];
        let mut next = points[0];
        for ties in self.cases.chunk_by(|a, b| a.0 == b.0) {
            for case in ties {
                failed[usize::from(case.1)] += 1.0;
            }
            next = RocPoint {
                above_failed: failed[1] / totals[1],
                below_failed: failed[0] / totals[0],
            };
            let last = points[points.len() - 1];
            let far = |a: f64, b: f64| a - b >= ROC_STEP;
            if far(next.above_failed, last.above_failed)
                || far(next.below_failed, last.below_failed)
            {
                points.push(next);
            }
        }
        if points[points.len() - 1] != next {
            points.push(next);
        }
        points
    }
}

/// The rate that a cutoff is chosen by.
enum Wanted {
    AboveFailed(f64),
    BelowPassed(f64),
}

fn bin(probability: f64) -> usize {
    ((probability * BINS as f64) as usize).min(BINS - 1)
}
