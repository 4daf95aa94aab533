//! Picture files to upright RGB: JPEG, PNG, WebP, BMP, GIF and TIFF. The format
//! is recognized by the first bytes, not by the file's name.

use crate::error::shortened;
use crate::guard::guarded;
use crate::limits::{MAX_FILE_BYTES, MAX_PIXELS};
use crate::{FaceError, Picture};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::error::Error;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

/// The step named in [`FaceError::Panicked`] when a decoder panics.
const STEP: &str = "image decoder";

/// What decoding may allocate beyond the file itself, in bytes: the largest
/// picture with four 16-bit channels, and 64 MiB for the decoder's tables.
const MAX_ALLOC: u64 = MAX_PIXELS * 8 + (64 << 20);

/// Decodes the file at `path`, see [`decode`].
///
/// # Errors
/// [`FaceError::InFile`], whose source is an error of [`decode`],
/// [`FaceError::Read`], or [`FaceError::FileTooLarge`] for a file of more than
/// [`MAX_FILE_BYTES`].
pub fn decode_file(path: &Path) -> Result<Picture, FaceError> {
    read(path).and_then(|bytes| decode(&bytes)).map_err(|error| error.in_file(path))
}

/// The whole file, if it is not too large.
fn read(path: &Path) -> Result<Vec<u8>, FaceError> {
    let file = File::open(path).map_err(FaceError::Read)?;
    // 0 for a pipe or a device.
    let length = file.metadata().map_err(FaceError::Read)?.len();
    let mut bytes = Vec::new();
    if length <= MAX_FILE_BYTES {
        bytes.reserve_exact(length as usize + 1);
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(FaceError::Read)?;
    }
    if length.max(bytes.len() as u64) > MAX_FILE_BYTES {
        return Err(FaceError::FileTooLarge);
    }
    Ok(bytes)
}

/// Decodes the bytes of a picture file.
///
/// - JPEG (baseline, progressive; gray, YCbCr, RGB, CMYK, YCCK), PNG, WebP, BMP,
///   TIFF; the first picture of a GIF, an animated WebP or a multi-page TIFF.
/// - The EXIF or TIFF orientation is applied: the result is upright.
/// - Gray becomes R = G = B, 16 bits are rounded to 8, and transparent pixels are
///   blended with white.
/// - Color profiles are ignored: the values are taken as sRGB.
///
/// # Errors
/// The bytes are not a picture, truncated, damaged, declare more than
/// [`MAX_PIXELS`], or make the decoder panic ([`FaceError::Panicked`]).
pub fn decode(bytes: &[u8]) -> Result<Picture, FaceError> {
    guarded(STEP, || {
        let (mut decoder, format) = open(bytes)?;
        let fail = |error: ImageError| convert(error, format);
        let mut limits = limits();
        limits.reserve(decoder.total_bytes()).map_err(fail)?;
        decoder.set_limits(limits).map_err(fail)?;
        // Unreadable metadata is no reason to refuse the pixels.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut image = DynamicImage::from_decoder(decoder).map_err(fail)?;
        image.apply_orientation(orientation);
        let (width, height) = (image.width() as usize, image.height() as usize);
        Picture::new(width, height, into_rgb(image))
    })
}

/// Width and height in pixels from the header of a picture file, before its
/// orientation is applied. The pixels are not decoded: [`decode`] may still find
/// them damaged.
///
/// # Errors
/// Those of [`decode`] that do not depend on the pixels.
pub fn probe(bytes: &[u8]) -> Result<(usize, usize), FaceError> {
    guarded(STEP, || {
        let (decoder, _) = open(bytes)?;
        let (width, height) = decoder.dimensions();
        Ok((width as usize, height as usize))
    })
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    limits
}

/// A decoder for the file, which is complete and not too large by its header, and
/// the name of the format.
fn open(bytes: &[u8]) -> Result<(impl ImageDecoder, &'static str), FaceError> {
    let (format, name) = sniff(bytes)?;
    let complete = match format {
        ImageFormat::Jpeg => jpeg_is_complete(bytes),
        ImageFormat::WebP => webp_is_complete(bytes),
        // The other decoders report missing data themselves.
        _ => true,
    };
    if !complete {
        return Err(FaceError::Truncated(name));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let decoder = reader.into_decoder().map_err(|error| convert(error, name))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(FaceError::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(FaceError::TooLarge { width, height });
    }
    Ok((decoder, name))
}

/// The format by the first bytes, with its usual name.
fn sniff(bytes: &[u8]) -> Result<(ImageFormat, &'static str), FaceError> {
    if bytes.is_empty() {
        return Err(FaceError::Empty);
    }
    // ISO media files, among them the photographs of many phones.
    if bytes.len() >= 12 && &bytes[4..8] == b"ftyp" {
        let brand = &bytes[8..12];
        return Err(match brand {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => {
                FaceError::UnsupportedFormat("HEIC".into())
            }
            b"avif" | b"avis" => FaceError::UnsupportedFormat("AVIF".into()),
            _ => FaceError::NotAPicture("the file starts like a video or audio file"),
        });
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok((ImageFormat::Jpeg, "JPEG")),
        Ok(ImageFormat::Png) => Ok((ImageFormat::Png, "PNG")),
        Ok(ImageFormat::WebP) => Ok((ImageFormat::WebP, "WebP")),
        Ok(ImageFormat::Bmp) => Ok((ImageFormat::Bmp, "BMP")),
        Ok(ImageFormat::Gif) => Ok((ImageFormat::Gif, "GIF")),
        Ok(ImageFormat::Tiff) => Ok((ImageFormat::Tiff, "TIFF")),
        Ok(other) => Err(FaceError::UnsupportedFormat(format!("{other:?}"))),
        Err(_) => {
            Err(FaceError::NotAPicture(match std::str::from_utf8(&bytes[..bytes.len().min(64)]) {
                // A character cut in two at the 64th byte is still text.
                Err(e) if e.error_len().is_some() => "unknown file format",
                Ok(text) if text.contains('\0') => "unknown file format",
                _ => "the file contains text",
            }))
        }
    }
}

fn convert(error: ImageError, format: &'static str) -> FaceError {
    if ends_early(&error) {
        return FaceError::Truncated(format);
    }
    match error {
        ImageError::Limits(_) => FaceError::TooMuchMemory(format),
        // As text: `ImageError` repeats its causes.
        error => FaceError::Damaged { format, source: shortened(&error.to_string()).into() },
    }
}

/// Whether the error is caused by the end of the file; decoders wrap that in
/// several layers.
fn ends_early(error: &ImageError) -> bool {
    let at_end = |e: &std::io::Error| e.kind() == ErrorKind::UnexpectedEof;
    if let ImageError::IoError(error) = error {
        return at_end(error);
    }
    let mut cause = error.source();
    while let Some(e) = cause {
        if e.downcast_ref().is_some_and(at_end) {
            return true;
        }
        cause = e.source();
    }
    // The GIF decoder reports it only as text.
    error.to_string().to_lowercase().contains("unexpected end of file")
}

/// Whether the file contains the end-of-image marker.
///
/// The decoder silently fills the missing part of a JPEG with gray, so this is
/// checked first. It skips over whole segments, because an embedded thumbnail has
/// an end marker of its own.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    loop {
        let Some(skip) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xFF))
        else {
            return false;
        };
        at += skip + 1;
        match bytes.get(at) {
            None => return false,
            Some(&END_OF_IMAGE) => return true,
            // Fill bytes, escaped 0xFF in entropy-coded data, restart markers.
            Some(0xFF) => {}
            Some(0x00 | 0x01 | 0xD0..=0xD8) => at += 1,
            // A segment. A scan's header is followed by entropy-coded data, which
            // is searched for the next marker.
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                at += 1 + length;
            }
        }
    }
}

/// Whether the file has the size in its RIFF header. The last byte may be missing:
/// it is often padding.
fn webp_is_complete(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    size.is_some_and(|size| bytes.len() as u64 + 1 >= u64::from(size) + 8)
}

/// 8-bit RGB pixels, blended with white where they are transparent.
fn into_rgb(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        image if image.color().has_alpha() => {
            // In place, so that the common 8-bit case needs no second buffer.
            let mut bytes = image.into_rgba8().into_raw();
            let pixels = bytes.len() / 4;
            for i in 0..pixels {
                let alpha = u16::from(bytes[4 * i + 3]);
                for c in 0..3 {
                    let value = u16::from(bytes[4 * i + c]) * alpha + 255 * (255 - alpha);
                    bytes[3 * i + c] = ((value + 127) / 255) as u8;
                }
            }
            bytes.truncate(3 * pixels);
            bytes.shrink_to_fit();
            bytes
        }
        image => image.into_rgb8().into_raw(),
    }
}
