//! Validation: how well a network does on the samples it does not learn from.

use crate::batches::Source;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::learner::Learner;
use crate::loss::{Criterion, LossValues};
use crate::plan::Position;
use crate::progress::Progress;

/// Mean loss and mean absolute error of the expectation over `samples`, without
/// augmentation, at the size and in batches of `position`, with the running
/// statistics; none if there are no samples.
pub(crate) fn validate(
    learner: &dyn Learner,
    criterion: &Criterion,
    samples: &Source,
    config: &TrainConfig,
    position: &Position,
    progress: &mut dyn Progress,
) -> Result<Option<(f64, f64)>, TrainError> {
    let (mut loss, mut errors, mut done) = (LossValues::default(), Vec::new(), 0);
    for batch in samples.plain_batches(position.size, position.batch, config.loader_threads) {
        let batch = batch?;
        let logits = learner.logits(batch.pictures(0..batch.len()));
        loss.add(&criterion.loss(&logits, &batch.truths, &criterion.counts(&batch.truths))?.0);
        for (row, truths) in logits.chunks_exact(criterion.outputs()).zip(&batch.truths) {
            errors.extend(criterion.errors(row, truths)?.into_iter().flatten());
        }
        done += batch.len();
        progress.validation(done, samples.len());
    }
    if errors.is_empty() {
        return Ok(None);
    }
    let mae = errors.iter().sum::<f64>() / errors.len() as f64;
    Ok(Some((loss.heads[0].mean(), mae)))
}
