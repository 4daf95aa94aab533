//! Bootstrap confidence intervals. Images of one person are not independent, so
//! people are resampled, not images (a cluster bootstrap).

/// Number of bootstrap resamples.
pub const RESAMPLES: usize = 1000;

/// Seed of the resampling. It is the same for all statistics, so that the same data
/// give the same intervals.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// 95 % bootstrap intervals of statistics over samples in `clusters` groups (people):
/// the 2.5th and 97.5th percentiles (with linear interpolation, as in numpy) over
/// [`RESAMPLES`] resamples of as many groups, with replacement.
///
/// `statistics` receives how often each group was drawn and returns all statistics
/// of that resample, always the same number of them. Computing them from per-group
/// sums is fast. Undefined and non-finite values are ignored. The interval is `None`
/// if a statistic is defined in at most half of the resamples, or if there are fewer
/// than two groups.
pub fn bootstrap(
    clusters: usize,
    mut statistics: impl FnMut(&[u32]) -> Vec<Option<f64>>,
) -> Vec<Option<[f64; 2]>> {
    let mut counts = vec![1; clusters];
    if clusters < 2 {
        return vec![None; statistics(&counts).len()];
    }
    let mut random = SplitMix64(SEED);
    let mut drawn: Vec<Vec<f64>> = Vec::new();
    for _ in 0..RESAMPLES {
        counts.fill(0);
        for _ in 0..clusters {
            counts[random.below(clusters)] += 1;
        }
        let figures = statistics(&counts);
        drawn.resize(figures.len(), Vec::new());
        for (values, figure) in drawn.iter_mut().zip(figures) {
            values.extend(figure.filter(|v| v.is_finite()));
        }
    }
    let interval = |mut values: Vec<f64>| {
        if 2 * values.len() <= RESAMPLES {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some([0.025, 0.975].map(|q| percentile(&values, q)))
    };
    drawn.into_iter().map(interval).collect()
}

/// The quantile `q` of sorted values, with linear interpolation.
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A uniform integer from 0 to n - 1. The bias is negligible for n far below 2^64.
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of the mean of values in groups of `size` equal ones.
    fn interval_of_mean(values: &[f64], size: usize) -> [f64; 2] {
        let groups: Vec<&[f64]> = values.chunks(size).collect();
        let mean = |counts: &[u32]| {
            let weighted = groups.iter().zip(counts).map(|(g, &c)| f64::from(c) * g[0]);
            vec![Some(weighted.sum::<f64>() / groups.len() as f64)]
        };
        bootstrap(groups.len(), mean)[0].unwrap()
    }

    #[test]
    fn interval_of_a_mean_is_the_normal_one() {
        let mut random = SplitMix64(1);
        let uniform: Vec<f64> = (0..2000).map(|_| random.next() as f64 / u64::MAX as f64).collect();
        let mean = uniform.iter().sum::<f64>() / 2000.0;
        let [low, high] = interval_of_mean(&uniform, 1);
        // 1.96 standard errors of a uniform variable, within the sampling error of
        // 1000 resamples.
        let half = 1.96 * (1.0 / 12.0f64 / 2000.0).sqrt();
        assert!((mean - low - half).abs() < 0.1 * half, "{low} {mean} {half}");
        assert!((high - mean - half).abs() < 0.1 * half, "{high} {mean} {half}");
        assert_eq!(interval_of_mean(&uniform, 1), [low, high]);
    }

    #[test]
    fn repeated_images_of_a_person_widen_the_interval() {
        let mut random = SplitMix64(2);
        let people: Vec<f64> = (0..100).map(|_| random.below(1000) as f64).collect();
        let images: Vec<f64> = people.iter().flat_map(|v| [*v; 25]).collect();
        let width = |[low, high]: [f64; 2]| high - low;
        let ratio = width(interval_of_mean(&images, 25)) / width(interval_of_mean(&images, 1));
        assert!((4.5..5.5).contains(&ratio), "{ratio}: expected about sqrt(25)");
    }

    #[test]
    fn undefined_statistics_have_no_interval() {
        assert_eq!(bootstrap(1, |_| vec![Some(1.0)]), [None]);
        let figures = bootstrap(5, |_| vec![None, Some(f64::NAN), Some(2.0)]);
        assert_eq!(figures, [None, None, Some([2.0; 2])]);
    }

    #[test]
    fn percentiles_match_numpy() {
        // np.percentile([1, 2, 4, 8], [2.5, 50, 97.5])
        let values = [1.0, 2.0, 4.0, 8.0];
        for (q, expected) in [(0.025, 1.075), (0.5, 3.0), (0.975, 7.7)] {
            assert!((percentile(&values, q) - expected).abs() < 1e-12);
        }
    }
}
