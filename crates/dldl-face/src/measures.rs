//! What can be measured of a face without knowing what is estimated of it: sharpness,
//! size, pose. [`crate::crop`] makes the crops.

use dldl_net::Crop;
use serde::{Deserialize, Serialize};

use crate::{Face, Picture};

/// The side in pixels that crops are resized to before their sharpness is measured, so
/// that it does not depend on the model's input.
const SIDE: usize = 96;
/// Pixels at each edge of the resized crop that are not measured: hair, background, and
/// repeated borders of the picture.
const EDGE: usize = 12;

/// What is measured of a face in a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// The sharpness of the aligned crop: the variance of its Laplacian divided by the
    /// variance of its gray values, in the middle of the crop at 96 x 96 pixels. About 0.1
    /// for a sharp face, 0.01 for one that is blurred or was enlarged. Above 0; noise
    /// counts as detail.
    pub sharpness: f64,
    /// The size of the face in pixels of the picture: the root of the area of its box;
    /// without detection the shorter side of the picture.
    pub size: f64,
    /// The detector's confidence, 0..=1; none without detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The pose; none without detection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pose: Option<Pose>,
}

/// The pose of a head as far as five landmarks show it. These are ratios that grow with the
/// angles, not angles, except for `roll`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pose {
    /// How far the nose is to the right of the middle between the left and right landmarks,
    /// in units of half their distance: 0 frontal, about 1 or -1 in profile.
    pub yaw: f64,
    /// The height of the nose between eyes (0) and mouth (1): about 0.57 frontal, less for a
    /// raised head.
    pub pitch: f64,
    /// The angle of the eyes and the mouth from the horizontal, in degrees, clockwise in the
    /// picture.
    pub roll: f64,
}

impl Measures {
    /// The measures of a face, and its crop from a picture of this width and height in
    /// pixels. Without a face, the crop is the whole picture ([`crate::whole_picture`]).
    pub fn new(crop: &Crop, face: Option<&Face>, picture_size: [usize; 2]) -> Self {
        let side = picture_size[0].min(picture_size[1]) as f64;
        Self {
            sharpness: sharpness(crop),
            size: face.map_or(side, |face| {
                let [width, height] = [face.bbox[2], face.bbox[3]].map(f64::from);
                (width * height).max(0.0).sqrt()
            }),
            score: face.map(|face| face.score.into()),
            pose: face.map(|face| Pose::new(&face.landmarks)),
        }
    }
}

impl Pose {
    /// The pose from the landmarks of a [`Face`].
    pub fn new(landmarks: &[[f32; 2]; 5]) -> Self {
        let [left_eye, right_eye, nose, mouth_left, mouth_right] =
            landmarks.map(|p| p.map(f64::from));
        let across = [0, 1].map(|i| right_eye[i] + mouth_right[i] - left_eye[i] - mouth_left[i]);
        let length = across[0].hypot(across[1]).max(f64::MIN_POSITIVE);
        let [cos, sin] = across.map(|v| v / length);
        // The axes of the face: to the right, and down.
        let x = |p: [f64; 2]| cos * p[0] + sin * p[1];
        let y = |p: [f64; 2]| cos * p[1] - sin * p[0];
        let left = 0.5 * (x(left_eye) + x(mouth_left));
        let right = 0.5 * (x(right_eye) + x(mouth_right));
        let eyes = 0.5 * (y(left_eye) + y(right_eye));
        let mouth = 0.5 * (y(mouth_left) + y(mouth_right));
        Self {
            yaw: ratio(2.0 * x(nose) - left - right, right - left),
            pitch: ratio(y(nose) - eyes, mouth - eyes),
            roll: sin.atan2(cos).to_degrees(),
        }
    }
}

/// By how many degrees a face is turned clockwise in the picture, to the nearest quarter: 0,
/// 90, 180 or 270. `landmarks` are those of a [`Face`].
pub fn rotation(landmarks: &[[f32; 2]; 5]) -> u16 {
    let quarters = (Pose::new(landmarks).roll / 90.0).round() as i32;
    90 * quarters.rem_euclid(4) as u16
}

/// A ratio between -10 and 10; landmarks of poor detections may coincide.
fn ratio(a: f64, b: f64) -> f64 {
    let ratio = a / b;
    if ratio.is_nan() { 0.0 } else { ratio.clamp(-10.0, 10.0) }
}

/// The variance of the Laplacian divided by that of the gray values (at least 1, so that
/// rounding is not taken for detail in a picture of one color).
fn sharpness(crop: &Crop) -> f64 {
    let size = crop.size();
    let picture = Picture::new(size, size, crop.rgb().to_vec()).expect("a crop has its pixels");
    let picture = if size == SIDE { picture } else { picture.resized(SIDE, SIDE) };
    let gray: Vec<f64> = (picture.rgb().as_chunks::<3>().0.iter())
        // ITU-R BT.601
        .map(|&[r, g, b]| 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b))
        .collect();
    let middle = EDGE..SIDE - EDGE;
    let places = middle.clone().flat_map(|y| middle.clone().map(move |x| y * SIDE + x));
    let laplacian =
        |i: usize| 4.0 * gray[i] - gray[i - 1] - gray[i + 1] - gray[i - SIDE] - gray[i + SIDE];
    variance(places.clone().map(laplacian)) / variance(places.map(|i| gray[i])).max(1.0)
}

fn variance(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(size: usize, value: impl Fn(usize, usize) -> f64) -> Crop {
        let pixels = (0..size * size).flat_map(|i| [value(i % size, i / size) as u8; 3]);
        Crop::new(size, pixels.collect()).unwrap()
    }

    #[test]
    fn sharpness_is_that_of_the_frequency_and_not_of_contrast_or_brightness() {
        // For a wave of frequency w along x, the Laplacian is 2 - 2 cos(w) times the wave.
        let wave = |w: f64, contrast: f64| {
            sharpness(&gray(96, |x, _| (120.0 + contrast * (w * x as f64).sin()).round()))
        };
        let w = std::f64::consts::TAU / 12.0;
        let expected = (2.0 - 2.0 * w.cos()).powi(2);
        for contrast in [100.0, 50.0] {
            assert!((wave(w, contrast) / expected - 1.0).abs() < 0.02, "{}", wave(w, contrast));
        }
        assert!(wave(2.0 * w, 100.0) > 3.0 * wave(w, 100.0));
        assert_eq!(sharpness(&gray(96, |_, _| 77.0)), 0.0);
    }

    #[test]
    fn sharpness_is_measured_at_one_size() {
        let wave = |size: usize| {
            let w = std::f64::consts::TAU * 6.0 / size as f64;
            sharpness(&gray(size, |x, y| 120.0 + 60.0 * ((w * (x + y) as f64).sin())))
        };
        for size in [64, 144, 224] {
            assert!((wave(size) / wave(96) - 1.0).abs() < 0.1, "{size}: {}", wave(size));
        }
    }

    #[test]
    fn blur_lowers_sharpness() {
        // The finalizer of SplitMix64 makes neighbors independent.
        let noise = |x: usize, y: usize| {
            let mut bits = (1 + x * 131 + y) as u64;
            for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
                bits = (bits ^ (bits >> shift)).wrapping_mul(factor);
            }
            f64::from((bits >> 40) as u8)
        };
        let smooth = |x: usize, y: usize| {
            let near = (0..5).flat_map(|dy| (0..5).map(move |dx| (dx, dy)));
            near.map(|(dx, dy)| noise(x + dx, y + dy)).sum::<f64>() / 25.0
        };
        assert!(sharpness(&gray(96, smooth)) < 0.3 * sharpness(&gray(96, noise)));
    }

    #[test]
    fn poses_follow_from_the_landmarks() {
        let frontal = [[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 75.0], [65.0, 75.0]];
        let pose = Pose::new(&frontal);
        assert!(pose.yaw.abs() < 1e-6 && pose.roll.abs() < 1e-6, "{pose:?}");
        assert!((pose.pitch - 20.0 / 35.0).abs() < 1e-6);
        // Size, place and rotation change nothing but the roll.
        let (sin, cos) = 20f32.to_radians().sin_cos();
        let turned = frontal.map(|[x, y]: [f32; 2]| {
            [7.0 + 3.0 * (cos * x - sin * y), -5.0 + 3.0 * (sin * x + cos * y)]
        });
        let other = Pose::new(&turned);
        assert!((other.roll - 20.0).abs() < 1e-3, "{other:?}");
        assert!((other.pitch - pose.pitch).abs() < 1e-4 && other.yaw.abs() < 1e-4, "{other:?}");
        // The nose moves to the right by half of half the distance: (40 + 30) / 2 / 2.
        let mut aside = frontal;
        aside[2][0] += 8.75;
        assert!((Pose::new(&aside).yaw - 0.5).abs() < 1e-6);
        aside[2] = [50.0, 47.0];
        assert!((Pose::new(&aside).pitch - 0.2).abs() < 1e-6);
        let point = Pose::new(&[[3.0, 3.0]; 5]);
        assert!([point.yaw, point.pitch, point.roll].iter().all(|v| v.is_finite()), "{point:?}");
    }

    #[test]
    fn rotations_are_whole_quarters() {
        let upright = [[30.0, 40.0], [70.0, 40.0], [50.0, 60.0], [35.0, 75.0], [65.0, 75.0]];
        let turned = |degrees: f32| {
            let (sin, cos) = degrees.to_radians().sin_cos();
            upright.map(|[x, y]: [f32; 2]| [cos * x - sin * y, sin * x + cos * y])
        };
        for (degrees, expected) in
            [(0.0, 0), (40.0, 0), (-40.0, 0), (50.0, 90), (90.0, 90), (180.0, 180), (-90.0, 270)]
        {
            assert_eq!(rotation(&turned(degrees)), expected, "{degrees}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_box_or_of_the_picture() {
        let crop = gray(96, |x, _| x as f64);
        let face = Face { bbox: [5.0, 5.0, 20.0, 45.0], score: 0.75, landmarks: [[0.0; 2]; 5] };
        let found = Measures::new(&crop, Some(&face), [200, 100]);
        assert_eq!((found.size, found.score), (30.0, Some(0.75)));
        assert_eq!(found.pose, Some(Pose::new(&face.landmarks)));
        let whole = Measures::new(&crop, None, [200, 100]);
        assert_eq!((whole.size, whole.score, whole.pose), (100.0, None, None));
        assert_eq!(whole.sharpness, found.sharpness);
    }
}
