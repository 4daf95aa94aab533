//! Packs a dataset into a cache, in parallel and resumable. The files of a cache are
//! described in [`crate::cache`]; the work on a single picture is in
//! [`crate::crop_builder`].

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cached_sample::CachedSample;
use crate::crop_builder::{CropBuilder, CropResult};
use crate::hash::fnv1a;
use crate::manifest::{Counts, Finished, MANIFEST, Manifest, Shard, VERSION, compare, write_json};
use crate::shard::{self, Member, Writer};
use crate::{DataError, Dataset, Parameters, Part, Problem, Sample, Split, threads};

/// The file name of the report.
pub(crate) const REPORT: &str = "report.json";
/// Pictures per thread between two writes: few enough that the finished crops (about
/// 30 kB each) need little memory, enough that threads seldom wait for the slowest.
const BATCH: usize = 32;

/// The progress of a preparation or check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Processed samples, including those of earlier runs.
    pub done: usize,
    /// All samples, of the dataset or of the part.
    pub total: usize,
}

/// The outcome of a preparation, also written to `report.json` in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`Dataset::name`].
    pub dataset: String,
    /// How many samples were aligned, taken whole, or failed.
    pub counts: Counts,
    /// Pictures that could not be read, and why, in the order of the shards.
    pub failed: Vec<Problem>,
    /// Pictures without a detected face, in the order of the shards.
    pub whole_picture: Vec<String>,
    /// [`Dataset::problems`]: broken entries.
    pub problems: Vec<Problem>,
    /// [`Dataset::left_out`]: valid entries that are excluded on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Problem>,
    /// How many samples were already in the cache.
    #[serde(skip)]
    pub kept: usize,
}

impl Report {
    /// The report of two consecutive parts.
    pub(crate) fn followed_by(mut self, next: Self) -> Self {
        self.counts.aligned += next.counts.aligned;
        self.counts.whole_picture += next.counts.whole_picture;
        self.counts.failed += next.counts.failed;
        self.failed.extend(next.failed);
        self.whole_picture.extend(next.whole_picture);
        self
    }
}

/// Packs a dataset into the cache folder `out`, with up to `threads` threads (0: one per
/// processor). `progress` is called from these threads after each picture.
///
/// The files are the same byte for byte for any number of threads, and after an
/// interruption at any point: a rerun keeps complete samples, truncates an incomplete one,
/// and continues there. It also retries failed pictures.
///
/// # Errors
/// [`DataError::Empty`] without samples; [`DataError::OtherCache`] if `out` is a cache of
/// other samples or with other parameters; [`DataError::CropSize`], [`DataError::JpegQuality`] or
/// [`DataError::ShardSamples`] if a parameter is out of range; [`DataError::Locked`] if
/// another process is preparing the cache; [`DataError::Io`] if it cannot be written. A
/// picture that cannot be read is not an error: see [`Report::failed`].
pub fn prepare(
    dataset: &Dataset,
    out: &Path,
    parameters: &Parameters,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, DataError> {
    prepare_part(dataset, out, parameters, None, threads, progress)
}

/// Packs one part of a dataset's shards, for several machines that prepare the parts in folders
/// of their own; [`crate::merge()`] joins them.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_part(
    dataset: &Dataset,
    out: &Path,
    parameters: &Parameters,
    part: Option<Part>,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, DataError> {
    parameters.check()?;
    if dataset.samples.is_empty() {
        let (dataset, problems) = (dataset.name.clone(), Problem::summary(&dataset.problems));
        return Err(DataError::Empty { dataset, problems });
    }
    let pool = threads::pool(threads)?;
    std::fs::create_dir_all(out).map_err(DataError::io(out))?;
    let _lock = lock(out)?;
    let mut manifest = Manifest {
        version: VERSION,
        dataset: dataset.name.clone(),
        protocol: dataset.protocol.clone(),
        samples: dataset.samples.len(),
        samples_hash: hash(&dataset.samples),
        parameters: parameters.clone(),
        part,
        finished: None,
    };
    let finished = compare(out, &manifest)?;
    if !finished {
        write_json(&out.join(MANIFEST), &manifest)?;
    }
    let mut plans = Vec::new();
    for split in Split::ALL {
        let members: Vec<usize> =
            (0..dataset.samples.len()).filter(|&i| dataset.samples[i].split == split).collect();
        for (number, plan) in members.chunks(parameters.shard_samples).enumerate() {
            plans.push((format!("{split}-{number:05}.tar"), split, plan.to_vec()));
        }
    }
    if let Some(part) = part {
        plans = plans.drain(part.range(plans.len())).collect();
    }
    let mut run = Run {
        dataset,
        out,
        crops: CropBuilder::new(&dataset.root, parameters),
        pool,
        done: AtomicUsize::new(0),
        total: plans.iter().map(|(_, _, plan)| plan.len()).sum(),
        progress,
        finished,
        report: Report {
            dataset: dataset.name.clone(),
            counts: Counts::default(),
            failed: Vec::new(),
            whole_picture: Vec::new(),
            problems: dataset.problems.clone(),
            left_out: dataset.left_out.clone(),
            kept: 0,
        },
    };
    let mut shards = Vec::new();
    for (name, split, plan) in plans {
        shards.push(run.shard(&name, split, &plan, &manifest)?);
    }
    let report = run.report;
    manifest.finished = Some(Finished { counts: report.counts, shards });
    write_json(&out.join(REPORT), &report)?;
    write_json(&out.join(MANIFEST), &manifest)?;
    Ok(report)
}

/// Locks the cache against other processes. The operating system releases the lock when
/// the file is closed, also after a crash.
pub(crate) fn lock(out: &Path) -> Result<File, DataError> {
    let path = out.join(".lock");
    let file = File::create(&path).map_err(DataError::io(&path))?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(DataError::Locked { path: out.to_owned() }),
        // Not every file system supports locks.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

fn hash(samples: &[Sample]) -> String {
    let text = serde_json::to_vec(samples).expect("samples are plain data");
    format!("{:016x}", fnv1a(&text))
}

/// The state of a preparation.
struct Run<'a> {
    dataset: &'a Dataset,
    out: &'a Path,
    crops: CropBuilder<'a>,
    pool: rayon::ThreadPool,
    done: AtomicUsize,
    /// The number of samples.
    total: usize,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// Whether the manifest on disk marks the cache as complete.
    finished: bool,
    report: Report,
}

impl Run<'_> {
    /// Completes one shard, starting from what an earlier run left of it. `plan` lists its
    /// samples by their index in the dataset.
    fn shard(
        &mut self,
        name: &str,
        split: Split,
        plan: &[usize],
        manifest: &Manifest,
    ) -> Result<Shard, DataError> {
        let path = self.out.join(name);
        let partial = self.out.join(format!("{name}.partial"));
        let complete = path.exists();
        let (mut kept, intact) = self.kept(if complete { &path } else { &partial }, plan)?;
        // Samples that are missing before the last kept one (in a complete shard:
        // anywhere) have failed. They are retried, to report the reason, and because the
        // picture may have been repaired.
        let tried = match kept.last() {
            _ if complete && intact => plan.len(),
            Some(last) => last.0 + 1,
            None => 0,
        };
        self.count(kept.len());
        let mut gaps: Vec<usize> = (0..tried).collect();
        gaps.retain(|i| kept.binary_search_by_key(i, |k| k.0).is_err());
        let mut failures = Vec::new();
        let mut from = tried;
        for batch in gaps.chunks(self.batch()) {
            let results = self.build(plan, batch);
            for (&place, result) in batch.iter().zip(results) {
                match result {
                    Ok(_) => from = from.min(place),
                    Err(reason) => failures.push((place, reason)),
                }
            }
        }
        // Everything after a repaired picture is rebuilt.
        kept.retain(|k| k.0 < from);
        failures.retain(|f| f.0 < from);
        self.done.store(self.before() + kept.len() + failures.len(), Ordering::Relaxed);
        self.report.kept += kept.len();

        let (samples, bytes) = if complete && intact && from == plan.len() {
            for (_, member) in &kept {
                self.report_sample(&member.sample);
            }
            let bytes = std::fs::metadata(&path).map_err(DataError::io(&path))?.len();
            (kept.len(), bytes)
        } else {
            self.mark_unfinished(manifest)?;
            if complete {
                std::fs::rename(&path, &partial).map_err(DataError::io(&path))?;
            }
            let end = kept.last().map_or(0, |k| k.1.end);
            let mut writer = Writer::open(&partial, end).map_err(DataError::io(&partial))?;
            for (_, member) in &kept {
                self.report_sample(&member.sample);
            }
            let mut samples = kept.len();
            let rest: Vec<usize> = (from..plan.len()).collect();
            for batch in rest.chunks(self.batch()) {
                let results = self.build(plan, batch);
                for (&place, result) in batch.iter().zip(results) {
                    match result {
                        Ok((sample, jpeg)) => {
                            writer.append(&sample, &jpeg).map_err(DataError::io(&partial))?;
                            self.report_sample(&sample);
                            samples += 1;
                        }
                        Err(reason) => failures.push((place, reason)),
                    }
                }
            }
            let bytes = writer.finish().map_err(DataError::io(&partial))?;
            std::fs::rename(&partial, &path).map_err(DataError::io(&path))?;
            (samples, bytes)
        };
        self.report.counts.failed += failures.len();
        self.report.failed.extend(failures.into_iter().map(|(place, reason)| Problem {
            file: self.dataset.samples[plan[place]].file.clone(),
            reason,
        }));
        Ok(Shard { file: name.to_owned(), split, samples, bytes })
    }

    /// The samples in the file of a shard that are complete and in order, with their
    /// positions in `plan`, and whether the file contains nothing else.
    fn kept(&self, path: &Path, plan: &[usize]) -> Result<(Vec<(usize, Member)>, bool), DataError> {
        if !path.exists() {
            return Ok((Vec::new(), false));
        }
        let scan = shard::scan(path, true).map_err(DataError::io(path))?;
        let mut intact = scan.torn.is_none();
        let mut kept: Vec<(usize, Member)> = Vec::new();
        for member in scan.members {
            let place = member.sample.key.parse().ok().and_then(|i| plan.binary_search(&i).ok());
            let expected = place.filter(|&p| {
                kept.last().is_none_or(|k| k.0 < p)
                    && self.dataset.samples[plan[p]] == member.sample.sample
            });
            let Some(place) = expected else {
                intact = false;
                break;
            };
            kept.push((place, member));
        }
        Ok((kept, intact))
    }

    /// Builds the samples at these positions of `plan`, in parallel.
    fn build(&self, plan: &[usize], places: &[usize]) -> Vec<CropResult> {
        self.pool.install(|| {
            places
                .par_iter()
                .map(|&place| {
                    let index = plan[place];
                    let result = self.crops.build(index, &self.dataset.samples[index]);
                    self.count(1);
                    result
                })
                .collect()
        })
    }

    fn batch(&self) -> usize {
        BATCH * self.pool.current_num_threads()
    }

    fn count(&self, samples: usize) {
        let done = self.done.fetch_add(samples, Ordering::Relaxed) + samples;
        (self.progress)(Progress { done, total: self.total });
    }

    /// Processed samples in the shards before this one.
    fn before(&self) -> usize {
        let counts = self.report.counts;
        counts.aligned + counts.whole_picture + counts.failed
    }

    fn report_sample(&mut self, sample: &CachedSample) {
        if sample.aligned {
            self.report.counts.aligned += 1;
        } else {
            self.report.counts.whole_picture += 1;
            self.report.whole_picture.push(sample.sample.file.clone());
        }
    }

    /// Marks the cache as incomplete on disk, before the first shard is changed.
    fn mark_unfinished(&mut self, manifest: &Manifest) -> Result<(), DataError> {
        if self.finished {
            write_json(&self.out.join(MANIFEST), manifest)?;
            self.finished = false;
        }
        Ok(())
    }
}
