//! `dldl data`, and protocols from the command line, end to end.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

use crate::common::{Run, dldl, portrait, portrait_pixels, run, write_jpeg};

fn data(more: &[&str], root: Option<&Path>) -> Run {
    let mut command: Command = dldl();
    command.arg("data").args(more);
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    run(&mut command)
}

#[test]
fn datasets_are_listed() {
    let table = data(&["list"], None);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    for name in [
        "chalearn15",
        "chalearn16",
        "appa-real",
        "morph",
        "scut-fbp",
        "scut-fbp5500",
        "cfd",
        "utkface",
        "fg-net",
        "agedb",
        "afad",
        "all-age-faces",
        "fairface",
        "mebeauty",
        "london",
        "people",
        "csv",
    ] {
        assert!(table.stdout.lines().any(|line| line == name), "{name} is not listed");
    }
    let json = data(&["list", "morph", "cfd", "--format", "json"], None);
    let list: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!((&list[0]["name"], &list[0]["tasks"][0]["sigma"]), (&"morph".into(), &2.0.into()));
    assert_eq!(list[1]["tasks"][0]["max"], 7.0);
    assert!(list[0]["citation"].as_str().unwrap().contains("Ricanek"));
    assert_eq!(data(&["list", "imdb"], None).code, 2);
}

/// Four people of FG-NET with three ages each.
fn people(root: &Path) {
    for person in 1..=4u32 {
        for picture in 1..=3u32 {
            let pixels = portrait_pixels().thumbnail_exact(60 + person, 50 + picture);
            let age = 9 * picture + person;
            write_jpeg(&pixels, &root.join(format!("{person:03}A{age:02}.JPG")));
        }
    }
}

#[test]
fn a_sound_dataset_has_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    people(dir.path());
    let check = |more: &[&str]| data(&[&["check", "fg-net"], more].concat(), Some(dir.path()));
    let table = check(&["--protocol", "leave-out:002"]);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""), "{}", table.stdout);
    for part in
        ["12 samples (protocol leave-out:002)", "test 3", "no problems found", "10 to 15", "##"]
    {
        assert!(table.stdout.contains(part), "{part} in {}", table.stdout);
    }
    let json = check(&["--protocol", "subjects:4:1", "--format", "json"]);
    let found: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&found["faults"], &found["groups"]), (&0.into(), &4.into()));
    assert_eq!(found["samples"]["test"], 3);
    assert_eq!(found["protocol"], "subjects:4:1");
    // Folds of pictures put people into more than one split.
    let divided = check(&["--protocol", "kfold:3:1"]);
    assert_eq!(divided.code, 1);
    assert!(
        divided.stdout.contains("people or groups in more than one split"),
        "{}",
        divided.stdout
    );
}

#[test]
fn problems_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(portrait(), dir.path().join("a.jpg")).unwrap();
    std::fs::copy(portrait(), dir.path().join("b.jpg")).unwrap();
    std::fs::write(dir.path().join("text.jpg"), "no picture").unwrap();
    let table = "file,age,split\na.jpg,40,train\nb.jpg,41,test\ntext.jpg,3,train\ngone.jpg,3,train\n\
                 c.jpg,old,train\n";
    std::fs::write(dir.path().join("labels.csv"), table).unwrap();
    let check = data(&["check", "csv"], Some(dir.path()));
    assert_eq!(check.code, 1);
    for part in [
        "missing pictures: 1",
        "gone.jpg",
        "unreadable pictures: 1",
        "text.jpg: not a picture",
        "a.jpg = b.jpg (different labels; train 1, val 0, test 1)",
        "line 6: invalid age `old`: expected a number from 0 to 120",
        "4 problems found",
    ] {
        assert!(check.stdout.contains(part), "{part} in {}", check.stdout);
    }
    let nowhere = data(&["check", "csv"], Some(&dir.path().join("no")));
    assert_eq!((nowhere.code, nowhere.stdout.as_str()), (2, ""));
    assert!(nowhere.stderr.contains("labels.csv"), "{}", nowhere.stderr);
}

#[test]
fn a_cache_keeps_its_protocol_and_is_not_mixed_with_another() {
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("set"), dir.path().join("cache"));
    std::fs::create_dir(&root).unwrap();
    people(&root);
    let prepare = |protocol: &str| {
        let mut command = dldl();
        command.args(["prepare", "--dataset", "fg-net", "--no-detect", "--size", "32"]);
        command.args(["--protocol", protocol, "--root"]).arg(&root).arg("--out").arg(&out);
        run(&mut command)
    };
    assert_eq!(prepare("subjects:2:1").code, 0);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(out.join("cache.json")).unwrap()).unwrap();
    assert_eq!(manifest["protocol"], "subjects:2:1");
    assert!(out.join("test-00000.tar").is_file());
    let other = prepare("subjects:2:2");
    assert_eq!(other.code, 1);
    assert!(
        other.stderr.contains("\"subjects:2:1\" in the cache, \"subjects:2:2\""),
        "{}",
        other.stderr
    );
    for (protocol, part) in [
        ("fold:1", "unknown protocol `fold:1`"),
        ("subjects:2:3", "expected a fold from 1 to 2"),
        ("subjects:9:1", "cannot divide 4 pictures or people into 9"),
        ("kfold:99999999999:1", "cannot divide 12 pictures or people"),
        ("leave-out:7", "unknown person `7` in fg-net"),
        ("published:1", "no published folds"),
    ] {
        let refused = prepare(protocol);
        assert_eq!(refused.code, 2, "{protocol}");
        assert!(refused.stderr.contains(part), "{protocol}: {}", refused.stderr);
    }
    // `eval` accepts the same protocols, but for a cache only its own.
    let eval = |dataset: &str, folder: &Path, protocol: &str| {
        let mut command = dldl();
        command.args(["eval", "--no-detect", "--format", "json", "--dataset", dataset]);
        command.args(["--protocol", protocol, "--root"]).arg(folder);
        run(&mut command)
    };
    let left_out = eval("fg-net", &root, "leave-out:003");
    let report: Value = serde_json::from_str(&left_out.stdout).expect(&left_out.stderr);
    assert_eq!((left_out.code, report["n"].as_u64()), (0, Some(3)));
    let mixed = eval("cache", &out, "subjects:2:2");
    assert_eq!(mixed.code, 2);
    assert!(mixed.stderr.contains("prepared with the protocol subjects:2:1"), "{}", mixed.stderr);
    assert_eq!(eval("cache", &out, "subjects:2:1").code, 0);
}

/// A set of crops of the portrait: the face, twice more in other sizes and crops, once
/// mirrored, and three other places.
fn crops(root: &Path) {
    let pixels = portrait_pixels();
    let (w, h) = (pixels.width(), pixels.height());
    let side = w.min(h) / 2;
    let write = |name: &str, picture: &image::DynamicImage| write_jpeg(picture, &root.join(name));
    let face = pixels.crop_imm(w / 4, h / 20, side, side);
    write("face.jpg", &face);
    write("small.jpg", &face.thumbnail_exact(96, 96));
    write("mirrored.jpg", &face.fliph());
    let margin = side / 25;
    write("closer.jpg", &face.crop_imm(margin, margin, side - 2 * margin, side - 2 * margin));
    for (i, [x, y]) in [[0, 0], [w - side, h - side], [0, h - side]].into_iter().enumerate() {
        write(&format!("other{i}.jpg"), &pixels.crop_imm(x, y, side, side));
    }
    let table = "file,age,group,split\nface.jpg,40,1,train\nsmall.jpg,40,1,train\n\
                 mirrored.jpg,41,,test\ncloser.jpg,47,,train\nother0.jpg,1,,train\n\
                 other1.jpg,2,,val\nother2.jpg,3,,test\n";
    std::fs::write(root.join("labels.csv"), table).unwrap();
}

#[test]
fn near_duplicates_are_found_and_grouped() {
    let dir = tempfile::tempdir().unwrap();
    crops(dir.path());
    let groups = dir.path().join("groups.csv");
    let groups_name = groups.to_str().unwrap();
    let check = |more: &[&str]| data(&[&["check", "csv"], more].concat(), Some(dir.path()));
    assert_eq!(check(&[]).code, 0);
    let table = check(&["--similar", "--write-groups", groups_name]);
    assert_eq!((table.code, table.stderr.as_str()), (1, ""), "{}", table.stdout);
    for part in [
        "looked for near-duplicates among 7 pictures",
        "near-duplicates in different splits: 3",
        "mirrored  mirrored.jpg (test, age 41)  closer.jpg (train, age 47)",
        "near-duplicates with labels far apart: 2",
        "near-duplicates in one group already (not a problem): 1",
    ] {
        assert!(table.stdout.contains(part), "{part} in {}", table.stdout);
    }
    let written = std::fs::read_to_string(&groups).unwrap();
    let expected = "file,group\nface.jpg,1\nsmall.jpg,1\nmirrored.jpg,1\ncloser.jpg,1\n\
                    other0.jpg,\nother1.jpg,\nother2.jpg,\n";
    assert_eq!(written, expected);
    let json = check(&["--similar", "--format", "json", "--protocol", "subjects:2:1"]);
    let found: Value = serde_json::from_str(&json.stdout).unwrap();
    let pairs = found["similar"]["pairs"].as_array().unwrap();
    assert_eq!((pairs.len(), &found["similar"]["grouped"]), (5, &1.into()));
    assert!(pairs.iter().all(|pair| pair["similarity"].as_f64().unwrap() > 0.88), "{pairs:?}");
    // Another dataset with one of the pictures.
    let other = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("other1.jpg"), other.path().join("x.jpg")).unwrap();
    std::fs::write(other.path().join("labels.csv"), "file,age,split\nx.jpg,30,test\n").unwrap();
    let against = format!("csv={}", other.path().display());
    let found = check(&["--similar", "--against", &against]);
    assert_eq!(found.code, 1);
    for part in [
        "near-duplicates in other datasets: 1",
        "other1.jpg (val, age 2)  csv: x.jpg (test, age 30)",
    ] {
        assert!(found.stdout.contains(part), "{part} in {}", found.stdout);
    }
    for (arguments, part) in [
        (&["--against", "csv=x"][..], "--similar"),
        (&["--similar", "--against", "csv"], "expected FORMAT=DIR"),
        (&["--similar", "--against", "nothing=x"], "unknown dataset `nothing`"),
        (&["--write-groups", "x.csv"], "--similar"),
    ] {
        let refused = check(arguments);
        assert_eq!(refused.code, 2, "{arguments:?}");
        assert!(refused.stderr.contains(part), "{part} in {}", refused.stderr);
    }
}

#[test]
fn a_figure_of_the_labels_is_drawn() {
    let dir = tempfile::tempdir().unwrap();
    people(dir.path());
    for name in ["figure.svg", "figure.PNG"] {
        let path = dir.path().join(name);
        let drawn = data(
            &["check", "fg-net", "--protocol", "subjects:4:1", "--figure", path.to_str().unwrap()],
            Some(dir.path()),
        );
        assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""));
        let bytes = std::fs::read(&path).unwrap();
        match name {
            "figure.svg" => {
                let svg = String::from_utf8(bytes).unwrap();
                for part in ["12 pictures: train 6, val 3, test 3", "test: 3", "10 to 15: "] {
                    assert!(svg.contains(part), "{part} in {svg}");
                }
            }
            _ => assert!(image::load_from_memory(&bytes).unwrap().width() > 800),
        }
    }
    let refused = data(&["check", "fg-net", "--figure", "figure.pdf"], Some(dir.path()));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains(".svg or .png"), "{}", refused.stderr);
}

/// FG-NET in the format of the benchmark's JSON files, with folders instead of people.
#[test]
fn a_published_list_is_a_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    std::fs::create_dir(&root).unwrap();
    people(&root);
    let mut entries = Vec::new();
    for (i, person) in (1..=4).flat_map(|p| [p; 3]).enumerate() {
        let age = 9 * (i % 3 + 1) + person;
        let folder = [0, 3, 6, 9][person - 1];
        entries.push(format!(
            r#"{{"img_path": "FG-NET/images/{person:03}A{age:02}.png", "age": {age}, "folder": {folder}}}"#
        ));
    }
    entries.push(r#"{"img_path": "FG-NET/images/009A01.jpg", "age": 1, "folder": 0}"#.to_owned());
    let list = dir.path().join("FG-Net.json");
    std::fs::write(&list, format!("[{}]", entries.join(","))).unwrap();
    let protocol = |part: &str| format!("list:{}{part}", list.display());
    let check = |part: &str| {
        let check = ["check", "fg-net", "--format", "json", "--protocol", &protocol(part)];
        data(&check, Some(&root))
    };
    let split = check(":0");
    let found: Value = serde_json::from_str(&split.stdout).expect(&split.stderr);
    // One listed picture is missing.
    assert_eq!((split.code, &found["faults"]), (1, &1.into()));
    assert_eq!(found["problems"][0]["reason"], "FG-NET/images/009A01.jpg is not in fg-net");
    assert!(found["problems"][0]["file"].as_str().unwrap().ends_with("FG-Net.json, entry 13"));
    assert_eq!(found["samples"], serde_json::json!({"train": 6, "val": 3, "test": 3}));
    assert_eq!(found["protocol"], protocol(":0"));
    let refused = check("");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("has the splits 0 to 4"), "{}", refused.stderr);
}

#[test]
fn parts_of_several_machines_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    std::fs::create_dir(&root).unwrap();
    people(&root);
    let call = |command: &str, more: &[&str], out: &str| {
        let mut call = dldl();
        call.args([command, "--dataset", "fg-net", "--no-detect", "--root"]).arg(&root);
        call.args(more).arg("--out").arg(dir.path().join(out));
        run(&mut call)
    };
    let merge = |parts: &[&str], out: &str| {
        let mut call = dldl();
        call.arg("merge").args(parts.iter().map(|part| dir.path().join(part)));
        run(call.arg("--out").arg(dir.path().join(out)))
    };
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();

    let whole = call("eval", &["--split", "all"], "whole.json");
    for number in ["1/2", "2/2"] {
        let out = format!("part-{}.json", &number[..1]);
        assert_eq!(call("eval", &["--split", "all", "--part", number], &out).code, whole.code);
    }
    let merged = merge(&["part-2.json", "part-1.json"], "merged.json");
    assert_eq!((merged.code, &merged.stdout), (whole.code, &whole.stdout));
    assert_eq!(read("merged.json"), read("whole.json"));
    let alone = merge(&["part-1.json"], "alone.json");
    assert_eq!(alone.code, 2);
    assert!(alone.stderr.contains("part 2/2 is missing"), "{}", alone.stderr);
    assert!(!dir.path().join("alone.json").exists());

    call("prepare", &["--size", "32"], "cache");
    for number in ["1/2", "2/2"] {
        call("prepare", &["--size", "32", "--part", number], &format!("cache-{}", &number[..1]));
    }
    let merged = merge(&["cache-1", "cache-2"], "cache-merged");
    assert!(merged.stdout.contains("12 pictures packed"), "{}", merged.stdout);
    for name in ["cache.json", "report.json", "train-00000.tar"] {
        assert_eq!(read(&format!("cache-merged/{name}")), read(&format!("cache/{name}")));
    }
    let bad = call("prepare", &["--part", "3/2"], "bad");
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("the second of eight"), "{}", bad.stderr);
}
