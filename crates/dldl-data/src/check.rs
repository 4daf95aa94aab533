//! Statistics and problems of a dataset: counts and label histograms by split, missing
//! and unreadable pictures, duplicates, and groups in more than one split. Pictures are
//! not decoded: only their headers are parsed, and their bytes compared.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dldl_face::FaceError;
use dldl_label::Task;
use rayon::prelude::*;
use serde::Serialize;

use crate::registry::FORMATS;
use crate::{
    Annotation, DataError, Dataset, Problem, Progress, Protocol, Sample, Sex, SimilarReport, Split,
    threads,
};

mod labels;

pub use labels::{Bin, LabelReport};

/// The result of [`check()`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// [`Dataset::name`].
    pub dataset: String,
    /// The folder of the dataset.
    pub root: PathBuf,
    /// How it is divided into splits.
    pub protocol: Protocol,
    /// The number of samples, including those with missing pictures.
    pub samples: PerSplit,
    /// The labels, by task.
    pub tasks: Vec<LabelReport>,
    /// Samples by sex; `unknown` if not recorded.
    pub sexes: BTreeMap<String, usize>,
    /// Samples by race or ethnicity in the terms of the dataset; `unknown` if not
    /// recorded.
    pub races: BTreeMap<String, usize>,
    /// The number of people or near-duplicate groups ([`Sample::group`]); 0 if the dataset
    /// does not identify them.
    pub groups: usize,
    /// The number of identities ([`Sample::identity`]).
    pub identities: usize,
    /// Pictures that do not exist.
    pub missing: Vec<String>,
    /// Pictures that exist but cannot be read, judged by their header.
    pub unreadable: Vec<Problem>,
    /// Samples with identical picture files.
    pub duplicates: Vec<Duplicates>,
    /// Groups in more than one split.
    pub divided: Vec<DividedGroup>,
    /// [`Dataset::problems`]: broken entries.
    pub problems: Vec<Problem>,
    /// [`Dataset::left_out`]: valid entries that are excluded on purpose.
    pub left_out: Vec<Problem>,
    /// Near-duplicates, if they were looked for: [`similar()`](crate::similar()).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similar: Option<SimilarReport>,
}

/// Numbers of samples by split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PerSplit {
    /// In the training split.
    pub train: usize,
    /// In the validation split.
    pub val: usize,
    /// In the test split.
    pub test: usize,
}

impl PerSplit {
    /// In all splits.
    pub fn total(self) -> usize {
        self.train + self.val + self.test
    }

    fn add(&mut self, split: Split) {
        match split {
            Split::Train => self.train += 1,
            Split::Val => self.val += 1,
            Split::Test => self.test += 1,
        }
    }

    fn of<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Self {
        let mut counts = Self::default();
        samples.into_iter().for_each(|s| counts.add(s.split));
        counts
    }

    /// Whether more than one split has samples.
    pub fn divided(self) -> bool {
        [self.train, self.val, self.test].iter().filter(|n| **n > 0).count() > 1
    }
}

/// Samples with identical picture files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// The files; a file of several samples is repeated.
    pub files: Vec<String>,
    /// Whether they differ in a label or in sex.
    pub contradicting: bool,
    /// How many are in which split.
    pub splits: PerSplit,
}

impl Duplicates {
    /// Whether they are a problem: labeled differently, or in more than one split.
    pub fn harmful(&self) -> bool {
        self.contradicting || self.splits.divided()
    }
}

/// A group in more than one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DividedGroup {
    /// [`Sample::group`].
    pub group: String,
    /// How many of its samples are in which split.
    pub splits: PerSplit,
}

impl DatasetReport {
    /// The number of problems: missing, unreadable and broken entries, harmful duplicates and
    /// near-duplicates, and divided groups. Entries that are left out and harmless duplicates
    /// do not count.
    pub fn problem_count(&self) -> usize {
        self.missing.len()
            + self.unreadable.len()
            + self.duplicates.iter().filter(|d| d.harmful()).count()
            + self.divided.len()
            + self.problems.len()
            + self.similar.iter().flat_map(|s| &s.pairs).filter(|p| p.harmful()).count()
    }
}

/// Checks a dataset with up to `threads` threads (0: one per processor). Each picture is
/// read once, and possible duplicates twice. `progress` is called from these threads after
/// each sample.
///
/// # Errors
/// [`DataError::Threads`] if no thread can be used.
pub fn check(
    dataset: &Dataset,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<DatasetReport, DataError> {
    let samples = &dataset.samples;
    let pool = threads::pool(threads)?;
    let done = AtomicUsize::new(0);
    let statuses: Vec<FileStatus> = pool.install(|| {
        samples
            .par_iter()
            .map(|sample| {
                let status = file_status(&dataset.root.join(&sample.file));
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress(Progress { done, total: samples.len() });
                status
            })
            .collect()
    });
    let (mut missing, mut unreadable) = (Vec::new(), Vec::new());
    let mut alike: BTreeMap<(usize, u32), Vec<&Sample>> = BTreeMap::new();
    for (sample, status) in samples.iter().zip(statuses) {
        let file = sample.file.clone();
        match status {
            FileStatus::Readable(key) => alike.entry(key).or_default().push(sample),
            FileStatus::Missing => missing.push(file),
            FileStatus::Unreadable(reason) => unreadable.push(Problem { file, reason }),
        }
    }
    let mut duplicates: Vec<Duplicates> = alike
        .into_values()
        .filter(|samples| samples.len() > 1)
        .flat_map(|samples| duplicates_of(&dataset.root, samples))
        .collect();
    duplicates.sort_by(|a, b| a.files.cmp(&b.files));
    let count = |what: &dyn Fn(&Sample) -> Option<String>| {
        let mut counts = BTreeMap::new();
        for sample in samples {
            *counts.entry(what(sample).unwrap_or_else(|| "unknown".to_owned())).or_default() += 1;
        }
        counts
    };
    let sex = |sex: Sex| match sex {
        Sex::Female => "female".to_owned(),
        Sex::Male => "male".to_owned(),
    };
    let mut groups: BTreeMap<&str, PerSplit> = BTreeMap::new();
    for sample in samples {
        if let Some(group) = &sample.group {
            groups.entry(group).or_default().add(sample.split);
        }
    }
    let identities: std::collections::BTreeSet<&str> =
        samples.iter().filter_map(|s| s.identity.as_deref()).collect();
    let known = FORMATS.iter().find(|f| f.name == dataset.name).map_or(&[][..], |f| f.tasks);
    Ok(DatasetReport {
        dataset: dataset.name.clone(),
        root: dataset.root.clone(),
        protocol: dataset.protocol.clone(),
        samples: PerSplit::of(samples),
        tasks: labels::of(samples, known),
        sexes: count(&|s| s.sex.map(sex)),
        races: count(&|s| s.race.clone()),
        groups: groups.len(),
        identities: identities.len(),
        missing,
        unreadable,
        duplicates,
        divided: groups
            .into_iter()
            .filter(|(_, splits)| splits.divided())
            .map(|(group, splits)| DividedGroup { group: group.to_owned(), splits })
            .collect(),
        problems: dataset.problems.clone(),
        left_out: dataset.left_out.clone(),
        similar: None,
    })
}

/// The state of a picture file.
enum FileStatus {
    /// Its header is valid; with its length and checksum.
    Readable((usize, u32)),
    Missing,
    Unreadable(String),
}

fn file_status(path: &Path) -> FileStatus {
    let bytes = match dldl_face::read_file(path) {
        Ok(bytes) => bytes,
        Err(FaceError::Read(e)) if e.kind() == ErrorKind::NotFound => return FileStatus::Missing,
        Err(e) => return FileStatus::Unreadable(e.reason()),
    };
    match dldl_face::probe(&bytes) {
        Ok(_) => FileStatus::Readable((bytes.len(), crc32fast::hash(&bytes))),
        Err(e) => FileStatus::Unreadable(e.reason()),
    }
}

/// Groups samples with the same length and checksum by the content of their files.
fn duplicates_of(root: &Path, samples: Vec<&Sample>) -> Vec<Duplicates> {
    let mut by_file: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_file.entry(&sample.file).or_default().push(sample);
    }
    // A single file needs no comparison.
    let mut same: HashMap<Vec<u8>, Vec<&Sample>> = HashMap::new();
    if by_file.len() == 1 {
        same.extend(by_file.into_values().map(|samples| (Vec::new(), samples)));
    } else {
        for (file, samples) in by_file {
            // A file that has been removed since has no duplicates.
            let Ok(bytes) = std::fs::read(root.join(file)) else { continue };
            same.entry(bytes).or_default().extend(samples);
        }
    }
    let contradicting = |samples: &[&Sample]| {
        let pair = |(i, a): (usize, &&Sample)| samples[..i].iter().any(|b| contradicts(a, b));
        samples.iter().enumerate().any(pair)
    };
    same.into_values()
        .filter(|samples| samples.len() > 1)
        .map(|samples| Duplicates {
            files: samples.iter().map(|s| s.file.clone()).collect(),
            contradicting: contradicting(&samples),
            splits: PerSplit::of(samples),
        })
        .collect()
}

/// Whether the labels of two samples differ.
fn contradicts(a: &Sample, b: &Sample) -> bool {
    let differ = |task: &Task, annotation: &Annotation| {
        b.labels.get(task).is_some_and(|other| other != annotation)
    };
    a.labels.iter().any(|(task, annotation)| differ(task, annotation))
        || matches!((a.sex, b.sex), (Some(a), Some(b)) if a != b)
}

#[cfg(test)]
mod tests;
