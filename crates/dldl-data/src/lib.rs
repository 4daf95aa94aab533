//! Datasets as they lie on disk, the packed cache of aligned crops, and the
//! augmentation of training crops. No networks, no detection: those live in
//! `dldl-net` and `dldl-face`.
//!
//! A dataset is read by one of [`FORMATS`] into a [`Dataset`]; [`prepare()`]
//! turns it into a folder of tar shards once; training and evaluation read
//! that folder through [`Cache`].

pub mod augment;
pub mod cache;
mod colour;
pub mod csv;
mod error;
mod make;
pub mod manifest;
mod parameters;
pub mod people;
pub mod prepare;
mod rating;
mod resample;
pub mod sample;
pub mod scut;
mod shard;
pub mod tables;
pub mod utkface;

use std::path::Path;

pub use augment::{Augment, sample_rng};
pub use cache::{Cache, CachedSample};
pub use error::DataError;
pub use make::main_face;
pub use manifest::{Counts, Finished, Manifest, Shard};
pub use parameters::Parameters;
pub use prepare::{Progress, Report, prepare};
pub use rating::{AGE, ATTRACTIVENESS, Rating, Spread};
pub use resample::resize;
pub use sample::{Dataset, Problem, Sample, Sex, Split};

/// A way in which datasets lie on disk.
#[derive(Clone, Copy)]
pub struct Format {
    /// The name on the command line.
    pub name: &'static str,
    /// What the folder and the labels look like, in one line.
    pub about: &'static str,
    /// Reads the dataset under a root folder, with the labels in a given file
    /// or in the format's own place.
    pub load: fn(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError>,
}

/// The formats there are. A new one is a file of its own and a line here.
pub const FORMATS: &[Format] = &[
    utkface::FORMAT,
    tables::ALL_AGE_FACES,
    tables::FAIRFACE,
    tables::MEBEAUTY,
    scut::FORMAT,
    scut::FOLDS[0],
    scut::FOLDS[1],
    scut::FOLDS[2],
    scut::FOLDS[3],
    scut::FOLDS[4],
    csv::FORMAT,
    people::FORMAT,
    people::LIST,
];

/// Reads a dataset by its format's name.
///
/// # Errors
/// [`DataError::UnknownFormat`], or what the format's own `load` says.
pub fn load(name: &str, root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    match FORMATS.iter().find(|f| f.name == name) {
        Some(format) => (format.load)(root, labels),
        None => {
            let known: Vec<&str> = FORMATS.iter().map(|f| f.name).collect();
            Err(DataError::UnknownFormat { name: name.to_owned(), known: known.join(", ") })
        }
    }
}

/// Where a real dataset lies, for tests; says so where it does not.
#[cfg(test)]
fn shared_data(name: &str) -> Option<std::path::PathBuf> {
    let base = std::env::var_os("DLDL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        std::path::PathBuf::from,
    );
    let path = base.join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no data at {}", path.display());
    None
}
