//! Prints the faces in the given files or folders, and the time per picture.
//!
//! ```text
//! cargo run --release -p dldl-face --example detect -- assets
//! ```
//!
//! Before the files, `--yunet` searches by YuNet, `--ndjson` prints `{"image", "faces":
//! [{"box", "score"}]}` per line instead, and `--ppm DIR` also writes the decoded pictures to
//! that folder as `0.ppm`, `1.ppm`, ..., as input for other programs.

use dldl_face::{Detector, DetectorParams, SearchNet, decode_file};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let mut files = Vec::new();
    let mut args = std::env::args_os().skip(1).peekable();
    let yunet = args.next_if(|arg| arg == "--yunet").is_some();
    let ndjson = args.next_if(|arg| arg == "--ndjson").is_some();
    let dump =
        args.next_if(|arg| arg == "--ppm").map(|_| args.next().expect("--ppm needs a folder"));
    for arg in args {
        collect(Path::new(&arg), &mut files);
    }
    let search = if yunet { SearchNet::YuNet } else { SearchNet::Mtcnn };
    let detector = Detector::new(DetectorParams { search, ..DetectorParams::default() });
    let mut with_faces = [0usize; 3];
    let (mut decoding, mut detecting) = (Duration::ZERO, Duration::ZERO);
    for (i, file) in files.iter().enumerate() {
        let start = Instant::now();
        let picture = match decode_file(file) {
            Ok(picture) => picture,
            Err(error) => {
                eprintln!("{}: {}", file.display(), error.reason());
                continue;
            }
        };
        decoding += start.elapsed();
        if let Some(folder) = &dump {
            let header = format!("P6 {} {} 255\n", picture.width(), picture.height());
            let ppm = [header.as_bytes(), picture.rgb()].concat();
            std::fs::write(Path::new(folder).join(format!("{i}.ppm")), ppm)
                .expect("the folder of --ppm must be writable");
        }
        let start = Instant::now();
        let faces = detector.detect(&picture);
        detecting += start.elapsed();
        with_faces[faces.len().min(2)] += 1;
        if ndjson {
            let face = |face: &dldl_face::Face| json!({ "box": face.bbox, "score": face.score });
            let faces: Vec<_> = faces.iter().map(face).collect();
            println!("{}", json!({ "image": file.to_string_lossy(), "faces": faces }));
            continue;
        }
        println!("{} ({}x{}): {}", file.display(), picture.width(), picture.height(), faces.len());
        for face in &faces {
            println!(
                "  box {:.1?} score {:.4} landmarks {:.1?}",
                face.bbox, face.score, face.landmarks
            );
        }
    }
    let [none, one, more] = with_faces;
    let mean = |total: Duration| 1000.0 * total.as_secs_f64() / (none + one + more).max(1) as f64;
    if ndjson {
        let [decoding, detecting] = [mean(decoding), mean(detecting)];
        eprintln!("ms per picture: {decoding:.1} decoding, {detecting:.1} detecting");
        return;
    }
    println!("pictures with no face: {none}, one: {one}, more: {more}");
    println!("ms per picture: {:.1} decoding, {:.1} detecting", mean(decoding), mean(detecting));
}

/// The file, or the files in the folder, sorted by name.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    match std::fs::read_dir(path) {
        Ok(entries) => {
            let mut inside: Vec<PathBuf> =
                entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.sort();
            files.extend(inside.into_iter().filter(|path| path.is_file()));
        }
        Err(_) => files.push(path.to_path_buf()),
    }
}
