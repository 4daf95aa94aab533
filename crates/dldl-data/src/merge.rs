//! Joins the parts of a cache that several machines prepared ([`crate::prepare_part`]) into one,
//! byte for byte the cache that a single machine would have made.

use std::path::{Path, PathBuf};

use crate::manifest::{Counts, Finished, MANIFEST, Manifest, compare, write_json};
use crate::part::Part;
use crate::prepare::{REPORT, lock};
use crate::{Cache, DataError, Report};

/// Copies the shards of all parts of a cache into the folder `out`, which is created, and writes
/// its manifest and report. After an interruption, call it again.
///
/// # Errors
/// As [`Cache::open`] for each part; [`DataError::Parts`] if one is missing, there twice, not a
/// part, or of another cache; [`DataError::OtherCache`] if `out` is another cache,
/// [`DataError::Locked`] and [`DataError::Io`] as in a preparation.
pub fn merge(parts: &[PathBuf], out: &Path) -> Result<Report, DataError> {
    let wrong = |reason: String| DataError::Parts { reason };
    let mut all = Vec::new();
    for path in parts {
        let manifest = Cache::open(path)?.manifest().clone();
        let part = manifest.part.ok_or_else(|| {
            wrong(format!("{} is a whole cache, not a part of one", path.display()))
        })?;
        all.push((part, path, manifest));
    }
    let numbers: Vec<Part> = all.iter().map(|(part, ..)| *part).collect();
    let order = Part::order(&numbers).map_err(wrong)?;
    let whole = |manifest: &Manifest| Manifest { part: None, finished: None, ..manifest.clone() };
    let mut manifest = whole(&all[order[0]].2);
    if let Some((_, path, _)) = all.iter().find(|(_, _, other)| whole(other) != manifest) {
        let (first, other) = (all[order[0]].1.display(), path.display());
        return Err(wrong(format!("{first} and {other} are parts of different caches")));
    }

    std::fs::create_dir_all(out).map_err(DataError::io(out))?;
    let _lock = lock(out)?;
    compare(out, &manifest)?;
    write_json(&out.join(MANIFEST), &manifest)?;
    let mut finished = Finished { counts: Counts::default(), shards: Vec::new() };
    let mut report: Option<Report> = None;
    for &i in &order {
        let (_, path, part) = &all[i];
        let shards = part.finished.as_ref().map_or(&[][..], |finished| &finished.shards);
        for shard in shards {
            let (from, to) = (path.join(&shard.file), out.join(&shard.file));
            let partial = out.join(format!("{}.partial", shard.file));
            std::fs::copy(&from, &partial).map_err(DataError::io(&from))?;
            std::fs::rename(&partial, &to).map_err(DataError::io(&to))?;
            finished.shards.push(shard.clone());
        }
        let file = path.join(REPORT);
        let text = std::fs::read(&file).map_err(DataError::io(&file))?;
        let next: Report = serde_json::from_slice(&text)
            .map_err(DataError::malformed(&file, "the report of a preparation"))?;
        report = Some(match report {
            None => next,
            Some(so_far) => so_far.followed_by(next),
        });
    }
    let report = report.expect("there is at least one part");
    finished.counts = report.counts;
    manifest.finished = Some(finished);
    write_json(&out.join(REPORT), &report)?;
    write_json(&out.join(MANIFEST), &manifest)?;
    Ok(report)
}
