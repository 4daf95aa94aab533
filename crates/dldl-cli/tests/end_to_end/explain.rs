//! `dldl explain` and `dldl report` end to end.

use std::path::Path;

use crate::commands::dataset;
use crate::common::{Run, dldl, portrait, run};
use serde_json::Value;

fn explain(more: &[&str]) -> Run {
    run(dldl().arg("explain").args(more))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn both_commands_have_help_with_examples() {
    for words in [&["explain"][..], &["explain", "cam"], &["explain", "occlusion"], &["report"]] {
        let help = run(dldl().arg("help").args(words));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        assert!(help.stdout.contains("Examples:") && help.stdout.contains("Usage:"));
    }
    let all = run(dldl().arg("--help")).stdout;
    assert!(all.contains("explain") && all.contains("report"));
}

#[test]
fn the_map_of_a_portrait_is_drawn_and_matches_the_estimate() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("map.png");
    let portrait = portrait();
    let done = explain(&["cam", text(&portrait), "--out", text(&out), "--format", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let maps: Value = serde_json::from_str(&done.stdout).unwrap();
    let faces = maps["groups"].as_array().unwrap();
    assert_eq!((maps["kind"].as_str(), faces.len()), (Some("cam"), 1));
    // 96 pixels are 3 places of 32.
    let map = &faces[0]["maps"][0];
    assert_eq!((map["rows"].as_u64(), map["values"].as_array().unwrap().len()), (Some(3), 9));
    let estimate = run(dldl().args(["estimate", "--format", "json"]).arg(&portrait));
    let records: Value = serde_json::from_str(&estimate.stdout).unwrap();
    let age = records[0]["faces"][0]["age"]["value"].as_f64().unwrap();
    assert!((faces[0]["estimate"].as_f64().unwrap() - age).abs() < 0.006);
    let picture = image::open(&out).unwrap();
    assert!(picture.width() >= 224 && picture.height() >= 224);

    let finer = explain(&["cam", text(&portrait), "--size", "224", "--format", "csv"]);
    assert_eq!((finer.code, finer.stdout.lines().count()), (0, 1 + 49));
    let odd = explain(&["cam", text(&portrait), "--size", "100"]);
    assert_eq!((odd.code, odd.stdout.as_str()), (2, ""));
    assert!(odd.stderr.contains("multiple of 32"), "{}", odd.stderr);
}

#[test]
fn covering_parts_changes_the_estimate() {
    let portrait = portrait();
    let done = explain(&["occlusion", text(&portrait), "--main", "--format", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let maps: Value = serde_json::from_str(&done.stdout).unwrap();
    let maps = maps["groups"][0]["maps"].as_array().unwrap();
    let counts: Vec<usize> = maps.iter().map(|m| m["values"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [7, 7, 49]);
    let moved = |map: &Value| map["values"].as_array().unwrap().iter().any(|v| v != 0.0);
    assert!(maps.iter().all(moved));
    let table = explain(&["occlusion", text(&portrait)]);
    assert!(table.stdout.contains("vertical strips, change of the estimate"), "{}", table.stdout);
}

#[test]
fn models_and_arguments_that_cannot_be_explained_are_refused() {
    let int8 = concat!(env!("CARGO_MANIFEST_DIR"), "/../dldl/models/tiny-int8.safetensors");
    let portrait = portrait();
    let portrait = text(&portrait);
    let refused = explain(&["cam", portrait, "--model", int8]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("quantized"), "{}", refused.stderr);
    // Covering needs no feature map.
    assert_eq!(explain(&["occlusion", portrait, "--model", int8]).code, 0);
    for wrong in [
        &["cam"][..],
        &["cam", portrait, "--dataset", "csv", "--root", "."],
        &["cam", portrait, "--task", "shoe size"],
        &["ranking", "--models", "tiny", "tiny"],
        &["ranking", portrait],
    ] {
        let refused = explain(wrong);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{wrong:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let black = dir.path().join("black.png");
    image::DynamicImage::new_rgb8(120, 90).save(&black).unwrap();
    let nobody = explain(&["cam", text(&black)]);
    assert!(nobody.code == 1 && nobody.stderr.contains("no face"), "{}", nobody.stderr);
    assert_eq!(explain(&["cam", text(&black), "--no-detect"]).code, 0);
}

#[test]
fn the_ranking_figure_is_drawn_with_and_without_models() {
    let figure = explain(&["ranking"]);
    assert_eq!((figure.code, figure.stderr.as_str()), (0, ""));
    assert!(figure.stdout.starts_with("<svg") && figure.stdout.contains("rank code"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("ranks.svg");
    let portrait = portrait();
    let both = ["ranking", "--models", "tiny", "tiny", text(&portrait), "--format", "json"];
    let done = explain(&[&both[..], &["--out", text(&out)]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let curves: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(curves["groups"][0]["difference"].as_f64(), Some(0.0));
    let svg = std::fs::read_to_string(&out).unwrap();
    assert!(svg.contains("face 1") && svg.contains("1 - cumulative"));
}

#[test]
fn learned_distributions_are_drawn_beside_those_of_the_labels() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let out = dir.path().join("learned.svg");
    let on = ["--dataset", "csv", "--root", text(dir.path()), "--split", "all"];
    let distributions = |more: &[&str]| explain(&[&["distributions"], &on[..], more].concat());
    let two = ["--models", "tiny", "tiny", "--limit", "9", "-f", "json", "--out", text(&out)];
    let done = distributions(&two);
    // One of the pictures is missing.
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["failed"][0]["file"], "missing.jpg");
    let faces = json["faces"].as_array().unwrap();
    assert_eq!((faces.len(), faces[0]["learned"].as_array().unwrap().len()), (4, 2));
    // From the youngest to the oldest.
    assert!(faces.is_sorted_by_key(|face| face["truth"].as_f64().unwrap()));
    let target: Vec<f64> = serde_json::from_value(faces[0]["target"].clone()).unwrap();
    let mean: f64 = target.iter().enumerate().map(|(age, p)| age as f64 * p).sum();
    assert!((mean - faces[0]["truth"].as_f64().unwrap()).abs() < 0.01);
    let svg = std::fs::read_to_string(&out).unwrap();
    assert!(svg.contains("Learned distributions") && svg.contains("tiny (dldl-v2)"));

    let name = faces[1]["file"].as_str().unwrap();
    let one = distributions(&["--file", name]);
    assert!(one.stdout.contains(name) && one.stdout.contains("divergence"), "{}", one.stdout);
    let csv = distributions(&["--file", name, "-f", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 1 + 2 * 101);
    let unknown = distributions(&["--file", "nobody.jpg"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("nobody.jpg is not in the split"));
    assert_eq!(explain(&["distributions"]).code, 2);
}

#[test]
fn datasets_are_averaged_by_band_and_reported_on_one_page() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let on = ["--dataset", "csv", "--root", text(dir.path()), "--format", "json"];
    let path = |name: &str| dir.path().join(name);
    let save = |name: &str, words: &[&str]| {
        let done = run(dldl().args(words).args(on));
        // One of the pictures is missing.
        assert_eq!((done.code, done.stderr.as_str()), (1, ""), "{words:?}");
        std::fs::write(path(name), &done.stdout).unwrap();
        serde_json::from_str::<Value>(&done.stdout).unwrap()
    };
    let png = path("bands.png");
    let maps = save("occlusion.json", &["explain", "occlusion", "--out", text(&png)]);
    let groups = maps["groups"].as_array().unwrap();
    let names: Vec<&str> = groups.iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["all", "30-39", "40-49"]);
    assert_eq!((groups[0]["n"].as_u64(), groups[2]["n"].as_u64()), (Some(3), Some(2)));
    assert_eq!(maps["failed"][0]["file"], "missing.jpg");
    assert!(image::open(&png).is_ok());
    save("cam.json", &["explain", "cam", "--limit", "4"]);
    save("ranks.json", &["explain", "ranking", "--models", "tiny", "tiny"]);
    save("eval.json", &["eval"]);

    let (page, json) = (path("report.html"), path("report.json"));
    let parts = ["eval.json", "cam.json", "occlusion.json", "ranks.json"].map(path);
    let mut report = dldl();
    report.arg("report").args(&parts).arg("--out").arg(&page).arg("--json").arg(&json);
    let done = run(&mut report);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("report.html: 1 evaluation, 3 explanations"), "{}", done.stdout);
    let html = std::fs::read_to_string(&page).unwrap();
    for part in
        ["tiny on csv (test)", "Class activation maps", "missing.jpg", "How this report was made"]
    {
        assert!(html.contains(part), "{part}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(json["evaluations"][0]["n"].as_u64(), Some(3));

    let wrong = run(dldl().args(["report", "--out"]).arg(&page).arg(path("labels.csv")));
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("labels.csv"), "{}", wrong.stderr);
}
