//! What is in a dataset, and what is wrong with it: counts and label histograms
//! by split, missing and unreadable pictures, duplicates, and people who stand on
//! both sides of a split. Nothing is decoded: pictures are judged by their
//! headers and compared byte by byte.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dldl_label::Task;
use rayon::prelude::*;
use serde::Serialize;

use crate::format::FORMATS;
use crate::{Annotation, Dataset, Problem, Progress, Protocol, Sample, Sex, Split};

mod labels;

pub use labels::{Bin, Labeled};

/// What [`check()`] found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checkup {
    /// [`Dataset::name`].
    pub dataset: String,
    /// The dataset's folder.
    pub root: PathBuf,
    /// How it is divided.
    pub protocol: Protocol,
    /// Samples in the table or folder, missing pictures included.
    pub samples: PerSplit,
    /// The labels, task by task.
    pub tasks: Vec<Labeled>,
    /// Samples by sex; `unknown` where it is not recorded.
    pub sexes: BTreeMap<String, usize>,
    /// Samples by race or ethnicity in the dataset's words; `unknown` where it is
    /// not recorded.
    pub races: BTreeMap<String, usize>,
    /// People or near-duplicate groups ([`Sample::group`]); 0 where the dataset
    /// does not name them.
    pub groups: usize,
    /// People to be learned ([`Sample::identity`]).
    pub identities: usize,
    /// Pictures that are not there.
    pub missing: Vec<String>,
    /// Pictures that are there and cannot be read, by their header.
    pub unreadable: Vec<Problem>,
    /// Samples whose pictures are the same byte for byte.
    pub duplicates: Vec<Duplicates>,
    /// Groups that stand in more than one split.
    pub divided: Vec<Divided>,
    /// [`Dataset::problems`]: broken entries.
    pub problems: Vec<Problem>,
    /// [`Dataset::left_out`]: what is sound but no sample.
    pub left_out: Vec<Problem>,
}

/// Counts by split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PerSplit {
    /// In the training part.
    pub train: usize,
    /// In the validation part.
    pub val: usize,
    /// In the test part.
    pub test: usize,
}

impl PerSplit {
    /// In all parts.
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

    /// Whether more than one part has any.
    pub fn divided(self) -> bool {
        [self.train, self.val, self.test].iter().filter(|n| **n > 0).count() > 1
    }
}

/// Samples that show the same picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Their files; one that is listed several times stands here as often.
    pub files: Vec<String>,
    /// Whether they are labeled differently, in any task or the sex.
    pub contradicting: bool,
    /// How many stand in which split.
    pub splits: PerSplit,
}

impl Duplicates {
    /// Whether they are worse than superfluous: labeled differently, or learned
    /// from and tested on.
    pub fn harmful(&self) -> bool {
        self.contradicting || self.splits.divided()
    }
}

/// A group that stands in more than one split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Divided {
    /// [`Sample::group`].
    pub group: String,
    /// How many of its samples stand in which split.
    pub splits: PerSplit,
}

impl Checkup {
    /// How many things are wrong: what is missing, unreadable or broken, harmful
    /// duplicates, and divided groups. What is left out and duplicates that are
    /// merely superfluous are no faults.
    pub fn faults(&self) -> usize {
        self.missing.len()
            + self.unreadable.len()
            + self.duplicates.iter().filter(|d| d.harmful()).count()
            + self.divided.len()
            + self.problems.len()
    }
}

/// Looks through a dataset with `threads` threads (0: as many as there are
/// processors). Every picture is read once, and those that might be equal twice.
/// `progress` is called from those threads after each sample.
///
/// # Errors
/// There cannot be so many threads.
pub fn check(
    dataset: &Dataset,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Checkup, crate::DataError> {
    let samples = &dataset.samples;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| crate::DataError::Parameter(format!("{threads} threads: {e}")))?;
    let done = AtomicUsize::new(0);
    let looked: Vec<Looked> = pool.install(|| {
        samples
            .par_iter()
            .map(|sample| {
                let looked = look(&dataset.root.join(&sample.file));
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress(Progress { done, total: samples.len() });
                looked
            })
            .collect()
    });
    let (mut missing, mut unreadable) = (Vec::new(), Vec::new());
    let mut alike: BTreeMap<(usize, u32), Vec<&Sample>> = BTreeMap::new();
    for (sample, looked) in samples.iter().zip(looked) {
        let file = sample.file.clone();
        match looked {
            Looked::Readable(key) => alike.entry(key).or_default().push(sample),
            Looked::Missing => missing.push(file),
            Looked::Unreadable(reason) => unreadable.push(Problem { file, reason }),
        }
    }
    let mut duplicates: Vec<Duplicates> = alike
        .into_values()
        .filter(|samples| samples.len() > 1)
        .flat_map(|samples| equal(&dataset.root, samples))
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
    Ok(Checkup {
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
            .map(|(group, splits)| Divided { group: group.to_owned(), splits })
            .collect(),
        problems: dataset.problems.clone(),
        left_out: dataset.left_out.clone(),
    })
}

/// What one picture's file is.
enum Looked {
    /// Whole by its header; its length and checksum.
    Readable((usize, u32)),
    Missing,
    Unreadable(String),
}

fn look(path: &Path) -> Looked {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Looked::Missing,
        Err(e) => return Looked::Unreadable(format!("cannot be read: {e}")),
    };
    match dldl_face::probe(&bytes) {
        Ok(_) => Looked::Readable((bytes.len(), crc32fast::hash(&bytes))),
        Err(e) => Looked::Unreadable(e.reason()),
    }
}

/// Divides samples whose files have one length and checksum into those that are
/// really equal.
fn equal(root: &Path, samples: Vec<&Sample>) -> Vec<Duplicates> {
    let mut by_file: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_file.entry(&sample.file).or_default().push(sample);
    }
    // One file in several samples needs no comparison.
    let mut same: HashMap<Vec<u8>, Vec<&Sample>> = HashMap::new();
    if by_file.len() == 1 {
        same.extend(by_file.into_values().map(|samples| (Vec::new(), samples)));
    } else {
        for (file, samples) in by_file {
            // What vanished since it was read is equal to nothing.
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

/// Whether two samples of one picture say different things of it.
fn contradicts(a: &Sample, b: &Sample) -> bool {
    let differ = |task: &Task, annotation: &Annotation| {
        b.labels.get(task).is_some_and(|other| other != annotation)
    };
    a.labels.iter().any(|(task, annotation)| differ(task, annotation))
        || matches!((a.sex, b.sex), (Some(a), Some(b)) if a != b)
}

#[cfg(test)]
mod tests;
