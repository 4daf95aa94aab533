//! One file per subcommand: its arguments and its output. Shared code is in the parent
//! folder.

pub mod bench;
pub mod calibrate;
pub mod compare;
pub mod data;
pub mod estimate;
pub mod eval;
pub mod experiment;
pub mod explain;
pub mod export;
pub mod generate;
pub mod info;
pub mod merge;
pub mod prepare;
pub mod pretrain;
pub mod quantize;
pub mod report;
pub mod robustness;
#[cfg(feature = "serve")]
pub mod serve;
pub mod train;
pub mod video;
