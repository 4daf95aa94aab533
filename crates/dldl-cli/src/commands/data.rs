//! `dldl data`: lists the supported datasets and checks one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use dldl_data::{Dataset, FORMATS, Format, LabelInfo, Protocol, SimilarReport, check, similar};
use dldl_eval::dataset_figure;

use crate::data_report::report;
use crate::dataset_args::{self, PROTOCOL_HELP};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat};
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
  dldl data check scut-fbp5500 --root SCUT-FBP5500 --protocol published:3 --format json
  dldl data check utkface --root utkface --similar --write-groups groups.csv
  dldl data check csv --root mine --similar --against utkface=utkface
  dldl data check fairface --root fairface --figure fairface.svg";

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
///
/// With --similar, every picture is also decoded and compared with all others, to find
/// those that were made from the same photograph: in another size or crop, mirrored,
/// recolored, compressed again. They are a problem in different splits or datasets, and
/// if their labels are far apart (5 % of the range, which is 5 years).
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

    /// Also look for near-duplicates
    #[arg(long)]
    similar: bool,

    /// Another dataset to look for near-duplicates in; may be repeated
    #[arg(long, value_name = "FORMAT=DIR", requires = "similar", value_parser = other_set)]
    against: Vec<(String, PathBuf)>,

    /// Write a table `file,group` with the known groups, joined by the near-duplicates
    #[arg(long, value_name = "FILE", requires = "similar")]
    write_groups: Option<PathBuf>,

    /// Draw the histograms of the labels by split, as .svg or .png
    #[arg(long, value_name = "FILE", value_parser = figure_path)]
    figure: Option<PathBuf>,

    #[command(flatten)]
    threads: ThreadArgs,
}

/// Parses the value of `--against`.
fn other_set(text: &str) -> Result<(String, PathBuf), String> {
    let (name, root) = text.split_once('=').ok_or("expected FORMAT=DIR, such as utkface=faces")?;
    dldl_data::format(name).map_err(|e| e.to_string())?;
    Ok((name.to_owned(), PathBuf::from(root)))
}

/// Parses the value of `--figure`.
fn figure_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match is_png(&path) {
        Some(_) => Ok(path),
        None => Err("expected a name that ends in .svg or .png".into()),
    }
}

/// Whether a figure is PNG; none if it is neither PNG nor SVG.
fn is_png(path: &Path) -> Option<bool> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "png" => Some(true),
        "svg" => Some(false),
        _ => None,
    }
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
    let against: Vec<Dataset> = args
        .against
        .iter()
        .map(|(name, root)| dldl_data::load(name, root, None).map_err(UsageError::new))
        .collect::<Result<_, _>>()?;
    let mut found = check(&dataset, args.threads.count(), &show)?;
    bar.finish_and_clear();
    if args.similar {
        found.similar = Some(look_for_similar(args, &dataset, &against)?);
    }
    if let Some(path) = &args.figure {
        let sheet = dataset_figure(&found);
        let png = is_png(path) == Some(true);
        printing::write_file(path, &if png { sheet.to_png() } else { sheet.to_svg().into() })?;
    }
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

fn look_for_similar(
    args: &CheckArgs,
    dataset: &Dataset,
    against: &[Dataset],
) -> Result<SimilarReport> {
    let total = dataset.samples.len() + against.iter().map(|set| set.samples.len()).sum::<usize>();
    // Reading takes most of the time; the bar starts again for the comparison.
    let bar = progress::bar(total);
    let show = |p: dldl_data::Progress| bar.set_position(p.done as u64);
    let found = similar(dataset, against, args.threads.count(), &show)?;
    bar.finish_and_clear();
    if let Some(path) = &args.write_groups {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(["file", "group"])?;
        for (file, group) in similar::groups(dataset, &found) {
            table.write_record([file, group.unwrap_or_default()])?;
        }
        printing::write_file(path, &table.into_inner().context("cannot format the table")?)?;
    }
    Ok(found)
}
