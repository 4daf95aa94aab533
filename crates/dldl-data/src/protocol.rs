//! How a dataset is divided into train, val and test, as a value that can be
//! written in one word: `published`, `random:7`, `subjects:5:1`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::sample::{fnv1a, scramble};
use crate::{DataError, Dataset, Sample, Split};

/// Of what is not for testing, one part in so many is for choosing.
const VAL_PARTS: usize = 10;

/// A way to divide a dataset. As text, in JSON too: `published`, `published:FOLD`,
/// `random:SEED`, `kfold:K:FOLD`, `subjects:K:FOLD`, `leave-out:PERSON`; folds
/// count from 1.
///
/// All but the published one deal the pictures out anew: first the test part,
/// and then a tenth of the rest for validation, so that nothing is ever chosen
/// by the test part. Who is where depends on the names of the pictures (without
/// their endings) or people alone, not on the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Protocol {
    /// As the publishers have it, or as the format's reader does it where they
    /// say nothing; where there are published folds, one of them.
    Published {
        /// The number of the publishers' fold, from 1.
        fold: Option<usize>,
    },
    /// 80 % of the pictures for training, 20 % for testing, by picture: the same
    /// person may be in both, as the paper does on Morph (spec 3.1).
    Random80 {
        /// Another seed, another division.
        seed: u64,
    },
    /// One of `k` parts for testing.
    KFold {
        /// How many parts, 2 or more.
        k: usize,
        /// The part for testing, 1 to `k`.
        fold: usize,
        /// Whether all of a [`Sample::group`] is in one part.
        subject_exclusive: bool,
    },
    /// All pictures of one person for testing, as is usual on FG-NET.
    LeaveOnePersonOut {
        /// The person's [`Sample::group`].
        person: String,
    },
}

impl Default for Protocol {
    fn default() -> Self {
        Self::Published { fold: None }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { fold: None } => f.write_str("published"),
            Self::Published { fold: Some(fold) } => write!(f, "published:{fold}"),
            Self::Random80 { seed } => write!(f, "random:{seed}"),
            Self::KFold { k, fold, subject_exclusive: false } => write!(f, "kfold:{k}:{fold}"),
            Self::KFold { k, fold, subject_exclusive: true } => write!(f, "subjects:{k}:{fold}"),
            Self::LeaveOnePersonOut { person } => write!(f, "leave-out:{person}"),
        }
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> String {
        protocol.to_string()
    }
}

impl TryFrom<String> for Protocol {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "`{text}` is no protocol: use published, published:FOLD, random:SEED, \
                 kfold:K:FOLD, subjects:K:FOLD or leave-out:PERSON"
            )
        };
        let (kind, rest) = text.split_once(':').map_or((text, None), |(k, r)| (k, Some(r)));
        let protocol = match (kind, rest) {
            ("published", None) => Self::Published { fold: None },
            ("published", Some(fold)) => {
                Self::Published { fold: Some(fold.parse().map_err(|_| unknown())?) }
            }
            ("random", Some(seed)) => Self::Random80 { seed: seed.parse().map_err(|_| unknown())? },
            ("kfold" | "subjects", Some(rest)) => {
                let (k, fold) = rest.split_once(':').ok_or_else(unknown)?;
                let number = |text: &str| text.parse().map_err(|_| unknown());
                let subject_exclusive = kind == "subjects";
                Self::KFold { k: number(k)?, fold: number(fold)?, subject_exclusive }
            }
            ("leave-out", Some(person)) if !person.is_empty() => {
                Self::LeaveOnePersonOut { person: person.to_owned() }
            }
            _ => return Err(unknown()),
        };
        protocol.check()?;
        Ok(protocol)
    }
}

impl Protocol {
    /// Whether the splits are those that the dataset was read with.
    pub fn is_published(&self) -> bool {
        matches!(self, Self::Published { .. })
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Published { fold: Some(0) } => Err("published:0: folds count from 1".into()),
            Self::KFold { k, .. } if *k < 2 => {
                Err(format!("{self}: there must be 2 folds or more"))
            }
            Self::KFold { k, fold, .. } if !(1..=*k).contains(fold) => {
                Err(format!("{self}: the folds are 1 to {k}"))
            }
            _ => Ok(()),
        }
    }

    /// Divides a dataset: gives every sample its split, and the dataset the
    /// protocol. Where a picture has no group, it is one of its own.
    ///
    /// # Errors
    /// [`DataError::Parameter`]: a number is out of range, there are fewer
    /// pictures or people than folds, a subject-exclusive division of a dataset
    /// that does not say who is who, or nobody of the name to be left out. A
    /// published fold is chosen when a dataset is read, by
    /// [`load_with`](crate::load_with), and refused here.
    pub fn apply(&self, dataset: &mut Dataset) -> Result<(), DataError> {
        let refuse = |reason: String| Err(DataError::Parameter(reason));
        self.check().map_err(DataError::Parameter)?;
        let samples = &mut dataset.samples;
        match self {
            Self::Published { fold: None } => {}
            Self::Published { fold: Some(_) } => {
                return refuse(format!("{self}: a published fold is chosen when it is read"));
            }
            Self::Random80 { seed } => {
                let salt = format!("random:{seed}");
                divide(samples, &salt, 5, 1, picture).or_else(refuse)?;
            }
            Self::KFold { k, fold, subject_exclusive: false } => {
                divide(samples, "kfold", *k, *fold, picture).or_else(refuse)?;
            }
            Self::KFold { k, fold, subject_exclusive: true } => {
                if samples.iter().all(|s| s.group.is_none()) {
                    let name = &dataset.name;
                    return refuse(format!("{self}: {name} does not say who is in its pictures"));
                }
                divide(samples, "subjects", *k, *fold, person).or_else(refuse)?;
            }
            Self::LeaveOnePersonOut { person: out } => {
                let is_out = |s: &Sample| s.group.as_deref() == Some(out);
                if !samples.iter().any(is_out) {
                    let mut known: Vec<&str> =
                        samples.iter().filter_map(|s| s.group.as_deref()).collect();
                    known.sort_unstable();
                    known.dedup();
                    let known = known[..known.len().min(3)].join(", ");
                    let name = &dataset.name;
                    return refuse(match known.is_empty() {
                        true => format!("{self}: {name} does not say who is in its pictures"),
                        false => format!("{self}: nobody in {name} is called so, but {known}, ..."),
                    });
                }
                for sample in samples.iter_mut() {
                    sample.split = if is_out(sample) { Split::Test } else { Split::Train };
                }
                validate(samples, "leave-out", person);
            }
        }
        dataset.protocol = self.clone();
        Ok(())
    }
}

/// What a picture is dealt out by: its name without the ending, so that a copy
/// of the dataset in another picture format is divided alike.
fn picture(sample: &Sample) -> &str {
    sample.file.rsplit_once('.').map_or(&sample.file, |(stem, _)| stem)
}

/// What a person's pictures are dealt out by.
fn person(sample: &Sample) -> &str {
    sample.group.as_deref().unwrap_or_else(|| picture(sample))
}

/// Part number `test` of `parts` is for testing, counted from 1; a tenth of the
/// rest for validation.
fn divide(
    samples: &mut [Sample],
    salt: &str,
    parts: usize,
    test: usize,
    key: fn(&Sample) -> &str,
) -> Result<(), String> {
    let dealt = deal(samples.iter().map(key), salt, parts);
    if dealt.len() < parts {
        return Err(format!("{} cannot be divided into {parts} parts", dealt.len()));
    }
    let tested: Vec<bool> = samples.iter().map(|s| dealt[key(s)] == test - 1).collect();
    for (sample, tested) in samples.iter_mut().zip(tested) {
        sample.split = if tested { Split::Test } else { Split::Train };
    }
    validate(samples, salt, key);
    Ok(())
}

/// Makes a tenth of the training part the validation part; nothing where only
/// one key would be divided.
fn validate(samples: &mut [Sample], salt: &str, key: fn(&Sample) -> &str) {
    let train = |s: &&Sample| s.split == Split::Train;
    let dealt = deal(samples.iter().filter(train).map(key), &format!("{salt}:val"), VAL_PARTS);
    if dealt.len() < 2 {
        return;
    }
    let chosen: Vec<bool> = samples.iter().map(|s| train(&s) && dealt[key(s)] == 0).collect();
    for (sample, chosen) in samples.iter_mut().zip(chosen) {
        if chosen {
            sample.split = Split::Val;
        }
    }
}

/// Deals keys out to `parts`: in the order of their hashes, each with all its
/// samples to the part that has fewest samples so far (of several, the first).
/// So parts are of equal size as far as the keys allow, and every key's place
/// depends on the set of keys only.
fn deal<'a>(
    keys: impl Iterator<Item = &'a str>,
    salt: &str,
    parts: usize,
) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    let hash = |key: &str| scramble(fnv1a(format!("{salt}\n{key}").as_bytes()));
    let mut order: Vec<(u64, &str, usize)> =
        counts.into_iter().map(|(key, n)| (hash(key), key, n)).collect();
    order.sort_unstable();
    let mut sizes = vec![0; parts];
    let mut place = |n: usize| {
        let part = (0..parts).min_by_key(|&p| sizes[p]).unwrap_or(0);
        sizes[part] += n;
        part
    };
    order.into_iter().map(|(_, key, n)| (key.to_owned(), place(n))).collect()
}

#[cfg(test)]
mod tests;
