//! Splits by published lists: tables, JSON files or folders of lists that say which picture
//! is for training, validation or testing.
//!
//! Read as published: the JSON files of github.com/paplhjak/Facial-Age-Estimation-Benchmark-Databases
//! and the tables of github.com/ibug-group/morph2-protocols.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::divide::{choose_validation, person};
use crate::sample::{Problem, Split};
use crate::{DataError, Dataset};

mod matching;
mod read;

/// One picture of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// The picture as it is listed, with `/` between folders.
    file: String,
    /// Where it stands, for reports.
    place: String,
    /// Its split; none if the list has it in no part.
    split: Option<Split>,
}

/// Divides a dataset by the list at `path`. `part` selects a column or a fold of it.
///
/// Pictures that are not listed are left out. Pictures that are listed, but not in the
/// dataset, are problems. A picture that is listed for testing and for something else is
/// for testing, which is a problem too. Without a validation part, a tenth of the people
/// or pictures for training are for validation.
///
/// # Errors
/// The list cannot be read; it has no such part; a listed name stands for several pictures;
/// or none of its pictures is in the dataset.
pub(crate) fn divide(
    dataset: &mut Dataset,
    path: &Path,
    part: Option<&str>,
) -> Result<(), DataError> {
    let mut problems = Vec::new();
    let entries = read::entries(path, part, &mut problems)?;
    let files: BTreeSet<&str> = dataset.samples.iter().map(|s| s.file.as_str()).collect();
    let files: Vec<&str> = files.into_iter().collect();
    let found = matching::pictures(&files, &entries, path)?;
    if found.iter().all(Option::is_none) {
        let listed = entries.first().map_or("none", |e| &e.file);
        let has = files.first().copied().unwrap_or("none");
        let reason = format!(
            "none of its pictures, such as {listed}, is in {}, which has {has}",
            dataset.name
        );
        return Err(DataError::table(path, reason));
    }
    let mut splits: BTreeMap<String, Option<Split>> = BTreeMap::new();
    let mut twice = Vec::new();
    for (entry, found) in entries.iter().zip(&found) {
        let Some(found) = found else {
            let reason = format!("{} is not in {}", entry.file, dataset.name);
            problems.push(Problem { file: entry.place.clone(), reason });
            continue;
        };
        let split = splits.entry(files[*found].to_owned()).or_insert(entry.split);
        if *split != entry.split {
            twice.push(entry.file.clone());
            // Whatever else it is for, nothing may be learned from a picture for testing.
            *split = (*split).max(entry.split);
        }
    }
    if let Some(first) = twice.first() {
        let n = twice.len();
        let what = if n == 1 { "1 picture is" } else { &format!("{n} pictures are") };
        let reason = format!("{what} in two parts, such as {first}: used in the later one only");
        problems.push(Problem { file: path.display().to_string(), reason });
    }
    let (left_out, name) = (&mut dataset.left_out, path.display());
    dataset.samples.retain_mut(|sample| {
        let split = splits.get(&sample.file);
        if let Some(Some(split)) = split {
            sample.split = *split;
            return true;
        }
        let reason = match split {
            None => format!("not in the list {name}"),
            Some(_) => format!("in no part of the list {name}"),
        };
        left_out.push(Problem { file: sample.file.clone(), reason });
        false
    });
    dataset.problems.extend(problems);
    if entries.iter().all(|entry| entry.split != Some(Split::Val)) {
        choose_validation(&mut dataset.samples, "list", person);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
