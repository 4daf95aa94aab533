//! The specification of a network: widths, pooling and number of outputs, and the
//! parameter and multiply-accumulate counts that follow from them. The engine runs it,
//! `dldl-train` trains it.

use serde::{Deserialize, Serialize};

use crate::NetError;

/// How the last feature map becomes one vector (specification 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// 2x2 max pooling, then the average over the rest (7x7 at 224).
    Hybrid,
    /// Only the average (14x14 at 224).
    Average,
}

/// A stack of 3x3 convolutions (no bias, padding 1), each with batch norm and
/// ReLU, in stages that end with a 2x2 max pool; then the pooling and a linear head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetSpec {
    /// Output channels of every convolution, by stage.
    pub stages: Vec<Vec<usize>>,
    /// The pooling after the last stage.
    pub pooling: Pooling,
    /// Outputs of the head.
    pub outputs: usize,
}

/// Channels of a crop.
const CHANNELS: usize = 3;

impl NetSpec {
    /// VGG-16's convolutions with every width multiplied by `num / den`, the paper's
    /// compression rate; at least one channel each.
    pub fn vgg16(num: usize, den: usize, outputs: usize) -> Self {
        let width = |w: usize| (w * num / den).max(1);
        let stages = [&[64, 64][..], &[128, 128], &[256, 256, 256], &[512; 3], &[512; 3]];
        Self {
            stages: stages.iter().map(|s| s.iter().map(|&w| width(w)).collect()).collect(),
            pooling: Pooling::Hybrid,
            outputs,
        }
    }

    /// The authors' compression rate 0: ThinAgeNet with the last two stages as wide as
    /// the third (specification 2.1).
    pub fn vgg_0(outputs: usize) -> Self {
        let mut net = Self::thin_age(outputs);
        let width = net.stages[2][0];
        net.stages[3..].iter_mut().flatten().for_each(|w| *w = width);
        net
    }

    /// ThinAgeNet: half of VGG-16's widths.
    pub fn thin_age(outputs: usize) -> Self {
        Self::vgg16(1, 2, outputs)
    }

    /// TinyAgeNet: a quarter of VGG-16's widths.
    pub fn tiny_age(outputs: usize) -> Self {
        Self::vgg16(1, 4, outputs)
    }

    /// `ThinAgeNet`, `TinyAgeNet`, or a description of the widths.
    pub fn name(&self) -> String {
        if *self == Self::thin_age(self.outputs) {
            "ThinAgeNet".into()
        } else if *self == Self::tiny_age(self.outputs) {
            "TinyAgeNet".into()
        } else {
            format!("VGG {:?}, {:?} pooling", self.stages, self.pooling)
        }
    }

    /// Output channels of each convolution in order, and whether a 2x2 max pool follows it.
    pub fn layers(&self) -> Vec<(usize, bool)> {
        let last_stage = self.stages.len().saturating_sub(1);
        let mut layers = Vec::new();
        for (s, stage) in self.stages.iter().enumerate() {
            let pooled = s < last_stage || self.pooling == Pooling::Hybrid;
            for (i, &width) in stage.iter().enumerate() {
                layers.push((width, pooled && i + 1 == stage.len()));
            }
        }
        layers
    }

    /// Outputs of the head.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of the feature vector, the input of the last layer.
    pub fn features(&self) -> usize {
        self.stages.last().and_then(|s| s.last()).copied().unwrap_or(CHANNELS)
    }

    /// Trainable parameters: convolutions, scales and shifts of the batch norm, last
    /// layer.
    pub fn parameter_count(&self) -> usize {
        let mut inputs = CHANNELS;
        let mut count = 0;
        for (outputs, _) in self.layers() {
            count += 9 * inputs * outputs + 2 * outputs;
            inputs = outputs;
        }
        count + (inputs + 1) * self.outputs
    }

    /// Multiply-accumulates of the convolutions and the head for one crop of
    /// `size` x `size`, counted as direct convolutions.
    pub fn macs(&self, size: usize) -> u64 {
        let (mut inputs, mut side, mut macs) = (CHANNELS, size, 0);
        for (outputs, pool) in self.layers() {
            macs += (9 * inputs * outputs * side * side) as u64;
            inputs = outputs;
            side /= if pool { 2 } else { 1 };
        }
        macs + (inputs * self.outputs) as u64
    }

    /// A crop's side must be a multiple of this: 32 for VGG's five stages.
    pub fn size_step(&self) -> usize {
        1 << self.stages.len()
    }

    /// Values of the largest activation for one crop of `size` x `size`.
    pub fn largest_activation(&self, size: usize) -> usize {
        let (mut side, mut largest) = (size, 0);
        for (outputs, pool) in self.layers() {
            largest = largest.max(outputs * side * side);
            side /= if pool { 2 } else { 1 };
        }
        largest
    }

    /// Checks that the sizes are in range.
    ///
    /// # Errors
    /// [`NetError::Spec`] unless there are 1 to 8 stages of 1 to 16 convolutions with
    /// 1 to 4096 channels, and 1 to 100,000 outputs.
    pub fn check(&self) -> Result<(), NetError> {
        let fail = |what: &str| Err(NetError::Spec(what.into()));
        if self.stages.is_empty() || self.stages.len() > 8 {
            return fail("a network has 1 to 8 stages");
        }
        if self.stages.iter().any(|s| s.is_empty() || s.len() > 16) {
            return fail("a stage has 1 to 16 convolutions");
        }
        if self.stages.iter().flatten().any(|w| !(1..=4096).contains(w)) {
            return fail("a convolution has 1 to 4096 output channels");
        }
        if !(1..=100_000).contains(&self.outputs) {
            return fail("a head has 1 to 100000 outputs");
        }
        Ok(())
    }

    /// Names and shapes of the tensors in a weights file, in order: for layer i
    /// `conv{i}.weight` `[out, in, 3, 3]` and `bn{i}.weight`, `bn{i}.bias`,
    /// `bn{i}.running_mean`, `bn{i}.running_var` `[out]`; then `fc.weight`
    /// `[outputs, features]` and `fc.bias` `[outputs]`.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut inputs = CHANNELS;
        let mut tensors = Vec::new();
        for (i, (outputs, _)) in self.layers().into_iter().enumerate() {
            tensors.push((format!("conv{i}.weight"), vec![outputs, inputs, 3, 3]));
            for part in ["weight", "bias", "running_mean", "running_var"] {
                tensors.push((format!("bn{i}.{part}"), vec![outputs]));
            }
            inputs = outputs;
        }
        tensors.push(("fc.weight".into(), vec![self.outputs, inputs]));
        tensors.push(("fc.bias".into(), vec![self.outputs]));
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Specification 2.3.
    #[test]
    fn parameter_counts_match_the_paper() {
        assert_eq!(NetSpec::thin_age(101).parameter_count(), 3_708_229);
        assert_eq!(NetSpec::tiny_age(101).parameter_count(), 934_869);
        assert_eq!(NetSpec::thin_age(41).parameter_count(), 3_692_809);
        assert_eq!(NetSpec::tiny_age(41).parameter_count(), 927_129);
        assert_eq!(NetSpec::thin_age(61).parameter_count(), 3_697_949);
        assert_eq!(NetSpec::tiny_age(61).parameter_count(), 929_709);
        let widths = [vec![32; 2], vec![64; 2], vec![128; 3], vec![128; 3], vec![128; 3]];
        assert_eq!(NetSpec::vgg_0(101).stages, widths);
        // VGG-16's convolutions have a bias where these have scale and shift of batch norm.
        let vgg = NetSpec::vgg16(1, 1, 101);
        assert_eq!(vgg.parameter_count() - 4224 - 513 * 101, 14_714_688);
    }

    /// Computed by hand, by stage: 9 in out side^2.
    #[test]
    fn mac_counts_match_the_paper() {
        let by_hand = |w: [u64; 5]| {
            let area = |k: u32| (224u64 >> k).pow(2);
            9 * (area(0) * (3 * w[0] + w[0] * w[0])
                + area(1) * (w[0] * w[1] + w[1] * w[1])
                + area(2) * (w[1] * w[2] + 2 * w[2] * w[2])
                + area(3) * (w[2] * w[3] + 2 * w[3] * w[3])
                + area(4) * (w[3] * w[4] + 2 * w[4] * w[4]))
                + w[4] * 101
        };
        let thin = NetSpec::thin_age(101).macs(224);
        let tiny = NetSpec::tiny_age(101).macs(224);
        assert_eq!(thin, by_hand([32, 64, 128, 256, 256]));
        assert_eq!(tiny, by_hand([16, 32, 64, 128, 128]));
        assert_eq!((thin, tiny), (3_858_359_552, 975_434_368));
    }

    #[test]
    fn average_pooling_omits_the_last_max_pool() {
        let mut spec = NetSpec::tiny_age(101);
        assert_eq!(spec.layers().iter().filter(|l| l.1).count(), 5);
        spec.pooling = Pooling::Average;
        assert_eq!(spec.layers().iter().filter(|l| l.1).count(), 4);
        assert_eq!(spec.parameter_count(), 934_869);
        assert_eq!(spec.layers().len(), 13);
    }

    #[test]
    fn invalid_networks_are_rejected() {
        let good = NetSpec::tiny_age(101);
        assert!(good.check().is_ok());
        assert!(NetSpec { stages: vec![], ..good.clone() }.check().is_err());
        assert!(NetSpec { stages: vec![vec![]], ..good.clone() }.check().is_err());
        assert!(NetSpec { stages: vec![vec![0]], ..good.clone() }.check().is_err());
        assert!(NetSpec { outputs: 0, ..good }.check().is_err());
    }
}
