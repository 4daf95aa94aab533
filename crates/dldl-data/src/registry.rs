//! All known dataset formats, and loading a dataset by the name of its format.

use std::path::Path;

use crate::adapters::{
    adience, agedb, all_age_faces, cacd, cfd, chalearn, csv, fairface, fgnet, imdb, lagenda,
    london, mebeauty, megaage, morph, omi, people, scut, scut500, utkface,
};
use crate::protocol::Protocol;
use crate::{DataError, Dataset, Format};

/// All formats. To add one, write a file in `adapters/` and add a line here.
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
    cacd::FORMAT,
    megaage::FORMAT,
    imdb::IMDB_WIKI,
    imdb::IMDB_CLEAN,
    lagenda::FORMAT,
    adience::FORMAT,
    adience::FOLDS[0],
    adience::FOLDS[1],
    adience::FOLDS[2],
    adience::FOLDS[3],
    adience::FOLDS[4],
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
    omi::FORMAT,
    csv::FORMAT,
    people::FORMAT,
    people::LIST,
];

/// The format with this name.
///
/// # Errors
/// [`DataError::UnknownDataset`], which lists the known names.
pub fn format(name: &str) -> Result<&'static Format, DataError> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| DataError::UnknownDataset {
        name: name.to_owned(),
        known: FORMATS.iter().map(|f| f.name).collect(),
    })
}

/// Reads a dataset by the name of its format, with its published splits.
///
/// # Errors
/// [`DataError::UnknownDataset`], or the errors of the format's `load`.
pub fn load(name: &str, root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    load_with(name, root, labels, &Protocol::default())
}

/// Reads a dataset by the name of its format and divides it by a protocol.
///
/// If the publishers define folds, `published:3` selects the format of the third
/// fold; the result is the same as loading that format by its name.
///
/// # Errors
/// Those of [`load`] and [`Dataset::divide`], and [`DataError::NoSuchFold`] if there is
/// no such published fold.
pub fn load_with(
    name: &str,
    root: &Path,
    labels: Option<&Path>,
    protocol: &Protocol,
) -> Result<Dataset, DataError> {
    let format = format(name)?;
    if let Protocol::Published { fold: Some(fold) } = protocol {
        let known = fold.checked_sub(1).and_then(|i| format.folds.get(i));
        let no_such_fold = || DataError::NoSuchFold {
            dataset: format.name,
            fold: *fold,
            folds: format.folds.len(),
        };
        return load(known.ok_or_else(no_such_fold)?, root, labels);
    }
    let mut dataset = (format.load)(root, labels)?;
    dataset.divide(protocol)?;
    Ok(dataset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::LabelSet;

    #[test]
    fn formats_have_unique_names_and_complete_descriptions() {
        for (i, format) in FORMATS.iter().enumerate() {
            assert!(FORMATS[..i].iter().all(|other| other.name != format.name), "{}", format.name);
            for text in [format.about, format.splits, format.citation, format.terms] {
                assert!(!text.is_empty() && !text.contains('\n'), "{}", format.name);
            }
            for info in format.tasks {
                assert!(LabelSet::new(info.min, info.max, info.step).is_ok(), "{info:?}");
                assert!(info.sigma > 0.0 && !info.spread.is_empty(), "{info:?}");
            }
            for fold in format.folds {
                assert!(FORMATS.iter().any(|other| other.name == *fold), "{fold}");
            }
        }
    }

    #[test]
    fn label_sets_are_those_of_the_paper() {
        let labels = |name: &str| {
            let info = format(name).unwrap().tasks[0];
            LabelSet::new(info.min, info.max, info.step).unwrap().len()
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
