//! The metadata of one sample of a cache.

use serde::{Deserialize, Serialize};

use crate::Sample;

/// The metadata of one sample of a cache, the content of its `.json` file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedSample {
    /// The index of the sample in the dataset, zero-padded: the file name without
    /// extension.
    #[serde(skip)]
    pub key: String,
    /// File, labels, split and other facts from the dataset.
    #[serde(flatten)]
    pub sample: Sample,
    /// Whether the crop is aligned by the landmarks of a detected face. If not, it is
    /// the whole picture.
    pub aligned: bool,
    /// The number of detected faces.
    pub faces: usize,
    /// The box of the chosen face: x, y, width, height in pixels of the picture.
    #[serde(rename = "box")]
    pub bbox: Option<[f32; 4]>,
    /// The score of the chosen face, 0..=1.
    pub score: Option<f32>,
    /// The landmarks of the chosen face in pixels of the picture: left eye, right eye,
    /// nose, left and right corner of the mouth, from the viewer's perspective.
    pub landmarks: Option<[[f32; 2]; 5]>,
    /// Width and height of the picture in pixels.
    pub picture: [usize; 2],
    /// CRC-32 of the `.jpg` file.
    pub jpeg_crc32: u32,
}
