//! What must be there before the first training: the caches, which are made where
//! they are missing, and the weights to start from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dldl_data::{Cache, DataError, Parameters, Protocol};

use crate::ExperimentError;
use crate::grid::{Cell, Grid};
use crate::run::{RunOptions, Watch};
use crate::spec::{Prepare, Test};

/// Makes the caches that `cells` need and the file knows how to make, and sees
/// whether all the others are there.
pub fn prepare(
    grid: &Grid,
    cells: &[&Cell],
    options: &RunOptions,
    watch: &mut dyn Watch,
) -> Result<(), ExperimentError> {
    let caches = cells.iter().flat_map(|cell| {
        let learned = cell.config.data.iter().map(|data| data.cache.clone());
        let packed = cell.tests.iter().filter(|test| test.dataset == "cache");
        learned.chain(packed.filter_map(|test| test.root.clone()))
    });
    for cache in caches.collect::<BTreeSet<PathBuf>>() {
        match (Cache::open(&cache), grid.spec.prepare.iter().find(|p| p.out == cache)) {
            (Ok(found), Some(wanted)) => is_as_wanted(&found, wanted)?,
            (Ok(_), None) => {}
            (Err(DataError::Io { .. } | DataError::Unfinished { .. }), Some(wanted)) => {
                make(wanted, options, watch)?;
            }
            (Err(e), _) => {
                let what = format!("{e} (a cache is made by `dldl prepare`, or by [[prepare]])");
                return Err(ExperimentError::Missing(what));
            }
        }
    }
    for cell in cells {
        if let Some(init) = cell.config.init.as_ref().filter(|path| !path.is_file()) {
            let what = format!("{}: the weights to start from are not there", init.display());
            return Err(ExperimentError::Missing(what));
        }
        for test in cell.tests.iter().filter(|test| test.dataset != "cache") {
            let root = dataset_root(test, &options.data);
            if !root.is_dir() {
                let what = format!("{}: the dataset is not there", root.display());
                return Err(ExperimentError::Missing(what));
            }
        }
    }
    Ok(())
}

/// Where a test's dataset lies.
pub fn dataset_root(test: &Test, data: &Path) -> PathBuf {
    match &test.root {
        Some(root) if test.dataset == "cache" => root.clone(),
        Some(root) => data.join(root),
        None => data.join(&test.dataset),
    }
}

/// A cache of this name may have been made from something else.
fn is_as_wanted(found: &Cache, wanted: &Prepare) -> Result<(), ExperimentError> {
    let manifest = found.manifest();
    let (size, detect) = (manifest.parameters.crop_size, manifest.parameters.detector.is_some());
    let says = |dataset: &str, protocol: &Protocol, size, detect| {
        format!("{dataset} ({protocol}) at {size} pixels, faces searched: {detect}")
    };
    let is = says(&manifest.dataset, &manifest.protocol, size, detect);
    // A table of one's own is a dataset of whatever name.
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
    let should = says(dataset, &protocol, wanted.size, wanted.detect);
    if is == should {
        return Ok(());
    }
    let what = format!("{}: the cache is of {is}, not of {should}", wanted.out.display());
    Err(ExperimentError::Missing(what))
}

fn make(
    wanted: &Prepare,
    options: &RunOptions,
    watch: &mut dyn Watch,
) -> Result<(), ExperimentError> {
    let root = wanted.root.as_deref().unwrap_or(Path::new(&wanted.dataset));
    let labels = wanted.labels.as_ref().map(|path| options.data.join(path));
    let missing = |e: DataError| ExperimentError::Missing(e.to_string());
    let (root, labels) = (options.data.join(root), labels.as_deref());
    let dataset = dldl_data::load_with(&wanted.dataset, &root, labels, &wanted.protocol);
    let dataset = dataset.map_err(missing)?;
    let mut parameters = Parameters { crop_size: wanted.size, ..Parameters::default() };
    if !wanted.detect {
        parameters.detector = None;
    }
    watch.note(&format!("preparing {} into {}", dataset.name, wanted.out.display()));
    let shown = watch.preparing(dataset.samples.len());
    let report =
        dldl_data::prepare(&dataset, &wanted.out, &parameters, 0, &*shown).map_err(missing)?;
    drop(shown);
    let (counts, problems) = (report.counts, report.problems.len());
    watch.note(&format!(
        "{}: {} aligned by a face, {} used whole, {} failed, {problems} unusable entries \
         (report.json there)",
        wanted.out.display(),
        counts.aligned,
        counts.whole_picture,
        counts.failed,
    ));
    Ok(())
}
