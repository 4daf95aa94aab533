//! Arguments that name a labeled dataset and say how a model is run over it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser};
use dldl::Task;
use dldl_data::{Protocol, Split};
use dldl_eval::{Options, Source};

use crate::outcome::UsageError;
use crate::shared_args::ThreadArgs;

/// Help text of `--protocol`.
pub const PROTOCOL_HELP: &str = "\
How the dataset is split: published, published:FOLD, random:SEED, kfold:K:FOLD, \
subjects:K:FOLD (no person in two splits), leave-out:PERSON, or list:FILE or list:FILE:PART \
(by a published list, docs/datasets.md)";

/// A dataset or a cache, and how a model is run over it.
#[derive(clap::Args)]
pub struct DatasetArgs {
    /// Format of the dataset, or `cache`
    #[arg(long, value_name = "FORMAT", value_parser = dataset_names(true))]
    dataset: String,

    /// Folder of the dataset
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// Table of labels [default: where the dataset has it]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", default_value_t, help = PROTOCOL_HELP)]
    protocol: Protocol,

    /// Task to evaluate, for a model with several [default: the model's first]
    #[arg(long, value_name = "TASK")]
    task: Option<Task>,

    /// Range of the dataset's labels, where it differs from the model's: the labels
    /// are rescaled linearly
    #[arg(long, value_name = "LOW:HIGH", value_parser = scale)]
    rescale: Option<[f64; 2]>,

    /// Skip face detection: the pictures are aligned already
    #[arg(long)]
    no_detect: bool,

    #[command(flatten)]
    threads: ThreadArgs,
}

impl DatasetArgs {
    /// Opens the dataset.
    pub fn open(&self) -> Result<Source> {
        open(&self.dataset, &self.root, self.labels.as_deref(), &self.protocol)
    }

    /// How a model is run over one split.
    pub fn options(&self, split: SplitArg) -> Options {
        Options {
            task: self.task,
            split: split.0,
            rescale: self.rescale,
            no_detect: self.no_detect,
            corruption: None,
            thresholds: Vec::new(),
            part: None,
            threads: self.threads.count(),
        }
    }
}

/// One split, or all samples.
#[derive(Clone, Copy)]
pub struct SplitArg(pub Option<Split>);

impl SplitArg {
    /// Parses the value of `--split`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(None)),
            _ => {
                let split =
                    text.parse().map_err(|e: dldl_data::UnknownSplit| format!("{e}, or all"))?;
                Ok(Self(Some(split)))
            }
        }
    }
}

/// Parses the value of `--rescale`.
fn scale(text: &str) -> Result<[f64; 2], String> {
    let ends = text.split_once(':').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
    match ends {
        Some([low, high]) if f64::is_finite(low) && f64::is_finite(high) && low < high => {
            Ok([low, high])
        }
        _ => Err("expected LOW:HIGH with LOW < HIGH, such as 1:7".into()),
    }
}

/// The names of the dataset formats with their descriptions.
pub fn dataset_names(with_cache: bool) -> PossibleValuesParser {
    let formats = dldl_data::FORMATS.iter().map(|f| PossibleValue::new(f.name).help(f.about));
    let cache = PossibleValue::new("cache").help("a folder written by `dldl prepare`");
    PossibleValuesParser::new(formats.chain(with_cache.then_some(cache)))
}

/// Opens a dataset, or a cache, which has its own labels and splits.
pub fn open(
    dataset: &str,
    root: &Path,
    labels: Option<&Path>,
    protocol: &Protocol,
) -> Result<Source> {
    if dataset == "cache" && labels.is_some() {
        return Err(UsageError::LabelsOfCache.into());
    }
    Ok(Source::open_with(dataset, root, labels, protocol).map_err(UsageError::new)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_two_increasing_numbers() {
        assert_eq!(scale("1:7"), Ok([1.0, 7.0]));
        assert_eq!(scale("-3.6:3.6"), Ok([-3.6, 3.6]));
        for bad in ["", "1", "7:1", "1:1", "1:x", "nan:2", "1:inf", "1:2:3"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }
}
