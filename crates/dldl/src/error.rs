//! What can go wrong between a picture and its ages.

use crate::{FaceError, NetError, models};

/// An error of this crate; the text says what is wrong and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A picture could not be read.
    #[error(transparent)]
    Picture(#[from] FaceError),
    /// The model could not be run.
    #[error(transparent)]
    Model(#[from] NetError),
    /// Neither a built-in model nor a file.
    #[error(
        "no model \"{model}\": neither a file nor one of the built-in models ({})",
        models::names().join(", ")
    )]
    UnknownModel {
        /// What was asked for.
        model: String,
    },
}
