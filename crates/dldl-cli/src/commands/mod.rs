//! One file per subcommand: its arguments, and what it prints. What they share is in the
//! files beside this folder.

pub mod bench;
pub mod calibrate;
pub mod compare;
pub mod data;
pub mod estimate;
pub mod eval;
pub mod experiment;
pub mod explain;
pub mod export;
pub mod info;
pub mod prepare;
pub mod pretrain;
pub mod quantize;
pub mod report;
pub mod robustness;
pub mod train;
