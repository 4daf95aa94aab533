//! The segments of a JPEG file, without its pixels (ITU-T T.81, Annex B).

use super::huffman::Table;
use crate::FaceError;
use std::ops::Range;
use std::rc::Rc;

/// A component of the picture: luma, or a color difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub h: usize,
    pub v: usize,
    /// The number of its quantization table.
    pub quantization: usize,
}

/// A component in a scan, with its Huffman tables, if the file has defined them.
#[derive(Clone, Debug)]
pub(super) struct ScanComponent {
    /// Its index in the frame.
    pub index: usize,
    pub dc: Option<Rc<Table>>,
    pub ac: Option<Rc<Table>>,
}

/// A pass over some components: all coefficients, or some bits of some of them.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub components: Vec<ScanComponent>,
    /// First and last coefficient, 0 to 63.
    pub band: (usize, usize),
    /// Bits that earlier scans left (0: the first pass), and that this one leaves.
    pub high: u32,
    pub low: u32,
    /// Interval between restart markers in minimum coded units, 0 for none.
    pub restart: usize,
    /// The entropy-coded bytes, with restart markers.
    pub data: Range<usize>,
}

/// What the segments say.
#[derive(Debug, Default)]
pub(super) struct Markers {
    pub progressive: bool,
    pub width: usize,
    pub height: usize,
    pub components: Vec<Component>,
    pub scans: Vec<Scan>,
    /// The steps of the DC coefficients, by quantization table.
    pub dc_steps: [u16; 4],
    /// Whether the end-of-image marker was found.
    pub has_end: bool,
    /// APP1 segments that are EXIF and XMP, in the order of the file.
    pub exif: Vec<Range<usize>>,
    pub xmp: Vec<Range<usize>>,
    /// The ICC profile's parts: number, and bytes.
    pub icc: Vec<(u8, Range<usize>)>,
}

impl Markers {
    /// Reads the segments up to the end of the image, or of the file.
    ///
    /// # Errors
    /// The file is of a kind that is not supported, or has no picture.
    pub fn read(bytes: &[u8]) -> Result<Self, FaceError> {
        let mut markers = Self::default();
        let mut dc: [Option<Rc<Table>>; 4] = Default::default();
        let mut ac: [Option<Rc<Table>>; 4] = Default::default();
        let mut restart = 0;
        let mut at = 2;
        // Bytes between segments are skipped, as other decoders do.
        while let Some(skip) = bytes.get(at..).and_then(|rest| memchr::memchr(0xFF, rest)) {
            at += skip + 1;
            let Some(&marker) = bytes.get(at) else { break };
            match marker {
                0xFF => continue,
                0xD9 => {
                    markers.has_end = true;
                    break;
                }
                0x00 | 0x01 | 0xD0..=0xD8 => {
                    at += 1;
                    continue;
                }
                _ => {}
            }
            at += 1;
            let length =
                bytes.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
            let Some(segment) = length.and_then(|n| bytes.get(at + 2..at + n.max(2))) else {
                break;
            };
            let range = at + 2..at + 2 + segment.len();
            at = range.end;
            match marker {
                0xC0..=0xC2 if markers.components.is_empty() => {
                    markers.progressive = marker == 0xC2;
                    markers.frame(segment)?;
                }
                0xC3 => return Err(variant("lossless JPEG")),
                0xC5..=0xC7 | 0xDE => return Err(variant("hierarchical JPEG")),
                0xC9..=0xCB | 0xCD..=0xCF => return Err(variant("arithmetic-coded JPEG")),
                0xC4 => tables(segment, &mut dc, &mut ac)?,
                0xDB => markers.quantization(segment),
                0xDD => {
                    restart = segment.first_chunk().map_or(0, |b| u16::from_be_bytes(*b)).into();
                }
                0xDA => {
                    let end = at + data_length(&bytes[at..]);
                    if let Some(scan) = markers.scan(segment, &dc, &ac, restart, at..end) {
                        markers.scans.push(scan);
                    }
                    at = end;
                }
                0xE1 if segment.starts_with(b"Exif\0") => markers.exif.push(range),
                0xE1 if segment.starts_with(b"http://ns.adobe.com/xap/1.0/\0") => {
                    markers.xmp.push(range);
                }
                0xE2 if segment.starts_with(b"ICC_PROFILE\0") && segment.len() > 14 => {
                    markers.icc.push((segment[12], range.start + 14..range.end));
                }
                _ => {}
            }
        }
        if markers.components.is_empty() || markers.scans.is_empty() {
            return Err(if markers.has_end {
                damaged("it contains no picture")
            } else {
                FaceError::Truncated("JPEG")
            });
        }
        Ok(markers)
    }

    fn frame(&mut self, segment: &[u8]) -> Result<(), FaceError> {
        let &[precision, y1, y0, x1, x0, count, ref components @ ..] = segment else {
            return Err(damaged("its frame header is too short"));
        };
        if precision != 8 {
            return Err(variant(&format!("{precision}-bit JPEG")));
        }
        self.height = usize::from(u16::from_be_bytes([y1, y0]));
        self.width = usize::from(u16::from_be_bytes([x1, x0]));
        let count = usize::from(count);
        if !(1..=4).contains(&count) || components.len() < 3 * count {
            return Err(damaged("its frame header names no components"));
        }
        for c in components.chunks_exact(3).take(count) {
            let (h, v) = (usize::from(c[1] >> 4), usize::from(c[1] & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || c[2] > 3 {
                return Err(damaged("its frame header has invalid sampling factors"));
            }
            self.components.push(Component { id: c[0], h, v, quantization: c[2].into() });
        }
        // The sampling factors of a single component mean nothing.
        if let [only] = &mut self.components[..] {
            (only.h, only.v) = (1, 1);
        }
        Ok(())
    }

    fn quantization(&mut self, mut segment: &[u8]) {
        while let &[head, ref rest @ ..] = segment {
            let wide = head >> 4 != 0;
            let Some(&[first, second]) = rest.first_chunk() else { return };
            let step = if wide { u16::from_be_bytes([first, second]) } else { first.into() };
            if let Some(to) = self.dc_steps.get_mut(usize::from(head & 15)) {
                *to = step;
            }
            segment = rest.get(if wide { 128 } else { 64 }..).unwrap_or_default();
        }
    }

    fn scan(
        &self,
        segment: &[u8],
        dc: &[Option<Rc<Table>>; 4],
        ac: &[Option<Rc<Table>>; 4],
        restart: usize,
        data: Range<usize>,
    ) -> Option<Scan> {
        let (&count, rest) = segment.split_first()?;
        let count = usize::from(count);
        let &[first, last, bits] = rest.get(2 * count..2 * count + 3)?.first_chunk()?;
        let mut components = Vec::with_capacity(count);
        for c in rest.chunks_exact(2).take(count) {
            components.push(ScanComponent {
                index: self.components.iter().position(|k| k.id == c[0])?,
                dc: dc.get(usize::from(c[1] >> 4))?.clone(),
                ac: ac.get(usize::from(c[1] & 15))?.clone(),
            });
        }
        let (band, high, low) = if self.progressive {
            ((first.into(), last.into()), u32::from(bits >> 4), u32::from(bits & 15))
        } else {
            ((0, 63), 0, 0)
        };
        let valid = !components.is_empty() && band.0 <= band.1 && band.1 < 64;
        valid.then_some(Scan { components, band, high, low, restart, data })
    }
}

/// The Huffman tables of a segment.
fn tables(
    mut segment: &[u8],
    dc: &mut [Option<Rc<Table>>; 4],
    ac: &mut [Option<Rc<Table>>; 4],
) -> Result<(), FaceError> {
    let invalid = || damaged("it has an invalid Huffman table");
    while let &[head, ref rest @ ..] = segment {
        let counts: &[u8; 16] = rest.first_chunk().ok_or_else(invalid)?;
        let total = counts.iter().map(|&n| usize::from(n)).sum::<usize>();
        let values = rest.get(16..16 + total).ok_or_else(invalid)?;
        let table = Rc::new(Table::new(counts, values).ok_or_else(invalid)?);
        let class = if head >> 4 == 0 { &mut *dc } else { &mut *ac };
        *class.get_mut(usize::from(head & 15)).ok_or_else(invalid)? = Some(table);
        segment = &rest[16 + total..];
    }
    Ok(())
}

/// The length of entropy-coded data: up to a marker that is no restart marker.
fn data_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(skip) = memchr::memchr(0xFF, &bytes[at..]) {
        match bytes.get(at + skip + 1) {
            Some(0x00 | 0xD0..=0xD7) => at += skip + 2,
            Some(0xFF) => at += skip + 1,
            Some(_) => return at + skip,
            None => break,
        }
    }
    bytes.len()
}

/// A variant of the format that no decoder here reads.
fn variant(name: &str) -> FaceError {
    FaceError::UnsupportedFormat(name.to_owned())
}

pub(super) fn damaged(what: &str) -> FaceError {
    FaceError::Damaged { format: "JPEG", source: what.into() }
}
