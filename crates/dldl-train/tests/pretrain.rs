//! Whole pretrainings: on who it is, and on a teacher's embeddings, and a
//! training that starts from what is left of one.

mod common;

use std::path::Path;

use common::{cache_of, curve, epochs, recipe};
use dldl_data::Augment;
use dldl_train::config::{HeadConfig, Phase};
use dldl_train::{Progress, RunFolder, TrainConfig, checkpoint, train};

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
fn people_are_told_apart_and_a_training_starts_from_that() {
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
    assert!(notes.0.iter().any(|n| n.contains("head starts anew")), "{:?}", notes.0);
    let (_, learned) = checkpoint::load(&files.best()).unwrap();
    let (_, begun) = checkpoint::load(&RunFolder::new(&second.run).last()).unwrap();
    for name in ["conv0.weight", "conv12.weight", "bn7.running_mean", "bn7.weight"] {
        assert_eq!(begun[name], learned[name], "{name}");
    }
    assert_eq!(begun["fc.weight"].0, [101, 128]);
}

#[test]
fn a_teachers_embeddings_are_learned() {
    let dir = tempfile::tempdir().unwrap();
    // Of 3 numbers, for all pictures but the last.
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
    let (embeddings, names) = (dir.path().join("t.npy"), dir.path().join("t.txt"));
    std::fs::write(&embeddings, npy).unwrap();
    std::fs::write(&names, list).unwrap();
    for loss in ["cosine", "mse"] {
        let head = format!(
            "kind = 'embedding'\nembeddings = '{}'\nlist = '{}'\nloss = '{loss}'\n",
            embeddings.display(),
            names.display()
        );
        let config = pretraining(dir.path(), toml::from_str(&head).unwrap());
        let config = TrainConfig { run: dir.path().join(loss), ..config };
        let summary = train(config.clone(), &mut ()).unwrap();
        let distance = summary.best.unwrap().errors["embedding"];
        assert!(distance < 0.05, "{loss}: {distance}");
        // Nothing of this machine's folders is in the file.
        let trunk = std::fs::read(RunFolder::new(&config.run).trunk()).unwrap();
        let folder = dir.path().to_string_lossy().into_owned();
        assert!(!trunk.windows(folder.len()).any(|w| w == folder.as_bytes()));
    }
}

#[test]
fn people_who_are_nobody_and_labels_beside_them_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = pretraining(dir.path(), HeadConfig::Identity { weight: 1.0 });
    let one = cache_of(dir.path(), "one", "age,identity", |age| format!("{age},me"));
    let mut alone = TrainConfig { run: dir.path().join("alone"), ..config.clone() };
    alone.data[0].cache = one;
    let message = train(alone, &mut ()).unwrap_err().to_string();
    assert!(message.contains("fewer than two people"), "{message}");
}
