//! Running a model: crops in, label distributions out. How crops are shared out
//! to threads, and what is made of the outputs; the layers live in `network`,
//! what the outputs mean in `dldl-label`.

mod features;

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dldl_kernels::Level;
use dldl_kernels::int8::Isa;
use dldl_label::Distribution;
use rayon::prelude::*;

use crate::network::{Arena as FloatArena, Network};
use crate::quantized::{QuantizedArena, QuantizedNetwork};
use crate::{Crop, Head, ModelInfo, NetError, Part, QuantizedWeights, Weights};

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
/// let distributions = engine.run(&[crop])?;
/// // Logits that are all zero stand for the uniform distribution.
/// assert!((distributions[0].expectation() - 50.0).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    info: ModelInfo,
    level: Level,
    layers: Layers,
    /// Memory of the pictures that are not being run just now. The first is
    /// there from loading on; there are never more than pictures run at once.
    arenas: Mutex<Vec<Arena>>,
    flip_fusion: bool,
    threads: Option<rayon::ThreadPool>,
}

/// What a crop runs through.
#[derive(Debug)]
enum Layers {
    Float(Box<Network>),
    Quantized(QuantizedNetwork),
}

/// What either kind of layers needs; the other one's is empty.
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
        after: impl FnMut(Part),
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
    /// [`NetError::File`], which names the file and what is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|e| NetError::file(path, &format_args!("cannot be read: {e}")))?;
        Self::from_bytes(&bytes).map_err(|e| NetError::file(path, &e))
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

    /// Folds, transforms and packs the weights of a model for the processor it
    /// runs on ([`Level::detect`]).
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a convolution with its batch norm is too large
    /// for an f32, or the description no longer fits the tensors.
    pub fn from_weights(weights: &Weights) -> Result<Self, NetError> {
        Self::at_level(weights, Level::detect())
    }

    /// [`from_weights`](Self::from_weights) for given vector instructions.
    ///
    /// # Errors
    /// As [`from_weights`](Self::from_weights).
    ///
    /// # Panics
    /// In use, if the processor does not have them.
    pub fn at_level(weights: &Weights, level: Level) -> Result<Self, NetError> {
        weights.check()?;
        let layers = Layers::Float(Box::new(Network::new(weights, level)?));
        Ok(Self::new(weights.info.clone(), level, layers))
    }

    /// Packs the weights of a quantized model for the processor it runs on
    /// ([`Isa::detect`]).
    ///
    /// # Errors
    /// [`NetError::Tensor`] if its scales are out of range.
    pub fn from_quantized(weights: &QuantizedWeights) -> Result<Self, NetError> {
        Self::with_isa(weights, Isa::detect())
    }

    /// [`from_quantized`](Self::from_quantized) for given instructions. All of
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
        Self { info, level, layers, arenas, flip_fusion: false, threads: None }
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

    /// The vector instructions that it runs on.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The name of the instructions that its convolutions run on: that of the
    /// level, or of the [`Isa`] for a quantized model.
    pub fn isa(&self) -> &'static str {
        match &self.layers {
            Layers::Float(_) => self.level.name(),
            Layers::Quantized(network) => network.isa().name(),
        }
    }

    /// Bytes of the weights as they are kept to run.
    pub fn weight_bytes(&self) -> usize {
        self.layers.bytes()
    }

    /// Bytes of activations and working memory that are kept at the moment.
    pub fn arena_bytes(&self) -> usize {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Arena::bytes).sum()
    }

    /// The label distribution of each crop, calibrated where the model brings a
    /// calibration.
    ///
    /// # Errors
    /// [`NetError::Crop`] if a crop's side is no multiple of the network's
    /// [`size_step`](crate::NetSpec::size_step) or its bytes do not fit it;
    /// [`NetError::Label`] if the network's outputs are not finite.
    pub fn run(&self, crops: &[Crop]) -> Result<Vec<Distribution>, NetError> {
        let first = |heads: Vec<Distribution>| heads.into_iter().next().expect("a first head");
        Ok(self.decoded(crops, 1)?.into_iter().map(first).collect())
    }

    /// The distributions of all heads for each crop, the heads in the order of
    /// [`ModelInfo::heads`]; the rest as for [`run`](Self::run), whose are the
    /// first.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_heads(&self, crops: &[Crop]) -> Result<Vec<Vec<Distribution>>, NetError> {
        self.decoded(crops, usize::MAX)
    }

    /// The first `wanted` heads' distributions for each crop.
    fn decoded(&self, crops: &[Crop], wanted: usize) -> Result<Vec<Vec<Distribution>>, NetError> {
        let views = if self.flip_fusion { 2 } else { 1 };
        let outputs = self.info.net.outputs();
        let mut logits = vec![0.0; crops.len() * views * outputs];
        self.logits_into(crops, views, &mut logits)?;
        let mut heads = self.info.heads();
        heads.truncate(wanted);
        let of_crop = |logits: &[f32]| {
            let of_head = |(head, range): &(Head, Range<usize>)| match views {
                1 => head.decode(&logits[range.clone()]),
                _ => {
                    let (seen, mirrored) = logits.split_at(outputs);
                    let decode = |view: &[f32]| head.decode(&view[range.clone()]);
                    Ok(Distribution::average(&[decode(seen)?, decode(mirrored)?])?)
                }
            };
            heads.iter().map(of_head).collect()
        };
        logits.chunks(views * outputs).map(of_crop).collect()
    }

    /// The head's outputs for each crop as it is: no flip fusion, no
    /// calibration.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    pub fn logits(&self, crops: &[Crop]) -> Result<Vec<Vec<f32>>, NetError> {
        let outputs = self.info.net.outputs();
        let mut logits = vec![0.0; crops.len() * outputs];
        self.logits_into(crops, 1, &mut logits)?;
        Ok(logits.chunks(outputs).map(<[f32]>::to_vec).collect())
    }

    /// The head's outputs, `[crops, views, outputs]`: one view is the crop as
    /// it is, a second one its mirror image. Once it has run on crops of a size
    /// and in such number, it allocates no more.
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
            // As many pictures as there are threads, each on one of them: the
            // fastest way. What is left over is shared among all threads.
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

    /// Runs one crop on the calling thread and tells when each part of the
    /// network is done; for measurements.
    ///
    /// # Errors
    /// [`NetError::Crop`] as for [`run`](Self::run).
    pub fn observe(&self, crop: &Crop, after: impl FnMut(Part)) -> Result<(), NetError> {
        self.check(std::slice::from_ref(crop))?;
        let mut logits = vec![0.0; self.info.net.outputs()];
        self.in_arena(|arena| self.layers.forward(crop, false, 1, arena, &mut logits, after));
        Ok(())
    }

    /// Lends memory that nobody else uses meanwhile.
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
            let size = crop.size;
            if size == 0 || !size.is_multiple_of(step) {
                return Err(NetError::Crop(format!(
                    "crop {i} has {size}x{size} pixels, the network needs a multiple of {step}"
                )));
            }
            if crop.rgb.len() != 3 * size * size {
                let bytes = crop.rgb.len();
                return Err(NetError::Crop(format!(
                    "crop {i} has {bytes} bytes, which is no RGB of {size}x{size} pixels"
                )));
            }
        }
        Ok(())
    }
}
