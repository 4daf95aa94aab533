//! `dldl robustness`: measures a model's errors on corrupted pictures.

use anyhow::Result;
use dldl::Estimator;
use dldl_eval::{Corruption, Progress, robustness};

use crate::dataset_args::{DatasetArgs, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat};
use crate::progress;
use crate::shared_args::ModelArgs;

/// Measure a model's errors on corrupted pictures
///
/// Runs the model over the dataset as it is, and once for each corruption: changes that
/// nobody sees (a new encoding, a slightly different crop), shifted and
/// scaled crops (errors of a detector), rotation, cropping, blur, low resolution, JPEG
/// artifacts, gray and dark pictures. Faces are detected anew each time. Each line has
/// the mean absolute error with flip fusion and its increase, the bias, the mean change
/// of the estimates, and the coverage of the 90 % intervals.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    dataset: DatasetArgs,

    /// Split to evaluate: train, val, test, or all
    #[arg(long, default_value = "test", value_parser = SplitArg::parse)]
    split: SplitArg,

    /// Corruption to apply instead of the standard list; may be given several times:
    /// move:RIGHT,DOWN (in sides of the crop), scale:FACTOR, rotate:DEGREES,
    /// cut:FRACTION, blur:PIXELS, downscale:FRACTION, jpeg:QUALITY, gray,
    /// brightness:FACTOR
    #[arg(long, alias = "disturb", value_name = "WHAT", allow_hyphen_values = true)]
    corrupt: Vec<Corruption>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

const EXAMPLES: &str = "\
Examples:
  dldl robustness --dataset utkface --root utkface
  dldl robustness --dataset csv --root photos --split all --corrupt blur:2 --corrupt jpeg:10
  dldl eval --dataset utkface --root utkface --corrupt downscale:0.25   # all metrics, by group";

pub fn run(args: Args) -> Result<Outcome> {
    let estimator = Estimator::load(&args.model.path).map_err(UsageError::new)?;
    let source = args.dataset.open()?;
    let options = args.dataset.options(args.split);
    let list = match &args.corrupt[..] {
        [] => &Corruption::STANDARD[..],
        given => given,
    };
    let mut bar = None;
    let mut show = |p: Progress| {
        bar.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    };
    let found =
        robustness(estimator, &source, &options, list, &mut show).map_err(UsageError::new)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    match args.format {
        ReportFormat::Table => printing::print(&found.to_string())?,
        ReportFormat::Json => printing::print(&found.to_json())?,
    }
    Ok(Outcome::of(found.clean.failures))
}
