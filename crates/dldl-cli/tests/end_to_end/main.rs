//! The binary from outside: arguments in, exit code, stdout and stderr out.

mod commands;
mod common;
mod data;
mod estimate;
mod experiment;
mod explain;
mod intervals;
mod quantize;
mod training;
