//! The command line: the list of subcommands. The arguments of each are in its file
//! in `commands`.

use clap::{Parser, Subcommand};

#[cfg(feature = "serve")]
use crate::commands::serve;
use crate::commands::{
    bench, calibrate, compare, data, estimate, eval, experiment, explain, export, generate, info,
    merge, prepare, pretrain, quantize, report, robustness, train, video,
};

/// Estimate the age and attractiveness of faces in pictures.
///
/// dldl finds the faces in a picture and estimates for each how old it looks: not
/// only a number, but a probability for every age from 0 to 100. The default model
/// is built in: nothing is downloaded, and no picture leaves the machine.
#[derive(Parser)]
#[command(name = "dldl", version, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  dldl estimate portrait.jpg                    estimate the faces in one picture
  dldl estimate --annotate out photos/          draw the estimates into copies of the pictures
  dldl estimate --format ndjson photos/ | jq .  JSON for other programs
  dldl video clip.mp4 --annotate ages.mp4       ages of the people in a video
  dldl serve                                    an HTTP service, and a page in the browser
  dldl info                                     describe the built-in model

`dldl help COMMAND` explains a command and has more examples.

Exit codes: 0 all done, 1 some inputs failed (the rest are printed), 2 usage error.";

#[derive(Subcommand)]
pub enum Command {
    Estimate(estimate::Args),
    Video(video::Args),
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    Data(data::Args),
    Prepare(prepare::Args),
    Pretrain(pretrain::Args),
    Train(train::Args),
    Eval(eval::Args),
    Compare(compare::Args),
    Merge(merge::Args),
    Calibrate(calibrate::Args),
    Robustness(robustness::Args),
    Experiment(experiment::Args),
    Explain(explain::Args),
    Report(report::Args),
    Info(info::Args),
    Export(export::Args),
    Quantize(quantize::Args),
    Bench(bench::Args),
    Generate(generate::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
