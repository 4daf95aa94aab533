//! Alignment: the estimated similarity and the warped pixels against
//! scikit-image (stored values, made by `tools/golden_face.py`), and the promise
//! that the same face gives the same crop wherever it stands.

use dldl_face::{Picture, Similarity, align, decode_file, whole_picture};
use dldl_net::{Crop, Template};
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
struct Golden {
    template: [[f64; 2]; 5],
    landmarks: [[f32; 2]; 5],
    fits: Vec<Fit>,
}

#[derive(Deserialize)]
struct Fit {
    from: [[f64; 2]; 5],
    to: [[f64; 2]; 5],
    a: f64,
    b: f64,
    tx: f64,
    ty: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("data/align_golden.json")).unwrap()
}

fn template() -> Template {
    Template { name: "test".into(), points: golden().template }
}

fn decode(name: &str) -> Picture {
    decode_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn astronaut() -> Picture {
    decode("../../assets/astronaut.jpg")
}

/// Mean and largest difference between two crops' values.
fn difference(a: &Crop, b: &[u8]) -> (f64, u8) {
    assert_eq!(a.rgb().len(), b.len());
    let differences = a.rgb().iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let mean = differences.clone().map(f64::from).sum::<f64>() / b.len() as f64;
    (mean, differences.max().unwrap())
}

#[test]
fn similarities_are_scikit_images() {
    for fit in golden().fits {
        let got = Similarity::fit(&fit.from, &fit.to).unwrap();
        for (got, expected) in [(got.a, fit.a), (got.b, fit.b), (got.tx, fit.tx), (got.ty, fit.ty)]
        {
            assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
}

#[test]
fn pixels_are_scikit_images() {
    let golden = golden();
    // At the picture's own resolution the same interpolation. The other is the
    // mean over a pixel's area there, and here a bicubic reduction.
    for (name, mean_limit, max_limit) in [("align_crop", 0.4, 6), ("align_crop_small", 4.0, 40)] {
        let expected = decode(&format!("tests/data/{name}.png"));
        let crop = align(&astronaut(), &golden.landmarks, &template(), expected.width());
        let (mean, max) = difference(&crop, expected.rgb());
        assert!(mean < mean_limit && max <= max_limit, "{name}: mean {mean}, max {max}");
    }
}

/// The picture as seen through `map` (from the new picture to the old one), and
/// the landmarks that belong to it.
fn moved(
    picture: &Picture,
    landmarks: &[[f32; 2]; 5],
    scale: f64,
    angle: f64,
    shift: [f64; 2],
    side: usize,
) -> (Picture, [[f32; 2]; 5]) {
    let there =
        Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx: shift[0], ty: shift[1] };
    let square = scale * scale;
    let mut rgb = Vec::with_capacity(3 * side * side);
    for y in 0..side {
        for x in 0..side {
            // The inverse of `there`, by hand.
            let (dx, dy) = (x as f64 + 0.5 - there.tx, y as f64 + 0.5 - there.ty);
            let sx = (there.a * dx + there.b * dy) / square - 0.5;
            let sy = (there.a * dy - there.b * dx) / square - 0.5;
            let clamp = |v: f64, n: usize| v.clamp(0.0, (n - 1) as f64);
            let (sx, sy) = (clamp(sx, picture.width()), clamp(sy, picture.height()));
            let (x0, y0) = (sx as usize, sy as usize);
            let (x1, y1) = ((x0 + 1).min(picture.width() - 1), (y0 + 1).min(picture.height() - 1));
            let (fx, fy) = (sx - x0 as f64, sy - y0 as f64);
            for c in 0..3 {
                let at = |x, y| f64::from(picture.pixel(x, y)[c]);
                let top = at(x0, y0) * (1.0 - fx) + at(x1, y0) * fx;
                let bottom = at(x0, y1) * (1.0 - fx) + at(x1, y1) * fx;
                rgb.push((top * (1.0 - fy) + bottom * fy).round() as u8);
            }
        }
    }
    let landmarks = landmarks.map(|[x, y]| {
        let [x, y] = there.apply([x.into(), y.into()]);
        [x as f32, y as f32]
    });
    (Picture::new(side, side, rgb).unwrap(), landmarks)
}

#[test]
fn a_shifted_scaled_or_turned_face_gives_the_same_crop() {
    let (golden, picture) = (golden(), astronaut());
    for size in [32, 64, 160] {
        let crop = align(&picture, &golden.landmarks, &template(), size);
        // Moved by whole pixels nothing is lost; otherwise `moved` itself blurs.
        for (scale, angle, shift, limit) in [
            (1.0, 0.0, [41.0, 63.0], 0.5),
            (1.0, 0.4, [220.0, 30.0], 4.0),
            (1.0, -1.2, [60.0, 480.0], 4.0),
            (2.0, 0.0, [0.0, 0.0], 3.0),
            (1.5, 2.8, [780.0, 520.0], 4.0),
            (4.0, 0.3, [100.0, -300.0], 3.0),
        ] {
            let (other, landmarks) = moved(&picture, &golden.landmarks, scale, angle, shift, 1100);
            let (mean, _) = difference(&align(&other, &landmarks, &template(), size), crop.rgb());
            assert!(mean < limit, "size {size}, {scale} x, {angle} rad: mean difference {mean}");
        }
    }
}

#[test]
fn a_large_picture_does_not_alias() {
    // One-pixel stripes, sixteen picture pixels to a crop pixel: gray.
    let stripes = |x: usize| if x.is_multiple_of(2) { 40 } else { 200 };
    let rgb = (0..1024 * 1024).flat_map(|i| [stripes(i % 1024); 3]).collect();
    let picture = Picture::new(1024, 1024, rgb).unwrap();
    let landmarks = template().points.map(|[x, y]| [1024.0 * x as f32, 1024.0 * y as f32]);
    let crop = align(&picture, &landmarks, &template(), 64);
    assert!(crop.rgb().iter().all(|v| v.abs_diff(120) <= 3), "{:?}", &crop.rgb()[..30]);
}

#[test]
fn beyond_the_border_the_picture_goes_on() {
    let picture = Picture::new(40, 30, [200, 120, 80].repeat(40 * 30)).unwrap();
    // A face that fills the picture, one at its corner, one wholly outside.
    for (scale, x, y) in [(60.0, -10.0, -15.0), (25.0, 30.0, 20.0), (200.0, 100.0, 300.0)] {
        let landmarks =
            template().points.map(|p| [scale * p[0] as f32 + x, scale * p[1] as f32 + y]);
        let crop = align(&picture, &landmarks, &template(), 48);
        assert_eq!(crop.rgb(), [200, 120, 80].repeat(48 * 48), "{scale} {x} {y}");
    }
}

#[test]
fn landmarks_without_extent_fall_back_to_the_whole_picture() {
    let picture = astronaut();
    let whole = whole_picture(&picture, 64);
    for landmarks in [[[50.0, 60.0]; 5], [[f32::NAN; 2]; 5], [[f32::INFINITY; 2]; 5]] {
        assert_eq!(align(&picture, &landmarks, &template(), 64), whole);
    }
}

#[test]
fn the_whole_picture_is_its_central_square() {
    // Three squares side by side: the middle one must come out.
    let color = |x: usize| [[255, 0, 0], [0, 255, 0], [0, 0, 255]][x / 30];
    let wide = (0..30).flat_map(|_| (0..90).flat_map(color)).collect();
    let crop = whole_picture(&Picture::new(90, 30, wide).unwrap(), 30);
    assert_eq!(crop.rgb(), [0, 255, 0].repeat(900));
    let tall = (0..90).flat_map(|y| color(y).repeat(30)).collect();
    let crop = whole_picture(&Picture::new(30, 90, tall).unwrap(), 224);
    assert_eq!((crop.size(), crop.rgb().len()), (224, 3 * 224 * 224));
    assert_eq!(crop.rgb()[3 * 224 * 112..][..3], [0, 255, 0]);
    assert_eq!(whole_picture(&Picture::new(1, 1, vec![9; 3]).unwrap(), 8).rgb(), [9; 192]);
}
