//! A convolution with its batch norm folded in, as the engine and the exports run it.
//! Training keeps the two separate.

use crate::{BN_EPSILON, NetError, Weights};

impl Weights {
    /// Weight `[out, in, 3, 3]` and bias `[out]` of layer `i` with its batch
    /// norm folded in: `gamma (w x - mean) / sqrt(var + eps) + beta`, computed
    /// in double precision.
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a value overflows an f32.
    ///
    /// # Panics
    /// If the network has no layer `i`.
    pub(crate) fn folded(&self, i: usize) -> Result<(Vec<f32>, Vec<f32>), NetError> {
        let part = |part: &str| self.tensor(&format!("bn{i}.{part}"));
        let (gamma, beta) = (part("weight"), part("bias"));
        let (mean, var) = (part("running_mean"), part("running_var"));
        let name = format!("conv{i}.weight");
        let mut weight = self.tensor(&name).to_vec();
        let mut bias = Vec::with_capacity(gamma.len());
        let fan_in = weight.len() / gamma.len();
        for (o, row) in weight.chunks_exact_mut(fan_in).enumerate() {
            let scale = f64::from(gamma[o]) / (f64::from(var[o]) + BN_EPSILON).sqrt();
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
            bias.push((f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32);
        }
        if !weight.iter().chain(&bias).all(|v| v.is_finite()) {
            return Err(NetError::tensor(&name, "overflows when batch norm is folded in"));
        }
        Ok((weight, bias))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dldl_label::LabelSet;

    use super::*;
    use crate::{ModelInfo, NetSpec, Pooling};

    /// One layer of one channel; by hand: scale = 6 / sqrt(4 + eps) = 3.
    fn one_layer(weight: f32) -> Weights {
        let net = NetSpec { stages: vec![vec![1]], pooling: Pooling::Hybrid, outputs: 101 };
        let info = ModelInfo::new("one", net, LabelSet::age(), "dldl".parse().unwrap());
        let mut tensors: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for (name, shape) in info.net.tensors() {
            let value = match name.as_str() {
                "conv0.weight" => weight,
                "bn0.weight" => 6.0,
                "bn0.bias" => 10.0,
                "bn0.running_mean" => 2.0,
                "bn0.running_var" => 4.0 - 1e-5,
                _ => 0.0,
            };
            tensors.insert(name, vec![value; shape.iter().product()]);
        }
        Weights::new(info, tensors).unwrap()
    }

    #[test]
    fn folding_matches_values_computed_by_hand() {
        let (weight, bias) = one_layer(0.5).folded(0).unwrap();
        assert_eq!((weight.len(), bias.len()), (27, 1));
        assert!(weight.iter().all(|w| (w - 1.5).abs() < 1e-6), "{weight:?}");
        assert!((bias[0] - 4.0).abs() < 1e-6, "{bias:?}");
    }

    #[test]
    fn overflowing_weights_are_rejected() {
        let error = one_layer(f32::MAX).folded(0).unwrap_err().to_string();
        assert_eq!(error, "tensor \"conv0.weight\" overflows when batch norm is folded in");
    }
}
