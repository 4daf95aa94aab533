//! The files in `experiments/` and in the documentation resolve, and the rows in
//! `results/` still belong to them.

use std::path::{Path, PathBuf};

use dldl_experiment::{Grid, Spec, Table, read_rows};
use dldl_train::TrainConfig;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files with their numbers of trainings.
const FILES: &[(&str, usize)] = &[
    ("mebeauty", 2 * 3),
    ("paper-augmentation", 3 * 2 * 2),
    ("paper-cfd", 2 * 2 * 5),
    ("paper-chalearn15", 2 * 10),
    ("paper-chalearn16", 2 * 10),
    ("paper-compression", 3 * 5 * 2),
    ("paper-cross-age", 2 * 2),
    ("paper-cross-beauty", 2 * 2),
    ("paper-interval", 3 * 2 * 5),
    ("paper-lambda", 3 * 5),
    ("paper-morph", 2 * 10),
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
fn shipped_files_resolve_and_describe_their_caches() {
    let folder = repository().join("experiments");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    paths.sort();
    let expected: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let found: Vec<&str> =
        paths.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(found, expected);
    for (path, (name, trainings)) in paths.iter().zip(FILES) {
        let grid = Grid::load(path).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((grid.spec.name.as_str(), grid.trials.len()), (*name, *trainings));
        for trial in &grid.trials {
            let roots = trial.tests.iter().filter_map(|test| test.root.as_ref());
            for cache in trial.config.data.iter().map(|data| &data.cache).chain(roots) {
                let described = grid.spec.prepare.iter().any(|p| p.out == *cache);
                assert!(described, "{name}: no [[prepare]] for {}", cache.display());
            }
        }
        for prepare in &grid.spec.prepare {
            let exists = dldl_data::FORMATS.iter().any(|f| f.name == prepare.dataset);
            assert!(exists, "{name}: unknown dataset {}", prepare.dataset);
        }
    }
    let faces = TrainConfig::load_pretraining(&folder.join("pretrain/faces.toml"), &[]).unwrap();
    assert!(faces.is_pretraining());
}

#[test]
fn shipped_results_belong_to_their_files() {
    let mut count = 0;
    for (name, trainings) in FILES {
        let rows = read_rows(&repository().join(format!("results/{name}/rows.jsonl"))).unwrap();
        if rows.is_empty() {
            continue;
        }
        let grid = Grid::load(&repository().join(format!("experiments/{name}.toml"))).unwrap();
        for trial in &grid.trials {
            let settled = rows.iter().any(|row| row.settles(trial));
            assert!(settled, "{name}: no row for {}", trial.name);
        }
        assert_eq!(rows.len(), *trainings);
        let table = Table::new(&grid, &rows);
        assert!(table.lines.iter().all(|line| line.figures[0].is_some()), "{name}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn examples_in_the_documentation_resolve() {
    let docs = include_str!("../../../docs/experiments.md");
    let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for text in blocks {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.toml");
        std::fs::write(&path, text).unwrap();
        assert!(!Grid::load(&path).unwrap().trials.is_empty());
        count += usize::from(Spec::parse(text).is_ok());
    }
    assert_eq!(count, 2);
}
