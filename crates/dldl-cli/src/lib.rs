//! The command `dldl`: arguments, progress and printing; no computation lives
//! here. `commands` has a file for each subcommand; the other files are what they share.
//! It is a library so that the Python package has the same command.

mod annotate;
mod archive;
mod cli;
mod commands;
mod data_report;
mod dataset_args;
mod inputs;
mod interrupt;
mod learn;
mod live;
mod outcome;
mod output;
mod people;
mod printing;
mod progress;
mod random;
mod shared_args;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};
#[cfg(feature = "serve")]
use commands::serve;
use commands::{
    bench, calibrate, compare, data, estimate, eval, experiment, explain, export, generate, info,
    merge, prepare, pretrain, quantize, report, robustness, train, video,
};
use outcome::{Outcome, UsageError};

/// Runs the command with these arguments, of which the first is the name of the program, and
/// returns the exit code. Wrong arguments end the process, with a message and code 2.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let command = Cli::parse_from(args).command;
    dldl::parallel::start_global_pool();
    let result = dldl_net::Level::from_environment().map_err(|e| UsageError::new(e).into());
    let result = result.and_then(|_| match command {
        Command::Estimate(args) => estimate::run(args),
        Command::Video(args) => video::run(args),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args),
        Command::Data(args) => data::run(args),
        Command::Prepare(args) => prepare::run(args),
        Command::Pretrain(args) => pretrain::run(args),
        Command::Train(args) => train::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Experiment(args) => experiment::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Report(args) => report::run(args),
        Command::Robustness(args) => robustness::run(args),
        Command::Info(args) => info::run(args),
        Command::Export(args) => export::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Generate(args) => generate::run(args, Cli::command()),
    });
    match result {
        Ok(Outcome::Complete) => 0,
        Ok(Outcome::SomeFailed) => 1,
        Ok(Outcome::Stopped) => 130,
        // The reader closed the pipe (`| head`): not an error.
        Err(e) if is_broken_pipe(&e) => 0,
        Err(e) => {
            printing::complain([format!("error: {e:#}")]);
            if e.is::<UsageError>() { 2 } else { 1 }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>());
    causes.any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
