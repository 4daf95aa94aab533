//! Arguments that many commands share: the model, thresholds and the number of threads.

use std::path::PathBuf;

use clap::Args;

/// The model that a command runs.
#[derive(Args)]
pub struct ModelArgs {
    #[arg(
        id = "model",
        short,
        long,
        value_name = "NAME|PATH",
        default_value = dldl::DEFAULT_MODEL,
        help = model_help()
    )]
    pub path: PathBuf,
}

/// Help text of an argument that takes a model.
pub fn model_help() -> String {
    format!("Built-in model ({}), or path of a weights file", dldl::models::names().join(", "))
}

/// Help text of an argument that also takes the random networks.
pub fn random_help() -> String {
    model_help() + ", or random-thin, random-tiny: the paper's networks with random weights"
}

/// Thresholds that estimates are compared with.
#[derive(Args)]
pub struct ThresholdArgs {
    /// Also ask whether the person is at least N years old: the probability is that of all
    /// ages from N up. May be given several times, or as a list: 18,25
    #[arg(long = "threshold", value_name = "N", value_delimiter = ',')]
    all: Vec<f64>,
}

impl ThresholdArgs {
    /// The thresholds in the order in which they were given, each once.
    pub fn list(&self) -> Vec<f64> {
        let mut list: Vec<f64> = Vec::new();
        for threshold in &self.all {
            if !list.contains(threshold) {
                list.push(*threshold);
            }
        }
        list
    }
}

/// The number of threads.
#[derive(Args)]
pub struct ThreadArgs {
    /// Number of threads [default: one per processor]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl ThreadArgs {
    /// The number of threads; 0 means one per processor.
    pub fn count(&self) -> usize {
        self.threads.map_or(0, usize::from)
    }
}
