//! Every method learns, is exported, and is read by the engine.

mod common;

use common::{cache, curve, epochs, recipe};
use dldl_data::Augment;
use dldl_label::Method;
use dldl_net::{Crop, Engine, Weights};
use dldl_train::config::{HeadConfig, Phase, Sigma};
use dldl_train::{RunFolder, TrainConfig, train};

#[test]
fn a_sigma_by_label_is_the_one_at_each_label() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let loss = |name: &str, sigma: Sigma| {
        let mut config = TrainConfig {
            phases: vec![Phase::new(32, 1, 8)],
            ..recipe(&cache, dir.path().join(name))
        };
        let HeadConfig::Labels { sigma: own, .. } = &mut config.heads[0] else { unreachable!() };
        *own = sigma;
        train(config.clone(), &mut ()).unwrap();
        epochs(&curve(&config))[0].loss
    };
    let one = loss("one", Sigma::One(2.0));
    assert_eq!(loss("level", Sigma::ByLabel(vec![[0.0, 2.0], [100.0, 2.0]])), one);
    assert_ne!(loss("rising", Sigma::ByLabel(vec![[0.0, 1.0], [100.0, 6.0]])), one);
}

/// Ages from 5 to 90, evenly: to say 47 always is 21 years off.
const ENOUGH: f64 = 14.0;

#[test]
fn every_method_learns_and_its_model_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    for method in Method::ALL {
        let name = method.name();
        let method = &match *method {
            // With the paper's 1000, a single peak comes first and its place later, after
            // more steps than there are here.
            Method::UnimodalConcentrated { .. } => Method::UnimodalConcentrated { unimodal: 1.0 },
            other => other,
        };
        let mut config = TrainConfig {
            phases: vec![Phase::new(32, 5, 8)],
            augment: Augment::none(),
            ema: 0.0,
            ..recipe(&cache, dir.path().join(name))
        };
        // Each picture four times an epoch: fewer charts are drawn.
        config.data[0].weight = 4.0;
        let HeadConfig::Labels { method: own, .. } = &mut config.heads[0] else { unreachable!() };
        *own = *method;
        let summary = train(config.clone(), &mut ()).unwrap();
        let error = summary.best.unwrap().errors["age"];
        assert!(error < ENOUGH, "{name}: {error} years off");
        let records = curve(&config);
        let epochs = epochs(&records);
        assert!(epochs[4].loss < epochs[0].loss, "{name}");

        let weights = Weights::load(RunFolder::new(&config.run).weights_f32()).unwrap();
        assert_eq!(weights.info.heads[0].method, *method);
        if method.shares_weights() {
            let rows: Vec<&[f32]> = weights.tensor("fc.weight").chunks(128).collect();
            assert!(rows.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
            let biases = weights.tensor("fc.bias");
            assert!(biases.iter().any(|b| b != &biases[0]), "{name}");
        }
        let engine = Engine::from_weights(&weights).unwrap();
        let crop = Crop::new(32, vec![120; 3 * 32 * 32]).unwrap();
        let seen = engine.run(&[crop]).unwrap().remove(0);
        assert!((0.0..=100.0).contains(&seen[0].value), "{name}");
    }
}
