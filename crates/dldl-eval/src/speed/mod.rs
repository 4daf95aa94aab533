//! How fast a model runs: the whole network and layer by layer, compared with the peak of
//! the processor and with larger networks on the same kernels. The comparison with other
//! runtimes is in `benches/compare/`.

mod clock;
mod table;
pub mod training;

use std::slice;

use dldl::{Crop, Engine, ModelInfo, NetError, Weights};
use dldl_net::{NetSpec, ProfileEvent, quantize};
use serde::Serialize;

use clock::{Stopwatch, Times, process_peak_bytes};

/// Settings of a speed measurement.
#[derive(Clone, Copy, Debug)]
pub struct SpeedOptions {
    /// Side of the crops in pixels.
    pub size: usize,
    /// Crops per run.
    pub batch: usize,
    /// Number of threads.
    pub threads: usize,
    /// Timed runs, after a few for warming up.
    pub runs: usize,
    /// Whether to time larger networks as well ([`Speed::efficiency`]).
    pub efficiency: bool,
}

/// Minimum and median time of several runs, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Milliseconds {
    /// The minimum.
    pub min: f64,
    /// The median.
    pub median: f64,
}

/// A layer of the network.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// `input`, `conv0` and so on, `head`; `conv0+conv1` if these are fused.
    pub name: String,
    /// `[channels, height, width]` of the output before pooling.
    pub shape: [usize; 3],
    /// Multiply-accumulates per crop, counted as a direct convolution.
    pub macs: u64,
    /// Median CPU time per crop on one thread, in milliseconds.
    pub cpu_ms: f64,
    /// `2 * macs` divided by the time: above the peak if an algorithm needs fewer
    /// multiplications.
    pub effective_gflops: f64,
    /// `effective_gflops` divided by the measured peak.
    pub peak_share: f64,
}

/// A row of the efficiency table of the paper (specification 5.3).
#[derive(Clone, Debug, Serialize)]
pub struct Efficiency {
    /// Name of the network.
    pub network: String,
    /// Number of trainable parameters.
    pub params: usize,
    /// Multiply-accumulates per crop.
    pub macs: u64,
    /// Size of its weights file, in half precision or quantized.
    pub disk_bytes: usize,
    /// Median CPU time per crop on one thread, in milliseconds.
    pub cpu_ms: f64,
    /// The time relative to the measured model.
    pub factor: f64,
}

/// The result of a speed measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Speed {
    /// The model's name.
    pub model: String,
    /// The network's name.
    pub network: String,
    /// Side of the crops in pixels.
    pub size: usize,
    /// Crops per run.
    pub batch: usize,
    /// Number of threads.
    pub threads: usize,
    /// Number of timed runs.
    pub runs: usize,
    /// The vector instructions in use.
    pub isa: &'static str,
    /// Number of trainable parameters.
    pub params: usize,
    /// Multiply-accumulates per crop, counted as direct convolutions.
    pub macs: u64,
    /// CPU time of a run (all crops of the batch), over all threads.
    pub cpu_ms: Milliseconds,
    /// Wall-clock time of a run.
    pub wall_ms: Milliseconds,
    /// Crops divided by the median wall-clock time.
    pub crops_per_second: f64,
    /// `2 * macs` divided by the median CPU time.
    pub effective_gflops: f64,
    /// Multiply-adds in registers, counted as two operations, in 10^9 per second on one
    /// thread: the upper limit for direct convolution.
    pub peak_gflops: f64,
    /// `effective_gflops` divided by `peak_gflops`.
    pub peak_share: f64,
    /// Peak memory of the process, if the system reports it.
    pub peak_bytes: Option<u64>,
    /// Size of the weights in memory.
    pub weight_bytes: usize,
    /// Size of activations and working memory.
    pub arena_bytes: usize,
    /// Times per layer, for one crop on one thread.
    pub layers: Vec<Layer>,
    /// Comparison with larger networks; empty unless requested.
    pub efficiency: Vec<Efficiency>,
}

/// Networks of the sizes that the paper compares with: VGG-16, and a network of 3x3
/// convolutions with about as many multiply-accumulates (4.05 instead of 4.1 billion) and
/// parameters (20 instead of 25.6 million) as ResNet-50.
fn comparators() -> [(&'static str, NetSpec); 2] {
    let mut resnet = NetSpec::vgg16(1, 1, 101);
    resnet.stages = vec![vec![16], vec![32], vec![48], vec![64], vec![736; 5]];
    [("VGG-16", NetSpec::vgg16(1, 1, 101)), ("of ResNet-50's size", resnet)]
}

/// Measures the speed of a model on crops of noise.
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

/// Runs before timing, to map memory and warm up caches and clocks.
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
    let mut layers = untimed_layers(engine.info(), crop.size());
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
    // The first convolution may be fused with the second.
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
fn untimed_layers(info: &ModelInfo, size: usize) -> Vec<Layer> {
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

/// Times the measured model and larger ones, each for one crop on one thread.
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
            // Of the four values per channel, scale and bias remain.
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

/// The peak rate of f32 multiply-adds on one thread, in 10^9 operations per second.
fn peak_gflops(engine: &Engine, runs: usize) -> f64 {
    const ROUNDS: usize = 100_000;
    let level = engine.level();
    let mut watch = Stopwatch::new(runs);
    for _ in 0..runs {
        let start = clock::thread_cpu();
        std::hint::black_box(dldl_net::multiply_add_burst(level, ROUNDS));
        watch.add(clock::thread_cpu() - start);
    }
    // Interference only makes runs slower, so the minimum time is the peak rate.
    2e-6 * dldl_net::burst_macs(level, ROUNDS) as f64 / watch.times().cpu.min
}

/// A crop of noise, determined by the seed.
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
        let layers = untimed_layers(&weights.info, 224);
        assert_eq!(layers.len(), 15);
        assert_eq!(layers.iter().map(|l| l.macs).sum::<u64>(), net.macs(224));
        assert_eq!(layers[3].shape, [32, 112, 112]);
    }

    #[test]
    fn comparators_have_the_stated_sizes() {
        let [(_, vgg), (_, resnet)] = comparators();
        assert_eq!(vgg.parameter_count(), 14_770_725);
        assert!((3.9e9..4.2e9).contains(&(resnet.macs(224) as f64)));
        assert!((19e6..26e6).contains(&(resnet.parameter_count() as f64)));
    }

    #[test]
    fn measurements_are_consistent() {
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
