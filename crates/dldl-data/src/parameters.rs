//! How the crops of a cache are made, as a value.

use dldl_face::DetectorParams;
use dldl_net::Template;
use serde::{Deserialize, Serialize};

use crate::DataError;

/// How crops are made. A cache is made with one set of parameters only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Side of the crops in pixels; 224 by default, the network's largest input.
    pub crop_size: usize,
    /// Where the landmarks are put.
    pub template: Template,
    /// The detector's settings; none to take all pictures whole.
    // Written down even if there is none: left out, it would be taken for none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub detector: Option<DetectorParams>,
    /// JPEG quality, 1..=100; 95 by default, without chroma subsampling.
    pub jpeg_quality: u8,
    /// Samples of the dataset that one shard covers; 1000 by default, some 30 MB.
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
    /// Names the first parameter that is out of its range.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let refuse = |what: &str| Err(DataError::Parameter(what.to_owned()));
        if !(16..=4096).contains(&self.crop_size) {
            return refuse("the crop size must be within 16..=4096 pixels");
        }
        if !(1..=100).contains(&self.jpeg_quality) {
            return refuse("the JPEG quality must be within 1..=100");
        }
        if self.shard_samples == 0 {
            return refuse("a shard needs at least one sample");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_named_or_said_to_be_none() {
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
