//! Applies a [`Protocol`] to a dataset.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::hash::{fnv1a, mix};
use crate::{DataError, Dataset, Protocol, Sample, Split, list};

/// One part in this many of the pictures that are not for testing is for
/// validation.
const VAL_PARTS: usize = 10;

impl Dataset {
    /// Divides the dataset by a protocol: sets the split of every sample, and the
    /// protocol of the dataset. A picture without a group counts as a group of its
    /// own.
    ///
    /// # Errors
    /// [`DataError::Protocol`] if a number is out of range;
    /// [`DataError::TooFewForFolds`] if there are fewer pictures or people than folds;
    /// [`DataError::NoGroups`] if the division is by person and the dataset does not
    /// identify people; [`DataError::UnknownPerson`] if the person to leave out is not in
    /// the dataset; [`DataError::FoldAfterLoading`] for a published fold, which is
    /// chosen by [`load_with`](crate::load_with); [`DataError::Table`],
    /// [`DataError::Malformed`] or [`DataError::Io`] for a list that cannot be used.
    pub fn divide(&mut self, protocol: &Protocol) -> Result<(), DataError> {
        protocol.check()?;
        if let Protocol::List { file, part } = protocol {
            list::divide(self, file, part.as_deref())?;
        }
        let name = &self.name;
        let samples = &mut self.samples;
        let no_groups =
            || DataError::NoGroups { protocol: protocol.clone(), dataset: name.clone() };
        match protocol {
            Protocol::Published { fold: None } | Protocol::List { .. } => {}
            Protocol::Published { fold: Some(_) } => {
                return Err(DataError::FoldAfterLoading { protocol: protocol.clone() });
            }
            Protocol::Random80 { seed } => {
                split_off(samples, protocol, &format!("random:{seed}"), 5, 1, picture)?;
            }
            Protocol::KFold { k, fold, subject_exclusive: false } => {
                split_off(samples, protocol, "kfold", *k, *fold, picture)?;
            }
            Protocol::KFold { k, fold, subject_exclusive: true } => {
                if samples.iter().all(|s| s.group.is_none()) {
                    return Err(no_groups());
                }
                split_off(samples, protocol, "subjects", *k, *fold, person)?;
            }
            Protocol::LeaveOnePersonOut { person: out } => {
                let is_out = |s: &Sample| s.group.as_deref() == Some(out);
                if !samples.iter().any(is_out) {
                    let mut known: Vec<&str> =
                        samples.iter().filter_map(|s| s.group.as_deref()).collect();
                    if known.is_empty() {
                        return Err(no_groups());
                    }
                    known.sort_unstable();
                    known.dedup();
                    known.truncate(3);
                    return Err(DataError::UnknownPerson {
                        person: out.clone(),
                        dataset: name.clone(),
                        examples: known.into_iter().map(str::to_owned).collect(),
                    });
                }
                for sample in samples.iter_mut() {
                    sample.split = if is_out(sample) { Split::Test } else { Split::Train };
                }
                choose_validation(samples, "leave-out", person);
            }
        }
        self.protocol = protocol.clone();
        Ok(())
    }
}

/// The key of a picture: its path without the extension, so that a copy of the
/// dataset in another picture format is divided in the same way.
fn picture(sample: &Sample) -> &str {
    sample.file.rsplit_once('.').map_or(&sample.file, |(stem, _)| stem)
}

/// The key of a person's pictures.
pub(crate) fn person(sample: &Sample) -> &str {
    sample.group.as_deref().unwrap_or_else(|| picture(sample))
}

/// Makes part `test` (from 1) of `parts` the test split, and a tenth of the rest the
/// validation split.
fn split_off(
    samples: &mut [Sample],
    protocol: &Protocol,
    salt: &str,
    parts: usize,
    test: usize,
    key: fn(&Sample) -> &str,
) -> Result<(), DataError> {
    let counts = count(samples.iter().map(key));
    if counts.len() < parts {
        return Err(DataError::TooFewForFolds {
            protocol: protocol.clone(),
            available: counts.len(),
            parts,
        });
    }
    let part_of = assign(counts, salt, parts);
    let tested: Vec<bool> = samples.iter().map(|s| part_of[key(s)] == test - 1).collect();
    for (sample, tested) in samples.iter_mut().zip(tested) {
        sample.split = if tested { Split::Test } else { Split::Train };
    }
    choose_validation(samples, salt, key);
    Ok(())
}

/// Moves a tenth of the training split to the validation split, unless there is
/// only one key.
pub(crate) fn choose_validation(samples: &mut [Sample], salt: &str, key: fn(&Sample) -> &str) {
    let train = |s: &&Sample| s.split == Split::Train;
    let counts = count(samples.iter().filter(train).map(key));
    if counts.len() < 2 {
        return;
    }
    let part_of = assign(counts, &format!("{salt}:val"), VAL_PARTS);
    let chosen: Vec<bool> = samples.iter().map(|s| train(&s) && part_of[key(s)] == 0).collect();
    for (sample, chosen) in samples.iter_mut().zip(chosen) {
        if chosen {
            sample.split = Split::Val;
        }
    }
}

/// How many samples each key has.
fn count<'a>(keys: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Assigns keys to `parts`: in the order of their hashes, each key with all its
/// samples to the part with the fewest samples so far (the first of several). The
/// parts are as equal as the keys allow, and depend on the set of keys only.
fn assign(counts: BTreeMap<&str, usize>, salt: &str, parts: usize) -> BTreeMap<String, usize> {
    let hash = |key: &str| mix(fnv1a(format!("{salt}\n{key}").as_bytes()));
    let mut order: Vec<(u64, &str, usize)> =
        counts.into_iter().map(|(key, n)| (hash(key), key, n)).collect();
    order.sort_unstable();
    let mut sizes: BinaryHeap<Reverse<(usize, usize)>> =
        (0..parts).map(|p| Reverse((0, p))).collect();
    let mut place = |n: usize| {
        let Reverse((size, part)) = sizes.pop().expect("there are at least two parts");
        sizes.push(Reverse((size + n, part)));
        part
    };
    order.into_iter().map(|(_, key, n)| (key.to_owned(), place(n))).collect()
}

#[cfg(test)]
mod tests;
