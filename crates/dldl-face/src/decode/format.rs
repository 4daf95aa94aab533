//! File formats by their first bytes.

use crate::FaceError;

/// A format that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Bmp,
    Gif,
    Tiff,
    Heic,
    Jxl,
}

impl Format {
    /// The usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Tiff => "TIFF",
            Self::Heic => "HEIC",
            Self::Jxl => "JPEG XL",
        }
    }
}

/// Formats that are recognized to say what a file is, by their first bytes.
const OTHERS: [(&[u8], &str); 22] = [
    (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (b"II\xBC", "JPEG XR"),
    (b"FUJIFILMCCD-RAW", "camera raw (Fujifilm RAF)"),
    (b"IIRO", "camera raw (Olympus ORF)"),
    (b"IIRS", "camera raw (Olympus ORF)"),
    (b"MMOR", "camera raw (Olympus ORF)"),
    (b"IIU\0", "camera raw (Panasonic RW2)"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"\0\0\x01\0", "icon (ICO)"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x76\x2F\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"P1\n", "PNM"),
    (b"P2\n", "PNM"),
    (b"P3\n", "PNM"),
    (b"P4\n", "PNM"),
    (b"P5\n", "PNM"),
    (b"P6\n", "PNM"),
    (b"<svg", "SVG"),
];

/// The format of a file.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, FaceError> {
    let unsupported = |name: &str| Err(FaceError::UnsupportedFormat(name.to_owned()));
    if bytes.is_empty() {
        return Err(FaceError::Empty);
    }
    if let Some(brands) = brands(bytes) {
        let any = |names: &[&[u8]]| brands.iter().any(|brand| names.contains(brand));
        // A picture may be of several brands: `mif1` names the container alone.
        return if brands[0] == b"crx " {
            unsupported("camera raw (Canon CR3)")
        } else if any(&[b"avif", b"avis"]) {
            unsupported("AVIF")
        } else if any(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
            Ok(Format::Heic)
        } else {
            Err(FaceError::NotAPicture("the file starts like a video or audio file"))
        };
    }
    Ok(match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Format::Png,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
        [b'B', b'M', ..] => Format::Bmp,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        [b'I', b'I', b'*' | b'+', 0, _, _, _, _, b'C', b'R', ..] => {
            return unsupported("camera raw (Canon CR2)");
        }
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Format::Tiff,
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', b' ', ..] => Format::Jxl,
        [b'P', b'K', 3, 4, ..] => return Err(FaceError::NotAPicture("the file is a ZIP archive")),
        _ => {
            if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
                return unsupported(name);
            }
            return Err(FaceError::NotAPicture(if is_text(bytes) {
                "the file contains text"
            } else {
                "unknown file format"
            }));
        }
    })
}

/// The brands of an ISO media file, the major one first.
fn brands(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    if bytes.len() < 12 || &bytes[4..8] != b"ftyp" {
        return None;
    }
    let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    let compatible = bytes.get(16..length.min(bytes.len())).unwrap_or_default();
    Some([&bytes[8..12]].into_iter().chain(compatible.chunks_exact(4)).collect())
}

fn is_text(bytes: &[u8]) -> bool {
    match std::str::from_utf8(&bytes[..bytes.len().min(64)]) {
        Ok(text) => !text.contains('\0'),
        // A character cut in two at the 64th byte is still text.
        Err(e) => e.error_len().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> String {
        match sniff(bytes) {
            Ok(format) => format.name().into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let ftyp = |brands: &[u8]| {
            let length = (brands.len() + 12) as u32;
            [&length.to_be_bytes(), &b"ftyp"[..], &brands[..4], &[0; 4], &brands[4..]].concat()
        };
        assert_eq!(name(&ftyp(b"heic")), "HEIC");
        assert_eq!(name(&ftyp(b"mif1heic")), "HEIC");
        assert!(name(&ftyp(b"mif1avifmiaf")).contains("AVIF"));
        assert!(name(&ftyp(b"crx ")).contains("CR3"));
        assert!(name(&ftyp(b"mp42isom")).contains("video"));
        assert_eq!(name(b"\xFF\x0A\xFA"), "JPEG XL");
        assert_eq!(name(b"II+\0\x08\0\0\0"), "TIFF");
        assert!(name(b"\0\0\0\x0CjP  \r\n\x87\n").contains("JPEG 2000"));
        assert!(name(b"file,age\na.jpg,30\n").contains("text"));
        assert!(name(&[200; 100]).contains("unknown"));
        assert_eq!(name(b""), "empty file");
    }
}
