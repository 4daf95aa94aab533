//! `dldl export`: a model as a file for other runtimes.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use dldl::{NetError, models, onnx};

use crate::outcome::{Outcome, UsageError};
use crate::printing;
use crate::random;

/// Write a model as a file for other runtimes
///
/// The file holds the whole way from the pixels of an aligned crop to the age:
/// it takes RGB from 0 to 255 and normalizes by itself. Each crop is looked at
/// only as it is, not also at its mirror image (`estimate --no-flip`).
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The name of a built-in model, the path of a weights file, or random-thin,
    /// random-tiny: the paper's networks with weights that mean nothing
    #[arg(short, long, value_name = "NAME|PATH", default_value = dldl::DEFAULT_MODEL)]
    model: PathBuf,

    /// The format of the file
    #[arg(short, long, value_enum, default_value_t = Format::Onnx)]
    format: Format,

    /// The file to write; one that stands there is replaced
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,

    /// Take crops of this side only, in pixels [default: of any that fits the
    /// network, a multiple of 32 for those of the paper]
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

The graph's input is `crops`, float32 [N, 3, S, S]: RGB from 0 to 255, aligned as
for training. Its outputs, float32, are `logits` [N, outputs], `probabilities`
[N, labels] and the estimate, `expectation` [N], in years (of methods that count
ranks, the count). A model of several things has the outputs of the further ones
too, as in `attractiveness.expectation`. What `dldl info` prints is in the file's
metadata, as JSON under the key `dldl`.";

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
        other => other?,
    }
    printing::print(&format!("{} written to {}", weights.info.name, args.out.display()))?;
    Ok(Outcome::Complete)
}
