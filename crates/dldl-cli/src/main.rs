//! The command `dldl`: arguments, progress and printing; no computation lives
//! here. One file per subcommand in `commands`, and what they share: `inputs` (paths to
//! files), `labeled` (datasets), `output` (records to text), `annotate`
//! (drawing), `progress`, and `learn` with `live` for those that train.

mod annotate;
mod cli;
mod commands;
mod inputs;
mod labeled;
mod learn;
#[cfg(feature = "train")]
mod live;
mod output;
mod progress;
mod random;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, Outcome, Usage};
use commands::{
    bench, calibrate, compare, data, estimate, eval, experiment, explain, export, info, prepare,
    pretrain, quantize, report, robustness, train,
};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let done = dldl::Level::from_environment().map_err(|e| Usage::from(e).into());
    let done = done.and_then(|_| match command {
        Command::Estimate(args) => estimate::run(args),
        Command::Data(args) => data::run(args),
        Command::Prepare(args) => prepare::run(args),
        Command::Pretrain(args) => pretrain::run(args),
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Report(args) => report::run(args),
        Command::Robustness(args) => robustness::run(args),
        Command::Info(args) => info::run(args),
        Command::Export(args) => export::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Bench(args) => bench::run(args),
    });
    match done {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::SomeFailed) => ExitCode::from(1),
        #[cfg(feature = "train")]
        Ok(Outcome::Stopped) => ExitCode::from(130),
        // Who reads has seen enough (`| head`): nothing to complain about.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e:#}");
            ExitCode::from(if e.is::<Usage>() { 2 } else { 1 })
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>());
    causes.any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
