//! `dldl train`: from a recipe to a model. What it shares with `pretrain` is in
//! `learn`.

use crate::learn::{self, Kind, Recipe};
use crate::outcome::Outcome;

/// Train a model by a recipe
///
/// The recipe is a TOML file; it names the caches that `dldl prepare` made and
/// the folder of the run, which is filled with checkpoints, a log, charts,
/// pictures of predictions and, at the end, model.safetensors. Interrupt it at
/// any time and go on with --resume.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    shared: Recipe,
}

const EXAMPLES: &str = "\
Examples:
  dldl train recipe.toml
  dldl train recipe.toml --resume
  dldl train recipe.toml --cache cache/mine --run runs/mine
  dldl train recipe.toml --set phases.0.size=96 --set optimizer.weight_decay=0.02
  dldl train recipe.toml --init runs/people/trunk.safetensors
  tensorboard --logdir runs                     all runs in a browser

A recipe needs two lines, the rest has defaults (docs/training.md has them all):
  cache = \"cache/mine\"
  run = \"runs/mine\"

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C with a
checkpoint to go on from.";

pub fn run(args: Args) -> anyhow::Result<Outcome> {
    learn::run(args.shared, Kind::Train)
}
