//! Color profiles to sRGB, for which the networks were trained. Most phones save
//! pictures in Display P3; taken for sRGB, skin looks paler.

use moxcms::{
    CicpColorPrimaries, CicpProfile, ColorProfile, DataColorSpace, Layout, MatrixCoefficients,
    ToneReprCurve, TransferCharacteristics, Transform8BitExecutor, Transform16BitExecutor,
    TransformOptions,
};
use std::sync::Arc;

/// The color space of samples, as a file declares it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Color {
    /// sRGB, or nothing declared.
    Srgb,
    /// An ICC profile.
    Icc(Vec<u8>),
    /// Primaries and transfer characteristics by their numbers in ITU-T H.273.
    Cicp { primaries: u8, transfer: u8 },
    /// sRGB's primaries; samples are light to the power of 1 / this.
    Gamma(f32),
}

impl Color {
    /// The declared profile, if any.
    pub fn from_icc(profile: Option<Vec<u8>>) -> Self {
        profile.map_or(Self::Srgb, Self::Icc)
    }

    /// `None` if the profile is unreadable, or not for this number of channels.
    fn profile(&self, gray: bool) -> Option<ColorProfile> {
        let profile = match *self {
            Self::Srgb => return None,
            Self::Icc(ref bytes) => ColorProfile::new_from_slice(bytes).ok()?,
            Self::Cicp { primaries, transfer } => {
                let primaries = CicpColorPrimaries::try_from(primaries).ok()?;
                let transfer = TransferCharacteristics::try_from(transfer).ok()?;
                if transfer == TransferCharacteristics::Unspecified {
                    return None;
                }
                ColorProfile::new_from_cicp(CicpProfile {
                    color_primaries: primaries,
                    transfer_characteristics: transfer,
                    matrix_coefficients: MatrixCoefficients::Identity,
                    full_range: true,
                })
            }
            Self::Gamma(gamma) if gray => ColorProfile::new_gray_with_gamma(gamma),
            Self::Gamma(gamma) => {
                let mut profile = ColorProfile::new_srgb();
                let curve = ToneReprCurve::Parametric(vec![gamma]);
                profile.red_trc = Some(curve.clone());
                profile.green_trc = Some(curve.clone());
                profile.blue_trc = Some(curve);
                profile.cicp = None;
                profile
            }
        };
        let expected = if gray { DataColorSpace::Gray } else { DataColorSpace::Rgb };
        (profile.color_space == expected).then_some(profile)
    }
}

/// Converts rows of gray or RGB samples to sRGB.
pub(super) struct Converter {
    eight: Option<Arc<Transform8BitExecutor>>,
    sixteen: Option<Arc<Transform16BitExecutor>>,
}

impl Converter {
    /// A converter that changes nothing where the color space is sRGB within two steps of
    /// 255, as the profiles of most pictures are, or where its profile is unusable.
    pub fn new(color: &Color, gray: bool) -> Self {
        let none = Self { eight: None, sixteen: None };
        let Some(profile) = color.profile(gray) else { return none };
        let srgb = ColorProfile::new_srgb();
        let from = if gray { Layout::Gray } else { Layout::Rgb };
        let options = TransformOptions::default;
        let (Ok(eight), Ok(sixteen)) = (
            profile.create_transform_8bit(from, &srgb, Layout::Rgb, options()),
            profile.create_transform_16bit(from, &srgb, Layout::Rgb, options()),
        ) else {
            return none;
        };
        let steps = (0..=255).step_by(17).map(|v| v as u8);
        let samples: Vec<u8> = if gray {
            steps.collect()
        } else {
            let steps: Vec<u8> = steps.collect();
            let plane = |r: u8| steps.iter().flat_map(move |&g| [r, g, 255 - g / 2]);
            steps.iter().flat_map(|&r| plane(r).chain([r, r, r])).collect()
        };
        let expected: Vec<u8> =
            if gray { samples.iter().flat_map(|&v| [v; 3]).collect() } else { samples.clone() };
        let mut converted = vec![0; expected.len()];
        if eight.transform(&samples, &mut converted).is_err() {
            return none;
        }
        if converted.iter().zip(&expected).all(|(a, b)| a.abs_diff(*b) <= 2) {
            return none;
        }
        Self { eight: Some(eight), sixteen: Some(sixteen) }
    }

    pub fn converts8(&self) -> bool {
        self.eight.is_some()
    }

    pub fn converts16(&self) -> bool {
        self.sixteen.is_some()
    }

    /// Gray or RGB to RGB.
    pub fn convert8(&self, from: &[u8], to: &mut [u8]) {
        let transform = self.eight.as_ref().expect("converts8 was asked");
        transform.transform(from, to).expect("the lengths of a row match");
    }

    /// Gray or RGB to RGB.
    pub fn convert16(&self, from: &[u16], to: &mut [u16]) {
        let transform = self.sixteen.as_ref().expect("converts16 was asked");
        transform.transform(from, to).expect("the lengths of a row match");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srgb_stays_and_other_spaces_are_converted() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        assert!(!Converter::new(&Color::Icc(srgb), false).converts8());
        assert!(!Converter::new(&Color::Icc(vec![0; 200]), false).converts8());
        assert!(!Converter::new(&Color::Srgb, true).converts16());
        // Display P3 (0.8, 0.5, 0.4) is (0.845, 0.490, 0.373) in sRGB: by the matrices of
        // both spaces, computed with another program.
        let p3 = Converter::new(&Color::Cicp { primaries: 12, transfer: 13 }, false);
        let mut rgb = [0; 3];
        p3.convert8(&[204, 128, 102], &mut rgb);
        for (value, expected) in rgb.into_iter().zip([216_u8, 125, 95]) {
            assert!(value.abs_diff(expected) <= 2, "{rgb:?}");
        }
        // Linear light of 0.2140 is 0.5 in sRGB.
        let linear = Converter::new(&Color::Gamma(1.0), true);
        let mut rgb = [0; 3];
        linear.convert16(&[14_026], &mut { [0_u16; 3] });
        linear.convert8(&[55], &mut rgb);
        assert!(rgb.iter().all(|v| v.abs_diff(128) <= 2), "{rgb:?}");
    }
}
