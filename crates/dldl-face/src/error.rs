//! The errors between a file and a crop.

use crate::limits::MAX_FILE_BYTES;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The formats that this build reads.
fn supported() -> String {
    let optional = [
        ("TIFF", cfg!(feature = "tiff")),
        ("HEIC", cfg!(feature = "heic")),
        ("JPEG XL", cfg!(feature = "jxl")),
    ];
    let mut names = vec!["JPEG", "PNG", "WebP", "BMP"];
    names.extend(optional.iter().filter(|(_, is_here)| *is_here).map(|(name, _)| name));
    format!("{} and GIF", names.join(", "))
}

/// Why there is no picture, or no crop of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// One of the other errors, with the file it occurred in.
    #[error("cannot use {} as a picture", path.display())]
    InFile {
        /// The path as given by the caller.
        path: PathBuf,
        /// The problem with the file.
        source: Box<FaceError>,
    },
    /// The file cannot be opened or read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// The path is a folder, pipe, socket or device, which could be read for ever.
    #[error("not a regular file")]
    NotAFile,
    /// The file has more than [`MAX_FILE_BYTES`]; it was not read.
    #[error("file too large for a picture: the limit is {} megabytes", MAX_FILE_BYTES / 1_000_000)]
    FileTooLarge,
    /// The file has no bytes.
    #[error("empty file")]
    Empty,
    /// The first bytes are not those of a picture format.
    #[error("not a picture: {0}")]
    NotAPicture(&'static str),
    /// The format is recognized, but not supported.
    #[error("{} is not supported ({} are): convert it to JPEG or PNG", .0, supported())]
    UnsupportedFormat(String),
    /// The file ends before its picture does.
    #[error("truncated {0} file: it ends before the picture is complete")]
    Truncated(&'static str),
    /// The file's contents contradict its format, or use an unsupported variant of it.
    #[error("damaged or unsupported {format} file")]
    Damaged {
        /// The format by the first bytes.
        format: &'static str,
        /// The decoder's message, shortened to a line.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Width or height is zero.
    #[error("the picture has no pixels ({width}x{height})")]
    NoPixels {
        /// Declared width.
        width: usize,
        /// Declared height.
        height: usize,
    },
    /// The header declares more pixels than allowed; nothing was decoded.
    #[error(
        "picture too large: {width}x{height} is {} megapixels, the limit is {}",
        (*width as u64 * *height as u64).div_ceil(1_000_000),
        max_pixels / 1_000_000
    )]
    TooLarge {
        /// Declared width.
        width: usize,
        /// Declared height.
        height: usize,
        /// The largest number of pixels allowed.
        max_pixels: u64,
    },
    /// Decoding would allocate more memory than allowed.
    #[error("decoding this {0} file needs too much memory")]
    TooMuchMemory(&'static str),
    /// JPEG cannot hold so many pixels in a row or column.
    #[error("{width}x{height} pixels do not fit a JPEG: its sides have at most 65535")]
    TooLargeForJpeg {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The number of bytes does not match the size of the picture.
    #[error(
        "an RGB picture of {width}x{height} pixels cannot have {bytes} bytes: \
         expected 3 per pixel, and at least one pixel"
    )]
    WrongLength {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The number of bytes given.
        bytes: usize,
    },
    /// A decoder or the detector panicked: a bug, caught so that the caller can
    /// continue with the next file.
    #[error("internal error: the {step} panicked: {message}")]
    Panicked {
        /// The step that panicked.
        step: &'static str,
        /// The panic's message, shortened to a line.
        message: String,
    },
}

impl FaceError {
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_path_buf(), source: Box::new(self) }
    }

    /// The error inside [`FaceError::InFile`], or this one.
    pub fn cause(&self) -> &FaceError {
        match self {
            Self::InFile { source, .. } => source,
            other => other,
        }
    }

    /// The error with its causes in one line, without the path of
    /// [`FaceError::InFile`]: for reports that name the file in another place.
    pub fn reason(&self) -> String {
        let inner = self.cause();
        let mut text = inner.to_string();
        let mut cause = inner.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}

/// The first line of a message of another program part, at most 200 characters
/// of it: what decoders quote from a file can be long.
pub(crate) fn shortened(message: &str) -> String {
    const LIMIT: usize = 200;
    let line = message.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_sources_and_not_repeated() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = FaceError::Read(io).in_file("a/b.jpg".as_ref());
        assert_eq!(error.to_string(), "cannot use a/b.jpg as a picture");
        assert_eq!(error.source().unwrap().to_string(), "the file cannot be read");
        assert_eq!(error.reason(), "the file cannot be read: no such file");
        let error = FaceError::Damaged { format: "PNG", source: "bad checksum".into() };
        assert_eq!(error.reason(), "damaged or unsupported PNG file: bad checksum");
    }

    #[test]
    fn messages_are_shortened() {
        assert_eq!(shortened(" bad checksum\nin chunk 3"), "bad checksum");
        assert_eq!(shortened(&"\u{e4}".repeat(300)).chars().count(), 203);
        assert_eq!(shortened(""), "");
    }
}
