//! Face datasets on disk, evaluation protocols, the packed cache of aligned crops, and
//! augmentation for training. Networks are in `dldl-net`, face detection in `dldl-face`.
//!
//! [`load()`] reads a dataset in one of the [`FORMATS`] as a [`Dataset`], which a
//! [`Protocol`] divides into splits. [`check()`] reports its problems, [`similar()`] its
//! near-duplicates. [`prepare()`] packs
//! it into a folder of tar shards, which training and evaluation read through [`Cache`].
//! Several machines can prepare a [`Part`] each, which [`merge()`] joins.

mod adapters;
mod annotation;
mod augment;
mod cache;
mod cached_sample;
pub mod check;
mod color;
mod crop_builder;
mod damage;
mod dataset;
mod divide;
mod error;
mod files;
mod format;
mod hash;
mod list;
mod manifest;
mod merge;
mod parameters;
mod part;
mod prepare;
mod protocol;
mod registry;
mod resample;
mod sample;
mod shard;
mod sheet;
pub mod similar;
mod table;
mod threads;
mod values;
mod warp;

pub use annotation::{Annotation, Spread};
pub use augment::{Augment, AugmentError, sample_rng};
pub use cache::Cache;
pub use cached_sample::CachedSample;
pub use check::{DatasetReport, check};
pub use dataset::Dataset;
pub use error::DataError;
pub use format::{Format, LabelInfo};
pub use hash::fnv1a;
pub use manifest::{Counts, Finished, Manifest, Shard};
pub use merge::merge;
pub use parameters::Parameters;
pub use part::{InvalidPart, Part};
pub use prepare::{Progress, Report, prepare, prepare_part};
pub use protocol::{Protocol, ProtocolError};
pub use registry::{FORMATS, format, load, load_with};
pub use resample::resize;
pub use sample::{Problem, Sample, Sex, Split, UnknownSplit};
pub use similar::{SimilarReport, similar};

#[cfg(test)]
use dldl_testdata::dataset as shared_data;
