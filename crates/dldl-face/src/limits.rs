//! What is accepted as a picture file: sizes, and names.

use std::path::Path;

/// The largest picture that is decoded by default, in pixels: 250 megapixels. Larger
/// ones are refused by their header, before memory is allocated for the pixels.
pub const MAX_PIXELS: u64 = 250_000_000;

/// The memory that decoding a picture may take by default, in bytes: 1 GB.
pub const MAX_DECODE_BYTES: u64 = 1_000_000_000;

/// The largest file that is read, in bytes: 600 million. A longer file is no picture.
pub const MAX_FILE_BYTES: u64 = 600_000_000;

/// The extensions, in lower case, by which the files in a folder are taken for
/// pictures. A file that is named explicitly may have any name: decoding goes by
/// the first bytes.
pub const PICTURE_EXTENSIONS: [&str; 15] = [
    "jpg", "jpeg", "jpe", "jfif", "jif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff", "heic",
    "heif", "jxl",
];

/// Whether the path ends in one of [`PICTURE_EXTENSIONS`], in upper or lower case.
pub fn has_picture_extension(path: impl AsRef<Path>) -> bool {
    let extension = path.as_ref().extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| PICTURE_EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_extension() {
        for name in ["a.jpg", "b/c.PNG", "d.e.Tiff"] {
            assert!(has_picture_extension(name), "{name}");
        }
        for name in ["jpg", ".jpg", "a.txt", "a.jpg.part", "a.jpg/b", ""] {
            assert!(!has_picture_extension(name), "{name}");
        }
    }
}
