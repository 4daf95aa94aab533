//! `dldl report`: writes evaluations, training runs and explanations as one page.

use std::path::PathBuf;

use anyhow::Result;
use dldl_eval::page::{Heading, Parts};

use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};

/// Write evaluations, training runs and explanations as one HTML page
///
/// The page is self-contained, without scripts, and has its figures as SVG. It suits
/// phones, dark mode and print. It names files but shows no faces.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// JSON files of `dldl eval` and `dldl explain ... --format json`, and folders of
    /// training runs; several evaluations are also compared
    #[arg(required = true, value_name = "RUN_OR_EVAL")]
    parts: Vec<PathBuf>,

    /// HTML file to write
    #[arg(short, long, value_name = "FILE.html")]
    out: PathBuf,

    /// Also write all the data of the page to this JSON file
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,

    /// Title of the page [default: models and datasets]
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
    write_file(&args.out, parts.to_html(&heading).as_bytes())?;
    if let Some(json) = &args.json {
        write_file(json, parts.to_json().as_bytes())?;
    }
    let count = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{n} {many}")),
    };
    let contents = [
        count(parts.evaluations.len(), "evaluation", "evaluations"),
        count(parts.runs.len(), "training run", "training runs"),
        count(parts.maps.len() + parts.rank_curves.len(), "explanation", "explanations"),
    ];
    let contents: Vec<String> = contents.into_iter().flatten().collect();
    printing::print(&format!("{}: {}", args.out.display(), contents.join(", ")))?;
    Ok(Outcome::Complete)
}

/// Quotes a word for a shell.
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
    fn words_are_quoted_if_a_shell_would_split_them() {
        let cases =
            [("a.json", "a.json"), ("my file", "'my file'"), ("it's", "'it'\\''s'"), ("", "''")];
        for (word, expected) in cases {
            assert_eq!(quoted(word), expected);
        }
    }
}
