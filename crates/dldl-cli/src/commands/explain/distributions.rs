//! `dldl explain distributions`: learned distributions beside those of the labels.

use std::path::PathBuf;

use anyhow::Result;
use dldl::Estimator;
use dldl_eval::understand::{Learned, LearnedOptions, learned, learned_figure};

use super::input::{Bar, Format, InputArgs, load};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};

/// Faces in the figure, unless --limit or --file says otherwise.
const FACES: usize = 6;

#[derive(clap::Args)]
pub(super) struct DistributionArgs {
    /// Models to compare: names of built-in models or weights files
    #[arg(long, num_args = 1.., value_name = "MODEL", default_value = dldl::DEFAULT_MODEL)]
    models: Vec<PathBuf>,

    /// A face to show, by its file name in the dataset. Can be repeated [default: 6 faces,
    /// or --limit, evenly spread over the labels]
    #[arg(long, value_name = "FILE")]
    file: Vec<String>,

    /// Standard deviation of the label's distribution where the dataset has none, in units
    /// of the label
    #[arg(long, value_name = "SIGMA", default_value_t = 2.0)]
    sigma: f64,

    /// File to write the figure to, as SVG
    #[arg(short, long, value_name = "FILE.svg")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: DistributionArgs) -> Result<Outcome> {
    let Some(source) = args.input.source()? else {
        return Err(UsageError::new("name a labeled dataset: --dataset FORMAT --root DIR").into());
    };
    let models: Vec<Estimator> =
        args.models.iter().map(|path| load(path, &args.input)).collect::<Result<_>>()?;
    let mut set = args.input.options();
    set.limit = set.limit.or(Some(FACES));
    let options = LearnedOptions { set, files: args.file, sigma: args.sigma };
    let mut bar = Bar::default();
    let done = learned(&models, &source, &options, &mut |p| bar.show(p));
    bar.end();
    let done: Learned = done.map_err(UsageError::new)?;
    if let Some(out) = &args.out {
        write_file(out, learned_figure(&done).as_bytes())?;
    }
    printing::print(&match args.input.format {
        Format::Table => done.to_string(),
        Format::Json => done.to_json(),
        Format::Csv => done.to_csv(),
    })?;
    Ok(Outcome::of(done.failed.len()))
}
