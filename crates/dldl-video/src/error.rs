//! Errors of reading and writing video.

use std::io;
use std::path::PathBuf;

/// An error of this crate. A cause is in [`source`](std::error::Error::source) and not
/// repeated in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The program `ffmpeg` is not there.
    #[error(
        "{}: the program ffmpeg was not found; it reads and writes video. Install it \
         (Debian, Ubuntu: `apt install ffmpeg`; macOS: `brew install ffmpeg`; \
         Windows: `winget install ffmpeg`), or give its path",
        .path.display()
    )]
    NotInstalled {
        /// The name or path that was tried.
        path: PathBuf,
    },
    /// A program of that name cannot be run, or is not ffmpeg.
    #[error("cannot run {}", .path.display())]
    CannotRun {
        /// The name or path that was tried.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such file.
    #[error("{input}: no such file")]
    NoSuchFile {
        /// The input as it was given.
        input: String,
    },
    /// ffmpeg delivered no frame at all.
    #[error("{input}: cannot be read as video: {reason}")]
    Unreadable {
        /// The input as it was given.
        input: String,
        /// ffmpeg's own words.
        reason: String,
    },
    /// A frame is not what ffmpeg was asked for.
    #[error("{input}: unexpected output of ffmpeg: {reason}")]
    Protocol {
        /// The input as it was given.
        input: String,
        /// What is wrong.
        reason: String,
    },
    /// The output cannot be written.
    #[error("{}: cannot be written as video: {reason}", .path.display())]
    Unwritable {
        /// The output file.
        path: PathBuf,
        /// ffmpeg's own words, or the system's.
        reason: String,
    },
}
