//! The weights that a training starts from (`init`): the trunk of another model and,
//! of its head, the outputs of the tasks that both have.

use std::ops::Range;
use std::path::Path;

use dldl_net::Weights;
use safetensors::SafeTensors;

use crate::checkpoint;
use crate::error::TrainError;
use crate::export::TRUNK;
use crate::head::{Head, Objective};
use crate::learner::Learner;
use crate::progress::Progress;
use crate::tensor::{NamedTensors, Tensor};

/// Finds a built-in model by its name: the content of its weights file.
pub type BuiltInModels = fn(&str) -> Option<&'static [u8]>;

/// Weights to start from.
pub(crate) struct InitWeights {
    /// What the recipe calls them: a name or a path.
    name: String,
    tensors: NamedTensors,
    /// The heads with the ranges of their outputs; a pretrained trunk has none.
    heads: Vec<(dldl_net::Head, Range<usize>)>,
}

impl InitWeights {
    /// Reads the built-in model of this name or else the file at this path: weights,
    /// or the trunk of a pretraining.
    ///
    /// # Errors
    /// If there is neither, or the file is neither.
    pub fn load(init: &Path, built_in: Option<BuiltInModels>) -> Result<Self, TrainError> {
        let name = init.display().to_string();
        let read = |bytes: &[u8]| {
            Weights::from_bytes(bytes)
                .map_err(|source| TrainError::InitWeights { init: name.clone(), source })
        };
        if let Some(bytes) = built_in.and_then(|find| find(init.to_str()?)) {
            let weights = read(bytes)?;
            return Ok(Self::from_weights(name, &weights));
        }
        let bytes = std::fs::read(init).map_err(|e| TrainError::io(init, e))?;
        let is_trunk = SafeTensors::read_metadata(&bytes)
            .is_ok_and(|(_, data)| data.metadata().as_ref().is_some_and(|m| m.contains_key(TRUNK)));
        if is_trunk {
            let tensors = checkpoint::tensors(init, &bytes)?;
            return Ok(Self { name, tensors, heads: Vec::new() });
        }
        let weights = read(&bytes)?;
        Ok(Self::from_weights(name, &weights))
    }

    fn from_weights(name: String, weights: &Weights) -> Self {
        let named = |(name, shape): (String, Vec<usize>)| {
            let values = weights.tensor(&name).to_vec();
            (name, Tensor::new(shape, values))
        };
        let tensors = weights.info.net.tensors().into_iter().map(named).collect();
        let heads = weights.info.heads.iter().cloned().zip(weights.info.output_ranges()).collect();
        Self { name, tensors, heads }
    }

    /// Puts the weights into `learner`, whose network has these `heads`. A head starts
    /// from the outputs of the same task, labels and number of outputs; if there are
    /// none it keeps its random weights, which is reported to `progress`.
    ///
    /// # Errors
    /// [`TrainError::OtherNetwork`] if they are of another network.
    pub fn apply(
        mut self,
        learner: &mut dyn Learner,
        heads: &[Head],
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let mut pairs = Vec::new();
        let mut random = Vec::new();
        let mut from = 0;
        for head in heads {
            let own = from..from + head.outputs();
            from = own.end;
            match self.heads.iter().find(|(other, _)| is_same(head, other)) {
                Some((_, range)) => pairs.push((range.clone(), own)),
                None => random.push(head.name.as_str()),
            }
        }
        if self.heads.is_empty() {
            progress.note("the head starts from random weights: a pretrained trunk has none");
        } else if !random.is_empty() {
            progress.note(&format!(
                "the head of {} starts from random weights: {} has none like it",
                random.join(" and "),
                self.name
            ));
        }
        let own = learner.weights();
        for name in ["fc.weight", "fc.bias"] {
            if let Some(theirs) = self.tensors.remove(name) {
                let rows = with_rows(own[name].clone(), &theirs, &pairs);
                self.tensors.insert(name.into(), rows);
            }
        }
        learner
            .set_weights(&self.tensors)
            .map_err(|e| TrainError::OtherNetwork { init: self.name, source: Box::new(e) })
    }
}

fn is_same(head: &Head, other: &dldl_net::Head) -> bool {
    let labels =
        matches!(&head.objective, Objective::Labels { labels, .. } if *labels == other.labels);
    labels && head.name == other.task.name() && head.outputs() == other.outputs()
}

/// `own` with some of its rows replaced by rows of `theirs`: pairs of ranges, from and
/// to. If the rows differ in length, `theirs` as they are: `set_weights` reports that.
fn with_rows(mut own: Tensor, theirs: &Tensor, pairs: &[(Range<usize>, Range<usize>)]) -> Tensor {
    if own.shape[1..] != theirs.shape[1..] {
        return theirs.clone();
    }
    let row: usize = own.shape[1..].iter().product();
    let values = |rows: &Range<usize>| rows.start * row..rows.end * row;
    for (from, to) in pairs {
        own.values[values(to)].copy_from_slice(&theirs.values[values(from)]);
    }
    own
}
