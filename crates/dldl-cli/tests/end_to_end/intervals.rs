//! `dldl calibrate`, `dldl eval --out` and `dldl compare` end to end.

use std::path::Path;

use crate::commands::dataset;
use crate::common::{Run, age, dldl, estimate, portrait, run};
use serde_json::Value;

fn with(command: &str, root: &Path, more: &[&str]) -> Run {
    run(dldl().args([command, "--dataset", "csv", "--root"]).arg(root).args(more))
}

#[test]
fn calibration_is_stored_and_used_by_all_commands() {
    let dir = tempfile::tempdir().unwrap();
    // 19 pictures, the least that 95 % intervals need, and one that is missing.
    std::fs::copy(portrait(), dir.path().join("a.jpg")).unwrap();
    let rows = (0..19).map(|i| format!("a.jpg,{},test\n", 20 + i));
    let table = format!("file,age,split\n{}missing.jpg,30,test\n", rows.collect::<String>());
    std::fs::write(dir.path().join("labels.csv"), &table).unwrap();
    let out = dir.path().join("calibrated.safetensors");
    let path = out.to_str().unwrap();
    for split in ["train", "test", "all"] {
        let refused = with("calibrate", dir.path(), &["--split", split, "--out", path]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    }
    let nothing = with("calibrate", dir.path(), &["--out", path]);
    assert!(nothing.code == 2 && nothing.stderr.contains("val split"), "{}", nothing.stderr);

    let forced = ["--split", "test", "--force", "--out", path];
    std::fs::write(dir.path().join("labels.csv"), table.replace("a.jpg,20,test\n", "")).unwrap();
    let few = with("calibrate", dir.path(), &forced);
    assert!(few.code == 2 && few.stderr.contains("18 of 19 can be used"), "{}", few.stderr);
    assert!(few.stderr.contains("at least 19"), "{}", few.stderr);
    assert!(!out.exists());
    std::fs::write(dir.path().join("labels.csv"), &table).unwrap();

    let forced = ["--split", "test", "--force", "--out", path];
    let made = with("calibrate", dir.path(), &forced);
    // One picture is missing; the others were used.
    assert_eq!(made.code, 1, "{}", made.stderr);
    assert!(made.stderr.contains("missing.jpg"), "{}", made.stderr);
    assert!(made.stdout.contains("19 pictures of csv, test split"), "{}", made.stdout);
    // The model's own temperature stays.
    let model = dldl::models::info(dldl::DEFAULT_MODEL).unwrap();
    let own = format!("temperature {}\n", model.heads[0].calibration.as_ref().unwrap().temperature);
    assert!(made.stdout.contains("90 % covers") && made.stdout.contains(&own), "{}", made.stdout);

    let info = run(dldl().args(["info", path]));
    assert!(
        info.stdout.contains("calibrated on 19 pictures of csv, test split"),
        "{}",
        info.stdout
    );
    let json = run(dldl().args(["info", path, "--format", "json"]));
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let tables = &json["heads"][0]["calibration"]["intervals"];
    for kind in ["fused", "unfused"] {
        assert_eq!(tables[kind]["levels"].as_array().unwrap().len(), 99);
    }

    // 19 pictures are too few for 96 %: the interval spans all labels.
    assert!(made.stdout.contains("intervals above 95 % span all labels"), "{}", made.stdout);
    let face = |more: &[&str]| {
        let more = [more, &["--interval", "0.96"]].concat();
        estimate(&[&portrait()], &more).1[0]["faces"][0].clone()
    };
    let (before, after) = (face(&[]), face(&["--model", path]));
    assert_eq!(age(&before), age(&after));
    assert_eq!(after["age"]["interval"]["low"], 0.0);
    assert_eq!(after["age"]["interval"]["high"], 100.0);
    assert_ne!(before["age"]["interval"]["high"], 100.0);

    // In place, with a fitted temperature.
    let again = [&forced[..], &["--model", path, "--temperature"]].concat();
    let again = with("calibrate", dir.path(), &again);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert!(!again.stdout.contains(&own), "{}", again.stdout);
    let table = with("eval", dir.path(), &["--model", path]);
    assert!(table.stdout.contains("calibrated on 19 pictures"), "{}", table.stdout);

    // Quantizing drops the intervals: they belong to the other model.
    let small = dir.path().join("int8.safetensors");
    let mut quantize = dldl();
    quantize.args(["quantize", "--no-detect", "--model", path, "--crops"]).arg(dir.path());
    assert!(run(quantize.arg("--out").arg(&small)).stdout.contains("written to"));
    let json = run(dldl().arg("info").arg(&small).args(["--format", "json"]));
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let calibration = &json["heads"][0]["calibration"];
    assert!(calibration.get("intervals").is_none(), "{calibration}");
    assert!(calibration["temperature"].is_number(), "{calibration}");
}

#[test]
fn evaluations_are_written_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (a, b) = (file("a.json"), file("b.json"));
    let first = with("eval", dir.path(), &["--out", &a]);
    assert_eq!(first.code, 1);
    assert!(first.stdout.contains("flip fusion"), "{}", first.stdout);
    let all = with("eval", dir.path(), &["--split", "all", "--format", "json", "--out", &b]);
    let written = std::fs::read_to_string(&b).unwrap();
    assert_eq!(all.stdout, written);
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!((written["split"].as_str(), written["n"].as_u64()), (Some("all"), Some(4)));
    for part in ["hits", "assurance"] {
        assert!(written[part].is_null(), "{part}");
    }

    let compare = |more: &[&str]| run(dldl().arg("compare").args(more));
    let table = compare(&[&a, &b]);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    let mae = format!("{:.3}", written["flip_fusion"]["mae"]["value"].as_f64().unwrap());
    assert!(table.stdout.contains("csv (all)") && table.stdout.contains(&mae), "{}", table.stdout);
    assert!(table.stdout.contains("MAE (age), model by dataset"), "{}", table.stdout);
    let again = file("again.json");
    std::fs::copy(&a, &again).unwrap();
    let paired = compare(&[&a, &again]).stdout;
    assert!(paired.contains("on the same pictures") && paired.contains("+0.000"), "{paired}");
    let csv = compare(&[&a, &b, "--format", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 3);
    let json: Value = serde_json::from_str(&compare(&[&a, "-f", "json"]).stdout).unwrap();
    assert_eq!(json["rows"][0]["n"], 3);
    assert!(compare(&[&a, "--format", "markdown"]).stdout.starts_with("| model"));

    let other = file("labels.csv");
    let refused = compare(&[&a, &other]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("labels.csv is not an evaluation"), "{}", refused.stderr);
    assert_eq!(compare(&["none.json"]).code, 2);
    let scale = with("eval", dir.path(), &["--rescale", "7:1"]);
    assert!(scale.code == 2 && scale.stderr.contains("1:7"), "{}", scale.stderr);
}
