//! Packed weights of 16 or 32 output channels.

use super::{Aligned, Isa};

/// Output channels of a narrow panel; a wide panel has twice as many.
pub(super) const LANES: usize = 16;

/// Largest number of quads that are multiplied at once: the rows of an AMX tile.
pub(super) const STEP: usize = 16;

/// Quads that AMX multiplies at once: the fewest with which a row of taps takes the
/// minimal number of steps.
pub(super) fn step(channels: usize) -> usize {
    let quads = (3 * channels).div_ceil(4);
    quads.div_ceil(quads.div_ceil(STEP))
}

/// Quads in a row of taps: enough for `3 channels` bytes, and a multiple of [`step`].
/// Excess ones have zero weights.
pub(super) fn quads(channels: usize) -> usize {
    (3 * channels).div_ceil(4).next_multiple_of(step(channels))
}

/// The weights of 16 or 32 output channels.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    /// 16 or 32.
    pub width: usize,
    /// Quads in a row of taps.
    pub quads: usize,
    /// `[3][quads][width][4]`, for instructions that multiply bytes; else empty.
    pub bytes: Aligned<i8>,
    /// `[3][quads][2][width][2]`, for instructions that multiply words; else empty. Each
    /// quad's first and third number are followed by its second and fourth, so that a
    /// mask and a shift turn activations into matching pairs of 16 bits.
    pub words: Aligned<i16>,
    /// Factor of each channel's sum, `[width]`.
    pub multiplier: Vec<f32>,
    /// Number added to the product, `[width]`.
    pub offset: Vec<f32>,
}

impl Panel {
    /// All panels of a convolution; `weight` is `[outputs][channels][3][3]`.
    pub fn all(
        isa: Isa,
        weight: &[i8],
        channels: usize,
        multiplier: &[f32],
        offset: &[f32],
    ) -> Vec<Self> {
        let outputs = offset.len();
        let width = if isa.multiplies_wide_panels() { 2 * LANES } else { LANES };
        (0..outputs)
            .step_by(width)
            .map(|first| {
                let end = outputs.min(first + width);
                // The last panel may be narrow.
                let width = if end - first > LANES { width } else { LANES };
                let padded = |numbers: &[f32]| {
                    let mut padded = numbers[first..end].to_vec();
                    padded.resize(width, 0.0);
                    padded
                };
                let weight = &weight[9 * channels * first..9 * channels * end];
                Self::new(isa, weight, channels, width, padded(multiplier), padded(offset))
            })
            .collect()
    }

    fn new(
        isa: Isa,
        weight: &[i8],
        channels: usize,
        width: usize,
        multiplier: Vec<f32>,
        offset: Vec<f32>,
    ) -> Self {
        let quads = quads(channels);
        // [3][quads][width][4]
        let mut bytes = vec![0; 3 * quads * width * 4];
        for (o, weight) in weight.chunks_exact(9 * channels).enumerate() {
            for (c, taps) in weight.chunks_exact(9).enumerate() {
                for (tap, &w) in taps.iter().enumerate() {
                    let (ky, k) = (tap / 3, tap % 3 * channels + c);
                    bytes[((ky * quads + k / 4) * width + o) * 4 + k % 4] = w;
                }
            }
        }
        let mut words = Vec::new();
        if !isa.multiplies_bytes() {
            for quad in bytes.chunks_exact(4 * width) {
                for half in 0..2 {
                    let pairs = quad.chunks_exact(4).flat_map(|q| [q[half], q[half + 2]]);
                    words.extend(pairs.map(i16::from));
                }
            }
            bytes = Vec::new();
        }
        let (bytes, words) = (Aligned::copied(&bytes), Aligned::copied(&words));
        Self { width, quads, bytes, words, multiplier, offset }
    }
}
