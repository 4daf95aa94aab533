//! Where a training starts that has an `init`: the blocks of another model, and of its
//! last layer the outputs of those heads that are here, too.

use std::ops::Range;
use std::path::Path;

use crate::error::TrainError;
use crate::export::{self, Beginning};
use crate::head::{Goal, Head};
use crate::learner::Learner;
use crate::progress::Progress;
use crate::tensor::Tensor;

/// Puts the tensors of a weights file into `learner`, whose network has these `heads`.
/// A head begins with the file's outputs where the file has one of the same task, labels
/// and number of outputs; the others are left as they are, which is said to `progress`.
///
/// # Errors
/// If the file cannot be read or is of another network.
pub(crate) fn from_file(
    learner: &mut dyn Learner,
    heads: &[Head],
    path: &Path,
    progress: &mut dyn Progress,
) -> Result<(), TrainError> {
    let Beginning { mut tensors, heads: theirs } = export::load(path)?;
    let mut pairs = Vec::new();
    let mut anew = Vec::new();
    let mut from = 0;
    for head in heads {
        let own = from..from + head.outputs();
        from = own.end;
        match theirs.iter().find(|(other, _)| is_same(head, other)) {
            Some((_, range)) => pairs.push((range.clone(), own)),
            None => anew.push(head.name.as_str()),
        }
    }
    if theirs.is_empty() {
        progress.note("the head starts anew: a pretraining has none");
    } else if !anew.is_empty() {
        let (anew, path) = (anew.join(" and "), path.display());
        progress.note(&format!("the head of {anew} starts anew: {path} has none like it"));
    }
    let own = learner.weights();
    for name in ["fc.weight", "fc.bias"] {
        if let Some(theirs) = tensors.remove(name) {
            tensors.insert(name.into(), with_rows(own[name].clone(), &theirs, &pairs));
        }
    }
    learner
        .set_weights(&tensors)
        .map_err(|e| TrainError::Weights(format!("{} is of another network: {e}", path.display())))
}

fn is_same(head: &Head, other: &dldl_net::Head) -> bool {
    let labels = matches!(&head.goal, Goal::Labels { labels, .. } if *labels == other.labels);
    labels && head.name == other.task.name() && head.outputs() == other.outputs()
}

/// `own` with some of its rows replaced by rows of `theirs`: pairs of ranges, from and to.
/// Where the rows are of another length, `theirs` as they are: that is an error of shape.
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
