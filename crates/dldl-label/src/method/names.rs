//! Names of the methods and their serialized form.

use std::str::FromStr;

use serde::Deserialize;

use super::{Method, Penalty, Scaling};
use crate::LabelError;

/// Default parameters: those of the papers.
const LAMBDA: f64 = 1.0;
const MEAN: f64 = 0.2;
const VARIANCE: f64 = 0.05;
const ALPHA: f64 = 1.0;
const UNIMODAL: f64 = 1000.0;

/// The serialized form of a method, with unchecked parameters.
#[derive(Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Unchecked {
    MrL1,
    MrL2,
    Dex,
    RankingBce,
    RankingL2,
    SoftRanking,
    ErL1,
    ErL2,
    Dldl,
    DldlV2 {
        #[serde(default = "lambda")]
        lambda: f64,
        #[serde(default)]
        scaling: Scaling,
        #[serde(default)]
        penalty: Penalty,
    },
    MeanVariance {
        #[serde(default = "mean")]
        mean: f64,
        #[serde(default = "variance")]
        variance: f64,
    },
    OrCnn,
    Coral,
    Sord {
        #[serde(default = "alpha")]
        alpha: f64,
    },
    Crps,
    UnimodalConcentrated {
        #[serde(default = "unimodal")]
        unimodal: f64,
    },
}

fn lambda() -> f64 {
    LAMBDA
}
fn mean() -> f64 {
    MEAN
}
fn variance() -> f64 {
    VARIANCE
}
fn alpha() -> f64 {
    ALPHA
}
fn unimodal() -> f64 {
    UNIMODAL
}

impl TryFrom<Unchecked> for Method {
    type Error = LabelError;

    fn try_from(method: Unchecked) -> Result<Self, LabelError> {
        Ok(match method {
            Unchecked::MrL1 => Method::MrL1,
            Unchecked::MrL2 => Method::MrL2,
            Unchecked::Dex => Method::Dex,
            Unchecked::RankingBce => Method::RankingBce,
            Unchecked::RankingL2 => Method::RankingL2,
            Unchecked::SoftRanking => Method::SoftRanking,
            Unchecked::ErL1 => Method::ErL1,
            Unchecked::ErL2 => Method::ErL2,
            Unchecked::Dldl => Method::Dldl,
            Unchecked::DldlV2 { lambda, scaling, penalty } => {
                Method::DldlV2 { lambda: weight("lambda", lambda)?, scaling, penalty }
            }
            Unchecked::MeanVariance { mean, variance } => Method::MeanVariance {
                mean: weight("mean", mean)?,
                variance: weight("variance", variance)?,
            },
            Unchecked::OrCnn => Method::OrCnn,
            Unchecked::Coral => Method::Coral,
            Unchecked::Sord { alpha: 0.0 } => {
                return Err(LabelError::Parameter {
                    name: "alpha",
                    value: 0.0,
                    expected: "a finite number above 0",
                });
            }
            Unchecked::Sord { alpha } => Method::Sord { alpha: weight("alpha", alpha)? },
            Unchecked::Crps => Method::Crps,
            Unchecked::UnimodalConcentrated { unimodal } => {
                Method::UnimodalConcentrated { unimodal: weight("unimodal", unimodal)? }
            }
        })
    }
}

/// Checks a parameter that weighs a term.
fn weight(name: &'static str, value: f64) -> Result<f64, LabelError> {
    match value.is_finite() && value >= 0.0 {
        true => Ok(value),
        false => {
            Err(LabelError::Parameter { name, value, expected: "a finite number of at least 0" })
        }
    }
}

impl FromStr for Method {
    type Err = LabelError;

    /// The method with this name and the default parameters.
    fn from_str(name: &str) -> Result<Self, LabelError> {
        let found = Method::ALL.iter().find(|method| method.name() == name);
        found.copied().ok_or_else(|| LabelError::UnknownMethod { name: name.into() })
    }
}

impl Method {
    /// All methods with their default parameters: those of the DLDL-v2 paper in its
    /// order, from the simplest to DLDL-v2, then those from other papers.
    pub const ALL: &'static [Method] = &[
        Method::MrL1,
        Method::MrL2,
        Method::Dex,
        Method::RankingBce,
        Method::RankingL2,
        Method::SoftRanking,
        Method::ErL1,
        Method::ErL2,
        Method::Dldl,
        Method::DldlV2 { lambda: LAMBDA, scaling: Scaling::PerSample, penalty: Penalty::L1 },
        Method::MeanVariance { mean: MEAN, variance: VARIANCE },
        Method::OrCnn,
        Method::Coral,
        Method::Sord { alpha: ALPHA },
        Method::Crps,
        Method::UnimodalConcentrated { unimodal: UNIMODAL },
    ];

    /// DLDL-v2 with the given weight and scaling and the L1 penalty of the paper.
    ///
    /// # Errors
    /// If `lambda` is negative or not finite.
    pub fn dldl_v2(lambda: f64, scaling: Scaling) -> Result<Self, LabelError> {
        let lambda = weight("lambda", lambda)?;
        Ok(Method::DldlV2 { lambda, scaling, penalty: Penalty::L1 })
    }

    /// The method's name, as [`FromStr`] and deserialization accept it.
    pub fn name(&self) -> &'static str {
        match self {
            Method::MrL1 => "mr-l1",
            Method::MrL2 => "mr-l2",
            Method::Dex => "dex",
            Method::RankingBce => "ranking-bce",
            Method::RankingL2 => "ranking-l2",
            Method::SoftRanking => "soft-ranking",
            Method::ErL1 => "er-l1",
            Method::ErL2 => "er-l2",
            Method::Dldl => "dldl",
            Method::DldlV2 { .. } => "dldl-v2",
            Method::MeanVariance { .. } => "mean-variance",
            Method::OrCnn => "or-cnn",
            Method::Coral => "coral",
            Method::Sord { .. } => "sord",
            Method::Crps => "crps",
            Method::UnimodalConcentrated { .. } => "unimodal-concentrated",
        }
    }

    /// The names of all methods, separated by commas.
    pub(crate) fn names() -> String {
        Method::ALL.iter().map(Method::name).collect::<Vec<_>>().join(", ")
    }
}
