//! Checkpoints: one safetensors file with everything that is needed to continue a
//! training bit for bit.
//!
//! Tensors: those of [`Learner::save`](crate::learner::Learner::save). The rest
//! is JSON in the metadata under `dldl-train`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::loss::HeadSums;
use crate::tensor::{NamedTensors, Tensor};

/// Version of the format.
const VERSION: u32 = 3;
/// Key of the state in the file's metadata.
const KEY: &str = "dldl-train";

/// The state of a training except for its tensors. Random numbers need no state: they
/// follow from the seed and the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(crate) version: u32,
    /// Training and validation samples, to detect other data.
    pub samples: [usize; 2],
    /// Steps done.
    pub step: usize,
    /// Length of the log in bytes when this was written.
    pub log_bytes: u64,
    /// Length of TensorBoard's file.
    pub events_bytes: u64,
    /// Seconds of training so far, interrupted runs included.
    pub seconds: f64,
    /// Sums over the current epoch.
    pub epoch: EpochSums,
    /// Sums since the last step record of the log.
    pub recent: EpochSums,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// The recipe.
    pub config: TrainConfig,
}

/// Sums over some steps.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct EpochSums {
    /// Steps.
    pub steps: usize,
    /// Samples.
    pub images: usize,
    /// Sum of the losses.
    pub loss: f64,
    /// Sums of the heads' losses over their samples.
    pub heads: Vec<HeadSums>,
    /// Seconds spent.
    pub seconds: f64,
    /// Seconds of these spent waiting for data.
    pub waited: f64,
}

/// The epoch with the lowest validation error, each at its own size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// The score that is compared: the mean over the heads of error over label range.
    pub score: f64,
    /// The error of each head, by its name: a mean absolute error in units of
    /// the label, a share of wrong answers, or a mean cosine distance.
    pub errors: BTreeMap<String, f64>,
}

impl State {
    /// The state before the first step, with these numbers of training and validation
    /// samples.
    pub fn new(config: TrainConfig, samples: [usize; 2]) -> Self {
        Self {
            version: VERSION,
            samples,
            step: 0,
            log_bytes: 0,
            events_bytes: 0,
            seconds: 0.0,
            epoch: EpochSums::default(),
            recent: EpochSums::default(),
            best: None,
            config,
        }
    }
}

/// Writes a checkpoint, whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn save(path: &Path, state: &State, tensors: &NamedTensors) -> Result<(), TrainError> {
    let json = serde_json::to_string(state)
        .map_err(|source| TrainError::Json { path: path.into(), source })?;
    write_tensors(path, (KEY, json), tensors)
}

/// Writes tensors and one entry of metadata.
pub(crate) fn write_tensors(
    path: &Path,
    (key, text): (&str, String),
    tensors: &NamedTensors,
) -> Result<(), TrainError> {
    let fail = |source| TrainError::Safetensors { path: path.into(), source };
    let bytes: Vec<Vec<u8>> = tensors
        .values()
        .map(|tensor| tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for ((name, tensor), bytes) in tensors.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(fail)?));
    }
    let metadata = HashMap::from([(key.to_string(), text)]);
    let file = safetensors::serialize(views, Some(metadata)).map_err(fail)?;
    write(path, &file)
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// If the file cannot be read, is truncated or is not a checkpoint of this format.
pub fn load(path: &Path) -> Result<(State, NamedTensors), TrainError> {
    let fail = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let bytes = std::fs::read(path).map_err(|e| TrainError::io(path, e))?;
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|source| TrainError::Safetensors { path: path.into(), source })?;
    let json = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let json = json.ok_or_else(|| fail("not a checkpoint of a training".into()))?;
    let state: State = serde_json::from_str(json)
        .map_err(|source| TrainError::Json { path: path.into(), source })?;
    if state.version != VERSION {
        let what = format!("version {} of the format, expected {VERSION}", state.version);
        return Err(fail(what));
    }
    Ok((state, tensors(path, &bytes)?))
}

/// The tensors of a safetensors file, all in single precision.
pub(crate) fn tensors(path: &Path, bytes: &[u8]) -> Result<NamedTensors, TrainError> {
    let fail = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let mut tensors = NamedTensors::new();
    let file = SafeTensors::deserialize(bytes)
        .map_err(|source| TrainError::Safetensors { path: path.into(), source })?;
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(fail(format!("tensor {name} has type {:?}, expected F32", view.dtype())));
        }
        let values = view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        tensors.insert(name.into(), Tensor::new(view.shape(), values));
    }
    Ok(tensors)
}

/// Writes a file whole or not at all, and names it in the error.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    dldl_io::write_atomic(path, bytes).map_err(|e| TrainError::io(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (State, NamedTensors) {
        let mut state = State::new(TrainConfig::new("c", "r"), [5, 3]);
        state.step = 17;
        state.epoch.loss = 0.1 + 0.2;
        let errors = BTreeMap::from([("age".to_owned(), 5.4321)]);
        state.best = Some(Best { epoch: 3, score: 0.1 + 0.2, errors });
        let values = vec![1.5, -2.25e-30, f32::MIN_POSITIVE];
        (state, NamedTensors::from([("ema.fc.bias".into(), Tensor::new([3], values))]))
    }

    #[test]
    fn a_checkpoint_round_trips_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last.ckpt");
        let (state, tensors) = sample();
        save(&path, &state, &tensors).unwrap();
        save(&path, &state, &tensors).unwrap();
        assert_eq!(load(&path).unwrap(), (state, tensors));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn damaged_and_foreign_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last.ckpt");
        let (state, tensors) = sample();
        save(&path, &state, &tensors).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 4, 20, whole.len() - 1] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let message = load(&path).unwrap_err().to_string();
            assert!(message.contains("last.ckpt"), "{message}");
        }
        let foreign = safetensors::serialize(Vec::<(&str, TensorView)>::new(), None).unwrap();
        std::fs::write(&path, foreign).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("not a checkpoint"));
    }
}
