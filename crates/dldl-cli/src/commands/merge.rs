//! `dldl merge`: joins what several machines evaluated or prepared.

use std::path::PathBuf;

use anyhow::Result;
use dldl_eval::Evaluation;

use crate::commands::{compare, prepare};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};

/// Join the parts that several machines evaluated or prepared
///
/// Takes the files of `dldl eval --part K/N --out`, or the folders of `dldl prepare --part
/// K/N`, in any order, and writes what one machine would have written: the same figures to
/// the last digit, the same cache to the last byte. Every part has to be there.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Evaluations of all parts, or the folders of all parts of a cache
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,

    /// File of the evaluation, or folder of the cache
    #[arg(short, long, value_name = "PATH")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  dldl eval --dataset utkface --root utkface --part 1/2 --out part-1.json   # machine 1
  dldl eval --dataset utkface --root utkface --part 2/2 --out part-2.json   # machine 2
  dldl merge part-*.json --out utkface.json

  dldl prepare --dataset utkface --root utkface --part 1/2 --out part-1     # machine 1
  dldl prepare --dataset utkface --root utkface --part 2/2 --out part-2     # machine 2
  dldl merge part-1 part-2 --out cache/utkface";

pub fn run(args: Args) -> Result<Outcome> {
    if args.parts.iter().any(|part| part.is_dir()) {
        let report = dldl_data::merge(&args.parts, &args.out).map_err(UsageError::new)?;
        printing::print(&prepare::text(&report, &args.out.display().to_string()))?;
        return Ok(Outcome::of(report.failed.len() + report.problems.len()));
    }
    let parts = args.parts.iter().map(|path| compare::read(path));
    let parts = parts.collect::<Result<Vec<_>, UsageError>>()?;
    let whole = Evaluation::merge(parts).map_err(UsageError::CannotMerge)?;
    write_file(&args.out, (whole.to_json() + "\n").as_bytes())?;
    printing::print(&whole.to_string())?;
    Ok(Outcome::of(whole.failures + whole.problems.len()))
}
