//! TIFF: the full picture, which is not always the first; cameras and scanners put a
//! thumbnail before it.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged};
use crate::FaceError;
use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom};
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{IfdPointer, Tag};
use tiff::{ColorType, TiffError};

const NAME: &str = "TIFF";
/// The largest number of directories that are looked at.
const MAX_DIRECTORIES: usize = 64;
const NEW_SUBFILE_TYPE: Tag = Tag::Unknown(254);
const SUBFILE_TYPE: Tag = Tag::Unknown(255);
const SUB_DIRECTORIES: Tag = Tag::Unknown(330);
const CHROMA_SAMPLING: Tag = Tag::Unknown(530);
const GRAY: u16 = 1;
const PALETTE: u64 = 3;
const SENSOR_DATA: u64 = 32803;
const LINEAR_SENSOR_DATA: u64 = 34892;

/// Of the full picture.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let (width, height) = open(bytes, 64 << 20)?.0.dimensions().map_err(fail)?;
    Ok(Header { width: width as usize, height: height as usize, working_bytes: 8 })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let (mut decoder, indexed) = open(bytes, options.max_memory as usize)?;
    let (width, height) = decoder.dimensions().map_err(fail)?;
    let (width, height) = (width as usize, height as usize);
    let kind = decoder.colortype().map_err(fail)?;
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let profile = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
    let color = Color::from_icc(profile);
    let palette =
        if indexed { decoder.get_tag_u16_vec(Tag::ColorMap).map_err(fail)? } else { Vec::new() };
    let sampling = decoder.get_tag_u16_vec(CHROMA_SAMPLING).unwrap_or_default();
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten();
    let mut samples = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut samples).map_err(fail)?;
    let channels = match kind {
        ColorType::Gray(_) => 1,
        ColorType::GrayA(_) => 2,
        ColorType::RGB(_) | ColorType::YCbCr(_) => 3,
        ColorType::RGBA(_) | ColorType::CMYK(_) => 4,
        other => return Err(variant(&format!("{other:?} pixels"))),
    };
    if planar == Some(2) && channels > 1 {
        samples = match samples {
            DecodingResult::U8(planes) => DecodingResult::U8(interleaved(&planes, channels)),
            DecodingResult::U16(planes) => DecodingResult::U16(interleaved(&planes, channels)),
            _ => return Err(variant("planes of such numbers")),
        };
    }
    let (layout, samples) = match (kind, samples) {
        (ColorType::Gray(bits @ (1 | 2 | 4 | 8)), DecodingResult::U8(packed)) if indexed => {
            let colors = colors(&palette, bits)?;
            let rgb = unpacked(&packed, width, bits).flat_map(|i| colors[usize::from(i)]);
            (Layout::Rgb, Samples::Eight(rgb.collect()))
        }
        (ColorType::Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(packed)) => {
            let top = (1_u16 << bits) - 1;
            let level = |v: u8| (u16::from(v) * 255 / top) as u8;
            (Layout::Gray, Samples::Eight(unpacked(&packed, width, bits).map(level).collect()))
        }
        (ColorType::CMYK(8), DecodingResult::U8(ink)) => {
            (Layout::Rgb, Samples::Eight(from_cmyk(&ink)))
        }
        (ColorType::CMYK(16), DecodingResult::U16(ink)) => {
            let ink: Vec<u8> = ink.into_iter().map(|v| (v >> 8) as u8).collect();
            (Layout::Rgb, Samples::Eight(from_cmyk(&ink)))
        }
        (ColorType::YCbCr(8), DecodingResult::U8(v)) if sampling == [1, 1] => {
            (Layout::Rgb, Samples::Eight(from_ycbcr(&v)))
        }
        (ColorType::YCbCr(_), _) => return Err(variant("subsampled YCbCr pixels")),
        (ColorType::Gray(8), DecodingResult::U8(v)) => (Layout::Gray, Samples::Eight(v)),
        (ColorType::GrayA(8), DecodingResult::U8(v)) => (Layout::GrayAlpha, Samples::Eight(v)),
        (ColorType::RGB(8), DecodingResult::U8(v)) => (Layout::Rgb, Samples::Eight(v)),
        (ColorType::RGBA(8), DecodingResult::U8(v)) => (Layout::Rgba, Samples::Eight(v)),
        (ColorType::Gray(16), DecodingResult::U16(v)) => (Layout::Gray, Samples::Sixteen(v)),
        (ColorType::GrayA(16), DecodingResult::U16(v)) => (Layout::GrayAlpha, Samples::Sixteen(v)),
        (ColorType::RGB(16), DecodingResult::U16(v)) => (Layout::Rgb, Samples::Sixteen(v)),
        (ColorType::RGBA(16), DecodingResult::U16(v)) => (Layout::Rgba, Samples::Sixteen(v)),
        (ColorType::Gray(32), DecodingResult::F32(v)) => (Layout::Gray, quantized(&v)?),
        (ColorType::RGB(32), DecodingResult::F32(v)) => (Layout::Rgb, quantized(&v)?),
        (ColorType::RGBA(32), DecodingResult::F32(v)) => (Layout::Rgba, quantized(&v)?),
        (kind, _) => return Err(variant(&format!("{kind:?} pixels"))),
    };
    let mut rows = Rows::new(width, height, layout, &color, reduction);
    match samples {
        Samples::Eight(samples) => rows.push_all8(samples),
        Samples::Sixteen(samples) => {
            let line = width * layout.channels();
            samples.chunks_exact(line).take(height).for_each(|row| rows.push16(row));
        }
    }
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: orientation.unwrap_or(1) })
}

enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// Numbers from 0 to 1.
fn quantized(values: &[f32]) -> Result<Samples, FaceError> {
    if !values.iter().all(|v| (0.0..=1.0).contains(v)) {
        return Err(variant("floating-point pixels outside 0 to 1"));
    }
    Ok(Samples::Eight(values.iter().map(|v| (v * 255.0).round() as u8).collect()))
}

/// Full-range YCbCr of ITU-R BT.601, as in JPEG files.
fn from_ycbcr(samples: &[u8]) -> Vec<u8> {
    let byte = |v: f32| v.round().clamp(0.0, 255.0) as u8;
    let rgb = |&[y, cb, cr]: &[u8; 3]| {
        let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        [byte(y + 1.402 * cr), byte(y - 0.344_136 * cb - 0.714_136 * cr), byte(y + 1.772 * cb)]
    };
    samples.as_chunks().0.iter().flat_map(rgb).collect()
}

fn interleaved<T: Copy>(planes: &[T], channels: usize) -> Vec<T> {
    let plane = planes.len() / channels;
    (0..plane).flat_map(|i| (0..channels).map(move |c| planes[c * plane + i])).collect()
}

/// Samples of 1, 2, 4 or 8 bits; every row starts with a byte.
fn unpacked(packed: &[u8], width: usize, bits: u8) -> impl Iterator<Item = u8> {
    let bits = usize::from(bits);
    let mask = ((1_u16 << bits) - 1) as u8;
    packed.chunks_exact((width * bits).div_ceil(8)).flat_map(move |row| {
        (0..width).map(move |x| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask)
    })
}

/// The colors of a palette: all reds, all greens, all blues.
fn colors(palette: &[u16], bits: u8) -> Result<Vec<[u8; 3]>, FaceError> {
    let count = 1 << bits;
    if palette.len() < 3 * count {
        return Err(damaged(NAME, &"its palette is too short"));
    }
    // Some programs write 8 bits where the standard has 16.
    let shift = if palette.iter().all(|&v| v < 256) { 0 } else { 8 };
    let color = |i| [0, 1, 2].map(|c| (palette[c * count + i] >> shift) as u8);
    Ok((0..count).map(color).collect())
}

fn from_cmyk(ink: &[u8]) -> Vec<u8> {
    let light =
        |ink: u8, black: u8| ((u16::from(255 - ink) * u16::from(255 - black) + 127) / 255) as u8;
    ink.as_chunks::<4>().0.iter().flat_map(|&[c, m, y, k]| [c, m, y].map(|v| light(v, k))).collect()
}

/// A decoder at the full picture, and whether its samples are indices into a palette.
fn open(bytes: &[u8], memory: usize) -> Result<(Decoder<At<'_>>, bool), FaceError> {
    let first = Decoder::new(At { patches: Vec::new(), file: Cursor::new(bytes) }).map_err(fail)?;
    let directories = directories(first);
    let full = directories.iter().find(|d| !d.reduced);
    let chosen = full.or_else(|| directories.iter().max_by_key(|d| d.pixels));
    if chosen.is_some_and(|d| d.sensor_data) {
        return Err(FaceError::UnsupportedFormat("camera raw (TIFF with sensor data)".into()));
    }
    let mut limits = Limits::default();
    limits.decoding_buffer_size = memory;
    limits.intermediate_buffer_size = memory;
    let indexed = chosen.is_some_and(|d| d.indexed);
    let patches = chosen.map(|d| patches(bytes, d)).unwrap_or_default();
    let decoder = Decoder::new(At { patches, file: Cursor::new(bytes) }).map_err(fail)?;
    Ok((decoder.with_limits(limits), indexed))
}

/// An image file directory.
struct Directory {
    offset: u64,
    /// A smaller version of another picture in the file.
    reduced: bool,
    sensor_data: bool,
    /// Samples are indices into a palette.
    indexed: bool,
    pixels: u64,
}

/// The directories in the order of the file, each followed by those inside it. Unreadable
/// ones end the list.
fn directories(mut decoder: Decoder<At>) -> Vec<Directory> {
    let mut found = Vec::new();
    loop {
        let Some(pointer) = decoder.ifd_pointer() else { return found };
        let subs = decoder.find_tag(SUB_DIRECTORIES).ok().flatten();
        let subs = subs.and_then(|value| value.into_u64_vec().ok()).unwrap_or_default();
        for offset in [pointer.0].into_iter().chain(subs) {
            if found.len() == MAX_DIRECTORIES {
                return found;
            }
            let Ok(directory) = decoder.read_directory(IfdPointer(offset)) else { continue };
            let mut tags = decoder.read_directory_tags(&directory);
            let mut number = |tag| tags.find_tag_unsigned::<u64>(tag).ok().flatten();
            let kind = number(Tag::PhotometricInterpretation);
            found.push(Directory {
                offset,
                reduced: number(NEW_SUBFILE_TYPE).is_some_and(|v| v & 1 == 1)
                    || number(SUBFILE_TYPE) == Some(2),
                sensor_data: matches!(kind, Some(SENSOR_DATA | LINEAR_SENSOR_DATA)),
                indexed: kind == Some(PALETTE),
                pixels: number(Tag::ImageWidth)
                    .unwrap_or(0)
                    .saturating_mul(number(Tag::ImageLength).unwrap_or(0)),
            });
        }
        if !decoder.more_images() || decoder.next_image().is_err() {
            return found;
        }
    }
}

/// What the decoder reads differently from the file: this directory as the first one,
/// since it follows only the main chain; and indices as gray, since it takes no palette.
fn patches(bytes: &[u8], directory: &Directory) -> Vec<(u64, Vec<u8>)> {
    let little = bytes.starts_with(b"II");
    let big = bytes.get(2..4).is_some_and(|magic| magic.contains(&b'+'));
    let number = |v: u64, size: usize| {
        if little { v.to_le_bytes()[..size].to_vec() } else { v.to_be_bytes()[8 - size..].to_vec() }
    };
    let mut patches =
        vec![if big { (8, number(directory.offset, 8)) } else { (4, number(directory.offset, 4)) }];
    if directory.indexed {
        let (head, size, value) = if big { (8, 20, 12) } else { (2, 12, 8) };
        let tag = number(u64::from(Tag::PhotometricInterpretation.to_u16()), 2);
        let entries = bytes.get(directory.offset as usize + head..).unwrap_or_default();
        let entry = entries.chunks_exact(size).position(|entry| entry.starts_with(&tag));
        if let Some(i) = entry {
            let at = directory.offset + (head + i * size + value) as u64;
            patches.push((at, number(GRAY.into(), 2)));
        }
    }
    patches
}

/// The file, with other bytes at some places.
struct At<'a> {
    patches: Vec<(u64, Vec<u8>)>,
    file: Cursor<&'a [u8]>,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = self.file.position();
        let count = self.file.read(buffer)?;
        for (at, bytes) in &self.patches {
            for (place, &byte) in (*at..).zip(bytes) {
                let to = place.checked_sub(start).and_then(|i| buffer[..count].get_mut(i as usize));
                if let Some(to) = to {
                    *to = byte;
                }
            }
        }
        Ok(count)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

fn variant(what: &str) -> FaceError {
    FaceError::UnsupportedFormat(format!("TIFF with {what}"))
}

fn fail(error: TiffError) -> FaceError {
    match error {
        TiffError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => FaceError::Truncated(NAME),
        TiffError::LimitsExceeded => FaceError::TooMuchMemory(NAME),
        TiffError::UnsupportedError(e) => {
            let what = crate::error::shortened(&e.to_string());
            variant(what.trim_end_matches(" is unsupported"))
        }
        error => damaged(NAME, &error),
    }
}
