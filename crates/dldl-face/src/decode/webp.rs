//! WebP; the first picture of an animation.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged, exif};
use crate::FaceError;
use image_webp::{DecodingError, WebPDecoder};
use std::io::{Cursor, ErrorKind};

const NAME: &str = "WebP";

fn open(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, FaceError> {
    // The last byte may be missing: it is often padding.
    let size = bytes.get(4..8).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    if size.is_none_or(|size| bytes.len() as u64 + 1 < u64::from(size) + 8) {
        return Err(FaceError::Truncated(NAME));
    }
    WebPDecoder::new(Cursor::new(bytes)).map_err(fail)
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let (width, height) = open(bytes)?.dimensions();
    Ok(Header { width: width as usize, height: height as usize, working_bytes: 5 })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let mut decoder = open(bytes)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    decoder.set_memory_limit(options.max_memory as usize);
    // Unreadable metadata is no reason to refuse the pixels.
    let color = Color::from_icc(decoder.icc_profile().ok().flatten());
    let block = decoder.exif_metadata().ok().flatten();
    let packet = decoder.xmp_metadata().ok().flatten();
    let orientation = (block.and_then(|block| exif::orientation(&block)))
        .or_else(|| exif::orientation_of_xmp(&packet?));
    let length = decoder.output_buffer_size().ok_or(FaceError::TooMuchMemory(NAME))?;
    let mut samples = vec![0; length];
    decoder.read_image(&mut samples).map_err(fail)?;
    let layout = if decoder.has_alpha() { Layout::Rgba } else { Layout::Rgb };
    let mut rows = Rows::new(width, height, layout, &color, reduction);
    rows.push_all8(samples);
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: orientation.unwrap_or(1) })
}

fn fail(error: DecodingError) -> FaceError {
    match error {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => {
            FaceError::Truncated(NAME)
        }
        DecodingError::MemoryLimitExceeded => FaceError::TooMuchMemory(NAME),
        error => damaged(NAME, &error),
    }
}
