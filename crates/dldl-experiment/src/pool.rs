//! Figures over several trainings. Over seeds and folds they are averaged. Where each training
//! leaves out one person, the errors of all pictures are pooled instead, as is customary on
//! FG-NET: people have between 6 and 18 pictures there, and each picture counts once.

use std::collections::HashMap;

use crate::rows::TestResult;
use crate::tables::Spread;

/// The person that a result left out, if that was its protocol.
fn person(result: &TestResult) -> Option<&str> {
    result.protocol.as_deref()?.strip_prefix("leave-out:")
}

/// Whether results are of several people, each of whom was left out once per seed.
pub(crate) fn is_pooled(results: &[&TestResult]) -> bool {
    results.len() > 1 && results.iter().all(|result| person(result).is_some())
}

/// A metric over the pictures of everybody left out, one value for each seed; `None` for a
/// metric that does not follow from those of the people. Results are in the order of the
/// trainings: the first of each person, then the second.
pub(crate) fn pooled(results: &[&TestResult], key: &str) -> Option<Spread> {
    let mut seeds: Vec<Vec<(f64, usize)>> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for result in results {
        let seed = seen.entry(person(result)?).or_default();
        if *seed == seeds.len() {
            seeds.push(Vec::new());
        }
        seeds[*seed].push((*result.figures.get(key)?, result.pictures));
        *seed += 1;
    }
    let values: Option<Vec<f64>> = seeds.iter().map(|people| over_pictures(people, key)).collect();
    Spread::of(&values?)
}

/// A metric of all pictures from pairs of a metric of some and their number.
fn over_pictures(parts: &[(f64, usize)], key: &str) -> Option<f64> {
    let pictures: usize = parts.iter().map(|(_, n)| n).sum();
    let mean = |value: fn(f64) -> f64| {
        parts.iter().map(|(v, n)| value(*v) * *n as f64).sum::<f64>() / pictures as f64
    };
    match key {
        "rmse" => Some(mean(|v| v * v).sqrt()),
        // A correlation, and a mean of means by age.
        "pearson" | "band-mae" => None,
        _ => Some(mean(|v| v)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Absolute errors of three people's pictures, and the figures of each person.
    fn results(errors: &[&[f64]]) -> Vec<TestResult> {
        let result = |(i, errors): (usize, &&[f64])| {
            let mean =
                |f: fn(f64) -> f64| errors.iter().map(|e| f(*e)).sum::<f64>() / errors.len() as f64;
            let figures = [
                ("mae", mean(|e| e)),
                ("rmse", mean(|e| e * e).sqrt()),
                ("cs5", mean(|e| if e <= 5.0 { 100.0 } else { 0.0 })),
                ("pearson", 0.9),
            ];
            TestResult {
                name: String::new(),
                test: toml::from_str("").unwrap(),
                protocol: Some(format!("leave-out:{:03}", i % 3)),
                pictures: errors.len(),
                failed: 0,
                figures: figures.map(|(k, v)| (k.to_owned(), v)).into(),
            }
        };
        errors.iter().enumerate().map(result).collect()
    }

    #[test]
    fn every_picture_counts_once() {
        let all = results(&[&[1.0], &[2.0, 4.0, 6.0], &[9.0, 3.0]]);
        let all: Vec<&TestResult> = all.iter().collect();
        assert!(is_pooled(&all) && !is_pooled(&all[..1]));
        let value = |key: &str| pooled(&all, key).unwrap();
        // (1 + 2 + 4 + 6 + 9 + 3) / 6; the mean of the people's means is 11 / 3.
        assert!((value("mae").mean - 25.0 / 6.0).abs() < 1e-12);
        assert!((value("rmse").mean - (147.0f64 / 6.0).sqrt()).abs() < 1e-12);
        assert!((value("cs5").mean - 100.0 * 4.0 / 6.0).abs() < 1e-12);
        assert_eq!((value("mae").std, value("mae").n), (None, 1));
        assert_eq!(pooled(&all, "pearson"), None);
        assert_eq!(pooled(&all, "crps"), None);
    }

    #[test]
    fn seeds_are_averaged_after_pooling() {
        let all = results(&[&[1.0], &[2.0, 4.0], &[3.0], &[3.0], &[4.0, 6.0], &[5.0]]);
        let all: Vec<&TestResult> = all.iter().collect();
        let mae = pooled(&all, "mae").unwrap();
        assert_eq!((mae.mean, mae.std, mae.n), (3.5, Some(2.0f64.sqrt()), 2));
    }
}
