//! The age of each crop in a stream of raw pixels, to the last digit: what other
//! runtimes are compared with (`tools/check_onnx.py`), without a decoder between.
//!
//!     cargo run --release -p dldl-net --example crop_ages -- MODEL SIZE < crops.rgb
//!
//! Standard input holds crops of SIZE x SIZE pixels one after the other, RGB with
//! a byte per channel, rows from the top. There is no flip fusion.

use std::io::{Read, Write};

use dldl_net::{Crop, Engine, NetError};

/// Crops that are run together: enough for all threads, little memory.
const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, size] = &arguments[..] else { return Err("usage: crop_ages MODEL SIZE".into()) };
    let engine = Engine::load(model)?;
    let size: usize = size.parse()?;
    let mut pixels = Vec::new();
    std::io::stdin().read_to_end(&mut pixels)?;
    let crops = pixels.chunks(3 * size * size).map(|rgb| Crop::new(size, rgb.to_vec()));
    let crops = crops.collect::<Result<Vec<_>, NetError>>()?;
    let mut out = std::io::stdout().lock();
    for batch in crops.chunks(BATCH) {
        for estimates in engine.run(batch)? {
            writeln!(out, "{}", estimates[0].value)?;
        }
    }
    Ok(())
}
