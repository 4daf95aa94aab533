//! PNG, row by row.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged, exif};
use crate::FaceError;
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Reader, Transformations};
use std::io::{Cursor, ErrorKind};

const NAME: &str = "PNG";

fn open(bytes: &[u8], memory: usize) -> Result<Reader<Cursor<&[u8]>>, FaceError> {
    // Xcode writes pictures of applications with another byte order and compression.
    if bytes.get(12..16) == Some(b"CgBI") {
        return Err(FaceError::UnsupportedFormat("PNG with Apple's CgBI extension".into()));
    }
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: memory });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(fail)
}

/// Interlaced pictures are decoded as a whole, others row by row.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let reader = open(bytes, 64 << 20)?;
    let info = reader.info();
    Ok(Header {
        width: info.width as usize,
        height: info.height as usize,
        working_bytes: if info.interlaced { 8 } else { 0 },
    })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let mut reader = open(bytes, options.max_memory as usize)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    let interlaced = info.interlaced;
    let color = color(info);
    let (kind, depth) = reader.output_color_type();
    let layout = match kind {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgba => Layout::Rgba,
        _ => Layout::Rgb,
    };
    let sixteen = depth == BitDepth::Sixteen;
    let mut rows = Rows::new(width, height, layout, &color, reduction);
    let mut wide = Vec::new();
    let mut push = |row: &[u8]| {
        if sixteen {
            wide.clear();
            wide.extend(row.as_chunks().0.iter().map(|b| u16::from_be_bytes(*b)));
            rows.push16(&wide);
        } else {
            rows.push8(row);
        }
    };
    let line = width * layout.channels() * if sixteen { 2 } else { 1 };
    if interlaced {
        let length = reader.output_buffer_size().ok_or(FaceError::TooMuchMemory(NAME))?;
        let mut buffer = vec![0; length];
        reader.next_frame(&mut buffer).map_err(fail)?;
        buffer.chunks_exact(line).take(height).for_each(push);
    } else {
        for _ in 0..height {
            match reader.next_row() {
                Ok(Some(row)) => push(row.data()),
                Ok(None) => return Err(FaceError::Truncated(NAME)),
                Err(_) if options.accept_damaged => push(&vec![128; line]),
                Err(error) => return Err(fail(error)),
            }
        }
    }
    // Every pixel is there: the file may end here. Checksums must still be right.
    match reader.finish() {
        Err(error) if !ends(&error) && !options.accept_damaged => return Err(fail(error)),
        _ => {}
    }
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: orientation(bytes, reader.info()) })
}

/// What the chunks say of the color space, by the precedence of the standard.
fn color(info: &png::Info) -> Color {
    if let Some(cicp) = info.coding_independent_code_points {
        return Color::Cicp { primaries: cicp.color_primaries, transfer: cicp.transfer_function };
    }
    if let Some(profile) = &info.icc_profile {
        return Color::Icc(profile.to_vec());
    }
    match info.gama_chunk {
        Some(gamma) if info.srgb.is_none() && gamma.into_value() > 0.0 => {
            let gamma = 1.0 / gamma.into_value();
            // 1 / 2.2 stands for sRGB.
            if (gamma - 2.2).abs() < 0.1 { Color::Srgb } else { Color::Gamma(gamma) }
        }
        _ => Color::Srgb,
    }
}

/// From the EXIF chunk, wherever it is; from ImageMagick's text chunk; or from XMP.
fn orientation(bytes: &[u8], info: &png::Info) -> u8 {
    let chunk = chunks(bytes).find(|(kind, _)| *kind == b"eXIf").map(|(_, data)| data);
    let text = || {
        let profile = info.compressed_latin1_text.iter().find_map(|chunk| {
            let named = ["Raw profile type exif", "Raw profile type APP1"];
            named.contains(&chunk.keyword.as_str()).then(|| chunk.get_text().ok()).flatten()
        });
        profile.and_then(|text| exif::orientation(&hexadecimal(&text)))
    };
    let xmp = || {
        let packet = info.utf8_text.iter().find(|chunk| chunk.keyword == "XML:com.adobe.xmp")?;
        exif::orientation_of_xmp(packet.get_text().ok()?.as_bytes())
    };
    chunk.and_then(exif::orientation).or_else(text).or_else(xmp).unwrap_or(1)
}

/// Type and data of the chunks.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let kind = rest.get(4..)?.first_chunk()?;
        let data = rest.get(8..length.checked_add(8)?)?;
        rest = rest.get(length.checked_add(12)?..)?;
        Some((kind, data))
    })
}

/// The bytes of a text profile: a name, a length, and hexadecimal digits.
fn hexadecimal(text: &str) -> Vec<u8> {
    let digits = text.trim_start().lines().skip(2).flat_map(str::bytes);
    let digits: Vec<u8> =
        digits.filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn ends(error: &DecodingError) -> bool {
    matches!(error, DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof)
}

fn fail(error: DecodingError) -> FaceError {
    match error {
        error if ends(&error) => FaceError::Truncated(NAME),
        DecodingError::LimitsExceeded => FaceError::TooMuchMemory(NAME),
        error => damaged(NAME, &error),
    }
}
