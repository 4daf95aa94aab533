//! `dldl eval`: a model's errors on a labelled dataset.

use std::path::PathBuf;

use anyhow::{Context, Result};
use dldl::Estimator;
use dldl_data::Split;
use dldl_eval::{Options, Progress, evaluate};

use crate::cli::{self, Outcome, ReportFormat, Usage};
use crate::labelled::Labelled;
use crate::progress;

/// Measure a model's errors on a labelled dataset
///
/// Prints the mean absolute error (MAE), the root mean squared error (RMSE), the
/// percentage of errors up to 3, 5 and 8 years (CS@3, CS@5, CS@8; tenths of a
/// point for scores), and, where the spread of the raters is known, ChaLearn's
/// epsilon-error; each with and without flip fusion (averaging with the mirror
/// image) and with a 95 % interval by a bootstrap over people. Then how many
/// truths the intervals hold; errors by age, sex, race and their crossings; and,
/// for ages, who would be let in by mistake where 18 is asked for (NIST's age
/// assurance). A picture in which no face is found is taken whole; one that
/// cannot be read is counted and named.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name of a built-in model, or the path of a weights file
    #[arg(short, long, value_name = "NAME|PATH", default_value = dldl::DEFAULT_MODEL)]
    model: PathBuf,

    #[command(flatten)]
    on: Labelled,

    /// What to measure, for a model that estimates several things [default: what
    /// it estimates first of all]
    #[arg(long, value_name = "TASK")]
    task: Option<String>,

    /// What to measure on: train, val, test, or all
    #[arg(long, default_value = "test", value_parser = split)]
    split: Part,

    /// The ends of the dataset's scale, where it is not that of the model: its
    /// labels are rescaled linearly
    #[arg(long, value_name = "LOW:HIGH", value_parser = scale)]
    rescale: Option<[f64; 2]>,

    /// Do not search faces: the pictures are aligned already
    #[arg(long)]
    no_detect: bool,

    /// How the report is printed
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,

    /// Also write all of it, with what was said of every picture, to a file of
    /// JSON, for `dldl compare`
    #[arg(short, long, value_name = "FILE.json")]
    out: Option<PathBuf>,

    /// Threads [default: as many as there are processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  dldl eval --dataset utkface --root utkface --split test
  dldl eval --dataset csv --root photos --labels ages.csv --split all --format json
  dldl eval --model runs/both/model.safetensors --task attractiveness \
            --dataset scut-fbp5500 --root SCUT-FBP5500
  dldl eval --model runs/mine/model.safetensors --dataset cache --root cache/mine
  dldl eval --dataset utkface --root utkface --out tiny-utkface.json
  dldl eval --model scut.safetensors --dataset london --root london --rescale 1:7";

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
pub fn scale(text: &str) -> Result<[f64; 2], String> {
    let ends = text.split_once(':').and_then(|(a, b)| Some([a.parse().ok()?, b.parse().ok()?]));
    match ends {
        Some([low, high]) if f64::is_finite(low) && f64::is_finite(high) && low < high => {
            Ok([low, high])
        }
        _ => Err("the two ends of a scale are needed, such as 1:7".into()),
    }
}

pub fn run(args: Args) -> Result<Outcome> {
    let estimator = Estimator::load(&args.model).map_err(Usage::from)?;
    let source = args.on.open()?;
    let options = Options {
        task: args.task,
        split: args.split.0,
        rescale: args.rescale,
        no_detect: args.no_detect,
        threads: args.threads.map_or(0, usize::from),
    };
    let mut bar = None;
    let mut show = |p: Progress| {
        bar.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    };
    let evaluation = evaluate(estimator, &source, &options, &mut show).map_err(Usage::from)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    if let Some(path) = &args.out {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        std::fs::write(&part, evaluation.to_json() + "\n")
            .and_then(|()| std::fs::rename(&part, path))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    match args.format {
        ReportFormat::Table => cli::print(&evaluation.to_string())?,
        ReportFormat::Json => cli::print(&evaluation.to_json())?,
    }
    Ok(Outcome::of(evaluation.failures + evaluation.problems.len()))
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
