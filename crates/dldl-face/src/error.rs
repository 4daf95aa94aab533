//! What can go wrong between a file and a picture.

use std::path::PathBuf;

/// Why there is no picture. The message says what is wrong with the file, and
/// names it where it came from one ([`FaceError::InFile`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// One of the other errors, with the file it concerns.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file as it was given.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<FaceError>,
    },
    /// The file could not be opened or read.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// More bytes than [`crate::MAX_FILE_BYTES`]; they were not read.
    #[error(
        "file too large for a picture: the limit is {} megabytes",
        crate::MAX_FILE_BYTES / 1_000_000
    )]
    FileTooLarge,
    /// No bytes at all.
    #[error("empty file")]
    Empty,
    /// The first bytes are those of no picture format.
    #[error("not a picture: {0}")]
    NotAPicture(&'static str),
    /// A picture, in a format that is not read here.
    #[error("{0} pictures are not supported (JPEG, PNG, WebP, BMP, GIF and TIFF are)")]
    UnsupportedFormat(String),
    /// The file ends before its picture does.
    #[error("truncated {0} file: it ends before the picture is complete")]
    Truncated(&'static str),
    /// The file's contents contradict its format, or use an unsupported variant of it.
    #[error("damaged or unsupported {format} file: {reason}")]
    Damaged {
        /// The format that the first bytes promise.
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
    /// Width or height is zero.
    #[error("the picture has no pixels ({width}x{height})")]
    NoPixels {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// More pixels than [`crate::MAX_PIXELS`], known from the header, before
    /// any of them was decoded.
    #[error(
        "picture too large: {width}x{height} is {} megapixels, the limit is {}",
        (u64::from(*width) * u64::from(*height)).div_ceil(1_000_000),
        crate::MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// Decoding would need more memory than is sensible for the picture.
    #[error("decoding this {0} file needs too much memory")]
    TooMuchMemory(&'static str),
    /// Pixels whose number does not fit the size.
    #[error(
        "an RGB picture of {width}x{height} pixels cannot have {bytes} bytes: expected 3 per pixel, and at least one pixel"
    )]
    WrongLength {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Length of what was given.
        bytes: usize,
    },
}
