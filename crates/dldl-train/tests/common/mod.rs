//! Shared by the tests of whole trainings: a tiny synthetic dataset, a recipe,
//! and the course of a training without its clock.

#![allow(dead_code, reason = "no test needs all of it")]

use std::path::{Path, PathBuf};

use dldl_data::Augment;
use dldl_train::config::Phase;
use dldl_train::log::{EpochRecord, Record};
use dldl_train::{Progress, RunFolder, TrainConfig};

const SIDE: usize = 48;

/// A BMP of one color with a gradient, the brighter the older.
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
pub fn cache(dir: &Path) -> PathBuf {
    cache_of(dir, "cache", "age", |age| format!("{age}"))
}

/// The same with the values of `columns` made by `row` from the age.
pub fn cache_of(dir: &Path, name: &str, columns: &str, row: impl Fn(usize) -> String) -> PathBuf {
    let root = dir.join("pictures");
    std::fs::create_dir_all(&root).unwrap();
    let mut list = format!("file,{columns},split\n");
    for i in 0..52 {
        let age = 5 + (i * 37) % 86;
        let split = if i < 40 { "train" } else { ["val", "test"][usize::from(i >= 48)] };
        std::fs::write(root.join(format!("{i}.bmp")), picture(age, i)).unwrap();
        list.push_str(&format!("{i}.bmp,{},{split}\n", row(age)));
    }
    let labels = dir.join(format!("{name}.csv"));
    std::fs::write(&labels, list).unwrap();
    let dataset = dldl_data::load("csv", &root, Some(&labels)).unwrap();
    let parameters = dldl_data::Parameters {
        crop_size: SIDE,
        detector: None,
        ..dldl_data::Parameters::default()
    };
    let out = dir.join(name);
    let report = dldl_data::prepare(&dataset, &out, &parameters, 1, &|_| {}).unwrap();
    assert_eq!(report.counts.whole_picture, 52);
    out
}

/// Two phases, a moving average, everything on: 2 * 5 + 2 * 3 steps.
pub fn recipe(cache: &Path, run: PathBuf) -> TrainConfig {
    TrainConfig {
        phases: vec![Phase::new(32, 2, 8), Phase { lr_scale: 0.5, ..Phase::new(64, 2, 12) }],
        augment: Augment { shift: 0.05, zoom: 0.1, ..Augment::paper() },
        learning_rate: 2e-3,
        ema: 0.9,
        log_every: 2,
        ..TrainConfig::new(cache, run)
    }
}

/// Stops a training after some steps.
pub struct StopAfter(pub usize);

impl Progress for StopAfter {
    fn stop(&mut self) -> bool {
        self.0 == 0 || {
            self.0 -= 1;
            false
        }
    }
}

/// The records without times.
pub fn curve(config: &TrainConfig) -> Vec<Record> {
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

pub fn epochs<'a>(records: &'a [Record]) -> Vec<&'a EpochRecord> {
    let epoch = |r: &'a Record| if let Record::Epoch(e) = r { Some(e) } else { None };
    records.iter().filter_map(epoch).collect()
}
