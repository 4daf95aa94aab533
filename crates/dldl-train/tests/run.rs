//! Whole trainings on a tiny synthetic dataset: they learn, write their files, continue
//! after interruptions bit for bit, and do not depend on the number of loader threads.

mod common;

use common::{StopAfter, cache, curve, epochs, recipe};
use dldl_data::Augment;
use dldl_label::LabelSet;
use dldl_net::Weights;
use dldl_train::config::{HeadConfig, Phase};
use dldl_train::log::EpochRecord;
use dldl_train::{
    Progress, RunFolder, Start, TrainConfig, TrainError, Training, checkpoint, resume, train,
};

#[test]
fn an_interrupted_training_gives_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    // One name for both: it is drawn into the pictures.
    let name = "one".to_owned();
    let whole = TrainConfig { name, ..recipe(&cache, dir.path().join("whole")) };
    let summary = train(whole.clone(), &mut ()).unwrap();
    assert!(summary.finished);
    assert_eq!(summary.steps, 16);

    // Interrupted within an epoch, at an epoch's end, and within a log interval
    // of the second phase; with other threads each time.
    let pieces = TrainConfig { run: dir.path().join("pieces"), ..whole.clone() };
    let stopped = train(pieces.clone(), &mut StopAfter(3)).unwrap();
    assert!(!stopped.finished && stopped.weights.is_none());
    assert_eq!(stopped.steps, 3);
    assert!(matches!(train(pieces.clone(), &mut ()), Err(TrainError::RunExists { .. })));
    for (steps, threads) in [(2, 1), (6, 3)] {
        let config = TrainConfig { loader_threads: threads, ..pieces.clone() };
        resume(config, &mut StopAfter(steps)).unwrap();
    }
    // Records after the last checkpoint, cut by a crash, are written again.
    let log = RunFolder::new(&pieces.run).log();
    let mut text = std::fs::read_to_string(&log).unwrap();
    text.push_str("{\"kind\":\"step\",\"ste");
    std::fs::write(&log, text).unwrap();
    assert!(resume(pieces.clone(), &mut ()).unwrap().finished);

    assert_eq!(curve(&whole), curve(&pieces));
    // Times differ, but not the length.
    let events = |config: &TrainConfig| {
        std::fs::metadata(RunFolder::new(&config.run).events()).unwrap().len()
    };
    assert_eq!(events(&whole), events(&pieces));
    let load =
        |config: &TrainConfig| checkpoint::load(&RunFolder::new(&config.run).last()).unwrap();
    assert!(load(&whole).1 == load(&pieces).1, "the tensors differ");

    // A finished training can be resumed, and another recipe cannot.
    assert!(resume(pieces.clone(), &mut ()).unwrap().finished);
    let other = TrainConfig { seed: 9, ..pieces.clone() };
    let message = resume(other, &mut ()).unwrap_err().to_string();
    assert!(message.contains("another recipe"), "{message}");
    // Nor can one with other data.
    let mut other = pieces;
    other.data.push(other.data[0].clone());
    let mut config = checkpoint::load(&RunFolder::new(&other.run).last()).unwrap();
    config.0.config = other.clone();
    checkpoint::save(&RunFolder::new(&other.run).last(), &config.0, &config.1).unwrap();
    let message = resume(other, &mut ()).unwrap_err().to_string();
    assert!(
        message.contains("40 training and 8 val") && message.contains("has 80 and 16"),
        "{message}"
    );
}

#[test]
fn the_moving_average_restarts_with_each_phase() {
    let dir = tempfile::tempdir().unwrap();
    let config = recipe(&cache(dir.path()), dir.path().join("run"));
    let last = RunFolder::new(&config.run).last();
    train(config.clone(), &mut StopAfter(10)).unwrap();
    let tensors = checkpoint::load(&last).unwrap().1;
    assert_ne!(tensors["ema.fc.weight"], tensors["fc.weight"]);
    resume(config, &mut StopAfter(1)).unwrap();
    let tensors = checkpoint::load(&last).unwrap().1;
    assert_eq!(tensors["ema.fc.weight"], tensors["fc.weight"]);
    assert_eq!(tensors["ema.bn7.running_var"], tensors["bn7.running_var"]);
}

#[test]
fn the_run_folder_has_all_files() {
    let dir = tempfile::tempdir().unwrap();
    let config = recipe(&cache(dir.path()), dir.path().join("run"));
    struct Seen(Option<Start>, usize, Vec<EpochRecord>);
    impl Progress for Seen {
        fn start(&mut self, start: &Start) {
            self.0 = Some(start.clone());
        }
        fn step(&mut self, step: &dldl_train::Step) {
            assert!(step.loss.is_finite() && step.lr > 0.0);
            self.1 += 1;
        }
        fn epoch(&mut self, record: &EpochRecord) {
            self.2.push(record.clone());
        }
    }
    let mut seen = Seen(None, 0, Vec::new());
    let summary = train(config.clone(), &mut seen).unwrap();
    let start = seen.0.unwrap();
    assert_eq!((start.epochs, start.steps, start.train, start.val), (4, 16, 40, 8));
    assert_eq!((start.parameters, seen.1, seen.2.len()), (934_869, 16, 4));

    let files = RunFolder::new(&config.run);
    assert_eq!(TrainConfig::load(&files.config(), &[]).unwrap(), config);
    let records = curve(&config);
    let epochs = epochs(&records);
    assert_eq!(
        epochs.iter().map(|e| (e.phase, e.size)).collect::<Vec<_>>(),
        [(1, 32), (1, 32), (2, 64), (2, 64)]
    );
    let best = summary.best.unwrap();
    let maes = epochs.iter().map(|e| e.val_mae.unwrap());
    let mae = best.errors["age"];
    assert_eq!(mae, maes.fold(f64::INFINITY, f64::min));
    let best_size = epochs[best.epoch - 1].size;
    let svg = std::fs::read_to_string(files.chart()).unwrap();
    assert!(svg.contains("64 px") && svg.contains("run"));
    // The chart, and 8 of 8 validation samples in two rows, as bitmaps.
    let dims = |path| {
        let bytes = std::fs::read(path).unwrap();
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        (word(16), word(20))
    };
    let (width, height) = dims(files.chart_png());
    assert!(svg.contains(&format!("width=\"{width}\" height=\"{height}\"")) && width > 800);
    assert_eq!(dims(files.examples()), (12 + 6 * 140, 44 + 2 * 190));
    let (state, tensors) = checkpoint::load(&files.best()).unwrap();
    assert_eq!(state.best.unwrap(), best);

    // The exported weights are the moving average of the best epoch, and say
    // where they come from.
    let weights = Weights::load(files.weights_f32()).unwrap();
    assert_eq!(weights.tensor("conv4.weight"), tensors["ema.conv4.weight"].values);
    let info = &weights.info;
    assert_eq!((info.name.as_str(), info.input_size), ("run", best_size));
    assert_eq!((info.figures[0].name.as_str(), info.figures[0].value), ("val MAE", mae));
    assert!(info.recipe.contains("learning_rate = 0.002"), "{}", info.recipe);
    let folder = dir.path().to_string_lossy();
    assert!(!info.recipe.contains(&*folder), "a folder of this machine: {}", info.recipe);
    assert_eq!(&Weights::load(files.weights()).unwrap().info, info);
    let size = |path| std::fs::metadata(path).unwrap().len();
    assert!(size(files.weights()) < 2_000_000 && size(files.weights_f32()) > 3_700_000);

    // A training can start from them; a head with other labels gets random weights.
    struct Notes(Vec<String>);
    impl Progress for Notes {
        fn note(&mut self, text: &str) {
            self.0.push(text.into());
        }
        fn stop(&mut self) -> bool {
            true
        }
    }
    let second = |name: &str, labels: LabelSet| {
        let config = TrainConfig {
            init: Some(files.weights_f32()),
            ema: 0.0,
            ..recipe(&config.data[0].cache, dir.path().join(name))
        };
        let mut config = config;
        let HeadConfig::Labels { labels: own, .. } = &mut config.heads[0] else {
            panic!("a head of labels")
        };
        *own = labels;
        let mut notes = Notes(Vec::new());
        train(config.clone(), &mut notes).unwrap();
        (checkpoint::load(&RunFolder::new(&config.run).last()).unwrap().1, notes.0)
    };
    let (tensors, notes) = second("same", LabelSet::age());
    assert_eq!(tensors["fc.weight"].values, weights.tensor("fc.weight"));
    assert!(notes.is_empty(), "{notes:?}");
    let (tensors, notes) = second("other", LabelSet::new(0.0, 90.0, 1.0).unwrap());
    assert_eq!(tensors["conv4.weight"].values, weights.tensor("conv4.weight"));
    assert_eq!(tensors["fc.weight"].shape, [91, 128]);
    assert!(notes[0].contains("the head of age starts from random weights"), "{notes:?}");
}

#[test]
fn init_takes_the_name_of_a_built_in_model() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        init: Some("tiny".into()),
        ..recipe(&cache(dir.path()), dir.path().join("run"))
    };
    let error = train(config.clone(), &mut ()).unwrap_err();
    assert!(matches!(&error, TrainError::Io { path, .. } if path.ends_with("tiny")), "{error}");

    let find = |name: &str| dldl::MODELS.iter().find(|m| m.name == name).map(|m| m.bytes);
    let training = Training::new(config.clone()).built_in_models(find);
    training.run(&mut StopAfter(0)).unwrap();
    let tensors = checkpoint::load(&RunFolder::new(&config.run).last()).unwrap().1;
    let tiny = Weights::from_bytes(find("tiny").unwrap()).unwrap();
    assert_eq!(tensors["conv4.weight"].values, tiny.tensor("conv4.weight"));
    // Its first head is that of ages, with the same labels.
    assert_eq!(tensors["fc.bias"].values, tiny.tensor("fc.bias")[..101]);
}

#[test]
fn damaged_data_is_reported_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let config = recipe(&cache, dir.path().join("run"));
    let shard = cache.join("train-00000.tar");
    let mut bytes = std::fs::read(&shard).unwrap();
    // The first member is a JPEG; its bytes come after the tar header.
    bytes[700] ^= 0xff;
    std::fs::write(&shard, bytes).unwrap();
    let message = train(config, &mut ()).unwrap_err().to_string();
    assert!(message.contains("train-00000.tar"), "{message}");
}

#[test]
fn a_diverging_loss_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        TrainConfig { learning_rate: 1e30, ..recipe(&cache(dir.path()), dir.path().join("run")) };
    let error = train(config, &mut ()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
}

#[test]
fn a_training_learns() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        phases: vec![Phase::new(32, 30, 8)],
        augment: Augment::none(),
        learning_rate: 3e-3,
        ..TrainConfig::new(cache(dir.path()), dir.path().join("run"))
    };
    let best = train(config.clone(), &mut ()).unwrap().best.unwrap();
    let records = curve(&config);
    let epochs = epochs(&records);
    assert!(epochs[29].loss < 0.4 * epochs[0].loss, "{} {}", epochs[0].loss, epochs[29].loss);
    // The median of these ages misses by 20 years or more.
    assert!(best.errors["age"] < 10.0, "{best:?}");
}

#[test]
fn a_missing_cache_is_reported_by_path() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig::new(dir.path().join("nowhere"), dir.path().join("run"));
    assert!(train(config, &mut ()).unwrap_err().to_string().contains("nowhere"));
}
