//! Picture files to upright sRGB. The format is recognized by the first bytes, not by the
//! file's name.

mod bmp;
mod budget;
mod color;
mod exif;
mod format;
mod gif;
#[cfg(feature = "heic")]
mod heic;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod png;
mod rows;
#[cfg(feature = "tiff")]
mod tiff;
mod webp;

use crate::error::shortened;
use crate::guard::guarded;
use crate::limits::{MAX_DECODE_BYTES, MAX_FILE_BYTES, MAX_PIXELS};
use crate::{FaceError, Picture};
use format::Format;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The step named in [`FaceError::Panicked`] when a decoder panics.
const STEP: &str = "image decoder";

/// What to decode, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The largest picture, in pixels; larger ones are refused by their header.
    pub max_pixels: u64,
    /// The memory that decoding may take, in bytes; pictures that need more, by their
    /// format and size, are refused.
    pub max_memory: u64,
    /// Pictures of more pixels are decoded at a half, a quarter or an eighth of their
    /// width and height, so that at most this many remain (if an eighth is enough).
    /// Faces to be estimated have far fewer.
    pub full_size_pixels: u64,
    /// Whether to use what can be decoded of a damaged or truncated JPEG or PNG.
    pub accept_damaged: bool,
}

impl Default for DecodeOptions {
    /// [`MAX_PIXELS`], [`MAX_DECODE_BYTES`], 25 megapixels at full size, nothing damaged.
    fn default() -> Self {
        Self {
            max_pixels: MAX_PIXELS,
            max_memory: MAX_DECODE_BYTES,
            full_size_pixels: 25_000_000,
            accept_damaged: false,
        }
    }
}

impl DecodeOptions {
    /// 1, 2, 4 or 8: by how much a picture of this size is reduced.
    fn reduction(&self, width: usize, height: usize) -> Result<usize, FaceError> {
        if width == 0 || height == 0 {
            return Err(FaceError::NoPixels { width, height });
        }
        let pixels = width as u64 * height as u64;
        if pixels > self.max_pixels {
            return Err(FaceError::TooLarge { width, height, max_pixels: self.max_pixels });
        }
        let left = |k: &u64| pixels.div_ceil(k * k) <= self.full_size_pixels;
        Ok([1_u64, 2, 4].into_iter().find(left).unwrap_or(8) as usize)
    }
}

/// What the header of a file says.
struct Header {
    /// In pixels, before the orientation is applied.
    width: usize,
    height: usize,
    /// About how many bytes decoding takes for each pixel of the file, beside the result.
    working_bytes: u64,
}

/// A decoded picture, not yet upright.
struct Decoded {
    /// Width, height and RGB.
    picture: (usize, usize, Vec<u8>),
    /// As in EXIF, 1 to 8.
    orientation: u8,
}

/// The functions for a format. The size in a header may be any: it is checked, and a
/// reduction of 1, 2, 4 or 8 chosen, before pixels are decoded.
struct Decoder {
    header: fn(&[u8]) -> Result<Header, FaceError>,
    decode: fn(&[u8], &DecodeOptions, reduction: usize) -> Result<Decoded, FaceError>,
}

/// # Errors
/// The format is not part of this build.
fn decoder(format: Format) -> Result<Decoder, FaceError> {
    Ok(match format {
        Format::Jpeg => Decoder { header: jpeg::header, decode: jpeg::decode },
        Format::Png => Decoder { header: png::header, decode: png::decode },
        Format::WebP => Decoder { header: webp::header, decode: webp::decode },
        Format::Bmp => Decoder { header: bmp::header, decode: bmp::decode },
        Format::Gif => Decoder { header: gif::header, decode: gif::decode },
        #[cfg(feature = "tiff")]
        Format::Tiff => Decoder { header: tiff::header, decode: tiff::decode },
        #[cfg(feature = "heic")]
        Format::Heic => Decoder { header: heic::header, decode: heic::decode },
        #[cfg(feature = "jxl")]
        Format::Jxl => Decoder { header: jxl::header, decode: jxl::decode },
        #[cfg(not(all(feature = "heic", feature = "jxl", feature = "tiff")))]
        other => return Err(FaceError::UnsupportedFormat(other.name().into())),
    })
}

/// Decodes the file at `path` with the default options, see [`decode`].
///
/// # Errors
/// [`FaceError::InFile`], whose source is an error of [`decode`], [`FaceError::Read`],
/// [`FaceError::NotAFile`], or [`FaceError::FileTooLarge`] for a file of more than
/// [`MAX_FILE_BYTES`].
pub fn decode_file(path: &Path) -> Result<Picture, FaceError> {
    decode_file_with(path, &DecodeOptions::default())
}

/// Decodes the file at `path`, see [`decode_with`].
///
/// # Errors
/// As [`decode_file`].
pub fn decode_file_with(path: &Path, options: &DecodeOptions) -> Result<Picture, FaceError> {
    let decoded = read_file(path).and_then(|bytes| decode_with(&bytes, options));
    decoded.map_err(|error| error.in_file(path))
}

/// The bytes of a regular file.
///
/// # Errors
/// [`FaceError::Read`], [`FaceError::NotAFile`], or [`FaceError::FileTooLarge`] for more
/// than [`MAX_FILE_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, FaceError> {
    // Before opening, which waits for ever on a pipe without a writer.
    let metadata = std::fs::metadata(path).map_err(FaceError::Read)?;
    if !metadata.is_file() {
        return Err(FaceError::NotAFile);
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(FaceError::FileTooLarge);
    }
    let mut file = File::open(path).map_err(FaceError::Read)?;
    read_all(&mut file, metadata.len() as usize)
}

/// Reads a picture file from a stream, such as a pipe or a member of an archive, to its
/// end.
///
/// # Errors
/// [`FaceError::Read`], or [`FaceError::FileTooLarge`] after [`MAX_FILE_BYTES`].
pub fn read_stream(stream: &mut dyn Read) -> Result<Vec<u8>, FaceError> {
    read_all(stream, 0)
}

fn read_all(stream: &mut dyn Read, expected: usize) -> Result<Vec<u8>, FaceError> {
    let mut bytes = Vec::with_capacity(expected + 1);
    stream.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(FaceError::Read)?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(FaceError::FileTooLarge) } else { Ok(bytes) }
}

/// Decodes the bytes of a picture file with the default options.
///
/// - JPEG (all but arithmetic-coded, lossless and 12-bit ones), PNG, WebP, BMP, GIF, TIFF,
///   HEIC (feature `heic`) and JPEG XL (feature `jxl`); the first picture of an animation,
///   the first full-size one of a TIFF.
/// - The orientation in EXIF, or else in XMP, is applied: the result is upright.
/// - Samples are converted to sRGB from the color profile in the file. Gray becomes
///   R = G = B, 16 bits are rounded to 8, and transparent pixels are blended with white.
/// - Large pictures are decoded at reduced size, see [`DecodeOptions`] and
///   [`Picture::reduction`].
///
/// # Errors
/// The bytes are not a picture, truncated, damaged, declare more pixels than allowed, or
/// make the decoder panic ([`FaceError::Panicked`]).
pub fn decode(bytes: &[u8]) -> Result<Picture, FaceError> {
    decode_with(bytes, &DecodeOptions::default())
}

/// Decodes the bytes of a picture file, see [`decode`].
///
/// # Errors
/// As [`decode`].
pub fn decode_with(bytes: &[u8], options: &DecodeOptions) -> Result<Picture, FaceError> {
    guarded(STEP, || {
        let format = format::sniff(bytes)?;
        let Decoder { header, decode } = decoder(format)?;
        let Header { width, height, working_bytes } = header(bytes)?;
        let reduction = options.reduction(width, height)?;
        let pixels = width as u64 * height as u64;
        let memory = working_bytes * pixels + 3 * pixels / (reduction * reduction) as u64;
        if memory > options.max_memory {
            return Err(FaceError::TooMuchMemory(format.name()));
        }
        let _reserved = budget::reserve(memory);
        let decoded = decode(bytes, options, reduction)?;
        let full_size = if decoded.orientation < 5 { (width, height) } else { (height, width) };
        let (width, height, rgb) = rows::upright(decoded.picture, decoded.orientation);
        Ok(Picture::new(width, height, rgb)?.reduced_from(full_size, reduction))
    })
}

/// Width and height in pixels from the header of a picture file, before its orientation is
/// applied. The data of a JPEG are checked; the pixels of other formats are not decoded:
/// [`decode`] may still find them damaged.
///
/// # Errors
/// Those of [`decode`] that do not depend on the pixels.
pub fn probe(bytes: &[u8]) -> Result<(usize, usize), FaceError> {
    guarded(STEP, || {
        let format = format::sniff(bytes)?;
        let Header { width, height, .. } = (decoder(format)?.header)(bytes)?;
        DecodeOptions::default().reduction(width, height)?;
        if format == Format::Jpeg {
            jpeg::verify(bytes)?;
        }
        Ok((width, height))
    })
}

fn damaged(format: &'static str, error: &dyn Display) -> FaceError {
    FaceError::Damaged { format, source: shortened(&error.to_string()).into() }
}
