//! `dldl explain`: shows what a model looks at, and how Ranking relates to label
//! distribution learning.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use dldl::{Crop, Estimator, Face, Task};
use dldl_data::Protocol;
use dldl_eval::understand::ranking::{rank_curves_of_crops, rank_curves_over_set};
use dldl_eval::understand::{
    Kind, Maps, SetOptions, over_set, paint, rank_code_figure, rank_curves_figure,
};
use dldl_eval::{Progress, Source};
use dldl_face::{crop_face, main_face};

use crate::dataset_args::{self, PROTOCOL_HELP, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Show what a model looks at, and how Ranking relates to DLDL
///
/// For one picture, or averaged over a labeled dataset by bands of the true label. The
/// numbers go to stdout, the figure to --out. The mean of many faces does not show a
/// person, but the figure of a single face does: mind whose it is.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

const EXAMPLES: &str = "\
Examples:
  dldl explain cam portrait.jpg --out map.png
  dldl explain occlusion --dataset utkface --root utkface --limit 500 --out bands.png
  dldl explain ranking --out ranking.svg
  dldl explain ranking --models runs/ranking/model.safetensors runs/dldl/model.safetensors \\
            portrait.jpg --out ranks.svg";

#[derive(Subcommand)]
enum What {
    /// Class activation maps: what each position adds to the estimate
    ///
    /// Computed from the last feature map (3x3 positions at 96 pixels, 7x7 at 224) and
    /// the last layer: sum_c (sum_k p_k (l_k - y) W_kc) F_c at each position, in units
    /// of the label. Red raises the estimate, blue lowers it. Needs a model in floating
    /// point.
    #[command(after_help = EXAMPLES)]
    Cam(MapArgs),
    /// Occlusion maps: how covering a part changes the estimate or the error
    ///
    /// Covers seven vertical and seven horizontal strips and a grid of 7x7 squares, one
    /// after the other, with the mean color, in the picture and in its mirror image
    /// at the same position. The numbers are the change of the estimate for a picture,
    /// and the mean absolute error and the mean change for a dataset.
    #[command(after_help = EXAMPLES)]
    Occlusion(MapArgs),
    /// Figure of the relation between Ranking and label distributions
    ///
    /// Without --models: one minus the cumulative label distribution for shrinking
    /// sigma, and its limit, the rank code. With --models: the probabilities of \"more
    /// than l_k\" by two trained models, for each face of a picture or averaged over a
    /// dataset.
    #[command(after_help = EXAMPLES)]
    Ranking(RankingArgs),
}

#[derive(clap::Args)]
struct MapArgs {
    /// Picture to explain
    #[arg(value_name = "PICTURE", required_unless_present = "dataset", conflicts_with = "dataset")]
    picture: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    /// File to draw the maps into, as PNG
    #[arg(short, long, value_name = "FILE.png")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

#[derive(clap::Args)]
struct RankingArgs {
    /// Picture to explain, with --models
    #[arg(value_name = "PICTURE", requires = "models", conflicts_with = "dataset")]
    picture: Option<PathBuf>,

    /// Two trained models, one by Ranking and one by DLDL
    #[arg(long, num_args = 2, value_names = ["RANKING", "DLDL"])]
    models: Option<Vec<PathBuf>>,

    /// File to write the figure to, as SVG [default without --models: stdout]
    #[arg(short, long, value_name = "FILE.svg")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

/// The pictures to explain, and how.
#[derive(clap::Args)]
struct InputArgs {
    /// Format of the dataset, or `cache`
    #[arg(long, value_name = "FORMAT", requires = "root", value_parser = dataset_args::dataset_names(true))]
    dataset: Option<String>,

    /// Folder of the dataset
    #[arg(long, value_name = "DIR", requires = "dataset")]
    root: Option<PathBuf>,

    /// Table of labels [default: where the dataset has it]
    #[arg(long, value_name = "FILE", requires = "dataset")]
    labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", requires = "dataset", default_value_t, help = PROTOCOL_HELP)]
    protocol: Protocol,

    /// Split to use: train, val, test, or all
    #[arg(long, default_value = "test", value_parser = SplitArg::parse)]
    split: SplitArg,

    /// Use at most this many pictures of the dataset, evenly spread
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// Task to explain, for a model with several [default: the model's first]
    #[arg(long, value_name = "TASK")]
    task: Option<Task>,

    /// Explain only the main face of a picture with several
    #[arg(long)]
    main: bool,

    /// Skip face detection: the pictures are aligned already
    #[arg(long)]
    no_detect: bool,

    /// Side of the crops, in pixels, a multiple of 32. Larger crops give finer maps, but
    /// of faces larger than the model was trained on [default: the model's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=1024))]
    size: Option<u16>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,

    #[command(flatten)]
    threads: ThreadArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs, and for `dldl report`
    Json,
    /// One line per value
    Csv,
}

impl InputArgs {
    fn options(&self) -> SetOptions {
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
    fn source(&self) -> Result<Option<Source>> {
        let (Some(dataset), Some(root)) = (&self.dataset, &self.root) else { return Ok(None) };
        dataset_args::open(dataset, root, self.labels.as_deref(), &self.protocol).map(Some)
    }
}

pub fn run(args: Args) -> Result<Outcome> {
    match args.what {
        What::Cam(args) => maps(Kind::Cam, args),
        What::Occlusion(args) => maps(Kind::Occlusion, args),
        What::Ranking(args) => ranking(args),
    }
}

fn maps(kind: Kind, args: MapArgs) -> Result<Outcome> {
    let estimator = load(&args.model.path, &args.input)?;
    let maps = match args.input.source()? {
        Some(source) => {
            let mut bar = Bar::default();
            let done =
                over_set(kind, &estimator, &source, &args.input.options(), &mut |p| bar.show(p));
            bar.end();
            done.map_err(UsageError::new)?
        }
        None => {
            let path = args.picture.as_deref().context("expected a picture or a dataset")?;
            let head = head(&estimator, &args.input)?;
            let crops = crops(std::slice::from_ref(&estimator), path, &args.input)?.remove(0);
            let engine = estimator.engine();
            let name = path.to_string_lossy();
            Maps::of_crops(kind, engine, head, &crops, &name).map_err(UsageError::new)?
        }
    };
    if let Some(out) = &args.out {
        write_file(out, &paint(&maps).to_png())?;
    }
    printing::print(&match args.input.format {
        Format::Table => maps.to_string(),
        Format::Json => maps.to_json(),
        Format::Csv => maps.to_csv(),
    })?;
    Ok(Outcome::of(maps.failed.len()))
}

fn ranking(args: RankingArgs) -> Result<Outcome> {
    let Some(paths) = &args.models else {
        let figure = rank_code_figure();
        match &args.out {
            Some(out) => write_file(out, figure.as_bytes())?,
            None => printing::print(&figure)?,
        }
        return Ok(Outcome::Complete);
    };
    let models: Vec<Estimator> =
        paths.iter().map(|path| load(path, &args.input)).collect::<Result<_>>()?;
    let rank_curves = match (args.input.source()?, &args.picture) {
        (Some(source), _) => {
            let mut bar = Bar::default();
            let done =
                rank_curves_over_set(&models, &source, &args.input.options(), &mut |p| bar.show(p));
            bar.end();
            done.map_err(UsageError::new)?
        }
        (None, Some(path)) => {
            let heads: Vec<usize> =
                models.iter().map(|model| head(model, &args.input)).collect::<Result<_>>()?;
            let crops = crops(&models, path, &args.input)?;
            rank_curves_of_crops(&models, &heads, &crops, &path.to_string_lossy())
                .map_err(UsageError::new)?
        }
        (None, None) => {
            return Err(UsageError::NothingToExplain.into());
        }
    };
    if let Some(out) = &args.out {
        write_file(out, rank_curves_figure(&rank_curves).as_bytes())?;
    }
    printing::print(&match args.input.format {
        Format::Table => rank_curves.to_string(),
        Format::Json => rank_curves.to_json(),
        Format::Csv => rank_curves.to_csv(),
    })?;
    Ok(Outcome::of(rank_curves.failed.len()))
}

fn load(model: &Path, input: &InputArgs) -> Result<Estimator> {
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
fn head(estimator: &Estimator, input: &InputArgs) -> Result<usize> {
    let found = dldl_eval::find_head(estimator.engine().info(), input.task);
    Ok(found.map_err(UsageError::new)?)
}

/// The crops of a picture's faces for each model.
fn crops(models: &[Estimator], path: &Path, input: &InputArgs) -> Result<Vec<Vec<Crop>>> {
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
struct Bar(Option<indicatif::ProgressBar>);

impl Bar {
    fn show(&mut self, p: Progress) {
        self.0.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    }

    fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
