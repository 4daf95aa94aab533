//! BMP. Decoded here: `zune-bmp` gets pictures of 1 and 16 bits wrong, and `image`
//! brings much besides.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged};
use crate::FaceError;

const NAME: &str = "BMP";

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// Indices of 1, 4 or 8 bits into the palette.
    Palette,
    /// Runs of indices of 4 or 8 bits.
    RunLength,
    /// Blue, green, red, and with 32 bits an unused byte.
    Bytes,
    /// Numbers of 16 or 32 bits with masks for red, green, blue and alpha.
    Masks([u32; 4]),
}

/// What the headers say.
struct Bitmap {
    width: usize,
    height: usize,
    /// Whether the rows are stored from the top.
    top_down: bool,
    bits: usize,
    packing: Packing,
    /// Red, green and blue.
    palette: Vec<[u8; 3]>,
    /// Where the pixels start.
    start: usize,
}

impl Bitmap {
    fn read(bytes: &[u8]) -> Result<Self, FaceError> {
        let truncated = || FaceError::Truncated(NAME);
        let u16_at = |at: usize| {
            bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or_else(truncated)
        };
        let u32_at = |at: usize| {
            let b = bytes.get(at..at + 4).ok_or_else(truncated)?;
            Ok::<u32, FaceError>(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        };
        let start = u32_at(10)? as usize;
        let size = u32_at(14)? as usize;
        // The oldest header has sides of 16 bits and colors of three bytes.
        let old = size == 12;
        if !old && !(40..=256).contains(&size) {
            return Err(damaged(NAME, &format!("unknown header of {size} bytes")));
        }
        let (width, height, bits, compression, colors) = if old {
            (u16_at(18)?.into(), u16_at(20)?.into(), u16_at(24)?, 0, 0)
        } else {
            let colors = u32_at(46)? as usize;
            (u32_at(18)? as i32, u32_at(22)? as i32, u16_at(28)?, u32_at(30)?, colors)
        };
        if width < 0 || height == i32::MIN {
            return Err(damaged(NAME, &format!("its size is {width}x{height}")));
        }
        let bits = usize::from(bits);
        let packing = match (compression, bits) {
            (0, 1 | 4 | 8) => Packing::Palette,
            (1, 8) | (2, 4) => Packing::RunLength,
            (0, 24 | 32) => Packing::Bytes,
            (0, 16) => Packing::Masks([0x7C00, 0x03E0, 0x001F, 0]),
            (3 | 6, 16 | 32) => {
                let alpha = if size >= 56 || compression == 6 { u32_at(66)? } else { 0 };
                Packing::Masks([u32_at(54)?, u32_at(58)?, u32_at(62)?, alpha])
            }
            (4, _) => return Err(FaceError::UnsupportedFormat("JPEG inside BMP".into())),
            (5, _) => return Err(FaceError::UnsupportedFormat("PNG inside BMP".into())),
            _ => return Err(damaged(NAME, &format!("{bits} bits, compression {compression}"))),
        };
        let mut palette = Vec::new();
        if bits <= 8 {
            let count = if colors == 0 { 1 << bits } else { colors.min(1 << bits) };
            let from = bytes.get(14 + size..).ok_or_else(truncated)?;
            let entries = from.chunks_exact(if old { 3 } else { 4 }).take(count);
            palette.extend(entries.map(|c| [c[2], c[1], c[0]]));
            palette.resize(1 << bits, [0; 3]);
        }
        Ok(Self {
            width: width as usize,
            height: height.unsigned_abs() as usize,
            top_down: height < 0,
            bits,
            packing,
            palette,
            start,
        })
    }
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let Bitmap { width, height, .. } = Bitmap::read(bytes)?;
    Ok(Header { width, height, working_bytes: 1 })
}

pub(super) fn decode(
    bytes: &[u8],
    _: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let bitmap = Bitmap::read(bytes)?;
    let (width, height) = (bitmap.width, bitmap.height);
    let truncated = || FaceError::Truncated(NAME);
    let pixels = bytes.get(bitmap.start..).ok_or_else(truncated)?;
    let (stride, indices);
    let stored = if bitmap.packing == Packing::RunLength {
        stride = width;
        indices = run_lengths(pixels, &bitmap)?;
        &indices[..]
    } else {
        stride = (width * bitmap.bits).div_ceil(32) * 4;
        pixels
    };
    let layout = match bitmap.packing {
        Packing::Masks([.., alpha]) if alpha != 0 => Layout::Rgba,
        _ => Layout::Rgb,
    };
    let mut rows = Rows::new(width, height, layout, &Color::Srgb, reduction);
    let mut line = Vec::with_capacity(width * layout.channels());
    for y in 0..height {
        let y = if bitmap.top_down { y } else { height - 1 - y };
        // The padding of the last row may be missing.
        let row = stored.get(y * stride..).ok_or_else(truncated)?;
        let bits = if bitmap.packing == Packing::RunLength { 8 } else { bitmap.bits };
        let row = row.get(..(width * bits).div_ceil(8)).ok_or_else(truncated)?;
        line.clear();
        match bitmap.packing {
            Packing::Palette | Packing::RunLength => {
                let mask = ((1_u16 << bits) - 1) as u8;
                line.extend((0..width).flat_map(|x| {
                    let index = row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
                    bitmap.palette.get(usize::from(index)).copied().unwrap_or_default()
                }));
            }
            Packing::Bytes => {
                line.extend(row.chunks_exact(bits / 8).flat_map(|p| [p[2], p[1], p[0]]));
            }
            Packing::Masks(masks) => {
                for pixel in row.chunks_exact(bits / 8) {
                    let value = pixel.iter().rev().fold(0, |sum, &b| sum << 8 | u32::from(b));
                    line.extend(masks[..layout.channels()].iter().map(|&m| masked(value, m)));
                }
            }
        }
        rows.push8(&line);
    }
    let picture = rows.finish().ok_or_else(truncated)?;
    Ok(Decoded { picture, orientation: 1 })
}

/// The bits of a mask, scaled to 0..=255.
fn masked(value: u32, mask: u32) -> u8 {
    if mask == 0 {
        return 0;
    }
    let top = mask >> mask.trailing_zeros();
    let level = (value & mask) >> mask.trailing_zeros();
    ((u64::from(level) * 255 + u64::from(top) / 2) / u64::from(top)) as u8
}

/// The indices of a run-length encoded picture, a byte each, in the order of the file.
fn run_lengths(bytes: &[u8], bitmap: &Bitmap) -> Result<Vec<u8>, FaceError> {
    let truncated = || FaceError::Truncated(NAME);
    let (width, height) = (bitmap.width, bitmap.height);
    let mut indices = vec![0; width * height];
    let (mut x, mut y, mut at) = (0, 0, 0);
    let mut put = |x: usize, y: usize, index: u8| {
        if x < width && y < height {
            indices[y * width + x] = index;
        }
    };
    let index = |byte: u8, i: usize| match (bitmap.bits, i % 2) {
        (8, _) => byte,
        (_, 0) => byte >> 4,
        _ => byte & 15,
    };
    while y < height {
        let &[count, value] =
            bytes.get(at..at + 2).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
        at += 2;
        match (count, value) {
            (0, 0) => (x, y) = (0, y + 1),
            (0, 1) => break,
            (0, 2) => {
                let &[right, up] =
                    bytes.get(at..at + 2).and_then(<[u8]>::first_chunk).ok_or_else(truncated)?;
                (x, y) = (x + usize::from(right), y + usize::from(up));
                at += 2;
            }
            (0, count) => {
                let count = usize::from(count);
                let length = (count * bitmap.bits).div_ceil(8);
                let literal = bytes.get(at..at + length).ok_or_else(truncated)?;
                for i in 0..count {
                    put(x + i, y, index(literal[i * bitmap.bits / 8], i));
                }
                x += count;
                at += length.next_multiple_of(2);
            }
            (count, value) => {
                for i in 0..usize::from(count) {
                    put(x + i, y, index(value, i));
                }
                x += usize::from(count);
            }
        }
    }
    Ok(indices)
}
