//! `dldl pretrain`: from pictures without ages to a network that knows faces. The
//! training is that of `train`, with another head; see `learn`.

use std::path::PathBuf;

use anyhow::Result;
use dldl_train::TrainConfig;

use crate::learn::{self, TrainingArgs};
use crate::outcome::{Outcome, UsageError};

/// Pretrain a network on faces without ages
///
/// It learns to tell people apart, from a dataset with a folder per person, or to
/// predict the embeddings that a larger network computed for a list of pictures. The
/// result is trunk.safetensors in the run's folder, a network without its head, that
/// `dldl train --init` starts from. Recipes are those of `dldl train`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,

    #[command(flatten)]
    training: TrainingArgs,

    /// Learn a teacher's embeddings instead of identities: a NumPy file of shape
    /// [N, D]
    #[arg(long, value_name = "FILE.npy", requires = "pictures")]
    embeddings: Option<PathBuf>,

    /// The list of the N pictures of the embeddings, one per line, named as in the
    /// cache
    #[arg(long, value_name = "LIST.txt", requires = "embeddings")]
    pictures: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  dldl prepare --dataset people --root FACES --out cache/people   FACES/NAME/*.jpg
  dldl pretrain people.toml
  dldl train recipe.toml --init runs/people/trunk.safetensors

With a teacher:
  dldl prepare --dataset list --root FACES --out cache/faces      FACES/pictures.txt
  dldl pretrain faces.toml --embeddings teacher.npy --pictures FACES/pictures.txt

A recipe needs two lines, everything else has a default:
  cache = \"cache/people\"
  run = \"runs/people\"

Exit codes: 0 done, 1 failed, 2 usage error, 130 stopped by Ctrl-C with a
checkpoint to resume from.";

pub fn run(args: Args) -> Result<Outcome> {
    let mut training = args.training;
    if let (Some(embeddings), Some(pictures)) = (args.embeddings, args.pictures) {
        training.learn_embeddings(&embeddings, &pictures);
    }
    let config = TrainConfig::load_pretraining(&args.recipe, &training.overrides());
    learn::run(config.map_err(UsageError::new)?, training.resume)
}
