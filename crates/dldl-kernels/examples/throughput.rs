//! How fast the convolution is on this machine, for a few typical layers, in
//! multiply-accumulates per second on one thread or all:
//! `cargo run --release -p dldl-kernels --example throughput`

use dldl_kernels::{Conv2d, Level};
use std::time::Instant;

fn main() {
    println!("{:?}", Level::detect());
    for (cin, cout, size) in
        [(3, 10, 1000), (3, 32, 224), (32, 32, 224), (64, 64, 112), (256, 256, 14)]
    {
        let conv = Conv2d::new(&vec![0.01; cout * cin * 9], &vec![0.0; cout], cout, cin, 3, 1);
        let input = vec![1.0; cin * size * size];
        let seconds = (0..9)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(conv.forward(&input, size, size));
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        let macs = (cin * cout * 9 * size * size) as f64;
        println!(
            "{cin:3} -> {cout:3} at {size:4}: {:7.2} ms, {:6.1} GMAC/s",
            seconds * 1e3,
            macs / seconds / 1e9
        );
    }
}
