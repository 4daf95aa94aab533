//! `dldl video` end to end, on clips of the portrait that ffmpeg makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{age, dldl, faces, portrait, run};
use serde_json::Value;

/// A clip of the portrait that moves to the left, with a tone; none without ffmpeg.
fn clip(dir: &Path, seconds: u32) -> Option<PathBuf> {
    let ffmpeg = dldl_testdata::ffmpeg()?;
    let path = dir.join("clip.mp4");
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "error", "-y", "-loop", "1", "-framerate", "20", "-i"]).arg(portrait());
    command.args(["-f", "lavfi", "-i", "sine", "-t", &seconds.to_string()]);
    command.args(["-vf", "crop=320:300:20+15*sin(t*3):10", "-pix_fmt", "yuv420p"]);
    assert!(command.arg(&path).status().unwrap().success(), "ffmpeg failed");
    Some(path)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn every_frame_is_a_record_with_the_person_and_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = clip(dir.path(), 2) else { return };
    let run = run(dldl().args(["video", "--format", "ndjson"]).arg(&clip));
    assert_eq!((run.code, &run.stderr[..]), (0, ""));
    let records = lines(&run.stdout);
    assert_eq!(records.len(), 40);
    let mut singles = Vec::new();
    for (i, record) in records.iter().enumerate() {
        assert_eq!((faces(record), record["frame"].as_u64()), (1, Some(i as u64)));
        assert!((record["time"].as_f64().unwrap() - 0.05 * i as f64).abs() < 0.002);
        let face = &record["faces"][0];
        assert_eq!(face["track"].as_u64(), (i >= 2).then_some(1));
        singles.push(face["single"]["age"].as_f64().unwrap());
    }
    // The age of a track is between those of its frames.
    let last = age(&records[39]["faces"][0]);
    let (low, high) = (
        singles.iter().copied().fold(f64::MAX, f64::min),
        singles.iter().copied().fold(0.0, f64::max),
    );
    assert!(low <= last && last <= high && high > low, "{low} {last} {high}");
}

#[test]
fn people_are_a_table_json_or_csv() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = clip(dir.path(), 1) else { return };
    let of = |more: &[&str]| {
        let run =
            run(dldl().args(["video", "--fps", "10", "--threshold", "18"]).args(more).arg(&clip));
        assert_eq!((run.code, &run.stderr[..]), (0, ""));
        run.stdout
    };
    let table = of(&[]);
    assert!(
        table.starts_with("person ") && table.ends_with("\n1 person in 10 frames\n"),
        "{table}"
    );
    let people: Value = serde_json::from_str(&of(&["--tracks", "--format", "json"])).unwrap();
    let person = &people[0];
    assert_eq!((person["track"].as_u64(), person["frames"].as_u64()), (Some(1), Some(10)));
    assert!(people.as_array().unwrap().len() == 1 && person["last"].as_f64() == Some(0.9));
    assert!(person["best"]["quality"].as_f64().unwrap() > 0.3, "{person}");
    assert_eq!(person["age"]["at_least"][0]["threshold"], 18.0);
    age(person);
    let csv = of(&["--tracks", "--format", "csv"]);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    assert!(csv.headers().unwrap().iter().any(|name| name == "age_at_least_18"));
    assert_eq!(csv.records().map(Result::unwrap).count(), 1);
    let csv = of(&["--format", "csv"]);
    let mut csv = csv::Reader::from_reader(csv.as_bytes());
    let track = csv.headers().unwrap().iter().position(|name| name == "track").unwrap();
    let tracks: Vec<String> = csv.records().map(|r| r.unwrap()[track].to_owned()).collect();
    assert_eq!(tracks[..3], ["", "", "1"]);
}

#[test]
fn the_annotated_copy_has_the_frames_and_the_sound() {
    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = clip(dir.path(), 1) else { return };
    let out = dir.path().join("out.mp4");
    let run = run(dldl().arg("video").arg(&clip).arg("--annotate").arg(&out));
    assert_eq!((run.code, &run.stderr[..]), (0, ""));
    let about =
        Command::new(dldl_testdata::ffmpeg().unwrap()).arg("-i").arg(&out).output().unwrap();
    let about = String::from_utf8_lossy(&about.stderr);
    assert!(about.contains("Audio: ") && about.contains("320x300"), "{about}");
    let copy = self::run(dldl().args(["video", "--format", "ndjson"]).arg(&out));
    assert_eq!((copy.code, lines(&copy.stdout).len()), (0, 20), "{}", copy.stderr);
    // The input is never the output.
    let before = std::fs::read(&clip).unwrap();
    let refused = self::run(dldl().arg("video").arg(&clip).arg("--annotate").arg(&clip));
    assert_eq!((refused.code, &refused.stdout[..]), (2, ""));
    assert!(refused.stderr.contains("is the input"), "{}", refused.stderr);
    assert!(std::fs::read(&clip).unwrap() == before);
}

#[test]
fn bad_input_is_refused_by_name_and_missing_ffmpeg_explained() {
    let dir = tempfile::tempdir().unwrap();
    let none = run(dldl().args(["video", "clip.mp4", "--ffmpeg", "/nowhere/ffmpeg"]));
    assert_eq!((none.code, none.stdout), (2, String::new()));
    assert!(none.stderr.contains("apt install ffmpeg"), "{}", none.stderr);
    if dldl_testdata::ffmpeg().is_none() {
        return;
    }
    let missing = run(dldl().args(["video", "missing.mp4"]));
    assert_eq!((missing.code, &missing.stderr[..]), (2, "error: missing.mp4: no such file\n"));
    let text = dir.path().join("text.mp4");
    std::fs::write(&text, "no video").unwrap();
    let refused = run(dldl().args(["video", "--format", "json"]).arg(&text));
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("text.mp4: cannot be read as video"), "{}", refused.stderr);
    // The output is whole all the same.
    assert_eq!(serde_json::from_str::<Value>(&refused.stdout).unwrap(), serde_json::json!([]));
}

/// Ctrl-C ends the video with whole results; a kill leaves a whole video under the name of
/// the unfinished copy.
#[cfg(unix)]
#[test]
fn interrupted_and_killed_runs_leave_what_was_done() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let dir = tempfile::tempdir().unwrap();
    let Some(clip) = clip(dir.path(), 60) else { return };
    let out = dir.path().join("out.mp4");
    let part = dir.path().join("out.part.mp4");
    for (signal, code) in [("-INT", Some(130)), ("-KILL", None)] {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("dldl"));
        command.args(["video", "--format", "ndjson", "--annotate"]).args([&out, &clip]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut records = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Vec<String> = records.by_ref().take(5).map(Result::unwrap).collect();
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let rest = records.map_while(Result::ok).count();
        assert_eq!(child.wait().unwrap().code(), code, "{signal}");
        assert!(first.len() + rest < 1200, "it ended before the signal");
        let written = if code.is_some() { &out } else { &part };
        assert!(code.is_none() || !part.exists());
        // After a kill, ffmpeg needs a moment to end the file.
        let readable = || {
            let run = run(dldl().args(["video", "--tracks", "--format", "json"]).arg(written));
            run.code == 0 && run.stdout.contains("\"track\": 1")
        };
        let waited = (0..50).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            readable()
        });
        assert!(waited, "{signal}: {} is not whole", written.display());
        let _ = std::fs::remove_file(&out);
    }
}
