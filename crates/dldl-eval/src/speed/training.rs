//! How fast a network trains: forward, loss, backward and optimizer on noise, without
//! reading data.

use std::fmt;
use std::time::{Duration, Instant};

use dldl_label::{Label, LabelSet, Method};
use dldl_net::NetSpec;
use dldl_train::config::{DeviceKind, OptimizerConfig};
use dldl_train::{
    Criterion, Head, ImageBatch, Learner, LearningRates, Objective, Target, Targets, TrainError,
    learner,
};
use serde::Serialize;

use super::Milliseconds;
use super::clock::{Stopwatch, process_peak_bytes};

/// Settings of a training speed measurement.
#[derive(Clone, Copy, Debug)]
pub struct TrainingSpeedOptions {
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Pictures per step.
    pub batch: usize,
    /// Number of CPU threads.
    pub threads: usize,
    /// The device to train on.
    pub device: DeviceKind,
    /// Timed steps, after a few for warming up.
    pub runs: usize,
}

/// Shares of the time of a step; the sum is 1.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Phases {
    /// From pictures to logits.
    pub forward: f64,
    /// The loss and its gradient.
    pub loss: f64,
    /// From there to the gradients of all weights.
    pub backward: f64,
    /// The Adam update.
    pub optimizer: f64,
}

/// The result of a training speed measurement.
#[derive(Clone, Debug, Serialize)]
pub struct TrainingSpeed {
    /// The network's name.
    pub model: String,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Pictures per step.
    pub batch: usize,
    /// Number of CPU threads.
    pub threads: usize,
    /// The device.
    pub device: DeviceKind,
    /// The vector instructions of the CPU.
    pub isa: &'static str,
    /// Number of timed steps.
    pub runs: usize,
    /// Number of trainable parameters.
    pub params: usize,
    /// CPU time of a step, over all threads.
    pub cpu_ms: Milliseconds,
    /// Wall-clock time of a step.
    pub wall_ms: Milliseconds,
    /// Pictures divided by the median wall-clock time.
    pub images_per_second: f64,
    /// Pictures divided by the median CPU time; none on other devices.
    pub images_per_second_per_core: Option<f64>,
    /// Shares of the wall-clock time. On a GPU, work that is still running at the end of
    /// a phase counts for the next.
    pub phases: Phases,
    /// Peak memory of the process, if the system reports it.
    pub peak_bytes: Option<u64>,
}

/// Steps before timing, to map memory and warm up caches and clocks.
const WARM_UP: usize = 2;

/// Measures the training speed of a network on noise, by DLDL-v2 with Adam.
///
/// # Errors
/// If this build cannot use the device, the device cannot train the network, or the
/// network does not take pictures that small.
///
/// # Panics
/// If `batch`, `threads` or `runs` is 0.
pub fn training_speed(
    net: &NetSpec,
    options: &TrainingSpeedOptions,
) -> Result<TrainingSpeed, TrainError> {
    let TrainingSpeedOptions { size, batch, threads, device, runs } = *options;
    assert!(batch > 0 && threads > 0 && runs > 0, "speed: nothing to measure");
    let step = net.size_step();
    if size < step {
        return Err(TrainError::Config(format!("size {size} is less than {step}")));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| TrainError::Config(format!("{threads} threads: {e}")))?;
    let labels = LabelSet::age();
    let method: Method = "dldl-v2".parse().expect("its name is known");
    let targets: Vec<Targets> = (0..batch).map(|i| target(&method, &labels, i)).collect();
    let objective = Objective::Labels { method, labels };
    let criterion = Criterion::new(vec![Head { name: "age".into(), objective, weight: 1.0 }]);
    let mut spec = net.clone();
    spec.outputs = criterion.outputs();
    let pixels = noise(batch * 3 * size * size);
    let images = ImageBatch { pixels: &pixels, count: batch, size };
    let mut watch = Stopwatch::new(runs);
    let mut spent = [Duration::ZERO; 4];
    pool.install(|| {
        let mut learner = learner(device, &spec, 1, &OptimizerConfig::default(), false)?;
        for run in 0..WARM_UP + runs {
            watch.start();
            let phases = one_step(&mut *learner, images, &criterion, &targets)?;
            if run >= WARM_UP {
                watch.stop();
                spent.iter_mut().zip(phases).for_each(|(sum, phase)| *sum += phase);
            }
        }
        Ok::<_, TrainError>(())
    })?;
    let times = watch.times();
    let whole: Duration = spent.iter().sum();
    let [forward, loss, backward, optimizer] =
        spent.map(|phase| phase.as_secs_f64() / whole.as_secs_f64());
    let scale = 1e3 * batch as f64;
    Ok(TrainingSpeed {
        model: spec.name(),
        size,
        batch,
        threads,
        device,
        isa: dldl_net::Level::detect().name(),
        runs,
        params: spec.parameter_count(),
        cpu_ms: times.cpu,
        wall_ms: times.wall,
        images_per_second: scale / times.wall.median,
        images_per_second_per_core: (device == DeviceKind::Cpu).then_some(scale / times.cpu.median),
        phases: Phases { forward, loss, backward, optimizer },
        peak_bytes: process_peak_bytes(),
    })
}

/// Runs one step and returns the time of each phase.
fn one_step(
    learner: &mut dyn Learner,
    images: ImageBatch,
    criterion: &Criterion,
    targets: &[Targets],
) -> Result<[Duration; 4], TrainError> {
    let counts = criterion.counts(targets);
    let begun = Instant::now();
    let mut of_loss = (begun, begun);
    let mut loss = |logits: &[f32]| {
        let entered = Instant::now();
        let (_, gradient) = criterion.loss(logits, targets, &counts)?;
        of_loss = (entered, Instant::now());
        Ok(gradient)
    };
    learner.accumulate_gradients(images, false, &mut loss)?;
    let learned = Instant::now();
    learner.optimizer_step(LearningRates { trunk: 1e-3, head: 1e-3 });
    Ok([of_loss.0 - begun, of_loss.1 - of_loss.0, learned - of_loss.1, learned.elapsed()])
}

/// A target age between 10 and 80.
fn target(method: &Method, labels: &LabelSet, i: usize) -> Targets {
    let mean = 10.0 + (i * 13 % 71) as f64;
    let label = Label { mean, sigma: 2.0 };
    let target = method.encode(labels, &label).expect("the label is within the set");
    vec![Some(Target::Label { target, mean })]
}

/// Values like those of normalized pictures, between -2 and 2.
fn noise(count: usize) -> Vec<f32> {
    (0..count as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 16384.0 - 2.0)
        .collect()
}

impl TrainingSpeed {
    /// As JSON, indented.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }
}

impl fmt::Display for TrainingSpeed {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { model, size, batch, threads, isa, runs, .. } = self;
        let device = serde_json::to_value(self.device).expect("plain data");
        let (device, plural) =
            (device.as_str().unwrap_or_default(), if *threads == 1 { "" } else { "s" });
        writeln!(
            f,
            "training {model}, {size} x {size} pixels, batch {batch}, on {device} ({isa}, {threads} \
             thread{plural}), {runs} steps\n"
        )?;
        writeln!(f, "              median       min")?;
        for (name, time) in [("CPU time", self.cpu_ms), ("wall clock", self.wall_ms)] {
            writeln!(f, "{name:10} {:9.1} {:9.1}  ms per step", time.median, time.min)?;
        }
        write!(f, "\n{:.1} pictures per second", self.images_per_second)?;
        if let Some(rate) = self.images_per_second_per_core {
            write!(f, ", {rate:.1} per second and core")?;
        }
        let Phases { forward, loss, backward, optimizer } = self.phases;
        let [forward, loss, backward, optimizer] =
            [forward, loss, backward, optimizer].map(|share| 100.0 * share);
        writeln!(
            f,
            "\nforward {forward:.1} %, loss {loss:.1} %, backward {backward:.1} %, optimizer \
             {optimizer:.1} %"
        )?;
        if let Some(peak) = self.peak_bytes {
            writeln!(f, "process peak {:.0} MB", peak as f64 / 1e6)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_is_timed() {
        let net = NetSpec::tiny_age(101);
        let options = TrainingSpeedOptions {
            size: 48,
            batch: 2,
            threads: 1,
            device: DeviceKind::Cpu,
            runs: 2,
        };
        let speed = training_speed(&net, &options).unwrap();
        let Phases { forward, loss, backward, optimizer } = speed.phases;
        assert!((forward + loss + backward + optimizer - 1.0).abs() < 1e-9);
        assert!(forward > 0.0 && backward > 0.0 && speed.images_per_second_per_core > Some(0.0));
        let json: serde_json::Value = serde_json::from_str(&speed.to_json()).unwrap();
        assert_eq!(json["device"], "cpu");
        let small = TrainingSpeedOptions { size: 31, ..options };
        assert!(training_speed(&net, &small).unwrap_err().to_string().contains("31"));
    }
}
