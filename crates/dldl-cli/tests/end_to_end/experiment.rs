//! `dldl experiment` end to end, on a tiny dataset: its output, interruptions,
//! changes of the file, failed trainings, invalid requests.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Run, dldl, run, write_jpeg};
use serde_json::Value;

/// Writes a dataset of 24 training, 8 validation and 8 test samples, in which older
/// faces are brighter.
fn pictures(dir: &Path) {
    let root = dir.join("pictures");
    std::fs::create_dir_all(&root).unwrap();
    let mut table = String::from("file,age,split\n");
    for i in 0..40u32 {
        let age = 5 + (i * 37) % 86;
        let pixel = |x: u32, y: u32| {
            let base = 2 * age + (x * (i % 3) + y * (i % 2)) / 8;
            image::Rgb([base as u8, (base / 2) as u8, (255 - base) as u8])
        };
        let picture = image::RgbImage::from_fn(48, 48, pixel);
        write_jpeg(&picture.into(), &root.join(format!("{i}.jpg")));
        let split = ["train", "train", "train", "val", "test"][(i % 5) as usize];
        table += &format!("{i}.jpg,{age},{split}\n");
    }
    std::fs::write(root.join("labels.csv"), table).unwrap();
}

const FILE: &str = "name = 'tiny'
title = 'Two methods'
training = ['val', 'parameters']
[recipe]
cache = 'cache'
learning_rate = 2e-3
checkpoint_minutes = 1e-5
phases = [{ size = 32, epochs = EPOCHS, batch = 8 }]
[[axis]]
name = 'method'
values = [
    { label = 'KL', set = { method = { name = 'dldl' } } },
    { label = 'KL + L1', set = { method = { name = 'dldl-v2' } } },
]
[[axis]]
name = 'seed'
over = true
values = [1, 2]
[[test]]
columns = ['mae', 'cs5']
[[reference]]
label = 'elsewhere'
source = 'A paper & more'
figures.mae = [3.0, 4.0]
[[prepare]]
dataset = 'csv'
root = 'pictures'
out = 'cache'
size = 48
detect = false
";

/// A folder with a dataset and the experiment's file.
fn workspace(epochs: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    pictures(dir.path());
    write(dir.path(), &FILE.replace("EPOCHS", &epochs.to_string()));
    dir
}

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("tiny.toml"), text).unwrap();
}

fn experiment(dir: &Path, more: &[&str]) -> Run {
    let mut command = dldl();
    command.current_dir(dir).args(["experiment", "tiny.toml", "--data", "."]).args(more);
    run(&mut command)
}

fn rows(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("results/tiny/rows.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn folder(dir: &Path, name: &str) -> PathBuf {
    dir.join("runs/experiments/tiny").join(name)
}

/// A written table. It has no columns that depend on the time.
fn table(dir: &Path, ending: &str) -> String {
    std::fs::read_to_string(dir.join(format!("results/tiny/table.{ending}"))).unwrap()
}

#[test]
fn grids_become_tables_and_only_missing_trainings_run() {
    let dir = workspace(2);
    let dir = dir.path();
    let done = experiment(dir, &["--list"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.matches("pending").count(), 4, "{}", done.stdout);
    assert!(done.stdout.contains("method KL + L1, seed 2") && !dir.join("results").exists());

    let done = experiment(dir, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("preparing") && done.stderr.contains("4 of 4 trainings done"));
    assert!(done.stderr.contains("method KL, seed 1: test MAE"), "{}", done.stderr);
    assert_eq!(rows(dir).len(), 4);
    let markdown = table(dir, "md");
    assert_eq!(done.stdout.trim(), markdown.trim());
    assert!(markdown.contains("| KL + L1 | ") && markdown.contains(" ± "), "{markdown}");
    assert!(markdown.contains("| elsewhere [1] | 3.500 ± 0.707 |"), "{markdown}");
    assert!(markdown.contains("n = 2") && markdown.contains("dldl experiment tiny.toml"));
    assert!(table(dir, "tex").contains("\\toprule") && table(dir, "csv").lines().count() == 4);
    // The means are those of the models as evaluated by `dldl eval`.
    let eval = |name: &str| -> f64 {
        let weights = folder(dir, name).join("model-f32.safetensors");
        let mut eval = dldl();
        eval.current_dir(dir).args(["eval", "--dataset", "cache", "--root", "cache"]);
        let done = run(eval.args(["--format", "json", "--model"]).arg(weights));
        let report: Value = serde_json::from_str(&done.stdout).unwrap();
        report["flip_fusion"]["mae"]["value"].as_f64().unwrap()
    };
    let json = experiment(dir, &["--tables-only", "--format", "json"]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let mean = json["lines"][0]["figures"][0]["mean"].as_f64().unwrap();
    assert!((mean - (eval("kl_1") + eval("kl_2")) / 2.0).abs() < 1e-9, "{json}");
    // Checkpoints are removed, weights are kept.
    assert!(!folder(dir, "kl_1").join("last.ckpt").exists());

    // Nothing is left to do.
    let again = experiment(dir, &[]);
    assert_eq!((again.code, rows(dir).len()), (0, 4), "{}", again.stderr);
    assert!(!again.stderr.contains("MAE"), "{}", again.stderr);
    // Evaluating again gives the same table without another training.
    let again = experiment(dir, &["--measure-again", "--only", "KL"]);
    assert_eq!((again.code, rows(dir).len()), (0, 6), "{}", again.stderr);
    assert_eq!(table(dir, "md"), markdown);
    // Another seed adds its trainings; another recipe repeats all.
    let more = FILE.replace("EPOCHS", "2").replace("[1, 2]", "[1, 2, 3]");
    write(dir, &more);
    let done = experiment(dir, &["--only", "KL"]);
    assert_eq!((done.code, rows(dir).len()), (0, 7), "{}", done.stderr);
    assert!(done.stderr.contains("3 of 3 trainings done"), "{}", done.stderr);
    assert!(table(dir, "md").contains("1 of 6 trainings are missing"));
    write(dir, &more.replace("2e-3", "1e-3"));
    let list = experiment(dir, &["--list"]);
    assert_eq!(list.stdout.matches("pending").count(), 6, "{}", list.stdout);
    // The model of the old recipe is kept under another name.
    let old = std::fs::read(folder(dir, "kl_1").join("model.safetensors")).unwrap();
    let done = experiment(dir, &["--only", "KL", "--only", "seed=1"]);
    assert!(done.code == 0 && done.stderr.contains("renamed to"), "{}", done.stderr);
    let model = |name: &str| std::fs::read(folder(dir, name).join("model.safetensors")).unwrap();
    assert_eq!(model("kl_1.old-1"), old);
    assert_ne!(model("kl_1"), old);
}

#[test]
fn run_folders_with_other_contents_are_never_deleted() {
    let dir = workspace(1);
    let dir = dir.path();
    write(dir, &FILE.replace("EPOCHS", "1").replace("[recipe]", "keep = 'nothing'\n[recipe]"));
    // A recipe that cannot be read, and files that are not from a training.
    for (name, file) in [("kl_1", "config.toml"), ("kl_2", "notes.txt")] {
        std::fs::create_dir_all(folder(dir, name)).unwrap();
        std::fs::write(folder(dir, name).join(file), "precious").unwrap();
    }
    let done = experiment(dir, &["--only", "KL"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for (name, file) in [("kl_1.old-1", "config.toml"), ("kl_2.old-1", "notes.txt")] {
        assert_eq!(std::fs::read(folder(dir, name).join(file)).unwrap(), b"precious");
    }
    assert!(!folder(dir, "kl_1").exists() && !folder(dir, "kl_2").exists());
}

#[test]
fn an_experiment_that_is_running_is_not_run_again() {
    let dir = workspace(1);
    let dir = dir.path();
    for lock in ["results/tiny/rows.jsonl", "runs/experiments/tiny/.lock"] {
        let path = dir.join(lock);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(&path).unwrap();
        file.lock().unwrap();
        let refused = experiment(dir, &["--only", "KL", "--only", "seed=1"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{}", refused.stderr);
        assert!(refused.stderr.contains("locked by another"), "{}", refused.stderr);
        assert!(!folder(dir, "kl_1").exists());
        // Reading needs no lock.
        assert_eq!(experiment(dir, &["--list"]).code, 0);
        drop(file);
    }
    let done = experiment(dir, &["--only", "KL", "--only", "seed=1"]);
    assert_eq!((done.code, rows(dir).len()), (0, 1), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn interrupted_grids_continue_with_the_same_results() {
    let (whole, stopped) = (workspace(12), workspace(12));
    let (whole, stopped) = (whole.path(), stopped.path());
    assert_eq!(experiment(whole, &[]).code, 0);
    for (i, (signal, trial)) in
        [("-INT", "kl_1"), ("-KILL", "kl-l1_1"), ("-TERM", "kl_2")].into_iter().enumerate()
    {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("dldl"));
        command.current_dir(stopped).args(["experiment", "tiny.toml", "--data", "."]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        // Wait for a few epochs.
        let log = folder(stopped, trial).join("log.jsonl");
        while std::fs::read_to_string(&log).unwrap_or_default().lines().count() < 4 {
            assert!(child.try_wait().unwrap().is_none(), "it ended before {trial}");
            assert!(start.elapsed() < Duration::from_secs(120), "no progress");
            std::thread::sleep(Duration::from_millis(2));
        }
        let id = child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        if signal != "-KILL" {
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(130), "{stderr}");
            assert!(stderr.contains("rerun the same command"), "{stderr}");
        }
        let list = experiment(stopped, &["--list"]);
        assert_eq!(list.stdout.matches("done").count(), i, "{}", list.stdout);
        assert_eq!(list.stdout.matches("started").count(), 1, "{}", list.stdout);
    }
    assert_eq!(experiment(stopped, &[]).code, 0);
    for ending in ["md", "csv", "tex"] {
        assert_eq!(table(whole, ending), table(stopped, ending));
    }
}

#[test]
fn failed_trainings_are_rows_and_the_others_continue() {
    let dir = workspace(1);
    let dir = dir.path();
    let bad = "{ label = 'KL', set = { method = { name = 'dldl' }, learning_rate = 1e30 } }";
    let text = FILE.replace("EPOCHS", "2");
    let (before, after) = text.split_once("{ label = 'KL', ").unwrap();
    let after = after.split_once('\n').unwrap().1;
    write(dir, &format!("{before}{bad},\n{after}"));
    let done = experiment(dir, &[]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("method KL, seed 1: failed: the loss became"), "{}", done.stderr);
    assert!(done.stderr.contains("2 of 4 trainings done, 2 failed"), "{}", done.stderr);
    assert!(table(dir, "md").contains("Failed: KL, 1: the loss became"), "{}", table(dir, "md"));
    // A diverged training is not tried again, and still counts as failed.
    let again = experiment(dir, &[]);
    assert_eq!((again.code, rows(dir).len()), (1, 4), "{}", again.stderr);
}

#[test]
fn invalid_requests_are_refused_before_anything_runs() {
    let dir = workspace(1);
    let dir = dir.path();
    let good = FILE.replace("EPOCHS", "1");
    let refused = |text: &str, more: &[&str], parts: &[&str]| {
        write(dir, text);
        let run = experiment(dir, more);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{}", run.stderr);
        }
        assert!(!dir.join("runs").exists(), "{parts:?}: a run folder was created");
    };
    refused(&good.replace("'dldl-v2'", "'dldl-v3'"), &[], &["tiny.toml", "KL + L1, 1", "dldl-v3"]);
    refused(&good.replace("size = 32", "size = 33"), &[], &["phase 1", "multiple of 32"]);
    refused(&good, &["--only", "MR"], &["unknown label `MR`", "method: KL, KL + L1"]);
    let other = good.replace("cache = 'cache'", "cache = 'other'");
    refused(&other, &[], &["other", "dldl prepare"]);
    refused(&good.replace("'pictures'", "'nowhere'"), &[], &["nowhere"]);
    let init = good.replace("[recipe]", "[recipe]\ninit = 'no/such.safetensors'");
    refused(&init, &[], &["no/such.safetensors"]);
    // The cache exists by now, with another size.
    refused(&good.replace("size = 48", "size = 64"), &[], &["cache", "48 pixels", "64 pixels"]);
    #[cfg(not(feature = "cuda"))]
    {
        write(dir, &good);
        let run = experiment(dir, &["--device", "cuda"]);
        assert_eq!((run.code, rows(dir).len()), (2, 0), "{}", run.stderr);
        assert!(run.stderr.contains("without the device cuda"), "{}", run.stderr);
    }
    let missing = run(dldl().args(["experiment", "no/such.toml"]));
    assert!(missing.code == 2 && missing.stderr.contains("no/such.toml"), "{}", missing.stderr);
}
