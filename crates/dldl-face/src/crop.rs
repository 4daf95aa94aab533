//! From a picture to the crops that a network is run on: detection, the choice of
//! the main face, alignment. Training caches, evaluation and estimation all crop
//! through this file, so that a model sees the same pixels everywhere.

use crate::guard::guarded;
use crate::{Detector, Face, FaceError, Picture, align, decode_file, whole_picture};
use dldl_net::{Crop, Template};
use std::path::Path;

/// The step named in [`FaceError::Panicked`] when detection or alignment panics.
const STEP: &str = "face detector";

/// The crop of a picture's main face, or of the whole picture if it has none.
#[derive(Clone, Debug, PartialEq)]
pub struct MainCrop {
    /// The main face aligned to the template, or the central square of the
    /// picture where there is no face.
    pub crop: Crop,
    /// The face in the crop; `None` if no face was found or none was searched for.
    pub face: Option<Face>,
    /// The number of faces found in the picture.
    pub face_count: usize,
    /// Width and height of the upright picture in pixels.
    pub picture_size: [usize; 2],
}

/// The index of the face that a picture's label most likely describes: the one
/// with the largest `area * (1 - d)`, where `d` is the distance of the box's
/// center from the picture's center, in units of half the diagonal. So a large
/// face in the middle beats a slightly larger one at the border, but a
/// tiny face in the middle does not. `None` if there are no faces.
///
/// `width` and `height` are those of the picture in pixels.
pub fn main_face(faces: &[Face], width: usize, height: usize) -> Option<usize> {
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let score = |face: &Face| {
        let [x, y, w, h] = face.bbox;
        let distance = (x + w / 2.0 - cx).hypot(y + h / 2.0 - cy);
        w * h * (1.0 - distance / cx.hypot(cy)).max(0.0)
    };
    (0..faces.len()).max_by(|&a, &b| score(&faces[a]).total_cmp(&score(&faces[b])))
}

/// A crop of `size` x `size` pixels: the face aligned to the template
/// ([`align`]), or without a face the whole picture ([`whole_picture`]).
///
/// # Panics
/// If `size` is 0.
pub fn crop_face(picture: &Picture, face: Option<&Face>, template: &Template, size: usize) -> Crop {
    match face {
        Some(face) => align(picture, &face.landmarks, template, size),
        None => whole_picture(picture, size),
    }
}

/// All faces of the picture, largest first, each with its crop of `size` x `size`
/// pixels.
///
/// # Errors
/// [`FaceError::Panicked`] if detection or alignment panics.
///
/// # Panics
/// If `size` is 0.
pub fn crop_faces(
    picture: &Picture,
    detector: &Detector,
    template: &Template,
    size: usize,
) -> Result<Vec<(Face, Crop)>, FaceError> {
    assert!(size > 0, "a crop needs at least one pixel");
    guarded(STEP, || {
        let faces = detector.detect(picture).into_iter();
        Ok(faces.map(|face| (face, crop_face(picture, Some(&face), template, size))).collect())
    })
}

/// The crop of the picture's [`main_face`], `size` x `size` pixels. Without a
/// face, or without a `detector`, it is the crop of the whole picture.
///
/// # Errors
/// [`FaceError::Panicked`] if detection or alignment panics: one picture must not
/// end a run over thousands.
///
/// # Panics
/// If `size` is 0.
pub fn crop_main_face(
    picture: &Picture,
    detector: Option<&Detector>,
    template: &Template,
    size: usize,
) -> Result<MainCrop, FaceError> {
    assert!(size > 0, "a crop needs at least one pixel");
    let (width, height) = (picture.width(), picture.height());
    guarded(STEP, || {
        let faces = detector.map_or_else(Vec::new, |detector| detector.detect(picture));
        let face = main_face(&faces, width, height).map(|i| faces[i]);
        Ok(MainCrop {
            crop: crop_face(picture, face.as_ref(), template, size),
            face,
            face_count: faces.len(),
            picture_size: [width, height],
        })
    })
}

/// [`crop_main_face`] of the picture in a file.
///
/// # Errors
/// [`FaceError::InFile`], with an error of [`decode_file`] or [`crop_main_face`]
/// as its source.
///
/// # Panics
/// If `size` is 0.
pub fn crop_main_face_in_file(
    path: &Path,
    detector: Option<&Detector>,
    template: &Template,
    size: usize,
) -> Result<MainCrop, FaceError> {
    let picture = decode_file(path)?;
    crop_main_face(&picture, detector, template, size).map_err(|error| error.in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DetectorParams;
    use crate::guard::panic_in;
    use std::path::PathBuf;

    fn portrait() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/astronaut.jpg")
    }

    fn face(bbox: [f32; 4]) -> Face {
        Face { bbox, score: 0.9, landmarks: [[0.0; 2]; 5] }
    }

    #[test]
    fn main_face_weighs_area_against_distance_from_the_center() {
        assert_eq!(main_face(&[], 200, 200), None);
        let (corner, center) = (face([0.0, 0.0, 60.0, 60.0]), face([75.0, 75.0, 50.0, 50.0]));
        let speck = face([99.0, 99.0, 2.0, 2.0]);
        assert_eq!(main_face(&[corner, center, speck], 200, 200), Some(1));
        assert_eq!(main_face(&[speck, corner], 200, 200), Some(1));
    }

    #[test]
    fn crop_main_face_aligns_the_face_or_takes_the_whole_picture() {
        let (detector, template) =
            (Detector::new(DetectorParams::default()), Template::default_face());
        let picture = decode_file(&portrait()).unwrap();
        let size = [picture.width(), picture.height()];
        let aligned = crop_main_face_in_file(&portrait(), Some(&detector), &template, 64).unwrap();
        let face = detector.detect(&picture)[0];
        let crop = align(&picture, &face.landmarks, &template, 64);
        let expected = MainCrop { crop, face: Some(face), face_count: 1, picture_size: size };
        assert_eq!(aligned, expected);
        assert_eq!(
            crop_faces(&picture, &detector, &template, 64).unwrap(),
            [(face, expected.crop)]
        );

        let whole = crop_main_face(&picture, None, &template, 64).unwrap();
        let crop = whole_picture(&picture, 64);
        assert_eq!(whole, MainCrop { crop, face: None, face_count: 0, picture_size: size });
    }

    #[test]
    fn a_panicking_decoder_is_an_error_that_names_the_file() {
        let template = Template::default_face();
        let crop = || crop_main_face_in_file(&portrait(), None, &template, 64);
        let error = panic_in("image decoder", crop).unwrap_err();
        assert!(matches!(&error, FaceError::InFile { path, source }
            if *path == portrait() && matches!(**source, FaceError::Panicked { .. })));
        assert!(error.reason().contains("image decoder panicked"), "{}", error.reason());
        assert!(crop().is_ok());
    }

    #[test]
    fn a_panicking_detector_is_an_error() {
        let (detector, template) =
            (Detector::new(DetectorParams::default()), Template::default_face());
        let picture = decode_file(&portrait()).unwrap();
        let main = panic_in(STEP, || crop_main_face(&picture, Some(&detector), &template, 64));
        assert!(matches!(main, Err(FaceError::Panicked { step: STEP, .. })), "{main:?}");
        let all = panic_in(STEP, || crop_faces(&picture, &detector, &template, 64));
        assert!(matches!(all, Err(FaceError::Panicked { step: STEP, .. })));
        let in_file =
            panic_in(STEP, || crop_main_face_in_file(&portrait(), Some(&detector), &template, 64));
        assert!(matches!(in_file, Err(FaceError::InFile { .. })));
    }
}
