//! `dldl compare`: evaluations side by side.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl_eval::{Comparison, Evaluation, Layout};

use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// Put evaluations side by side: models, datasets, methods
///
/// A row for each file that `dldl eval --out` wrote, and, where there are several
/// datasets, tables of models by datasets. "rescaled" is the MAE after the linear
/// map of the estimates that fits the labels best: for datasets whose scale is
/// not that of the model, as is Pearson's correlation.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files that `dldl eval --out` or `dldl eval --format json` wrote
    #[arg(required = true, value_name = "FILE.json")]
    evaluations: Vec<PathBuf>,

    /// How the comparison is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// How a comparison is printed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Table,
    /// Tables for documents
    Markdown,
    /// The rows alone, with all digits
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

fn read(path: &Path) -> Result<Evaluation, UsageError> {
    let named = |what: String| UsageError::new(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| named(format!("cannot be read: {e}")))?;
    serde_json::from_str(&text).map_err(|e| named(format!("no evaluation of `dldl eval`: {e}")))
}
