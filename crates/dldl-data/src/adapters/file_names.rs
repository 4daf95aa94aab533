//! Datasets whose labels are in the names of the pictures.

use std::path::Path;

use crate::files::pictures;
use crate::{DataError, Dataset, Problem, Sample};

/// Reads the pictures below `root`; `parse` makes a sample of a path.
///
/// # Errors
/// A folder cannot be read, or a table of labels is given.
pub(super) fn load(
    name: &str,
    root: &Path,
    labels: Option<&Path>,
    parse: fn(&str) -> Result<Sample, String>,
) -> Result<Dataset, DataError> {
    if let Some(table) = labels {
        let reason = format!("{name} takes labels from file names, not from a table");
        return Err(DataError::table(table, reason));
    }
    let mut set = Dataset::new(name, root, Vec::new());
    add(&mut set, pictures(root, "")?, parse);
    Ok(set)
}

/// Adds pictures to a dataset; names that do not parse are problems.
pub(super) fn add(
    set: &mut Dataset,
    files: Vec<String>,
    parse: fn(&str) -> Result<Sample, String>,
) {
    for file in files {
        match parse(&file) {
            Ok(sample) => set.samples.push(sample),
            Err(reason) => set.problems.push(Problem { file, reason }),
        }
    }
}
