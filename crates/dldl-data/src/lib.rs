//! Datasets as they lie on disk, the packed cache of aligned crops, and the
//! augmentation of training crops. No networks, no detection: those live in
//! `dldl-net` and `dldl-face`.
//!
//! A dataset is read by one of [`FORMATS`] into a [`Dataset`] and divided by a
//! [`Protocol`]; [`check()`] says what is wrong with it; [`prepare()`] turns it
//! into a folder of tar shards once; training and evaluation read that folder
//! through [`Cache`].

mod adapters;
mod annotation;
pub mod augment;
pub mod cache;
pub mod check;
mod color;
mod error;
mod files;
pub mod format;
mod make;
pub mod manifest;
mod parameters;
pub mod prepare;
pub mod protocol;
mod resample;
pub mod sample;
mod shard;
mod sheet;

pub use annotation::{Annotation, Spread};
pub use augment::{Augment, sample_rng};
pub use cache::{Cache, CachedSample};
pub use check::{Checkup, check};
pub use error::DataError;
pub use format::{FORMATS, Format, LabelInfo, format, load, load_with};
pub use manifest::{Counts, Finished, Manifest, Shard};
pub use parameters::Parameters;
pub use prepare::{Progress, Report, prepare};
pub use protocol::Protocol;
pub use resample::resize;
pub use sample::{Dataset, Problem, Sample, Sex, Split};

/// Where a real dataset lies, for tests; says so where it does not.
#[cfg(test)]
fn shared_data(name: &str) -> Option<std::path::PathBuf> {
    let base = std::env::var_os("DLDL_DATA").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        std::path::PathBuf::from,
    );
    let path = base.join(name);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no data at {}", path.display());
    None
}
