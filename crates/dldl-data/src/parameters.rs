//! The parameters of a cache.

use dldl_face::DetectorParams;
use dldl_net::Template;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// The largest side of crops in pixels.
pub(crate) const MAX_CROP_SIZE: usize = 4096;

/// How the crops of a cache are made. All crops of a cache have the same parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Side of the crops in pixels, 16..=4096. Default: 224, the largest input of the
    /// networks.
    pub crop_size: usize,
    /// Where the landmarks are placed in the crop.
    pub template: Template,
    /// Settings of the face detector; none to take all pictures whole.
    // Required in JSON, also if null: a missing field must not mean null.
    #[serde(deserialize_with = "Option::deserialize")]
    pub detector: Option<DetectorParams>,
    /// JPEG quality, 1..=100, without chroma subsampling. Default: 95.
    pub jpeg_quality: u8,
    /// Samples of the dataset per shard. Default: 1000, about 30 MB.
    pub shard_samples: usize,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            crop_size: 224,
            template: Template::default_face(),
            detector: Some(DetectorParams::default()),
            jpeg_quality: 95,
            shard_samples: 1000,
        }
    }
}

impl Parameters {
    /// Checks the ranges of all parameters.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        if !(16..=MAX_CROP_SIZE).contains(&self.crop_size) {
            return Err(DataError::CropSize(self.crop_size));
        }
        if !(1..=100).contains(&self.jpeg_quality) {
            return Err(DataError::JpegQuality(self.jpeg_quality));
        }
        if self.shard_samples == 0 {
            return Err(DataError::ShardSamples);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detector_is_required_in_json_but_may_be_null() {
        let mut json = serde_json::to_value(Parameters::default()).unwrap();
        let read = |json: &serde_json::Value| serde_json::from_value::<Parameters>(json.clone());
        assert_eq!(read(&json).unwrap(), Parameters::default());

        json["detector"]["min_fcae"] = 20.into();
        assert!(read(&json).unwrap_err().to_string().contains("min_fcae"));
        json["detector"] = serde_json::Value::Null;
        assert_eq!(read(&json).unwrap().detector, None);
        json.as_object_mut().unwrap().remove("detector");
        assert!(read(&json).unwrap_err().to_string().contains("detector"));
    }
}
