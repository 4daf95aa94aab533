//! The other commands end to end: help, `info`, `bench`, `export`, `prepare`, `eval`,
//! `robustness`, `generate`.

use std::path::Path;

use crate::common::{dldl, portrait, portrait_pixels, run, write_jpeg};
use serde_json::{Value, json};

#[test]
fn every_command_has_help_with_examples() {
    let all = run(dldl().arg("--help"));
    assert_eq!((all.code, all.stderr.as_str()), (0, ""));
    for command in [
        "estimate",
        "data",
        "prepare",
        "pretrain",
        "train",
        "eval",
        "compare",
        "calibrate",
        "robustness",
        "experiment",
        "explain",
        "report",
        "info",
        "export",
        "quantize",
        "bench",
        "generate",
    ] {
        assert!(all.stdout.contains(command), "{command} is not listed");
        let help = run(dldl().args(["help", command]));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        assert!(help.stdout.contains("Examples:") && help.stdout.contains("Usage:"));
        assert!(!help.stdout.contains('\x1b'), "colors in a pipe");
    }
    let version = run(dldl().arg("--version"));
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn info_describes_the_model() {
    let table = run(dldl().args(["info", "tiny"]));
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    for part in ["TinyAgeNet", "940,158", "multiply-adds", "license", "training data"] {
        assert!(table.stdout.contains(part), "{part} in {}", table.stdout);
    }
    let json = run(dldl().args(["info", "--format", "json"]));
    let info: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (info["parameters"].as_u64(), info["heads"][0]["task"].as_str()),
        (Some(940_158), Some("age"))
    );
    // The multiply-accumulates are those of the model's crop size.
    let size = info["input_size"].as_u64().unwrap() as usize;
    assert_eq!(info["macs"].as_u64(), Some(dldl_net::NetSpec::tiny_age(142).macs(size)));
    assert_eq!(info["heads"][0]["labels"]["max"], 100.0);
}

#[test]
fn bench_reports_the_figures_that_scripts_read() {
    let bench = |more: &[&str]| run(dldl().args(["bench", "--runs", "2"]).args(more));
    let few = ["--size", "64", "--no-comparators"];
    let json = bench(&[&few[..], &["--batch", "3", "--threads", "2", "--format", "json"]].concat());
    assert_eq!((json.code, json.stderr.as_str()), (0, ""));
    let speed: Value = serde_json::from_str(&json.stdout).unwrap();
    let given = |key: &str| speed[key].as_u64().unwrap();
    assert_eq!([given("size"), given("batch"), given("threads")], [64, 3, 2]);
    let net = dldl_net::NetSpec::tiny_age(142);
    assert_eq!((given("params"), given("macs")), (940_158, net.macs(64)));
    for key in ["cpu_ms", "wall_ms"] {
        let [min, median] = ["min", "median"].map(|k| speed[key][k].as_f64().unwrap());
        assert!(0.0 < min && min <= median, "{key}: {min}, {median}");
    }
    assert!(speed["isa"].is_string() && given("arena_bytes") > 0);
    let layers = speed["layers"].as_array().unwrap();
    let macs: u64 = layers.iter().map(|l| l["macs"].as_u64().unwrap()).sum();
    assert_eq!(macs, net.macs(64));

    let table = bench(&few);
    assert!(table.stdout.contains("conv12") && table.stdout.contains("of peak"));
    let refused = bench(&["--size", "100"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("multiple of 32"), "{}", refused.stderr);
}

#[test]
fn the_environment_selects_the_vector_instructions() {
    for level in dldl_net::Level::available() {
        let mut command = dldl();
        command.args(["bench", "--runs", "1", "--size", "32", "--no-comparators", "-f", "json"]);
        let forced = run(command.env(dldl_net::LEVEL_VARIABLE, level.name()));
        let speed: Value = serde_json::from_str(&forced.stdout).unwrap();
        assert_eq!(speed["isa"], level.name());
    }
    let wrong = run(dldl().arg("info").env(dldl_net::LEVEL_VARIABLE, "avx1024"));
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""));
    assert!(wrong.stderr.contains("DLDL_ISA") && wrong.stderr.contains("avx1024"));
}

#[test]
fn export_writes_a_file_for_other_runtimes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("tiny.onnx");
    let export = |more: &[&str]| run(dldl().arg("export").args(more).arg("--out").arg(&out));
    // A crop size that the network does not accept is a usage error and writes nothing.
    let refused = export(&["--size", "100"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("100x100") && refused.stderr.contains("multiple of 32"));
    assert_eq!(export(&["--model", "no-such-model"]).code, 2);
    assert!(!out.exists());

    let done = export(&["--format", "onnx", "--size", "96"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("tiny.onnx"), "{}", done.stdout);
    // All parameters in single precision, the recipe, the map of the recalibration, and little else.
    let bytes = std::fs::read(&out).unwrap();
    let numbers = 4 * dldl_net::NetSpec::tiny_age(142).parameter_count();
    assert!((numbers - 20_000..numbers + 100_000).contains(&bytes.len()), "{}", bytes.len());
    let contains = |name: &str| bytes.windows(name.len()).any(|w| w == name.as_bytes());
    for name in ["crops", "logits", "probabilities", "expectation", "training_data"] {
        assert!(contains(name), "{name}");
    }
}

#[test]
fn manual_pages_are_generated_for_every_command() {
    let page = run(dldl().args(["generate", "man"]));
    assert_eq!((page.code, page.stderr.as_str()), (0, ""));
    assert!(page.stdout.contains(".TH dldl 1") && page.stdout.contains("dldl\\-estimate(1)"));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man1");
    let pages = run(dldl().args(["generate", "man", "--out"]).arg(&out));
    assert_eq!((pages.code, pages.stdout.as_str(), pages.stderr.as_str()), (0, "", ""));
    assert_eq!(std::fs::read_to_string(out.join("dldl.1")).unwrap(), page.stdout);
    for name in ["dldl-estimate", "dldl-data-check", "dldl-generate"] {
        let page = std::fs::read_to_string(out.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        assert!(page.contains("Examples:"), "{page}");
    }
    assert!(!out.join("dldl-help.1").exists());
}

#[test]
fn completions_are_generated_for_every_shell() {
    for (shell, part) in [
        ("bash", "complete -F _dldl"),
        ("zsh", "#compdef dldl"),
        ("fish", "complete -c dldl"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = run(dldl().args(["generate", shell]));
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for part in [part, "estimate", "no-detect"] {
            assert!(script.stdout.contains(part), "{part} for {shell}");
        }
        // PowerShell's completions have no values of options.
        let values = script.stdout.contains("scut-fbp5500");
        assert_eq!(values, shell != "powershell", "{shell}");
    }
    let refused = run(dldl().args(["generate", "bash", "--out", "folder"]));
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(run(dldl().args(["generate", "tcsh"])).stderr.contains("powershell"));
}

#[test]
fn the_schema_of_the_records_is_generated() {
    let schema = run(dldl().args(["generate", "schema"]));
    assert_eq!((schema.code, schema.stderr.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&schema.stdout).unwrap();
    let json = run(dldl().args(["estimate", "--format", "ndjson"]).arg(portrait()));
    let record: Value = serde_json::from_str(&json.stdout).unwrap();
    for key in record.as_object().unwrap().keys() {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[cfg(unix)]
#[test]
fn results_go_through_links_and_into_devices() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file.svg"), dir.path().join("link.svg"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("file.svg", &link).unwrap();
    let figure = |out: &Path| run(dldl().args(["explain", "ranking", "--out"]).arg(out));
    assert_eq!(figure(&link).code, 0);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("<svg"));
    let null = Path::new("/dev/null");
    assert_eq!(figure(null).code, 0);
    let export = run(dldl().args(["export", "--out"]).arg(null));
    assert_eq!((export.code, export.stderr.as_str()), (0, ""));
    dataset(dir.path());
    let mut eval = dldl();
    eval.args(["eval", "--dataset", "csv", "--split", "train", "--out"]).arg(null);
    // One of the entries is invalid.
    assert_eq!(run(eval.arg("--root").arg(dir.path())).code, 1);
    let mut report = dldl();
    let evaluation = dir.path().join("eval.json");
    run(report
        .args(["eval", "--dataset", "csv", "--split", "train", "--root"])
        .arg(dir.path())
        .arg("--out")
        .arg(&evaluation));
    let report = run(dldl().arg("report").arg(&evaluation).arg("--out").arg(null));
    assert_eq!((report.code, report.stderr.as_str()), (0, ""));
    assert!(!null.metadata().unwrap().is_file());
    let missing = figure(&dir.path().join("no/such.svg"));
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("cannot write") && missing.stderr.contains("no/such.svg"));
    let missing = run(dldl().args(["export", "--out", "no/such.onnx"]));
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("no/such.onnx"), "{}", missing.stderr);
}

/// A dataset of three usable pictures, one of them without a face, a missing picture and
/// an invalid line.
pub fn dataset(root: &Path) {
    std::fs::copy(portrait(), root.join("a.jpg")).unwrap();
    write_jpeg(&portrait_pixels().fliph(), &root.join("b.jpg"));
    write_jpeg(&image::DynamicImage::new_rgb8(120, 90), &root.join("black.jpg"));
    let table = "file,age,sigma,split\n\
        a.jpg,40,3,test\nb.jpg,40,,test\nblack.jpg,30,,test\nmissing.jpg,20,,test\n\
        b.jpg,35,,train\nb.jpg,old,,train\n";
    std::fs::write(root.join("labels.csv"), table).unwrap();
}

#[test]
fn a_small_dataset_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let eval = |more: &[&str]| {
        let mut dldl = dldl();
        dldl.args(["eval", "--dataset", "csv", "--root"]).arg(dir.path()).args(more);
        run(&mut dldl)
    };
    let json = eval(&["--format", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (1, ""));
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((report["n"].as_u64(), report["failures"].as_u64()), (Some(3), Some(1)));
    assert_eq!(report["crops"], json!({ "aligned": 2, "whole_picture": 1 }));
    assert_eq!(report["failed"][0]["file"], "missing.jpg");
    assert_eq!(report["problems"].as_array().unwrap().len(), 1);
    for way in ["plain", "flip_fusion"] {
        let figure = |name: &str| report[way][name]["value"].as_f64().expect("a figure");
        assert!((0.0..=100.0).contains(&figure("mae")));
        assert!(figure("rmse") >= figure("mae"));
        assert!(figure("cs3") <= figure("cs5") && figure("cs5") <= figure("cs8"));
        assert!((0.0..=1.0).contains(&figure("epsilon_error")));
    }
    let predictions = report["predictions"].as_array().unwrap();
    assert_eq!((predictions.len(), &predictions[2]["file"]), (3, &"black.jpg".into()));
    assert_eq!(
        (&predictions[2]["aligned"], &predictions[2]["truth"]),
        (&false.into(), &30.0.into())
    );
    // Errors of 35 against 40, 40 and 30.
    assert_eq!(report["baseline"], json!({ "train_median": 35.0, "mae": 5.0 }));

    let table = eval(&["--split", "all", "--no-detect"]);
    assert!(table.stdout.contains("flip fusion") && table.stdout.contains("missing.jpg"));
    assert!(table.stdout.contains("0 aligned by a face, 4 used whole"), "{}", table.stdout);
    assert_eq!(eval(&["--split", "holdout"]).code, 2);
    let nothing = eval(&["--split", "val"]);
    assert!(nothing.code == 2 && nothing.stderr.contains("val"), "{}", nothing.stderr);
}

#[test]
fn thresholds_are_evaluated_and_reported() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let out = dir.path().join("eval.json");
    let eval = |more: &[&str]| {
        let mut dldl = dldl();
        dldl.args(["eval", "--dataset", "csv", "--root"]).arg(dir.path()).args(more);
        run(&mut dldl)
    };
    let table = eval(&["--threshold", "35,90", "--out", out.to_str().unwrap()]);
    assert!(table.stdout.contains("at least 35: 1 pictures below, 2 above"), "{}", table.stdout);
    let text = std::fs::read_to_string(&out).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    // Nobody is 90 or older: there is nothing to measure.
    assert_eq!(found["at_least"].as_array().unwrap().len(), 1);
    let predictions = found["predictions"].as_array().unwrap();
    let p = |i: usize| predictions[i]["at_least"][0].as_f64().expect("a probability");
    // The third picture is the only one of somebody below 35.
    let won = |above: f64| if above > p(2) { 1.0 } else { 0.0 };
    let auc = &found["at_least"][0]["all"]["auc"]["value"];
    assert_eq!(auc.as_f64(), Some((won(p(0)) + won(p(1))) / 2.0));
    let page = dir.path().join("report.html");
    let report = run(dldl().arg("report").arg(&out).arg("--out").arg(&page));
    assert_eq!((report.code, report.stderr.as_str()), (0, ""));
    let html = std::fs::read_to_string(page).unwrap();
    assert!(html.contains("At least 35 years") && html.contains("ROC curve at 35"));
    for wrong in ["0", "101", "nan"] {
        let refused = eval(&["--threshold", wrong]);
        assert!(refused.code == 2 && refused.stderr.contains("threshold"), "{}", refused.stderr);
    }
}

#[test]
fn qualities_are_those_of_estimate_and_of_caches() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let out = dir.path().join("eval.json");
    let eval = |dataset: &str, root: &Path, more: &[&str]| {
        let mut dldl = dldl();
        dldl.args(["eval", "--dataset", dataset, "--root"]).arg(root).args(more);
        run(&mut dldl)
    };
    let table = eval("csv", dir.path(), &["--out", out.to_str().unwrap()]);
    assert!(table.stdout.contains("if the poorest of 3 pictures"), "{}", table.stdout);
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let found = read(&std::fs::read_to_string(&out).unwrap());
    let qualities = |found: &Value| -> Vec<f64> {
        let predictions = found["predictions"].as_array().unwrap();
        predictions.iter().map(|p| p["quality"].as_f64().expect("a quality")).collect()
    };
    let seen = qualities(&found);
    // There is no face in the third picture.
    assert!(seen[0] > 0.0 && seen[1] > 0.0 && seen[2] == 0.0, "{seen:?}");
    assert!(found["predictions"][2].get("measures").is_none());
    assert_eq!(found["rejection"]["by_quality"]["points"].as_array().unwrap().len(), 20);
    let (_, records) = crate::common::estimate(&[&dir.path().join("a.jpg")], &[]);
    let own = records[0]["faces"][0]["quality"].as_f64().unwrap();
    assert!((own - seen[0]).abs() < 0.0051, "{own} {seen:?}");

    let cache = dir.path().join("cache");
    let prepared = run(dldl()
        .args(["prepare", "--dataset", "csv", "--root"])
        .arg(dir.path())
        .arg("--out")
        .arg(&cache));
    assert_eq!(prepared.code, 1, "{}", prepared.stderr);
    let cached = eval("cache", &cache, &["--format", "json"]);
    let cached = read(&cached.stdout);
    for (a, b) in qualities(&cached).iter().zip(&seen) {
        assert!((a - b).abs() < 0.05, "{a} {b}");
    }
    assert_eq!(
        cached["predictions"][0]["measures"]["size"],
        found["predictions"][0]["measures"]["size"]
    );

    let page = dir.path().join("report.html");
    let report = run(dldl().arg("report").arg(&out).arg("--out").arg(&page));
    assert_eq!((report.code, report.stderr.as_str()), (0, ""));
    assert!(std::fs::read_to_string(page).unwrap().contains("Error by the share rejected"));
}

#[test]
fn robustness_measures_errors_under_corruptions() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let on = |command: &str, more: &[&str]| {
        let mut dldl = dldl();
        dldl.args([command, "--dataset", "csv", "--root"]).arg(dir.path()).args(more);
        run(&mut dldl)
    };
    let both = ["--corrupt", "move:-0.1,0", "--corrupt", "jpeg:10"];
    let json = on("robustness", &[&both[..], &["--format", "json"]].concat());
    // One picture is missing.
    assert_eq!((json.code, json.stderr.as_str()), (1, ""));
    let found: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(found["corrupted"].as_array().unwrap().len(), 2);
    assert_eq!(found["corrupted"][1]["corruption"], "jpeg:10");
    assert_eq!((&found["clean"]["n"], &found["clean"]["failures"]), (&3.into(), &1.into()));
    let mae = |report: &Value| report["metrics"]["mae"]["value"].as_f64().unwrap();
    let table = on("robustness", &both);
    for part in ["none".into(), "move:-0.1,0".into(), format!("{:.3}", mae(&found["clean"]))] {
        assert!(table.stdout.contains::<&str>(&part), "{part} in {}", table.stdout);
    }
    // `eval` gives the same errors; the old name of the option still works.
    let alone = on("eval", &["--disturb", "jpeg:10", "--format", "json"]);
    let alone: Value = serde_json::from_str(&alone.stdout).unwrap();
    let flip_fusion = alone["flip_fusion"]["mae"]["value"].as_f64().unwrap();
    assert_eq!(flip_fusion, mae(&found["corrupted"][1]));
    let wrong = on("robustness", &["--corrupt", "fog:3"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("blur:PIXELS"), "{}", wrong.stderr);
}

#[test]
fn a_cache_gives_nearly_the_same_errors_as_the_pictures() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    let cache = dir.path().join("cache");
    let mut prepare = dldl();
    prepare.args(["prepare", "--dataset", "csv", "--root"]).arg(dir.path());
    prepare.arg("--out").arg(&cache);
    let first = run(&mut prepare);
    assert_eq!((first.code, first.stderr.as_str()), (1, ""));
    assert!(first.stdout.contains("3 aligned, 1 used whole"), "{}", first.stdout);
    assert!(first.stdout.contains("missing.jpg"), "{}", first.stdout);
    assert!(cache.join("test-00000.tar").is_file() && cache.join("report.json").is_file());
    // A second run keeps what is there.
    assert!(run(&mut prepare).stdout.contains("4 were packed before"));

    let mae = |dataset: &str, root: &Path| {
        let mut dldl = dldl();
        dldl.args(["eval", "--format", "json", "--dataset", dataset, "--root"]).arg(root);
        let report: Value = serde_json::from_str(&run(&mut dldl).stdout).unwrap();
        assert_eq!(report["n"].as_u64(), Some(3));
        report["flip_fusion"]["mae"]["value"].as_f64().unwrap()
    };
    let (direct, cached) = (mae("csv", dir.path()), mae("cache", &cache));
    assert!((direct - cached).abs() < 1.5, "{direct} {cached}");
    let wrong = run(dldl().args(["prepare", "--dataset", "mnist", "--root", ".", "--out", "x"]));
    assert!(wrong.code == 2 && wrong.stderr.contains("utkface"), "{}", wrong.stderr);
}
