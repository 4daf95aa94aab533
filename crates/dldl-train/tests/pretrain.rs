//! Pretraining on identities and on a teacher's embeddings, and trainings that start from
//! its trunk.

mod common;

use std::path::Path;

use common::{cache_of, curve, epochs, recipe};
use dldl_data::Augment;
use dldl_net::Weights;
use dldl_train::config::{HeadConfig, Phase};
use dldl_train::{Progress, RunFolder, Tensor, TrainConfig, checkpoint, train};

/// People of similar brightness: a person is a dozen of ages.
fn pretraining(dir: &Path, head: HeadConfig) -> TrainConfig {
    let cache = cache_of(dir, "people", "age,identity", |age| format!("{age},p{}", age / 12));
    TrainConfig {
        heads: vec![head],
        phases: vec![Phase::new(32, 20, 8)],
        augment: Augment::none(),
        ema: 0.0,
        ..recipe(&cache, dir.join("pretrain"))
    }
}

struct Notes(Vec<String>);

impl Progress for Notes {
    fn note(&mut self, text: &str) {
        self.0.push(text.into());
    }
    fn stop(&mut self) -> bool {
        true
    }
}

#[test]
fn identities_are_learned_and_a_training_starts_from_the_trunk() {
    let dir = tempfile::tempdir().unwrap();
    let config = pretraining(dir.path(), HeadConfig::Identity { weight: 1.0 });
    let summary = train(config.clone(), &mut ()).unwrap();
    // Eight people: guessing is wrong in seven of eight.
    let wrong = summary.best.unwrap().errors["identity"];
    assert!(wrong <= 0.5, "{wrong}");
    let files = RunFolder::new(&config.run);
    assert_eq!(summary.weights, Some(files.trunk()));
    assert!(!files.weights().exists());
    let records = curve(&config);
    let epochs = epochs(&records);
    assert!(epochs[19].terms["ce"] < 0.5 * epochs[0].terms["ce"]);
    assert!(std::fs::read_to_string(files.chart()).unwrap().contains("identity"));

    let ages = cache_of(dir.path(), "ages", "age", |age| format!("{age}"));
    let second =
        TrainConfig { init: Some(files.trunk()), ..recipe(&ages, dir.path().join("ages-run")) };
    let mut notes = Notes(Vec::new());
    train(second.clone(), &mut notes).unwrap();
    assert!(notes.0.iter().any(|n| n.contains("head starts from random weights")), "{:?}", notes.0);
    let (_, learned) = checkpoint::load(&files.best()).unwrap();
    let (_, begun) = checkpoint::load(&RunFolder::new(&second.run).last()).unwrap();
    for name in ["conv0.weight", "conv12.weight", "bn7.running_mean", "bn7.weight"] {
        assert_eq!(begun[name], learned[name], "{name}");
    }
    assert_eq!(begun["fc.weight"].shape, [101, 128]);
}

/// A head that learns a teacher's embeddings of all pictures but the last: three numbers
/// that turn with the age.
fn teacher(dir: &Path, loss: &str) -> HeadConfig {
    let (mut list, mut rows) = (String::new(), Vec::new());
    for i in 0..51 {
        let angle = (5 + (i * 37) % 86) as f32 / 30.0;
        list += &format!("{i}.bmp\n");
        rows.extend([3.0 * angle.cos(), 3.0 * angle.sin(), 1.0]);
    }
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (51, 3), }";
    let mut npy = b"\x93NUMPY\x01\x00v\x00".to_vec();
    npy.extend(format!("{header:117}\n").as_bytes());
    npy.extend(rows.iter().flat_map(|v: &f32| v.to_le_bytes()));
    let (embeddings, names) = (dir.join("t.npy"), dir.join("t.txt"));
    std::fs::write(&embeddings, npy).unwrap();
    std::fs::write(&names, list).unwrap();
    let head = format!(
        "kind = 'embedding'\nembeddings = '{}'\nlist = '{}'\nloss = '{loss}'\n",
        embeddings.display(),
        names.display()
    );
    toml::from_str(&head).unwrap()
}

#[test]
fn a_teachers_embeddings_are_learned() {
    let dir = tempfile::tempdir().unwrap();
    for loss in ["cosine", "mse"] {
        let config = pretraining(dir.path(), teacher(dir.path(), loss));
        let config = TrainConfig { run: dir.path().join(loss), ..config };
        let summary = train(config.clone(), &mut ()).unwrap();
        let distance = summary.best.unwrap().errors["embedding"];
        assert!(distance < 0.05, "{loss}: {distance}");
        // The file has no paths of this machine.
        let trunk = std::fs::read(RunFolder::new(&config.run).trunk()).unwrap();
        let folder = dir.path().to_string_lossy().into_owned();
        assert!(!trunk.windows(folder.len()).any(|w| w == folder.as_bytes()));
    }
}

#[test]
fn a_single_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = pretraining(dir.path(), HeadConfig::Identity { weight: 1.0 });
    let one = cache_of(dir.path(), "one", "age,identity", |age| format!("{age},me"));
    let mut alone = TrainConfig { run: dir.path().join("alone"), ..config.clone() };
    alone.data[0].cache = one;
    let message = train(alone, &mut ()).unwrap_err().to_string();
    assert!(message.contains("fewer than two people"), "{message}");
}

#[test]
fn embeddings_are_learned_beside_labels_but_not_exported() {
    let dir = tempfile::tempdir().unwrap();
    let ages = cache_of(dir.path(), "ages", "age", |age| format!("{age}"));
    let config = recipe(&ages, dir.path().join("both"));
    let mut heads = config.heads.clone();
    heads.insert(0, teacher(dir.path(), "cosine"));
    let config = TrainConfig { heads, ema: 0.0, ..config };
    let summary = train(config.clone(), &mut ()).unwrap();
    let errors = summary.best.unwrap().errors;
    assert_eq!(errors.keys().collect::<Vec<_>>(), ["age", "embedding"]);
    // The best epoch is chosen by the labels alone.
    let records = curve(&config);
    let best = epochs(&records).iter().map(|e| e.val_mae.unwrap()).fold(f64::INFINITY, f64::min);
    assert_eq!(errors["age"], best);
    let files = RunFolder::new(&config.run);
    let weights = Weights::load(files.weights_f32()).unwrap();
    assert_eq!((weights.info.net.outputs, weights.info.figures.len()), (101, 1));
    let (_, learned) = checkpoint::load(&files.best()).unwrap();
    let Tensor { shape, values } = &learned["fc.weight"];
    assert_eq!(shape, &[104, 128]);
    assert_eq!(weights.tensor("fc.weight"), &values[3 * 128..]);
    assert_eq!(weights.tensor("fc.bias"), &learned["fc.bias"].values[3..]);
}
