//! Pixels to JPEG: crops for training caches, annotated copies.

use crate::FaceError;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// How a JPEG stores color differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    /// At full resolution (4:4:4).
    Full,
    /// As encoders usually do: at half the width and height (4:2:0) below quality 90.
    ByQuality,
}

/// Compresses RGB bytes (`[height][width][3]`) as baseline JPEG.
///
/// # Errors
/// [`FaceError::WrongLength`] and [`FaceError::TooLargeForJpeg`].
///
/// # Panics
/// If `quality` is not from 1 to 100.
pub fn encode_jpeg(
    rgb: &[u8],
    width: usize,
    height: usize,
    quality: u8,
    chroma: Chroma,
) -> Result<Vec<u8>, FaceError> {
    assert!((1..=100).contains(&quality), "JPEG quality {quality} is not from 1 to 100");
    if rgb.is_empty() || Some(rgb.len()) != width.checked_mul(height).and_then(|n| n.checked_mul(3))
    {
        return Err(FaceError::WrongLength { width, height, bytes: rgb.len() });
    }
    let too_large = |_| FaceError::TooLargeForJpeg { width, height };
    let (w, h) = (width.try_into().map_err(too_large)?, height.try_into().map_err(too_large)?);
    let mut jpeg = Vec::new();
    let mut encoder = Encoder::new(&mut jpeg, quality);
    if chroma == Chroma::Full {
        encoder.set_sampling_factor(SamplingFactor::F_1_1);
    }
    let encoded = encoder.encode(rgb, w, h, ColorType::Rgb);
    encoded.expect("the sizes were checked, and writing to memory cannot fail");
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_survive_and_bad_sizes_are_errors() {
        let rgb: Vec<u8> = (0..40 * 30).flat_map(|i| [(i % 40 * 5) as u8, 90, 100]).collect();
        let jpeg = encode_jpeg(&rgb, 40, 30, 95, Chroma::Full).unwrap();
        let back = crate::decode(&jpeg).unwrap();
        let error = back.rgb().iter().zip(&rgb).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(error <= 8, "{error}");
        let halved = encode_jpeg(&rgb, 40, 30, 80, Chroma::ByQuality).unwrap();
        assert!(halved.len() < jpeg.len());
        let error = encode_jpeg(&rgb, 40, 31, 95, Chroma::Full).unwrap_err();
        assert!(matches!(error, FaceError::WrongLength { .. }));
        let wide = vec![0; 3 * 70_000];
        let error = encode_jpeg(&wide, 70_000, 1, 95, Chroma::Full).unwrap_err();
        assert!(error.to_string().contains("70000x1"), "{error}");
    }
}
