//! The detector against facenet-pytorch 2.6.0 on real photographs (values stored by
//! `tools/golden_face.py`), and its invariants: threads, scale, limits.

use dldl_face::{Detector, DetectorParams, Face, Picture, decode_file, rotation};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Golden {
    pictures: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    file: String,
    width: usize,
    height: usize,
    faces: Vec<ExpectedFace>,
}

#[derive(Deserialize)]
struct ExpectedFace {
    bbox: [f32; 4],
    score: f32,
    landmarks: [[f32; 2]; 5],
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let side = |k: usize| (a[k] + a[k + 2]).min(b[k] + b[k + 2]) - a[k].max(b[k]);
    let shared = side(0).max(0.0) * side(1).max(0.0);
    shared / (a[2] * a[3] + b[2] * b[3] - shared)
}

/// The largest distance between corresponding landmarks, in inter-ocular distances.
fn landmark_error(found: &[[f32; 2]; 5], expected: &[[f32; 2]; 5]) -> f32 {
    let distance = |a: &[f32; 2], b: &[f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let worst = found.iter().zip(expected).map(|(a, b)| distance(a, b)).fold(0.0, f32::max);
    worst / distance(&expected[0], &expected[1])
}

fn astronaut() -> Picture {
    decode_file(&repository().join("assets/astronaut.jpg")).unwrap()
}

#[test]
fn agrees_with_facenet_pytorch_on_photographs() {
    let golden: Golden = serde_json::from_str(include_str!("data/mtcnn_golden.json")).unwrap();
    let detector = mtcnn();
    let mut compared = 0;
    for expected in &golden.pictures {
        let name = &expected.file;
        let path = match name.starts_with("assets/") {
            true => Some(repository().join(name)),
            false => dldl_testdata::dataset(name),
        };
        let Some(path) = path else { continue };
        let picture = decode_file(&path).unwrap();
        assert_eq!(
            (picture.width(), picture.height()),
            (expected.width, expected.height),
            "{name}"
        );
        let faces = detector.detect(&picture);
        assert_eq!(faces.len(), expected.faces.len(), "faces in {name}");
        for (face, expected) in faces.iter().zip(&expected.faces) {
            let iou = iou(&face.bbox, &expected.bbox);
            assert!(iou >= 0.99, "{name}: boxes overlap by {iou}");
            let error = landmark_error(&face.landmarks, &expected.landmarks);
            assert!(error < 0.01, "{name}: landmarks differ by {error} inter-ocular distances");
            assert!((face.score - expected.score).abs() < 1e-3, "{name}: score {}", face.score);
            compared += 1;
        }
    }
    assert!(compared >= 1);
}

fn mtcnn() -> Detector {
    Detector::new(DetectorParams::mtcnn())
}

fn yunet() -> Detector {
    Detector::new(DetectorParams::default())
}

/// YuNet finds the faces that MTCNN finds, and crops are aligned in nearly the same way.
#[test]
fn yunet_finds_the_same_faces_with_nearly_the_same_landmarks() {
    let golden: Golden = serde_json::from_str(include_str!("data/mtcnn_golden.json")).unwrap();
    let detector = yunet();
    let mut errors = Vec::new();
    for expected in &golden.pictures {
        let name = &expected.file;
        let path = match name.starts_with("assets/") {
            true => Some(repository().join(name)),
            false => dldl_testdata::dataset(name),
        };
        let Some(path) = path else { continue };
        let faces = detector.detect(&decode_file(&path).unwrap());
        // The largest one: MTCNN finds faces within faces.
        if let Some(expected) = expected.faces.first() {
            let best = faces.iter().max_by(|a, b| {
                iou(&a.bbox, &expected.bbox).total_cmp(&iou(&b.bbox, &expected.bbox))
            });
            let best = best.unwrap_or_else(|| panic!("{name}: no face"));
            // YuNet guesses less of what is outside the picture.
            assert!(iou(&best.bbox, &expected.bbox) > 0.3, "{name}: {best:?}");
            let error = landmark_error(&best.landmarks, &expected.landmarks);
            // The others are cut by the picture, where MTCNN itself is unsure.
            assert!(error < 0.1 || name.contains("face/"), "{name}: {error}");
            errors.push(error);
        }
    }
    errors.sort_by(f32::total_cmp);
    assert!(errors[errors.len() / 2] < 0.1, "{errors:?}");
}

/// The places where the faces were are enough to find them again.
#[test]
fn known_faces_are_found_again_without_a_search() {
    let picture = collage(&[250, 512], 762, 512);
    for detector in [mtcnn(), yunet()] {
        found_again(&picture, &detector);
    }
}

fn found_again(picture: &Picture, detector: &Detector) {
    let faces = detector.detect(picture);
    let moved = |face: &Face| {
        let [x, y, w, h] = face.bbox;
        [x + 0.1 * w, y - 0.08 * h, w, 1.1 * h]
    };
    let boxes: Vec<[f32; 4]> = faces.iter().map(moved).collect();
    let again = detector.detect_near(picture, &boxes);
    assert_eq!(again.len(), 2);
    for (face, again) in faces.iter().zip(&again) {
        assert!(iou(&face.bbox, &again.bbox) > 0.8, "{face:?} {again:?}");
        assert!(landmark_error(&again.landmarks, &face.landmarks) < 0.06);
    }
    // There is no face at other places.
    assert_eq!(detector.detect_near(picture, &[[600.0, 380.0, 90.0, 110.0]]), []);
    assert_eq!(detector.detect_near(picture, &[]), []);
}

#[test]
fn portraits_have_exactly_one_face() {
    let Some(root) = dldl_testdata::dataset("london/images") else { return };
    let detectors = [mtcnn(), yunet()];
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["composite", "neutral_front", "smiling_front"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    // Every fifth, to keep the test short; the example `detect` runs on all.
    files.sort();
    for file in files.iter().step_by(5) {
        let picture = decode_file(file).unwrap();
        for detector in &detectors {
            let faces = detector.detect(&picture);
            assert_eq!(faces.len(), 1, "faces in {}", file.display());
        }
    }
}

/// A gray canvas with the astronaut at several sizes.
fn collage(sizes: &[usize], width: usize, height: usize) -> Picture {
    let face = astronaut();
    let mut rgb = vec![128; 3 * width * height];
    let mut left = 0;
    for &size in sizes {
        let small = face.resized(size, size);
        for (y, row) in small.rgb().chunks_exact(3 * size).enumerate() {
            let at = 3 * (y * width + left);
            rgb[at..at + 3 * size].copy_from_slice(row);
        }
        left += size;
    }
    Picture::new(width, height, rgb).unwrap()
}

#[test]
fn faces_are_sorted_by_size() {
    let picture = collage(&[250, 512, 400], 1162, 512);
    let faces = Detector::new(DetectorParams::default()).detect(&picture);
    assert_eq!(faces.len(), 3, "{faces:?}");
    let lefts = [250.0, 762.0, 0.0].map(|left| left..left + 512.0);
    for (face, range) in faces.iter().zip(&lefts) {
        assert!(range.contains(&face.bbox[0]), "{faces:?}");
        assert!((0.9..=1.0).contains(&face.score));
    }
}

/// The picture turned clockwise by a quarter, and where its points go.
fn quarter(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let pixel = |i: usize| picture.pixel(i / height, height - 1 - i % height);
    Picture::new(height, width, (0..width * height).flat_map(pixel).collect()).unwrap()
}

#[test]
fn turned_faces_are_found_with_their_landmarks() {
    let detector = Detector::new(DetectorParams::default());
    // Near the top left corner, in a picture that is not square.
    let mut picture = collage(&[330], 500, 400);
    let mut expected = detector.detect(&picture)[0];
    for degrees in [90, 180, 270] {
        let height = picture.height() as f32;
        picture = quarter(&picture);
        let [x, y, w, h] = expected.bbox;
        expected = Face {
            bbox: [height - y - h, x, h, w],
            landmarks: expected.landmarks.map(|[x, y]| [height - y, x]),
            ..expected
        };
        let faces = detector.detect(&picture);
        assert_eq!(faces.len(), 1, "{degrees}: {faces:?}");
        let face = &faces[0];
        assert!(
            face.score > 0.97 && iou(&face.bbox, &expected.bbox) > 0.7,
            "{face:?} {expected:?}"
        );
        let error = landmark_error(&face.landmarks, &expected.landmarks);
        assert!(error < 0.15, "{degrees}: {error}");
        assert_eq!(rotation(&face.landmarks), degrees);
    }
}

#[test]
fn large_pictures_are_downscaled_and_coordinates_scaled_back() {
    let detector = Detector::new(DetectorParams { max_short_side: 512, ..Default::default() });
    let small = detector.detect(&astronaut());
    let large = detector.detect(&astronaut().resized(2048, 2048));
    assert_eq!((small.len(), large.len()), (1, 1));
    let scaled = Face {
        bbox: small[0].bbox.map(|v| 4.0 * v),
        landmarks: small[0].landmarks.map(|p| p.map(|v| 4.0 * v)),
        ..small[0]
    };
    assert!(iou(&large[0].bbox, &scaled.bbox) > 0.9, "{:?} {scaled:?}", large[0]);
    assert!(landmark_error(&large[0].landmarks, &scaled.landmarks) < 0.05);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let picture = collage(&[512, 300], 812, 512);
    let detector = Detector::new(DetectorParams::default());
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| detector.detect(&picture))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn pictures_without_a_face_have_no_detections_at_any_size() {
    let detector = Detector::new(DetectorParams::default());
    for (width, height) in [(1, 1), (19, 300), (20, 20), (21, 23), (2000, 21), (300, 200)] {
        let rgb = (0..3 * width * height).map(|i| (i * 7919 % 256) as u8).collect();
        let faces = detector.detect(&Picture::new(width, height, rgb).unwrap());
        assert!(faces.is_empty(), "{width}x{height}: {faces:?}");
    }
    let faces = detector.detect(&Picture::new(640, 480, vec![255; 640 * 480 * 3]).unwrap());
    assert!(faces.is_empty());
}

#[test]
fn parameters_take_effect() {
    let detect = |params| Detector::new(params).detect(&astronaut()).len();
    let default = DetectorParams::mtcnn();
    assert_eq!(detect(DetectorParams { min_score: 1.0, ..DetectorParams::default() }), 0);
    // The face is about 90 pixels wide and 110 high.
    assert_eq!(detect(DetectorParams { min_face: 60.0, ..default }), 1);
    assert_eq!(detect(DetectorParams { min_face: 300.0, ..default }), 0);
    assert_eq!(detect(DetectorParams { thresholds: [0.6, 0.7, 1.0], ..default }), 0);
    assert_eq!(detect(DetectorParams { max_candidates: 0, ..default }), 0);
    assert_eq!(detect(DetectorParams { max_candidates: 20, ..default }), 1);
}
