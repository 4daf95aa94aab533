//! CPU time of each stage from a file to an age: milliseconds on one thread, the median
//! over the pictures of the fastest of `--runs` runs.
//!
//! ```text
//! cargo run --release -p dldl --example stages -- [--json] [--runs N] [--model NAME|PATH] FILE|FOLDER...
//! ```
//!
//! `decode` reads, decodes and rotates the picture; `detect` is the sum of the stages
//! below it; `network` is one crop, `network, flipped too` the same with flip fusion.
//! `benches/compare/detector.py` compares the times with facenet-pytorch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dldl::{Detector, DetectorParams, Estimator, decode_file};
use dldl_face::DetectorStage;
use rustix::time::{ClockId, clock_gettime};

/// Stages in the order in which they are printed; the indented ones are parts of `detect`.
const STAGES: [&str; 13] = [
    "decode",
    "detect",
    "  reduction",
    "  YuNet",
    "  pyramid",
    "  P-Net",
    "  suppression",
    "  windows",
    "  R-Net",
    "  O-Net",
    "align",
    "network",
    "network, flipped too",
];

/// Milliseconds of CPU time by stage.
type Times = BTreeMap<&'static str, f64>;

struct Arguments {
    json: bool,
    runs: usize,
    model: String,
    files: Vec<PathBuf>,
}

fn main() {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| measure(&arguments));
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed =
        Arguments { json: false, runs: 5, model: dldl::DEFAULT_MODEL.into(), files: Vec::new() };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument}: expected a value"));
        match argument.as_str() {
            "--json" => parsed.json = true,
            "--runs" => {
                let value = value()?;
                let runs = value.parse().ok().filter(|&n| n > 0);
                parsed.runs = runs
                    .ok_or(format!("invalid number of runs `{value}`: expected a number from 1"))?;
            }
            "--model" => parsed.model = value()?,
            path => collect(Path::new(path), &mut parsed.files),
        }
    }
    if parsed.files.is_empty() {
        return Err("no pictures: expected at least one file or folder".into());
    }
    Ok(parsed)
}

/// Adds the file, or the files of the folder sorted by name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(path) else {
        files.push(path.to_path_buf());
        return;
    };
    let mut inside: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    inside.sort();
    files.extend(inside.into_iter().filter(|path| path.is_file()));
}

fn measure(arguments: &Arguments) {
    let load = |flip| Estimator::load(&arguments.model).map(|e| e.flip_fusion(flip));
    let (plain, fused) = match (load(false), load(true)) {
        (Ok(plain), Ok(fused)) => (plain, fused),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let detector = Detector::new(DetectorParams::default());
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let (mut pictures, mut faces) = (0, 0);
    for file in &arguments.files {
        let mut best = Times::new();
        let mut count = 0;
        for _ in 0..arguments.runs {
            let Some((times, found)) = once(file, &detector, &plain, &fused) else { break };
            count = found;
            for (stage, ms) in times {
                best.entry(stage).and_modify(|b| *b = b.min(ms)).or_insert(ms);
            }
        }
        if best.is_empty() {
            continue;
        }
        (pictures, faces) = (pictures + 1, faces + count);
        best.into_iter().for_each(|(stage, ms)| all.entry(stage).or_default().push(ms));
    }
    let medians = all.into_iter().map(|(stage, ms)| (stage, median(ms))).collect();
    report(arguments.json, pictures, faces, &medians);
}

/// Times of all stages for one picture and the number of faces; `None`, with a message, if
/// it cannot be read or estimated.
fn once(
    file: &Path,
    detector: &Detector,
    plain: &Estimator,
    fused: &Estimator,
) -> Option<(Times, usize)> {
    let times = Mutex::new(Times::new());
    let last = Mutex::new((now(), ""));
    // All stages run on this thread. The detector's callback must be `Sync`, hence the
    // locks.
    let begin = |stage: &'static str| {
        let now = now();
        let mut last = last.lock().expect("one thread");
        *times.lock().expect("one thread").entry(last.1).or_default() += now - last.0;
        *last = (now, stage);
    };
    begin("decode");
    let picture = match decode_file(file) {
        Ok(picture) => picture,
        Err(error) => {
            eprintln!("{}: {}", file.display(), error.reason());
            return None;
        }
    };
    begin("");
    let faces = detector.profile(&picture, &|stage| {
        begin(match stage {
            DetectorStage::Downscale => "  reduction",
            DetectorStage::YuNet => "  YuNet",
            DetectorStage::Pyramid => "  pyramid",
            DetectorStage::PNet => "  P-Net",
            DetectorStage::Nms => "  suppression",
            DetectorStage::Windows => "  windows",
            DetectorStage::RNet => "  R-Net",
            DetectorStage::ONet => "  O-Net",
        });
    });
    begin("align");
    let crop = match faces.first() {
        Some(face) => plain.crop(&picture, face),
        None => plain.whole_crop(&picture),
    };
    let crops = [crop];
    begin("network");
    let result = plain.engine().run(&crops);
    begin("network, flipped too");
    let fused = fused.engine().run(&crops);
    begin("");
    for result in [result, fused] {
        if let Err(error) = result {
            eprintln!("{}: {error}", file.display());
            return None;
        }
    }
    let mut times = times.into_inner().expect("one thread");
    times.remove("");
    let detect = times.iter().filter(|(stage, _)| stage.starts_with(' ')).map(|(_, ms)| ms).sum();
    times.insert("detect", detect);
    Some((times, faces.len()))
}

/// Milliseconds of CPU time that this thread has used.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

fn report(json: bool, pictures: usize, faces: usize, medians: &Times) {
    if json {
        let stages: BTreeMap<&str, f64> = medians.iter().map(|(s, &ms)| (s.trim(), ms)).collect();
        let report = serde_json::json!({
            "isa": dldl_kernels::Level::detect().name(),
            "pictures": pictures,
            "faces": faces,
            "median_cpu_ms": stages,
        });
        println!("{report:#}");
        return;
    }
    println!("{pictures} pictures, {faces} faces; median CPU ms on one thread");
    for stage in STAGES {
        println!("{stage:22} {:8.2}", medians.get(stage).unwrap_or(&0.0));
    }
}
