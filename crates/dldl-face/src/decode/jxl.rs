//! JPEG XL; the first picture of an animation.

use super::color::Color;
use super::rows::{Layout, Rows};
use super::{DecodeOptions, Decoded, Header, damaged};
use crate::FaceError;
use jxl::api::{
    Event, ExtraChannel, JxlBasicInfo, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions,
    JxlOutputBuffer, JxlPixelFormat,
};

const NAME: &str = "JPEG XL";

/// The decoder and what follows the header, once that is read.
fn open(bytes: &[u8], samples: usize) -> Result<(JxlDecoder, &[u8], JxlBasicInfo), FaceError> {
    let mut options = JxlDecoderOptions::default();
    options.sample_limit = Some(samples);
    let mut decoder = JxlDecoder::new(options);
    let mut rest = bytes;
    match decoder.process(&mut rest, None, None).map_err(|e| damaged(NAME, &e))? {
        Event::BasicInfo => {}
        _ => return Err(FaceError::Truncated(NAME)),
    }
    let info = decoder.basic_info().cloned().ok_or(FaceError::Truncated(NAME))?;
    Ok((decoder, rest, info))
}

/// Of the upright picture. The decoder keeps planes of 32-bit numbers.
pub(super) fn header(bytes: &[u8]) -> Result<Header, FaceError> {
    let (width, height) = open(bytes, usize::MAX)?.2.size;
    Ok(Header { width, height, working_bytes: 16 })
}

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
    reduction: usize,
) -> Result<Decoded, FaceError> {
    let (mut decoder, mut rest, info) = open(bytes, (options.max_memory / 4) as usize)?;
    let (width, height) = info.size;
    let alpha = info.extra_channels.iter().any(|c| c.ec_type == ExtraChannel::Alpha);
    let (layout, color_type) =
        if alpha { (Layout::Rgba, JxlColorType::Rgba) } else { (Layout::Rgb, JxlColorType::Rgb) };
    let format = JxlPixelFormat {
        color_type,
        color_data_format: Some(JxlDataFormat::U8 { bit_depth: 8 }),
        extra_channel_format: vec![None; info.extra_channels.len()],
    };
    decoder.set_pixel_format(format).map_err(|e| damaged(NAME, &e))?;
    let profile =
        decoder.output_color_profile().and_then(|p| p.try_as_icc().map(|icc| icc.to_vec()));
    let color = Color::from_icc(profile);
    let line = width * layout.channels();
    let mut samples = vec![0; line * height];
    loop {
        let mut buffers = [JxlOutputBuffer::new(&mut samples, height, line)];
        let event = decoder.process(&mut rest, Some(&mut buffers), None);
        match event.map_err(|e| damaged(NAME, &e))? {
            Event::FrameComplete { .. } | Event::Complete => break,
            Event::NeedMoreInput { .. } => return Err(FaceError::Truncated(NAME)),
            _ => {}
        }
    }
    let mut rows = Rows::new(width, height, layout, &color, reduction);
    rows.push_all8(samples);
    let picture = rows.finish().ok_or(FaceError::Truncated(NAME))?;
    Ok(Decoded { picture, orientation: 1 })
}
