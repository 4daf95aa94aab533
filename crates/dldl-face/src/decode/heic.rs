//! HEIC, as phones save photographs: HEVC in an ISO media file.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged};
use crate::FaceError;
use heic_decoder::HeifError;

const NAME: &str = "HEIC";

/// Of the upright picture. The decoder keeps planes of 32-bit numbers.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let info = heic_decoder::probe(bytes).map_err(fail)?;
    Ok(Header { width: info.width, height: info.height, working_bytes: 9 })
}

pub(super) fn decode(
    bytes: &[u8],
    _: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let image = heic_decoder::decode(bytes).map_err(fail)?;
    let color = match (&image.metadata.icc_profile, &image.color_info) {
        (Some(profile), _) => Color::Icc(profile.clone()),
        (None, Some(info)) => {
            let number = |v: u16| u8::try_from(v).unwrap_or(2);
            Color::Cicp {
                primaries: number(info.color_primaries),
                transfer: number(info.transfer_characteristics),
            }
        }
        (None, None) => Color::Srgb,
    };
    let rgb = image.to_rgb8().map_err(fail)?;
    drop(image);
    let mut rows = Rows::new(rgb.width, rgb.height, Layout::Rgb, &color, reduction);
    rows.push_all8(rgb.data);
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    // The decoder has turned it: the container's rotation is the one that counts.
    Ok(Decoded { picture, orientation: 1 })
}

fn fail(error: HeifError) -> FaceError {
    match error {
        HeifError::Truncated { .. } => FaceError::Truncated(NAME),
        HeifError::LimitExceeded(_) => FaceError::TooMuchMemory(NAME),
        error => damaged(NAME, &error),
    }
}
