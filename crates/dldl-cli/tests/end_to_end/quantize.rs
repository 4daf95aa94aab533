//! `dldl quantize` end to end, and what the other commands do with its file.

use std::path::Path;

use crate::commands::dataset;
use crate::common::{age, dldl, estimate, portrait, portrait_pixels, run, write_jpeg};
use serde_json::Value;

fn quantize(crops: &Path, out: &Path, more: &[&str]) -> crate::common::Run {
    run(dldl().arg("quantize").arg("--crops").arg(crops).arg("--out").arg(out).args(more))
}

#[test]
fn a_model_quantized_on_pictures_runs_in_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let pictures = dir.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    std::fs::copy(portrait(), pictures.join("a.jpg")).unwrap();
    write_jpeg(&portrait_pixels().fliph(), &pictures.join("b.jpg"));
    std::fs::write(pictures.join("broken.jpg"), b"no picture").unwrap();
    let out = dir.path().join("small.safetensors");
    let made = quantize(&pictures, &out, &[]);
    assert_eq!(made.code, 1, "{}", made.stderr);
    assert!(made.stderr.contains("broken.jpg") && made.stderr.lines().count() == 1);
    assert!(made.stdout.contains("tiny-int8") && made.stdout.contains("calibrated on 2 crops"));
    assert!(std::fs::metadata(&out).unwrap().len() < 1_100_000);

    let path = out.to_str().unwrap();
    let json = run(dldl().args(["info", path, "--format", "json"]));
    let info: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(info["quantization"]["calibration"], "2 crops of a folder of pictures");
    assert_eq!(info["figures"].as_array().unwrap().len(), 0);
    assert!(info["calibration"].get("intervals").is_none(), "{}", info["calibration"]);
    let table = run(dldl().args(["info", path]));
    assert!(table.stdout.contains("8-bit signed"), "{}", table.stdout);

    let mean = |model: &[&str]| age(&estimate(&[&portrait()], model).1[0]["faces"][0]);
    let (float, int8) = (mean(&[]), mean(&["--model", path]));
    assert!(float != int8 && (float - int8).abs() < 1.5, "{float} {int8}");

    let bench = ["bench", "--model", path, "--runs", "1", "--size", "32", "--format", "json"];
    let timed = |isa: Option<&str>| -> Value {
        let mut command = dldl();
        command.args(bench);
        isa.map(|isa| command.env(dldl_net::LEVEL_VARIABLE, isa));
        serde_json::from_str(&run(&mut command).stdout).unwrap()
    };
    let speed = timed(None);
    assert!(dldl_net::Isa::available().iter().any(|isa| speed["isa"] == isa.name()), "{speed}");
    assert_eq!(speed["efficiency"].as_array().unwrap().len(), 3);
    for level in dldl_net::Level::available() {
        let isa = timed(Some(level.name()))["isa"].as_str().unwrap().to_owned();
        assert!(dldl_net::Isa::available().iter().any(|i| i.name() == isa && i.level() == level));
    }

    // Commands that need floating point refuse the file and name it.
    let onnx = dir.path().join("small.onnx");
    let again = dir.path().join("again.safetensors");
    let export = run(dldl().args(["export", "--model", path, "--out"]).arg(&onnx));
    let twice = quantize(&pictures, &again, &["--model", path]);
    for refused in [export, twice] {
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
        let said = refused.stderr;
        assert!(said.contains("small.safetensors") && said.contains("quantized"), "{said}");
    }
    assert!(!onnx.exists() && !again.exists());
}

#[test]
fn the_precision_selects_the_built_in_form() {
    let model = |kind: &str| {
        let (code, records) = estimate(&[&portrait()], &["--precision", kind]);
        assert_eq!(code, 0);
        (records[0]["model"].as_str().unwrap().to_owned(), age(&records[0]["faces"][0]))
    };
    let (float, int8, auto) = (model("f32"), model("int8"), model("auto"));
    assert_eq!((float.0.as_str(), int8.0.as_str()), ("tiny", "tiny-int8"));
    assert!(float.1 != int8.1 && (float.1 - int8.1).abs() < 1.0, "{float:?} {int8:?}");
    let faster = dldl_net::Isa::detect().multiplies_bytes();
    assert_eq!(auto, if faster { int8 } else { float });

    let arguments = ["estimate", "--model", "tiny-int8", "--precision", "f32"];
    let refused = run(dldl().args(arguments).arg(portrait()));
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("8-bit"), "{}", refused.stderr);
}

#[test]
fn a_cache_gives_the_crops_and_the_change_of_the_error() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let table = std::fs::read_to_string(dir.path().join("labels.csv")).unwrap();
    let table = table.replace("black.jpg,30,,test", "black.jpg,30,,val");
    std::fs::write(dir.path().join("labels.csv"), table).unwrap();
    let cache = dir.path().join("cache");
    let mut prepare = dldl();
    prepare.args(["prepare", "--dataset", "csv", "--root"]).arg(dir.path());
    run(prepare.arg("--out").arg(&cache));

    let out = dir.path().join("small.safetensors");
    let made = quantize(&cache, &out, &["--threads", "2"]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    assert!(made.stdout.contains("calibrated on 1 crops") && made.stdout.contains("val split"));
    let json = run(dldl().arg("info").arg(&out).args(["--format", "json"]));
    let info: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(info["quantization"]["calibration"], "1 crops of csv, train split");
    let figure = info["figures"][0]["value"].as_f64().unwrap();
    let mut eval = dldl();
    eval.args(["eval", "--dataset", "cache", "--split", "val", "--format", "json", "--root"]);
    let report = run(eval.arg(&cache).arg("--model").arg(&out));
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["plain"]["mae"]["value"].as_f64(), Some(figure));

    let refused = quantize(&cache, &out, &["--no-detect"]);
    assert!(refused.code == 2 && refused.stderr.contains("aligned already"));
}

#[test]
fn crops_must_be_a_folder_with_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("small.safetensors");
    let refused = quantize(&portrait(), &out, &[]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("astronaut.jpg: expected a folder"), "{}", refused.stderr);
    let empty = quantize(dir.path(), &out, &[]);
    assert_eq!((empty.code, empty.stdout.as_str()), (1, ""));
    assert!(empty.stderr.contains("no pictures in this folder"), "{}", empty.stderr);
    assert_eq!(quantize(dir.path(), &out, &["--count", "0"]).code, 2);
    assert!(!out.exists());
}
