//! `dldl calibrate`: intervals that hold what they promise.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use dldl::{Estimator, models};
use dldl_data::Split;
use dldl_eval::{Calibrated, LEVELS, Progress, calibrate, suits_calibration};
use dldl_net::save_with_info;

use crate::dataset_args::{DatasetArgs, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing;
use crate::progress;
use crate::shared_args::ModelArgs;

/// Calibrate a model's intervals on held-out pictures
///
/// A network is mostly surer of itself than it should be: of its 90 % intervals
/// fewer than 90 % hold the truth. This looks at pictures that the model was not
/// trained on and stores in the weights file how much wider or narrower intervals
/// must be (conformal prediction), so that they hold what they promise for
/// pictures like these. Weights and estimates stay bit for bit. Quantize before,
/// not after: the quantized model needs a calibration of its own.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    dataset: DatasetArgs,

    /// What to calibrate on: train, val, test, or all
    #[arg(long, default_value = "val", value_parser = SplitArg::parse)]
    split: SplitArg,

    /// Calibrate on another split than val: on pictures that the model was trained
    /// on, it would be too sure of itself; on those that it is measured on, the
    /// measure would flatter it
    #[arg(long)]
    force: bool,

    /// First find the temperature of the highest likelihood; it changes the
    /// estimates, too
    #[arg(long)]
    temperature: bool,

    /// The weights file to write; one that stands there is replaced
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  dldl calibrate --dataset utkface --root utkface --out tiny-calibrated.safetensors
  dldl calibrate --model runs/mine/model.safetensors --dataset cache --root cache/mine \\
                 --out runs/mine/model.safetensors

Exit codes: 0 all done, 1 some pictures failed (the rest were used) or nothing
could be written, 2 wrong usage.";

pub fn run(args: Args) -> Result<Outcome> {
    if !suits_calibration(args.split.0) && !args.force {
        let name = args.split.0.map_or("all", Split::name);
        let what = "models are trained or measured on it; calibrate on val, or say --force";
        return Err(UsageError::new(format!("--split {name}: {what}")).into());
    }
    let bytes = models::bytes(&args.model.path).map_err(UsageError::new)?;
    let estimator = Estimator::load(&args.model.path).map_err(UsageError::new)?;
    let name = estimator.engine().info().name.clone();
    let source = args.dataset.open()?;
    let options = args.dataset.options(args.split);
    let mut bar = None;
    let mut show = |p: Progress| {
        bar.get_or_insert_with(|| progress::bar(p.total)).set_position(p.done as u64);
    };
    let found = calibrate(estimator, &source, &options, args.temperature, &mut show);
    let found = found.map_err(UsageError::new)?;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    save_with_info(&bytes, &args.out, |info| {
        if let Some(head) = info.head_mut(found.task) {
            head.calibration = Some(found.calibration.clone());
        }
    })?;
    let text = report(&name, &found) + &format!("\nwritten to {}", args.out.display());
    printing::print(&text)?;
    for problem in &found.failed {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}: {}\n", problem.file, problem.reason),
        );
    }
    Ok(Outcome::of(found.failed.len()))
}

fn report(name: &str, found: &Calibrated) -> String {
    let Calibrated { task, calibration, before, after, .. } = found;
    let mut text = String::new();
    if let Some(intervals) = &calibration.intervals.fused {
        let _ = writeln!(text, "{name} ({task}), {} pictures of {}", intervals.n, intervals.on);
    }
    let _ = writeln!(text, "temperature {}\n", calibration.temperature);
    let mut line = |what: &str, before: String, after: String| {
        let _ = writeln!(text, "{what:18}{before:>10}{after:>12}");
    };
    line("", "before".into(), "after".into());
    for (i, level) in LEVELS.iter().enumerate() {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let covered = percent(after.coverage[i]);
        line(&format!("{:.0} % covers", 100.0 * level), percent(before.coverage[i]), covered);
    }
    for (what, before, after) in [
        ("MAE", before.mae, after.mae),
        ("log-likelihood", -before.nll, -after.nll),
        ("CRPS", before.crps, after.crps),
    ] {
        line(what, format!("{before:.3}"), format!("{after:.3}"));
    }
    text += "\nCoverage after is that of people left out, in five parts.\n";
    text
}
