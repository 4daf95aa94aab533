//! The command line as a value, and what all subcommands share of it. What a
//! subcommand takes is in its own file.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Parser, Subcommand, ValueEnum};

use crate::commands::{
    bench, calibrate, compare, data, estimate, eval, experiment, explain, export, info, prepare,
    pretrain, quantize, report, robustness, train,
};

/// Estimate the ages of the faces in pictures.
///
/// dldl finds the faces in a picture and says for each how old it looks: not
/// one number alone, but a probability for every age from 0 to 100. The default
/// model is inside this program; nothing is downloaded and no picture leaves
/// the machine.
#[derive(Parser)]
#[command(name = "dldl", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dldl estimate portrait.jpg                    the ages in one picture
  dldl estimate --annotate out photos/          draw them into copies of all pictures
  dldl estimate --format ndjson photos/ | jq .  for programs
  dldl info                                     what the built-in model is

`dldl help COMMAND` explains a command with more examples.

Exit codes: 0 all done, 1 some inputs failed (the rest are printed), 2 wrong usage.";

#[derive(Subcommand)]
pub enum Command {
    Estimate(estimate::Args),
    Data(data::Args),
    Prepare(prepare::Args),
    Pretrain(pretrain::Args),
    Train(train::Args),
    Eval(eval::Args),
    Compare(compare::Args),
    Calibrate(calibrate::Args),
    Robustness(robustness::Args),
    Experiment(experiment::Args),
    Explain(explain::Args),
    Report(report::Args),
    Info(info::Args),
    Export(export::Args),
    Quantize(quantize::Args),
    Bench(bench::Args),
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// Some inputs failed, and each was named.
    SomeFailed,
    /// Somebody pressed Ctrl-C, and it can go on from where it was.
    #[cfg(feature = "train")]
    Stopped,
}

impl Outcome {
    pub fn of(failures: usize) -> Self {
        if failures == 0 { Self::Complete } else { Self::SomeFailed }
    }
}

/// A command that cannot begin as it was given: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

impl Usage {
    /// For `map_err`.
    pub fn from(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// How reports are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The names of the datasets' formats, with their explanations.
pub fn dataset_names(with_cache: bool) -> PossibleValuesParser {
    let formats = dldl_data::FORMATS.iter().map(|f| PossibleValue::new(f.name).help(f.about));
    let cache = PossibleValue::new("cache").help("a folder that `dldl prepare` made");
    PossibleValuesParser::new(formats.chain(with_cache.then_some(cache)))
}

/// Prints to stdout, in whole.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    Ok(out.flush()?)
}

/// Whether stdout may be colored: a terminal, and nobody said no
/// (<https://no-color.org>).
pub fn color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
        || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    std::io::stdout().is_terminal() && !refused
}

/// A whole number with its thousands apart.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn thousands_are_apart() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (934_869, "934,869")];
        for (n, text) in cases {
            assert_eq!(thousands(n), text);
        }
        assert_eq!(thousands(12_345_678), "12,345,678");
    }
}
