//! The program `dldl`; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dldl_cli::run(std::env::args_os()))
}
