//! Groups of pictures that must stay together: the known ones, joined by the pairs found.

use std::collections::HashMap;

use super::SimilarReport;
use crate::Dataset;

/// The pictures of a dataset with their groups, joined where a picture of one is similar to a
/// picture of another. A picture that has no group and is similar to none has none. A joined
/// group has the first of its names; without any, it is named after its first picture, as
/// `like a/b.jpg`.
///
/// # Panics
/// The report is of a dataset with more samples.
pub fn groups(dataset: &Dataset, report: &SimilarReport) -> Vec<(String, Option<String>)> {
    let samples = &dataset.samples;
    let mut parents: Vec<usize> = (0..samples.len()).collect();
    let mut first_of: HashMap<&str, usize> = HashMap::new();
    let mut first_of_file: HashMap<&str, usize> = HashMap::new();
    for (i, sample) in samples.iter().enumerate() {
        if let Some(group) = &sample.group {
            join(&mut parents, *first_of.entry(group).or_insert(i), i);
        }
        join(&mut parents, *first_of_file.entry(&sample.file).or_insert(i), i);
    }
    for &[a, b] in &report.links {
        join(&mut parents, a, b);
    }
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    let mut names: HashMap<usize, &str> = HashMap::new();
    for (i, sample) in samples.iter().enumerate() {
        let root = root(&mut parents, i);
        *sizes.entry(root).or_default() += 1;
        if let Some(group) = &sample.group {
            names.entry(root).or_insert(group);
        }
    }
    let mut rows = Vec::new();
    for (i, sample) in samples.iter().enumerate() {
        if first_of_file[sample.file.as_str()] != i {
            continue;
        }
        let root = root(&mut parents, i);
        let name = match names.get(&root) {
            Some(name) => Some((*name).to_owned()),
            None => (sizes[&root] > 1).then(|| format!("like {}", samples[root].file)),
        };
        rows.push((sample.file.clone(), name));
    }
    rows
}

/// The first sample of the set that a sample belongs to.
fn root(parents: &mut [usize], mut i: usize) -> usize {
    while parents[i] != i {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    i
}

/// Joins two sets; the earlier first sample is that of both.
fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}
