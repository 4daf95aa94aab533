//! Arguments that many commands share: the model, what is printed of a face, thresholds and
//! the number of threads.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use dldl::{
    DetectorParams, Estimator, Precision, RecordOptions, SearchNet, check_thresholds, models,
};

use crate::outcome::UsageError;

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
    format!("Built-in model ({}), or path of a weights file", models::names().join(", "))
}

/// Help text of an argument that also takes the random networks.
pub fn random_help() -> String {
    model_help() + ", or random-thin, random-tiny: the paper's networks with random weights"
}

/// What is estimated and printed of a face.
#[derive(Args)]
pub struct FaceArgs {
    #[command(flatten)]
    model: ModelArgs,

    /// Also print the probability of every label (not in tables)
    #[arg(long)]
    pub distribution: bool,

    /// Probability of the printed intervals, between 0 and 1; of a calibrated model,
    /// the share of true values that they cover on pictures like those it was
    /// calibrated on
    #[arg(long, value_name = "LEVEL", default_value_t = 0.9, value_parser = level)]
    interval: f64,

    #[command(flatten)]
    thresholds: ThresholdArgs,

    /// Do not estimate faces of a lower quality, from 0 to 1. They are still printed, with
    /// the reason. At a quality of 0.5, errors are about twice those of clear pictures
    #[arg(long, value_name = "Q", default_value_t = 0.0, value_parser = quality,
          hide_default_value = true)]
    min_quality: f64,

    #[command(flatten)]
    detector: DetectorArgs,

    /// Arithmetic of a built-in model. Ages in f32 are the same on all processors
    #[arg(long, value_enum, value_name = "KIND")]
    precision: Option<PrecisionName>,

    /// Do not average with the estimate of the mirror image: faster, slightly less
    /// accurate
    #[arg(long)]
    no_flip: bool,
}

/// The name of an arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PrecisionName {
    /// Floating point, the default
    F32,
    /// 8-bit integers: ages differ by some tenths of a year
    Int8,
    /// 8-bit integers if the processor multiplies bytes (VNNI, AMX), which is faster;
    /// the record names the model that was used
    Auto,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Int8 => Self::Int8,
            PrecisionName::Auto => Self::Auto,
        }
    }
}

/// The face detector.
#[derive(Args)]
pub struct DetectorArgs {
    /// What finds the faces. The landmarks, and so the estimates, are nearly the same
    #[arg(long, value_enum, default_value_t = DetectorName::Yunet)]
    detector: DetectorName,
}

impl DetectorArgs {
    /// The detector's parameters.
    pub fn params(&self) -> DetectorParams {
        let search = match self.detector {
            DetectorName::Mtcnn => SearchNet::Mtcnn,
            DetectorName::Yunet => SearchNet::YuNet,
        };
        DetectorParams { search, ..DetectorParams::default() }
    }
}

/// The name of a face detector.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum DetectorName {
    /// YuNet, with the landmarks of MTCNN's last network
    Yunet,
    /// MTCNN, as in the paper: slower, and finds fewer faces that are small or turned away
    Mtcnn,
}

impl FaceArgs {
    /// Loads the model; with what is printed of its estimates.
    pub fn load(&self) -> Result<(Estimator, RecordOptions)> {
        let model = match self.precision {
            None => self.model.path.clone(),
            Some(kind) => {
                models::in_precision(&self.model.path, kind.into()).map_err(UsageError::new)?
            }
        };
        let estimator = Estimator::load(model).map_err(UsageError::new)?.flip_fusion(!self.no_flip);
        let estimator = estimator.detector_params(self.detector.params());
        let options = RecordOptions {
            level: self.interval,
            distribution: self.distribution,
            thresholds: self.thresholds.list(),
            min_quality: self.min_quality,
        };
        let model = estimator.engine().info();
        check_thresholds(model, &options.thresholds).map_err(UsageError::new)?;
        Ok((estimator, options))
    }
}

fn quality(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => Ok(quality),
        _ => Err("expected a number from 0 to 1, such as 0.5".into()),
    }
}

fn level(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(level) if 0.0 < level && level < 1.0 => Ok(level),
        _ => Err("expected a number between 0 and 1, such as 0.9".into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_between_0_and_1() {
        assert_eq!(level("0.9"), Ok(0.9));
        for bad in ["0", "1", "90", "-0.5", "nan", "inf", "", "x"] {
            assert!(level(bad).is_err(), "{bad}");
        }
    }
}
