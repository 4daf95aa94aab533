//! The command `dldl`: arguments, progress and printing; no computation lives here.
fn main() {}
