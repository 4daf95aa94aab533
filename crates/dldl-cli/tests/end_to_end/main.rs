//! End-to-end tests of the binary: arguments in, exit code, stdout and stderr out.

mod commands;
mod common;
mod data;
mod estimate;
mod experiment;
mod explain;
mod hostile;
mod intervals;
mod quantize;
#[cfg(feature = "serve")]
mod serve;
mod training;
mod video;
