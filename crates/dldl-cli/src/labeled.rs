//! Labeled pictures as arguments: which dataset, where it lies, how it is divided,
//! and how a model looks at it. What is done with them is in the files of the
//! commands.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl_data::{Protocol, Split};
use dldl_eval::{Options, Source};

use crate::cli::{self, Usage};

/// A dataset or a cache that a model is run over, and how.
#[derive(clap::Args)]
pub struct Labeled {
    /// How the dataset lies on disk
    #[arg(long, value_name = "FORMAT", value_parser = cli::dataset_names(true))]
    dataset: String,

    /// The dataset's folder
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// The table of labels [default: labels.csv in the dataset's folder]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// How it is divided: published, published:FOLD, random:SEED, kfold:K:FOLD,
    /// subjects:K:FOLD (people apart) or leave-out:PERSON
    #[arg(long, value_name = "PROTOCOL", default_value_t)]
    protocol: Protocol,

    /// Which of the things that the model estimates [default: the first of them]
    #[arg(long, value_name = "TASK")]
    task: Option<String>,

    /// The ends of the dataset's scale, where it is not that of the model: its
    /// labels are rescaled linearly
    #[arg(long, value_name = "LOW:HIGH", value_parser = scale)]
    rescale: Option<[f64; 2]>,

    /// Do not search faces: the pictures are aligned already
    #[arg(long)]
    no_detect: bool,

    /// Threads [default: as many as there are processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Labeled {
    /// Opens it.
    pub fn open(&self) -> Result<Source> {
        open(&self.dataset, &self.root, self.labels.as_deref(), &self.protocol)
    }

    /// How a part of it is looked at.
    pub fn options(&self, part: Part) -> Options {
        Options {
            task: self.task.clone(),
            split: part.0,
            rescale: self.rescale,
            no_detect: self.no_detect,
            disturbance: None,
            threads: self.threads.map_or(0, usize::from),
        }
    }
}

/// One split, or all samples.
#[derive(Clone, Copy)]
pub struct Part(pub Option<Split>);

pub fn split(text: &str) -> Result<Part, String> {
    match text {
        "all" => Ok(Part(None)),
        _ => {
            text.parse().map(|split| Part(Some(split))).map_err(|e: String| format!("{e}, or all"))
        }
    }
}

/// Both ends of a scale.
fn scale(text: &str) -> Result<[f64; 2], String> {
    let ends = text.split_once(':').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
    match ends {
        Some([low, high]) if f64::is_finite(low) && f64::is_finite(high) && low < high => {
            Ok([low, high])
        }
        _ => Err("the two ends of a scale are needed, such as 1:7".into()),
    }
}

/// Opens a dataset, or a cache, which brings labels and division itself.
pub fn open(
    dataset: &str,
    root: &Path,
    labels: Option<&Path>,
    protocol: &Protocol,
) -> Result<Source> {
    if dataset == "cache" && labels.is_some() {
        return Err(Usage::from("--labels: a cache brings its labels itself").into());
    }
    Ok(Source::open_with(dataset, root, labels, protocol).map_err(Usage::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_two_ends() {
        assert_eq!(scale("1:7"), Ok([1.0, 7.0]));
        assert_eq!(scale("-3.6:3.6"), Ok([-3.6, 3.6]));
        for bad in ["", "1", "7:1", "1:1", "1:x", "nan:2", "1:inf", "1:2:3"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
    }
}
