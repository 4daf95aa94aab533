//! Times the paper's augmentation on one core: microseconds per crop of 224.

use std::hint::black_box;
use std::time::Instant;

use dldl_data::{Augment, resize, sample_rng};
use dldl_net::Crop;

fn main() {
    let crop = Crop { size: 224, rgb: (0..3 * 224 * 224).map(|i| (i * 7 % 256) as u8).collect() };
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
}
