//! The weights file of a finished training, or the trunk of a pretraining.

use std::path::PathBuf;

use dldl_data::Manifest;
use dldl_net::{Figure, Head, ModelInfo, Precision, Weights};

use crate::checkpoint;
use crate::config::{HeadConfig, TrainConfig};
use crate::error::TrainError;
use crate::folder::RunFolder;
use crate::head;
use crate::log::EpochRecord;
use crate::tensor::{NamedTensors, Tensor};

/// The metadata key of a trunk's file, whose value is the recipe.
pub(crate) const TRUNK: &str = "dldl-trunk";

/// Writes the weights of a finished training in both precisions into its run
/// folder, or the trunk of a pretraining. `tensors` are those after `epoch`, `data`
/// are the datasets, `heads` the network's.
///
/// # Errors
/// If a file cannot be written or a value does not fit half precision.
pub(crate) fn write(
    config: &TrainConfig,
    data: &[&Manifest],
    epoch: &EpochRecord,
    heads: &[head::Head],
    mut tensors: NamedTensors,
    files: &RunFolder,
) -> Result<(), TrainError> {
    if config.is_pretraining() {
        tensors.retain(|name, _| name.starts_with("conv") || name.starts_with("bn"));
        let metadata = (TRUNK, recipe(config, epoch));
        return checkpoint::write_tensors(&files.trunk(), metadata, &tensors);
    }
    let outputs = keep_labels(heads, &mut tensors);
    let info = info(config, data, epoch, outputs);
    let names: Vec<String> = info.net.tensors().into_iter().map(|(name, _)| name).collect();
    let values = tensors.into_iter().filter(|(name, _)| names.contains(name));
    let weights = Weights::new(info, values.map(|(name, tensor)| (name, tensor.values)).collect())?;
    weights.save(files.weights_f32(), Precision::F32)?;
    weights.save(files.weights(), Precision::F16)?;
    Ok(())
}

/// Keeps, of the last layer, the outputs of the heads that have labels. Returns their
/// number.
fn keep_labels(heads: &[head::Head], tensors: &mut NamedTensors) -> usize {
    let kept = || heads.iter().flat_map(|head| vec![head.has_labels(); head.outputs()]);
    let outputs = kept().filter(|kept| *kept).count();
    for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name.starts_with("fc.")) {
        let Tensor { shape, values } = tensor;
        let row = shape[1..].iter().product::<usize>();
        assert_eq!(values.len(), row * kept().count(), "{name} has rows of other heads");
        let rows = values.chunks_exact(row).zip(kept()).filter(|(_, kept)| *kept);
        *values = rows.flat_map(|(values, _)| values.iter().copied()).collect();
        shape[0] = outputs;
    }
    outputs
}

/// The description of the weights after `epoch`, of a network with `outputs` outputs.
fn info(
    config: &TrainConfig,
    data: &[&Manifest],
    epoch: &EpochRecord,
    outputs: usize,
) -> ModelInfo {
    let phase = epoch.phase - 1;
    let heads = config.heads.iter().filter_map(|head| match head {
        HeadConfig::Labels { task, labels, method, .. } => {
            let method = *config.phase_method(phase).unwrap_or(method);
            Some(Head::new(*task, labels.clone(), method))
        }
        _ => None,
    });
    let heads: Vec<Head> = heads.collect();
    let name = config.model_name();
    let first = &heads[0];
    let mut info =
        ModelInfo::new(&name, config.spec_with(outputs), first.labels.clone(), first.method);
    info.heads = heads;
    info.template = data[0].parameters.template.clone();
    info.input_size = epoch.size;
    let names: Vec<&str> = data.iter().map(|data| data.dataset.as_str()).collect();
    let names = names.join(" and ");
    info.training_data = match config.training_data.as_str() {
        "" => format!("{names}, train split"),
        text => text.into(),
    };
    info.recipe = recipe(config, epoch);
    info.license.clone_from(&config.license);
    let estimated = |task: &str| config.heads.iter().any(|h| h.has_labels() && h.name() == task);
    for (task, mae) in epoch.val_errors.iter().filter(|(task, _)| estimated(task)) {
        let name = match info.heads.len() {
            1 => "val MAE".to_owned(),
            _ => format!("val MAE of {task}"),
        };
        let of = format!(
            "{names}, val split, {} pixels, without flip fusion, single precision",
            epoch.size
        );
        info.figures.push(Figure { name, value: *mae, of });
    }
    info
}

/// The recipe as text, without the folders of this machine.
fn recipe(config: &TrainConfig, epoch: &EpochRecord) -> String {
    let base = |path: &PathBuf| PathBuf::from(path.file_name().unwrap_or_default());
    let mut config = TrainConfig {
        run: base(&config.run),
        init: config.init.as_ref().map(base),
        ..config.clone()
    };
    for data in &mut config.data {
        data.cache = base(&data.cache);
    }
    for head in &mut config.heads {
        if let HeadConfig::Embedding { embeddings, list, .. } = head {
            (*embeddings, *list) = (base(embeddings), base(list));
        }
    }
    let total: usize = config.phases.iter().map(|p| p.epochs).sum();
    format!(
        "Weights after epoch {} of {total} (step {}), dldl-train {}, with this recipe:\n\n{}",
        epoch.epoch,
        epoch.step,
        env!("CARGO_PKG_VERSION"),
        config.to_toml()
    )
}
