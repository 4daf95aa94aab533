//! From a dataset to its packed cache: decode, detect, align, compress, in
//! parallel and resumable. The cache's files are described in [`crate::cache`].

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use dldl_face::{Detector, DetectorParams, Face, FaceError};
use dldl_net::{Crop, Template};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cache::{CachedSample, Counts, Finished, MANIFEST, Manifest, Shard, VERSION};
use crate::sample::fnv1a;
use crate::shard::{self, Member, Writer};
use crate::{DataError, Dataset, Problem, Sample, Split};

/// The report's file name.
const REPORT: &str = "report.json";
/// Pictures that one thread handles between two writings: few enough that the
/// finished crops (some 30 kB each) take no memory worth naming, enough that
/// threads seldom wait for the slowest.
const BATCH: usize = 32;

/// How crops are made. A cache is made with one set of parameters only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Side of the crops in pixels; 224 by default, the network's largest input.
    pub crop_size: usize,
    /// Where the landmarks are put.
    pub template: Template,
    /// The detector's settings; none to take all pictures whole.
    #[serde(with = "detector")]
    pub detector: Option<DetectorParams>,
    /// JPEG quality, 1..=100; 95 by default, without chroma subsampling.
    pub jpeg_quality: u8,
    /// Samples of the dataset that one shard covers; 1000 by default, some 30 MB.
    pub shard_samples: usize,
}

/// The detector's settings as JSON; `dldl-face` itself knows no file formats
/// but those of pictures.
mod detector {
    use dldl_face::DetectorParams;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "DetectorParams", deny_unknown_fields)]
    struct Fields {
        min_face: f32,
        factor: f32,
        thresholds: [f32; 3],
        max_short_side: usize,
        max_candidates: usize,
    }

    #[derive(Serialize, Deserialize)]
    struct Whole(#[serde(with = "Fields")] DetectorParams);

    pub(super) fn serialize<S: Serializer>(
        value: &Option<DetectorParams>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Whole).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DetectorParams>, D::Error> {
        Ok(Option::<Whole>::deserialize(from)?.map(|whole| whole.0))
    }
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            crop_size: 224,
            template: Template::default_face(),
            detector: Some(DetectorParams::default()),
            jpeg_quality: 95,
            shard_samples: 1000,
        }
    }
}

/// How far a preparation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Samples dealt with, those of earlier runs included.
    pub done: usize,
    /// Samples in the dataset.
    pub total: usize,
}

/// What became of a dataset, also written to `report.json` beside the shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// [`Dataset::name`].
    pub dataset: String,
    /// How many samples were aligned, taken whole, or failed.
    pub counts: Counts,
    /// The pictures that could not be read, and why, in the dataset's order.
    pub failed: Vec<Problem>,
    /// The pictures without a detected face, in the dataset's order.
    pub whole_picture: Vec<String>,
    /// [`Dataset::problems`]: entries that are no samples.
    pub problems: Vec<Problem>,
    /// How many samples were found finished by an earlier run.
    #[serde(skip)]
    pub kept: usize,
}

/// Which of several faces a labelled picture is about: the one with the
/// largest area times nearness, where nearness falls from 1 at the picture's
/// centre linearly to 0 at its corners. So a large face in the middle wins over
/// a somewhat larger one at the border, but a speck in the middle over none.
pub fn main_face(faces: &[Face], width: usize, height: usize) -> Option<usize> {
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    let score = |face: &Face| {
        let [x, y, w, h] = face.bbox;
        let distance = (x + w / 2.0 - cx).hypot(y + h / 2.0 - cy);
        w * h * (1.0 - distance / cx.hypot(cy)).max(0.0)
    };
    (0..faces.len()).max_by(|&a, &b| score(&faces[a]).total_cmp(&score(&faces[b])))
}

/// Packs a dataset into the cache folder `out`, with `threads` threads (0: as
/// many as there are processors). `progress` is called from those threads after
/// each picture.
///
/// The files come out byte for byte the same whatever the number of threads,
/// and whether or not the run was interrupted, at whatever point: finished
/// samples are kept, a torn one is cut off, and the run goes on there. Pictures
/// that failed are tried again.
///
/// # Errors
/// [`DataError::OtherCache`] if `out` holds a cache of other samples or with
/// other parameters, [`DataError::Parameter`] if a parameter is out of range,
/// [`DataError::Io`] if the cache cannot be written or another run is writing
/// it. A picture that cannot be read is no error: see [`Report::failed`].
pub fn prepare(
    dataset: &Dataset,
    out: &Path,
    parameters: &Parameters,
    threads: usize,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, DataError> {
    check(parameters)?;
    std::fs::create_dir_all(out).map_err(DataError::io(out))?;
    let _lock = lock(out)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| DataError::Parameter(format!("{threads} threads: {e}")))?;
    let mut manifest = Manifest {
        version: VERSION,
        dataset: dataset.name.clone(),
        samples: dataset.samples.len(),
        samples_hash: hash(&dataset.samples),
        parameters: parameters.clone(),
        finished: None,
    };
    let finished = compare(out, &manifest)?;
    if !finished {
        write_json(&out.join(MANIFEST), &manifest)?;
    }
    let mut run = Run {
        dataset,
        out,
        maker: Maker {
            root: &dataset.root,
            parameters,
            detector: parameters.detector.map(Detector::new),
        },
        pool,
        done: AtomicUsize::new(0),
        progress,
        finished,
        report: Report {
            dataset: dataset.name.clone(),
            counts: Counts::default(),
            failed: Vec::new(),
            whole_picture: Vec::new(),
            problems: dataset.problems.clone(),
            kept: 0,
        },
    };
    let mut shards = Vec::new();
    for split in Split::ALL {
        let members: Vec<usize> =
            (0..dataset.samples.len()).filter(|&i| dataset.samples[i].split == split).collect();
        for (number, plan) in members.chunks(parameters.shard_samples).enumerate() {
            let name = format!("{split}-{number:05}.tar");
            shards.push(run.shard(&name, split, plan, &manifest)?);
        }
    }
    let report = run.report;
    manifest.finished = Some(Finished { counts: report.counts, shards });
    write_json(&out.join(REPORT), &report)?;
    write_json(&out.join(MANIFEST), &manifest)?;
    Ok(report)
}

fn check(parameters: &Parameters) -> Result<(), DataError> {
    let refuse = |what: &str| Err(DataError::Parameter(what.to_owned()));
    if !(16..=4096).contains(&parameters.crop_size) {
        return refuse("the crop size must be within 16..=4096 pixels");
    }
    if !(1..=100).contains(&parameters.jpeg_quality) {
        return refuse("the JPEG quality must be within 1..=100");
    }
    if parameters.shard_samples == 0 {
        return refuse("a shard needs at least one sample");
    }
    Ok(())
}

/// Keeps two runs from writing the same cache; given back when dropped, by the
/// operating system if need be.
fn lock(out: &Path) -> Result<File, DataError> {
    let path = out.join(".lock");
    let file = File::create(&path).map_err(DataError::io(&path))?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            let source = std::io::Error::other("another run is writing this cache");
            Err(DataError::Io { path: out.to_owned(), source })
        }
        // Not every file system has locks: go on without.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(file),
    }
}

fn hash(samples: &[Sample]) -> String {
    let text = serde_json::to_vec(samples).expect("samples are plain data");
    format!("{:016x}", fnv1a(&text))
}

/// Looks for a manifest in `out`: whether there is one of a finished cache.
/// Refuses one that was made otherwise than `wanted`, and shards without any.
fn compare(out: &Path, wanted: &Manifest) -> Result<bool, DataError> {
    let path = out.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            for entry in std::fs::read_dir(out).map_err(DataError::io(out))? {
                let found = entry.map_err(DataError::io(out))?.path();
                if found.extension().is_some_and(|e| e == "tar" || e == "partial") {
                    let reason = format!("missing, though there is {}", found.display());
                    return Err(DataError::corrupt(&path, reason));
                }
            }
            return Ok(false);
        }
        Err(e) => return Err(DataError::io(&path)(e)),
    };
    let mut found: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| DataError::corrupt(&path, format!("not a cache's manifest: {e}")))?;
    let finished = found["finished"].take();
    // By way of text, as the one found: a value made directly holds single
    // precision numbers with all their double precision digits.
    let wanted = serde_json::to_string(wanted).expect("a manifest is plain data");
    let wanted = serde_json::from_str(&wanted).expect("JSON that was just written");
    let mut what = Vec::new();
    differences("", &found, &wanted, &mut what);
    if what.is_empty() {
        return Ok(!finished.is_null());
    }
    Err(DataError::OtherCache { path, what: what.join(", ") })
}

/// Names the fields in which two JSON values differ.
fn differences(
    name: &str,
    found: &serde_json::Value,
    wanted: &serde_json::Value,
    out: &mut Vec<String>,
) {
    use serde_json::Value::Object;
    if let (Object(a), Object(b)) = (found, wanted) {
        let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
        for key in keys {
            let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            differences(&inner, &found[key], &wanted[key], out);
        }
    } else if found != wanted {
        out.push(format!("{name}: {found} there, {wanted} asked for"));
    }
}

/// Writes a file so that it is either there whole or as it was before.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data");
    text.push(b'\n');
    let temporary = path.with_extension("json.new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(DataError::io(path))
}

/// A picture made into a sample, or why not.
type Made = Result<(CachedSample, Vec<u8>), String>;

/// Makes crops of pictures; the same for all threads.
struct Maker<'a> {
    root: &'a Path,
    parameters: &'a Parameters,
    detector: Option<Detector>,
}

impl Maker<'_> {
    fn make(&self, index: usize, sample: &Sample) -> Made {
        // A decoder that panics on one broken file must not end the run, which
        // would meet the same file again each time it is resumed.
        catch_unwind(AssertUnwindSafe(|| self.try_make(index, sample)))
            .unwrap_or_else(|_| Err("the picture made the program panic".to_owned()))
    }

    fn try_make(&self, index: usize, sample: &Sample) -> Made {
        let picture =
            dldl_face::decode_file(&self.root.join(&sample.file)).map_err(|e| match e {
                FaceError::InFile { error, .. } => error.to_string(),
                other => other.to_string(),
            })?;
        let faces = self.detector.as_ref().map_or_else(Vec::new, |d| d.detect(&picture));
        let face = main_face(&faces, picture.width, picture.height).map(|i| &faces[i]);
        let size = self.parameters.crop_size;
        let crop = match face {
            Some(face) => {
                dldl_face::align(&picture, &face.landmarks, &self.parameters.template, size)
            }
            None => dldl_face::whole_picture(&picture, size),
        };
        let jpeg = encode(&crop, self.parameters.jpeg_quality)?;
        let cached = CachedSample {
            key: format!("{index:08}"),
            sample: sample.clone(),
            aligned: face.is_some(),
            faces: faces.len(),
            bbox: face.map(|f| f.bbox),
            score: face.map(|f| f.score),
            landmarks: face.map(|f| f.landmarks),
            picture: [picture.width, picture.height],
            jpeg_crc32: crc32fast::hash(&jpeg),
        };
        Ok((cached, jpeg))
    }
}

/// JPEG without chroma subsampling.
fn encode(crop: &Crop, quality: u8) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::R_4_4_4);
    let side = u16::try_from(crop.size).map_err(|e| e.to_string())?;
    encoder
        .encode(&crop.rgb, side, side, jpeg_encoder::ColorType::Rgb)
        .map_err(|e| format!("the crop cannot be compressed: {e}"))?;
    Ok(bytes)
}

/// One preparation on its way.
struct Run<'a> {
    dataset: &'a Dataset,
    out: &'a Path,
    maker: Maker<'a>,
    pool: rayon::ThreadPool,
    done: AtomicUsize,
    progress: &'a (dyn Fn(Progress) + Sync),
    /// Whether the manifest on disk says that the cache is finished.
    finished: bool,
    report: Report,
}

impl Run<'_> {
    /// Brings one shard to its end, from whatever an earlier run left of it.
    /// `plan` holds the samples it covers, by their position in the dataset.
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
        // Samples before the last kept one (in a complete shard: all) that are
        // not there have failed. They are tried again: for the reason, and
        // because the file may have been mended.
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
            let made = self.make(plan, batch);
            for (&place, result) in batch.iter().zip(made) {
                match result {
                    Ok(_) => from = from.min(place),
                    Err(reason) => failures.push((place, reason)),
                }
            }
        }
        // What follows a mended picture is made anew, in its place.
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
                let made = self.make(plan, batch);
                for (&place, result) in batch.iter().zip(made) {
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

    /// The samples in a shard's file that are whole and in their place, with
    /// their positions in `plan`, and whether nothing else is in the file.
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

    /// Makes the samples at these positions of `plan`, in parallel.
    fn make(&self, plan: &[usize], places: &[usize]) -> Vec<Made> {
        self.pool.install(|| {
            places
                .par_iter()
                .map(|&place| {
                    let index = plan[place];
                    let made = self.maker.make(index, &self.dataset.samples[index]);
                    self.count(1);
                    made
                })
                .collect()
        })
    }

    fn batch(&self) -> usize {
        BATCH * self.pool.current_num_threads()
    }

    fn count(&self, samples: usize) {
        let done = self.done.fetch_add(samples, Ordering::Relaxed) + samples;
        (self.progress)(Progress { done, total: self.dataset.samples.len() });
    }

    /// Samples dealt with in the shards before this one.
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

    /// Takes back the manifest's word that the cache is finished, before the
    /// first shard is touched.
    fn mark_unfinished(&mut self, manifest: &Manifest) -> Result<(), DataError> {
        if self.finished {
            write_json(&self.out.join(MANIFEST), manifest)?;
            self.finished = false;
        }
        Ok(())
    }
}
