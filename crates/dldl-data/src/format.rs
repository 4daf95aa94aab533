//! What a dataset is besides its samples: how it lies on disk, what its labels
//! are, where its splits come from, and whose work it is. The datasets
//! themselves are in one file each.

use std::path::Path;

use dldl_label::Task;
use serde::Serialize;

use crate::adapters::{
    agedb, all_age_faces, cfd, chalearn, csv, fairface, fgnet, london, mebeauty,
};
use crate::adapters::{morph, people, scut, scut500, utkface};
use crate::protocol::Protocol;
use crate::{DataError, Dataset};

/// A way in which datasets lie on disk, and what is known of the dataset.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// What the folder and the labels look like, in one line.
    pub about: &'static str,
    /// What its pictures are labeled with; none where they are not.
    pub tasks: &'static [LabelInfo],
    /// Where the splits come from.
    pub splits: &'static str,
    /// The formats that are the publishers' folds of this dataset, in order:
    /// `published:1` is the first.
    pub folds: &'static [&'static str],
    /// Who made it and where it is described.
    pub citation: &'static str,
    /// What it may be used for.
    pub terms: &'static str,
    /// Reads the dataset under a root folder, with the labels in a given file
    /// or in the format's own place.
    #[serde(skip)]
    pub load: fn(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError>,
}

/// The labels of one task in a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LabelInfo {
    /// What is labeled, the key in [`crate::Sample::labels`].
    #[serde(rename = "name")]
    pub task: Task,
    /// The lowest label of the label set used for training.
    pub min: f64,
    /// The highest label.
    pub max: f64,
    /// The distance between two labels.
    pub step: f64,
    /// What the spread of a label is, in words.
    pub spread: &'static str,
    /// The standard deviation of a label of which the dataset says no spread,
    /// in the label's unit: an assumption.
    pub sigma: f64,
}

/// The spread of an age that is one number.
pub(crate) const ONE_AGE: &str = "one age, no spread: sigma is assumed";

/// Ages from 0 to 100 in years (spec 1.1), with 2 years where no spread is
/// known, the value used for Morph (spec 1.3).
pub(crate) const fn age(spread: &'static str) -> LabelInfo {
    LabelInfo { task: Task::Age, min: 0.0, max: 100.0, step: 1.0, spread, sigma: 2.0 }
}

/// Scores from 1 to `max` in steps of 0.1 (spec 1.1).
pub(crate) const fn attractiveness(max: f64, spread: &'static str, sigma: f64) -> LabelInfo {
    LabelInfo { task: Task::Attractiveness, min: 1.0, max, step: 0.1, spread, sigma }
}

/// The formats there are. A new one is a file of its own and a line here.
pub const FORMATS: &[Format] = &[
    utkface::FORMAT,
    all_age_faces::FORMAT,
    fairface::FORMAT,
    chalearn::CHALEARN15,
    chalearn::CHALEARN16,
    chalearn::APPA_REAL,
    morph::FORMAT,
    fgnet::FORMAT,
    agedb::AGEDB,
    agedb::AFAD,
    scut::FORMAT,
    scut::FOLDS[0],
    scut::FOLDS[1],
    scut::FOLDS[2],
    scut::FOLDS[3],
    scut::FOLDS[4],
    scut500::FORMAT,
    cfd::FORMAT,
    mebeauty::FORMAT,
    london::FORMAT,
    csv::FORMAT,
    people::FORMAT,
    people::LIST,
];

/// The format of this name.
///
/// # Errors
/// [`DataError::UnknownFormat`], which names those there are.
pub fn format(name: &str) -> Result<&'static Format, DataError> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let known: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
        DataError::UnknownFormat { name: name.to_owned(), known: known.join(", ") }
    })
}

/// Reads a dataset by its format's name, with its own splits.
///
/// # Errors
/// [`DataError::UnknownFormat`], or what the format's own `load` says.
pub fn load(name: &str, root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    load_with(name, root, labels, &Protocol::default())
}

/// Reads a dataset by its format's name and splits it by a protocol.
///
/// `published:3` of a dataset whose publishers have folds is the format of its
/// third fold, by either name the same.
///
/// # Errors
/// As [`load`] and [`Protocol::apply`], and [`DataError::Parameter`] if the
/// publishers have no such fold.
pub fn load_with(
    name: &str,
    root: &Path,
    labels: Option<&Path>,
    protocol: &Protocol,
) -> Result<Dataset, DataError> {
    let format = format(name)?;
    if let Protocol::Published { fold: Some(fold) } = protocol {
        let known = fold.checked_sub(1).and_then(|i| format.folds.get(i));
        let Some(fold) = known else {
            let reason = match format.folds.len() {
                0 => format!("{protocol}: {name} has no published folds"),
                n => format!("{protocol}: {name} has the published folds 1 to {n}"),
            };
            return Err(DataError::Parameter(reason));
        };
        return load(fold, root, labels);
    }
    let mut dataset = (format.load)(root, labels)?;
    protocol.apply(&mut dataset)?;
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::LabelSet;

    #[test]
    fn formats_are_told_apart_and_say_what_they_are() {
        for (i, format) in FORMATS.iter().enumerate() {
            assert!(FORMATS[..i].iter().all(|other| other.name != format.name), "{}", format.name);
            for text in [format.about, format.splits, format.citation, format.terms] {
                assert!(!text.is_empty() && !text.contains('\n'), "{}", format.name);
            }
            for task in format.tasks {
                assert!(LabelSet::new(task.min, task.max, task.step).is_ok(), "{task:?}");
                assert!(task.sigma > 0.0 && !task.spread.is_empty(), "{task:?}");
            }
            for fold in format.folds {
                assert!(FORMATS.iter().any(|other| other.name == *fold), "{fold}");
            }
        }
    }

    #[test]
    fn label_sets_are_those_of_the_paper() {
        let labels = |name: &str| {
            let task = format(name).unwrap().tasks[0];
            LabelSet::new(task.min, task.max, task.step).unwrap().len()
        };
        for (name, count) in [
            ("chalearn15", 101),
            ("chalearn16", 101),
            ("morph", 101),
            ("scut-fbp", 41),
            ("scut-fbp5500", 41),
            ("cfd", 61),
        ] {
            assert_eq!(labels(name), count, "{name}");
        }
    }

    #[test]
    fn unknown_names_and_folds_are_refused() {
        let root = Path::new("/nowhere");
        let message = load("imdb", root, None).unwrap_err().to_string();
        assert!(message.contains("`imdb`") && message.contains("utkface"), "{message}");
        for (name, protocol, part) in [
            ("utkface", "published:1", "no published folds"),
            ("scut-fbp5500", "published:6", "folds 1 to 5"),
        ] {
            let error = load_with(name, root, None, &protocol.parse().unwrap()).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
