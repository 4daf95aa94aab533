//! Running a model: crops in, estimates out. This file distributes crops over
//! threads and decodes outputs; the layers are in `network` and `quantized`, the
//! mathematics of distributions in `dldl-label`.

mod features;

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dldl_kernels::Level;
use dldl_kernels::int8::Isa;
use rayon::prelude::*;

use crate::heads::Decoder;
use crate::network::{Arena as FloatArena, Network};
use crate::quantized::{QuantizedArena, QuantizedNetwork};
use crate::{Crop, HeadEstimate, ModelInfo, NetError, ProfileEvent, QuantizedWeights, Weights};

pub use features::FeatureMap;

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
/// let estimates = engine.run(&[crop])?;
/// // Logits that are all zero stand for the uniform distribution.
/// assert!((estimates[0][0].value - 50.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    info: ModelInfo,
    decoders: Vec<Decoder>,
    level: Level,
    layers: Layers,
    /// Working memory that no crop uses at the moment. The first one is made on
    /// loading; there are never more than crops run at once.
    arenas: Mutex<Vec<Arena>>,
    flip_fusion: bool,
    threads: Option<rayon::ThreadPool>,
}

/// The layers in either arithmetic.
#[derive(Debug)]
enum Layers {
    Float(Box<Network>),
    Quantized(QuantizedNetwork),
}

/// Working memory of either kind of layers; the other kind's is empty.
#[derive(Debug, Default)]
struct Arena {
    float: FloatArena,
    quantized: QuantizedArena,
}

impl Arena {
    fn bytes(&self) -> usize {
        self.float.bytes() + self.quantized.bytes()
    }
}

impl Layers {
    fn bytes(&self) -> usize {
        match self {
            Self::Float(network) => network.bytes(),
            Self::Quantized(network) => network.bytes(),
        }
    }

    /// As [`Network::reserve`].
    fn reserve(&self, arena: &mut Arena, size: usize, threads: usize) {
        match self {
            Self::Float(network) => network.reserve(&mut arena.float, size, threads),
            Self::Quantized(network) => network.reserve(&mut arena.quantized, size),
        }
    }

    /// As [`Network::forward`].
    fn forward(
        &self,
        crop: &Crop,
        mirrored: bool,
        threads: usize,
        arena: &mut Arena,
        logits: &mut [f32],
        after: impl FnMut(ProfileEvent),
    ) {
        match self {
            Self::Float(network) => {
                network.forward(crop, mirrored, threads, &mut arena.float, logits, after);
            }
            Self::Quantized(network) => {
                network.forward(crop, mirrored, threads, &mut arena.quantized, logits, after);
            }
        }
    }
}

impl Engine {
    /// Loads a weights file, quantized or not.
    ///
    /// # Errors
    /// [`NetError::File`] with the path; its source is the cause.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(NetError::Read);
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).map_err(NetError::in_file(path))
    }

    /// Loads a weights file's content, quantized or not.
    ///
    /// # Errors
    /// As [`Weights::from_bytes`] and [`QuantizedWeights::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetError> {
        match Weights::read_info(bytes)?.quantization {
            None => Self::from_weights(&Weights::from_bytes(bytes)?),
            Some(_) => Self::from_quantized(&QuantizedWeights::from_bytes(bytes)?),
        }
    }

    /// Folds, transforms and packs the weights of a model for this processor
    /// ([`Level::detect`]).
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a convolution with its batch norm is too large
    /// for an f32, or the description no longer fits the tensors.
    pub fn from_weights(weights: &Weights) -> Result<Self, NetError> {
        Self::at_level(weights, Level::detect())
    }

    /// [`from_weights`](Self::from_weights) with the given vector instructions.
    ///
    /// # Errors
    /// As [`from_weights`](Self::from_weights).
    ///
    /// # Panics
    /// When it is run on a processor that does not have them.
    pub fn at_level(weights: &Weights, level: Level) -> Result<Self, NetError> {
        weights.check()?;
        let layers = Layers::Float(Box::new(Network::new(weights, level)?));
        Ok(Self::new(weights.info.clone(), level, layers))
    }

    /// Packs the weights of a quantized model for this processor ([`Isa::detect`]).
    ///
    /// # Errors
    /// [`NetError::Tensor`] if its scales are out of range.
    pub fn from_quantized(weights: &QuantizedWeights) -> Result<Self, NetError> {
        Self::with_isa(weights, Isa::detect())
    }

    /// [`from_quantized`](Self::from_quantized) with the given instructions. All of
    /// them give the same bits.
    ///
    /// # Errors
    /// As [`from_quantized`](Self::from_quantized).
    ///
    /// # Panics
    /// If the processor does not have them.
    pub fn with_isa(weights: &QuantizedWeights, isa: Isa) -> Result<Self, NetError> {
        let layers = Layers::Quantized(QuantizedNetwork::new(weights, isa)?);
        Ok(Self::new(weights.info().clone(), isa.level(), layers))
    }

    fn new(info: ModelInfo, level: Level, layers: Layers) -> Self {
        let mut arena = Arena::default();
        layers.reserve(&mut arena, info.input_size, 1);
        let arenas = Mutex::new(vec![arena]);
        let decoders = Decoder::all(&info);
        Self { info, decoders, level, layers, arenas, flip_fusion: false, threads: None }
    }

    /// Whether [`run`](Self::run) averages the distributions of a crop and of
    /// its mirror image (of methods that count, also the estimates; [`Head::answer`](crate::Head::answer)), as
    /// for the paper's figures (specification 4), at twice the time. Off by default.
    pub fn flip_fusion(mut self, on: bool) -> Self {
        self.flip_fusion = on;
        self
    }

    /// Runs on a thread pool of its own; 0 means Rayon's current pool, which is the
    /// default.
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

    /// The model's description.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The vector instructions that it uses.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The name of the instructions that its convolutions use: that of the level or,
    /// for a quantized model, of the [`Isa`].
    pub fn isa(&self) -> &'static str {
        match &self.layers {
            Layers::Float(_) => self.level.name(),
            Layers::Quantized(network) => network.isa().name(),
        }
    }

    /// Bytes of the packed weights.
    pub fn weight_bytes(&self) -> usize {
        self.layers.bytes()
    }

    /// Bytes of activations and working memory that are allocated at the moment.
    pub fn arena_bytes(&self) -> usize {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Arena::bytes).sum()
    }

    /// The estimates for each crop, one for each head in the order of
    /// [`ModelInfo::heads`], with the calibration that the model has.
    ///
    /// # Errors
    /// [`NetError::Crop`] if a crop's side is not a multiple of the network's
    /// [`size_step`](crate::NetSpec::size_step); [`NetError::Label`] if the network's
    /// outputs are not finite.
    pub fn run(&self, crops: &[Crop]) -> Result<Vec<Vec<HeadEstimate>>, NetError> {
        let views = if self.flip_fusion { 2 } else { 1 };
        let outputs = self.info.net.outputs();
        let mut logits = vec![0.0; crops.len() * views * outputs];
        self.logits_into(crops, views, &mut logits)?;
        let of_crop = |logits: &[f32]| {
            let (plain, mirrored) = logits.split_at(outputs);
            let mirrored = self.flip_fusion.then_some(mirrored);
            self.decoders.iter().map(|head| head.estimate(plain, mirrored)).collect()
        };
        logits.chunks(views * outputs).map(of_crop).collect()
    }

    /// The network's outputs for each crop, those of all heads in a row, without flip
    /// fusion and calibration.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    pub fn logits(&self, crops: &[Crop]) -> Result<Vec<Vec<f32>>, NetError> {
        let outputs = self.info.net.outputs();
        let mut logits = vec![0.0; crops.len() * outputs];
        self.logits_into(crops, 1, &mut logits)?;
        Ok(logits.chunks(outputs).map(<[f32]>::to_vec).collect())
    }

    /// Writes the network's outputs, `[crops, views, outputs]`; the first view is the
    /// crop, the second its mirror image. A second call with as many crops of the same
    /// size does not allocate.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    ///
    /// # Panics
    /// If there are not one or two views, or `logits` is of another length.
    pub fn logits_into(
        &self,
        crops: &[Crop],
        views: usize,
        logits: &mut [f32],
    ) -> Result<(), NetError> {
        self.check(crops)?;
        let outputs = self.info.net.outputs();
        assert!((1..=2).contains(&views), "engine: one or two views");
        assert_eq!(logits.len(), crops.len() * views * outputs, "engine: logits do not fit");
        let mut run = || {
            let threads = rayon::current_num_threads();
            // One thread a crop is fastest. The crops that are left over when all
            // threads have had equally many are each shared among all threads.
            let pictures = crops.len() * views;
            let alone = if threads == 1 { pictures } else { pictures - pictures % threads };
            let (first, rest) = logits.split_at_mut(alone * outputs);
            let work = |i: usize, threads: usize, logits: &mut [f32]| {
                let crop = &crops[i / views];
                self.in_arena(|arena| {
                    self.layers.forward(crop, i % views == 1, threads, arena, logits, |_| {});
                });
            };
            if threads == 1 {
                let pictures = first.chunks_exact_mut(outputs);
                pictures.enumerate().for_each(|(i, logits)| work(i, 1, logits));
            } else {
                let pictures = first.par_chunks_exact_mut(outputs);
                pictures.enumerate().for_each(|(i, logits)| work(i, 1, logits));
            }
            for (i, logits) in rest.chunks_exact_mut(outputs).enumerate() {
                work(alone + i, threads, logits);
            }
        };
        match &self.threads {
            Some(threads) => threads.install(run),
            None => run(),
        }
        Ok(())
    }

    /// Runs one crop on the calling thread and calls `after` as each part of the
    /// network is done, for measurements.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    pub fn profile(&self, crop: &Crop, after: impl FnMut(ProfileEvent)) -> Result<(), NetError> {
        self.check(std::slice::from_ref(crop))?;
        let mut logits = vec![0.0; self.info.net.outputs()];
        self.in_arena(|arena| self.layers.forward(crop, false, 1, arena, &mut logits, after));
        Ok(())
    }

    /// Calls `work` with working memory that nothing else uses meanwhile.
    fn in_arena(&self, work: impl FnOnce(&mut Arena)) {
        let arenas = || self.arenas.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = arenas().pop();
        let mut arena = spare.unwrap_or_default();
        work(&mut arena);
        arenas().push(arena);
    }

    fn check(&self, crops: &[Crop]) -> Result<(), NetError> {
        let step = self.info.net.size_step();
        for (i, crop) in crops.iter().enumerate() {
            let size = crop.size();
            if !size.is_multiple_of(step) {
                return Err(NetError::Crop(format!(
                    "crop {i} has {size}x{size} pixels, but the network needs a multiple of {step}"
                )));
            }
        }
        Ok(())
    }
}
