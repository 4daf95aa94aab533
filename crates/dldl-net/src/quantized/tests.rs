//! Quantized models compared with their f32 models, on every instruction set, and
//! their files.

use std::collections::HashMap;

use super::*;
use crate::{Crop, Engine, Isa, NetSpec, Pooling};

/// Smooth pictures: noise would exaggerate rounding errors.
fn crops(size: usize, count: usize) -> Vec<Crop> {
    let picture = |n: usize| {
        let value = |i: usize| {
            let (x, y, c) = (i / 3 % size, i / 3 / size, i % 3);
            let wave = ((x * (n + 1)) as f64 / 9.0 + c as f64).sin() * (y as f64 / 7.0).cos();
            (127.0 + 120.0 * wave) as u8
        };
        Crop::new(size, (0..3 * size * size).map(value).collect()).unwrap()
    };
    (0..count).map(picture).collect()
}

fn small(pooling: Pooling) -> Weights {
    let net = NetSpec { stages: vec![vec![8, 20], vec![24], vec![40, 33]], pooling, outputs: 101 };
    let mut weights = Weights::random("small", net).unwrap();
    weights.info.input_size = 32;
    weights
}

#[test]
fn logits_are_close_to_those_of_the_f32_model() {
    for pooling in [Pooling::Hybrid, Pooling::Average] {
        let weights = small(pooling);
        let crops = crops(32, 6);
        let quantized = quantize(&weights, &crops, "waves").unwrap();
        let logits = Engine::from_quantized(&quantized).unwrap().logits(&crops).unwrap();
        let expected = Engine::from_weights(&weights).unwrap().logits(&crops).unwrap();
        let pairs = || logits.iter().flatten().zip(expected.iter().flatten());
        let rms = |of: &dyn Fn((&f32, &f32)) -> f32| {
            (pairs().map(|p| of(p).powi(2)).sum::<f32>() / pairs().count() as f32).sqrt()
        };
        let (error, size) = (rms(&|(a, b)| a - b), rms(&|(_, b)| *b));
        assert!(error < 0.03 * size, "{pooling:?}: {error} of {size}");
        assert!(error > 0.0, "logits are equal: was the model quantized?");
    }
}

#[test]
fn results_are_identical_for_all_instruction_sets_and_thread_counts() {
    let weights = small(Pooling::Hybrid);
    let quantized = quantize(&weights, &crops(32, 2), "waves").unwrap();
    for size in [8, 24, 64] {
        let crops = crops(size, 3);
        let engine = |isa| Engine::with_isa(&quantized, isa).unwrap();
        let expected = engine(Isa::Baseline).threads(1).unwrap().logits(&crops).unwrap();
        for isa in Isa::available() {
            for threads in [1, 2, 3] {
                let got = engine(isa).threads(threads).unwrap().logits(&crops).unwrap();
                assert_eq!(got, expected, "{isa}, {threads} threads, {size} pixels");
            }
        }
    }
}

#[test]
fn the_second_view_is_the_mirrored_crop() {
    let quantized = quantize(&small(Pooling::Hybrid), &crops(32, 2), "waves").unwrap();
    let engine = Engine::from_quantized(&quantized).unwrap();
    let crops = crops(32, 1);
    let mut both = vec![0.0; 2 * 101];
    engine.logits_into(&crops, 2, &mut both).unwrap();
    assert_eq!(both[..101], engine.logits(&crops).unwrap()[0]);
    assert_eq!(both[101..], engine.logits(&[crops[0].flipped()]).unwrap()[0]);
}

#[test]
fn files_round_trip_and_are_marked_as_quantized() {
    let quantized = quantize(&small(Pooling::Average), &crops(32, 2), "2 waves").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small-int8.safetensors");
    quantized.save(&path).unwrap();
    assert_eq!(QuantizedWeights::load(&path).unwrap(), quantized);
    let engine = Engine::load(&path).unwrap();
    let quantization = engine.info().quantization.as_ref().unwrap();
    assert_eq!(quantization.calibration, "2 waves");
    assert_eq!(engine.isa(), Isa::detect().name());
    // The f32 loader rejects it with name and reason.
    let error = Weights::load(&path).unwrap_err();
    assert!(error.to_string().ends_with("small-int8.safetensors"), "{error}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("quantized"), "{source}");
}

#[test]
fn invalid_files_are_rejected() {
    let weights = small(Pooling::Hybrid);
    let good = quantize(&weights, &crops(32, 1), "waves").unwrap();
    let broken = |change: &dyn Fn(&mut QuantizedWeights)| {
        let mut weights = good.clone();
        change(&mut weights);
        QuantizedWeights::from_bytes(&weights.to_bytes().unwrap()).unwrap_err().to_string()
    };
    let error = broken(&|w| w.layers[1].scale[2] = -1.0);
    assert!(error.contains("conv1.scale") && error.contains("-1"), "{error}");
    let error = broken(&|w| w.layers[0].bias[0] = f32::NAN);
    assert!(error.contains("conv0.bias") && error.contains("NaN"), "{error}");
    let error = broken(&|w| w.info.quantization = None);
    assert!(error.contains("not quantized"), "{error}");
    let float = weights.to_bytes(crate::Precision::F16).unwrap();
    assert!(QuantizedWeights::from_bytes(&float).is_err());
    // The same file without a tensor.
    let bytes = good.to_bytes().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let json = serde_json::to_string(&good.info).unwrap();
    let rewritten = |keep: &dyn Fn(&str) -> bool| {
        let views = file.iter().filter(|(name, _)| keep(name));
        let metadata = HashMap::from([(INFO_KEY.to_owned(), json.clone())]);
        let bytes = safetensors::serialize(views, Some(metadata)).unwrap();
        QuantizedWeights::from_bytes(&bytes).map_err(|e| e.to_string())
    };
    assert_eq!(rewritten(&|_| true).unwrap(), good);
    let error = rewritten(&|name| name != "conv2.output_scale").unwrap_err();
    assert!(error.contains("conv2.output_scale") && error.contains("missing"), "{error}");
}

#[test]
fn calibration_needs_crops_of_the_right_size() {
    let weights = small(Pooling::Hybrid);
    assert!(quantize(&weights, &[], "nothing").is_err());
    let error = quantize(&weights, &crops(64, 1), "waves").unwrap_err().to_string();
    assert!(error.contains("64x64") && error.contains("32x32"), "{error}");
}

#[test]
fn models_with_zero_channels_and_dead_layers_can_be_quantized() {
    let mut weights = small(Pooling::Hybrid);
    let dead = weights.info.net.tensors().into_iter().map(|(name, shape)| {
        let mut values = weights.tensor(&name).to_vec();
        match name.as_str() {
            "conv1.weight" => values[..9 * 8].fill(0.0),
            // Nothing passes this layer's ReLU.
            "bn3.weight" => values.fill(0.0),
            "bn3.bias" => values.fill(-1.0),
            _ => assert!(!shape.is_empty()),
        }
        (name, values)
    });
    weights = Weights::new(weights.info.clone(), dead.collect()).unwrap();
    let crops = crops(32, 2);
    let quantized = quantize(&weights, &crops, "waves").unwrap();
    let logits = Engine::from_quantized(&quantized).unwrap().logits(&crops).unwrap();
    let expected = Engine::from_weights(&weights).unwrap().logits(&crops).unwrap();
    for (a, b) in logits.iter().flatten().zip(expected.iter().flatten()) {
        assert!((a - b).abs() < 1e-2, "{a} instead of {b}");
    }
}
