//! Which samples an epoch draws, and in which order.

use dldl_data::sample_rng;
use rand::{Rng, RngExt};

use crate::config::Sampling;

/// How often an epoch draws each sample, on average. What it draws follows from
/// the seed and the epoch alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    wanted: Vec<f64>,
    /// Samples per epoch.
    total: usize,
}

/// The stream of random numbers of an epoch's order: numbers of samples are
/// below, so it is nobody else's.
const STREAM: u64 = u64::MAX;

impl Draws {
    /// Each sample as often as its dataset's weight says, times what balances
    /// its label (see [`Sampling`]). Per sample: weight, and label where there
    /// is one.
    pub fn new(samples: &[(f64, Option<f64>)], sampling: &Sampling) -> Self {
        let bin = |label: f64| (label / sampling.bin).floor() as i64;
        let mut counts = std::collections::BTreeMap::<i64, f64>::new();
        for (weight, label) in samples {
            if let Some(label) = label {
                *counts.entry(bin(*label)).or_default() += weight;
            }
        }
        let factor = |label: f64| counts[&bin(label)].powf(-sampling.balance);
        // As many as without balancing: the factors' weighted mean is 1.
        let labeled = || samples.iter().filter_map(|(weight, label)| Some((weight, (*label)?)));
        let before: f64 = labeled().map(|(weight, _)| weight).sum();
        let after: f64 = labeled().map(|(weight, label)| weight * factor(label)).sum();
        let wanted: Vec<f64> = samples
            .iter()
            .map(|(weight, label)| match label {
                Some(label) if sampling.balance > 0.0 => {
                    weight * (factor(*label) * before / after).min(sampling.most)
                }
                _ => *weight,
            })
            .collect();
        let total = wanted.iter().sum::<f64>().round() as usize;
        Self { wanted, total }
    }

    /// Samples per epoch.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether an epoch draws nothing.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The samples of an epoch, by their numbers, in its order. A sample that is
    /// wanted `a` times on average comes `floor(a)` or `ceil(a)` times
    /// (systematic sampling).
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<usize> {
        let mut rng = sample_rng(seed, epoch as u64, STREAM);
        let mut order: Vec<usize> = (0..self.wanted.len()).collect();
        shuffle(&mut order, &mut rng);
        if self.wanted.iter().all(|&a| a == 1.0) {
            return order;
        }
        // Marks at equal distances, and every sample gets those within its part
        // of the line, in an order that has nothing to do with the labels.
        let sum: f64 = self.wanted.iter().sum();
        let distance = sum / self.total as f64;
        let start: f64 = rng.random();
        let mut drawn = Vec::with_capacity(self.total);
        let mut end = 0.0;
        for &sample in &order {
            end += self.wanted[sample];
            while drawn.len() < self.total && (drawn.len() as f64 + start) * distance < end {
                drawn.push(sample);
            }
        }
        // Rounding may leave the last mark just behind the end.
        while drawn.len() < self.total {
            drawn.push(order[order.len() - 1]);
        }
        shuffle(&mut drawn, &mut rng);
        drawn
    }
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], rng: &mut impl Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(draws: &Draws, epochs: usize) -> Vec<usize> {
        let mut times = vec![0; draws.wanted.len()];
        (0..epochs).flat_map(|e| draws.order(3, e)).for_each(|i| times[i] += 1);
        times
    }

    #[test]
    fn every_epoch_has_its_own_order_of_all_samples() {
        let draws = Draws::new(&[(1.0, None); 100], &Sampling::default());
        let (a, b) = (draws.order(1, 0), draws.order(1, 1));
        assert_ne!(a, b);
        assert_eq!(a, draws.order(1, 0));
        assert_ne!(a, draws.order(2, 0));
        for mut order in [a, b] {
            order.sort_unstable();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn weights_say_how_often() {
        let samples: Vec<_> = (0..40).map(|i| (if i < 20 { 2.0 } else { 0.5 }, None)).collect();
        let draws = Draws::new(&samples, &Sampling::default());
        assert_eq!(draws.len(), 50);
        let times = times(&draws, 200);
        assert!(times[..20].iter().all(|&n| n == 400));
        assert!(times[20..].iter().all(|&n| (60..140).contains(&n)), "{times:?}");
    }

    #[test]
    fn balancing_draws_all_labels_alike_within_bounds() {
        // 80 people of 22, 16 of 47, 4 of 71 and one without an age.
        let ages = [(80, 22.0), (16, 47.0), (4, 71.0)];
        let mut samples: Vec<(f64, Option<f64>)> =
            ages.iter().flat_map(|&(n, age)| vec![(1.0, Some(age)); n]).collect();
        samples.push((1.0, None));
        let share = |sampling: &Sampling| {
            let times = times(&Draws::new(&samples, sampling), 100);
            let sum = |range: std::ops::Range<usize>| times[range].iter().sum::<usize>() as f64;
            [sum(0..80), sum(80..96), sum(96..100), sum(100..101)].map(|n| n / 100.0)
        };
        let even = share(&Sampling { balance: 1.0, most: 100.0, ..Sampling::default() });
        for (got, expected) in even.into_iter().zip([33.3, 33.3, 33.3, 1.0]) {
            assert!((got - expected).abs() < 0.1 * expected, "{even:?}");
        }
        let bounded = share(&Sampling { balance: 1.0, most: 3.0, ..Sampling::default() });
        assert!((bounded[2] - 12.0).abs() < 0.7, "{bounded:?}");
        let half = share(&Sampling { balance: 0.5, ..Sampling::default() });
        assert!(half[0] > half[1] && half[1] > half[2] && half[2] > 8.0, "{half:?}");
        assert_eq!(share(&Sampling::default()), [80.0, 16.0, 4.0, 1.0]);
    }

    proptest! {
        #[test]
        fn nobody_comes_more_or_less_often_than_wanted(
            weights in prop::collection::vec(0.1..4.0f64, 1..60), seed: u64,
        ) {
            let samples: Vec<_> = weights.iter().map(|&w| (w, None)).collect();
            let draws = Draws::new(&samples, &Sampling::default());
            prop_assume!(!draws.is_empty());
            let order = draws.order(seed, 0);
            prop_assert_eq!(order.len(), draws.len());
            // The total is rounded, which moves the marks by a little.
            let stretch = draws.len() as f64 / weights.iter().sum::<f64>();
            for (i, weight) in weights.iter().enumerate() {
                let times = order.iter().filter(|&&s| s == i).count() as f64;
                prop_assert!((times - weight * stretch).abs() < 1.0 + 1e-6, "{i}: {times} {weight}");
            }
        }
    }
}
