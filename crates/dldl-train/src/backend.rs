//! The learner for a device.

use dldl_net::NetSpec;

use crate::config::{DeviceKind, OptimizerConfig};
use crate::cpu::CpuLearner;
use crate::error::TrainError;
use crate::learner::Learner;

/// The learner for a device, with random initial weights that follow from `seed`;
/// with `ema` it keeps a moving average of its weights.
///
/// # Errors
/// [`TrainError::UnsupportedDevice`] if this build cannot use the device,
/// [`TrainError::UnsupportedNetwork`] if the CPU kernels cannot train the network.
pub fn learner(
    device: DeviceKind,
    spec: &NetSpec,
    seed: u64,
    optimizer: &OptimizerConfig,
    ema: bool,
) -> Result<Box<dyn Learner>, TrainError> {
    match device {
        DeviceKind::Cpu => Ok(Box::new(CpuLearner::new(spec, seed, optimizer, ema)?)),
        #[cfg(feature = "burn")]
        _ => {
            let device = crate::gpu::device(device)?;
            Ok(Box::new(crate::gpu::BurnLearner::new(device, spec, seed, optimizer, ema)))
        }
        #[cfg(not(feature = "burn"))]
        _ => Err(TrainError::UnsupportedDevice { device }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_net::Pooling;

    fn refusal(device: DeviceKind, stages: &[&[usize]]) -> String {
        let stages = stages.iter().map(|stage| stage.to_vec()).collect();
        let spec = NetSpec { stages, pooling: Pooling::Hybrid, outputs: 3 };
        let learner = learner(device, &spec, 1, &OptimizerConfig::default(), false);
        learner.err().expect("it is refused").to_string()
    }

    #[test]
    fn networks_that_the_cpu_kernels_cannot_train_are_refused_by_layer() {
        let shrinking = refusal(DeviceKind::Cpu, &[&[16, 32], &[32, 16]]);
        assert!(shrinking.contains("conv3") && shrinking.contains("fewer"), "{shrinking}");
        let pooled = refusal(DeviceKind::Cpu, &[&[16], &[32, 32]]);
        assert!(pooled.contains("conv0") && pooled.contains("pool"), "{pooled}");
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_was_not_compiled_in_is_refused_with_the_feature_to_build() {
        let message = refusal(DeviceKind::Cuda, &[&[16, 16]]);
        assert!(message.contains("--features cuda"), "{message}");
    }
}
