//! `dldl data`: lists the supported datasets and checks one.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use dldl_data::check::{Bin, LabelReport, PerSplit};
use dldl_data::{DatasetReport, FORMATS, Format, LabelInfo, Problem, Protocol, check};

use crate::dataset_args::{self, PROTOCOL_HELP};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat, thousands};
use crate::progress;
use crate::shared_args::ThreadArgs;

/// List the supported datasets, or check one
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dldl data list
  dldl data check utkface --root utkface
  dldl data check morph --root MORPH --protocol random:1
  dldl data check scut-fbp5500 --root SCUT-FBP5500 --protocol published:3 --format json";

#[derive(Subcommand)]
enum Command {
    List(ListArgs),
    Check(CheckArgs),
}

/// List the supported datasets: files, labels, splits, citation, terms
#[derive(clap::Args)]
struct ListArgs {
    /// Datasets to list [default: all]
    #[arg(value_name = "DATASET", value_parser = dataset_args::dataset_names(false))]
    names: Vec<String>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

/// Check a dataset for missing, broken and duplicate pictures and bad labels
///
/// Counts samples and labels by split, and reports missing and unreadable pictures
/// (by their headers), identical files, people who are in more than one split, and
/// invalid entries. Exits with 1 if there is a problem. Duplicates with the same label
/// in the same split, and samples that are left out on purpose, are listed but are not
/// problems.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct CheckArgs {
    /// Format of the dataset
    #[arg(value_name = "DATASET", value_parser = dataset_args::dataset_names(false))]
    dataset: String,

    /// Folder of the dataset
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// Table of labels [default: where the dataset has it]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", default_value_t, help = PROTOCOL_HELP)]
    protocol: Protocol,

    /// Output format; JSON lists every finding
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,

    #[command(flatten)]
    threads: ThreadArgs,
}

pub fn run(args: Args) -> Result<Outcome> {
    match args.command {
        Command::List(args) => list(&args),
        Command::Check(args) => check_one(&args),
    }
}

fn list(args: &ListArgs) -> Result<Outcome> {
    let wanted = |f: &&Format| args.names.is_empty() || args.names.iter().any(|n| n == f.name);
    let formats: Vec<&Format> = FORMATS.iter().filter(wanted).collect();
    match args.format {
        ReportFormat::Json => printing::print(&serde_json::to_string_pretty(&formats)?)?,
        ReportFormat::Table => {
            let texts: Vec<String> = formats.into_iter().map(description).collect();
            printing::print(&texts.join("\n"))?;
        }
    }
    Ok(Outcome::Complete)
}

fn description(format: &Format) -> String {
    let mut text = format!("{}\n  files      {}\n", format.name, format.about);
    for LabelInfo { task, min, max, step, spread, sigma } in format.tasks {
        text += &format!("  {task:10} {min} to {max} by {step}; {spread}; sigma {sigma}\n");
    }
    text += &format!("  splits     {}\n", format.splits);
    text += &format!("  citation   {}\n  terms      {}\n", format.citation, format.terms);
    text
}

fn check_one(args: &CheckArgs) -> Result<Outcome> {
    let (root, labels) = (&args.root, args.labels.as_deref());
    let dataset = dldl_data::load_with(&args.dataset, root, labels, &args.protocol);
    let dataset = dataset.map_err(UsageError::new)?;
    let bar = progress::bar(dataset.samples.len());
    let show = |p: dldl_data::Progress| bar.set_position(p.done as u64);
    let found = check(&dataset, args.threads.count(), &show)?;
    bar.finish_and_clear();
    match args.format {
        ReportFormat::Table => printing::print(&report(&found)?)?,
        ReportFormat::Json => {
            let mut json = serde_json::to_value(&found)?;
            json["faults"] = found.problem_count().into();
            printing::print(&serde_json::to_string_pretty(&json)?)?;
        }
    }
    Ok(Outcome::of(found.problem_count()))
}

/// The most findings of a kind that are printed; JSON has all.
const SHOWN: usize = 10;
/// Length of the longest bar of a histogram, in characters.
const BAR: usize = 40;

fn report(found: &DatasetReport) -> Result<String> {
    let mut text = String::new();
    let PerSplit { train, val, test } = found.samples;
    writeln!(
        text,
        "{}: {} {} (protocol {})\n  train {train}, val {val}, test {test}",
        found.dataset,
        thousands(found.samples.total() as u64),
        if found.samples.total() == 1 { "sample" } else { "samples" },
        found.protocol
    )?;
    for (what, counts) in [("sex", &found.sexes), ("race", &found.races)] {
        let known: Vec<String> = counts.iter().map(|(name, n)| format!("{name} {n}")).collect();
        writeln!(text, "  {what}: {}", known.join(", "))?;
    }
    if found.groups > 0 {
        writeln!(text, "  {} people or groups", thousands(found.groups as u64))?;
    }
    if found.identities > 0 {
        writeln!(text, "  {} identities", thousands(found.identities as u64))?;
    }
    for task in &found.tasks {
        task_report(&mut text, task)?;
    }
    let superfluous = found.duplicates.iter().filter(|d| !d.harmful());
    let lines = |list: &[Problem]| -> Vec<String> {
        list.iter().map(|p| format!("{}: {}", p.file, p.reason)).collect()
    };
    let splits = |s: PerSplit| format!("train {}, val {}, test {}", s.train, s.val, s.test);
    let harmful = found.duplicates.iter().filter(|d| d.harmful()).map(|d| {
        let why = if d.contradicting { "different labels" } else { "the same label" };
        format!("{} ({why}; {})", d.files.join(" = "), splits(d.splits))
    });
    let divided = found.divided.iter().map(|d| format!("{}: {}", d.group, splits(d.splits)));
    for (what, list) in [
        ("missing pictures", found.missing.clone()),
        ("unreadable pictures", lines(&found.unreadable)),
        ("duplicates with different labels or in different splits", harmful.collect()),
        ("people or groups in more than one split", divided.collect()),
        ("invalid entries", lines(&found.problems)),
        ("duplicates (not a problem)", superfluous.map(|d| d.files.join(" = ")).collect()),
        ("left out on purpose (not a problem)", lines(&found.left_out)),
    ] {
        section(&mut text, what, &list)?;
    }
    match found.problem_count() {
        0 => text += "\nno problems found\n",
        1 => text += "\n1 problem found\n",
        n => writeln!(text, "\n{n} problems found")?,
    }
    Ok(text)
}

fn section(text: &mut String, what: &str, list: &[String]) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{what}: {}", list.len())?;
    for line in list.iter().take(SHOWN) {
        writeln!(text, "  {line}")?;
    }
    if list.len() > SHOWN {
        writeln!(text, "  and {} more (--format json lists all)", list.len() - SHOWN)?;
    }
    Ok(())
}

fn task_report(text: &mut String, task: &LabelReport) -> Result<()> {
    writeln!(
        text,
        "\n{}: {} labels from {:.2} to {:.2}, mean {:.2}",
        task.task,
        task.samples.total(),
        task.min,
        task.max,
        task.mean
    )?;
    let kinds = [
        (task.single, "single values"),
        (task.with_sigma, "with the raters' standard deviation"),
        (task.ratings, "with individual ratings"),
        (task.ranges, "ranges"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    write!(text, "  {}", kinds.join(", "))?;
    if let Some(sigma) = task.mean_sigma {
        write!(text, "; mean sigma {sigma:.3}")?;
    }
    if task.outside > 0 {
        write!(text, "; {} outside the label range", task.outside)?;
    }
    text.push('\n');
    let most = task.bins.iter().map(|b| b.samples.total()).max().unwrap_or(0).max(1);
    for Bin { from, to, samples } in &task.bins {
        let n = samples.total();
        // Rounded up, so that every bin that is not empty has a bar.
        let bar = "#".repeat((n * BAR).div_ceil(most));
        writeln!(text, "  {from:>5} to {to:<5} {n:>7}  {bar}")?;
    }
    Ok(())
}
