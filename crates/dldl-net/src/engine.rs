//! Running a model: crops in, label distributions out. Batch norm is folded
//! into the convolutions at loading; the arithmetic lives in `dldl-kernels`,
//! what the outputs mean in `dldl-label`.

use std::path::Path;

use dldl_kernels::{Conv2d, global_average, linear, max_pool};
use dldl_label::Distribution;
use rayon::prelude::*;

use crate::{Crop, ModelInfo, NetError, Weights};

/// Added to the variance before the root (Torch's default; specification 2.1).
pub const BN_EPSILON: f64 = 1e-5;

/// A loaded model, ready to run. Results do not depend on the number of
/// threads, nor on which crops are run together.
///
/// ```
/// use dldl_net::{Crop, Engine, ModelInfo, NetSpec, Weights};
/// use dldl_label::LabelSet;
///
/// // Normally: Engine::load("model.safetensors")?. Here: a network of zeros.
/// let info = ModelInfo::new("zeros", NetSpec::tiny_age(101), LabelSet::age(), "dldl-v2".parse()?);
/// let tensors = info.net.tensors().into_iter();
/// let zeros = tensors.map(|(name, shape)| (name, vec![0.0; shape.iter().product()])).collect();
/// let engine = Engine::from_weights(&Weights::new(info, zeros)?)?.flip_fusion(true);
///
/// let crop = Crop::new(64, vec![128; 3 * 64 * 64])?;
/// let distributions = engine.run(&[crop])?;
/// // Logits that are all zero stand for the uniform distribution.
/// assert!((distributions[0].expectation() - 50.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    info: ModelInfo,
    /// The convolutions, and whether a 2x2 max pool follows.
    layers: Vec<(Conv2d, bool)>,
    /// `[outputs, features]`
    head_weight: Vec<f32>,
    /// `[outputs]`
    head_bias: Vec<f32>,
    /// What each value of a channel's byte becomes.
    normalised: [[f32; 256]; 3],
    flip_fusion: bool,
    threads: Option<rayon::ThreadPool>,
}

impl Engine {
    /// Loads a weights file.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetError> {
        Self::from_weights(&Weights::load(path)?)
    }

    /// Loads a weights file's content.
    ///
    /// # Errors
    /// As [`Weights::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetError> {
        Self::from_weights(&Weights::from_bytes(bytes)?)
    }

    /// Folds and packs the weights of a model.
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a convolution with its batch norm is too large
    /// for an f32, or the description no longer fits the tensors.
    pub fn from_weights(weights: &Weights) -> Result<Self, NetError> {
        weights.check()?;
        let info = weights.info.clone();
        let mut layers = Vec::new();
        let mut inputs = 3;
        for (i, (outputs, pool)) in info.net.layers().into_iter().enumerate() {
            let (weight, bias) = folded(weights, i, 9 * inputs);
            if !weight.iter().chain(&bias).all(|v| v.is_finite()) {
                let name = format!("conv{i}.weight");
                return Err(NetError::tensor(&name, "overflows with its batch norm"));
            }
            layers.push((Conv2d::new(&weight, &bias, outputs, inputs, 3, 1), pool));
            inputs = outputs;
        }
        let normalised = std::array::from_fn(|c| {
            let [mean, std] =
                [info.normalisation.mean[c], info.normalisation.std[c]].map(f64::from);
            std::array::from_fn(|v| ((v as f64 / 255.0 - mean) / std) as f32)
        });
        Ok(Self {
            layers,
            head_weight: weights.tensor("fc.weight").to_vec(),
            head_bias: weights.tensor("fc.bias").to_vec(),
            normalised,
            flip_fusion: false,
            threads: None,
            info,
        })
    }

    /// Whether [`run`](Self::run) averages the distributions of a crop and of
    /// its mirror image, as the paper's figures do (specification 4), at twice
    /// the time. Off at first.
    pub fn flip_fusion(mut self, on: bool) -> Self {
        self.flip_fusion = on;
        self
    }

    /// Runs on that many threads of its own; 0 means Rayon's common ones, as
    /// without this call.
    ///
    /// # Errors
    /// [`NetError::Threads`] if the system refuses them.
    pub fn threads(mut self, count: usize) -> Result<Self, NetError> {
        self.threads = match count {
            0 => None,
            _ => Some(rayon::ThreadPoolBuilder::new().num_threads(count).build()?),
        };
        Ok(self)
    }

    /// What the model says of itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The label distribution of each crop, calibrated where the model brings a
    /// calibration.
    ///
    /// # Errors
    /// [`NetError::Crop`] if a crop's side is no multiple of the network's
    /// [`size_step`](crate::NetSpec::size_step) or its bytes do not fit it;
    /// [`NetError::Label`] if the network's outputs are not finite.
    pub fn run(&self, crops: &[Crop]) -> Result<Vec<Distribution>, NetError> {
        self.for_each(crops, |crop| {
            let seen = self.decode(&self.forward(crop))?;
            if !self.flip_fusion {
                return Ok(seen);
            }
            let mirrored = self.decode(&self.forward(&crop.flipped()))?;
            Ok(Distribution::average(&[seen, mirrored])?)
        })
    }

    /// The head's outputs for each crop as it is: no flip fusion, no
    /// calibration.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    pub fn logits(&self, crops: &[Crop]) -> Result<Vec<Vec<f32>>, NetError> {
        self.for_each(crops, |crop| Ok(self.forward(crop)))
    }

    /// `work` on each crop, in parallel and in order.
    fn for_each<T: Send>(
        &self,
        crops: &[Crop],
        work: impl Fn(&Crop) -> Result<T, NetError> + Sync,
    ) -> Result<Vec<T>, NetError> {
        let step = self.info.net.size_step();
        for (i, crop) in crops.iter().enumerate() {
            if crop.size == 0 || !crop.size.is_multiple_of(step) {
                let size = crop.size;
                return Err(NetError::Crop(format!(
                    "crop {i} has {size}x{size} pixels, the network needs a multiple of {step}"
                )));
            }
            if crop.rgb.len() != 3 * crop.size * crop.size {
                let (bytes, size) = (crop.rgb.len(), crop.size);
                return Err(NetError::Crop(format!(
                    "crop {i} has {bytes} bytes, which is no RGB of {size}x{size} pixels"
                )));
            }
        }
        let run = || {
            // As many at a time as there are threads, which bounds the memory:
            // the convolutions are parallel themselves, and a thread that waits
            // for one would else begin crop upon crop.
            let mut results = Vec::with_capacity(crops.len());
            for group in crops.chunks(rayon::current_num_threads()) {
                let group: Result<Vec<T>, NetError> = group.par_iter().map(&work).collect();
                results.extend(group?);
            }
            Ok(results)
        };
        match &self.threads {
            Some(threads) => threads.install(run),
            None => run(),
        }
    }

    /// The network: the head's outputs for one crop of a fitting size.
    fn forward(&self, crop: &Crop) -> Vec<f32> {
        let (mut height, mut width) = (crop.size, crop.size);
        let mut x: Vec<f32> = Vec::with_capacity(crop.rgb.len());
        for (c, table) in self.normalised.iter().enumerate() {
            x.extend(crop.rgb.iter().skip(c).step_by(3).map(|&v| table[usize::from(v)]));
        }
        for (conv, pool) in &self.layers {
            x = conv.forward_relu(&x, height, width);
            if *pool {
                (x, height, width) =
                    max_pool(&x, conv.output_channels(), height, width, 2, 2, false);
            }
        }
        let features = global_average(&x, self.info.net.features());
        linear(&features, &self.head_weight, &self.head_bias)
    }

    fn decode(&self, logits: &[f32]) -> Result<Distribution, NetError> {
        let temperature = self.info.calibration.map_or(1.0, |c| c.temperature);
        let logits: Vec<f32> =
            logits.iter().map(|&v| (f64::from(v) / temperature) as f32).collect();
        Ok(self.info.method.decode(&self.info.labels, &logits)?)
    }
}

/// Weight and bias of layer `i` with its batch norm folded in:
/// `gamma (w x - mean) / sqrt(var + eps) + beta`. `fan_in` numbers per output.
fn folded(weights: &Weights, i: usize, fan_in: usize) -> (Vec<f32>, Vec<f32>) {
    let part = |part: &str| weights.tensor(&format!("bn{i}.{part}"));
    let (gamma, beta) = (part("weight"), part("bias"));
    let (mean, var) = (part("running_mean"), part("running_var"));
    let mut weight = weights.tensor(&format!("conv{i}.weight")).to_vec();
    let mut bias = Vec::with_capacity(gamma.len());
    for (o, row) in weight.chunks_exact_mut(fan_in).enumerate() {
        let scale = f64::from(gamma[o]) / (f64::from(var[o]) + BN_EPSILON).sqrt();
        row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        bias.push((f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32);
    }
    (weight, bias)
}
