//! Whole trainings on a tiny synthetic dataset: they learn, leave their files
//! behind, go on after an interruption as if there had been none, and do not
//! depend on the number of loader threads.

use std::path::{Path, PathBuf};

use dldl_data::Augment;
use dldl_label::LabelSet;
use dldl_net::Weights;
use dldl_train::config::Phase;
use dldl_train::log::{EpochRecord, Record};
use dldl_train::{Progress, RunFolder, Start, TrainConfig, TrainError, checkpoint, resume, train};

const SIDE: usize = 48;

/// A BMP of one colour with a gradient, the brighter the older.
fn picture(age: usize, variant: usize) -> Vec<u8> {
    let pixels = 3 * SIDE * SIDE;
    let mut out = b"BM".to_vec();
    out.extend(((54 + pixels) as u32).to_le_bytes());
    out.extend([0; 4]);
    out.extend(54u32.to_le_bytes());
    out.extend(40u32.to_le_bytes());
    out.extend((SIDE as u32).to_le_bytes());
    out.extend((SIDE as u32).to_le_bytes());
    out.extend([1, 0, 24, 0]);
    out.extend([0; 4]);
    out.extend((pixels as u32).to_le_bytes());
    out.extend([0; 16]);
    for y in 0..SIDE {
        for x in 0..SIDE {
            let base = 2 * age + 10 + (x * (variant % 3) + y * (variant % 2)) / 4;
            out.extend([base as u8, (base / 2) as u8, (255 - base) as u8]);
        }
    }
    out
}

/// A cache of 40 training, 8 validation and 4 test pictures, ages 5 to 90.
fn cache(dir: &Path) -> PathBuf {
    let root = dir.join("pictures");
    std::fs::create_dir_all(&root).unwrap();
    let mut list = String::from("file,age,split\n");
    for i in 0..52 {
        let age = 5 + (i * 37) % 86;
        let split = if i < 40 { "train" } else { ["val", "test"][usize::from(i >= 48)] };
        std::fs::write(root.join(format!("{i}.bmp")), picture(age, i)).unwrap();
        list.push_str(&format!("{i}.bmp,{age},{split}\n"));
    }
    let labels = dir.join("labels.csv");
    std::fs::write(&labels, list).unwrap();
    let dataset = dldl_data::load("csv", &root, Some(&labels)).unwrap();
    let parameters = dldl_data::Parameters {
        crop_size: SIDE,
        detector: None,
        ..dldl_data::Parameters::default()
    };
    let out = dir.join("cache");
    let report = dldl_data::prepare(&dataset, &out, &parameters, 1, &|_| {}).unwrap();
    assert_eq!(report.counts.whole_picture, 52);
    out
}

/// Two phases, a moving average, everything on: 2 * 5 + 2 * 3 steps.
fn recipe(cache: &Path, run: PathBuf) -> TrainConfig {
    TrainConfig {
        phases: vec![
            Phase { size: 32, epochs: 2, batch: 8, lr_scale: 1.0 },
            Phase { size: 64, epochs: 2, batch: 12, lr_scale: 0.5 },
        ],
        augment: Augment { shift: 0.05, zoom: 0.1, ..Augment::paper() },
        learning_rate: 2e-3,
        ema: 0.9,
        log_every: 2,
        ..TrainConfig::new(cache, run)
    }
}

/// Stops a training after some steps.
struct StopAfter(usize);

impl Progress for StopAfter {
    fn stop(&mut self) -> bool {
        self.0 == 0 || {
            self.0 -= 1;
            false
        }
    }
}

/// The records without what a clock says.
fn curve(config: &TrainConfig) -> Vec<Record> {
    let mut records = dldl_train::log::read(&RunFolder::new(&config.run).log()).unwrap();
    for record in &mut records {
        match record {
            Record::Step(s) => (s.images_per_second, s.waiting) = (0.0, 0.0),
            Record::Epoch(e) => {
                (e.images_per_second, e.waiting) = (0.0, 0.0);
                (e.train_seconds, e.val_seconds, e.seconds) = (0.0, 0.0, 0.0);
            }
        }
    }
    records
}

fn epochs<'a>(records: &'a [Record]) -> Vec<&'a EpochRecord> {
    let epoch = |r: &'a Record| if let Record::Epoch(e) = r { Some(e) } else { None };
    records.iter().filter_map(epoch).collect()
}

#[test]
fn an_interrupted_training_ends_as_an_uninterrupted_one() {
    let dir = tempfile::tempdir().unwrap();
    let cache = cache(dir.path());
    let whole = recipe(&cache, dir.path().join("whole"));
    let summary = train(whole.clone(), &mut ()).unwrap();
    assert!(summary.finished);
    assert_eq!(summary.steps, 16);

    // Interrupted within an epoch, at an epoch's end, and within a log interval
    // of the second phase; with other threads each time.
    let pieces = recipe(&cache, dir.path().join("pieces"));
    let stopped = train(pieces.clone(), &mut StopAfter(3)).unwrap();
    assert!(!stopped.finished && stopped.weights.is_none());
    assert_eq!(stopped.steps, 3);
    assert!(matches!(train(pieces.clone(), &mut ()), Err(TrainError::Checkpoint { .. })));
    for (steps, threads) in [(2, 1), (6, 3)] {
        let config = TrainConfig { loader_threads: threads, ..pieces.clone() };
        resume(config, &mut StopAfter(steps)).unwrap();
    }
    // What a crash wrote to the log after the last checkpoint is said again.
    let log = RunFolder::new(&pieces.run).log();
    let mut text = std::fs::read_to_string(&log).unwrap();
    text.push_str("{\"kind\":\"step\",\"ste");
    std::fs::write(&log, text).unwrap();
    assert!(resume(pieces.clone(), &mut ()).unwrap().finished);

    assert_eq!(curve(&whole), curve(&pieces));
    let load =
        |config: &TrainConfig| checkpoint::load(&RunFolder::new(&config.run).last()).unwrap();
    assert!(load(&whole).1 == load(&pieces).1, "the tensors differ");

    // A finished training can be resumed, and another recipe cannot.
    assert!(resume(pieces.clone(), &mut ()).unwrap().finished);
    let other = TrainConfig { seed: 9, ..pieces };
    let message = resume(other, &mut ()).unwrap_err().to_string();
    assert!(message.contains("another recipe"), "{message}");
}

#[test]
fn the_moving_average_begins_anew_with_each_phase() {
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
fn the_run_folder_holds_what_was_promised() {
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
    assert_eq!(TrainConfig::load(&files.config()).unwrap(), config);
    let records = curve(&config);
    let epochs = epochs(&records);
    assert_eq!(
        epochs.iter().map(|e| (e.phase, e.size)).collect::<Vec<_>>(),
        [(1, 32), (1, 32), (2, 64), (2, 64)]
    );
    let best = summary.best.unwrap();
    let maes = epochs.iter().map(|e| e.val_mae.unwrap());
    assert_eq!(best.mae, maes.fold(f64::INFINITY, f64::min));
    let best_size = epochs[best.epoch - 1].size;
    let svg = std::fs::read_to_string(files.chart()).unwrap();
    assert!(svg.contains("64 px") && svg.contains("run"));
    let (state, tensors) = checkpoint::load(&files.best()).unwrap();
    assert_eq!(state.best.unwrap(), best);

    // The exported weights are the moving average of the best epoch, and say
    // where they come from.
    let weights = Weights::load(files.weights_f32()).unwrap();
    assert_eq!(weights.tensor("conv4.weight"), tensors["ema.conv4.weight"].1);
    let info = &weights.info;
    assert_eq!((info.name.as_str(), info.input_size), ("run", best_size));
    assert_eq!((info.figures[0].name.as_str(), info.figures[0].value), ("val MAE", best.mae));
    assert!(info.recipe.contains("learning_rate = 0.002"), "{}", info.recipe);
    let folder = dir.path().to_string_lossy();
    assert!(!info.recipe.contains(&*folder), "a folder of this machine: {}", info.recipe);
    assert_eq!(&Weights::load(files.weights()).unwrap().info, info);
    let size = |path| std::fs::metadata(path).unwrap().len();
    assert!(size(files.weights()) < 2_000_000 && size(files.weights_f32()) > 3_700_000);

    // A training can start from them; a head of another shape starts anew.
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
            labels,
            ema: 0.0,
            ..recipe(&config.cache, dir.path().join(name))
        };
        let mut notes = Notes(Vec::new());
        train(config.clone(), &mut notes).unwrap();
        (checkpoint::load(&RunFolder::new(&config.run).last()).unwrap().1, notes.0)
    };
    let (tensors, notes) = second("same", LabelSet::age());
    assert_eq!(tensors["fc.weight"].1, weights.tensor("fc.weight"));
    assert!(notes.is_empty(), "{notes:?}");
    let (tensors, notes) = second("other", LabelSet::new(0.0, 90.0, 1.0).unwrap());
    assert_eq!(tensors["conv4.weight"].1, weights.tensor("conv4.weight"));
    assert_eq!(tensors["fc.weight"].0, [91, 128]);
    assert!(notes[0].contains("head"), "{notes:?}");
}

#[test]
fn damaged_data_stops_the_training_with_its_name() {
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
fn a_loss_that_is_no_number_is_told() {
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
        phases: vec![Phase { size: 32, epochs: 30, batch: 8, lr_scale: 1.0 }],
        augment: Augment::none(),
        learning_rate: 3e-3,
        ..TrainConfig::new(cache(dir.path()), dir.path().join("run"))
    };
    let best = train(config.clone(), &mut ()).unwrap().best.unwrap();
    let records = curve(&config);
    let epochs = epochs(&records);
    assert!(epochs[29].loss < 0.4 * epochs[0].loss, "{} {}", epochs[0].loss, epochs[29].loss);
    // The median of these ages misses by 20 years or more.
    assert!(best.mae < 10.0, "{best:?}");
}

#[test]
fn a_cache_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig::new(dir.path().join("nowhere"), dir.path().join("run"));
    assert!(train(config, &mut ()).unwrap_err().to_string().contains("nowhere"));
}
