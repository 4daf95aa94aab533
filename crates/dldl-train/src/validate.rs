//! Validation: how well a network does on the samples it does not learn from.

use burn::tensor::Device;
use dldl_label::metrics::mae;

use crate::batches::Source;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::loss::Criterion;
use crate::model::{AgeNet, read};
use crate::plan::Position;
use crate::progress::Progress;

/// Mean loss and mean absolute error of the expectation over `samples`, without
/// augmentation, at the size and in batches of `position`, with the running
/// statistics; none if there are no samples. `net` is without gradients, on
/// `device`.
pub(crate) fn validate(
    net: &AgeNet,
    samples: &Source,
    config: &TrainConfig,
    position: &Position,
    device: &Device,
    progress: &mut dyn Progress,
) -> Result<Option<(f64, f64)>, TrainError> {
    let criterion = Criterion::new(&config.method, &config.labels);
    let (mut loss, mut estimates, mut truths) = (0.0, Vec::new(), Vec::new());
    for batch in samples.plain_batches(position.size, position.batch, config.loader_threads) {
        let batch = batch?;
        let logits = net.forward(batch.tensor(device), false);
        let value = criterion.loss(logits.clone(), &batch.targets)?.read();
        loss += value.total * batch.means.len() as f64;
        estimates.extend(decode(config, &read(logits).1)?);
        truths.extend(batch.means);
        progress.validation(truths.len(), samples.len());
    }
    Ok(mae(&estimates, &truths).map(|mae| (loss / truths.len() as f64, mae)))
}

/// The expectation of each row of logits.
fn decode(config: &TrainConfig, logits: &[f32]) -> Result<Vec<f64>, TrainError> {
    let head = config.method.head_size(&config.labels);
    let rows = logits.chunks_exact(head);
    let estimate = |row| Ok(config.method.decode(&config.labels, row)?.expectation());
    rows.map(estimate).collect()
}
