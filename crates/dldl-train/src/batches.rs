//! Batches, made ahead of time by other threads: decoding, augmentation, normalization,
//! targets. The samples and random numbers of a batch follow from the seed and its step
//! alone, not from the threads.

use std::ops::Range;
use std::sync::Arc;

use dldl_data::{Augment, Split, resize, sample_rng};
use dldl_net::{Crop, Normalization};

use crate::config::Sampling;
use crate::error::TrainError;
use crate::head::{Head, Targets};
use crate::learner::ImageBatch;
use crate::plan::{Plan, Position};
use crate::prefetch::Prefetcher;
use crate::sampler::EpochSampler;
use crate::targets::Datasets;

/// A batch in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Side of the crops.
    pub size: usize,
    /// Normalized pixels, `[n, 3, size, size]`.
    pub pixels: Vec<f32>,
    /// The targets of each sample.
    pub targets: Vec<Targets>,
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
        self.targets.len()
    }
}

/// The samples of a split, shared by the threads that make batches.
#[derive(Clone)]
pub struct Source {
    datasets: Arc<Datasets>,
    /// Index of the dataset and position in its cache.
    samples: Arc<Vec<(usize, usize)>>,
    sampler: Arc<EpochSampler>,
    /// The heads of each phase.
    heads: Arc<Vec<Vec<Head>>>,
    /// The factor of the teachers' shares in each phase; none when validating, which
    /// compares with the labels alone.
    teacher_scales: Option<Arc<[f64]>>,
    normalization: Normalization,
}

impl Source {
    /// The samples of some splits with a target for some head. `heads` are those of each
    /// phase; all phases use the same samples. `teacher_scales` are those of each phase, or
    /// none where the labels alone count.
    pub(crate) fn new(
        datasets: &Arc<Datasets>,
        splits: &[Split],
        heads: &Arc<Vec<Vec<Head>>>,
        teacher_scales: Option<Arc<[f64]>>,
        sampling: &Sampling,
        normalization: &Normalization,
    ) -> Self {
        let (mut samples, mut weights) = (Vec::new(), Vec::new());
        for (data, (config, cache)) in datasets.caches.iter().enumerate() {
            for at in splits.iter().flat_map(|&split| cache.indices(split)) {
                let sample = &cache.samples()[at].sample;
                if datasets.is_useful(&heads[0], data, sample, teacher_scales.is_some()) {
                    samples.push((data, at));
                    let annotation = sample.annotation(sampling.task);
                    let label = annotation.map(|annotation| annotation.mean());
                    weights.push((config.weight, label));
                }
            }
        }
        Self {
            datasets: datasets.clone(),
            samples: Arc::new(samples),
            sampler: Arc::new(EpochSampler::new(&weights, sampling)),
            heads: heads.clone(),
            teacher_scales,
            normalization: *normalization,
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether it has no samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Up to `most` samples, an equal number of each dataset, evenly spread over it.
    pub fn examples(&self, most: usize) -> Vec<usize> {
        let parts = self.samples.chunk_by(|a, b| a.0 == b.0);
        evenly(&parts.map(<[_]>::len).collect::<Vec<_>>(), most)
    }

    /// Number of samples that an epoch of training draws.
    pub fn samples_per_epoch(&self) -> usize {
        self.sampler.len()
    }

    /// The stored crop of sample `index` (0..[`len`](Self::len)).
    ///
    /// # Errors
    /// [`TrainError::Data`], which names the damaged file.
    pub fn crop(&self, index: usize) -> Result<Crop, TrainError> {
        let (data, at) = self.samples[index];
        Ok(self.datasets.caches[data].1.decode(at)?)
    }

    /// The batch of the samples at `indices` (0..[`len`](Self::len)) for a phase. `vary`
    /// makes each crop from its position in the batch, the stored crop and a size; teachers
    /// see the same crop at a size of their own.
    fn batch(
        &self,
        indices: &[usize],
        phase: usize,
        size: usize,
        vary: impl Fn(usize, &Crop, usize) -> Crop,
    ) -> Result<Batch, TrainError> {
        let scale = self.teacher_scales.as_ref().map_or(0.0, |scales| scales[phase]);
        let ensembles = if scale > 0.0 { &self.datasets.ensembles[..] } else { &[] };
        let mut seen = vec![Vec::with_capacity(indices.len()); ensembles.len()];
        let plane = size * size;
        let mut batch = Batch {
            size,
            pixels: vec![0.0; indices.len() * 3 * plane],
            targets: Vec::with_capacity(indices.len()),
        };
        let crops = batch.pixels.chunks_exact_mut(3 * plane);
        for (i, (&index, planes)) in indices.iter().zip(crops).enumerate() {
            let stored = self.crop(index)?;
            normalize(&vary(i, &stored, size), &self.normalization, planes);
            for (crops, ensemble) in seen.iter_mut().zip(ensembles) {
                crops.push(vary(i, &stored, ensemble.size));
            }
        }
        let answers = ensembles.iter().zip(&seen).map(|(ensemble, crops)| ensemble.run(crops));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        for (i, &index) in indices.iter().enumerate() {
            let (data, at) = self.samples[index];
            let sample = &self.datasets.caches[data].1.samples()[at].sample;
            let heads = &self.heads[phase];
            batch.targets.push(self.datasets.targets(heads, data, sample, scale, &answers, i)?);
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
    ) -> Prefetcher<Batch> {
        let steps = plan.steps().saturating_sub(from);
        let (source, plan, augment) = (self.clone(), plan.clone(), augment.clone());
        let make = move || {
            let (source, plan, augment) = (source.clone(), plan.clone(), augment.clone());
            // Each thread computes the order once per epoch.
            let mut epoch = usize::MAX;
            let mut order = Vec::new();
            move |i: usize| {
                let p = plan.at(from + i);
                if p.epoch != epoch {
                    epoch = p.epoch;
                    order = source.sampler.order(seed, epoch);
                }
                let indices = &order[p.step * p.batch..(p.step + 1) * p.batch];
                source.batch(indices, p.phase, p.size, |i, crop, size| {
                    // By position in the epoch, so that a sample that is drawn twice gets
                    // two augmentations.
                    let position = (p.step * p.batch + i) as u64;
                    let mut rng = sample_rng(seed, p.epoch as u64, position);
                    augment.apply(crop, size, &mut rng)
                })
            }
        };
        Prefetcher::start(steps, threads, prefetch, make)
    }

    /// The samples at `indices` for phase `position.phase`, without augmentation.
    ///
    /// # Errors
    /// As [`crop`](Self::crop), or if a label is invalid.
    pub fn plain_batch(&self, indices: &[usize], position: &Position) -> Result<Batch, TrainError> {
        let Position { phase, size, .. } = *position;
        self.batch(indices, phase, size, |_, crop, size| resize(crop, size))
    }

    /// The whole split for phase `position.phase`, in order, without augmentation, in
    /// batches of at most `position.batch`.
    pub fn plain_batches(&self, position: &Position, threads: usize) -> Prefetcher<Batch> {
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
        Prefetcher::start(self.len().div_ceil(batch), threads, 1, make)
    }
}

/// Up to `most` positions in consecutive parts of these lengths.
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
    fn examples_are_spread_over_all_datasets() {
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
