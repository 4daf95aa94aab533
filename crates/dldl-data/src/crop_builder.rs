//! From a picture to a sample of a cache: decode, detect, align, compress. The samples
//! are written by [`mod@crate::prepare`].

use std::path::Path;

use dldl_face::{Chroma, Detector, crop_main_face_in_file, encode_jpeg};

use crate::cached_sample::CachedSample;
use crate::{Parameters, Sample};

/// A sample and its crop as a JPEG file, or why the picture cannot be used.
pub(crate) type CropResult = Result<(CachedSample, Vec<u8>), String>;

/// Builds the crops of a cache. Shared by all threads.
pub(crate) struct CropBuilder<'a> {
    root: &'a Path,
    parameters: &'a Parameters,
    detector: Option<Detector>,
}

impl<'a> CropBuilder<'a> {
    /// `root` is the folder of the pictures.
    pub(crate) fn new(root: &'a Path, parameters: &'a Parameters) -> CropBuilder<'a> {
        CropBuilder { root, parameters, detector: parameters.detector.map(Detector::new) }
    }

    /// Builds the sample with this index in the dataset.
    pub(crate) fn build(&self, index: usize, sample: &Sample) -> CropResult {
        let path = self.root.join(&sample.file);
        let Parameters { template, crop_size, jpeg_quality, .. } = self.parameters;
        let main = crop_main_face_in_file(&path, self.detector.as_ref(), template, *crop_size)
            .map_err(|e| e.reason())?;
        let side = main.crop.size();
        let jpeg = encode_jpeg(main.crop.rgb(), side, side, *jpeg_quality, Chroma::Full)
            .map_err(|e| e.reason())?;
        let cached = CachedSample {
            key: format!("{index:08}"),
            sample: sample.clone(),
            aligned: main.face.is_some(),
            faces: main.face_count,
            bbox: main.face.map(|f| f.bbox),
            score: main.face.map(|f| f.score),
            landmarks: main.face.map(|f| f.landmarks),
            picture: main.picture_size,
            jpeg_crc32: crc32fast::hash(&jpeg),
        };
        Ok((cached, jpeg))
    }
}
