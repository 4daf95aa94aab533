//! The binary from outside: arguments in, exit code, stdout and stderr out.

mod commands;
mod common;
mod data;
mod estimate;
mod quantize;
#[cfg(feature = "train")]
mod training;
