//! `dldl explain`: what a model looks at, and how Ranking and label distributions
//! hang together.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use dldl::{Crop, Estimator, Picture, align};
use dldl_data::{Protocol, main_face};
use dldl_eval::understand::ranking::{learned_of_crops, learned_over_set};
use dldl_eval::understand::{
    Kind, Maps, SetOptions, learned_figure, over_set, paint, theorem_figure,
};
use dldl_eval::{Progress, Source, draw};

use crate::dataset_args::{self, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing;
use crate::progress;
use crate::shared_args::{ModelArgs, ThreadArgs};

/// Show what a model looks at, and how Ranking and DLDL hang together
///
/// Of one picture, or averaged over a labeled dataset by band of the truth. The
/// numbers go to stdout, the picture to the file of --out. A mean of many faces is no
/// picture of a person; the picture of one face is, so mind whose it is.
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
            portrait.jpg --out learned.svg";

#[derive(Subcommand)]
enum What {
    /// Class activation maps: what each place adds to the estimate
    ///
    /// From the last feature map (3x3 places at 96 pixels, 7x7 at 224) and the last
    /// layer: sum_c (sum_k p_k (l_k - y) W_kc) F_c at each place, in units of the
    /// label; red adds, blue lowers. Needs a model in floating point.
    #[command(after_help = EXAMPLES)]
    Cam(MapArgs),
    /// Occlusion: how the estimate, or the error, moves when a part is covered
    ///
    /// Covers seven vertical and seven horizontal strips and a grid of 7x7 squares, one
    /// after the other, with the mean color, in the picture and in its mirror image
    /// at the same place. For a picture the numbers are the change of the estimate,
    /// for a dataset the mean absolute error and the mean change.
    #[command(after_help = EXAMPLES)]
    Occlusion(MapArgs),
    /// The link between Ranking and label distributions, as a figure
    ///
    /// Without --models: one minus the cumulative label distribution as sigma shrinks,
    /// and the rank code that it becomes. With them: what two trained models believe
    /// of \"more than l_k\", for each face of a picture or averaged over a dataset.
    #[command(after_help = EXAMPLES)]
    Ranking(RankingArgs),
}

#[derive(clap::Args)]
struct MapArgs {
    /// The picture
    #[arg(value_name = "PICTURE", required_unless_present = "dataset", conflicts_with = "dataset")]
    picture: Option<PathBuf>,

    #[command(flatten)]
    model: ModelArgs,

    /// Where the maps are drawn, as PNG
    #[arg(short, long, value_name = "FILE.png")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

#[derive(clap::Args)]
struct RankingArgs {
    /// The picture; with --models
    #[arg(value_name = "PICTURE", requires = "models", conflicts_with = "dataset")]
    picture: Option<PathBuf>,

    /// Two trained models, one of Ranking and one of distributions
    #[arg(long, num_args = 2, value_names = ["RANKING", "DLDL"])]
    models: Option<Vec<PathBuf>>,

    /// Where the figure is written, as SVG [default without --models: stdout]
    #[arg(short, long, value_name = "FILE.svg")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

/// The pictures to explain, and how.
#[derive(clap::Args)]
struct InputArgs {
    /// How the dataset lies on disk
    #[arg(long, value_name = "FORMAT", requires = "root", value_parser = dataset_args::dataset_names(true))]
    dataset: Option<String>,

    /// The dataset's folder
    #[arg(long, value_name = "DIR", requires = "dataset")]
    root: Option<PathBuf>,

    /// The table of labels [default: labels.csv in the dataset's folder]
    #[arg(long, value_name = "FILE", requires = "dataset")]
    labels: Option<PathBuf>,

    /// How it is divided, as for `dldl eval`
    #[arg(long, value_name = "PROTOCOL", requires = "dataset", default_value_t)]
    protocol: Protocol,

    /// Which part of the dataset: train, val, test, or all
    #[arg(long, default_value = "test", value_parser = SplitArg::parse)]
    split: SplitArg,

    /// No more than so many pictures of the dataset, taken evenly
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,

    /// What to look at, for a model that estimates several things [default: what it
    /// estimates first of all]
    #[arg(long, value_name = "TASK")]
    task: Option<String>,

    /// Of a picture with several faces only the main one
    #[arg(long)]
    main: bool,

    /// Do not search faces: the pictures are aligned already
    #[arg(long)]
    no_detect: bool,

    /// Side of the crops in pixels, a multiple of 32; a larger one gives finer maps, of a
    /// face of a size that the model did not learn [default: what the model wants]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(32..=1024))]
    size: Option<u16>,

    /// How the numbers are printed
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
    /// One line for each number
    Csv,
}

impl InputArgs {
    fn options(&self) -> SetOptions {
        SetOptions {
            task: self.task.clone(),
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
            let path = args.picture.as_deref().context("a picture or a dataset is needed")?;
            let head = head(&estimator, &args.input)?;
            let crops = crops(std::slice::from_ref(&estimator), path, &args.input)?.remove(0);
            let engine = estimator.engine();
            let name = path.to_string_lossy();
            Maps::of_crops(kind, engine, head, &crops, &name).map_err(UsageError::new)?
        }
    };
    if let Some(out) = &args.out {
        write(out, &draw::png(&paint(&maps)))?;
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
        let figure = theorem_figure();
        match &args.out {
            Some(out) => write(out, figure.as_bytes())?,
            None => printing::print(&figure)?,
        }
        return Ok(Outcome::Complete);
    };
    let models: Vec<Estimator> =
        paths.iter().map(|path| load(path, &args.input)).collect::<Result<_>>()?;
    let learned = match (args.input.source()?, &args.picture) {
        (Some(source), _) => {
            let mut bar = Bar::default();
            let done =
                learned_over_set(&models, &source, &args.input.options(), &mut |p| bar.show(p));
            bar.end();
            done.map_err(UsageError::new)?
        }
        (None, Some(path)) => {
            let heads: Vec<usize> =
                models.iter().map(|model| head(model, &args.input)).collect::<Result<_>>()?;
            let crops = crops(&models, path, &args.input)?;
            learned_of_crops(&models, &heads, &crops, &path.to_string_lossy())
                .map_err(UsageError::new)?
        }
        (None, None) => {
            return Err(
                UsageError::new("--models needs a PICTURE, or --dataset with --root").into()
            );
        }
    };
    if let Some(out) = &args.out {
        write(out, learned_figure(&learned).as_bytes())?;
    }
    printing::print(&match args.input.format {
        Format::Table => learned.to_string(),
        Format::Json => learned.to_json(),
        Format::Csv => learned.to_csv(),
    })?;
    Ok(Outcome::of(learned.failed.len()))
}

fn load(model: &Path, input: &InputArgs) -> Result<Estimator> {
    let estimator = Estimator::load(model).map_err(UsageError::new)?.flip_fusion(false);
    let step = estimator.engine().info().net.size_step();
    match input.size {
        Some(size) if !usize::from(size).is_multiple_of(step) => {
            Err(UsageError::new(format!("--size {size}: the network needs a multiple of {step}"))
                .into())
        }
        _ => Ok(estimator),
    }
}

/// The number of the head that is asked for.
fn head(estimator: &Estimator, input: &InputArgs) -> Result<usize> {
    let heads = estimator.engine().info().heads();
    let tasks: Vec<String> = heads.into_iter().map(|(head, _)| head.task).collect();
    let Some(task) = &input.task else { return Ok(0) };
    match tasks.iter().position(|known| known == task) {
        Some(head) => Ok(head),
        None => {
            let known = tasks.join(" and ");
            Err(UsageError::new(format!("the model does not estimate {task}, but {known}")).into())
        }
    }
}

/// The faces of a picture as each model wants to see them.
fn crops(models: &[Estimator], path: &Path, input: &InputArgs) -> Result<Vec<Vec<Crop>>> {
    let picture: Picture = dldl::decode_file(path)?;
    let size = |model: &Estimator| input.size.map_or(model.engine().info().input_size, usize::from);
    if input.no_detect {
        let whole = |model: &Estimator| vec![dldl::whole_picture(&picture, size(model))];
        return Ok(models.iter().map(whole).collect());
    }
    let mut faces = models[0].detect(&picture);
    if faces.is_empty() {
        let what = "no face found; --no-detect takes the picture for an aligned face";
        anyhow::bail!("{}: {what}", path.display());
    }
    if input.main
        && let Some(main) = main_face(&faces, picture.width(), picture.height())
    {
        faces = vec![faces.swap_remove(main)];
    }
    let all = |model: &Estimator| {
        let template = &model.engine().info().template;
        faces.iter().map(|f| align(&picture, &f.landmarks, template, size(model))).collect()
    };
    Ok(models.iter().map(all).collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

/// A progress bar that begins with the first picture.
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
