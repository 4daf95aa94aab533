//! The pictures that `dldl explain` explains: arguments, models, crops.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use dldl::{Crop, Estimator, Face, Task};
use dldl_data::Protocol;
use dldl_eval::understand::SetOptions;
use dldl_eval::{Progress, Source};
use dldl_face::{crop_face, main_face};

use crate::dataset_args::{self, PROTOCOL_HELP, SplitArg};
use crate::outcome::UsageError;
use crate::progress;
use crate::shared_args::ThreadArgs;

/// The pictures to explain, and how.
#[derive(clap::Args)]
pub(super) struct InputArgs {
    /// Format of the dataset, or `cache`
    #[arg(long, value_name = "FORMAT", requires = "root", value_parser = dataset_args::dataset_names(true))]
    pub(super) dataset: Option<String>,

    /// Folder of the dataset
    #[arg(long, value_name = "DIR", requires = "dataset")]
    pub(super) root: Option<PathBuf>,

    /// Table of labels [default: where the dataset has it]
    #[arg(long, value_name = "FILE", requires = "dataset")]
    pub(super) labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", requires = "dataset", default_value_t, help = PROTOCOL_HELP)]
    pub(super) protocol: Protocol,

    /// Split to use: train, val, test, or all
    #[arg(long, default_value = "test", value_parser = SplitArg::parse)]
    pub(super) split: SplitArg,

    /// Use at most this many pictures of the dataset, evenly spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) limit: Option<u32>,

    /// Task to explain, for a model with several [default: the model's first]
    #[arg(long, value_name = "TASK")]
    pub(super) task: Option<Task>,

    /// Explain only the main face of a picture with several
    #[arg(long)]
    pub(super) main: bool,

    /// Skip face detection: the pictures are aligned already
    #[arg(long)]
    pub(super) no_detect: bool,

    /// Side of the crops, in pixels, a multiple of 32. Larger crops give finer maps, but
    /// of faces larger than the model was trained on [default: the model's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=1024))]
    pub(super) size: Option<u16>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,

    #[command(flatten)]
    pub(super) threads: ThreadArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs, and for `dldl report`
    Json,
    /// One line per value
    Csv,
}

impl InputArgs {
    pub(super) fn options(&self) -> SetOptions {
        SetOptions {
            task: self.task,
            split: self.split.0,
            limit: self.limit.map(|n| n as usize),
            no_detect: self.no_detect,
            size: self.size.map(usize::from),
            threads: self.threads.count(),
        }
    }

    /// The dataset, if one is named.
    pub(super) fn source(&self) -> Result<Option<Source>> {
        let (Some(dataset), Some(root)) = (&self.dataset, &self.root) else { return Ok(None) };
        dataset_args::open(dataset, root, self.labels.as_deref(), &self.protocol).map(Some)
    }
}

pub(super) fn load(model: &Path, input: &InputArgs) -> Result<Estimator> {
    let estimator = Estimator::load(model).map_err(UsageError::new)?.flip_fusion(false);
    let step = estimator.engine().info().net.size_step();
    match input.size {
        Some(size) if !usize::from(size).is_multiple_of(step) => {
            Err(UsageError::CropSize { size: size.into(), step }.into())
        }
        _ => Ok(estimator),
    }
}

/// Index of the requested head.
pub(super) fn head(estimator: &Estimator, input: &InputArgs) -> Result<usize> {
    let found = dldl_eval::find_head(estimator.engine().info(), input.task);
    Ok(found.map_err(UsageError::new)?)
}

/// The crops of a picture's faces for each model.
pub(super) fn crops(
    models: &[Estimator],
    path: &Path,
    input: &InputArgs,
) -> Result<Vec<Vec<Crop>>> {
    let picture = dldl::decode_file(path)?;
    // No face stands for the whole picture.
    let faces: Vec<Option<Face>> = if input.no_detect {
        vec![None]
    } else {
        let faces = models[0].detect(&picture);
        match main_face(&faces, picture.width(), picture.height()) {
            Some(main) if input.main => vec![Some(faces[main])],
            _ => faces.into_iter().map(Some).collect(),
        }
    };
    if faces.is_empty() {
        let what = "no face found; --no-detect uses the picture as an aligned face";
        anyhow::bail!("{}: {what}", path.display());
    }
    let crops = |model: &Estimator| {
        let info = model.engine().info();
        let size = input.size.map_or(info.input_size, usize::from);
        faces.iter().map(|f| crop_face(&picture, f.as_ref(), &info.template, size)).collect()
    };
    Ok(models.iter().map(crops).collect())
}

/// A progress bar that appears with the first picture.
#[derive(Default)]
pub(super) struct Bar(Option<indicatif::ProgressBar>);

impl Bar {
    pub(super) fn show(&mut self, p: Progress) {
        self.0.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
