//! One training step on the CPU's own kernels against Burn's operations, side by
//! side: `paths [SIZE] [BATCH] [STEPS]`. Prints the medians of the step's wall time.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use dldl_net::NetSpec;
use dldl_train::model::AgeNet;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse().expect("a number"));
    let size: usize = numbers.next().unwrap_or(64);
    let batch: usize = numbers.next().unwrap_or(64);
    let steps: usize = numbers.next().unwrap_or(7);
    let device = Device::flex().autodiff();
    let fast = AgeNet::new(&NetSpec::tiny_age(101), 1, &device);
    let nets = [("own kernels", fast.clone()), ("Burn's", fast.on_burns_operations())];
    let mut times = [Vec::new(), Vec::new()];
    // Alternating, so that what else the machine does meets both.
    for _ in 0..steps {
        for ((_, net), times) in nets.iter().zip(&mut times) {
            let x = Tensor::random([batch, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
            let start = Instant::now();
            let loss = net.forward(x, true).powi_scalar(2).mean();
            let _gradients = loss.backward();
            times.push(start.elapsed().as_secs_f64());
        }
    }
    for ((name, _), times) in nets.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!(
            "{name:>12}: {:6.0} ms a step, {:5.0} images/s (TinyAgeNet, {size} px, batch {batch})",
            1e3 * median,
            batch as f64 / median
        );
    }
}
