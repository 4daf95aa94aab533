//! GIF: the first picture.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged};
use crate::FaceError;
use gif::{ColorOutput, DecodeOptions as GifOptions, Decoder, DecodingError, MemoryLimit};
use std::io::{Cursor, ErrorKind};
use std::num::NonZeroU64;

const NAME: &str = "GIF";

fn open(bytes: &[u8], memory: u64) -> Result<Decoder<Cursor<&[u8]>>, FaceError> {
    let mut options = GifOptions::new();
    options.set_color_output(ColorOutput::RGBA);
    options
        .set_memory_limit(MemoryLimit::Bytes(NonZeroU64::new(memory).unwrap_or(NonZeroU64::MAX)));
    options.read_info(Cursor::new(bytes)).map_err(fail)
}

/// The size is that of the screen on which the pictures are placed.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let decoder = open(bytes, 64 << 20)?;
    let (width, height) = (decoder.width().into(), decoder.height().into());
    Ok(Header { width, height, working_bytes: 4 })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let mut decoder = open(bytes, options.max_memory)?;
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.read_next_frame().map_err(fail)?;
    let frame = frame.ok_or_else(|| damaged(NAME, &"it contains no picture"))?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let line = 4 * usize::from(frame.width);
    let mut rows = Rows::new(width, height, Layout::Rgba, &Color::Srgb, reduction);
    let mut screen = vec![0; 4 * width];
    for y in 0..height {
        screen.fill(0);
        let inside = y.checked_sub(top).and_then(|y| frame.buffer.get(y * line..(y + 1) * line));
        if let Some(from) = inside.filter(|_| left < width) {
            let shown = line.min(4 * (width - left));
            screen[4 * left..4 * left + shown].copy_from_slice(&from[..shown]);
        }
        rows.push8(&screen);
    }
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: 1 })
}

fn fail(error: DecodingError) -> FaceError {
    match error {
        DecodingError::Io(e) if e.kind() == ErrorKind::UnexpectedEof => FaceError::Truncated(NAME),
        DecodingError::UnexpectedEof => FaceError::Truncated(NAME),
        DecodingError::MemoryLimit => FaceError::TooMuchMemory(NAME),
        error => damaged(NAME, &error),
    }
}
