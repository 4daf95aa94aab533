//! `dldl calibrate`: calibrates prediction intervals.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use dldl::{Estimator, models};
use dldl_data::Split;
use dldl_eval::{
    Calibrated, Effect, Fits, Halves, LEVELS, Progress, RecalibrationErrors, calibrate,
    highest_level, pictures_needed, suits_calibration,
};
use dldl_net::save_with_info;

use crate::dataset_args::{DatasetArgs, SplitArg};
use crate::outcome::{Outcome, UsageError};
use crate::printing;
use crate::progress;
use crate::shared_args::ModelArgs;

/// Calibrate a model's intervals on held-out pictures
///
/// Networks are usually overconfident: fewer than 90 % of the true values are in their
/// 90 % intervals. This measures by how much on pictures that the model was not trained
/// on, and stores the correction in the weights file (conformal prediction), so that
/// intervals have their nominal coverage for pictures like these: in each band of the
/// estimate that has enough of them (decades of ages, merged until each has 100
/// pictures), or on average over all. The promise is by estimate, not by true age, and
/// only approximate for other people and other cameras. Weights and estimates do not
/// change, unless --temperature or --recalibrate is given: these are fitted on one half
/// of the people, and the intervals are calibrated on the other. At least 19 pictures are needed, which is enough for levels up to 95 %;
/// 99 % needs 99. Quantize first: a quantized model needs its own calibration.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,

    #[command(flatten)]
    dataset: DatasetArgs,

    /// Split to calibrate on: train, val, test, or all
    #[arg(long, default_value = "val", value_parser = SplitArg::parse)]
    split: SplitArg,

    /// Allow a split other than val. On pictures that the model was trained on,
    /// intervals become too narrow; on those that it is evaluated on, the evaluation
    /// becomes too optimistic
    #[arg(long)]
    force: bool,

    /// First fit a temperature by maximum likelihood; this changes the estimates as well
    #[arg(long)]
    temperature: bool,

    /// First fit a monotone map of the estimates that minimizes their error: piecewise
    /// linear between nine nodes. Distributions and intervals move with the estimates
    #[arg(long)]
    recalibrate: bool,

    /// One table of levels for all estimates. The coverage is then right on average,
    /// not by band of the estimate, and each level rests on more pictures
    #[arg(long)]
    no_bands: bool,

    /// The weights file to write; an existing file is replaced
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  dldl calibrate --dataset utkface --root utkface --out tiny-calibrated.safetensors
  dldl calibrate --model runs/mine/model.safetensors --dataset cache --root cache/mine \\
                 --out runs/mine/model.safetensors

Exit codes: 0 success, 1 some pictures failed (the rest were used) or the file
could not be written, 2 usage error.";

pub fn run(args: Args) -> Result<Outcome> {
    if !suits_calibration(args.split.0) && !args.force {
        let name = args.split.0.map_or("all", Split::name);
        let what = "models are trained or evaluated on it; calibrate on val, or add --force";
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
    let fits = Fits {
        temperature: args.temperature,
        recalibration: args.recalibrate,
        by_band: !args.no_bands,
    };
    let found = calibrate(estimator, &source, &options, fits, &mut show);
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
    let Calibrated { task, calibration, halves, recalibrated, fused, unfused, .. } = found;
    let mut text = String::new();
    if let Some(table) = &calibration.intervals.fused {
        let _ = writeln!(text, "{name} ({task}), {} pictures of {}", table.n, table.on);
        if table.n < pictures_needed(0.99) {
            let highest = 100.0 * highest_level(table.n);
            let _ = writeln!(
                text,
                "intervals above {highest:.0} % span all labels: they need more pictures, 99 % needs \
                 {}",
                pictures_needed(0.99)
            );
        }
    }
    if let Some(Halves { chose, calibrated }) = halves {
        let _ = writeln!(
            text,
            "halves by person: corrections chosen on {chose} pictures, intervals \
             calibrated and figures measured on {calibrated} others"
        );
    }
    let _ = writeln!(text, "temperature {}", calibration.temperature);
    if let Some(map) = &calibration.recalibration {
        let _ = writeln!(text, "recalibration {}", printing::recalibration(map));
    }
    if let Some(RecalibrationErrors { before, after, cross_validated }) = recalibrated {
        let _ = writeln!(
            text,
            "MAE on the first half {before:.3} -> {after:.3}, cross-validated {cross_validated:.3}"
        );
    }
    effect(&mut text, "with flip fusion", fused);
    effect(&mut text, "without", unfused);
    text += "\nCoverage after calibration is cross-validated over people, in five parts.\n";
    text
}

fn effect(text: &mut String, title: &str, effect: &Effect) {
    let Effect { before, after, bands } = effect;
    text.push('\n');
    let mut line = |what: &str, before: String, after: String| {
        let _ = writeln!(text, "{what:18}{before:>10}{after:>12}");
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    line(title, "before".into(), "after".into());
    for (i, level) in LEVELS.iter().enumerate() {
        let name = format!("{:.0} % covers", 100.0 * level);
        line(&name, percent(before.coverage[i]), percent(after.coverage[i]));
    }
    for (what, before, after) in [
        ("MAE", before.mae, after.mae),
        ("log-likelihood", -before.nll, -after.nll),
        ("CRPS", before.crps, after.crps),
    ] {
        line(what, format!("{before:.3}"), format!("{after:.3}"));
    }
    if bands.is_empty() {
        return;
    }
    let _ = write!(text, "by estimate      n");
    for level in LEVELS {
        let _ = write!(text, "{:>19}", format!("{:.0} % covers", 100.0 * level));
    }
    text.push('\n');
    for band in bands {
        let _ = write!(text, "{:12}{:>6}", band.name, band.n);
        for (before, after) in band.before.iter().zip(&band.after) {
            let both = format!("{:.1} -> {:.1}", 100.0 * before, 100.0 * after);
            let _ = write!(text, "{both:>19}");
        }
        text.push('\n');
    }
}
