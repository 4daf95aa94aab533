//! Picture files to upright RGB: JPEG, PNG, WebP, BMP, GIF and TIFF. The
//! format is told from the first bytes, whatever the file is called. No
//! detection and no resizing.

use crate::{FaceError, Picture};
use image::error::ImageError;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::error::Error;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

/// The largest picture that is decoded, in pixels: 64 megapixels. Larger ones
/// are refused after their header was read and before memory is spent on them.
pub const MAX_PIXELS: u64 = 64_000_000;

/// What decoding may allocate beyond the file itself: the largest picture with
/// four 16-bit channels, and some room for the decoder's tables.
const MAX_ALLOC: u64 = MAX_PIXELS * 8 + (64 << 20);

/// The largest file that is read, in bytes: 576 million, more than the largest
/// picture takes without any compression in four channels of 16 bits, so that
/// what is longer has been taken for a picture by mistake.
pub const MAX_FILE_BYTES: u64 = MAX_PIXELS * 9;

/// Decodes the file at `path`, see [`decode`].
///
/// # Errors
/// [`FaceError::InFile`], which names the file and holds what went wrong:
/// [`FaceError::FileTooLarge`] if it has more than [`MAX_FILE_BYTES`], without
/// reading it.
pub fn decode_file(path: &Path) -> Result<Picture, FaceError> {
    read(path)
        .and_then(|bytes| decode(&bytes))
        .map_err(|error| FaceError::InFile { path: path.to_path_buf(), error: Box::new(error) })
}

/// The whole file, if it is no longer than allowed.
fn read(path: &Path) -> Result<Vec<u8>, FaceError> {
    let file = File::open(path).map_err(FaceError::Read)?;
    // Nothing is known of the length of a pipe or a device: there it is 0.
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

/// Decodes a picture file that lies in memory.
///
/// - JPEG (baseline, progressive; gray, YCbCr, RGB, CMYK, YCCK), PNG, WebP, BMP,
///   TIFF, and the first picture of a GIF, an animated WebP or a many-page TIFF.
/// - The EXIF or TIFF orientation is applied: the result is upright.
/// - Gray becomes R = G = B, 16 bits are rounded to 8, and what is transparent
///   is laid over white.
/// - Color profiles are not applied: the values are taken for sRGB.
///
/// # Errors
/// Every other variant of [`FaceError`], each with the reason: not a picture,
/// truncated, damaged, larger than [`MAX_PIXELS`], ...
pub fn decode(bytes: &[u8]) -> Result<Picture, FaceError> {
    let (mut decoder, name) = open(bytes)?;
    let fail = |error: ImageError| describe(error, name);
    let mut limits = limits();
    limits.reserve(decoder.total_bytes()).map_err(fail)?;
    decoder.set_limits(limits).map_err(fail)?;
    // Metadata that cannot be read is no reason to refuse the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Picture::new(width, height, into_rgb(image))
}

/// Width and height in pixels of a picture file that lies in memory, before its
/// orientation is applied, from its header. No pixels are made of it: [`decode`]
/// may still find damage in them.
///
/// # Errors
/// What [`decode`] says of files that it refuses by their first bytes, their
/// header or their length.
pub fn probe(bytes: &[u8]) -> Result<(usize, usize), FaceError> {
    let (decoder, _) = open(bytes)?;
    let (width, height) = decoder.dimensions();
    Ok((width as usize, height as usize))
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    limits
}

/// The decoder of a picture that is whole and not too large by its header, and
/// the format's name.
fn open(bytes: &[u8]) -> Result<(impl ImageDecoder, &'static str), FaceError> {
    let (format, name) = sniff(bytes)?;
    let complete = match format {
        ImageFormat::Jpeg => jpeg_is_complete(bytes),
        ImageFormat::WebP => webp_is_complete(bytes),
        // The other decoders say by themselves that something is missing.
        _ => true,
    };
    if !complete {
        return Err(FaceError::Truncated(name));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let decoder = reader.into_decoder().map_err(|error| describe(error, name))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(FaceError::NoPixels { width, height });
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(FaceError::TooLarge { width, height });
    }
    Ok((decoder, name))
}

/// The format by the first bytes, with its name as people write it.
fn sniff(bytes: &[u8]) -> Result<(ImageFormat, &'static str), FaceError> {
    if bytes.is_empty() {
        return Err(FaceError::Empty);
    }
    // ISO media files: photographs of many telephones, which deserve a clear word.
    if bytes.len() >= 12 && &bytes[4..8] == b"ftyp" {
        let brand = &bytes[8..12];
        return Err(match brand {
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => {
                FaceError::UnsupportedFormat("HEIC".into())
            }
            b"avif" | b"avis" => FaceError::UnsupportedFormat("AVIF".into()),
            _ => FaceError::NotAPicture("the first bytes are those of a video or audio file"),
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
                Err(e) if e.error_len().is_some() => "the first bytes are those of no known format",
                Ok(text) if text.contains('\0') => "the first bytes are those of no known format",
                _ => "the file holds text",
            }))
        }
    }
}

fn describe(error: ImageError, format: &'static str) -> FaceError {
    if ends_early(&error) {
        return FaceError::Truncated(format);
    }
    match error {
        ImageError::Limits(_) => FaceError::TooMuchMemory(format),
        error => FaceError::Damaged { format, reason: error.to_string().trim().to_owned() },
    }
}

/// Whether the file's end is behind the error, which decoders wrap in several
/// layers.
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
    // The GIF decoder has words for it, but no kind.
    error.to_string().to_lowercase().contains("unexpected end of file")
}

/// Whether the end-of-image marker comes before the end of the file.
///
/// The decoder fills what is missing of a JPEG with gray and says nothing, so
/// this is found out beforehand, by walking over the segments (an embedded
/// thumbnail with an end marker of its own lies inside one of them).
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
            // What follows a scan's header is entropy-coded data, in which the
            // search for the next marker goes on.
            Some(_) => {
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else { return false };
                let length = usize::from(u16::from_be_bytes([high, low]));
                at += 1 + length;
            }
        }
    }
}

/// Whether as many bytes are there as the RIFF header announces; the last one
/// may be missing, as it is often mere padding.
fn webp_is_complete(bytes: &[u8]) -> bool {
    let size = bytes.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    size.is_some_and(|size| bytes.len() as u64 + 1 >= u64::from(size) + 8)
}

/// 8-bit RGB pixels; transparent ones over white.
fn into_rgb(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageRgb8(pixels) => pixels.into_raw(),
        image if image.color().has_alpha() => {
            // In place: no second buffer for the common 8-bit case.
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
