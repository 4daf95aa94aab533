//! Between a training and the weights file that everyone else reads: the file
//! to start from, and the file that comes out.

use std::path::{Path, PathBuf};

use dldl_data::Manifest;
use dldl_net::{Figure, ModelInfo, NetError, Precision, Weights};

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::folder::RunFolder;
use crate::log::EpochRecord;
use crate::model::NamedTensors;

impl From<NetError> for TrainError {
    fn from(e: NetError) -> Self {
        TrainError::Weights(e.to_string())
    }
}

/// The tensors of a weights file by name.
///
/// # Errors
/// If it is no weights file.
pub fn load(path: &Path) -> Result<NamedTensors, TrainError> {
    let weights = Weights::load(path)?;
    let named = |(name, shape): (String, Vec<usize>)| {
        let values = weights.tensor(&name).to_vec();
        (name, (shape, values))
    };
    Ok(weights.info.net.tensors().into_iter().map(named).collect())
}

/// Writes the weights of a finished training in both precisions into its run
/// folder. `epoch` is the one that `tensors` are of.
///
/// # Errors
/// If a file cannot be written or a number does not fit half precision.
pub fn write(
    config: &TrainConfig,
    data: &Manifest,
    epoch: &EpochRecord,
    tensors: NamedTensors,
    files: &RunFolder,
) -> Result<(), TrainError> {
    let info = info(config, data, epoch);
    let names: Vec<String> = info.net.tensors().into_iter().map(|(name, _)| name).collect();
    let values = tensors.into_iter().filter(|(name, _)| names.contains(name));
    let weights = Weights::new(info, values.map(|(name, (_, v))| (name, v)).collect())?;
    weights.save(files.weights_f32(), Precision::F32)?;
    weights.save(files.weights(), Precision::F16)?;
    Ok(())
}

/// The description of the weights after `epoch`.
fn info(config: &TrainConfig, data: &Manifest, epoch: &EpochRecord) -> ModelInfo {
    let name = config.model_name();
    let mut info = ModelInfo::new(&name, config.spec(), config.labels.clone(), config.method);
    info.task.clone_from(&config.task);
    info.template = data.parameters.template.clone();
    info.input_size = epoch.size;
    info.training_data = match config.data.as_str() {
        "" => format!("{}, train split", data.dataset),
        text => text.into(),
    };
    info.recipe = recipe(config, epoch);
    info.licence.clone_from(&config.licence);
    if let Some(mae) = epoch.val_mae {
        info.figures.push(Figure {
            name: "val MAE".into(),
            value: mae,
            of: format!(
                "{}, val split, {} pixels, without flip fusion, single precision",
                data.dataset, epoch.size
            ),
        });
    }
    info
}

/// The recipe in words and whole, without the folders of the machine that it
/// ran on.
fn recipe(config: &TrainConfig, epoch: &EpochRecord) -> String {
    let base = |path: &PathBuf| PathBuf::from(path.file_name().unwrap_or_default());
    let config = TrainConfig {
        cache: base(&config.cache),
        run: base(&config.run),
        init: config.init.as_ref().map(base),
        ..config.clone()
    };
    let total: usize = config.phases.iter().map(|p| p.epochs).sum();
    format!(
        "Weights after epoch {} of {total} (step {}), dldl-train {}, with this recipe:\n\n{}",
        epoch.epoch,
        epoch.step,
        env!("CARGO_PKG_VERSION"),
        config.to_toml()
    )
}
