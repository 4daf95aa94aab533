//! Decoding any bytes: no panic, no hang, bounded memory.
//!
//! ```sh
//! cargo install cargo-fuzz
//! cp crates/dldl-face/tests/data/pictures/* fuzz/corpus/decode/
//! cargo +nightly fuzz run decode -- -rss_limit_mb=2048 -timeout=20 -max_total_time=3600
//! ```

#![no_main]

use dldl_face::{DecodeOptions, FaceError, decode_with};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Small limits, so that most of the time is spent on the formats and not on pixels.
    let options = DecodeOptions {
        max_pixels: 1 << 20,
        max_memory: 64 << 20,
        full_size_pixels: 1 << 16,
        accept_damaged: bytes.len().is_multiple_of(2),
    };
    match decode_with(bytes, &options) {
        Ok(picture) => assert_eq!(picture.rgb().len(), 3 * picture.width() * picture.height()),
        // Caught, so that one file does not end a run over many; still a bug.
        Err(FaceError::Panicked { step, message }) => panic!("{step}: {message}"),
        Err(_) => {}
    }
});
