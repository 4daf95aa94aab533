//! `dldl train`: from a recipe to a model. What it shares with `pretrain` is in
//! `learn`.

use std::path::PathBuf;

use anyhow::Result;
use dldl_train::TrainConfig;

use crate::learn::{self, TrainingArgs};
use crate::outcome::{Outcome, UsageError};
use crate::printing;

/// Train a model
///
/// Trains by a recipe, a TOML file, or without one by the built-in recipe: ages from
/// your own pictures, starting from the built-in model. The folder of the run gets
/// checkpoints, a log, charts, pictures of predictions and, at the end,
/// model.safetensors. Interrupt it at any time and continue with --resume.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The recipe [default: the built-in one, which needs --cache]
    #[arg(value_name = "RECIPE.toml", required_unless_present_any = ["cache", "print_recipe"])]
    recipe: Option<PathBuf>,

    /// Print the built-in recipe, to edit it
    #[arg(long, exclusive = true)]
    print_recipe: bool,

    #[command(flatten)]
    training: TrainingArgs,
}

const EXAMPLES: &str = "\
Examples:
  dldl prepare --dataset csv --root photos --labels labels.csv --out cache/mine
  dldl train --cache cache/mine --run runs/mine     your own pictures, built-in recipe
  dldl train --print-recipe > mine.toml             the built-in recipe, to edit it
  dldl train mine.toml
  dldl train mine.toml --resume
  dldl train mine.toml --set phases.0.size=64 --set optimizer.weight_decay=0.05
  dldl train mine.toml --init runs/people/trunk.safetensors
  tensorboard --logdir runs                         all runs in a browser

A recipe of your own needs two lines, everything else has a default
(docs/training.md explains all fields):
  cache = \"cache/mine\"
  run = \"runs/mine\"

Exit codes: 0 done, 1 failed, 2 usage error, 130 stopped by Ctrl-C with a
checkpoint to resume from.";

/// The recipe of a training without a file.
const RECIPE: &str = include_str!("../../recipes/mine.toml");

pub fn run(args: Args) -> Result<Outcome> {
    if args.print_recipe {
        printing::print(RECIPE)?;
        return Ok(Outcome::Complete);
    }
    let overrides = args.training.overrides();
    let config = match &args.recipe {
        Some(path) => TrainConfig::load(path, &overrides),
        None => TrainConfig::parse(RECIPE, &overrides),
    };
    learn::run(config.map_err(UsageError::new)?, args.training.resume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_recipe_starts_from_a_built_in_model() {
        let config = TrainConfig::parse(RECIPE, &[]).unwrap();
        let init = config.init.unwrap();
        assert!(dldl::models::names().contains(&init.to_str().unwrap()));
    }
}
