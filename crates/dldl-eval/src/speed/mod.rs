//! How fast a model runs: the whole network and layer by layer, beside what the
//! processor can do at most and beside larger networks on the same kernels. How
//! well it does what it does is `evaluate`'s business; the comparison with
//! other runtimes is in `benches/compare/`.

mod clock;
mod table;
pub mod training;

use std::slice;

use dldl::{Crop, Engine, ModelInfo, NetError, Weights};
use dldl_net::{NetSpec, ProfileEvent, quantize};
use serde::Serialize;

use clock::{Stopwatch, Times, process_peak_bytes};

/// What is measured, and how often.
#[derive(Clone, Copy, Debug)]
pub struct SpeedOptions {
    /// Side of the crops in pixels.
    pub size: usize,
    /// Crops in a run.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
    /// Runs that are timed, after a few that are not.
    pub runs: usize,
    /// Whether larger networks are timed, too ([`Speed::efficiency`]).
    pub efficiency: bool,
}

/// Smallest and median time of several runs, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Milliseconds {
    /// The fastest.
    pub min: f64,
    /// The middle one.
    pub median: f64,
}

/// A layer of the network.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// `input`, `conv0` and so on, `head`; `conv0+conv1` where they run as one.
    pub name: String,
    /// Channels, height and width of its output before pooling.
    pub shape: [usize; 3],
    /// Multiply-accumulates for one crop, counted as a direct convolution.
    pub macs: u64,
    /// Median CPU time for one crop on one thread, in milliseconds.
    pub cpu_ms: f64,
    /// 2 `macs` by the time: above the peak where fewer multiplications do.
    pub effective_gflops: f64,
    /// `effective_gflops` by the measured peak.
    pub peak_share: f64,
}

/// A row of the paper's table of efficiency (specification 5.3).
#[derive(Clone, Debug, Serialize)]
pub struct Efficiency {
    /// The network.
    pub network: String,
    /// Learnable numbers.
    pub params: usize,
    /// Multiply-accumulates for one crop.
    pub macs: u64,
    /// Size of its weights file: in half precision, or quantized.
    pub disk_bytes: usize,
    /// Median CPU time for one crop on one thread, in milliseconds.
    pub cpu_ms: f64,
    /// How many times as long as the measured model it takes.
    pub factor: f64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The model's name.
    pub model: String,
    /// Its network's.
    pub network: String,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Crops in a run.
    pub batch: usize,
    /// Threads.
    pub threads: usize,
    /// Runs that were timed.
    pub runs: usize,
    /// The vector instructions.
    pub isa: &'static str,
    /// Learnable numbers.
    pub params: usize,
    /// Multiply-accumulates for one crop, counted as direct convolutions.
    pub macs: u64,
    /// CPU time of a run (all crops of the batch), over all threads.
    pub cpu_ms: Milliseconds,
    /// Wall-clock time of a run.
    pub wall_ms: Milliseconds,
    /// Crops by the median wall-clock time.
    pub crops_per_second: f64,
    /// 2 `macs` by the median CPU time.
    pub effective_gflops: f64,
    /// Multiply-adds in registers, counted twice, in 10^9 a second on one
    /// thread: the most that direct convolution could reach.
    pub peak_gflops: f64,
    /// `effective_gflops` by `peak_gflops`.
    pub peak_share: f64,
    /// The most memory that the process had, if the system says so.
    pub peak_bytes: Option<u64>,
    /// The weights as they are kept to run.
    pub weight_bytes: usize,
    /// Activations and working memory.
    pub arena_bytes: usize,
    /// Layer by layer, for one crop on one thread.
    pub layers: Vec<Layer>,
    /// This network beside larger ones; empty if it was not asked for.
    pub efficiency: Vec<Efficiency>,
}

/// Networks that the paper compares with, in size: VGG-16 itself, and 3x3
/// convolutions with about as many multiply-accumulates (4.05 of 4.1 billion)
/// and parameters (20 of 25.6 million) as ResNet-50.
fn comparators() -> [(&'static str, NetSpec); 2] {
    let mut resnet = NetSpec::vgg16(1, 1, 101);
    resnet.stages = vec![vec![16], vec![32], vec![48], vec![64], vec![736; 5]];
    [("VGG-16", NetSpec::vgg16(1, 1, 101)), ("of ResNet-50's size", resnet)]
}

/// Times a model on crops of noise.
///
/// # Errors
/// [`NetError::Crop`] if the network does not take crops of that size, and as
/// [`Engine::threads`].
///
/// # Panics
/// If `batch`, `threads` or `runs` is 0.
pub fn speed(engine: Engine, options: &SpeedOptions) -> Result<Speed, NetError> {
    let SpeedOptions { size, batch, threads, runs, .. } = *options;
    assert!(batch > 0 && threads > 0 && runs > 0, "speed: nothing to measure");
    let engine = engine.flip_fusion(false).threads(threads)?;
    let crops: Vec<Crop> =
        (0..batch).map(|i| noise(size, i as u64)).collect::<Result<_, NetError>>()?;
    let times = time_runs(&engine, &crops, runs)?;
    let info = engine.info();
    let macs = info.net.macs(size);
    let peak = peak_gflops(&engine, runs);
    let layers = time_layers(&engine, &crops[0], runs, peak)?;
    let peak_bytes = process_peak_bytes();
    let rate = 2e-6 * (macs * batch as u64) as f64 / times.cpu.median;
    let mut speed = Speed {
        model: info.name.clone(),
        network: info.net.name(),
        size,
        batch,
        threads,
        runs,
        isa: engine.isa(),
        params: info.net.parameter_count(),
        macs,
        cpu_ms: times.cpu,
        wall_ms: times.wall,
        crops_per_second: 1e3 * batch as f64 / times.wall.median,
        effective_gflops: rate,
        peak_gflops: peak,
        peak_share: rate / peak,
        peak_bytes,
        weight_bytes: engine.weight_bytes(),
        arena_bytes: engine.arena_bytes(),
        layers,
        efficiency: Vec::new(),
    };
    if options.efficiency {
        speed.efficiency = efficiency(&engine, &crops[0], options)?;
    }
    Ok(speed)
}

/// Runs that are not timed: memory is mapped, caches and clocks are warm.
const WARM_UP: usize = 3;

fn time_runs(engine: &Engine, crops: &[Crop], runs: usize) -> Result<Times, NetError> {
    let mut logits = vec![0.0; crops.len() * engine.info().net.outputs()];
    let mut watch = Stopwatch::new(runs);
    for run in 0..WARM_UP + runs {
        watch.start();
        engine.logits_into(crops, 1, &mut logits)?;
        if run >= WARM_UP {
            watch.stop();
        }
    }
    Ok(watch.times())
}

fn time_layers(
    engine: &Engine,
    crop: &Crop,
    runs: usize,
    peak: f64,
) -> Result<Vec<Layer>, NetError> {
    let mut layers = described(engine.info(), crop.size());
    let mut watches = vec![Stopwatch::new(runs); layers.len()];
    let head = layers.len() - 1;
    for run in 0..WARM_UP + runs {
        let mut last = clock::thread_cpu();
        engine.profile(crop, |part| {
            let now = clock::thread_cpu();
            let i = match part {
                ProfileEvent::Input => 0,
                ProfileEvent::Convolution(i) => i + 1,
                ProfileEvent::Head => head,
            };
            if run >= WARM_UP {
                watches[i].add(now - last);
            }
            last = clock::thread_cpu();
        })?;
    }
    // The first convolution may have run as a part of the second.
    if watches[1].is_empty() && layers.len() > 3 {
        let first = layers.remove(1);
        watches.remove(1);
        layers[1].name = format!("{}+{}", first.name, layers[1].name);
        layers[1].macs += first.macs;
    }
    for (layer, watch) in layers.iter_mut().zip(watches) {
        layer.cpu_ms = watch.times().cpu.median;
        layer.effective_gflops = 2e-6 * layer.macs as f64 / layer.cpu_ms;
        layer.peak_share = layer.effective_gflops / peak;
    }
    Ok(layers)
}

/// The layers of a network, without times.
fn described(info: &ModelInfo, size: usize) -> Vec<Layer> {
    let layer = |name: String, shape: [usize; 3], macs: usize| Layer {
        name,
        shape,
        macs: macs as u64,
        cpu_ms: 0.0,
        effective_gflops: 0.0,
        peak_share: 0.0,
    };
    let mut layers = vec![layer("input".into(), [3, size, size], 0)];
    let (mut inputs, mut side) = (3, size);
    for (i, (outputs, pool)) in info.net.layers().into_iter().enumerate() {
        let macs = 9 * inputs * outputs * side * side;
        layers.push(layer(format!("conv{i}"), [outputs, side, side], macs));
        inputs = outputs;
        side /= if pool { 2 } else { 1 };
    }
    let outputs = info.net.outputs();
    layers.push(layer("head".into(), [outputs, 1, 1], inputs * outputs));
    layers
}

/// The measured model and the larger ones, each for one crop on one thread.
fn efficiency(
    engine: &Engine,
    crop: &Crop,
    options: &SpeedOptions,
) -> Result<Vec<Efficiency>, NetError> {
    let quantized = engine.info().quantization.is_some();
    let disk_bytes = |net: &NetSpec| {
        let bytes_each = |name: &str, shape: &[usize]| match (shape.len(), quantized) {
            (1, false) => 4,
            (_, false) => 2,
            (4, true) => 1,
            // Of the four numbers per channel, scale and bias remain.
            (_, true) if name.starts_with("bn") => 2,
            (_, true) => 4,
        };
        let tensors = net.tensors().into_iter();
        tensors.map(|(name, s)| s.iter().product::<usize>() * bytes_each(&name, &s)).sum()
    };
    let runs = options.runs.clamp(1, 10);
    let measured = |name: String, engine: &Engine| {
        let net = &engine.info().net;
        let layers = time_layers(engine, crop, runs, 1.0)?;
        Ok::<_, NetError>(Efficiency {
            network: name,
            params: net.parameter_count(),
            macs: net.macs(crop.size()),
            disk_bytes: disk_bytes(net),
            cpu_ms: layers.iter().map(|l| l.cpu_ms).sum(),
            factor: 1.0,
        })
    };
    let mut rows = vec![measured(engine.info().net.name(), engine)?];
    for (name, net) in comparators() {
        let mut weights = Weights::random(name, net)?;
        weights.info.input_size = crop.size();
        let larger = match quantized {
            true => Engine::from_quantized(&quantize(&weights, slice::from_ref(crop), "noise")?)?,
            false => Engine::at_level(&weights, engine.level())?,
        };
        let mut row = measured(name.into(), &larger)?;
        row.factor = row.cpu_ms / rows[0].cpu_ms;
        rows.push(row);
    }
    Ok(rows)
}

/// The peak of f32 multiply-adds on one thread, in 10^9 operations a second.
fn peak_gflops(engine: &Engine, runs: usize) -> f64 {
    const ROUNDS: usize = 100_000;
    let level = engine.level();
    let mut watch = Stopwatch::new(runs);
    for _ in 0..runs {
        let start = clock::thread_cpu();
        std::hint::black_box(dldl_net::multiply_add_burst(level, ROUNDS));
        watch.add(clock::thread_cpu() - start);
    }
    // The fastest: whatever disturbs makes it slower, and a peak is the most.
    2e-6 * dldl_net::burst_macs(level, ROUNDS) as f64 / watch.times().cpu.min
}

/// A crop of noise, the same one for the same seed.
fn noise(size: usize, seed: u64) -> Result<Crop, NetError> {
    let mut state = seed;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    Crop::new(size, (0..3 * size * size).map(|_| byte()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up_to_the_network() {
        let net = NetSpec::tiny_age(101);
        let weights = Weights::random("tiny", net.clone()).unwrap();
        let layers = described(&weights.info, 224);
        assert_eq!(layers.len(), 15);
        assert_eq!(layers.iter().map(|l| l.macs).sum::<u64>(), net.macs(224));
        assert_eq!(layers[3].shape, [32, 112, 112]);
    }

    #[test]
    fn comparators_are_of_the_size_that_they_say() {
        let [(_, vgg), (_, resnet)] = comparators();
        assert_eq!(vgg.parameter_count(), 14_770_725);
        assert!((3.9e9..4.2e9).contains(&(resnet.macs(224) as f64)));
        assert!((19e6..26e6).contains(&(resnet.parameter_count() as f64)));
    }

    #[test]
    fn what_is_measured_is_consistent() {
        let weights = Weights::random("tiny", NetSpec::vgg16(1, 8, 101)).unwrap();
        let engine = Engine::from_weights(&weights).unwrap();
        let options = SpeedOptions { size: 64, batch: 2, threads: 2, runs: 3, efficiency: false };
        let speed = speed(engine, &options).unwrap();
        assert!(0.0 < speed.cpu_ms.min && speed.cpu_ms.min <= speed.cpu_ms.median);
        assert!(speed.layers.iter().all(|l| l.cpu_ms > 0.0));
        assert!(speed.peak_gflops > 0.1 && speed.weight_bytes > 0 && speed.arena_bytes > 0);
        assert!(speed.to_string().contains("conv12"));
        let json = speed.to_json();
        for key in ["model", "size", "batch", "threads", "isa", "params", "macs", "peak_bytes"] {
            assert!(json.contains(&format!("\"{key}\"")), "{key}");
        }
    }
}
