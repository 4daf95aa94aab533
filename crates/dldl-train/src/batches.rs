//! Batches made ahead of time by other threads: decode, augment, normalise,
//! encode. Which samples and which random numbers a batch gets depends on the
//! seed and its step alone, never on the threads.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use dldl_data::{Augment, Cache, Split, Spread, resize, sample_rng};
use dldl_net::{Crop, Normalisation};
use rand::RngExt;

use crate::error::TrainError;
use crate::learner::Pictures;
use crate::loss::{Goal, Head, Truth, Truths};
use crate::plan::Plan;

/// A batch on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Side of the crops.
    pub size: usize,
    /// Normalised pixels, `[n, 3, size, size]`.
    pub pixels: Vec<f32>,
    /// What the loss compares each sample's logits with.
    pub truths: Vec<Truths>,
}

impl Batch {
    /// The pictures of the samples `range`.
    ///
    /// # Panics
    /// If there are no such samples.
    pub fn pictures(&self, range: Range<usize>) -> Pictures<'_> {
        let one = 3 * self.size * self.size;
        let pixels = &self.pixels[range.start * one..range.end * one];
        Pictures { pixels, count: range.len(), size: self.size }
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
    cache: Arc<Cache>,
    samples: Arc<Vec<usize>>,
    heads: Arc<Vec<Head>>,
    sigma: f64,
    normalisation: Normalisation,
}

impl Source {
    /// The samples of one split of a cache.
    pub fn new(
        cache: &Arc<Cache>,
        split: Split,
        heads: &[Head],
        sigma: f64,
        normalisation: &Normalisation,
    ) -> Self {
        Self {
            cache: cache.clone(),
            samples: Arc::new(cache.indices(split)),
            heads: Arc::new(heads.to_vec()),
            sigma,
            normalisation: *normalisation,
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

    /// The batch of the samples at `indices` (0..[`len`](Self::len)), each crop
    /// made by `vary` from its index and the stored crop.
    fn batch(
        &self,
        indices: &[usize],
        size: usize,
        vary: impl Fn(usize, Crop) -> Crop,
    ) -> Result<Batch, TrainError> {
        let plane = size * size;
        let mut batch = Batch {
            size,
            pixels: vec![0.0; indices.len() * 3 * plane],
            truths: Vec::with_capacity(indices.len()),
        };
        for (&index, planes) in indices.iter().zip(batch.pixels.chunks_exact_mut(3 * plane)) {
            let at = self.samples[index];
            let crop = self.cache.decode(at).map_err(|e| TrainError::Data(e.to_string()))?;
            let crop = vary(index, crop);
            normalise(&crop, &self.normalisation, planes);
            let sample = &self.cache.samples()[at].sample;
            let truths = self.heads.iter().map(|head| {
                let Goal::Labels { method, labels } = &head.goal;
                let Some(rating) = sample.rating(&head.name) else { return Ok(None) };
                let target = rating
                    .distribution(labels, Spread::Given, self.sigma, 0.0)
                    .map(|distribution| method.encode_distribution(&distribution));
                let target = target.map_err(|e| TrainError::Data(format!("{}: {e}", sample.file)));
                let mut target = target?;
                // The mean itself, not that of what is left of the distribution
                // within the labels' range.
                target.expectation = target.expectation.map(|_| rating.mean());
                Ok(Some(Truth::Label { target, mean: rating.mean() }))
            });
            batch.truths.push(truths.collect::<Result<_, TrainError>>()?);
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
                    order = shuffled(source.len(), seed, epoch);
                }
                let indices = &order[p.step * p.batch..(p.step + 1) * p.batch];
                source.batch(indices, p.size, |index, crop| {
                    let mut rng = sample_rng(seed, p.epoch as u64, index as u64);
                    augment.apply(&crop, p.size, &mut rng)
                })
            }
        };
        Ahead::start(steps, threads, prefetch, make)
    }

    /// The whole split at side `size` in its order, unvaried, in batches of at
    /// most `batch`.
    pub fn plain_batches(&self, size: usize, batch: usize, threads: usize) -> Ahead<Batch> {
        let source = self.clone();
        let make = move || {
            let source = source.clone();
            move |i: usize| {
                let end = ((i + 1) * batch).min(source.len());
                let indices: Vec<usize> = (i * batch..end).collect();
                source.batch(&indices, size, |_, crop| resize(&crop, size))
            }
        };
        Ahead::start(self.len().div_ceil(batch), threads, 1, make)
    }
}

/// `planes[c][y][x] = (rgb[y][x][c] / 255 - mean[c]) / std[c]`.
fn normalise(crop: &Crop, normalisation: &Normalisation, planes: &mut [f32]) {
    let plane = crop.size * crop.size;
    for (c, out) in planes.chunks_exact_mut(plane).enumerate() {
        let scale = 1.0 / (255.0 * normalisation.std[c]);
        let shift = normalisation.mean[c] / normalisation.std[c];
        for (out, pixel) in out.iter_mut().zip(crop.rgb.chunks_exact(3)) {
            *out = f32::from(pixel[c]) * scale - shift;
        }
    }
}

/// The order of `count` samples in an epoch (Fisher and Yates).
fn shuffled(count: usize, seed: u64, epoch: usize) -> Vec<usize> {
    // Sample numbers are below `count`: this stream is nobody else's.
    let mut rng = sample_rng(seed, epoch as u64, u64::MAX);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, rng.random_range(0..=last));
    }
    order
}

/// Items `0..count` made in order by several threads, each some items ahead.
/// Thread t makes the items t, t + threads, ...; dropping it ends them.
pub struct Ahead<T> {
    channels: VecDeque<Receiver<Result<T, TrainError>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts the threads, each with its own `make()`. An item that fails is
    /// handed over as an error, and its thread stops.
    fn start<F, G>(count: usize, threads: usize, prefetch: usize, make: G) -> Self
    where
        G: Fn() -> F,
        F: FnMut(usize) -> Result<T, TrainError> + Send + 'static,
    {
        let mut ahead = Self { channels: VecDeque::new(), threads: Vec::new() };
        for t in 0..threads {
            let (sender, receiver) = sync_channel(prefetch);
            let mut make = make();
            ahead.channels.push_back(receiver);
            ahead.threads.push(std::thread::spawn(move || {
                for i in (t..count).step_by(threads) {
                    let item = make(i);
                    let failed = item.is_err();
                    if sender.send(item).is_err() || failed {
                        return;
                    }
                }
            }));
        }
        ahead
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = Result<T, TrainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let channel = self.channels.pop_front()?;
        let item = channel.recv();
        self.channels.push_back(channel);
        match item {
            Ok(item) => Some(item),
            Err(_) => {
                // The thread is done, or it died: then its panic is ours.
                self.channels.clear();
                let mut panicked = false;
                for thread in self.threads.drain(..) {
                    panicked |= thread.join().is_err();
                }
                panicked.then(|| Err(TrainError::Data("a loader thread panicked".into())))
            }
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.channels.clear();
        for thread in self.threads.drain(..) {
            // A panic has been reported by `next` or is of no interest now.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn items_come_in_order_whoever_makes_them() {
        for threads in [1, 3] {
            let make = || {
                |i: usize| {
                    // Later items are done sooner.
                    std::thread::sleep(Duration::from_millis(2 * (7 - i.min(7) as u64)));
                    Ok(i)
                }
            };
            let items: Vec<usize> =
                Ahead::start(10, threads, 2, make).map(|item| item.unwrap()).collect();
            assert_eq!(items, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_failure_comes_at_its_place_and_a_panic_is_told() {
        let make = || {
            |i: usize| match i {
                2 => Err(TrainError::Data("two".into())),
                _ => Ok(i),
            }
        };
        let mut ahead = Ahead::start(5, 2, 1, make);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        assert_eq!(ahead.next().unwrap().unwrap(), 1);
        assert!(ahead.next().unwrap().unwrap_err().to_string().contains("two"));

        let make = || |i: usize| if i == 1 { panic!("on purpose") } else { Ok(i) };
        let mut ahead = Ahead::start(3, 1, 1, make);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        assert!(ahead.next().unwrap().unwrap_err().to_string().contains("panicked"));
        assert!(ahead.next().is_none());
    }

    #[test]
    fn leaving_early_ends_the_threads() {
        let mut ahead = Ahead::start(usize::MAX, 2, 1, || Ok);
        assert_eq!(ahead.next().unwrap().unwrap(), 0);
        drop(ahead); // would not return if a thread went on
    }

    #[test]
    fn every_epoch_has_its_own_order_of_all_samples() {
        let (a, b) = (shuffled(100, 1, 0), shuffled(100, 1, 1));
        assert_ne!(a, b);
        assert_eq!(a, shuffled(100, 1, 0));
        assert_ne!(a, shuffled(100, 2, 0));
        for mut order in [a, b] {
            order.sort_unstable();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn pixels_are_normalised_by_channel_into_planes() {
        let crop = Crop { size: 2, rgb: vec![0, 51, 255, 0, 51, 255, 0, 51, 255, 255, 0, 0] };
        let normalisation = Normalisation { mean: [0.5, 0.1, 0.0], std: [0.5, 0.1, 2.0] };
        let mut planes = [0.0; 12];
        normalise(&crop, &normalisation, &mut planes);
        let expected = [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 0.5, 0.5, 0.5, 0.0];
        for (got, e) in planes.iter().zip(expected) {
            assert!((got - e).abs() < 1e-6, "{planes:?}");
        }
    }
}
