//! Shared by the tests of the learners.

use crate::learner::{ImageBatch, Learner, LearningRates};

/// Deterministic numbers between -1 and 1.
pub(crate) fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i + seed) * 7919 % 10007) as f32 / 5000.0 - 1.0).collect()
}

/// A cross entropy with fixed targets, and its gradient.
fn cross_entropy(logits: &[f32], outputs: usize) -> (f64, Vec<f32>) {
    let rows = logits.len() / outputs;
    let (mut loss, mut gradient) = (0.0, Vec::new());
    for (i, row) in logits.chunks(outputs).enumerate() {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let total: f32 = row.iter().map(|x| (x - largest).exp()).sum();
        let target = (i * 5) % outputs;
        loss -= f64::from(row[target] - largest - total.ln()) / rows as f64;
        for (o, x) in row.iter().enumerate() {
            let p = (x - largest).exp() / total - if o == target { 1.0 } else { 0.0 };
            gradient.push(p / rows as f32);
        }
    }
    (loss, gradient)
}

/// A short training on five batches of noise.
#[derive(Clone, Copy)]
pub(crate) struct ShortTraining {
    pub outputs: usize,
    pub size: usize,
    pub count: usize,
    pub rate: f64,
    pub steps: usize,
}

impl ShortTraining {
    /// The losses of its steps.
    pub fn losses(self, learner: &mut dyn Learner) -> Vec<f64> {
        let Self { outputs, size, count, rate, steps } = self;
        let step = |step: usize| {
            let pixels = numbers(count * 3 * size * size, 100 * (step % 5));
            let images = ImageBatch { pixels: &pixels, count, size };
            let mut value = 0.0;
            let mut loss = |logits: &[f32]| {
                let (loss, gradient) = cross_entropy(logits, outputs);
                value = loss;
                Ok(gradient)
            };
            learner.accumulate_gradients(images, false, &mut loss).unwrap();
            learner.optimizer_step(LearningRates { trunk: rate, head: rate });
            learner.update_ema(0.9);
            value
        };
        (0..steps).map(step).collect()
    }
}
