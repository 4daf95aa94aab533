//! Memory layout of activations in training, and batch norm.

use crate::BN_EPSILON;
use crate::planes::{LANES, Lanes};

/// Shape of the activations of one image: `[row][channel block][column]` of [`Lanes`],
/// without a border. Lanes beyond the channels are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maps {
    /// Number of channels.
    pub channels: usize,
    /// Number of rows of pixels.
    pub height: usize,
    /// Number of columns of pixels.
    pub width: usize,
}

impl Maps {
    /// Number of channel blocks.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Number of [`Lanes`] of one image.
    pub fn size(&self) -> usize {
        self.height * self.row()
    }

    /// The shape after 2x2 max pooling; a last odd row or column is dropped.
    pub fn pooled(&self) -> Self {
        Self { height: self.height / 2, width: self.width / 2, ..*self }
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.height * self.width
    }

    /// Number of [`Lanes`] of a row.
    pub(super) fn row(&self) -> usize {
        self.blocks() * self.width
    }

    /// Index of the start of a row of a block.
    pub(super) fn at(&self, y: usize, block: usize) -> usize {
        y * self.row() + block * self.width
    }
}

/// The stored output `z` of a layer for a batch, read as `relu(scale z + shift)`.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// Contiguous images.
    pub values: &'a [Lanes],
    /// Their shape.
    pub maps: Maps,
    /// The batch norm between the stored output and the activation.
    pub norm: &'a Norm,
}

/// Batch norm with its statistics, per channel.
#[derive(Clone, Debug, Default)]
pub struct Norm {
    /// Mean of the convolution's output.
    pub(super) mean: Vec<Lanes>,
    /// `gamma / sqrt(variance + epsilon)`
    pub(super) scale: Vec<Lanes>,
    /// `beta - mean scale`
    pub(super) shift: Vec<Lanes>,
    /// `1 / sqrt(variance + epsilon)`
    inverse_std: Vec<f32>,
}

impl Norm {
    /// From statistics and parameters, all of length `[channels]`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn new(mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32]) -> Self {
        let n = mean.len();
        assert!(variance.len() == n && gamma.len() == n && beta.len() == n, "norm: lengths differ");
        let inverse_std: Vec<f32> =
            variance.iter().map(|v| 1.0 / (v + BN_EPSILON as f32).sqrt()).collect();
        let scale: Vec<f32> = gamma.iter().zip(&inverse_std).map(|(g, i)| g * i).collect();
        let shift: Vec<f32> =
            beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self {
            mean: Lanes::blocks(mean),
            scale: Lanes::blocks(&scale),
            shift: Lanes::blocks(&shift),
            inverse_std,
        }
    }

    /// The gradients with respect to gamma and beta, and the chain rule to the input of
    /// batch norm. `sums` are those of `g` and of `g (z - mean)`, where `g` is the gradient
    /// with respect to the output, over `count` numbers per channel.
    ///
    /// `dz = scale (g - dbeta / n - xhat dgamma / n)`, `xhat = (z - mean) / std` (Ioffe and
    /// Szegedy, 2015), expanded in powers of z.
    pub fn backward(&self, sums: &Sums, count: usize) -> (Vec<f32>, Vec<f32>, Chain) {
        let n = count as f64;
        let (mut dgamma, mut dbeta) = (Vec::new(), Vec::new());
        let (mut slope, mut offset) = (Vec::new(), Vec::new());
        for (c, &inverse_std) in self.inverse_std.iter().enumerate() {
            let lane = |lanes: &[Lanes]| f64::from(lanes[c / LANES].0[c % LANES]);
            let (scale, mean) = (lane(&self.scale), lane(&self.mean));
            let inverse_std = f64::from(inverse_std);
            let (gamma, beta) = (sums.second[c] * inverse_std, sums.first[c]);
            let b = -scale * inverse_std * gamma / n;
            slope.push(b as f32);
            offset.push((-scale * beta / n - b * mean) as f32);
            dgamma.push(gamma as f32);
            dbeta.push(beta as f32);
        }
        let chain = Chain {
            scale: self.scale.clone(),
            slope: Lanes::blocks(&slope),
            offset: Lanes::blocks(&offset),
        };
        (dgamma, dbeta, chain)
    }
}

/// The chain rule of batch norm: `dz = scale g + slope z + offset`, per channel.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(super) scale: Vec<Lanes>,
    pub(super) slope: Vec<Lanes>,
    pub(super) offset: Vec<Lanes>,
}

/// Two sums per channel, in f64: in f32, the variance of a batch would lose its digits.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
}

impl Sums {
    /// Zeros for `blocks` blocks.
    pub(super) fn new(blocks: usize) -> Self {
        Self { first: vec![0.0; blocks * LANES], second: vec![0.0; blocks * LANES] }
    }

    /// Adds to the sums of a block.
    pub(super) fn add(&mut self, block: usize, first: &Lanes, second: &Lanes) {
        for l in 0..LANES {
            self.first[block * LANES + l] += f64::from(first.0[l]);
            self.second[block * LANES + l] += f64::from(second.0[l]);
        }
    }

    /// The sum of all parts, in order.
    pub(super) fn total(parts: &[Self]) -> Self {
        let mut total = parts[0].clone();
        for part in &parts[1..] {
            total.first.iter_mut().zip(&part.first).for_each(|(t, p)| *t += p);
            total.second.iter_mut().zip(&part.second).for_each(|(t, p)| *t += p);
        }
        total
    }

    /// Mean and population variance of each of `channels`, from the sums of z and of its
    /// square over `count` numbers per channel.
    pub fn mean_and_variance(&self, channels: usize, count: usize) -> (Vec<f32>, Vec<f32>) {
        let n = count as f64;
        let both = self.first.iter().zip(&self.second).take(channels);
        both.map(|(s, q)| {
            let mean = s / n;
            (mean as f32, (q / n - mean * mean).max(0.0) as f32)
        })
        .unzip()
    }
}
