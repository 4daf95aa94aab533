//! Times the paper's augmentation on one core, and with `augment_speed CACHE`
//! the reading of a cache: microseconds per crop of 224.

use std::hint::black_box;
use std::time::Instant;

use dldl_data::{Augment, Cache, DataError, resize, sample_rng};
use dldl_net::Crop;

fn main() -> Result<(), DataError> {
    if let Some(dir) = std::env::args_os().nth(1) {
        let start = Instant::now();
        let cache = Cache::open(dir.as_ref())?;
        println!("opened {} samples in {:.0?}", cache.len(), start.elapsed());
        let count = cache.len().min(2000);
        let start = Instant::now();
        for i in 0..count {
            black_box(cache.decode(i)?);
        }
        println!("decode {:.0}", start.elapsed().as_secs_f64() / count as f64 * 1e6);
    }
    let crop = Crop::new(224, (0..3 * 224 * 224).map(|i| (i * 7 % 256) as u8).collect()).unwrap();
    let augment = Augment::paper();
    for size in [64, 96, 128, 160, 224] {
        let count = 1000;
        let start = Instant::now();
        for i in 0..count {
            black_box(augment.apply(black_box(&crop), size, &mut sample_rng(0, 0, i)));
        }
        let varied = start.elapsed().as_secs_f64() / count as f64;
        let start = Instant::now();
        for _ in 0..count {
            black_box(resize(black_box(&crop), size));
        }
        let resized = start.elapsed().as_secs_f64() / count as f64;
        println!("to {size}: augment {:.0}, resize {:.0}", varied * 1e6, resized * 1e6);
    }
    Ok(())
}
