//! The target of the program's name: see `crates/dldl-fuzz`. `tools/fuzz.sh` runs them.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dldl_fuzz::run(env!("CARGO_BIN_NAME"), bytes));
