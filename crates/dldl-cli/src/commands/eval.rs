//! `dldl eval`: measures a model's errors on a labeled dataset.

use std::path::PathBuf;

use anyhow::Result;
use dldl::Estimator;
use dldl_data::Part;
use dldl_eval::{Corruption, Options, Progress, evaluate};

use crate::dataset_args::{DatasetArgs, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat, write_file};
use crate::progress;
use crate::shared_args::{DetectorArgs, ModelArgs, ThresholdArgs};

/// Measure a model's errors on a labeled dataset
///
/// Prints the mean absolute error (MAE), the root mean squared error (RMSE), the
/// percentage of errors of at most 3, 5 and 8 years (CS@3, CS@5, CS@8; for scores of
/// 0.3, 0.5 and 0.8 points), and ChaLearn's epsilon-error where the raters' standard
/// deviation is known. Each is given with and without flip fusion (averaging with the
/// mirror image) and with a 95 % bootstrap interval, over people where they are known
/// and over photographs where they are not. Then follow the
/// coverage of the model's intervals; errors by age, sex, race and their
/// combinations; and, for ages, the error rates of an age check at 18 (after NIST's
/// age assurance evaluation). With --threshold N, it also measures the probability of
/// being at least N: ROC curve, reliability, and at given rates of errors of one kind how
/// many errors of the other kind there are, by sex and race. A picture without a detected face is used whole; one
/// that cannot be read is counted and listed.
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

    #[command(flatten)]
    detector: DetectorArgs,

    /// Corrupt every picture first, as `dldl robustness` does: blur:2, jpeg:10,
    /// scale:0.8
    #[arg(long, alias = "disturb", value_name = "WHAT")]
    corrupt: Option<Corruption>,

    #[command(flatten)]
    thresholds: ThresholdArgs,

    /// Evaluate one part of the pictures, on one of several machines: 2/8 is the second of
    /// eight. `dldl merge` joins their files
    #[arg(long, value_name = "K/N")]
    part: Option<Part>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,

    /// Also write the evaluation, with the estimate of every picture, to this JSON
    /// file, for `dldl compare` and `dldl report`
    #[arg(short, long, value_name = "FILE.json")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  dldl eval --dataset utkface --root utkface --split test
  dldl eval --dataset csv --root photos --labels ages.csv --split all --format json
  dldl eval --model runs/both/model.safetensors --task attractiveness \
            --dataset scut-fbp5500 --root SCUT-FBP5500
  dldl eval --model runs/mine/model.safetensors --dataset cache --root cache/mine
  dldl eval --dataset utkface --root utkface --out tiny-utkface.json
  dldl eval --dataset utkface --root utkface --part 2/8 --out part-2.json
  dldl eval --dataset utkface --root utkface --threshold 18   # who is taken for 18 or older?
  dldl eval --model scut.safetensors --dataset london --root london --rescale 1:7";

pub fn run(args: Args) -> Result<Outcome> {
    let estimator = Estimator::load(&args.model.path).map_err(UsageError::new)?;
    let estimator = estimator.detector_params(args.detector.params());
    let source = args.dataset.open()?;
    let options = Options {
        corruption: args.corrupt,
        thresholds: args.thresholds.list(),
        part: args.part,
        ..args.dataset.options(args.split)
    };
    let mut bar = None;
    let mut show = |p: Progress| {
        bar.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    };
    let evaluation = evaluate(estimator, &source, &options, &mut show).map_err(UsageError::new)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if let Some(path) = &args.out {
        write_file(path, (evaluation.to_json() + "\n").as_bytes())?;
    }
    match args.format {
        ReportFormat::Table => printing::print(&evaluation.to_string())?,
        ReportFormat::Json => printing::print(&evaluation.to_json())?,
    }
    Ok(Outcome::of(evaluation.failures + evaluation.problems.len()))
}
