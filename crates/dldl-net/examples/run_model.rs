//! Loads a weights file, runs it on a crop and prints estimate and time.
//!
//!     cargo run --release -p dldl-net --example run_model -- MODEL.safetensors
//!
//! Without a file it runs both networks of the paper with constant weights: the ages
//! are meaningless then, the times are not.

use std::time::Instant;

use dldl_label::LabelSet;
use dldl_net::{Crop, Engine, ModelInfo, NetError, NetSpec, Weights};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engines = match std::env::args().nth(1) {
        Some(path) => vec![Engine::load(path)?],
        None => vec![constant(NetSpec::tiny_age(101))?, constant(NetSpec::thin_age(101))?],
    };
    for engine in engines {
        let engine = engine.threads(1)?;
        let size = engine.info().input_size;
        // In practice, `dldl_face::align` extracts the crop from a photograph.
        let crops = [Crop::new(size, vec![128; 3 * size * size])?];
        let estimate = engine.run(&crops)?.remove(0).remove(0);
        let interval = estimate.interval(0.9);

        let seconds = (0..10).map(|_| {
            let start = Instant::now();
            engine.run(&crops).map(|_| start.elapsed().as_secs_f64())
        });
        let fastest = seconds.collect::<Result<Vec<_>, _>>()?.into_iter().fold(f64::MAX, f64::min);
        println!(
            "{}: {:.1} (90 %: {:.0} to {:.0}), {:.1} ms on one thread, {:.1} GMAC/s",
            engine.info().net.name(),
            estimate.value,
            interval.low,
            interval.high,
            fastest * 1e3,
            engine.info().net.macs(size) as f64 / fastest / 1e9,
        );
    }
    Ok(())
}

/// A model with all weights 0.01.
fn constant(net: NetSpec) -> Result<Engine, NetError> {
    let tensors = net.tensors().into_iter();
    let tensors = tensors.map(|(name, shape)| (name, vec![0.01; shape.iter().product()])).collect();
    let info = ModelInfo::new("constant", net, LabelSet::age(), "dldl-v2".parse()?);
    Engine::from_weights(&Weights::new(info, tensors)?)
}
