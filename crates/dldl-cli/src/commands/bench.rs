//! `dldl bench`: measures the speed of a model on this machine.

use std::path::{Path, PathBuf};

use anyhow::Result;
use dldl::{Crop, Engine, models};
use dldl_eval::{SpeedOptions, TrainingSpeedOptions, speed, training_speed};
use dldl_net::quantize;

use crate::learn::Device;
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, ReportFormat};
use crate::random;
use crate::shared_args::random_help;

/// Measure the speed of a model on this machine
///
/// Times the network on crops of noise, as a whole and by layer, and compares it with
/// the measured peak of multiply-adds of this processor and with larger networks on the
/// same kernels. CPU time is summed over threads; layers and larger networks are
/// measured with one crop on one thread. "Effective" counts the multiply-adds of a
/// direct convolution, of which Winograd's algorithm needs as little as a quarter, so it
/// may exceed the peak.
///
/// The environment variable DLDL_ISA selects the vector instructions (avx512, avx2, or
/// others that this processor has) for this and all other commands. An 8-bit model uses
/// VNNI with avx512, and AMX, where available, if the variable is not set.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(
        short,
        long,
        value_name = "NAME|PATH",
        default_value = dldl::DEFAULT_MODEL,
        help = random_help() + ", in 8-bit integers with the suffix -int8"
    )]
    model: PathBuf,

    /// Side of the crops, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 224)]
    size: usize,

    /// Number of crops per run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,

    /// Number of threads
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Number of timed runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,

    /// Measure training instead: forward, loss, backward and Adam. The model is thin or
    /// tiny, or one whose network is used
    #[arg(long)]
    train: bool,

    /// Device to train on, with --train
    #[arg(long, value_enum, requires = "train")]
    device: Option<Device>,

    /// Leave out the larger networks
    #[arg(long)]
    no_comparators: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

const EXAMPLES: &str = "\
Examples:
  dldl bench
  dldl bench --model random-thin --threads 2 --batch 16
  dldl bench --model random-tiny-int8
  dldl bench --train --model tiny --size 112 --batch 32 --runs 10
  DLDL_ISA=avx2 dldl bench --size 96 --format json";

pub fn run(args: Args) -> Result<Outcome> {
    if args.train {
        return training(args);
    }
    let engine = engine(&args.model)?;
    let options = SpeedOptions {
        size: args.size,
        batch: args.batch.into(),
        threads: args.threads.into(),
        runs: args.runs as usize,
        efficiency: !args.no_comparators,
    };
    let speed = speed(engine, &options).map_err(UsageError::new)?;
    match args.format {
        ReportFormat::Table => printing::print(&speed.to_string())?,
        ReportFormat::Json => printing::print(&speed.to_json())?,
    }
    Ok(Outcome::Complete)
}

fn training(args: Args) -> Result<Outcome> {
    let named = args.model.to_str().and_then(random::net);
    let net = match named {
        Some(net) => net,
        None => engine(&args.model)?.info().net.clone(),
    };
    let options = TrainingSpeedOptions {
        size: args.size,
        batch: args.batch.into(),
        threads: args.threads.into(),
        device: args.device.unwrap_or(Device::Cpu).into(),
        runs: args.runs as usize,
    };
    let speed = training_speed(&net, &options).map_err(UsageError::new)?;
    match args.format {
        ReportFormat::Table => printing::print(&speed.to_string())?,
        ReportFormat::Json => printing::print(&speed.to_json())?,
    }
    Ok(Outcome::Complete)
}

fn engine(model: &Path) -> Result<Engine> {
    let name = model.to_str().unwrap_or_default();
    if let Some(weights) = random::weights(name)? {
        return Ok(Engine::from_weights(&weights)?);
    }
    let float = name.strip_suffix("-int8").unwrap_or_default();
    let Some(weights) = random::weights(float)? else {
        return Ok(models::engine(model).map_err(UsageError::new)?);
    };
    // Random weights need no meaningful scales: one gray crop gives some.
    let size = weights.info.input_size;
    let gray = Crop::new(size, vec![128; 3 * size * size])?;
    let mut quantized = quantize(&weights, &[gray], "a gray crop")?;
    quantized.describe(|info| info.name = name.to_owned())?;
    Ok(Engine::from_quantized(&quantized)?)
}
