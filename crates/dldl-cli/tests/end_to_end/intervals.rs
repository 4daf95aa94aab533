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

    // A temperature needs other people than the intervals, and all pictures are of one file.
    let again = [&forced[..], &["--model", path, "--temperature"]].concat();
    let again = with("calibrate", dir.path(), &again);
    assert_eq!((again.code, again.stdout.as_str()), (2, ""));
    assert!(again.stderr.contains("half of the people has 0 of 19"), "{}", again.stderr);
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
}

/// Two faces, one read as older than the other, with enough pictures of each for a band.
#[test]
fn intervals_by_band_of_the_estimate() {
    let dir = tempfile::tempdir().unwrap();
    let face = image::open(portrait()).unwrap().crop_imm(130, 20, 180, 180);
    face.resize_exact(64, 64, image::imageops::Triangle).save(dir.path().join("a.png")).unwrap();
    let flat =
        image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([200, (2 * x) as u8, (3 * y) as u8]));
    flat.save(dir.path().join("b.png")).unwrap();
    let row = |i: u32| {
        let file = if i.is_multiple_of(2) { "a.png" } else { "b.png" };
        format!("{file},{},person {i},val\n", 20 + i % 40)
    };
    let rows: String = (0..240).map(row).collect();
    std::fs::write(dir.path().join("labels.csv"), format!("file,age,group,split\n{rows}")).unwrap();
    let out = dir.path().join("bands.safetensors");
    let path = out.to_str().unwrap();
    let made = with("calibrate", dir.path(), &["--no-detect", "--out", path]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("by estimate      n"), "{}", made.stdout);
    let bands = |path: &str| {
        let json = run(dldl().args(["info", path, "--format", "json"]));
        let json: Value = serde_json::from_str(&json.stdout).unwrap();
        json["heads"][0]["calibration"]["intervals"]["fused"].get("bands").cloned()
    };
    let found = bands(path).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2, "{found}");
    assert_eq!((&found[0]["n"], &found[1]["n"]), (&120.into(), &120.into()));
    let edge = found[1]["from"].as_f64().unwrap();
    let info = run(dldl().args(["info", path])).stdout;
    assert!(info.contains(&format!("by band of the estimate (from {edge})")), "{info}");

    let json = dir.path().join("eval.json");
    let more = ["--no-detect", "--split", "val", "--model", path, "--out", json.to_str().unwrap()];
    let seen = with("eval", dir.path(), &more);
    assert!(seen.stdout.contains("by estimated age"), "{}", seen.stdout);
    assert!(seen.stdout.contains("240 pictures of csv, val split, by band"), "{}", seen.stdout);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let by_estimate = &json["by_estimate"];
    assert_eq!(by_estimate["calibrated"], true);
    for band in by_estimate["bands"].as_array().unwrap() {
        assert_eq!((&band["n"], band["one_table"].as_array().unwrap().len()), (&120.into(), 4));
        let covered = band["coverage"][2]["observed"]["value"].as_f64().unwrap();
        // 121 * 0.9 is rounded up, and six pictures share a level.
        assert!((0.90..0.97).contains(&covered), "{band}");
    }

    let plain = with("calibrate", dir.path(), &["--no-detect", "--no-bands", "--out", path]);
    assert!(!plain.stdout.contains("by estimate"), "{}", plain.stdout);
    assert_eq!(bands(path), None);

    // Corrections are chosen on one half of the people, intervals calibrated on the other.
    let more = ["--no-detect", "--temperature", "--recalibrate", "--out", path];
    let both = with("calibrate", dir.path(), &more);
    assert_eq!(both.code, 0, "{}", both.stderr);
    for part in ["halves by person", "recalibration 0 -> 0, 12.5 -> ", "MAE on the first half"] {
        assert!(both.stdout.contains(part), "{part}: {}", both.stdout);
    }
    let info = run(dldl().args(["info", path])).stdout;
    assert!(info.contains("of csv, val split, first half"), "{info}");
    assert!(info.contains("of csv, val split, second half"), "{info}");
    assert!(info.contains("100 -> 100"), "{info}");
    let more = ["--no-detect", "--model", path, "--interval", "0.02"];
    let record = estimate(&[&dir.path().join("a.png")], &more).1.remove(0);
    let face = &record["faces"][0]["age"];
    let [low, value, high] = ["/interval/low", "/value", "/interval/high"]
        .map(|at| face.pointer(at).and_then(Value::as_f64).unwrap());
    assert!(low <= value && value <= high, "{face}");
    let onnx = dir.path().join("x.onnx");
    let mut export = dldl();
    export.args(["export", "--model", path, "--out"]).arg(&onnx);
    assert_eq!(run(&mut export).code, 0);
    assert!(onnx.is_file());
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
