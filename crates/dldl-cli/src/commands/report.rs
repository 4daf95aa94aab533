//! `dldl report`: evaluations, trainings and maps as one page.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dldl_eval::page::{Heading, Parts};

use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// Write evaluations, trainings and maps as one HTML page
///
/// The page needs nothing else: no scripts, no further files. It can be read on a
/// phone, in the dark, and printed; figures are inside of it as SVG. It names files
/// and shows no faces.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// JSON files of `dldl eval --format json` and `dldl explain ... --format json`, and
    /// folders of trainings; several evaluations are also set side by side
    #[arg(required = true, value_name = "RUN_OR_EVAL")]
    parts: Vec<PathBuf>,

    /// The page
    #[arg(short, long, value_name = "FILE.html")]
    out: PathBuf,

    /// Also all that it was made of as one JSON file
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,

    /// What stands above it [default: models and datasets]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  dldl eval --dataset utkface --root utkface --format json > eval.json
  dldl explain cam --dataset utkface --root utkface --format json > cam.json
  dldl report eval.json cam.json runs/mine --out report.html
  dldl report a.json b.json c.json --out comparison.html --json comparison.json";

pub fn run(args: Args) -> Result<Outcome> {
    let parts = Parts::read(&args.parts).map_err(UsageError::new)?;
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy())).collect();
    let heading = Heading {
        title: args.title,
        command: format!("dldl {}", words.join(" ")),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    write(&args.out, &parts.to_html(&heading))?;
    if let Some(json) = &args.json {
        write(json, &parts.to_json())?;
    }
    let count = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{n} {many}")),
    };
    let said = [
        count(parts.evaluations.len(), "evaluation", "evaluations"),
        count(parts.runs.len(), "training", "trainings"),
        count(parts.maps.len() + parts.learned.len(), "set of maps", "sets of maps"),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    printing::print(&format!("{}: {}", args.out.display(), said.join(", ")))?;
    Ok(Outcome::Complete)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:@%+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_part_them() {
        let cases =
            [("a.json", "a.json"), ("my file", "'my file'"), ("it's", "'it'\\''s'"), ("", "''")];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }
}
