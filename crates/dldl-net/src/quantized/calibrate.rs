//! Quantization of a model to 8-bit integers: scales and bias corrections, from the
//! model's activations on calibration pictures.

use dldl_kernels::{Conv3x3, Lanes, Level, Planes, Scratch, StemConv, Winograd, max_pool_planes};

use super::{Layer, QuantizedWeights};
use crate::{Crop, NetError, Quantization, Weights};

/// Bins of the histogram of a layer's activations.
const BINS: usize = 4096;

/// Number of candidates for the largest value that a byte represents.
const CANDIDATES: usize = 128;

/// A layer's activations on all crops.
struct Activations {
    largest: f32,
    /// Counts in bins of equal width, from zero (exclusive) to `largest`.
    histogram: Vec<u64>,
    /// Sums by channel.
    sums: Vec<f64>,
    /// Sums by channel of the values after rounding to bytes.
    rounded: Vec<f64>,
    /// Pixels in each sum.
    pixels: u64,
}

/// Quantizes a model. `crops` are aligned with the model's template; `source` describes
/// them in the result. The scale of an output channel's weights comes from the largest
/// weight; activations are clipped where the mean squared error is smallest; biases are
/// corrected by the remaining mean error (Nagel et al., "Data-Free Quantization Through
/// Weight Equalization and Bias Correction", ICCV 2019, with means from the crops).
///
/// # Errors
/// [`NetError::Crop`] if there are no crops, or their size is not the model's input
/// size; [`NetError::Tensor`] as for an [`Engine`](crate::Engine).
pub fn quantize(
    weights: &Weights,
    crops: &[Crop],
    source: &str,
) -> Result<QuantizedWeights, NetError> {
    weights.check()?;
    let info = &weights.info;
    if crops.is_empty() {
        return Err(NetError::Crop("no crops for calibration".into()));
    }
    if let Some(crop) = crops.iter().find(|c| c.size() != info.input_size) {
        let (size, wanted) = (crop.size(), info.input_size);
        return Err(NetError::Crop(format!(
            "invalid calibration crop of {size}x{size} pixels: the model needs {wanted}x{wanted}"
        )));
    }
    let float = Float::new(weights)?;
    let count = info.net.layers().len();
    let mut activations: Vec<Activations> =
        info.net.layers().iter().map(|&(channels, _)| Activations::new(channels)).collect();
    for crop in crops {
        float.run(crop, |i, values, _| activations[i].update_largest(values));
    }
    for crop in crops {
        float.run(crop, |i, values, _| activations[i].update_histogram(values));
    }
    let scales: Vec<f32> = activations.iter().map(Activations::scale).collect();
    for crop in crops {
        float.run(crop, |i, values, planes| {
            activations[i].sum(values, planes.height * planes.width, scales[i]);
        });
    }

    let mut layers = Vec::new();
    for i in 0..count {
        let (mut weight, bias) = weights.folded(i)?;
        let inputs = weight.len() / (9 * bias.len());
        if i == 0 {
            divide_by_std(&mut weight, info.normalization.std);
        }
        // Means of the inputs, exact and after rounding to bytes. The picture's bytes
        // are exact.
        let (means, rounded) = match i {
            0 => (channel_means(crops, info.normalization.mean), None),
            _ => (
                activations[i - 1].means(&activations[i - 1].sums),
                Some(activations[i - 1].means(&activations[i - 1].rounded)),
            ),
        };
        let rounded = rounded.as_ref().unwrap_or(&means);
        let mut layer = Layer {
            weight: Vec::with_capacity(weight.len()),
            scale: Vec::new(),
            bias: Vec::new(),
            output_scale: (i + 1 < count).then_some(scales[i]),
        };
        for (o, kernel) in weight.chunks_exact(9 * inputs).enumerate() {
            let largest = kernel.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
            // The scale of a channel of zeros is arbitrary.
            let scale = if largest > 0.0 { (largest / 127.0).max(f32::MIN_POSITIVE) } else { 1.0 };
            let mut error = 0.0;
            for (k, &w) in kernel.iter().enumerate() {
                let quantized = (w / scale).round_ties_even().clamp(-127.0, 127.0);
                layer.weight.push(quantized as i8);
                error += f64::from(quantized) * f64::from(scale) * rounded[k / 9]
                    - f64::from(w) * means[k / 9];
            }
            layer.scale.push(scale);
            layer.bias.push((f64::from(bias[o]) - error) as f32);
        }
        layers.push(layer);
    }
    let mut info = info.clone();
    info.quantization = Some(Quantization {
        weights: "8-bit signed, a scale per output channel".into(),
        activations: "8-bit unsigned, a scale per layer; the last layer's are not rounded".into(),
        calibration: source.into(),
    });
    let head = |part: &str| weights.tensor(&format!("fc.{part}")).to_vec();
    Ok(QuantizedWeights { info, layers, head_weight: head("weight"), head_bias: head("bias") })
}

/// Converts `weight`, `[out, 3, 3, 3]`, from inputs `(byte / 255 - mean) / std` to inputs
/// `byte - 255 mean`.
fn divide_by_std(weight: &mut [f32], std: [f32; 3]) {
    for kernels in weight.chunks_exact_mut(27) {
        for (kernel, std) in kernels.chunks_exact_mut(9).zip(std) {
            kernel.iter_mut().for_each(|w| *w = (f64::from(*w) / (255.0 * f64::from(std))) as f32);
        }
    }
}

/// The mean of `byte - 255 mean` over the crops, for each channel.
fn channel_means(crops: &[Crop], mean: [f32; 3]) -> Vec<f64> {
    let pixels: usize = crops.iter().map(|c| c.size() * c.size()).sum();
    (0..3)
        .map(|c| {
            let bytes = crops.iter().flat_map(|crop| crop.rgb().iter().skip(c).step_by(3));
            let sum: u64 = bytes.map(|&b| u64::from(b)).sum();
            sum as f64 / pixels as f64 - 255.0 * f64::from(mean[c])
        })
        .collect()
}

impl Activations {
    fn new(channels: usize) -> Self {
        Self {
            largest: 0.0,
            histogram: vec![0; BINS],
            sums: vec![0.0; channels],
            rounded: vec![0.0; channels],
            pixels: 0,
        }
    }

    fn update_largest(&mut self, values: &[f32]) {
        self.largest = values.iter().fold(self.largest, |m, &v| m.max(v));
    }

    fn update_histogram(&mut self, values: &[f32]) {
        let by = BINS as f32 / self.largest;
        for &v in values.iter().filter(|v| **v > 0.0) {
            self.histogram[((v * by) as usize).min(BINS - 1)] += 1;
        }
    }

    /// The scale (the clipping threshold / 255) with the smallest sum of squared errors
    /// of rounding and clipping.
    fn scale(&self) -> f32 {
        if self.largest <= 0.0 {
            return 1.0;
        }
        let bin = f64::from(self.largest) / BINS as f64;
        let error = |scale: f64| -> f64 {
            let of_bin = |(i, &count): (usize, &u64)| {
                let value = (i as f64 + 0.5) * bin;
                let byte = (value / scale).round().min(255.0);
                count as f64 * (byte * scale - value).powi(2)
            };
            self.histogram.iter().enumerate().map(of_bin).sum()
        };
        let scales = (1..=CANDIDATES)
            .map(|i| f64::from(self.largest) * i as f64 / CANDIDATES as f64 / 255.0);
        let best = scales.min_by(|a, b| error(*a).total_cmp(&error(*b)));
        (best.expect("there are candidates") as f32).max(f32::MIN_POSITIVE)
    }

    /// Adds to the sums; `values` is `[channels, pixels]`.
    fn sum(&mut self, values: &[f32], pixels: usize, scale: f32) {
        self.pixels += pixels as u64;
        for (c, plane) in values.chunks_exact(pixels).enumerate() {
            for &v in plane {
                let byte = (v / scale).round_ties_even().min(255.0);
                self.sums[c] += f64::from(v);
                self.rounded[c] += f64::from(byte) * f64::from(scale);
            }
        }
    }

    fn means(&self, sums: &[f64]) -> Vec<f64> {
        sums.iter().map(|s| s / self.pixels as f64).collect()
    }
}

/// The model in f32, with access to its activations.
struct Float {
    stem: StemConv,
    stem_pool: bool,
    layers: Vec<Conv3x3>,
    mean: [f32; 3],
    std: [f32; 3],
}

impl Float {
    fn new(weights: &Weights) -> Result<Self, NetError> {
        let level = Level::detect();
        let net = weights.info.net.layers();
        let (weight, bias) = weights.folded(0)?;
        let stem = StemConv::new(level, &weight, &bias, net[0].0, 3);
        let mut layers = Vec::new();
        let mut side = weights.info.input_size;
        for i in 1..net.len() {
            let (weight, bias) = weights.folded(i)?;
            let ((inputs, pooled), (outputs, pool)) = (net[i - 1], net[i]);
            side /= if pooled { 2 } else { 1 };
            let (winograd, shape) = (Winograd::for_planes(side, side), (outputs, inputs));
            layers.push(Conv3x3::new(level, winograd, &weight, &bias, shape, pool));
        }
        let normal = weights.info.normalization;
        Ok(Self { stem, stem_pool: net[0].1, layers, mean: normal.mean, std: normal.std })
    }

    /// Calls `observe` with the index of each layer and its output after pooling,
    /// `[channels, height, width]`.
    fn run(&self, crop: &Crop, mut observe: impl FnMut(usize, &[f32], Planes)) {
        let size = crop.size();
        let mut picture = vec![0.0; self.stem.picture_len(size, size)];
        let rows = picture.chunks_exact_mut(self.stem.row_stride(size)).skip(1);
        for (to, from) in rows.zip(crop.rgb().chunks_exact(3 * size)) {
            for (i, (to, from)) in to[3..].iter_mut().zip(from).enumerate() {
                *to = (f32::from(*from) / 255.0 - self.mean[i % 3]) / self.std[i % 3];
            }
        }
        let mut planes =
            Planes { channels: self.stem.output_channels(), height: size, width: size };
        let mut values = vec![Lanes::default(); planes.size()];
        self.stem.forward(&picture, size, size, &mut values, false);
        if self.stem_pool {
            let mut pooled = vec![Lanes::default(); planes.pooled().size()];
            max_pool_planes(&planes, &values, &mut pooled);
            (planes, values) = (planes.pooled(), pooled);
        }
        observe(0, &planes.unpack(&values), planes);
        let mut scratch = [Scratch::default()];
        for (i, layer) in self.layers.iter().enumerate() {
            let shape = layer.output_planes(planes.height, planes.width);
            let mut output = vec![Lanes::default(); shape.size()];
            layer.forward(&values, planes.height, planes.width, &mut output, &mut scratch);
            (planes, values) = (shape, output);
            observe(i + 1, &planes.unpack(&values), planes);
        }
    }
}
