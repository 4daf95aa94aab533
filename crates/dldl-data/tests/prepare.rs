//! Preparing, interrupting, damaging and reading caches, with synthetic pictures and a
//! few real ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dldl_data::{
    Annotation, Cache, Counts, DataError, Dataset, Parameters, Part, Progress, Report, Sample,
    Split, merge, prepare, prepare_part,
};
use dldl_face::{Detector, DetectorParams, main_face};
use dldl_label::Task;
use dldl_net::Template;
use tempfile::TempDir;

/// A JPEG file of a smooth pattern, without a face.
fn picture(seed: usize) -> Vec<u8> {
    let (w, h) = (60 + seed % 7, 50 + seed % 5);
    let value = |x: usize, y: usize, c: usize| (x * (1 + seed % 3) + y * 2 + c * 40 + seed) as u8;
    let rgb: Vec<u8> = (0..w * h).flat_map(|i| [0, 1, 2].map(|c| value(i % w, i / w, c))).collect();
    dldl_face::encode_jpeg(&rgb, w, h, 90, dldl_face::Chroma::Full).unwrap()
}

fn sample(file: &str, split: Split) -> Sample {
    Sample::new(file, split).with(Task::Age, Annotation::value(30.0))
}

fn dataset(root: &Path, samples: Vec<Sample>) -> Dataset {
    Dataset::new("synthetic", root, samples)
}

/// 40 samples; numbers 3, 17 and 39 cannot be read.
fn synthetic(root: &Path) -> Dataset {
    let samples = (0..40).map(|i| {
        let file = format!("{i}.jpg");
        let bytes = picture(i);
        match i {
            3 => fs::write(root.join(&file), &bytes[..bytes.len() * 9 / 10]).unwrap(),
            17 => {}
            39 => fs::write(root.join(&file), "no picture").unwrap(),
            _ => fs::write(root.join(&file), bytes).unwrap(),
        }
        let split = [Split::Train, Split::Test, Split::Train, Split::Val][i % 4];
        let sample = sample(&file, split);
        let sigma = (i % 2 == 0).then_some(1.0 + i as f64 / 3.0);
        sample.with(Task::Age, Annotation::Value { mean: 30.0, sigma })
    });
    dataset(root, samples.collect())
}

fn small() -> Parameters {
    Parameters { crop_size: 32, shard_samples: 8, ..Parameters::default() }
}

fn make(set: &Dataset, out: &Path, threads: usize) -> Report {
    prepare(set, out, &small(), threads, &|_| {}).unwrap()
}

/// All files of a folder except the lock.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|p| (p.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&p).unwrap()))
        .filter(|(name, _)| name != ".lock")
        .collect()
}

/// The synthetic dataset and its complete cache.
fn finished() -> (TempDir, Dataset, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let set = synthetic(dir.path());
    let out = dir.path().join("cache");
    make(&set, &out, 2);
    (dir, set, out)
}

fn unfinish(out: &Path) {
    let path = out.join("cache.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["finished"] = serde_json::Value::Null;
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn unreadable_pictures_are_counted_and_the_others_kept() {
    let dir = tempfile::tempdir().unwrap();
    let set = synthetic(dir.path());
    let out = dir.path().join("cache");
    let last = AtomicUsize::new(0);
    let report = prepare(&set, &out, &small(), 2, &|p: Progress| {
        assert_eq!(p.total, 40);
        last.fetch_max(p.done, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(last.into_inner(), 40);
    assert_eq!(report.counts, Counts { aligned: 0, whole_picture: 37, failed: 3 });
    assert_eq!(report.kept, 0);
    let mut failed: Vec<(&str, &str)> =
        report.failed.iter().map(|p| (p.file.as_str(), p.reason.as_str())).collect();
    failed.sort();
    assert_eq!(failed.iter().map(|f| f.0).collect::<Vec<_>>(), ["17.jpg", "3.jpg", "39.jpg"]);
    assert!(failed[0].1.contains("cannot be read"), "{failed:?}");
    assert!(failed[1].1.contains("truncated"), "{failed:?}");
    assert!(failed[2].1.contains("not a picture"), "{failed:?}");
    let written: Report =
        serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, report);

    let cache = Cache::open(&out).unwrap();
    assert_eq!(cache.len(), 37);
    assert_eq!(cache.indices(Split::Train).len(), 20);
    assert_eq!(cache.indices(Split::Val).len(), 8);
    assert_eq!(cache.indices(Split::Test).len(), 9);
    for (i, cached) in cache.samples().iter().enumerate() {
        assert_eq!(set.samples[cached.key.parse::<usize>().unwrap()], cached.sample);
        assert!(!cached.aligned && cached.landmarks.is_none());
        let source = dldl_face::decode_file(&dir.path().join(&cached.sample.file)).unwrap();
        assert_eq!(cached.picture, [source.width(), source.height()]);
        // The crop is the same except for JPEG compression.
        let crop = cache.decode(i).unwrap();
        let expected = dldl_face::whole_picture(&source, 32);
        let off: u32 =
            crop.rgb().iter().zip(expected.rgb()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        assert!((off as f64) < 4.0 * crop.rgb().len() as f64, "{off} in all");
    }
}

#[test]
fn files_depend_neither_on_threads_nor_on_reruns() {
    let (dir, set, out) = finished();
    let expected = contents(&out);
    for threads in [1, 3] {
        let other = dir.path().join(format!("cache{threads}"));
        make(&set, &other, threads);
        assert!(contents(&other) == expected, "{threads} threads give another cache");
    }
    let report = make(&set, &out, 2);
    assert_eq!(report.kept, 37);
    assert!(contents(&out) == expected);
}

#[test]
fn a_rerun_continues_after_an_interruption_at_any_byte() {
    let (_dir, set, out) = finished();
    let expected = contents(&out);
    // The 20 training samples are in three shards.
    let second = "train-00001.tar";
    let whole = &expected[second];
    let mut cuts: Vec<usize> = (0..=whole.len()).step_by(379).collect();
    cuts.extend([0, 511, 512, 513, whole.len() - 1024, whole.len() - 1]);
    let mut most = 0;
    for cut in cuts {
        fs::remove_file(out.join("train-00002.tar")).unwrap();
        fs::remove_file(out.join(second)).unwrap();
        fs::write(out.join(format!("{second}.partial")), &whole[..cut]).unwrap();
        unfinish(&out);
        assert!(matches!(Cache::open(&out), Err(DataError::Unfinished { .. })));
        let report = make(&set, &out, 2);
        assert!(contents(&out) == expected, "another cache after a cut at {cut}");
        most = most.max(report.kept);
        // All other complete shards, and the samples before the cut.
        assert!(report.kept >= 37 - 12, "{} kept after a cut at {cut}", report.kept);
    }
    assert_eq!(most, 37 - 4, "a cut at the end loses no sample of the shard");
}

#[test]
fn zeroed_blocks_are_rebuilt() {
    let (_dir, set, out) = finished();
    let expected = contents(&out);
    let name = "test-00000.tar";
    for damage in [0..20_000, 5_000..5_600, 100..110] {
        let mut bytes = expected[name].clone();
        let end = damage.end.min(bytes.len());
        bytes[damage.start..end].fill(0);
        fs::remove_file(out.join(name)).unwrap();
        fs::write(out.join(format!("{name}.partial")), &bytes).unwrap();
        unfinish(&out);
        make(&set, &out, 2);
        assert!(contents(&out) == expected, "{damage:?}");
    }
    // The same with complete shards.
    for damage in [0..20_000, 5_000..5_600] {
        let mut bytes = expected[name].clone();
        let end = damage.end.min(bytes.len());
        bytes[damage.start..end].fill(0);
        fs::write(out.join(name), &bytes).unwrap();
        make(&set, &out, 2);
        assert!(contents(&out) == expected, "{damage:?}");
    }
}

#[test]
fn a_repaired_picture_is_added() {
    let (dir, set, out) = finished();
    fs::write(dir.path().join("17.jpg"), picture(17)).unwrap();
    let report = make(&set, &out, 2);
    assert_eq!(report.counts, Counts { aligned: 0, whole_picture: 38, failed: 2 });
    let fresh = dir.path().join("fresh");
    make(&set, &fresh, 2);
    assert!(contents(&out) == contents(&fresh));
}

#[test]
fn a_cache_with_other_samples_or_parameters_is_refused() {
    let (_dir, mut set, out) = finished();
    let before = contents(&out);
    let other = Parameters { jpeg_quality: 90, detector: None, ..small() };
    let message = prepare(&set, &out, &other, 1, &|_| {}).unwrap_err().to_string();
    assert!(message.contains("cache.json"), "{message}");
    assert!(
        message.contains("parameters.jpeg_quality: 95 in the cache, 90 requested"),
        "{message}"
    );
    assert!(message.contains("parameters.detector"), "{message}");
    set.samples[0] = set.samples[0].clone().with(Task::Age, Annotation::value(31.0));
    let error = prepare(&set, &out, &small(), 1, &|_| {}).unwrap_err();
    assert!(matches!(error, DataError::OtherCache { .. }), "{error}");
    assert!(contents(&out) == before);

    fs::remove_file(out.join("cache.json")).unwrap();
    let message = prepare(&set, &out, &small(), 1, &|_| {}).unwrap_err().to_string();
    assert!(message.contains("cache.json") && message.contains(".tar"), "{message}");
    let refused = |parameters: Parameters| {
        let new = out.join("new");
        let error = prepare(&set, &new, &parameters, 1, &|_| {}).unwrap_err();
        assert!(!new.exists(), "nothing is left behind");
        error
    };
    let error = refused(Parameters { crop_size: 0, ..small() });
    assert!(matches!(error, DataError::CropSize(0)), "{error}");
    let error = refused(Parameters { jpeg_quality: 0, ..small() });
    assert!(matches!(error, DataError::JpegQuality(0)), "{error}");
    let error = refused(Parameters { shard_samples: 0, ..small() });
    assert!(matches!(error, DataError::ShardSamples), "{error}");
}

#[test]
fn a_concurrent_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let set = synthetic(dir.path());
    let out = dir.path().join("cache");
    let tried = AtomicUsize::new(0);
    prepare(&set, &out, &small(), 1, &|_| {
        if tried.fetch_add(1, Ordering::Relaxed) == 0 {
            let message = prepare(&set, &out, &small(), 1, &|_| {}).unwrap_err().to_string();
            assert!(message.contains("another process"), "{message}");
        }
    })
    .unwrap();
    assert_eq!(Cache::open(&out).unwrap().len(), 37);
}

#[test]
fn errors_of_a_damaged_cache_name_the_file() {
    let (_dir, _set, out) = finished();
    let path = out.join("val-00000.tar");
    let good = fs::read(&path).unwrap();
    let opened = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Cache::open(&out).map(|_| ()).unwrap_err().to_string()
    };
    let message = opened(&good[..good.len() - 700]);
    assert!(
        message.contains("val-00000.tar") && message.contains("expected a file of"),
        "{message}"
    );
    let mut bad = good.clone();
    bad[0] ^= 1;
    let message = opened(&bad);
    assert!(message.contains("val-00000.tar"), "{message}");
    bad.fill(0);
    let message = opened(&bad);
    assert!(message.contains("expected 7 samples, found 0"), "{message}");

    // A changed byte in a picture is detected when the picture is read.
    let mut bad = good.clone();
    bad[512 + 300] ^= 16;
    fs::write(&path, &bad).unwrap();
    let cache = Cache::open(&out).unwrap();
    let first = cache.indices(Split::Val)[0];
    let message = cache.decode(first).unwrap_err().to_string();
    assert!(message.contains("val-00000.tar") && message.contains("00000007.jpg"), "{message}");
    assert!(cache.decode(first + 1).is_ok());

    fs::remove_file(&path).unwrap();
    let message = Cache::open(&out).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("val-00000.tar"), "{message}");
    fs::write(out.join("cache.json"), "{}").unwrap();
    let message = Cache::open(&out).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("cache.json") && message.contains("manifest"), "{message}");
}

/// Sizes in a cache are not trusted: they must be checked before anything is allocated.
#[test]
fn absurd_sizes_in_a_cache_are_refused() {
    let (_dir, _set, out) = finished();
    let manifest = fs::read_to_string(out.join("cache.json")).unwrap();
    let with = |from: &str, to: &str| {
        let text = manifest.replacen(from, to, 1);
        assert_ne!(text, manifest);
        fs::write(out.join("cache.json"), text).unwrap();
        Cache::open(&out).map(|_| ()).unwrap_err()
    };
    let error = with("\"crop_size\": 32", "\"crop_size\": 4611686018427387904");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("crop size 4611686018427387904"), "{source}");
    let error = with("\"val-00000.tar\"", "\"../cache/val-00000.tar\"");
    assert!(error.to_string().contains("not the name of a shard"), "{error}");
    fs::write(out.join("cache.json"), &manifest).unwrap();

    // A sparse file of 64 GiB whose first picture claims nearly all of it, and a size
    // near the end of 64 bits, in the base-256 notation of GNU tar.
    let path = out.join("val-00000.tar");
    let shard = fs::read(&path).unwrap();
    for (size, len) in [(60u64 << 30, 64u64 << 30), (u64::MAX - 100, 1 << 20)] {
        let mut bytes = shard.clone();
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&bytes[..512]);
        header.set_size(size);
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        fs::write(&path, &bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(len).unwrap();
        let bytes = format!("\"bytes\": {}", shard.len());
        let error = with(&bytes, &format!("\"bytes\": {len}"));
        assert!(matches!(error, DataError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn real_portraits_are_aligned() {
    let Some(london) = dldl_testdata::dataset("london") else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut portraits: Vec<PathBuf> = fs::read_dir(london.join("images/neutral_front"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    portraits.sort();
    let mut samples = Vec::new();
    for (i, portrait) in portraits.iter().take(3).enumerate() {
        fs::copy(portrait, dir.path().join(format!("{i}.jpg"))).unwrap();
        samples.push(sample(&format!("{i}.jpg"), Split::Train));
    }
    let bytes = fs::read(&portraits[3]).unwrap();
    fs::write(dir.path().join("broken.jpg"), &bytes[..bytes.len() / 3]).unwrap();
    fs::write(dir.path().join("empty.jpg"), picture(5)).unwrap();
    samples.push(sample("broken.jpg", Split::Train));
    samples.push(sample("empty.jpg", Split::Test));
    let set = dataset(dir.path(), samples);
    let out = dir.path().join("cache");
    // The face at half the default size, so that it is detected again in the crop.
    let mut template = Template::default_face();
    template.points = template.points.map(|p| p.map(|v| 0.25 + 0.5 * v));
    let parameters = Parameters { template: template.clone(), ..Parameters::default() };
    let report = prepare(&set, &out, &parameters, 2, &|_| {}).unwrap();
    assert_eq!(report.counts, Counts { aligned: 3, whole_picture: 1, failed: 1 });
    assert_eq!(report.failed[0].file, "broken.jpg");
    assert_eq!(report.whole_picture, ["empty.jpg"]);

    let cache = Cache::open(&out).unwrap();
    assert_eq!(cache.manifest().parameters, parameters);
    let detector = Detector::new(DetectorParams::default());
    for i in cache.indices(Split::Train) {
        let cached = &cache.samples()[i];
        assert!(cached.aligned && cached.score.unwrap() > 0.9, "{cached:?}");
        let crop = cache.decode(i).unwrap();
        assert_eq!(crop.size(), 224);
        // The landmarks of the face in the crop are those of the template.
        let picture = dldl_face::Picture::new(224, 224, crop.into_rgb()).unwrap();
        let faces = detector.detect(&picture);
        let face = &faces[main_face(&faces, 224, 224).unwrap()];
        for (found, wanted) in face.landmarks.iter().zip(&template.points) {
            for axis in 0..2 {
                let off = f64::from(found[axis]) - 224.0 * wanted[axis];
                assert!(off.abs() < 5.0, "{}: {found:?}, {wanted:?}", cached.sample.file);
            }
        }
    }
}

#[test]
fn merged_parts_are_the_cache_of_one_machine_byte_for_byte() {
    let (dir, set, whole) = finished();
    let part = |text: &str| -> PathBuf {
        let out = dir.path().join(text.replace('/', "-of-"));
        let part: Part = text.parse().unwrap();
        prepare_part(&set, &out, &small(), Some(part), 1, &|_| {}).unwrap();
        out
    };
    for count in [1, 3, 9] {
        let parts: Vec<PathBuf> =
            (1..=count).rev().map(|number| part(&format!("{number}/{count}"))).collect();
        let out = dir.path().join(format!("merged-{count}"));
        let report = merge(&parts, &out).unwrap();
        assert_eq!(report.counts.failed, 3);
        assert_eq!(contents(&out), contents(&whole), "{count} parts");
        // Again, as after an interruption.
        fs::remove_file(out.join("train-00001.tar")).unwrap();
        merge(&parts, &out).unwrap();
        assert_eq!(contents(&out), contents(&whole));
        assert_eq!(make(&set, &out, 1).kept, 37);
    }
    let refused = |parts: &[&str]| {
        let parts: Vec<PathBuf> = parts.iter().map(|name| dir.path().join(name)).collect();
        merge(&parts, &dir.path().join("refused")).unwrap_err().to_string()
    };
    assert!(refused(&["1-of-3", "3-of-3"]).contains("part 2/3 is missing"));
    assert!(refused(&["1-of-3", "2-of-3", "2-of-3"]).contains("2/3 is there twice"));
    assert!(refused(&["cache"]).contains("a whole cache"));
    unfinish(&dir.path().join("2-of-3"));
    assert!(!refused(&["1-of-3", "2-of-3", "3-of-3"]).is_empty());
    // A part is not taken for the whole.
    let error = prepare(&set, &dir.path().join("1-of-3"), &small(), 1, &|_| {}).unwrap_err();
    assert!(error.to_string().contains("part: \"1/3\""), "{error}");
}
