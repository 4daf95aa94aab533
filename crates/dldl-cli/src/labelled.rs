//! Labelled pictures as arguments: which dataset, where it lies, and how it is
//! divided. What is done with them is in the files of the commands.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl_data::Protocol;
use dldl_eval::Source;

use crate::cli::{self, Usage};

/// A dataset or a cache that a model is run over.
#[derive(clap::Args)]
pub struct Labelled {
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
}

impl Labelled {
    /// Opens it.
    pub fn open(&self) -> Result<Source> {
        open(&self.dataset, &self.root, self.labels.as_deref(), &self.protocol)
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
