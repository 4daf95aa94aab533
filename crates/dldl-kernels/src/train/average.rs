//! Global average pooling after the last convolution, and its gradient.

use super::maps::{Source, Sums};
use crate::planes::{LANES, Lanes};

/// The means of `relu(norm(source))` over the pixels, `[batch, channels]`.
pub fn average(batch: usize, source: Source) -> Vec<f32> {
    let maps = source.maps;
    let mut means = Vec::with_capacity(batch * maps.channels);
    for picture in source.values.chunks_exact(maps.size()).take(batch) {
        for block in 0..maps.blocks() {
            let (scale, shift) = (&source.norm.scale[block].0, &source.norm.shift[block].0);
            let mut sum = [0.0f32; LANES];
            for y in 0..maps.height {
                for z in &picture[maps.at(y, block)..][..maps.width] {
                    for l in 0..LANES {
                        sum[l] += (z.0[l] * scale[l] + shift[l]).max(0.0);
                    }
                }
            }
            let channels = LANES.min(maps.channels - block * LANES);
            means.extend(sum[..channels].iter().map(|s| s / maps.area() as f32));
        }
    }
    means
}

/// The gradient of [`average`]: from the gradient with respect to `means` to that with
/// respect to the output of the batch norm of `source`, in the layout of its values.
/// Returns the sums of that gradient `g` and of `g (z - mean)`.
pub fn average_backward(source: Source, means: &[f32], to: &mut Vec<Lanes>) -> Sums {
    let (maps, norm) = (source.maps, source.norm);
    let mut sums = Sums::new(maps.blocks());
    to.clear();
    to.resize(source.values.len(), Lanes::default());
    let pictures = source.values.chunks_exact(maps.size()).zip(to.chunks_exact_mut(maps.size()));
    for ((values, to), means) in pictures.zip(means.chunks_exact(maps.channels)) {
        for (block, means) in means.chunks(LANES).enumerate() {
            let (mut first, mut second) = (Lanes::default(), Lanes::default());
            let (scale, shift) = (&norm.scale[block].0, &norm.shift[block].0);
            for y in 0..maps.height {
                let at = maps.at(y, block)..maps.at(y, block) + maps.width;
                for (z, to) in values[at.clone()].iter().zip(&mut to[at]) {
                    for (l, mean) in means.iter().enumerate() {
                        if (z.0[l] * scale[l] + shift[l]) > 0.0 {
                            to.0[l] = mean / maps.area() as f32;
                            first.0[l] += to.0[l];
                            second.0[l] += to.0[l] * (z.0[l] - norm.mean[block].0[l]);
                        }
                    }
                }
            }
            sums.add(block, &first, &second);
        }
    }
    sums
}
