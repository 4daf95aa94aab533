//! `dldl estimate` end to end: kinds of pictures, output formats, errors. Only the form
//! of the ages is checked, not their values, so that the weights can improve; the
//! README's example must be updated with them.

use std::path::{Path, PathBuf};

use crate::common::{age, dldl, estimate, faces, portrait, portrait_pixels, run, write_jpeg};
use image::{DynamicImage, GenericImage, RgbImage};
use serde_json::Value;
use tempfile::TempDir;

/// A folder for a test's pictures.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }

    fn jpeg(&self, name: &str, image: &DynamicImage) -> PathBuf {
        write_jpeg(image, &self.at(name));
        self.at(name)
    }
}

/// Stripes: a picture without a face.
fn no_face() -> DynamicImage {
    let stripes = |x: u32, _| image::Rgb([if (x / 8).is_multiple_of(2) { 40 } else { 200 }; 3]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(200, 150, stripes))
}

#[test]
fn the_portrait_has_one_face() {
    let (code, records) = estimate(&[&portrait()], &[]);
    assert_eq!((code, faces(&records[0])), (0, 1));
    let record = &records[0];
    assert_eq!((record["width"].as_u64(), record["height"].as_u64()), (Some(512), Some(512)));
    assert!(record.get("error").is_none());
    assert!(record["faces"][0]["age"].get("distribution").is_none());
}

#[test]
fn the_readme_shows_the_output_for_the_portrait() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let example = readme.split("```text\n").nth(1).unwrap().split("\n```").next().unwrap();
    let output = run(dldl().current_dir(root).args(["estimate", "assets/astronaut.jpg"]));
    let (shown, printed): (Vec<_>, Vec<_>) =
        (example.split_whitespace().collect(), output.stdout.split_whitespace().collect());
    assert_eq!(shown.len(), printed.len(), "{printed:?}");
    for (shown, printed) in shown.into_iter().zip(printed) {
        // Other vector instructions sum in another order, which may change the last digit.
        let close = match (shown.parse::<f64>(), printed.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() < 1.5 * 0.1f64.powi(decimals(shown)),
            _ => shown == printed,
        };
        assert!(close, "the README has {shown}, the program prints {printed}");
    }
}

fn decimals(number: &str) -> i32 {
    number.split_once('.').map_or(0, |(_, digits)| digits.len() as i32)
}

#[test]
fn exif_orientation_is_honored() {
    let folder = Folder::new();
    // Stored lying on its left side; orientation 6 says to turn it clockwise.
    let mut jpeg = std::fs::read(folder.jpeg("a.jpg", &portrait_pixels().rotate270())).unwrap();
    let tiff = [
        b"II\x2a\0\x08\0\0\0".as_slice(),
        b"\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".as_slice(),
    ]
    .concat();
    let length = u16::try_from(2 + 6 + tiff.len()).unwrap().to_be_bytes();
    let exif = [b"\xff\xe1".as_slice(), &length, b"Exif\0\0", &tiff].concat();
    jpeg.splice(2..2, exif);
    let turned = folder.write("turned.jpg", &jpeg);
    let (code, records) = estimate(&[&turned, &portrait()], &[]);
    assert_eq!((code, faces(&records[0])), (0, 1));
    for side in 0..4 {
        let at = |r: &Value| r["faces"][0]["box"][side].as_f64().unwrap();
        assert!((at(&records[0]) - at(&records[1])).abs() < 8.0, "{records:?}");
    }
}

#[test]
fn gray_pictures_and_other_formats_have_their_face() {
    let folder = Folder::new();
    let gray = DynamicImage::ImageLuma8(portrait_pixels().to_luma8());
    let deep = DynamicImage::ImageLuma16(portrait_pixels().to_luma16());
    deep.save(folder.at("deep.png")).unwrap();
    portrait_pixels().to_rgba8().save(folder.at("alpha.png")).unwrap();
    let paths = [folder.jpeg("gray.jpg", &gray), folder.at("deep.png"), folder.at("alpha.png")];
    let (code, records) = estimate(&paths.each_ref().map(PathBuf::as_path), &[]);
    assert_eq!(code, 0);
    assert_eq!(records.iter().map(faces).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn every_face_of_several_is_found() {
    let folder = Folder::new();
    let one = portrait_pixels();
    let mut collage = RgbImage::new(1024, 1024);
    collage.copy_from(&one.to_rgb8(), 0, 0).unwrap();
    collage.copy_from(&one.fliph().to_rgb8(), 512, 0).unwrap();
    let small = one.thumbnail(300, 300).to_rgb8();
    collage.copy_from(&small, 100, 600).unwrap();
    let path = folder.jpeg("collage.jpg", &DynamicImage::ImageRgb8(collage));
    let (code, records) = estimate(&[&path], &["--interval", "0.5"]);
    assert_eq!((code, faces(&records[0])), (0, 3), "{records:?}");
    let faces = records[0]["faces"].as_array().unwrap();
    let areas: Vec<f64> = faces
        .iter()
        .map(|f| f["box"][2].as_f64().unwrap() * f["box"][3].as_f64().unwrap())
        .collect();
    assert!(areas.is_sorted_by(|a, b| a >= b), "largest first: {areas:?}");
    assert!(faces.iter().all(|f| f["age"]["interval"]["level"] == 0.5));
}

#[test]
fn a_picture_without_a_face_is_not_a_failure() {
    let folder = Folder::new();
    let path = folder.jpeg("stripes.jpg", &no_face());
    let (code, records) = estimate(&[&path], &[]);
    assert_eq!((code, faces(&records[0])), (0, 0));
    assert!(records[0].get("error").is_none());
    let table = run(dldl().arg("estimate").arg(&path));
    assert!(table.stdout.contains("no face found"), "{}", table.stdout);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
}

#[test]
fn no_detect_uses_the_whole_picture() {
    let folder = Folder::new();
    let path = folder.jpeg("stripes.jpg", &no_face());
    let (code, records) = estimate(&[&path], &["--no-detect"]);
    let face = &records[0]["faces"][0];
    assert_eq!((code, face["box"].to_string()), (0, "[25.0,0.0,150.0,150.0]".to_owned()));
    assert!(face["score"].is_null() && face["landmarks"].is_null());
    age(face);
}

/// Bad inputs of all kinds among good ones: each is reported with its reason, and the
/// good ones are estimated.
#[test]
fn bad_inputs_do_not_affect_good_ones() {
    let folder = Folder::new();
    let jpeg = std::fs::read(portrait()).unwrap();
    let good = folder.write("good.jpg", &jpeg);
    std::fs::create_dir(folder.at("folder.jpg")).unwrap();
    let secret = folder.write("secret.jpg", &jpeg);
    let bad = [
        (folder.write("truncated.jpg", &jpeg[..jpeg.len() / 2]), "truncated"),
        (folder.write("text.jpg", b"Dear diary, today I was a text file."), "text"),
        (folder.write("empty.jpg", b""), "empty"),
        (folder.write("noise.png", &[0x9d; 300]), "not a picture"),
        (folder.at("folder.jpg"), "no pictures"),
        (folder.at("missing.jpg"), "cannot be read"),
    ];
    let mut paths: Vec<&Path> = vec![&good];
    paths.extend(bad.iter().map(|(path, _)| path.as_path()));
    let last = portrait();
    paths.push(&last);
    let (code, records) = estimate(&paths, &["--threads", "3"]);
    assert_eq!(code, 1);
    for (record, path) in records.iter().zip(&paths) {
        assert_eq!(record["image"].as_str(), path.to_str());
    }
    assert_eq!((faces(&records[0]), faces(&records[records.len() - 1])), (1, 1));
    for ((path, reason), record) in bad.iter().zip(&records[1..]) {
        let error = record["error"].as_str().unwrap_or_else(|| panic!("no error for {path:?}"));
        assert!(error.contains(reason), "{path:?}: {error}");
        assert_eq!(faces(record), 0);
        assert!(record["width"].is_null() && record["height"].is_null());
    }

    // As a table, the errors are on stderr, one a line, and the rest on stdout.
    let table = run(dldl().arg("estimate").args(&paths));
    assert_eq!((table.code, table.stderr.lines().count()), (1, bad.len()), "{}", table.stderr);
    assert!(table.stderr.lines().all(|line| line.starts_with("error: ")));
    assert!(table.stdout.contains("2 faces in 8 pictures, 6 failed"), "{}", table.stdout);
    assert!(!table.stdout.contains('\x1b'));

    // Permissions, where they bind (root reads everything).
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
        let readable = std::fs::read(&secret).is_ok();
        let (code, records) = estimate(&[&secret, &good], &[]);
        assert_eq!(code, i32::from(!readable));
        assert_eq!(records[0].get("error").is_some(), !readable);
        assert_eq!(faces(&records[1]), 1);
    }
}

#[test]
fn an_empty_folder_is_an_error() {
    let folder = Folder::new();
    let run = run(dldl().arg("estimate").arg(folder.path()));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains(folder.path().to_str().unwrap()), "{}", run.stderr);
    assert!(run.stderr.contains("no pictures"), "{}", run.stderr);
}

#[test]
fn thresholds_are_answered_in_every_format() {
    let asked = ["--threshold", "18", "--threshold", "25,18,34.5"];
    let (code, records) = estimate(&[&portrait()], &[&asked[..], &["--distribution"]].concat());
    let face = &records[0]["faces"][0];
    let probabilities = face["age"]["distribution"]["probabilities"].as_array().unwrap();
    let from = |age: usize| -> f64 {
        probabilities[age..].iter().map(|p| p.as_f64().expect("a number")).sum()
    };
    let tails = face["age"]["at_least"].as_array().expect("a list");
    // Whole years: from 35 up are at least 34.5.
    let expected = [(18.0, from(18)), (25.0, from(25)), (34.5, from(35))];
    assert_eq!((code, tails.len()), (0, expected.len()), "{tails:?}");
    for (tail, (threshold, probability)) in tails.iter().zip(expected) {
        assert_eq!(tail["threshold"], threshold);
        assert!((tail["probability"].as_f64().unwrap() - probability).abs() < 2e-4, "{tail}");
    }
    assert!(face["attractiveness"].get("at_least").is_none());
    let csv = run(dldl().args(["estimate", "--format", "csv"]).args(asked).arg(portrait()));
    let lines: Vec<Vec<&str>> = csv.stdout.lines().map(|l| l.split(',').collect()).collect();
    let at = lines[0].iter().position(|name| *name == "age_at_least_25").expect("a column");
    assert_eq!(lines[1][at], tails[1]["probability"].to_string());
    let table = run(dldl().arg("estimate").args(asked).arg(portrait()));
    let percent = format!("{:.1} %", 100.0 * tails[2]["probability"].as_f64().unwrap());
    assert!(
        table.stdout.contains(">= 34.5") && table.stdout.contains(&percent),
        "{}",
        table.stdout
    );
}

#[test]
fn faces_of_low_quality_are_listed_but_not_assessed() {
    let folder = Folder::new();
    let small = folder.jpeg("small.jpg", &portrait_pixels().thumbnail(130, 130));
    let (code, records) = estimate(&[&portrait(), &small], &[]);
    let quality = |i: usize| records[i]["faces"][0]["quality"].as_f64().expect("a quality");
    assert!(code == 0 && 0.0 < quality(1) && quality(1) < quality(0) && quality(0) <= 1.0);
    // Between the two.
    let least = format!("{}", 0.5 * (quality(0) + quality(1)));
    let asked = ["--min-quality", &least];
    let (code, choosy) = estimate(&[&portrait(), &small], &asked);
    assert_eq!((code, &choosy[0]), (0, &records[0]));
    let (face, known) = (&choosy[1]["faces"][0], &records[1]["faces"][0]);
    for same in ["box", "landmarks", "score", "quality"] {
        assert_eq!(face[same], known[same]);
    }
    assert!(face.get("age").is_none() && face.get("attractiveness").is_none(), "{face}");
    let reason = format!("quality {} is below {least}", quality(1));
    assert_eq!(face["not_assessed"], reason.as_str());

    let csv = run(dldl().args(["estimate", "--format", "csv"]).args(asked).arg(&small));
    let mut csv = csv::Reader::from_reader(csv.stdout.as_bytes());
    let header = csv.headers().unwrap().clone();
    let line = csv.records().next().expect("a line").unwrap();
    let cell = |name: &str| &line[header.iter().position(|n| n == name).expect(name)];
    assert_eq!((cell("age"), cell("age_interval_low"), cell("model")), ("", "", "tiny"));
    assert_eq!((cell("not_assessed"), cell("quality")), (&*reason, &*quality(1).to_string()));
    let out = folder.at("out");
    let mut table = dldl();
    table.arg("estimate").args(asked).args([&portrait(), &small]).arg("--annotate").arg(&out);
    let table = run(&mut table);
    assert_eq!(table.code, 0, "{}", table.stderr);
    assert!(table.stdout.contains(&format!("not assessed: {reason}")), "{}", table.stdout);
    assert!(table.stdout.contains("2 faces in 2 pictures, 1 not assessed"), "{}", table.stdout);
    let copy = image::open(out.join("small-ages.jpg")).unwrap().to_rgb8();
    assert!(!copy.pixels().any(|p| p[0] > 220 && p[1] > 160 && p[2] < 80), "it is gray");
}

#[test]
fn unusable_models_are_usage_errors() {
    let folder = Folder::new();
    let broken = folder.write("broken.safetensors", b"{}");
    for (model, reason) in [
        (folder.at("missing.safetensors"), "tiny"),
        (PathBuf::from("huge-age"), "tiny"),
        (broken, "not a safetensors file"),
    ] {
        for command in ["estimate", "info"] {
            let mut dldl = dldl();
            match command {
                "info" => dldl.arg("info").arg(&model),
                _ => dldl.args(["estimate", "--model"]).arg(&model).arg(portrait()),
            };
            let run = run(&mut dldl);
            assert_eq!((run.code, run.stdout.as_str()), (2, ""));
            assert!(run.stderr.contains(model.to_str().unwrap()), "{}", run.stderr);
            assert!(run.stderr.contains(reason), "{}", run.stderr);
        }
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let picture = portrait();
    let picture = picture.to_str().unwrap();
    for wrong in [
        &["estimate"][..],
        &["estimate", "--interval", "90", picture],
        &["estimate", "--format", "xml", picture],
        &["estimate", "--threads", "0", picture],
        &["estimate", "--distribution", picture],
        &["estimate", "--min-quality", "1.5", picture],
        &["estimate", "--min-quality", "good", picture],
        &["estimate", "--threshold", "0", picture],
        &["estimate", "--threshold", "18,101", picture],
        &["estimate", "--threshold", "adult", picture],
        &["estimat", picture],
        &[],
    ] {
        let run = run(dldl().args(wrong));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{wrong:?}");
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn ndjson_is_in_input_order_for_any_number_of_threads() {
    let folder = Folder::new();
    let mut list = String::new();
    // The first ones take longest.
    for i in 0..12u32 {
        let size = 512 - 36 * i;
        let path = folder.jpeg(&format!("{i:02}.jpg"), &portrait_pixels().thumbnail(size, size));
        list += &format!("{}\n", path.display());
    }
    let ndjson = |threads: &str| {
        let mut dldl = dldl();
        dldl.args(["estimate", "-", "--format", "ndjson", "--threads", threads]);
        let run = run(dldl.write_stdin(list.as_str()));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        run.stdout
    };
    let one = ndjson("1");
    let images: Vec<String> = one
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("one object a line"))
        .map(|record| record["image"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(images, list.lines().collect::<Vec<_>>());
    assert_eq!(ndjson("5"), one);
    // The folder is the same list, sorted.
    let run = run(dldl().args(["estimate", "--format", "ndjson"]).arg(folder.path()));
    assert_eq!(run.stdout, one);
}

#[test]
fn csv_has_one_line_per_face_or_picture_without_one() {
    let folder = Folder::new();
    let stripes = folder.jpeg("no, \"face\".jpg", &no_face());
    let mut dldl = dldl();
    let run = run(dldl.args(["estimate", "--format", "csv"]).arg(portrait()).arg(&stripes));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let mut reader = csv::Reader::from_reader(run.stdout.as_bytes());
    let header = reader.headers().unwrap().clone();
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(&lines[1][0], stripes.to_str().unwrap());
    let filled = lines[1].iter().filter(|cell| !cell.is_empty()).count();
    assert_eq!(filled, 4, "name, width, height and model: {:?}", lines[1]);
    let cell = |name| &lines[0][header.iter().position(|h| h == name).expect(name)];
    assert_eq!(cell("image"), portrait().to_str().unwrap());
    for (name, range) in [("age", 0.0..=100.0), ("score", 0.5..=1.0), ("nose_x", 150.0..=300.0)] {
        assert!(range.contains(&cell(name).parse::<f64>().unwrap()), "{name} {}", cell(name));
    }
}

#[test]
fn distributions_have_their_range_and_sum_to_1() {
    let (_, records) = estimate(&[&portrait()], &["--distribution"]);
    let face = &records[0]["faces"][0];
    let distribution = &face["age"]["distribution"];
    let (min, step) =
        (distribution["min"].as_f64().unwrap(), distribution["step"].as_f64().unwrap());
    let p: Vec<f64> = distribution["probabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap())
        .collect();
    assert_eq!((p.len(), min, step), (101, 0.0, 1.0));
    assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-4);
    let mean: f64 = p.iter().enumerate().map(|(k, p)| p * (min + step * k as f64)).sum();
    // A recalibrated distribution is moved along with the estimate; where the map bends, its
    // mean is another by some tenths.
    assert!((mean - age(face)).abs() < 0.5, "{mean} {}", age(face));
}

#[test]
fn annotated_copies_have_distinct_names_and_leave_the_inputs_alone() {
    let folder = Folder::new();
    let out = folder.at("out");
    for name in ["a", "b"] {
        std::fs::create_dir(folder.at(name)).unwrap();
        std::fs::copy(portrait(), folder.at(name).join("x.jpg")).unwrap();
    }
    let annotate = || {
        let run = run(dldl().arg("estimate").arg(folder.path()).arg("--annotate").arg(&out));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert!(run.stdout.contains("2 faces in 2 pictures"), "{}", run.stdout);
        let mut names: Vec<String> = std::fs::read_dir(&out)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["x-ages-2.jpg", "x-ages.jpg"]);
    };
    annotate();
    // A second run does not use the copies as inputs, although they are in the folder.
    annotate();
    let original = std::fs::read(portrait()).unwrap();
    for name in ["a/x.jpg", "b/x.jpg"] {
        assert_eq!(std::fs::read(folder.at(name)).unwrap(), original);
    }
    let copy = image::open(out.join("x-ages.jpg")).unwrap().to_rgb8();
    assert_eq!(copy.dimensions(), (512, 512));
    let yellow = copy.pixels().filter(|p| p[0] > 220 && p[1] > 160 && p[2] < 80).count();
    assert!(yellow > 500, "{yellow} pixels of box and label");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_work() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let path = folder.path().join(OsStr::from_bytes(b"m\xfcller.jpg"));
    std::fs::copy(portrait(), &path).unwrap();
    let (code, records) = estimate(&[&path], &[]);
    assert_eq!((code, faces(&records[0])), (0, 1));
    assert!(records[0]["image"].as_str().unwrap().ends_with("m\u{fffd}ller.jpg"));
    let list = [path.as_os_str().as_bytes(), b"\0"].concat();
    let run = run(dldl().args(["estimate", "-", "--format", "ndjson"]).write_stdin(list));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 1));
}

/// A reader that closes the pipe after the first line (`| head -1`) gets it without an
/// error message.
#[test]
fn a_closed_pipe_is_not_an_error() {
    use std::io::{BufRead, BufReader, Read};
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("dldl"))
        .args(["estimate", "--format", "ndjson"])
        .args(vec![portrait(); 40])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(serde_json::from_str::<Value>(&line).is_ok());
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert_eq!((child.wait().unwrap().code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn archives_are_read_and_what_is_left_out_is_counted() {
    let folder = Folder::new();
    let bytes = std::fs::read(portrait()).unwrap();
    let zip = folder.at("photos.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&zip).unwrap());
    for (name, bytes) in [("a/me.jpg", &bytes[..]), ("a/notes.txt", b"x"), ("a/clip.mov", b"y")] {
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap();
    let mut command = dldl();
    let run = run(command.args(["estimate", "--format", "json"]).arg(&zip));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let records: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((records.len(), faces(&records[0])), (1, 1));
    assert!(records[0]["image"].as_str().unwrap().ends_with("photos.zip/a/me.jpg"));
    let note = "note: left out 2 files without a picture's extension: 1 .mov, 1 .txt\n";
    assert_eq!(run.stderr, note);
}

#[test]
fn damaged_pictures_fail_unless_accepted() {
    let folder = Folder::new();
    let mut bytes = std::fs::read(portrait()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0);
    let path = folder.write("damaged.jpg", &bytes);
    let (code, records) = estimate(&[&path], &[]);
    let error = records[0]["error"].as_str().unwrap();
    assert!(
        code == 1 && error.contains("damaged") && error.contains("--accept-damaged"),
        "{error}"
    );
    let (code, records) = estimate(&[&path], &["--accept-damaged"]);
    assert_eq!((code, &records[0]["width"]), (0, &Value::from(512)));
}

#[cfg(unix)]
#[test]
fn pipes_in_folders_are_errors_and_named_ones_are_read() {
    let folder = Folder::new();
    let pipe = folder.at("pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (code, records) = estimate(&[folder.path()], &[]);
    assert_eq!((code, &records[0]["error"]), (1, &Value::from("not a regular file")));
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, std::fs::read(portrait()).unwrap()).unwrap()
    });
    let (code, records) = estimate(&[&pipe], &[]);
    assert_eq!((code, faces(&records[0])), (0, 1));
    writer.join().unwrap();
}
