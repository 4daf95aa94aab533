//! Errors of loading models and pictures and of estimation.

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
}
