//! Evaluation protocols: how a dataset is divided into train, val and test, as a
//! value with a one-word text form (`published`, `random:7`, `subjects:5:1`).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a dataset is divided into splits. As text, also in JSON: `published`,
/// `published:FOLD`, `random:SEED`, `kfold:K:FOLD`, `subjects:K:FOLD`,
/// `leave-out:PERSON`, `list:FILE`, `list:FILE:PART`. Folds count from 1.
///
/// All protocols but `published` and `list` choose the test part first, then a tenth of the
/// rest for validation, so that nothing is selected on the test part. The division
/// depends on the names of the pictures (without extension) or people, not on
/// the order of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Protocol {
    /// The publishers' splits, or those of the adapter if there are none; or one of
    /// the published folds.
    Published {
        /// The number of the published fold, from 1.
        fold: Option<usize>,
    },
    /// 80 % of the pictures for training, 20 % for testing. The same person may be in
    /// both, as in the paper's protocol for Morph (spec 3.1).
    Random80 {
        /// The seed of the division.
        seed: u64,
    },
    /// One of `k` equal parts for testing.
    KFold {
        /// The number of parts, at least 2.
        k: usize,
        /// The part for testing, 1 to `k`.
        fold: usize,
        /// Whether each [`Sample::group`](crate::Sample::group) is kept in one part.
        subject_exclusive: bool,
    },
    /// All pictures of one person for testing, as is customary on FG-NET.
    LeaveOnePersonOut {
        /// The person's [`Sample::group`](crate::Sample::group).
        person: String,
    },
    /// By a published list of pictures.
    List {
        /// A table, a JSON file, or a folder of lists, relative to the working directory.
        file: PathBuf,
        /// The column with the splits, the number of the split, or the fold for testing.
        part: Option<String>,
    },
}

/// Why a text or value is not a valid [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The text has none of the known forms.
    #[error(
        "unknown protocol `{0}`: expected published, published:FOLD, random:SEED, kfold:K:FOLD, \
         subjects:K:FOLD, leave-out:PERSON, list:FILE or list:FILE:PART"
    )]
    Unknown(String),
    /// `published:0`.
    #[error("invalid protocol `published:0`: folds count from 1")]
    FoldZero,
    /// Fewer than two folds.
    #[error("invalid protocol `{0}`: expected at least 2 folds")]
    TooFewFolds(Protocol),
    /// The fold is not among the `k` folds.
    #[error("invalid protocol `{protocol}`: expected a fold from 1 to {k}")]
    FoldOutOfRange {
        /// The protocol.
        protocol: Protocol,
        /// The number of folds.
        k: usize,
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
            Self::List { file, part: None } => write!(f, "list:{}", file.display()),
            Self::List { file, part: Some(part) } => write!(f, "list:{}:{part}", file.display()),
        }
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> String {
        protocol.to_string()
    }
}

impl TryFrom<String> for Protocol {
    type Error = ProtocolError;

    fn try_from(text: String) -> Result<Self, ProtocolError> {
        text.parse()
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let unknown = || ProtocolError::Unknown(text.to_owned());
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
            ("list", Some(rest)) if !rest.is_empty() => {
                // A colon may be part of the file's name: `C:\lists\morph.csv`.
                let is_part = |part: &str| {
                    let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
                    !part.is_empty() && part.chars().all(allowed)
                };
                let parts = rest.rsplit_once(':').filter(|(f, part)| f.len() > 1 && is_part(part));
                let (file, part) = parts.map_or((rest, None), |(f, p)| (f, Some(p.to_owned())));
                Self::List { file: PathBuf::from(file), part }
            }
            _ => return Err(unknown()),
        };
        protocol.check()?;
        Ok(protocol)
    }
}

impl Protocol {
    /// Whether the splits are those that the dataset is read with.
    pub fn is_published(&self) -> bool {
        matches!(self, Self::Published { .. })
    }

    /// Checks the numbers of folds.
    pub(crate) fn check(&self) -> Result<(), ProtocolError> {
        match self {
            Self::Published { fold: Some(0) } => Err(ProtocolError::FoldZero),
            Self::KFold { k, .. } if *k < 2 => Err(ProtocolError::TooFewFolds(self.clone())),
            Self::KFold { k, fold, .. } if !(1..=*k).contains(fold) => {
                Err(ProtocolError::FoldOutOfRange { protocol: self.clone(), k: *k })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_round_trip() {
        for text in [
            "published",
            "published:3",
            "random:18446744073709551615",
            "kfold:10:10",
            "subjects:5:1",
            "leave-out:001",
            "leave-out:a:b",
            "list:lists/AgeDB.json",
            "list:lists/AgeDB.json:4",
            "list:/a:b/morph.csv",
            "list:C:\\lists\\morph.csv:split_1",
        ] {
            let protocol: Protocol = text.parse().unwrap();
            assert_eq!(protocol.to_string(), text);
            let json = serde_json::to_string(&protocol).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol);
        }
    }

    #[test]
    fn the_part_of_a_list_follows_the_last_colon() {
        let list = |file: &str, part: Option<&str>| Protocol::List {
            file: file.into(),
            part: part.map(str::to_owned),
        };
        for (text, protocol) in [
            ("list:a.json:0", list("a.json", Some("0"))),
            ("list:a:b/c.csv", list("a:b/c.csv", None)),
            ("list:C:\\c.csv", list("C:\\c.csv", None)),
            ("list:C:\\c.csv:fold-2", list("C:\\c.csv", Some("fold-2"))),
        ] {
            assert_eq!(text.parse(), Ok(protocol), "{text}");
        }
    }

    #[test]
    fn invalid_text_is_refused_with_the_reason() {
        for (text, part) in [
            ("", "unknown protocol"),
            ("official", "unknown protocol"),
            ("random", "unknown protocol"),
            ("random:x", "unknown protocol"),
            ("kfold:5", "unknown protocol"),
            ("published:", "unknown protocol"),
            ("leave-out:", "unknown protocol"),
            ("list:", "unknown protocol"),
            ("published:0", "count from 1"),
            ("kfold:1:1", "at least 2 folds"),
            ("subjects:5:0", "1 to 5"),
            ("subjects:5:6", "1 to 5"),
        ] {
            let reason = text.parse::<Protocol>().unwrap_err().to_string();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
