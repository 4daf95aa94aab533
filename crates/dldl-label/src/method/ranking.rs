//! The relation of Ranking to label distributions (spec 1.7): Ranking learns the
//! cumulative form of a label distribution.

use crate::{Distribution, LabelSet};

/// The Ranking target of a distribution (spec 1.7): the exceedance probabilities
/// `1 - c_k` for all labels but the last, whose probability is always 0.
///
/// As the sigma of a Gaussian approaches 0, it becomes the [`ranking_code`] of the
/// label nearest to the mean. `min + step * sum` is the expectation.
pub fn ranking_target(distribution: &Distribution) -> Vec<f64> {
    let cdf = distribution.cdf();
    cdf[..cdf.len() - 1].iter().map(|c| 1.0 - c).collect()
}

/// The hard Ranking code of a value (spec 1.7): 1 for labels below `y` and 0 for the
/// others, for all labels but the last.
pub fn ranking_code(labels: &LabelSet, y: f64) -> Vec<f64> {
    (0..labels.len() - 1).map(|k| if y > labels.value(k) { 1.0 } else { 0.0 }).collect()
}
