//! The ready files in `experiments/`, and those of the documentation: each is
//! resolved and checked, training by training.

use std::path::{Path, PathBuf};

use dldl_experiment::{Grid, Spec};
use dldl_train::TrainConfig;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments")
}

/// The files and how many trainings they are.
const FILES: &[(&str, usize)] = &[
    ("mebeauty", 2 * 3),
    ("paper-augmentation", 3 * 2 * 2),
    ("paper-cfd", 2 * 2 * 5),
    ("paper-chalearn15", 2 * 9),
    ("paper-chalearn16", 2 * 9),
    ("paper-compression", 3 * 5 * 2),
    ("paper-cross-age", 2 * 2),
    ("paper-cross-beauty", 2 * 2),
    ("paper-interval", 3 * 2 * 5),
    ("paper-lambda", 3 * 5),
    ("paper-morph", 2 * 9),
    ("paper-pooling", 3 * 2 * 2),
    ("paper-scut-fbp", 2 * 2 * 5),
    ("paper-scut-fbp5500", 2 * 2 * 5),
    ("paper-sigma", 7 * 2),
    ("scut", 2 * 5),
    ("small-interval", 4 * 3),
    ("small-lambda", 5 * 3),
    ("small-mebeauty", 3 * 3),
    ("small-methods", 16 * 3),
    ("small-scut", 2 * 5),
    ("small-tails", 4 * 2),
];

#[test]
fn the_ready_files_resolve() {
    let there = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut there: Vec<PathBuf> = there.filter(|path| path.is_file()).collect();
    there.sort();
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let found: Vec<&str> =
        there.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(found, names);
    for (path, (name, trainings)) in there.iter().zip(FILES) {
        let grid = Grid::load(path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((grid.spec.name.as_str(), grid.cells.len()), (*name, *trainings));
        // Every cache that is learned or measured on can be made.
        for cell in &grid.cells {
            let roots = cell.tests.iter().filter_map(|test| test.root.as_ref());
            for cache in cell.config.data.iter().map(|data| &data.cache).chain(roots) {
                let known = grid.spec.prepare.iter().any(|p| p.out == *cache);
                assert!(known, "{name}: nothing makes {}", cache.display());
            }
        }
        for prepare in &grid.spec.prepare {
            let known = dldl_data::FORMATS.iter().any(|f| f.name == prepare.dataset);
            assert!(known, "{name}: {} is no dataset", prepare.dataset);
        }
    }
    let faces = TrainConfig::load_pretraining(&folder().join("pretrain/faces.toml"), &[]).unwrap();
    assert!(faces.is_pretraining());
}

#[test]
fn the_files_of_the_documentation_are_experiments() {
    let docs = include_str!("../../../docs/experiments.md");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for text in blocks {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.toml");
        std::fs::write(&path, text).unwrap();
        assert!(!Grid::load(&path).unwrap().cells.is_empty());
        count += usize::from(Spec::parse(text).is_ok());
    }
    assert_eq!(count, 2);
}
