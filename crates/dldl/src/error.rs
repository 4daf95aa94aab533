//! Errors of loading models and pictures and of estimation.

use crate::models::Precision;
use crate::{FaceError, NetError, models};

/// An error of this crate. A cause is in [`source`](std::error::Error::source) and
/// not repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A picture cannot be read.
    #[error(transparent)]
    Picture(#[from] FaceError),
    /// The model cannot be loaded or run.
    #[error(transparent)]
    Model(#[from] NetError),
    /// Neither a built-in model nor an existing file.
    #[error(
        "unknown model `{model}`: expected a weights file or a built-in model ({})",
        models::names().join(", ")
    )]
    UnknownModel {
        /// The name or path that was given.
        model: String,
    },
    /// The model does not exist in this precision.
    #[error("{}", no_such_precision(model, *.precision))]
    Precision {
        /// The name or path that was given.
        model: String,
        /// The precision that was asked for.
        precision: Precision,
    },
}

fn no_such_precision(model: &str, precision: Precision) -> String {
    match precision {
        Precision::F32 => {
            format!("`{model}` has 8-bit weights only: give the model that it was made from")
        }
        Precision::Int8 | Precision::Auto => {
            format!("`{model}` has no 8-bit form: `dldl quantize` makes one")
        }
    }
}
