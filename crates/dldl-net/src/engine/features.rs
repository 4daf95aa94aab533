//! The last feature map, from which class activation maps are made. The maps
//! themselves are made in `dldl-eval`.

use super::{Engine, Layers};
use crate::network::Network;
use crate::{Crop, NetError};

/// The last feature map of a network for one crop, after the last max pooling.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// Rows: the crop's side / 32 for VGG's five stages.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[features, height, width]`, at least 0.
    pub values: Vec<f32>,
    /// The network's outputs, `[outputs]`.
    pub logits: Vec<f32>,
}

impl Engine {
    /// The feature map of a crop, or of its mirror image, before the average pooling.
    /// Runs on the calling thread.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run); [`NetError::Spec`] for a
    /// quantized model, which has no feature map in floating point.
    pub fn feature_map(&self, crop: &Crop, mirrored: bool) -> Result<FeatureMap, NetError> {
        self.check(std::slice::from_ref(crop))?;
        let network = self.float("feature map")?;
        let mut logits = vec![0.0; self.info.net.outputs()];
        let (mut values, mut height, mut width) = (Vec::new(), 0, 0);
        self.in_arena(|arena| {
            (values, height, width) =
                network.features(crop, mirrored, &mut arena.float, &mut logits);
        });
        Ok(FeatureMap { height, width, values, logits })
    }

    /// The weight of the last layer, `[outputs, features]`: the logits are this times
    /// the average of the feature map, plus the bias.
    ///
    /// # Errors
    /// [`NetError::Spec`] for a quantized model.
    pub fn head_weight(&self) -> Result<&[f32], NetError> {
        Ok(self.float("head")?.head_weight())
    }

    fn float(&self, what: &str) -> Result<&Network, NetError> {
        match &self.layers {
            Layers::Float(network) => Ok(network),
            Layers::Quantized(_) => Err(NetError::Spec(format!(
                "the quantized model \"{}\" has no {what} in floating point: use the f32 model it \
                 was quantized from",
                self.info.name
            ))),
        }
    }
}
