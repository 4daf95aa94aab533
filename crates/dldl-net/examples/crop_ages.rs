//! Prints the age of each crop in a stream of raw pixels, with all digits. It is the
//! reference for other runtimes (`tools/check_onnx.py`), independent of image decoders.
//!
//!     cargo run --release -p dldl-net --example crop_ages -- MODEL SIZE < crops.rgb
//!
//! Standard input is a sequence of crops of SIZE x SIZE pixels, RGB with a byte per
//! channel, rows from the top. Flip fusion is off.

use std::io::{Read, Write};

use dldl_net::{Crop, Engine, NetError};

/// Crops per batch: enough for all threads, with little memory.
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
