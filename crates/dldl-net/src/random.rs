//! Models with random weights, for speed measurements and tests.

use crate::{ModelInfo, NetError, NetSpec, Weights};
use dldl_label::LabelSet;

impl Weights {
    /// A model of ages with random weights (uniform, He's variance), the same for the
    /// same network. Activations keep their magnitude from layer to layer, as in a
    /// trained network.
    ///
    /// # Errors
    /// [`NetError::Spec`] if the network is out of range or does not have the 101
    /// outputs that ages need.
    pub fn random(name: &str, net: NetSpec) -> Result<Self, NetError> {
        let method = "dldl-v2".parse().expect("a method of this name");
        let info = ModelInfo::new(name, net, LabelSet::age(), method);
        info.check()?;
        // Marsaglia's xorshift is good enough here.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut tensor = |(name, shape): (String, Vec<usize>)| {
            let count: usize = shape.iter().product();
            let values = match name.rsplit('.').next() {
                Some("running_var") => vec![1.0; count],
                Some("running_mean") => vec![0.0; count],
                Some("weight") if shape.len() == 1 => vec![1.0; count],
                Some("bias") => (0..count).map(|_| 0.1 * next()).collect(),
                _ => {
                    let fan_in: usize = shape[1..].iter().product();
                    let bound = (6.0 / fan_in as f32).sqrt();
                    (0..count).map(|_| bound * next()).collect()
                }
            };
            (name, values)
        };
        let tensors = info.net.tensors().into_iter().map(&mut tensor).collect();
        Self::new(info, tensors)
    }
}
