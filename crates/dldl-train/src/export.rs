//! Between a training and the weights file that everyone else reads: the file
//! to start from, and the file that comes out.

use std::ops::Range;
use std::path::{Path, PathBuf};

use dldl_data::Manifest;
use dldl_net::{Figure, Head, ModelInfo, NetError, Precision, Weights};
use safetensors::SafeTensors;

use crate::checkpoint;
use crate::config::{HeadConfig, TrainConfig};
use crate::error::TrainError;
use crate::folder::RunFolder;
use crate::head;
use crate::log::EpochRecord;
use crate::tensor::{NamedTensors, Tensor};

impl From<NetError> for TrainError {
    fn from(e: NetError) -> Self {
        TrainError::Weights(e.to_string())
    }
}

/// The metadata key of a pretraining's file, whose value is the recipe.
const TRUNK: &str = "dldl-trunk";

/// What a training can start from.
pub struct Beginning {
    /// The tensors by name.
    pub tensors: NamedTensors,
    /// The heads with the ranges of their outputs; a pretraining leaves none.
    pub heads: Vec<(Head, Range<usize>)>,
}

/// Reads a weights file, or what a pretraining left.
///
/// # Errors
/// If it is neither.
pub fn load(path: &Path) -> Result<Beginning, TrainError> {
    let bytes = std::fs::read(path).map_err(|e| TrainError::io(path, e))?;
    let is_trunk = SafeTensors::read_metadata(&bytes)
        .is_ok_and(|(_, data)| data.metadata().as_ref().is_some_and(|m| m.contains_key(TRUNK)));
    if is_trunk {
        let tensors = checkpoint::tensors(path, &bytes)?;
        return Ok(Beginning { tensors, heads: Vec::new() });
    }
    let weights = Weights::load(path)?;
    let named = |(name, shape): (String, Vec<usize>)| {
        let values = weights.tensor(&name).to_vec();
        (name, Tensor::new(shape, values))
    };
    let tensors = weights.info.net.tensors().into_iter().map(named).collect();
    let heads = weights.info.heads.iter().cloned().zip(weights.info.output_ranges()).collect();
    Ok(Beginning { tensors, heads })
}

/// Writes the weights of a finished training in both precisions into its run
/// folder, or the trunk of a pretraining. `epoch` is the one that `tensors` are
/// of, `data` are the datasets, `heads` the network's.
///
/// # Errors
/// If a file cannot be written or a number does not fit half precision.
pub fn write(
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

/// Leaves of the last layer the outputs of the heads that have labels, and says
/// how many they are.
fn keep_labels(heads: &[head::Head], tensors: &mut NamedTensors) -> usize {
    let kept = || heads.iter().flat_map(|head| vec![head.has_labels(); head.outputs()]);
    let outputs = kept().filter(|kept| *kept).count();
    for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name.starts_with("fc.")) {
        let Tensor { shape, values } = tensor;
        let row = shape[1..].iter().product::<usize>();
        assert_eq!(values.len(), row * kept().count(), "{name} is not of these heads");
        let rows = values.chunks_exact(row).zip(kept()).filter(|(_, kept)| *kept);
        *values = rows.flat_map(|(values, _)| values.iter().copied()).collect();
        shape[0] = outputs;
    }
    outputs
}

/// The description of the weights after `epoch`, of a network with so many
/// outputs.
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

/// The recipe in words and whole, without the folders of the machine that it
/// ran on.
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
