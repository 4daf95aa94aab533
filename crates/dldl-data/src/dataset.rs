//! A dataset: samples, entries that cannot be used, and how it is split.

use std::path::{Path, PathBuf};

use crate::protocol::Protocol;
use crate::sample::{Problem, Sample, Split};

/// A dataset read from disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The name of the format, for example `utkface`.
    pub name: String,
    /// The folder that [`Sample::file`] is relative to.
    pub root: PathBuf,
    /// How it is divided into splits.
    pub protocol: Protocol,
    /// The usable samples, in a fixed order.
    pub samples: Vec<Sample>,
    /// Broken entries.
    pub problems: Vec<Problem>,
    /// Valid entries that are excluded on purpose, for example composites of
    /// several faces.
    pub left_out: Vec<Problem>,
}

impl Dataset {
    /// A dataset with its published splits and without problems.
    pub fn new(name: &str, root: &Path, samples: Vec<Sample>) -> Self {
        let (problems, left_out) = (Vec::new(), Vec::new());
        let protocol = Protocol::default();
        Self { name: name.to_owned(), root: root.to_owned(), protocol, samples, problems, left_out }
    }

    /// The number of samples in a split.
    pub fn count(&self, split: Split) -> usize {
        self.samples.iter().filter(|s| s.split == split).count()
    }
}
