//! Generated photographs and what is made from them.

use std::path::Path;

use dldl_face::{Chroma, encode_jpeg};

use super::thumb::SIDE;
use super::*;

/// Gray at a place of an endless picture: blobs and stripes by seed, a little like a head on a
/// background in its large features, which are the same for all seeds.
fn gray(seed: u32, x: f32, y: f32) -> f32 {
    let head = 90.0 * (-((x / 0.3).powi(2) + (y / 0.4).powi(2))).exp();
    let mut sum = 80.0 + head;
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    for k in 0..40 {
        let (cx, cy) = (1.6 * random() - 0.8, 1.6 * random() - 0.8);
        let (size, height) =
            (0.03 + 0.1 * random() * (1.0 + k as f32 / 20.0), 120.0 * random() - 60.0);
        sum += height * (-((x - cx).powi(2) + (y - cy).powi(2)) / (size * size)).exp();
    }
    sum.clamp(0.0, 255.0)
}

/// The picture with this seed, shifted by `right` and `down` (parts of its side) and enlarged.
pub(super) fn scene(seed: u32, right: f32, down: f32, zoom: f32) -> Thumb {
    let at = |i: usize, shift: f32| (((i as f32 + 0.5) / SIDE as f32 - 0.5) - shift) / zoom;
    Thumb::from_fn(|x, y| gray(seed, at(x, right), at(y, down)) as u8)
}

/// Writes a crop of the photograph as JPEG: `[left, top]` and the side in parts of its side.
fn write(
    path: &Path,
    seed: u32,
    corner: [f32; 2],
    side: f32,
    mirrored: bool,
    pixels: usize,
    quality: u8,
) {
    let at = |i: usize, start: f32| start - 0.5 + (i as f32 + 0.5) / pixels as f32 * side;
    let rgb: Vec<u8> = (0..pixels * pixels)
        .flat_map(|i| {
            let column = if mirrored { pixels - 1 - i % pixels } else { i % pixels };
            let v = gray(seed, at(column, corner[0]), at(i / pixels, corner[1]));
            [v, 0.9 * v, 0.8 * v + 10.0].map(|v| v as u8)
        })
        .collect();
    let jpeg = encode_jpeg(&rgb, pixels, pixels, quality, Chroma::Full).unwrap();
    std::fs::write(path, jpeg).unwrap();
}

fn check(rows: &str, dir: &Path) -> (Dataset, SimilarReport) {
    std::fs::write(dir.join("labels.csv"), format!("file,age,group,split\n{rows}")).unwrap();
    let set = crate::load("csv", dir, None).unwrap();
    let report = similar(&set, &[], 2, &|_| {}).unwrap();
    (set, report)
}

#[test]
fn copies_are_found_however_they_are_made_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("original.jpg"), 1, [0.0, 0.0], 1.0, false, 200, 95);
    write(&at("small.jpg"), 1, [0.0, 0.0], 1.0, false, 90, 60);
    write(&at("mirrored.jpg"), 1, [0.0, 0.0], 1.0, true, 150, 80);
    write(&at("cropped.jpg"), 1, [0.06, 0.02], 0.9, false, 180, 85);
    write(&at("lower.jpg"), 1, [0.0, 0.1], 1.0, false, 200, 85);
    let mut rows = String::from(
        "original.jpg,30,,train\nsmall.jpg,30,,train\nmirrored.jpg,37,,test\n\
         cropped.jpg,30,,val\nlower.jpg,35,,train\n",
    );
    for seed in 2..30 {
        let name = format!("{seed}.jpg");
        write(&at(&name), seed, [0.0, 0.0], 1.0, false, 120, 85);
        rows += &format!("{name},{seed},,train\n");
    }
    let (set, report) = check(&rows, dir.path());
    let mut found: Vec<(&str, &str, bool)> = report
        .pairs
        .iter()
        .map(|p| (p.first.file.as_str(), p.second.file.as_str(), p.mirrored))
        .collect();
    assert!(found.iter().all(|(a, b, _)| [a, b].iter().all(|f| f.len() > 7)), "{found:?}");
    // Across splits first, and of these the ones with the largest difference of ages.
    assert!(report.pairs[0].across && report.pairs[0].apart && report.pairs[0].harmful());
    assert_eq!(report.pairs[0].difference[&Task::Age], 7.0);
    let last = report.pairs.last().unwrap();
    assert!(!last.across && !last.harmful(), "{last:?}");
    found.sort_unstable();
    for copy in [
        ("original.jpg", "small.jpg", false),
        ("original.jpg", "mirrored.jpg", true),
        ("original.jpg", "cropped.jpg", false),
        ("original.jpg", "lower.jpg", false),
    ] {
        assert!(found.contains(&copy), "{copy:?} in {found:?}");
    }
    assert_eq!((report.pictures, report.grouped), (33, 0));
    let groups = groups(&set, &report);
    assert_eq!(groups.len(), 33);
    for (file, group) in groups {
        let expected = (file.len() > 7).then_some("like original.jpg");
        assert_eq!(group.as_deref(), expected, "{file}");
    }
}

#[test]
fn known_groups_and_identical_files_are_not_reported_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write(&at("a.jpg"), 1, [0.0, 0.0], 1.0, false, 200, 95);
    write(&at("b.jpg"), 1, [0.0, 0.0], 1.0, false, 100, 70);
    write(&at("c.jpg"), 1, [0.0, 0.0], 1.0, false, 120, 80);
    write(&at("d.jpg"), 2, [0.0, 0.0], 1.0, false, 120, 80);
    std::fs::copy(at("d.jpg"), at("e.jpg")).unwrap();
    std::fs::write(at("broken.jpg"), "no picture").unwrap();
    let rows = "a.jpg,30,7,train\nb.jpg,30,7,test\nc.jpg,30,8,train\nd.jpg,20,,train\n\
                e.jpg,20,,train\nbroken.jpg,20,,train\n";
    let (set, report) = check(rows, dir.path());
    assert_eq!((report.pictures, report.grouped), (5, 1));
    let found: Vec<_> = report
        .pairs
        .iter()
        .map(|p| (p.first.file.as_str(), p.second.file.as_str(), p.across))
        .collect();
    assert_eq!(found, [("b.jpg", "c.jpg", true), ("a.jpg", "c.jpg", false)]);
    let groups = groups(&set, &report);
    let groups: Vec<Option<&str>> = groups.iter().map(|(_, group)| group.as_deref()).collect();
    let like = Some("like d.jpg");
    assert_eq!(groups, [Some("7"), Some("7"), Some("7"), like, like, None]);
}

#[test]
fn another_dataset_is_compared_picture_by_picture() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (dir, name, seed) in [
        (&own, "a.jpg", 1),
        (&own, "b.jpg", 2),
        (&other, "x.jpg", 2),
        (&other, "y.jpg", 2),
        (&other, "z.jpg", 3),
    ] {
        let side = if name == "y.jpg" { 0.92 } else { 1.0 };
        write(&dir.path().join(name), seed, [0.03, 0.03], side, false, 128, 85);
    }
    let table = |dir: &tempfile::TempDir, rows: &str| {
        let text = format!("file,attractiveness,split\n{rows}");
        std::fs::write(dir.path().join("labels.csv"), text).unwrap();
        crate::load("csv", dir.path(), None).unwrap()
    };
    let own = table(&own, "a.jpg,3,train\nb.jpg,3,train\n");
    let other = table(&other, "x.jpg,3.1,test\ny.jpg,3.5,train\nz.jpg,3,val\n");
    let report = similar(&own, &[other], 1, &|_| {}).unwrap();
    let found: Vec<_> = report.pairs.iter().map(|p| (p.second.file.as_str(), p.apart)).collect();
    // The pair x and y is within the other dataset.
    assert_eq!(found, [("y.jpg", true), ("x.jpg", false)]);
    assert!(report.pairs.iter().all(|p| p.first.file == "b.jpg" && !p.across && p.harmful()));
    assert!(report.pairs.iter().all(|p| p.second.against == Some(0)));
    assert_eq!((report.against[0].pictures, report.against[0].unreadable), (3, 0));
}

#[test]
fn ranges_differ_by_what_is_between_them() {
    let range = |low: f64, high: f64| Annotation::Interval { interval: [low, high] };
    for (a, b, expected) in [
        (Annotation::value(30.0), Annotation::value(37.0), 7.0),
        (range(20.0, 29.0), range(40.0, 49.0), 11.0),
        (range(20.0, 29.0), range(28.0, 39.0), 0.0),
        (range(70.0, f64::INFINITY), Annotation::value(60.0), 10.0),
    ] {
        assert_eq!((gap(&a, &b), gap(&b, &a)), (expected, expected), "{a:?} {b:?}");
    }
}
