//! Batches made ahead of time by other threads: decode, augment, normalize,
//! encode. Which samples and which random numbers a batch gets depends on the
//! seed and its step alone, never on the threads.

use std::ops::Range;
use std::sync::Arc;

use dldl_data::{Augment, Split, resize, sample_rng};
use dldl_net::{Crop, Normalization};

use crate::ahead::Ahead;
use crate::config::Sampling;
use crate::error::TrainError;
use crate::head::{Head, Truths};
use crate::learner::ImageBatch;
use crate::plan::{Plan, Position};
use crate::sampling::Draws;
use crate::truths::Datasets;

/// A batch on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Side of the crops.
    pub size: usize,
    /// Normalized pixels, `[n, 3, size, size]`.
    pub pixels: Vec<f32>,
    /// What the loss compares each sample's logits with.
    pub truths: Vec<Truths>,
}

impl Batch {
    /// The images of the samples `range`.
    ///
    /// # Panics
    /// If there are no such samples.
    pub fn images(&self, range: Range<usize>) -> ImageBatch<'_> {
        let one = 3 * self.size * self.size;
        let pixels = &self.pixels[range.start * one..range.end * one];
        ImageBatch { pixels, count: range.len(), size: self.size }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.truths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.truths.is_empty()
    }
}

/// What a thread needs to make a batch: shared by all of them.
#[derive(Clone)]
pub struct Source {
    datasets: Arc<Datasets>,
    /// Number of the dataset and position in its cache.
    samples: Arc<Vec<(usize, usize)>>,
    draws: Arc<Draws>,
    /// The heads of each phase.
    heads: Arc<Vec<Vec<Head>>>,
    normalization: Normalization,
}

impl Source {
    /// Those samples of one split that anything is learned from; `heads` of
    /// each phase, of which all learn from the same samples.
    pub(crate) fn new(
        datasets: &Arc<Datasets>,
        split: Split,
        heads: &Arc<Vec<Vec<Head>>>,
        sampling: &Sampling,
        normalization: &Normalization,
    ) -> Self {
        let (mut samples, mut wanted) = (Vec::new(), Vec::new());
        for (data, (config, cache)) in datasets.caches.iter().enumerate() {
            for at in cache.indices(split) {
                let sample = &cache.samples()[at].sample;
                if datasets.is_useful(&heads[0], data, sample) {
                    samples.push((data, at));
                    let annotation = sample.annotation(sampling.task);
                    let label = annotation.map(|annotation| annotation.mean());
                    wanted.push((config.weight, label));
                }
            }
        }
        Self {
            datasets: datasets.clone(),
            samples: Arc::new(samples),
            draws: Arc::new(Draws::new(&wanted, sampling)),
            heads: heads.clone(),
            normalization: *normalization,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Up to `most` samples, as many of each dataset, evenly spread over it.
    pub fn examples(&self, most: usize) -> Vec<usize> {
        let parts = self.samples.chunk_by(|a, b| a.0 == b.0);
        evenly(&parts.map(<[_]>::len).collect::<Vec<_>>(), most)
    }

    /// How many samples an epoch of training draws.
    pub fn drawn(&self) -> usize {
        self.draws.len()
    }

    /// The stored crop of sample `index` (0..[`len`](Self::len)).
    ///
    /// # Errors
    /// [`TrainError::Data`] that names the damaged file.
    pub fn crop(&self, index: usize) -> Result<Crop, TrainError> {
        let (data, at) = self.samples[index];
        self.datasets.caches[data].1.decode(at).map_err(|e| TrainError::Data(e.to_string()))
    }

    /// The batch of the samples at `indices` (0..[`len`](Self::len)) for a
    /// phase, each crop made by `vary` from its place in the batch and the
    /// stored crop.
    fn batch(
        &self,
        indices: &[usize],
        phase: usize,
        size: usize,
        vary: impl Fn(usize, Crop) -> Crop,
    ) -> Result<Batch, TrainError> {
        let plane = size * size;
        let mut batch = Batch {
            size,
            pixels: vec![0.0; indices.len() * 3 * plane],
            truths: Vec::with_capacity(indices.len()),
        };
        let crops = batch.pixels.chunks_exact_mut(3 * plane);
        for (i, (&index, planes)) in indices.iter().zip(crops).enumerate() {
            let crop = vary(i, self.crop(index)?);
            normalize(&crop, &self.normalization, planes);
            let (data, at) = self.samples[index];
            let sample = &self.datasets.caches[data].1.samples()[at].sample;
            batch.truths.push(self.datasets.truths(&self.heads[phase], data, sample)?);
        }
        Ok(batch)
    }

    /// The augmented batches of `plan` from step `from` on, in order.
    pub fn train_batches(
        &self,
        plan: &Plan,
        from: usize,
        augment: &Augment,
        seed: u64,
        threads: usize,
        prefetch: usize,
    ) -> Ahead<Batch> {
        let steps = plan.steps().saturating_sub(from);
        let (source, plan, augment) = (self.clone(), plan.clone(), augment.clone());
        let make = move || {
            let (source, plan, augment) = (source.clone(), plan.clone(), augment.clone());
            // Each thread shuffles for itself, once per epoch.
            let mut epoch = usize::MAX;
            let mut order = Vec::new();
            move |i: usize| {
                let p = plan.at(from + i);
                if p.epoch != epoch {
                    epoch = p.epoch;
                    order = source.draws.order(seed, epoch);
                }
                let indices = &order[p.step * p.batch..(p.step + 1) * p.batch];
                source.batch(indices, p.phase, p.size, |i, crop| {
                    // By the place in the epoch: a sample that is drawn twice is
                    // varied in two ways.
                    let place = (p.step * p.batch + i) as u64;
                    let mut rng = sample_rng(seed, p.epoch as u64, place);
                    augment.apply(&crop, p.size, &mut rng)
                })
            }
        };
        Ahead::start(steps, threads, prefetch, make)
    }

    /// The samples at `indices` as phase `position.phase` sees them, unvaried.
    ///
    /// # Errors
    /// As [`crop`](Self::crop), or if a label makes no sense.
    pub fn plain_batch(&self, indices: &[usize], position: &Position) -> Result<Batch, TrainError> {
        let Position { phase, size, .. } = *position;
        self.batch(indices, phase, size, |_, crop| resize(&crop, size))
    }

    /// The whole split as phase `position.phase` sees it, in its order, unvaried,
    /// in batches of at most `position.batch`.
    pub fn plain_batches(&self, position: &Position, threads: usize) -> Ahead<Batch> {
        let batch = position.batch;
        let (source, position) = (self.clone(), position.clone());
        let make = move || {
            let (source, position) = (source.clone(), position.clone());
            move |i: usize| {
                let end = ((i + 1) * batch).min(source.len());
                let indices: Vec<usize> = (i * batch..end).collect();
                source.plain_batch(&indices, &position)
            }
        };
        Ahead::start(self.len().div_ceil(batch), threads, 1, make)
    }
}

/// Up to `most` positions in parts of these lengths that follow each other.
fn evenly(lengths: &[usize], most: usize) -> Vec<usize> {
    let (mut chosen, mut from) = (Vec::new(), 0);
    for (i, length) in lengths.iter().enumerate() {
        let share = (i + 1) * most / lengths.len() - i * most / lengths.len();
        let count = share.min(*length);
        chosen.extend((0..count).map(|k| from + k * length / count));
        from += length;
    }
    chosen
}

/// `planes[c][y][x] = (rgb[y][x][c] / 255 - mean[c]) / std[c]`.
fn normalize(crop: &Crop, normalization: &Normalization, planes: &mut [f32]) {
    let plane = crop.size() * crop.size();
    for (c, out) in planes.chunks_exact_mut(plane).enumerate() {
        let scale = 1.0 / (255.0 * normalization.std[c]);
        let shift = normalization.mean[c] / normalization.std[c];
        for (out, pixel) in out.iter_mut().zip(crop.rgb().chunks_exact(3)) {
            *out = f32::from(pixel[c]) * scale - shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dataset_has_its_examples() {
        assert_eq!(evenly(&[100, 2, 9], 9), [0, 33, 66, 100, 101, 102, 105, 108]);
        assert_eq!(evenly(&[3], 24), [0, 1, 2]);
        assert_eq!(evenly(&[], 24), [0; 0]);
    }

    #[test]
    fn pixels_are_normalized_by_channel_into_planes() {
        let crop = Crop::new(2, vec![0, 51, 255, 0, 51, 255, 0, 51, 255, 255, 0, 0]).unwrap();
        let normalization = Normalization { mean: [0.5, 0.1, 0.0], std: [0.5, 0.1, 2.0] };
        let mut planes = [0.0; 12];
        normalize(&crop, &normalization, &mut planes);
        let expected = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.5, 0.5, 0.5, 0.0];
        for (got, e) in planes.iter().zip(expected) {
            assert!((got - e).abs() < 1e-6, "{planes:?}");
        }
    }
}
