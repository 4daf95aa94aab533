//! What the trainings need before the first one starts: caches, which are built if
//! they are missing, initial weights, and datasets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dldl_data::{Cache, DataError, Parameters, Protocol};

use crate::ExperimentError;
use crate::grid::{Grid, Trial};
use crate::run::{Observer, RunOptions, built_in};
use crate::spec::{Prepare, Test};

/// Builds the missing caches of `trials` that the experiment's file describes, and
/// checks that everything else exists.
pub fn prepare(
    grid: &Grid,
    trials: &[&Trial],
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<(), ExperimentError> {
    let caches = trials.iter().flat_map(|trial| {
        let training = trial.config.data.iter().map(|data| data.cache.clone());
        let tests = trial.tests.iter().filter(|test| test.dataset == "cache");
        training.chain(tests.filter_map(|test| test.root.clone()))
    });
    for path in caches.collect::<BTreeSet<PathBuf>>() {
        match (Cache::open(&path), grid.spec.prepare.iter().find(|p| p.out == path)) {
            (Ok(cache), Some(wanted)) => check_contents(&cache, wanted)?,
            (Ok(_), None) => {}
            (Err(DataError::Io { .. } | DataError::Unfinished { .. }), Some(wanted)) => {
                build(wanted, options, observer)?;
            }
            (Err(source), _) => return Err(ExperimentError::Cache { path, source }),
        }
    }
    for trial in trials {
        let missing =
            |path: &&PathBuf| path.to_str().and_then(built_in).is_none() && !path.is_file();
        if let Some(path) = trial.config.init.as_ref().filter(missing) {
            return Err(ExperimentError::MissingWeights { path: path.clone() });
        }
        for test in trial.tests.iter().filter(|test| test.dataset != "cache") {
            let path = dataset_root(test, &options.data);
            if !path.is_dir() {
                return Err(ExperimentError::MissingDataset { path });
            }
        }
    }
    Ok(())
}

/// The folder of a test's dataset.
pub fn dataset_root(test: &Test, data: &Path) -> PathBuf {
    match &test.root {
        Some(root) if test.dataset == "cache" => root.clone(),
        Some(root) => data.join(root),
        None => data.join(&test.dataset),
    }
}

/// Whether an existing cache was built from the data that the file describes.
fn check_contents(cache: &Cache, wanted: &Prepare) -> Result<(), ExperimentError> {
    let manifest = cache.manifest();
    let (size, detect) = (manifest.parameters.crop_size, manifest.parameters.detector.is_some());
    let describe = |dataset: &str, protocol: &Protocol, size, detect| {
        let crops = if detect { "detected faces" } else { "whole pictures" };
        format!("{dataset} ({protocol}), {crops} at {size} pixels")
    };
    let found = describe(&manifest.dataset, &manifest.protocol, size, detect);
    // The name in the manifest of a `csv` dataset is the user's own.
    let dataset: &str = if wanted.dataset == "csv" { &manifest.dataset } else { &wanted.dataset };
    // A published fold is a dataset of its own.
    let fold = match wanted.protocol {
        Protocol::Published { fold: Some(fold) } => {
            dldl_data::format(dataset).ok().and_then(|format| {
                Some((*format.folds.get(fold.checked_sub(1)?)?, Protocol::default()))
            })
        }
        _ => None,
    };
    let (dataset, protocol) = fold.unwrap_or((dataset, wanted.protocol.clone()));
    let expected = describe(dataset, &protocol, wanted.size, wanted.detect);
    if found == expected {
        return Ok(());
    }
    Err(ExperimentError::CacheMismatch { path: wanted.out.clone(), found, expected })
}

fn build(
    wanted: &Prepare,
    options: &RunOptions,
    observer: &mut dyn Observer,
) -> Result<(), ExperimentError> {
    let failed = |source| ExperimentError::Prepare { path: wanted.out.clone(), source };
    let root = options.data.join(wanted.root.as_deref().unwrap_or(Path::new(&wanted.dataset)));
    let labels = wanted.labels.as_ref().map(|path| options.data.join(path));
    let dataset = dldl_data::load_with(&wanted.dataset, &root, labels.as_deref(), &wanted.protocol)
        .map_err(failed)?;
    let mut parameters = Parameters { crop_size: wanted.size, ..Parameters::default() };
    if !wanted.detect {
        parameters.detector = None;
    }
    let out = wanted.out.display();
    observer.note(&format!("preparing {} into {out}", dataset.name));
    let progress = observer.preparing(dataset.samples.len());
    let report =
        dldl_data::prepare(&dataset, &wanted.out, &parameters, 0, &*progress).map_err(failed)?;
    drop(progress);
    let (counts, problems) = (report.counts, report.problems.len());
    observer.note(&format!(
        "{out}: {} aligned faces, {} whole pictures, {} failed, {problems} unusable entries (listed \
         in report.json there)",
        counts.aligned, counts.whole_picture, counts.failed,
    ));
    Ok(())
}
