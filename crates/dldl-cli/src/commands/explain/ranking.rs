//! `dldl explain ranking`: Ranking and label distributions.

use std::path::PathBuf;

use anyhow::Result;
use dldl::Estimator;
use dldl_eval::understand::ranking::{rank_curves_of_crops, rank_curves_over_set};
use dldl_eval::understand::{rank_code_figure, rank_curves_figure};

use super::input::{Bar, Format, InputArgs, crops, head, load};
use crate::outcome::{Outcome, UsageError};
use crate::printing::{self, write_file};

#[derive(clap::Args)]
pub(super) struct RankingArgs {
    /// Picture to explain, with --models
    #[arg(value_name = "PICTURE", requires = "models", conflicts_with = "dataset")]
    picture: Option<PathBuf>,

    /// Two trained models, one by Ranking and one by DLDL
    #[arg(long, num_args = 2, value_names = ["RANKING", "DLDL"])]
    models: Option<Vec<PathBuf>>,

    /// File to write the figure to, as SVG [default without --models: stdout]
    #[arg(short, long, value_name = "FILE.svg")]
    out: Option<PathBuf>,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: RankingArgs) -> Result<Outcome> {
    let Some(paths) = &args.models else {
        let figure = rank_code_figure();
        match &args.out {
            Some(out) => write_file(out, figure.as_bytes())?,
            None => printing::print(&figure)?,
        }
        return Ok(Outcome::Complete);
    };
    let models: Vec<Estimator> =
        paths.iter().map(|path| load(path, &args.input)).collect::<Result<_>>()?;
    let rank_curves = match (args.input.source()?, &args.picture) {
        (Some(source), _) => {
            let mut bar = Bar::default();
            let done =
                rank_curves_over_set(&models, &source, &args.input.options(), &mut |p| bar.show(p));
            bar.end();
            done.map_err(UsageError::new)?
        }
        (None, Some(path)) => {
            let heads: Vec<usize> =
                models.iter().map(|model| head(model, &args.input)).collect::<Result<_>>()?;
            let crops = crops(&models, path, &args.input)?;
            rank_curves_of_crops(&models, &heads, &crops, &path.to_string_lossy())
                .map_err(UsageError::new)?
        }
        (None, None) => {
            return Err(UsageError::NothingToExplain.into());
        }
    };
    if let Some(out) = &args.out {
        write_file(out, rank_curves_figure(&rank_curves).as_bytes())?;
    }
    printing::print(&match args.input.format {
        Format::Table => rank_curves.to_string(),
        Format::Json => rank_curves.to_json(),
        Format::Csv => rank_curves.to_csv(),
    })?;
    Ok(Outcome::of(rank_curves.failed.len()))
}
