//! Decoding pictures, by format.

use dldl_face::{DecodeOptions, FaceError, decode_with, probe};

pub(crate) fn jpeg(bytes: &[u8]) {
    decode(bytes, &[b"\xff\xd8"]);
}

pub(crate) fn png(bytes: &[u8]) {
    decode(bytes, &[b"\x89PNG"]);
}

pub(crate) fn webp(bytes: &[u8]) {
    decode(bytes, &[b"RIFF"]);
}

pub(crate) fn jxl(bytes: &[u8]) {
    decode(bytes, &[b"\xff\x0a", b"\0\0\0\x0cJXL "]);
}

pub(crate) fn tiff(bytes: &[u8]) {
    decode(bytes, &[b"II", b"MM"]);
}

pub(crate) fn bmp_and_gif(bytes: &[u8]) {
    decode(bytes, &[b"BM", b"GIF8"]);
}

pub(crate) fn heic(bytes: &[u8]) {
    if bytes.get(4..8) == Some(b"ftyp") {
        decode(bytes, &[b""]);
    }
}

/// Decodes files that begin in one of these ways.
fn decode(bytes: &[u8], magic: &[&[u8]]) {
    if !magic.iter().any(|magic| bytes.starts_with(magic)) {
        return;
    }
    // Small limits, so that most of the time is spent on the formats and not on pixels.
    let options = DecodeOptions {
        max_pixels: 1 << 20,
        max_memory: 64 << 20,
        full_size_pixels: 1 << 16,
        accept_damaged: bytes.len().is_multiple_of(2),
    };
    match decode_with(bytes, &options) {
        Ok(picture) => assert_eq!(picture.rgb().len(), 3 * picture.width() * picture.height()),
        Err(error) => caught(&error),
    }
    if let Err(error) = probe(bytes) {
        caught(&error);
    }
}

/// Panics of decoders are caught, so that one file does not end a run over many. They are faults
/// all the same.
fn caught(error: &FaceError) {
    if let FaceError::Panicked { step, message } = error {
        panic!("{step}: {message}");
    }
}
