//! `dldl compare`: shows evaluations side by side.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl_eval::{Comparison, Evaluation, Layout};

use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// Compare evaluations of models, datasets or methods
///
/// Prints one row for each file written by `dldl eval --out`, and tables of models by
/// datasets if there are several datasets. "rescaled" is the MAE after the linear map
/// of the estimates that fits the labels best: like Pearson's correlation, it is meant
/// for datasets whose scale differs from the model's.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files written by `dldl eval --out` or `dldl eval --format json`
    #[arg(required = true, value_name = "FILE.json")]
    evaluations: Vec<PathBuf>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Output format of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// Tables for documents
    Markdown,
    /// The rows only, with all digits
    Csv,
    /// For programs
    Json,
}

const EXAMPLES: &str = "\
Examples:
  dldl eval --model a.safetensors --dataset utkface --root utkface --out a-utkface.json
  dldl eval --model a.safetensors --dataset fairface --root fairface --out a-fairface.json
  dldl compare a-utkface.json a-fairface.json
  dldl compare results/*.json --format markdown > table.md";

pub fn run(args: Args) -> Result<Outcome> {
    let read = |path: &PathBuf| Ok((path.display().to_string(), read(path)?));
    let evaluations = args.evaluations.iter().map(read).collect::<Result<Vec<_>, UsageError>>()?;
    let layout = match args.format {
        Format::Table => Layout::Text,
        Format::Markdown => Layout::Markdown,
        Format::Csv => Layout::Csv,
        Format::Json => Layout::Json,
    };
    printing::print(&Comparison::new(&evaluations).to_text(layout))?;
    Ok(Outcome::Complete)
}

/// The evaluation in a file.
///
/// # Errors
/// If there is none.
pub fn read(path: &Path) -> Result<Evaluation, UsageError> {
    let file = || path.to_owned();
    let text = std::fs::read_to_string(path)
        .map_err(|source| UsageError::Read { path: file(), source })?;
    serde_json::from_str(&text)
        .map_err(|source| UsageError::NotAnEvaluation { path: file(), source })
}
