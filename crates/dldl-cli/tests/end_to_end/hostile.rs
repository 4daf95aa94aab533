//! Names and contents that somebody else chose: nothing but text reaches the terminal.

use std::fs;
use std::path::Path;

use crate::common::{dldl, portrait, run};

/// Colors, clears the screen, and a line of its own.
const NAME: &str = "a\x1b[31m\x1b[2J\r\u{7}b";

fn assert_plain(arguments: &[&str], folder: &Path) {
    let output = run(dldl().current_dir(folder).args(arguments));
    assert_ne!(output.code, 0, "{arguments:?}");
    for text in [&output.stdout, &output.stderr] {
        let control = text.chars().find(|&c| c.is_control() && c != '\n' && c != '\t');
        assert_eq!(control, None, "{arguments:?}: {text:?}");
    }
    assert!(!(output.stderr + &output.stdout).is_empty(), "{arguments:?}");
}

#[test]
#[cfg(unix)]
fn names_cannot_control_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = |extension: &str, text: &str| {
        let name = format!("{NAME}.{extension}");
        fs::write(folder.path().join(&name), text).unwrap();
        name
    };
    let picture = file("jpg", "no picture");
    let model = file("safetensors", "no weights");
    let recipe = file("toml", "run = [\x1b]");
    let labels = file("csv", "file,age\nx\x1b[31m.jpg,\x1b[31mold\n");
    let json = file("json", "{\x1b");
    fs::copy(portrait(), folder.path().join(format!("whole{NAME}.jpg"))).unwrap();
    let table = ["--root", ".", "--labels", &labels];
    assert_plain(&["estimate", "."], folder.path());
    assert_plain(&["estimate", &picture, "--format", "ndjson"], folder.path());
    assert_plain(&["estimate", "--model", &model, "."], folder.path());
    assert_plain(&["info", &model], folder.path());
    assert_plain(&["quantize", "--model", &model, "--out", "q"], folder.path());
    assert_plain(&["export", "--model", &model, "--out", "m.onnx"], folder.path());
    assert_plain(&[&["data", "check", "csv"], &table[..]].concat(), folder.path());
    assert_plain(&[&["eval", "--dataset", "csv"], &table[..]].concat(), folder.path());
    let prepare = ["prepare", "--dataset", "csv", "--out", "cache"];
    assert_plain(&[&prepare, &table[..]].concat(), folder.path());
    assert_plain(&["train", &recipe], folder.path());
    assert_plain(&["experiment", &recipe], folder.path());
    assert_plain(&["compare", &json, &json], folder.path());
    assert_plain(&["merge", &json, "--out", "all.json"], folder.path());
    assert_plain(&["report", &json, "--out", "report.html"], folder.path());
    assert_plain(&["explain", "cam", &picture, "--out", "cam"], folder.path());
    if dldl_testdata::ffmpeg().is_some() {
        assert_plain(&["video", &picture], folder.path());
    }
}
