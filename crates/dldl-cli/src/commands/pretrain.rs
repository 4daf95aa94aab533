//! `dldl pretrain`: pictures without ages to a network that knows faces. The
//! work is that of `train`, with another head; see `learn`.

use std::path::PathBuf;

use crate::learn::{self, Kind, Recipe};
use crate::outcome::Outcome;

/// Pretrain a network on faces without ages
///
/// It learns to tell people apart, from a cache of a folder per person, or to
/// repeat the embeddings that a larger network gave for a list of pictures.
/// What is left is trunk.safetensors in the run's folder, a network without a
/// head, that `dldl train --init` starts from. Recipes are those of `dldl train`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    shared: Recipe,

    /// Learn these embeddings of a teacher, a NumPy file of shape [N, D],
    /// instead of who it is
    #[arg(long, value_name = "FILE.npy", requires = "pictures")]
    embeddings: Option<PathBuf>,

    /// The list of the N pictures that the embeddings are of, one a line, named
    /// as in the cache
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

A recipe needs two lines, the rest has defaults:
  cache = \"cache/people\"
  run = \"runs/people\"";

pub fn run(args: Args) -> anyhow::Result<Outcome> {
    let mut shared = args.shared;
    if let (Some(embeddings), Some(pictures)) = (args.embeddings, args.pictures) {
        shared.teacher(&embeddings, &pictures);
    }
    learn::run(shared, Kind::Pretrain)
}
