//! Decoding: every kind of file (made by `tools/fixtures_face.py`, which verifies them with
//! Pillow, and `tools/fixtures_formats.py`), and invalid files.

use dldl_face::{
    DecodeOptions, FaceError, MAX_FILE_BYTES, MAX_PIXELS, Picture, decode, decode_file,
    decode_with, probe,
};
use std::error::Error;
use std::path::{Path, PathBuf};

/// The picture in the fixtures: six squares of 16 pixels.
const COLORS: [[[u8; 3]; 3]; 2] =
    [[[250, 10, 20], [20, 200, 30], [10, 30, 220]], [[255, 255, 255], [240, 220, 10], [0, 0, 0]]];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/pictures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

/// Compares five pixels of every square, its center and two pixels inside each
/// corner, with `expected(color, column)`.
fn check(
    name: &str,
    picture: &Picture,
    tolerance: u8,
    expected: impl Fn([u8; 3], usize) -> [u8; 3],
) {
    assert_eq!((picture.width(), picture.height()), (48, 32), "{name}");
    for (row, colors) in COLORS.iter().enumerate() {
        for (column, &color) in colors.iter().enumerate() {
            for (dx, dy) in [(2, 2), (13, 2), (8, 8), (2, 13), (13, 13)] {
                let (x, y) = (16 * column + dx, 16 * row + dy);
                let (got, expected) = (picture.pixel(x, y), expected(color, column));
                let off = got.iter().zip(expected).map(|(a, b)| a.abs_diff(b)).max().unwrap();
                assert!(off <= tolerance, "{name} at ({x}, {y}): {got:?}, expected {expected:?}");
            }
        }
    }
}

fn gray([r, g, b]: [u8; 3]) -> u8 {
    (0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)).round() as u8
}

/// Blended with white: the left column is opaque, the middle one half transparent,
/// the right one fully transparent.
fn over_white(color: [u8; 3], column: usize) -> [u8; 3] {
    let alpha = [255, 128, 0][column];
    color.map(|v| (((255 - alpha) * 255 + alpha * u32::from(v)) as f64 / 255.0).round() as u8)
}

#[test]
fn color_files_of_every_format_are_decoded() {
    for (name, tolerance) in [
        ("progressive.jpg", 8),
        ("subsampled.jpg", 10),
        ("cmyk.jpg", 8),
        ("ycck.jpg", 8),
        ("rgb.png", 0),
        ("palette.png", 0),
        ("rgb16.png", 0),
        ("animated.gif", 0),
        ("lossless.webp", 0),
        ("lossy.webp", 40),
        ("animated.webp", 0),
        ("rgb.bmp", 0),
        ("rgb.tiff", 0),
        ("lzw.tiff", 0),
        ("rgb16.tiff", 0),
        ("cmyk.tiff", 1),
    ] {
        check(name, &decode_file(&path(name)).unwrap(), tolerance, |color, _| color);
    }
}

/// Files that other programs are known to read wrongly.
#[test]
fn unusual_variants_are_decoded() {
    for (name, tolerance) in [
        ("scans_420.jpg", 24),
        ("scans_420_restart.jpg", 24),
        ("scans_422.jpg", 24),
        ("scans_partly_interleaved.jpg", 24),
        ("sampling_all_2x1.jpg", 8),
        ("sampling_chroma_2x2.jpg", 24),
        ("sampling_3x1.jpg", 24),
        ("rgb_components.jpg", 8),
        ("thumbnail_first.tiff", 0),
        ("sub_directory.tiff", 0),
        ("palette.tiff", 4),
        ("ycbcr.tiff", 2),
        ("rgb565.bmp", 8),
        ("rgb555.bmp", 8),
        ("unused_byte.bmp", 0),
        ("runs4.bmp", 0),
        ("runs8.bmp", 0),
        ("photo.jxl", 0),
        ("container.jxl", 0),
    ] {
        check(name, &decode_file(&path(name)).unwrap(), tolerance, |color, _| color);
    }
    // Four times as large.
    let heic = decode_file(&path("photo.heic")).unwrap();
    check("photo.heic", &heic.resized(48, 32), 16, |color, _| color);
}

#[test]
fn color_profiles_are_converted_to_srgb() {
    // Colors near black are coarse in the samples of linear light.
    for (name, tolerance) in [
        ("p3.png", 2),
        ("p3.jpg", 8),
        ("adobe_rgb.png", 2),
        ("prophoto.png", 8),
        ("linear.png", 13),
        ("gamma_chunk.png", 10),
    ] {
        check(name, &decode_file(&path(name)).unwrap(), tolerance, |color, _| color);
    }
}

#[test]
fn large_pictures_are_reduced() {
    let options = DecodeOptions { full_size_pixels: 48 * 32 / 4, ..DecodeOptions::default() };
    for name in [
        "rgb.png",
        "subsampled.jpg",
        "progressive.jpg",
        "exif_6.jpg",
        "cmyk.jpg",
        "ycck.jpg",
        "scans_420.jpg",
        "rgb.bmp",
        "palette.tiff",
    ] {
        let picture = decode_with(&bytes(name), &options).unwrap();
        assert_eq!((picture.width(), picture.height()), (24, 16), "{name}");
        assert_eq!((picture.reduction(), picture.full_size()), (2, (48, 32)), "{name}");
        let center = picture.pixel(12, 4);
        let off = center.iter().zip(COLORS[0][1]).map(|(a, b)| a.abs_diff(b)).max().unwrap();
        assert!(off <= 10, "{name}: {center:?}");
    }
    let options = DecodeOptions { max_pixels: 1000, ..DecodeOptions::default() };
    assert!(matches!(
        decode_with(&bytes("rgb.png"), &options),
        Err(FaceError::TooLarge { width: 48, height: 32, max_pixels: 1000 })
    ));
    let options = DecodeOptions { max_memory: 1000, ..DecodeOptions::default() };
    let result = decode_with(&bytes("rgb.tiff"), &options);
    assert!(matches!(result, Err(FaceError::TooMuchMemory("TIFF"))));
}

#[test]
fn gray_becomes_three_equal_channels() {
    for (name, tolerance) in [("gray.jpg", 4), ("gray.png", 1), ("gray16.png", 1)] {
        let picture = decode_file(&path(name)).unwrap();
        check(name, &picture, tolerance, |color, _| [gray(color); 3]);
    }
}

#[test]
fn transparent_pixels_are_blended_with_white() {
    for name in ["rgba.png", "rgba16.png", "rgba.webp"] {
        check(name, &decode_file(&path(name)).unwrap(), 1, over_white);
    }
    let picture = decode_file(&path("gray_alpha.png")).unwrap();
    check("gray_alpha.png", &picture, 1, |c, column| over_white([gray(c); 3], column));
}

#[test]
fn orientation_is_applied() {
    for i in 1..=8 {
        let name = format!("exif_{i}.jpg");
        check(&name, &decode_file(&path(&name)).unwrap(), 8, |color, _| color);
    }
    for name in [
        "exif_6.png",
        "exif_6.webp",
        "orientation_8.tiff",
        "orientation_late.png",
        "orientation_prefix.png",
        "orientation_text.png",
        "orientation_prefix.webp",
    ] {
        check(name, &decode_file(&path(name)).unwrap(), 0, |color, _| color);
    }
    for name in ["long", "byte", "xmp", "second_exif"] {
        let name = format!("orientation_{name}.jpg");
        check(&name, &decode_file(&path(&name)).unwrap(), 8, |color, _| color);
    }
}

#[test]
fn the_format_does_not_depend_on_the_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("png.jpg");
    std::fs::copy(path("rgb.png"), &file).unwrap();
    check("png.jpg", &decode_file(&file).unwrap(), 0, |color, _| color);
}

/// Asserts that decoding fails with a message that contains `words`.
fn refused(name: &str, bytes: &[u8], words: &str) {
    let error = decode(bytes).expect_err(name).reason();
    assert!(error.contains(words), "{name}: \"{error}\" does not contain \"{words}\"");
}

#[test]
fn truncated_files_are_refused() {
    let files = [
        "exif_1.jpg",
        "progressive.jpg",
        "gray.jpg",
        "cmyk.jpg",
        "rgb.png",
        "rgb16.png",
        "animated.gif",
        "lossless.webp",
        "lossy.webp",
        "rgb.bmp",
        "rgb.tiff",
        "lzw.tiff",
    ];
    for name in files {
        let whole = bytes(name);
        // The second half of the GIF is its second picture.
        let end = if name == "animated.gif" { whole.len() / 2 } else { whole.len() };
        for part in [0.3, 0.5, 0.8] {
            let cut = &whole[..(end as f64 * part) as usize];
            let error = decode(cut).expect_err(&format!("{name} cut to {part}"));
            let message = error.to_string();
            assert!(message.contains("truncated"), "{name} cut to {part}: {message}");
        }
    }
}

#[test]
fn the_end_marker_may_be_missing_and_trailing_data_is_ignored() {
    for name in ["exif_1.jpg", "subsampled.jpg", "progressive.jpg", "gray.jpg", "scans_420.jpg"] {
        let whole = bytes(name);
        let picture = decode(&whole).unwrap();
        assert_eq!(decode(&whole[..whole.len() - 2]).unwrap(), picture, "{name}");
        assert_eq!(decode(&whole[..whole.len() - 1]).unwrap(), picture, "{name}");
        refused(name, &whole[..whole.len() - 12], "truncated JPEG");
        for start in [&whole[..], &whole[..whole.len() - 2]] {
            let tail = [start, b"and other data, as some phones append"].concat();
            assert_eq!(decode(&tail).unwrap(), picture, "{name}");
        }
    }
    refused("only the start", &bytes("exif_1.jpg")[..3], "truncated JPEG");
    let png = bytes("rgb.png");
    assert_eq!(decode(&png[..png.len() - 12]).unwrap(), decode(&png).unwrap());
}

/// Found by fuzzing: without an end marker, the metadata may stand where the file is cut.
#[test]
fn metadata_behind_the_last_scan_is_read() {
    let whole = bytes("exif_6.jpg");
    let start = whole.windows(2).position(|w| w == [0xFF, 0xE1]).unwrap();
    let length = usize::from(u16::from_be_bytes([whole[start + 2], whole[start + 3]]));
    let (segment, rest) = whole[start..].split_at(2 + length);
    for end in [&[0xFF, 0xD9][..], &[]] {
        let scans = &rest[..rest.len() - 2];
        let moved = [&whole[..start], scans, segment, end].concat();
        assert_eq!(decode(&moved).unwrap(), decode(&whole).unwrap(), "end marker {end:?}");
    }
}

/// The end marker behind part of the data, and zeros within it.
#[test]
fn damaged_jpegs_are_refused() {
    for name in ["exif_1.jpg", "subsampled.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"] {
        let whole = bytes(name);
        let scan = whole.windows(2).position(|w| w == [0xFF, 0xDA]).unwrap() + 14;
        let middle = (scan + whole.len()) / 2;
        let cut = [&whole[..middle], &[0xFF, 0xD9]].concat();
        refused(name, &cut, "damaged");
        // In a progressive file, the cut may hit a table.
        if name != "progressive.jpg" {
            let options = DecodeOptions { accept_damaged: true, ..DecodeOptions::default() };
            assert_eq!(decode_with(&cut, &options).unwrap().full_size(), (48, 32), "{name}");
        }
        let mut hole = whole.clone();
        hole[middle..middle + (whole.len() - middle) / 2].fill(0);
        refused(name, &hole, "damaged");
    }
}

#[test]
fn files_that_are_not_pictures_are_refused() {
    refused("empty", b"", "empty file");
    refused("text", b"name,age\nalice,31\n", "text");
    let long = "Zum Beispiel gr\u{fc}\u{df}t man so. ".repeat(40);
    refused("text with umlauts", long.as_bytes(), "text");
    refused("binary", &[0, 1, 2, 3, 200, 201, 255, 254, 17, 4, 0, 0, 9], "unknown file format");
    refused("AVIF", &bytes("photo.avif"), "AVIF is not supported");
    refused("arithmetic", &bytes("arithmetic.jpg"), "arithmetic-coded JPEG is not supported");
    refused("fax", &bytes("fax.tiff"), "not supported");
    refused("video", b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video");
    refused("icon", b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0", "not supported");
}

#[test]
fn errors_name_the_file_and_carry_the_cause_as_source() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("holiday.jpg");
    std::fs::write(&file, "not a picture at all").unwrap();
    let absent = folder.path().join("absent.jpg");
    for (path, cause) in [
        (file.as_path(), "not a picture: the file contains text"),
        (absent.as_path(), "the file cannot be read"),
        (folder.path(), "not a regular file"),
    ] {
        let error = decode_file(path).unwrap_err();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(!error.to_string().contains(cause), "{error}");
        assert_eq!(error.source().unwrap().to_string(), cause);
        assert!(error.reason().starts_with(cause), "{}", error.reason());
    }
    let error = decode_file(&absent).unwrap_err();
    assert!(error.source().unwrap().source().unwrap().is::<std::io::Error>());
}

#[test]
fn probe_checks_header_and_length_but_not_the_pixels() {
    // The size is that before the orientation is applied.
    for (name, size) in [("exif_1.jpg", (48, 32)), ("exif_6.jpg", (32, 48)), ("rgb.bmp", (48, 32))]
    {
        assert_eq!(probe(&bytes(name)).unwrap(), size, "{name}");
    }
    let whole = bytes("exif_1.jpg");
    let error = |bytes: &[u8]| probe(bytes).unwrap_err().to_string();
    assert!(error(&whole[..100]).contains("truncated JPEG"));
    assert!(error(b"some words").contains("not a picture"));
    assert!(error(b"").contains("empty file"));
    assert!(error(&bytes("bomb.png")).contains("3600 megapixels"));
    // Damaged pixels are found by `decode` only.
    let mut damaged = bytes("rgb.bmp");
    damaged.truncate(damaged.len() - 100);
    assert_eq!(probe(&damaged).unwrap(), (48, 32));
    assert!(decode(&damaged).is_err());
}

#[test]
fn sizes_out_of_range_in_the_header_are_refused() {
    refused("bomb", &bytes("bomb.png"), "60000x60000 is 3600 megapixels, the limit is 250");
    assert!(matches!(
        decode(&bytes("bomb.png")),
        Err(FaceError::TooLarge { width: 60_000, height: 60_000, .. })
    ));
    assert!(decode(&bytes("no_width.png")).is_err());

    // A JPEG's frame header: marker, length, precision, height, width.
    let mut jpeg = bytes("exif_1.jpg");
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    refused("large JPEG", &jpeg, "too large: 65535x65535");
    jpeg[frame + 5..frame + 9].fill(0);
    assert!(decode(&jpeg).is_err());

    let mut bmp = bytes("rgb.bmp");
    bmp[18..22].fill(0);
    assert!(decode(&bmp).is_err());
    bmp[18..26].copy_from_slice(&[0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0]);
    refused("large BMP", &bmp, "too large: 60000x60000");
}

#[test]
fn files_that_are_too_large_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    // A sparse file, which takes no disk space.
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    let message = decode_file(&path).unwrap_err().reason();
    assert!(message.contains("file too large"), "{message}");
    assert!(message.contains("limit is 600 megabytes"), "{message}");
}

#[test]
fn pictures_of_50_megapixels_are_decoded() {
    const { assert!(MAX_PIXELS >= 50_000_000) };
    // The size of a 50-megapixel camera; gray, to keep the test fast.
    let (width, height) = (8688u32, 5792u32);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.png");
    let pixels = vec![77u8; (width * height) as usize];
    let mut encoder = png::Encoder::new(std::fs::File::create(&file).unwrap(), width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    let picture = decode_file(&file).unwrap();
    assert_eq!((picture.reduction(), picture.full_size()), (2, (8688, 5792)));
    assert_eq!(picture.pixel(4343, 2895), [77; 3]);
}

#[test]
fn damaged_files_do_not_panic() {
    for name in [
        "exif_6.jpg",
        "progressive.jpg",
        "rgba16.png",
        "animated.gif",
        "lossy.webp",
        "lzw.tiff",
        "rgb.bmp",
        "runs8.bmp",
        "rgb565.bmp",
        "ycck.jpg",
        "scans_420_restart.jpg",
        "p3.jpg",
        "sub_directory.tiff",
        "palette.tiff",
        "photo.jxl",
        "photo.heic",
    ] {
        let whole = bytes(name);
        // HEIC takes longer than the others.
        let step = if name == "photo.heic" { 17 } else { 1 };
        for i in (0..whole.len()).step_by(step) {
            let mut damaged = whole.clone();
            damaged[i] ^= 0x55;
            let result = decode(&damaged);
            assert!(!matches!(result, Err(FaceError::Panicked { .. })), "{name}, byte {i}");
            if let Ok(picture) = result {
                assert_eq!(picture.rgb().len(), 3 * picture.width() * picture.height());
            }
        }
    }
}

/// Random bytes after the first bytes of each format: no panic, and nothing that takes long.
#[test]
fn random_bytes_do_not_panic() {
    let starts = ["exif_1.jpg", "rgb.png", "lossy.webp", "rgb.bmp", "animated.gif", "rgb.tiff"];
    let mut state = 1_u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for name in starts.into_iter().chain(["photo.heic", "photo.jxl", "container.jxl"]) {
        for kept in [4, 8, 12, 16, 32, 64, 128, 256] {
            for _ in 0..20 {
                let mut bytes = bytes(name);
                bytes.truncate(kept.max(4));
                bytes.extend((0..400).map(|_| random()));
                let result = decode(&bytes);
                assert!(!matches!(result, Err(FaceError::Panicked { .. })), "{name}, {kept}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_instead_of_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(decode_file(&pipe).unwrap_err().reason(), "not a regular file");
}
