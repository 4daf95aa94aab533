//! Validation on samples that are not trained on.

use crate::batches::Source;
use crate::error::TrainError;
use crate::head::Head;
use crate::learner::Learner;
use crate::loss::{Criterion, LossValues};
use crate::plan::Position;
use crate::progress::Progress;

/// The result of a validation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Validation {
    /// The weighted sum of the heads' mean losses.
    pub(crate) loss: f64,
    /// The mean [`Head::error`] of each head; `None` without samples.
    pub(crate) errors: Vec<Option<f64>>,
    /// The mean of error over scale, over the heads that have labels or, if there are
    /// none, over all heads. Lower is better.
    pub(crate) score: f64,
}

/// Validates on `samples`, without augmentation, at the size and in batches of
/// `position`, with the running statistics; `None` if there are no samples.
pub(crate) fn validate(
    learner: &dyn Learner,
    criterion: &Criterion,
    samples: &Source,
    threads: usize,
    position: &Position,
    progress: &mut dyn Progress,
) -> Result<Option<Validation>, TrainError> {
    let heads = criterion.heads();
    let (mut loss, mut done) = (LossValues::default(), 0);
    let mut errors = vec![(0.0, 0usize); heads.len()];
    for batch in samples.plain_batches(position, threads) {
        let batch = batch?;
        let logits = learner.logits(batch.images(0..batch.len()));
        loss.add(&criterion.loss(&logits, &batch.targets, &criterion.counts(&batch.targets))?.0);
        for (row, targets) in logits.chunks_exact(criterion.outputs()).zip(&batch.targets) {
            for (sum, error) in errors.iter_mut().zip(criterion.errors(row, targets)?) {
                if let Some(error) = error {
                    *sum = (sum.0 + error, sum.1 + 1);
                }
            }
        }
        done += batch.len();
        progress.validation(done, samples.len());
    }
    if done == 0 {
        return Ok(None);
    }
    let mean = |(sum, count): (f64, usize)| (count > 0).then(|| sum / count as f64);
    let errors: Vec<Option<f64>> = errors.into_iter().map(mean).collect();
    let only_labels = heads.iter().any(Head::has_labels);
    let counted = heads.iter().zip(&errors).filter(|(head, _)| head.has_labels() || !only_labels);
    let relative: Vec<f64> = counted.filter_map(|(head, e)| Some((*e)? / head.scale())).collect();
    let score = relative.iter().sum::<f64>() / relative.len() as f64;
    let loss = heads.iter().zip(&loss.heads).map(|(head, sums)| head.weight * sums.mean()).sum();
    Ok(Some(Validation { loss, errors, score }))
}
