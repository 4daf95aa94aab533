//! `dldl train` and `dldl pretrain` end to end, on a tiny dataset: files, interruptions,
//! refusals.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{dldl, run, write_jpeg};
use serde_json::Value;

/// A cache of 32 training and 8 validation pictures, the brighter the older.
fn cache(dir: &Path) -> PathBuf {
    let mut table = String::from("file,age,split\n");
    for i in 0..40u32 {
        let age = 5 + (i * 37) % 86;
        let pixel = |x: u32, y: u32| {
            let base = 2 * age + (x * (i % 3) + y * (i % 2)) / 8;
            image::Rgb([base as u8, (base / 2) as u8, (255 - base) as u8])
        };
        let picture = image::RgbImage::from_fn(64, 64, pixel);
        write_jpeg(&picture.into(), &dir.join(format!("{i}.jpg")));
        let split = if i < 32 { "train" } else { "val" };
        table += &format!("{i}.jpg,{age},{split}\n");
    }
    std::fs::write(dir.join("labels.csv"), table).unwrap();
    let out = dir.join("cache");
    let mut prepare = dldl();
    prepare.args(["prepare", "--dataset", "csv", "--size", "48", "--root"]).arg(dir);
    let done = run(prepare.arg("--out").arg(&out));
    assert_eq!(done.code, 0, "{}", done.stderr);
    out
}

/// A recipe of 60 steps with a checkpoint after nearly every one.
fn recipe(dir: &Path) -> PathBuf {
    let path = dir.join("recipe.toml");
    let text = "cache = 'CACHE'\nrun = 'RUN'\nname = 'tiny'\nema = 0.9\nlearning_rate = 2e-3\n\
        log_every = 2\ncheckpoint_minutes = 1e-5\n\
        [[phases]]\nsize = 32\nepochs = 10\nbatch = 8\n\
        [[phases]]\nsize = 64\nepochs = 5\nbatch = 8\nlr_scale = 0.5\n";
    std::fs::write(&path, text.replace("CACHE", &cache(dir).to_string_lossy())).unwrap();
    path
}

fn train(recipe: &Path, folder: &Path) -> assert_cmd::Command {
    let mut command = dldl();
    command.arg("train").arg(recipe).arg("--run").arg(folder);
    command
}

/// The same, left alone with its stderr in a pipe.
fn started(recipe: &Path, folder: &Path, resume: bool) -> Child {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("dldl"));
    command.arg("train").arg(recipe).arg("--run").arg(folder);
    command.args(resume.then_some("--resume"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
}

/// Waits until the log has so many lines.
fn wait_for_lines(child: &mut Child, folder: &Path, lines: usize) {
    let begun = Instant::now();
    loop {
        let log = std::fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
        if log.lines().count() >= lines {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before line {lines}");
        assert!(begun.elapsed() < Duration::from_secs(120), "no progress");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The log without times.
fn curve(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let record = |line: &str| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        for clock in ["images_per_second", "waiting", "seconds", "train_seconds", "val_seconds"] {
            record.as_object_mut().unwrap().remove(clock);
        }
        record
    };
    text.lines().map(record).collect()
}

/// What an uninterrupted training and another one must have in common.
fn assert_same(whole: &Path, other: &Path) {
    assert_eq!(curve(whole), curve(other));
    // TensorBoard's file has times in it, but is as long.
    let events =
        |folder: &Path| std::fs::metadata(folder.join("events.out.tfevents.0.dldl")).unwrap().len();
    assert_eq!(events(whole), events(other));
    for file in ["model.safetensors", "model-f32.safetensors"] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(whole) == read(other), "{file} differs");
    }
}

#[test]
fn a_killed_training_resumes_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    // Folders of one name: it stands in the weights.
    let (whole, killed) = (dir.path().join("a/run"), dir.path().join("b/run"));
    let done = run(&mut train(&recipe, &whole));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("60 steps") && done.stdout.contains("waiting for data"));
    assert!(done.stdout.contains("MAE of age"), "{}", done.stdout);
    // Plain lines where there is no terminal.
    assert!(done.stderr.contains("epoch  15 at 64 px") && !done.stderr.contains('\x1b'));
    for file in [
        "config.toml",
        "log.jsonl",
        "chart.svg",
        "chart.png",
        "examples.png",
        "last.ckpt",
        "best.ckpt",
        "events.out.tfevents.0.dldl",
    ] {
        assert!(whole.join(file).is_file(), "{file} is missing");
    }

    // Child::kill is SIGKILL: nothing can be tidied up.
    for (i, lines) in [1, 9, 14, 27, 34].into_iter().enumerate() {
        let mut child = started(&recipe, &killed, i > 0);
        wait_for_lines(&mut child, &killed, lines);
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!killed.join("model.safetensors").exists(), "killed too late");
    }
    let done = run(train(&recipe, &killed).arg("--resume"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("resuming after step"), "{}", done.stderr);
    assert_same(&whole, &killed);
    // The resolved recipe is a recipe, of a training that is over.
    let again = run(dldl().arg("train").arg(killed.join("config.toml")).arg("--resume"));
    assert_eq!(again.code, 0, "{}", again.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_to_resume_from() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let (whole, stopped) = (dir.path().join("a/run"), dir.path().join("b/run"));
    assert_eq!(run(&mut train(&recipe, &whole)).code, 0);
    for (i, signal) in ["-INT", "-TERM"].into_iter().enumerate() {
        let mut child = started(&recipe, &stopped, i > 0);
        wait_for_lines(&mut child, &stopped, 4 + 15 * i);
        let sent = std::process::Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains("with a checkpoint"), "{stderr}");
        assert!(stdout.contains("--resume"), "{stdout}");
        assert!(stopped.join("last.ckpt").exists());
        assert!(!stopped.join("model.safetensors").exists());
    }
    assert_eq!(run(train(&recipe, &stopped).arg("--resume")).code, 0);
    assert_same(&whole, &stopped);
}

#[test]
fn invalid_requests_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(dir.path());
    let folder = dir.path().join("run");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let [int8, tiny] = ["tiny-int8.safetensors", "tiny.safetensors"].map(|file| models.join(file));
    let [int8, tiny] = [&int8, &tiny].map(|path| path.to_str().unwrap());
    let refused = |code: i32, more: &[&str], parts: &[&str]| {
        let run = run(train(&recipe, &folder).args(more));
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{more:?}: {}", run.stderr);
        for part in parts {
            assert!(run.stderr.contains(part), "{more:?}: {}", run.stderr);
        }
        assert!(!folder.exists(), "{more:?} left something behind");
    };
    refused(2, &["--set", "learningrate=1"], &["recipe.toml", "learningrate"]);
    refused(2, &["--set", "phases.0.size=50"], &["recipe.toml", "phase 1", "multiple of 32"]);
    refused(2, &["--set", "phases.5.size=64"], &["phases.5.size", "no entry 5"]);
    refused(2, &["--set", "seed"], &["KEY=VALUE"]);
    refused(1, &["--cache", "no/such/cache"], &["no/such/cache"]);
    refused(1, &["--init", "no/such.safetensors"], &["no/such.safetensors"]);
    refused(1, &["--init", int8], &["tiny-int8", "quantized"]);
    refused(1, &["--init", tiny, "--set", "net=thin-age"], &["tiny.", "another network"]);
    for (device, built) in [
        ("vulkan", cfg!(feature = "vulkan")),
        ("wgpu", cfg!(feature = "wgpu")),
        ("cuda", cfg!(feature = "cuda")),
    ] {
        if !built {
            let how = format!("cargo build --release --features {device}");
            refused(2, &["--device", device], &[&how]);
        }
    }
    let missing = run(dldl().args(["train", "no/such.toml"]));
    assert_eq!(missing.code, 2);
    assert_eq!(missing.stderr.matches("No such file").count(), 1, "{}", missing.stderr);
    assert!(missing.stderr.contains("no/such.toml"));

    // A second training in the same folder is refused, and a damaged checkpoint is named.
    assert_eq!(run(train(&recipe, &folder).args(["--set", "phases.0.epochs=1"])).code, 0);
    let again = run(&mut train(&recipe, &folder));
    assert!(again.code == 1 && again.stderr.contains("last.ckpt"), "{}", again.stderr);
    let other = run(train(&recipe, &folder).arg("--resume"));
    assert!(other.code == 1 && other.stderr.contains("another recipe"), "{}", other.stderr);
    std::fs::write(folder.join("last.ckpt"), b"torn").unwrap();
    let torn = run(train(&recipe, &folder).arg("--resume"));
    assert!(torn.code == 1 && torn.stderr.contains("last.ckpt"), "{}", torn.stderr);
}

/// Portraits of 12 people, two each, in a folder per person, with their ages in
/// a table; `None` without the real data.
fn people(dir: &Path) -> Option<PathBuf> {
    let london = dldl_testdata::dataset("london")?;
    let table = std::fs::read_to_string(london.join("labels.csv")).unwrap();
    let root = dir.join("people");
    let mut labels = String::from("file,age,split\n");
    for line in table.lines().skip(1) {
        let [file, person, age] = line.splitn(4, ',').collect::<Vec<_>>()[..3] else {
            panic!("{line}")
        };
        if person.parse::<usize>().is_ok_and(|n| n <= 14) && !age.is_empty() {
            let name = format!("{person}/{}.jpg", file.split('_').next().unwrap());
            std::fs::create_dir_all(root.join(person)).unwrap();
            std::fs::copy(london.join("images").join(file), root.join(&name)).unwrap();
            let split = if file.starts_with("neutral") { "train" } else { "val" };
            labels += &format!("{name},{age},{split}\n");
        }
    }
    std::fs::write(dir.join("ages.csv"), labels).unwrap();
    Some(root)
}

/// From real portraits: identities, then a teacher's embeddings, then ages from each
/// trunk.
#[test]
fn a_training_starts_from_the_trunk_of_a_pretraining() {
    let dir = tempfile::tempdir().unwrap();
    let Some(root) = people(dir.path()) else { return };
    let at = |name: &str| dir.path().join(name);
    let prepare = |format: &str, more: &[&Path], out: &str| {
        let mut command = dldl();
        command.args(["prepare", "--size", "64", "--dataset", format, "--root"]).arg(&root);
        if let [labels] = more {
            command.arg("--labels").arg(labels);
        }
        let done = run(command.arg("--out").arg(at(out)));
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    prepare("people", &[], "faces");
    prepare("csv", &[&at("ages.csv")], "ages");
    for (recipe, cache) in [("faces", "faces"), ("ages", "ages")] {
        let text = format!("cache = '{}'\nrun = 'none'\n", at(cache).display());
        std::fs::write(at(&format!("{recipe}.toml")), text).unwrap();
    }
    let learn = |command: &str, recipe: &str, folder: &str, more: &[&str]| {
        let mut dldl = dldl();
        dldl.arg(command).arg(at(recipe)).arg("--run").arg(at(folder)).args(more);
        dldl.args(["--set", "phases.0={ size = 64, epochs = 3, batch = 8 }"]);
        let done = run(&mut dldl);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done
    };

    let identities = learn("pretrain", "faces.toml", "identities", &[]);
    assert!(identities.stdout.contains("trunk.safetensors"), "{}", identities.stdout);
    assert!(!at("identities/model.safetensors").exists());
    let resolved = std::fs::read_to_string(at("identities/config.toml")).unwrap();
    assert!(resolved.contains("kind = \"identity\""), "{resolved}");

    // A teacher of 16 numbers, in the order of its list.
    let mut files: Vec<String> = Vec::new();
    for person in std::fs::read_dir(&root).unwrap() {
        let person = person.unwrap().file_name().into_string().unwrap();
        files.extend(["neutral", "smiling"].map(|look| format!("{person}/{look}.jpg")));
    }
    std::fs::write(at("list.txt"), files.join("\n")).unwrap();
    let count = files.len();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 16), }}");
    let mut npy = b"\x93NUMPY\x01\x00v\x00".to_vec();
    npy.extend(format!("{header:117}\n").as_bytes());
    for i in 0..16 * count {
        npy.extend(((i * i % 17) as f32 - 8.0).to_le_bytes());
    }
    std::fs::write(at("teacher.npy"), npy).unwrap();
    let (npy, list) = (at("teacher.npy"), at("list.txt"));
    let teacher = ["--embeddings", npy.to_str().unwrap(), "--pictures", list.to_str().unwrap()];
    let embeddings = learn("pretrain", "faces.toml", "embeddings", &teacher);
    assert!(embeddings.stdout.contains("trunk.safetensors"), "{}", embeddings.stdout);
    let log = std::fs::read_to_string(at("embeddings/log.jsonl")).unwrap();
    assert!(log.contains("\"cosine\":"), "{log}");

    for from in ["identities", "embeddings"] {
        let trunk = at(from).join("trunk.safetensors");
        let init = ["--init", trunk.to_str().unwrap(), "--set", "learning_rate=1e-4"];
        let ages = learn("train", "ages.toml", &format!("ages-{from}"), &init);
        assert!(ages.stderr.contains("the head starts from random weights"), "{}", ages.stderr);
        assert!(ages.stdout.contains("MAE of age"), "{}", ages.stdout);
        // A trunk is not a model.
        let used = run(dldl().args(["info", trunk.to_str().unwrap()]));
        assert_ne!(used.code, 0);
        assert!(used.stderr.contains("trunk.safetensors"), "{}", used.stderr);
    }
    // The model is one.
    let model = at("ages-identities/model.safetensors");
    let used = run(dldl().args(["estimate", "--model"]).arg(model).arg(crate::common::portrait()));
    assert_eq!(used.code, 0, "{}", used.stderr);
}

/// The commands of the README in an empty folder, which has no recipe and no models.
#[test]
fn the_built_in_recipe_trains_on_your_own_pictures() {
    let dir = tempfile::tempdir().unwrap();
    cache(dir.path());
    let work = dir.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let in_work = |args: &[&str]| run(dldl().current_dir(&work).args(args));
    let prepared = ["--dataset", "csv", "--root", "..", "--labels", "../labels.csv"];
    let done = in_work(&[&["prepare"], &prepared[..], &["--out", "cache/mine"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done = in_work(&["train", "--cache", "cache/mine", "--set", "phases.0.epochs=1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    // The head of ages is taken from the built-in model.
    assert!(!done.stderr.contains("random weights"), "{}", done.stderr);
    assert!(work.join("runs/mine/model.safetensors").is_file());

    let printed = in_work(&["train", "--print-recipe"]);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""));
    std::fs::write(work.join("mine.toml"), printed.stdout).unwrap();
    let args = ["train", "mine.toml", "--init", "tiny", "--run", "second"];
    let done = in_work(&[&args[..], &["--set", "phases.0.epochs=1"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);

    let nothing = in_work(&["train"]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("RECIPE.toml"), "{}", nothing.stderr);
}

#[test]
fn bench_measures_training_steps() {
    let bench = |more: &[&str]| {
        let few = ["bench", "--train", "--model", "tiny", "--size", "32", "--runs", "2"];
        run(dldl().args(few).args(more))
    };
    let json = bench(&["--batch", "3", "--threads", "2", "--format", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (0, ""));
    let speed: Value = serde_json::from_str(&json.stdout).unwrap();
    let given = |key: &str| speed[key].as_u64().unwrap();
    assert_eq!([given("size"), given("batch"), given("threads")], [32, 3, 2]);
    for key in ["images_per_second", "images_per_second_per_core", "peak_bytes"] {
        assert!(speed[key].as_f64().unwrap() > 0.0, "{key} of {}", json.stdout);
    }
    let phases = speed["phases"].as_object().unwrap();
    let shares: f64 = phases.values().map(|share| share.as_f64().unwrap()).sum();
    assert!((shares - 1.0).abs() < 0.01, "{}", json.stdout);

    let refused = bench(&["--device", "abacus"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("abacus"), "{}", refused.stderr);
}
