//! A quantized network, ready to run, and its buffers. The arithmetic is in
//! `dldl_kernels::int8`.

use dldl_kernels::int8::{Aligned, Conv3x3, Isa, enclose, enclosed_len};

use super::QuantizedWeights;
use crate::{Crop, NetError, ProfileEvent};

/// The layers of a network.
#[derive(Debug)]
pub(crate) struct QuantizedNetwork {
    isa: Isa,
    layers: Vec<Conv3x3>,
    /// The border of a picture: zero after normalization, rounded to a byte.
    border: [u8; 3],
    /// `[features, outputs]`
    head_weight: Vec<f32>,
    /// `[outputs]`
    head_bias: Vec<f32>,
}

/// The buffers of a forward pass, for one picture at a time. They grow to the size that
/// the largest picture needs and never shrink.
#[derive(Debug, Default)]
pub(crate) struct QuantizedArena {
    /// Input and output of a layer, in alternation.
    bytes: [Aligned<u8>; 2],
    /// The last layer's output.
    last: Vec<f32>,
    features: Vec<f32>,
}

impl QuantizedArena {
    /// Allocated bytes.
    pub(crate) fn bytes(&self) -> usize {
        let floats = self.last.capacity() + self.features.capacity();
        self.bytes.iter().map(Aligned::bytes).sum::<usize>() + size_of::<f32>() * floats
    }
}

impl QuantizedNetwork {
    /// Packs the weights of a model and combines the scales.
    ///
    /// # Errors
    /// [`NetError::Tensor`] if a combined scale is out of the range of an f32.
    ///
    /// # Panics
    /// If the processor does not support `isa`.
    pub(crate) fn new(weights: &QuantizedWeights, isa: Isa) -> Result<Self, NetError> {
        let info = &weights.info;
        // The pixel value that is 0 after normalization.
        let zero = info.normalization.mean.map(|m| 255.0 * f64::from(m));
        let mut input_scale = 1.0;
        let mut layers = Vec::new();
        let pools = info.net.layers().into_iter().map(|(_, pool)| pool);
        for (i, (layer, pool)) in weights.layers.iter().zip(pools).enumerate() {
            let output_scale = layer.output_scale.map_or(1.0, f64::from);
            let inputs = layer.weight.len() / (9 * layer.bias.len());
            let (mut multiplier, mut offset) = (Vec::new(), Vec::new());
            for (o, weight) in layer.weight.chunks_exact(9 * inputs).enumerate() {
                let scale = f64::from(layer.scale[o]) * input_scale;
                let mut bias = f64::from(layer.bias[o]);
                if i == 0 {
                    let sums = weight.chunks_exact(9).zip(zero);
                    bias -= scale
                        * sums
                            .map(|(w, z)| z * w.iter().map(|&w| f64::from(w)).sum::<f64>())
                            .sum::<f64>();
                }
                multiplier.push((scale / output_scale) as f32);
                offset.push((bias / output_scale) as f32);
            }
            let valid = multiplier.iter().all(|m| m.is_normal() && *m > 0.0)
                && offset.iter().all(|v| v.is_finite());
            if !valid {
                let name = format!("conv{i}.scale");
                return Err(NetError::tensor(
                    &name,
                    "is out of range after combination with the scales of adjacent layers",
                ));
            }
            let conv = Conv3x3::new(isa, &layer.weight, inputs, &multiplier, &offset, pool);
            layers.push(conv);
            input_scale = output_scale;
        }
        let (outputs, features) = (info.net.outputs, info.net.features());
        let transposed = (0..features * outputs)
            .map(|i| weights.head_weight[i % outputs * features + i / outputs]);
        Ok(Self {
            isa,
            layers,
            border: zero.map(|z| z.round() as u8),
            head_weight: transposed.collect(),
            head_bias: weights.head_bias.clone(),
        })
    }

    /// The instruction set.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        let head = size_of::<f32>() * (self.head_weight.len() + self.head_bias.len());
        self.layers.iter().map(Conv3x3::bytes).sum::<usize>() + head
    }

    /// Grows the arena for pictures of `size` x `size`.
    pub(crate) fn reserve(&self, arena: &mut QuantizedArena, size: usize) {
        // The old content is not needed.
        fn grow(bytes: &mut Aligned<u8>, len: usize) {
            if bytes.len() < len {
                *bytes = Aligned::zeros(len);
            }
        }
        fn grow_floats(floats: &mut Vec<f32>, len: usize) {
            if floats.len() < len {
                floats.resize(len, 0.0);
            }
        }
        grow(&mut arena.bytes[0], enclosed_len(3, size, size));
        let (mut height, mut width) = (size, size);
        for (i, layer) in self.layers.iter().enumerate() {
            (height, width) = layer.output_size(height, width);
            let len = enclosed_len(layer.output_channels(), height, width);
            if i + 1 < self.layers.len() {
                grow(&mut arena.bytes[(i + 1) % 2], len);
            } else {
                grow_floats(&mut arena.last, len);
                grow_floats(&mut arena.features, layer.output_channels());
            }
        }
    }

    /// Computes the logits, `[outputs]`, of a crop of a valid size or of its mirror
    /// image. Calls `after` at the end of each part.
    pub(crate) fn forward(
        &self,
        crop: &Crop,
        mirrored: bool,
        threads: usize,
        arena: &mut QuantizedArena,
        logits: &mut [f32],
        mut after: impl FnMut(ProfileEvent),
    ) {
        self.reserve(arena, crop.size());
        let [a, b] = &mut arena.bytes;
        let (mut from, mut to) = (a, b);
        enclose(crop.rgb(), crop.size(), &self.border, mirrored, from);
        after(ProfileEvent::Input);
        let (mut height, mut width) = (crop.size(), crop.size());
        let (last, layers) = self.layers.split_last().expect("a valid network has a layer");
        for (i, layer) in layers.iter().enumerate() {
            layer.forward(from, height, width, to, threads);
            (height, width) = layer.output_size(height, width);
            std::mem::swap(&mut from, &mut to);
            after(ProfileEvent::Convolution(i));
        }
        last.forward(from, height, width, &mut arena.last, threads);
        after(ProfileEvent::Convolution(layers.len()));
        let (height, width) = last.output_size(height, width);
        let channels = last.output_channels();
        let features = &mut arena.features[..channels];
        average(&arena.last[..enclosed_len(channels, height, width)], height * width, features);
        self.head(features, logits);
        after(ProfileEvent::Head);
    }

    /// Computes the logits. The outer loop runs over features, so that outputs are
    /// vectorized and the order of the sums does not depend on the instruction set.
    fn head(&self, features: &[f32], logits: &mut [f32]) {
        logits.copy_from_slice(&self.head_bias);
        for (feature, weights) in features.iter().zip(self.head_weight.chunks_exact(logits.len())) {
            for (logit, weight) in logits.iter_mut().zip(weights) {
                *logit += feature * weight;
            }
        }
    }
}

/// The mean of each channel over `pixels` pixels. The border is zero.
fn average(enclosed: &[f32], pixels: usize, features: &mut [f32]) {
    features.fill(0.0);
    for pixel in enclosed.chunks_exact(features.len()) {
        for (sum, value) in features.iter_mut().zip(pixel) {
            *sum += value;
        }
    }
    features.iter_mut().for_each(|sum| *sum /= pixels as f32);
}
