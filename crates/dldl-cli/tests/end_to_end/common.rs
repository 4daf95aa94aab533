//! Shared by the end-to-end tests: running the binary, and pictures.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use image::{DynamicImage, ImageFormat};
use serde_json::Value;

/// The portrait with one face.
pub fn portrait() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/astronaut.jpg")
}

pub fn dldl() -> Command {
    let mut command = Command::cargo_bin("dldl").expect("the binary is built");
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// The result of a run.
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    let output = command.output().expect("the binary runs");
    Run {
        code: output.status.code().expect("not killed"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// `dldl estimate --format json` on these inputs: exit code and records.
pub fn estimate(inputs: &[&Path], more: &[&str]) -> (i32, Vec<Value>) {
    let run = run(dldl().args(["estimate", "--format", "json"]).args(more).args(inputs));
    assert_eq!(run.stderr, "", "noise on stderr");
    let records: Vec<Value> = serde_json::from_str(&run.stdout).expect("a JSON array");
    assert_eq!(records.len(), inputs.len());
    (run.code, records)
}

/// The number of faces in a record that has the documented form.
pub fn faces(record: &Value) -> usize {
    assert!(record["image"].is_string() && record["model"].is_string(), "{record}");
    let faces = record["faces"].as_array().expect("an array of faces");
    let (width, height) = (record["width"].as_f64(), record["height"].as_f64());
    for face in faces {
        let numbers = |v: &Value| -> Vec<f64> {
            v.as_array().expect("an array").iter().map(|v| v.as_f64().expect("a number")).collect()
        };
        let bbox = numbers(&face["box"]);
        assert_eq!(bbox.len(), 4);
        // The middle of the box lies in the picture.
        assert!((0.0..width.unwrap()).contains(&(bbox[0] + bbox[2] / 2.0)), "{face}");
        assert!((0.0..height.unwrap()).contains(&(bbox[1] + bbox[3] / 2.0)), "{face}");
        assert!((0.0..=1.0).contains(&face["score"].as_f64().unwrap()));
        let points = face["landmarks"].as_array().unwrap();
        assert!(points.len() == 5 && points.iter().all(|p| numbers(p).len() == 2));
        age(face);
    }
    faces.len()
}

/// The mean of a face's age, which has the documented form.
pub fn age(face: &Value) -> f64 {
    let age = &face["age"];
    let number = |v: &Value| v.as_f64().unwrap_or_else(|| panic!("no number in {age}"));
    let interval = &age["interval"];
    let (low, high) = (number(&interval["low"]), number(&interval["high"]));
    assert!(0.0 <= low && low <= high && high <= 100.0, "{age}");
    assert!((0.0..1.0).contains(&number(&interval["level"])));
    assert!(number(&age["std"]) >= 0.0);
    let mean = number(&age["value"]);
    assert!((0.0..=100.0).contains(&mean), "{age}");
    mean
}

/// Writes a picture as JPEG.
pub fn write_jpeg(image: &DynamicImage, path: &Path) {
    image.save_with_format(path, ImageFormat::Jpeg).expect("written");
}

/// The portrait's pixels.
pub fn portrait_pixels() -> DynamicImage {
    image::open(portrait()).expect("the portrait decodes")
}
