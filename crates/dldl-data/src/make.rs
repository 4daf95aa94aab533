//! From one picture to one sample of a cache: decode, detect, align, compress.
//! How samples become files is in [`mod@crate::prepare`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dldl_face::{Detector, Face, FaceError};
use dldl_net::Crop;

use crate::cache::CachedSample;
use crate::{Parameters, Sample};

/// Which of several faces a labeled picture is about: the one with the
/// largest area times nearness, where nearness falls from 1 at the picture's
/// center linearly to 0 at its corners. So a large face in the middle wins over
/// a somewhat larger one at the border, but a speck in the middle over none.
pub fn main_face(faces: &[Face], width: usize, height: usize) -> Option<usize> {
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let score = |face: &Face| {
        let [x, y, w, h] = face.bbox;
        let distance = (x + w / 2.0 - cx).hypot(y + h / 2.0 - cy);
        w * h * (1.0 - distance / cx.hypot(cy)).max(0.0)
    };
    (0..faces.len()).max_by(|&a, &b| score(&faces[a]).total_cmp(&score(&faces[b])))
}

/// A picture made into a sample, or why not.
pub(crate) type Made = Result<(CachedSample, Vec<u8>), String>;

/// Makes crops of pictures; the same for all threads.
pub(crate) struct Maker<'a> {
    root: &'a Path,
    parameters: &'a Parameters,
    detector: Option<Detector>,
}

impl<'a> Maker<'a> {
    /// Pictures lie below `root`.
    pub(crate) fn new(root: &'a Path, parameters: &'a Parameters) -> Maker<'a> {
        Maker { root, parameters, detector: parameters.detector.map(Detector::new) }
    }

    /// Makes the sample with this number in the dataset.
    pub(crate) fn make(&self, index: usize, sample: &Sample) -> Made {
        // A decoder that panics on one broken file must not end the run, which
        // would meet the same file again each time it is resumed.
        catch_unwind(AssertUnwindSafe(|| self.try_make(index, sample)))
            .unwrap_or_else(|_| Err("the picture made the program panic".to_owned()))
    }

    fn try_make(&self, index: usize, sample: &Sample) -> Made {
        let picture =
            dldl_face::decode_file(&self.root.join(&sample.file)).map_err(|e| match e {
                FaceError::InFile { error, .. } => error.to_string(),
                other => other.to_string(),
            })?;
        let faces = self.detector.as_ref().map_or_else(Vec::new, |d| d.detect(&picture));
        let face = main_face(&faces, picture.width(), picture.height()).map(|i| &faces[i]);
        let size = self.parameters.crop_size;
        let crop = match face {
            Some(face) => {
                dldl_face::align(&picture, &face.landmarks, &self.parameters.template, size)
            }
            None => dldl_face::whole_picture(&picture, size),
        };
        let jpeg = encode(&crop, self.parameters.jpeg_quality)?;
        let cached = CachedSample {
            key: format!("{index:08}"),
            sample: sample.clone(),
            aligned: face.is_some(),
            faces: faces.len(),
            bbox: face.map(|f| f.bbox),
            score: face.map(|f| f.score),
            landmarks: face.map(|f| f.landmarks),
            picture: [picture.width(), picture.height()],
            jpeg_crc32: crc32fast::hash(&jpeg),
        };
        Ok((cached, jpeg))
    }
}

/// JPEG without chroma subsampling.
fn encode(crop: &Crop, quality: u8) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_4_4);
    let side = u16::try_from(crop.size()).map_err(|e| e.to_string())?;
    encoder
        .encode(crop.rgb(), side, side, jpeg_encoder::ColorType::Rgb)
        .map_err(|e| format!("the crop cannot be compressed: {e}"))?;
    Ok(bytes)
}
