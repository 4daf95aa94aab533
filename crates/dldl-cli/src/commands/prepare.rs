//! `dldl prepare`: packs a dataset into a cache of aligned crops.

use std::path::PathBuf;

use anyhow::Result;
use dldl_data::{Parameters, Part, Protocol, Report};

use crate::dataset_args::{self, PROTOCOL_HELP};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat};
use crate::progress;
use crate::shared_args::ThreadArgs;

/// Pack a dataset into a cache of aligned faces for training
///
/// Detects and aligns the face in every picture once, and packs the crops into a
/// folder of tar files (WebDataset: NAME.jpg and NAME.json per picture, one split per
/// file). A picture without a detected face is used whole. To continue after an
/// interruption, rerun the same command.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Format of the dataset
    #[arg(long, value_name = "FORMAT", value_parser = dataset_args::dataset_names(false))]
    dataset: String,

    /// Folder of the dataset
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// Table of labels [default: where the dataset has it]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", default_value_t, help = PROTOCOL_HELP)]
    protocol: Protocol,

    /// Folder of the cache, created if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Side of the crops, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,

    /// Skip face detection: use the central square of every picture
    #[arg(long)]
    no_detect: bool,

    /// Output format; the report is also written to report.json in the cache
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,

    /// Prepare one part, on one of several machines: 2/8 is the second of eight. Each part
    /// has a folder of its own; `dldl merge` joins them
    #[arg(long, value_name = "K/N")]
    part: Option<Part>,

    #[command(flatten)]
    threads: ThreadArgs,
}

const EXAMPLES: &str = "\
Examples:
  dldl prepare --dataset utkface --root utkface --out cache/utkface
  dldl prepare --dataset csv --root photos --labels ages.csv --out cache/mine
  dldl prepare --dataset lagenda --root lagenda --part 2/8 --out cache/lagenda-2
  dldl prepare --dataset morph --root MORPH --protocol subjects:5:1 --out cache/morph-1

`dldl data list` describes the datasets, `dldl data check` finds problems in one.

A csv dataset is a table with the header file,age and optionally sigma, group and
split (train, val or test); other columns are ignored. Files are relative to --root.
Without the column split, it is derived from the group or the file name.";

pub fn run(args: Args) -> Result<Outcome> {
    let (root, labels) = (&args.root, args.labels.as_deref());
    let dataset = dldl_data::load_with(&args.dataset, root, labels, &args.protocol);
    let dataset = dataset.map_err(UsageError::new)?;
    let mut parameters = Parameters { crop_size: args.size, ..Parameters::default() };
    if args.no_detect {
        parameters.detector = None;
    }
    let bar = progress::bar(dataset.samples.len());
    let threads = args.threads.count();
    let show = |p: dldl_data::Progress| bar.set_position(p.done as u64);
    let report =
        dldl_data::prepare_part(&dataset, &args.out, &parameters, args.part, threads, &show)?;
    bar.finish_and_clear();
    match args.format {
        ReportFormat::Table => printing::print(&text(&report, &args.out.display().to_string()))?,
        ReportFormat::Json => printing::print(&serde_json::to_string_pretty(&report)?)?,
    }
    Ok(Outcome::of(report.failed.len() + report.problems.len()))
}

/// The most problems of a kind that are printed; report.json has all.
const SHOWN: usize = 20;

pub fn text(report: &Report, out: &str) -> String {
    let counts = report.counts;
    let packed = counts.aligned + counts.whole_picture;
    let mut text = format!(
        "{}: {packed} pictures packed into {out}\n\
         {} aligned, {} used whole (no face found), {} failed",
        report.dataset, counts.aligned, counts.whole_picture, counts.failed
    );
    if report.kept > 0 {
        text += &format!("; {} were packed before", report.kept);
    }
    if !report.left_out.is_empty() {
        text += &format!("; {} left out on purpose (see report.json)", report.left_out.len());
    }
    text.push('\n');
    for (what, list) in
        [("failed", &report.failed), ("invalid entries of the dataset", &report.problems)]
    {
        if !list.is_empty() {
            text += &format!("\n{what}:\n");
        }
        for problem in list.iter().take(SHOWN) {
            text += &format!("  {}: {}\n", problem.file, problem.reason);
        }
        if list.len() > SHOWN {
            text += &format!("  and {} more (report.json lists all)\n", list.len() - SHOWN);
        }
    }
    text
}
