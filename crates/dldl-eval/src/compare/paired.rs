//! Differences between evaluations of the same pictures. Their errors are correlated, so
//! the interval of the difference is much narrower than those of the two errors suggest.

use std::collections::HashMap;

use dldl_label::Task;
use serde::{Deserialize, Serialize};

use crate::figures::{People, means};
use crate::{Evaluation, Measured, Prediction};

/// The difference of two mean absolute errors on the pictures that both evaluations have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The evaluation, and the one that it is compared with: the first of the same dataset.
    pub name: String,
    /// See [`name`](Self::name).
    pub reference: String,
    /// The task.
    pub task: Task,
    /// The dataset, with its split.
    pub dataset: String,
    /// The number of pictures that both have.
    pub n: usize,
    /// Mean absolute error of the evaluation minus that of the reference, with flip fusion;
    /// below 0, the evaluation is better. The interval is that of a paired bootstrap, over
    /// people where they are known.
    pub mae: Measured,
    /// Decimals in tables.
    pub digits: usize,
}

/// The differences of each evaluation from the first one of the same task, dataset and
/// split. `names` are those of the rows.
pub(super) fn differences(evaluations: &[(String, Evaluation)]) -> Vec<Difference> {
    let place = |e: &Evaluation| {
        let subject = &e.subject;
        (subject.task, subject.dataset.clone(), subject.split.clone())
    };
    let mut found = Vec::new();
    for (i, (name, evaluation)) in evaluations.iter().enumerate() {
        let first = evaluations[..i].iter().find(|(_, other)| place(other) == place(evaluation));
        let Some((reference, first)) = first else { continue };
        let known: HashMap<&str, &Prediction> =
            first.predictions.iter().map(|p| (p.file.as_str(), p)).collect();
        let pairs = evaluation.predictions.iter().filter_map(|p| {
            let other = known.get(p.file.as_str()).filter(|other| other.truth == p.truth)?;
            Some((p, (p.fused - p.truth).abs() - (other.fused - other.truth).abs()))
        });
        let (members, errors): (Vec<&Prediction>, Vec<f64>) = pairs.unzip();
        let people = People::of(members.iter().copied());
        let Some([mae]) = means(&people, errors.into_iter().map(|e| [e])) else { continue };
        let (task, dataset, split) = place(evaluation);
        found.push(Difference {
            name: name.clone(),
            reference: reference.clone(),
            task,
            dataset: format!("{dataset} ({split})"),
            n: members.len(),
            mae,
            digits: evaluation.subject.scale.digits,
        });
    }
    found
}
