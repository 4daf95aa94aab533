//! `dldl explain`: shows what a model looks at, what distributions it has learned, and how
//! Ranking relates to label distribution learning.

mod distributions;
mod input;
mod ranking;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use dldl_eval::understand::{Kind, Maps, over_set, paint};

use self::distributions::DistributionArgs;
use self::input::{Bar, Format, InputArgs, crops, head, load};
use self::ranking::RankingArgs;
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};
use crate::shared_args::ModelArgs;

/// Show what a model looks at and what it has learned, and how Ranking relates to DLDL
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
            portrait.jpg --out ranks.svg
  dldl explain distributions --dataset utkface --root utkface --limit 6 --out learned.svg";

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
    /// Learned distributions beside the labels' distributions, for chosen faces
    ///
    /// For faces of a labeled dataset: the label's distribution as an area, and the
    /// distributions of one or more models as lines, with flip fusion. The table has each
    /// model's estimate, spread, and its divergence from the label's distribution in nats.
    #[command(after_help = EXAMPLES)]
    Distributions(DistributionArgs),
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

pub fn run(args: Args) -> Result<Outcome> {
    match args.what {
        What::Cam(args) => maps(Kind::Cam, args),
        What::Occlusion(args) => maps(Kind::Occlusion, args),
        What::Ranking(args) => ranking::run(args),
        What::Distributions(args) => distributions::run(args),
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
