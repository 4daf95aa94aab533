//! Prints the faces in the given files or folders, and the time per picture.
//!
//! ```text
//! cargo run --release -p dldl-face --example detect -- assets
//! ```
//!
//! With `--ppm DIR` before the files, also writes the decoded pictures to that
//! folder as `0.ppm`, `1.ppm`, ..., as input for other programs.

use dldl_face::{Detector, DetectorParams, decode_file};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let mut files = Vec::new();
    let mut args = std::env::args_os().skip(1).peekable();
    let dump =
        args.next_if(|arg| arg == "--ppm").map(|_| args.next().expect("--ppm needs a folder"));
    for arg in args {
        collect(Path::new(&arg), &mut files);
    }
    let detector = Detector::new(DetectorParams::default());
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
        println!("{} ({}x{}): {}", file.display(), picture.width(), picture.height(), faces.len());
        for face in &faces {
            println!(
                "  box {:.1?} score {:.4} landmarks {:.1?}",
                face.bbox, face.score, face.landmarks
            );
        }
    }
    let [none, one, more] = with_faces;
    println!("pictures with no face: {none}, one: {one}, more: {more}");
    let mean = |total: Duration| 1000.0 * total.as_secs_f64() / (none + one + more).max(1) as f64;
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
