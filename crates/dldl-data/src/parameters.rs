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
    #[serde(with = "detector")]
    pub detector: Option<DetectorParams>,
    /// JPEG quality, 1..=100; 95 by default, without chroma subsampling.
    pub jpeg_quality: u8,
    /// Samples of the dataset that one shard covers; 1000 by default, some 30 MB.
    pub shard_samples: usize,
}

/// The detector's settings as JSON; `dldl-face` itself knows no file formats
/// but those of pictures.
mod detector {
    use dldl_face::DetectorParams;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "DetectorParams", deny_unknown_fields)]
    struct Fields {
        min_face: f32,
        factor: f32,
        thresholds: [f32; 3],
        max_short_side: usize,
        max_candidates: usize,
    }

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "Fields")] DetectorParams);

    pub(super) fn serialize<S: Serializer>(
        value: &Option<DetectorParams>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Whole).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DetectorParams>, D::Error> {
        Ok(Option::<Whole>::deserialize(from)?.map(|whole| whole.0))
    }
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
