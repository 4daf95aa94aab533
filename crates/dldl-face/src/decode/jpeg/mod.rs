//! JPEG. `zune-jpeg` decodes most files, being the fastest; `jpeg-decoder` those with
//! several baseline scans or unusual sampling factors, which `zune-jpeg` gets wrong, and
//! large ones at reduced size.
//! Both fill damaged parts with something, so `check` looks for damage first.

mod check;
mod huffman;
mod markers;

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged, exif};
use crate::FaceError;
use check::Problem;
use markers::Markers;
use std::borrow::Cow;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;

const NAME: &str = "JPEG";

/// Progressive pictures are decoded coefficient by coefficient, all of which are kept.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let Markers { width, height, progressive, ref components, .. } = Markers::read(bytes)?;
    let blocks = components.iter().map(|c| c.h * c.v).sum::<usize>();
    let most = components.iter().map(|c| c.h).max().unwrap_or(1)
        * components.iter().map(|c| c.v).max().unwrap_or(1);
    let working_bytes = if progressive { (2 * blocks).div_ceil(most) as u64 } else { 1 };
    Ok(Header { width, height, working_bytes })
}

/// Whether the file is whole, without computing pixels.
pub(super) fn verify(bytes: &[u8]) -> Result<(), FaceError> {
    checked(bytes, &Markers::read(bytes)?).map(|_| ())
}

/// Where the picture's data ends, if it is whole.
fn checked(bytes: &[u8], markers: &Markers) -> Result<usize, FaceError> {
    check::check(bytes, markers).map_err(|problem| match problem {
        Problem::Ends(_) if !markers.has_end => FaceError::Truncated(NAME),
        Problem::Ends(place) => broken("the data breaks off", place),
        Problem::Damaged(what, place) => broken(what, place),
    })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let markers = Markers::read(bytes)?;
    let end = match checked(bytes, &markers) {
        Err(_) if options.accept_damaged => bytes.len(),
        checked => checked?,
    };
    // Before the file is cut: these segments may stand behind the last scan.
    let orientation = (markers.exif.iter().find_map(|r| exif::orientation(&bytes[r.clone()])))
        .or_else(|| markers.xmp.iter().find_map(|r| exif::orientation_of_xmp(&bytes[r.clone()])));
    let color = Color::from_icc(profile(bytes, &markers));
    // Some cameras leave out the end marker, which decoders insist on.
    let bytes = if markers.has_end {
        Cow::Borrowed(bytes)
    } else {
        Cow::Owned([&bytes[..end], &[0xFF, 0xD9]].concat())
    };
    let (luma, chroma) = markers.components.split_at(1);
    let simple = luma.iter().all(|c| c.h.is_power_of_two() && c.v.is_power_of_two())
        && chroma.iter().all(|c| (c.h, c.v) == (1, 1))
        && (markers.progressive || markers.scans.len() == 1);
    let rows = if simple && reduction == 1 {
        whole(&bytes, &markers, &color)?
    } else {
        reduced(&bytes, &markers, &color, reduction)?
    };
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: orientation.unwrap_or(1) })
}

fn broken(what: &str, place: f64) -> FaceError {
    let place = (100.0 * place).round();
    let text =
        if place < 100.0 { format!("{what} at {place} % of its height") } else { what.into() };
    FaceError::Damaged { format: NAME, source: text.into() }
}

/// Decodes with `zune-jpeg`.
fn whole(bytes: &[u8], markers: &Markers, color: &Color) -> Result<Rows, FaceError> {
    let gray = markers.components.len() == 1;
    let (space, layout) =
        if gray { (ColorSpace::Luma, Layout::Gray) } else { (ColorSpace::RGB, Layout::Rgb) };
    let options = zune_core::options::DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .set_strict_mode(false)
        .jpeg_set_out_colorspace(space);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let samples = decoder.decode().map_err(|e| damaged(NAME, &e))?;
    let mut rows = Rows::new(markers.width, markers.height, layout, color, 1);
    rows.push_all8(samples);
    Ok(rows)
}

/// Decodes with `jpeg-decoder`, which computes smaller blocks for a smaller picture.
fn reduced(
    bytes: &[u8],
    markers: &Markers,
    color: &Color,
    reduction: usize,
) -> Result<Rows, FaceError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let fail = |e: jpeg_decoder::Error| damaged(NAME, &e);
    decoder.read_info().map_err(fail)?;
    let side = |n: usize| n.div_ceil(reduction) as u16;
    let (width, height) = (side(markers.width), side(markers.height));
    let (got_width, got_height) = decoder.scale(width, height).map_err(fail)?;
    if (got_width, got_height) != (width, height) {
        return Err(damaged(NAME, &"it cannot be decoded at reduced size"));
    }
    let samples = decoder.decode().map_err(fail)?;
    let format = decoder.info().map(|info| info.pixel_format);
    let (layout, samples) = match format {
        Some(jpeg_decoder::PixelFormat::L8) => (Layout::Gray, samples),
        Some(jpeg_decoder::PixelFormat::RGB24) => (Layout::Rgb, samples),
        Some(jpeg_decoder::PixelFormat::CMYK32) => (Layout::Rgb, from_cmyk(&samples)),
        _ => return Err(FaceError::UnsupportedFormat("16-bit JPEG".into())),
    };
    let mut rows = Rows::new(width.into(), height.into(), layout, color, 1);
    rows.push_all8(samples);
    Ok(rows)
}

/// Adobe's CMYK, 255 for no ink.
fn from_cmyk(samples: &[u8]) -> Vec<u8> {
    let value = |ink: u8, black: u8| ((u16::from(ink) * u16::from(black) + 127) / 255) as u8;
    samples.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|c| value(255 - p[c], 255 - p[3]))).collect()
}

/// The ICC profile, whose parts may be in any order.
fn profile(bytes: &[u8], markers: &Markers) -> Option<Vec<u8>> {
    let mut parts = markers.icc.clone();
    parts.sort_by_key(|(number, _)| *number);
    let profile: Vec<u8> = parts.into_iter().flat_map(|(_, r)| &bytes[r]).copied().collect();
    (!profile.is_empty()).then_some(profile)
}
