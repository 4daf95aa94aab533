//! What Ranking and label distributions have to do with each other (spec 1.7):
//! Ranking learns the cumulative form of a label distribution.

use crate::{Distribution, LabelSet};

/// What Ranking learns, read from a distribution (spec 1.7): `1 - c_k`, the
/// probability of more than label k, for k = 0..K-2 (the last would always be
/// 0). For a Gaussian with sigma towards 0 it becomes the [`ranking_code`] of
/// the label nearest to its mean; and `min + step * sum` is the expectation.
pub fn ranking_target(distribution: &Distribution) -> Vec<f64> {
    let cdf = distribution.cdf();
    cdf[..cdf.len() - 1].iter().map(|c| 1.0 - c).collect()
}

/// Ranking's hard code of a value (spec 1.7): 1 for the labels below `y`, 0
/// for the others, for all labels but the last.
pub fn ranking_code(labels: &LabelSet, y: f64) -> Vec<f64> {
    (0..labels.len() - 1).map(|k| if y > labels.value(k) { 1.0 } else { 0.0 }).collect()
}
