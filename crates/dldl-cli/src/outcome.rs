//! How a command ends. `main` turns it into an exit code.

use std::error::Error;

/// How a command ended that did its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Complete,
    /// Some inputs failed; each was reported.
    SomeFailed,
    /// Interrupted by Ctrl-C; a rerun continues from the checkpoint.
    Stopped,
}

impl Outcome {
    /// `Complete` if there are no failures.
    pub fn of(failures: usize) -> Self {
        if failures == 0 { Self::Complete } else { Self::SomeFailed }
    }
}

/// The command cannot start as given: exit code 2.
///
/// It displays as the error inside and has the same causes.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct UsageError(Box<dyn Error + Send + Sync>);

impl UsageError {
    /// For `map_err`.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
