//! Networks and crops with values from formulas, the same as in tools/golden_net.py.

use dldl_label::{LabelSet, Method, Scaling};
use dldl_net::{Crop, ModelInfo, NetSpec, Weights};

/// `count` values in 0..1 with 24 bits: splitmix64 of a counter.
pub fn uniform(stream: u64, count: usize) -> Vec<f64> {
    let number = |i: u64| {
        let mut z = ((stream << 32).wrapping_add(i)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 24)
    };
    (1..=count as u64).map(number).collect()
}

/// A model with weights from the formula.
pub fn model(net: NetSpec, seed: u64) -> Weights {
    let mut tensors = std::collections::BTreeMap::new();
    for (i, (name, shape)) in net.tensors().into_iter().enumerate() {
        let u = uniform(seed * 1000 + i as u64 + 1, shape.iter().product());
        let fan_in: usize = shape[1..].iter().product();
        let bound = (6.0 / fan_in as f64).sqrt();
        let positive =
            name.ends_with("running_var") || (name.starts_with("bn") && name.ends_with(".weight"));
        let value = |u: f64| match (shape.len(), positive) {
            (2.., _) => (2.0 * u - 1.0) * bound,
            (_, true) => 0.5 + u,
            _ => u - 0.5,
        };
        tensors.insert(name, u.into_iter().map(|u| value(u) as f32).collect());
    }
    let method = Method::dldl_v2(1.0, Scaling::PerSample).unwrap();
    let info = ModelInfo::new("by formula", net, LabelSet::age(), method);
    Weights::new(info, tensors).expect("the weights are valid")
}

/// A crop with pixels from the formula.
#[allow(dead_code)] // used by only some of the test crates
pub fn crop(size: usize, seed: u64) -> Crop {
    let rgb = uniform(seed * 1000, 3 * size * size).into_iter().map(|u| (u * 256.0) as u8);
    Crop::new(size, rgb.collect()).expect("the length matches the size")
}
