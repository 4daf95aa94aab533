//! Near-duplicates: pictures made from the same photograph by cropping, scaling, mirroring,
//! recoloring or compressing it again, within a dataset and between datasets.
//!
//! Every picture is reduced to 64 x 64 gray pixels. Pairs whose low frequencies agree in one of
//! several windows (`describe`) are registered (`register`), and count as similar if their fine
//! details then correlate. All pairs are looked at (`search`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use dldl_label::Task;
use rayon::prelude::*;
use serde::Serialize;

use crate::registry::FORMATS;
use crate::{Annotation, DataError, Dataset, Progress, Sample, Split, threads};

mod describe;
mod groups;
mod register;
mod search;
mod thumb;

pub use groups::groups;

use search::Match;
use thumb::Thumb;

/// The least similarity of pictures that are reported. Chosen on UTKFace and All-Age-Faces: all
/// 41 new pairs above it in UTKFace are the same photograph, and 19 of 22 in All-Age-Faces, where
/// passport photographs of different men in front of white walls reach 0.897.
pub const MIN_SIMILARITY: f64 = 0.88;
/// Labels are far apart from this part of the range of labels on: 5 years.
const FAR_APART: f64 = 0.05;

/// The result of [`similar()`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimilarReport {
    /// How many pictures of the dataset were compared, each with all others. Those that
    /// cannot be decoded are not.
    pub pictures: usize,
    /// The datasets that it was compared with.
    pub against: Vec<ComparedSet>,
    /// The pairs, those that harm most first: in different splits, in another dataset, with
    /// labels far apart, and then by the difference of labels and the similarity. Pairs that
    /// are in one group already, and identical files of the dataset, are not among them.
    pub pairs: Vec<SimilarPair>,
    /// How many pairs are in one group already.
    pub grouped: usize,
    /// All pairs within the dataset, by index of the sample.
    #[serde(skip)]
    links: Vec<[usize; 2]>,
}

/// A dataset that another one was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComparedSet {
    /// [`Dataset::name`].
    pub dataset: String,
    /// Its folder.
    pub root: PathBuf,
    /// How many of its pictures were compared.
    pub pictures: usize,
    /// How many cannot be decoded.
    pub unreadable: usize,
}

/// Two pictures that seem to show the same photograph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimilarPair {
    /// A picture of the dataset.
    pub first: SimilarPicture,
    /// Another one, or one of another dataset.
    pub second: SimilarPicture,
    /// The correlation of their fine details, up to 1.
    pub similarity: f64,
    /// Whether one is the mirror image of the other.
    pub mirrored: bool,
    /// Whether they are in different splits of the dataset.
    pub across: bool,
    /// How much their labels differ, by task. Ranges that overlap do not differ.
    pub difference: BTreeMap<Task, f64>,
    /// Whether a label differs by 5 % of its range or more: 5 years.
    pub apart: bool,
    /// The largest difference as a part of the range of labels.
    #[serde(skip)]
    relative: f64,
}

/// One picture of a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimilarPicture {
    /// The index of another dataset in [`SimilarReport::against`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<usize>,
    /// [`Sample::file`].
    pub file: String,
    /// Its labels.
    pub labels: BTreeMap<Task, Annotation>,
    /// Its split.
    pub split: Split,
    /// Its group.
    pub group: Option<String>,
}

impl SimilarPair {
    /// Whether it is a problem: the pictures are in different splits or datasets, or their
    /// labels are far apart.
    pub fn harmful(&self) -> bool {
        self.across || self.apart || self.second.against.is_some()
    }
}

/// Looks for near-duplicates within a dataset and between it and others, with up to `threads`
/// threads (0: one per processor). `progress` is called from these threads after each picture
/// that has been read, and again, from 0, after each that has been compared.
///
/// # Errors
/// [`DataError::Threads`] if no thread can be used.
pub fn similar(
    dataset: &Dataset,
    against: &[Dataset],
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<SimilarReport, DataError> {
    let pool = threads::pool(threads)?;
    let sets: Vec<&Dataset> = std::iter::once(dataset).chain(against).collect();
    let all: Vec<(usize, &Sample)> = sets
        .iter()
        .enumerate()
        .flat_map(|(set, dataset)| dataset.samples.iter().map(move |sample| (set, sample)))
        .collect();
    let total = all.len();
    let counter = || {
        let done = AtomicUsize::new(0);
        move || {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { done, total });
        }
    };
    let read = counter();
    let thumbs: Vec<Option<Thumb>> = pool.install(|| {
        let thumb = |(set, sample): &(usize, &Sample)| {
            let thumb = Thumb::read(&sets[*set].root.join(&sample.file)).ok();
            read();
            thumb
        };
        all.par_iter().map(thumb).collect()
    });
    // Where the readable pictures are in `all`.
    let places: Vec<usize> = (0..total).filter(|&i| thumbs[i].is_some()).collect();
    let readable = |set: usize| places.iter().filter(|&&i| all[i].0 == set).count();
    let own = readable(0);
    let thumbs: Vec<Thumb> = thumbs.into_iter().flatten().collect();
    let compared = counter();
    let mut found = pool.install(|| search::pairs(&thumbs, own, MIN_SIMILARITY as f32, &compared));
    found.sort_by_key(|m| (places[m.first], places[m.second]));
    let mut report = SimilarReport {
        pictures: own,
        against: (1..sets.len())
            .map(|set| ComparedSet {
                dataset: sets[set].name.clone(),
                root: sets[set].root.clone(),
                pictures: readable(set),
                unreadable: sets[set].samples.len() - readable(set),
            })
            .collect(),
        pairs: Vec::new(),
        grouped: 0,
        links: Vec::new(),
    };
    for found in found {
        let [first, second] = [found.first, found.second].map(|i| places[i]);
        let within = all[second].0 == 0;
        let [a, b] = [first, second].map(|i| all[i].1);
        if within {
            report.links.push([first, second]);
        }
        if within && a.group.is_some() && a.group == b.group {
            report.grouped += 1;
        } else if !(within && identical(dataset, a, b)) {
            report.pairs.push(pair(dataset, all[first], all[second], &found));
        }
    }
    let severity = |p: &SimilarPair| (p.across, p.second.against.is_some(), p.apart);
    report.pairs.sort_by(|a, b| {
        severity(b)
            .cmp(&severity(a))
            .then(b.relative.total_cmp(&a.relative))
            .then(b.similarity.total_cmp(&a.similarity))
    });
    Ok(report)
}

/// Whether the files of two samples are the same, which [`check`](crate::check()) reports.
fn identical(dataset: &Dataset, a: &Sample, b: &Sample) -> bool {
    let bytes = |sample: &Sample| std::fs::read(dataset.root.join(&sample.file)).ok();
    a.file == b.file || matches!((bytes(a), bytes(b)), (Some(a), Some(b)) if a == b)
}

fn pair(
    dataset: &Dataset,
    (_, a): (usize, &Sample),
    (set, b): (usize, &Sample),
    found: &Match,
) -> SimilarPair {
    let known = FORMATS.iter().find(|f| f.name == dataset.name).map_or(&[][..], |f| f.tasks);
    let range = |task: Task| {
        let info = known.iter().find(|info| info.task == task);
        info.map_or(100.0, |info| info.max - info.min)
    };
    let difference: BTreeMap<Task, f64> = a
        .labels
        .iter()
        .filter_map(|(task, label)| Some((*task, gap(label, b.labels.get(task)?))))
        .collect();
    let relative = difference.iter().map(|(task, d)| d / range(*task)).fold(0.0, f64::max);
    let picture = |set: usize, sample: &Sample| SimilarPicture {
        against: set.checked_sub(1),
        file: sample.file.clone(),
        labels: sample.labels.clone(),
        split: sample.split,
        group: sample.group.clone(),
    };
    SimilarPair {
        first: picture(0, a),
        second: picture(set, b),
        similarity: f64::from(found.similarity),
        mirrored: found.mirrored,
        across: set == 0 && a.split != b.split,
        difference,
        apart: relative >= FAR_APART,
        relative,
    }
}

/// How far apart two labels are: their values, or the nearest ends of their ranges.
fn gap(a: &Annotation, b: &Annotation) -> f64 {
    let ends = |label: &Annotation| label.range().unwrap_or([label.mean(); 2]);
    let ([a_low, a_high], [b_low, b_high]) = (ends(a), ends(b));
    (a_low - b_high).max(b_low - a_high).max(0.0)
}

#[cfg(test)]
mod tests;
