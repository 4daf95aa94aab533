//! Which samples an epoch draws, and in which order.

use dldl_data::sample_rng;
use rand::{Rng, RngExt};

use crate::config::Sampling;

/// How often an epoch draws each sample, on average. The samples of an epoch follow from
/// the seed and the epoch alone.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochSampler {
    frequencies: Vec<f64>,
    /// Samples per epoch.
    total: usize,
}

/// The random stream of an epoch's order. Samples use their index as stream, so this one
/// is free.
const STREAM: u64 = u64::MAX;

impl EpochSampler {
    /// Draws each sample as often as its dataset's weight, times a factor that balances
    /// its label (see [`Sampling`]). `samples` are pairs of weight and label.
    pub fn new(samples: &[(f64, Option<f64>)], sampling: &Sampling) -> Self {
        let bin = |label: f64| (label / sampling.bin).floor() as i64;
        let mut counts = std::collections::BTreeMap::<i64, f64>::new();
        for (weight, label) in samples {
            if let Some(label) = label {
                *counts.entry(bin(*label)).or_default() += weight;
            }
        }
        let factor = |label: f64| counts[&bin(label)].powf(-sampling.balance);
        // The factors' weighted mean is 1, so an epoch has as many samples as without.
        let labeled = || samples.iter().filter_map(|(weight, label)| Some((weight, (*label)?)));
        let before: f64 = labeled().map(|(weight, _)| weight).sum();
        let after: f64 = labeled().map(|(weight, label)| weight * factor(label)).sum();
        let frequencies: Vec<f64> = samples
            .iter()
            .map(|(weight, label)| match label {
                Some(label) if sampling.balance > 0.0 => {
                    weight * (factor(*label) * before / after).min(sampling.most)
                }
                _ => *weight,
            })
            .collect();
        let total = frequencies.iter().sum::<f64>().round() as usize;
        Self { frequencies, total }
    }

    /// Samples per epoch.
    pub fn len(&self) -> usize {
        self.total
    }

    /// The indices of an epoch's samples in its order. A sample with an average of `a`
    /// draws comes `floor(a)` or `ceil(a)` times (systematic sampling).
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<usize> {
        let mut rng = sample_rng(seed, epoch as u64, STREAM);
        let mut order: Vec<usize> = (0..self.frequencies.len()).collect();
        shuffle(&mut order, &mut rng);
        if self.frequencies.iter().all(|&a| a == 1.0) {
            return order;
        }
        // Marks at equal distances on a line that the samples, in random order, divide
        // among themselves: each is drawn once for every mark on its part.
        let sum: f64 = self.frequencies.iter().sum();
        let distance = sum / self.total as f64;
        let start: f64 = rng.random();
        let mut drawn = Vec::with_capacity(self.total);
        let mut end = 0.0;
        for &sample in &order {
            end += self.frequencies[sample];
            while drawn.len() < self.total && (drawn.len() as f64 + start) * distance < end {
                drawn.push(sample);
            }
        }
        // Rounding may put the last mark just beyond the end.
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

    fn times(sampler: &EpochSampler, epochs: usize) -> Vec<usize> {
        let mut times = vec![0; sampler.frequencies.len()];
        (0..epochs).flat_map(|e| sampler.order(3, e)).for_each(|i| times[i] += 1);
        times
    }

    #[test]
    fn every_epoch_has_its_own_order_of_all_samples() {
        let sampler = EpochSampler::new(&[(1.0, None); 100], &Sampling::default());
        let (a, b) = (sampler.order(1, 0), sampler.order(1, 1));
        assert_ne!(a, b);
        assert_eq!(a, sampler.order(1, 0));
        assert_ne!(a, sampler.order(2, 0));
        for mut order in [a, b] {
            order.sort_unstable();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn weights_set_the_average_number_of_draws() {
        let samples: Vec<_> = (0..40).map(|i| (if i < 20 { 2.0 } else { 0.5 }, None)).collect();
        let sampler = EpochSampler::new(&samples, &Sampling::default());
        assert_eq!(sampler.len(), 50);
        let times = times(&sampler, 200);
        assert!(times[..20].iter().all(|&n| n == 400));
        assert!(times[20..].iter().all(|&n| (60..140).contains(&n)), "{times:?}");
    }

    #[test]
    fn balancing_draws_all_labels_equally_often_within_bounds() {
        // 80 people of 22, 16 of 47, 4 of 71 and one without an age.
        let ages = [(80, 22.0), (16, 47.0), (4, 71.0)];
        let mut samples: Vec<(f64, Option<f64>)> =
            ages.iter().flat_map(|&(n, age)| vec![(1.0, Some(age)); n]).collect();
        samples.push((1.0, None));
        let share = |sampling: &Sampling| {
            let times = times(&EpochSampler::new(&samples, sampling), 100);
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
        fn draws_differ_from_the_average_by_less_than_one(
            weights in prop::collection::vec(0.1..4.0f64, 1..60), seed: u64,
        ) {
            let samples: Vec<_> = weights.iter().map(|&w| (w, None)).collect();
            let sampler = EpochSampler::new(&samples, &Sampling::default());
            prop_assume!(sampler.len() > 0);
            let order = sampler.order(seed, 0);
            prop_assert_eq!(order.len(), sampler.len());
            // The total is rounded, which moves the marks by a little.
            let stretch = sampler.len() as f64 / weights.iter().sum::<f64>();
            for (i, weight) in weights.iter().enumerate() {
                let times = order.iter().filter(|&&s| s == i).count() as f64;
                prop_assert!((times - weight * stretch).abs() < 1.0 + 1e-6, "{i}: {times} {weight}");
            }
        }
    }
}
