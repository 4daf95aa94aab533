//! `dldl data`: what datasets there are, and whether one is sound.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use dldl_data::check::{Bin, Labeled, PerSplit};
use dldl_data::{Checkup, FORMATS, Format, LabelInfo, Problem, Protocol, check};

use crate::dataset_args::{self, PROTOCOL_HELP};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat, thousands};
use crate::progress;
use crate::shared_args::ThreadArgs;

/// List the datasets that are known, or check one
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

/// What datasets there are: layout, labels, splits, citation
#[derive(clap::Args)]
struct ListArgs {
    /// Only these [default: all]
    #[arg(value_name = "DATASET", value_parser = dataset_args::dataset_names(false))]
    names: Vec<String>,

    /// How the list is printed
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

/// What is in a dataset and what is wrong with it
///
/// Counts samples and labels by split, and looks for pictures that are missing or
/// unreadable (by their header), pictures that are the same byte for byte, people
/// who stand on both sides of a split, and broken entries. Exits with 1 if
/// anything is wrong; duplicates with the same label in the same split and what is
/// left out for a reason are told, but not wrong.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
struct CheckArgs {
    /// How the dataset lies on disk
    #[arg(value_name = "DATASET", value_parser = dataset_args::dataset_names(false))]
    dataset: String,

    /// The dataset's folder
    #[arg(long, value_name = "DIR")]
    root: PathBuf,

    /// The table of labels [default: the dataset's own place]
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    #[arg(long, value_name = "PROTOCOL", default_value_t, help = PROTOCOL_HELP)]
    protocol: Protocol,

    /// How the report is printed; as JSON it names everything that was found
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
            let texts: Vec<String> = formats.into_iter().map(described).collect();
            printing::print(&texts.join("\n"))?;
        }
    }
    Ok(Outcome::Complete)
}

fn described(format: &Format) -> String {
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
            json["faults"] = found.faults().into();
            printing::print(&serde_json::to_string_pretty(&json)?)?;
        }
    }
    Ok(Outcome::of(found.faults()))
}

/// How many of each kind of finding are printed; as JSON they are all there.
const SHOWN: usize = 10;
/// The longest bar of a histogram in characters.
const BAR: usize = 40;

fn report(found: &Checkup) -> Result<String> {
    let mut text = String::new();
    let PerSplit { train, val, test } = found.samples;
    writeln!(
        text,
        "{}: {} samples (protocol {})\n  train {train}, val {val}, test {test}",
        found.dataset,
        thousands(found.samples.total() as u64),
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
        writeln!(text, "  {} people to be learned", thousands(found.identities as u64))?;
    }
    for task in &found.tasks {
        labeled(&mut text, task)?;
    }
    let superfluous = found.duplicates.iter().filter(|d| !d.harmful());
    let lines = |list: &[Problem]| -> Vec<String> {
        list.iter().map(|p| format!("{}: {}", p.file, p.reason)).collect()
    };
    let splits = |s: PerSplit| format!("train {}, val {}, test {}", s.train, s.val, s.test);
    let harmful = found.duplicates.iter().filter(|d| d.harmful()).map(|d| {
        let why = if d.contradicting { "labeled differently" } else { "the same label" };
        format!("{} ({why}; {})", d.files.join(" = "), splits(d.splits))
    });
    let divided = found.divided.iter().map(|d| format!("{}: {}", d.group, splits(d.splits)));
    for (what, list) in [
        ("missing pictures", found.missing.clone()),
        ("unreadable pictures", lines(&found.unreadable)),
        ("duplicates that contradict each other or stand in two splits", harmful.collect()),
        ("people or groups on both sides of a split", divided.collect()),
        ("broken entries", lines(&found.problems)),
        ("(not wrong) duplicates", superfluous.map(|d| d.files.join(" = ")).collect()),
        ("(not wrong) left out", lines(&found.left_out)),
    ] {
        section(&mut text, what, &list)?;
    }
    match found.faults() {
        0 => text += "\nnothing is wrong\n",
        1 => text += "\n1 fault in all\n",
        n => writeln!(text, "\n{n} faults in all")?,
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
        writeln!(text, "  and {} more, see --format json", list.len() - SHOWN)?;
    }
    Ok(())
}

fn labeled(text: &mut String, task: &Labeled) -> Result<()> {
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
        (task.single, "one number"),
        (task.with_sigma, "with the raters' standard deviation"),
        (task.answers, "the raters' answers"),
        (task.ranges, "a range"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    write!(text, "  {}", kinds.join(", "))?;
    if let Some(sigma) = task.mean_sigma {
        write!(text, "; mean sigma {sigma:.3}")?;
    }
    if task.outside > 0 {
        write!(text, "; {} outside of the label set", task.outside)?;
    }
    text.push('\n');
    let most = task.bins.iter().map(|b| b.samples.total()).max().unwrap_or(0).max(1);
    for Bin { from, to, samples } in &task.bins {
        let n = samples.total();
        // Whatever is there can be seen.
        let bar = "#".repeat((n * BAR).div_ceil(most));
        writeln!(text, "  {from:>5} to {to:<5} {n:>7}  {bar}")?;
    }
    Ok(())
}
