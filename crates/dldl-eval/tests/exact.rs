//! The engine against the plain scalar reference, on real crops: the same ages
//! to a thousandth of a year, on every level of vector instructions.

use std::path::PathBuf;

use dldl::{Crop, Engine, Weights, decode_file, models};
use dldl_data::Split;
use dldl_face::whole_picture;
use dldl_kernels::reference;
use dldl_net::Level;
use rayon::prelude::*;

/// The network in naive loops: convolution, batch norm and ReLU one after the
/// other, nothing folded. The expectation of the first head's distribution.
fn reference_age(weights: &Weights, crop: &Crop) -> f64 {
    let info = &weights.info;
    let (mut side, mut inputs) = (crop.size(), 3);
    let normal = &info.normalization;
    let mut x: Vec<f32> = (0..3)
        .flat_map(|c| crop.rgb().iter().skip(c).step_by(3).map(move |&v| (c, f32::from(v) / 255.0)))
        .map(|(c, v)| (v - normal.mean[c]) / normal.std[c])
        .collect();
    for (i, (outputs, pool)) in info.net.layers().into_iter().enumerate() {
        let kernels = weights.tensor(&format!("conv{i}.weight"));
        x = reference::conv2d(&x, kernels, &vec![0.0; outputs], inputs, side, side, 3, 1);
        let norm = |part: &str| weights.tensor(&format!("bn{i}.{part}"));
        let (gamma, beta) = (norm("weight"), norm("bias"));
        let (mean, var) = (norm("running_mean"), norm("running_var"));
        for (c, plane) in x.chunks_mut(side * side).enumerate() {
            let scale = f64::from(gamma[c]) / (f64::from(var[c]) + dldl_net::BN_EPSILON).sqrt();
            for v in plane {
                let value = (f64::from(*v) - f64::from(mean[c])) * scale + f64::from(beta[c]);
                *v = value.max(0.0) as f32;
            }
        }
        if pool {
            x = reference::max_pool(&x, outputs, side, side, 2, 2, side / 2, side / 2);
            side /= 2;
        }
        inputs = outputs;
    }
    let mean = |plane: &[f32]| plane.iter().sum::<f32>() / plane.len() as f32;
    let features: Vec<f32> = x.chunks(side * side).map(mean).collect();
    let logits =
        reference::linear(&features, weights.tensor("fc.weight"), weights.tensor("fc.bias"));
    let (head, outputs) = (&info.heads[0], info.output_ranges().remove(0));
    head.decode(&logits[outputs]).unwrap().expectation()
}

/// The first pictures of UTKFace's test split; none if it is not present.
fn pictures(count: usize) -> Vec<PathBuf> {
    let Some(root) = dldl_testdata::dataset("utkface") else { return Vec::new() };
    let dataset = dldl_data::load("utkface", &root, None).unwrap();
    let test = dataset.samples.into_iter().filter(|s| s.split == Split::Test);
    test.map(|s| dataset.root.join(s.file)).take(count).collect()
}

fn compare(count: usize) {
    let mut weights = models::weights(dldl::DEFAULT_MODEL).unwrap();
    // The network's own estimate.
    weights.info.heads[0].calibration = None;
    let engines: Vec<Engine> = Level::available()
        .into_iter()
        .map(|level| Engine::at_level(&weights, level).unwrap())
        .collect();
    let largest = pictures(count)
        .par_iter()
        .map(|path| {
            let picture = decode_file(path).unwrap();
            let crop = whole_picture(&picture, weights.info.input_size);
            let expected = reference_age(&weights, &crop);
            let difference = |engine: &Engine| {
                let age = engine.run(std::slice::from_ref(&crop)).unwrap()[0][0].value;
                let difference = (age - expected).abs();
                let level = engine.level();
                assert!(difference <= 1e-3, "{}, {level}: {age}, not {expected}", path.display());
                difference
            };
            engines.iter().map(difference).fold(0.0, f64::max)
        })
        .reduce(|| 0.0, f64::max);
    println!("{count} crops, {} levels: {largest:.2e} years at most", engines.len());
}

#[test]
fn ages_are_the_scalar_references() {
    compare(3);
}

#[test]
#[ignore = "minutes of scalar loops"]
fn ages_are_the_scalar_references_on_a_thousand_crops() {
    compare(1000);
}
