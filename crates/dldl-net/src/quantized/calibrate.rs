//! From a model in floating point to one in 8-bit integers: the scales, and the
//! corrections of the biases, from what the model's activations are on pictures
//! like those it will see.

use dldl_kernels::{Conv3x3, Lanes, Level, Planes, Scratch, StemConv, Winograd, max_pool_planes};

use super::{Layer, QuantizedWeights};
use crate::{Crop, NetError, Quantization, Weights};

/// Bins of the histogram of a layer's activations.
const BINS: usize = 4096;

/// Candidates for the largest value that a byte can stand for.
const CANDIDATES: usize = 128;

/// A layer's activations on all crops.
struct Activations {
    largest: f32,
    /// Counts of equal parts from zero (exclusive) to the largest.
    histogram: Vec<u64>,
    /// Sums by channel, as they are and as the bytes give them.
    sums: Vec<f64>,
    rounded: Vec<f64>,
    pixels: u64,
}

/// Quantizes a model. `crops` are aligned as the model wants them, and
/// `source` says where they are from. Weights keep the largest of each output
/// channel; activations are cut off where the mean squared error is least;
/// biases are corrected by the mean error that remains (Nagel et al.,
/// "Data-Free Quantization Through Weight Equalization and Bias Correction",
/// ICCV 2019, with means from the crops).
///
/// # Errors
/// [`NetError::Crop`] if there are no crops, or their size is not the model's
/// own; [`NetError::Tensor`] as for an [`Engine`](crate::Engine).
pub fn quantize(
    weights: &Weights,
    crops: &[Crop],
    source: &str,
) -> Result<QuantizedWeights, NetError> {
    weights.check()?;
    let info = &weights.info;
    if crops.is_empty() {
        return Err(NetError::Crop("there are no crops to calibrate with".into()));
    }
    if let Some(crop) = crops.iter().find(|c| c.size() != info.input_size) {
        let (size, wanted) = (crop.size(), info.input_size);
        return Err(NetError::Crop(format!(
            "a crop of {size}x{size} pixels, the model is for {wanted}x{wanted}"
        )));
    }
    let float = Float::new(weights)?;
    let count = info.net.layers().len();
    let mut seen: Vec<Activations> =
        info.net.layers().iter().map(|&(channels, _)| Activations::new(channels)).collect();
    for crop in crops {
        float.run(crop, |i, values, _| seen[i].measure(values));
    }
    for crop in crops {
        float.run(crop, |i, values, _| seen[i].count(values));
    }
    let scales: Vec<f32> = seen.iter().map(Activations::scale).collect();
    for crop in crops {
        float.run(crop, |i, values, planes| {
            seen[i].sum(values, planes.height * planes.width, scales[i]);
        });
    }

    let mut layers = Vec::new();
    for i in 0..count {
        let (mut weight, bias) = weights.folded(i)?;
        let inputs = weight.len() / (9 * bias.len());
        if i == 0 {
            divide_by_std(&mut weight, info.normalization.std);
        }
        // Means of the inputs, as they are and as the bytes give them; a
        // picture's bytes are exact.
        let (means, rounded) = match i {
            0 => (channel_means(crops, info.normalization.mean), None),
            _ => (
                seen[i - 1].means(&seen[i - 1].sums),
                Some(seen[i - 1].means(&seen[i - 1].rounded)),
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
            // A channel of zeros has any scale.
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

/// `weight` is `[out, 3, 3, 3]`, of inputs `(byte / 255 - mean) / std`, and
/// becomes that of inputs `byte - 255 mean`.
fn divide_by_std(weight: &mut [f32], std: [f32; 3]) {
    for kernels in weight.chunks_exact_mut(27) {
        for (kernel, std) in kernels.chunks_exact_mut(9).zip(std) {
            kernel.iter_mut().for_each(|w| *w = (f64::from(*w) / (255.0 * f64::from(std))) as f32);
        }
    }
}

/// The mean of `byte - 255 mean` for each channel of the pictures.
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

    fn measure(&mut self, values: &[f32]) {
        self.largest = values.iter().fold(self.largest, |m, &v| m.max(v));
    }

    fn count(&mut self, values: &[f32]) {
        let by = BINS as f32 / self.largest;
        for &v in values.iter().filter(|v| **v > 0.0) {
            self.histogram[((v * by) as usize).min(BINS - 1)] += 1;
        }
    }

    /// Half a byte's part of the largest value that is not cut off, for which
    /// the sum of the squared errors of rounding and cutting off is least.
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

    /// `values` are `[channels, pixels]`.
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

/// The model in f32, which shows its activations.
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

    /// Calls `show` with each layer's number and its output, `[channels,
    /// height, width]`, after pooling.
    fn run(&self, crop: &Crop, mut show: impl FnMut(usize, &[f32], Planes)) {
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
        show(0, &planes.unpack(&values), planes);
        let mut scratch = [Scratch::default()];
        for (i, layer) in self.layers.iter().enumerate() {
            let shape = layer.output_planes(planes.height, planes.width);
            let mut output = vec![Lanes::default(); shape.size()];
            layer.forward(&values, planes.height, planes.width, &mut output, &mut scratch);
            (planes, values) = (shape, output);
            show(i + 1, &planes.unpack(&values), planes);
        }
    }
}
