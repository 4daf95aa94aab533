//! `dldl export`: writes a model for other runtimes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use dldl::{NetError, models};
use dldl_net::onnx;

use crate::outcome::{Outcome, UsageError};
use crate::printing;
use crate::random;
use crate::shared_args::random_help;

/// Write a model for other runtimes, as ONNX
///
/// The graph computes everything from the pixels of an aligned crop to the estimate: it
/// takes RGB from 0 to 255 and normalizes it. It does not average with the mirror image
/// (as `estimate --no-flip`).
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[arg(short, long, value_name = "NAME|PATH", default_value = dldl::DEFAULT_MODEL, help = random_help())]
    model: PathBuf,

    /// File format
    #[arg(short, long, value_enum, default_value_t = Format::Onnx)]
    format: Format,

    /// File to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// Fix the side of the crops, in pixels [default: any that the network accepts, a
    /// multiple of 32 for the paper's]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// ONNX, for onnxruntime, OpenVINO and others
    Onnx,
}

const EXAMPLES: &str = "\
Examples:
  dldl export --out tiny.onnx
  dldl export --model runs/mine/model.safetensors --size 224 --out mine.onnx

The input is `crops`, float32 [N, 3, S, S]: RGB from 0 to 255, aligned as for
training. The outputs, float32, are `logits` [N, outputs], `probabilities`
[N, labels] and `expectation` [N], the estimate in years (for methods that count
ranks, the count). Further heads have outputs with their task as prefix, such as
`attractiveness.expectation`. The metadata has the description that `dldl info`
prints, as JSON under the key `dldl`.";

pub fn run(args: Args) -> Result<Outcome> {
    let weights = match random::weights(args.model.to_str().unwrap_or_default())? {
        Some(weights) => weights,
        None => models::weights(&args.model).map_err(UsageError::new)?,
    };
    let written = match args.format {
        Format::Onnx => onnx::save(&weights, &args.out, onnx::Options { size: args.size }),
    };
    match written {
        Err(e @ NetError::Crop(_)) => return Err(UsageError::new(e).into()),
        other => other.with_context(|| args.out.display().to_string())?,
    }
    printing::print(&format!("{} written to {}", weights.info.name, args.out.display()))?;
    Ok(Outcome::Complete)
}
