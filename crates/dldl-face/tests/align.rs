//! Alignment: the fitted similarity and the warped pixels against scikit-image
//! (values stored by `tools/golden_face.py`), and invariance: the same face gives
//! the same crop at any position, scale and rotation.

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

/// Mean and largest absolute difference of the values.
fn difference(a: &Crop, b: &[u8]) -> (f64, u8) {
    assert_eq!(a.rgb().len(), b.len());
    let differences = a.rgb().iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let mean = differences.clone().map(f64::from).sum::<f64>() / b.len() as f64;
    (mean, differences.max().unwrap())
}

#[test]
fn similarity_fits_agree_with_scikit_image() {
    for fit in golden().fits {
        let got = Similarity::fit(&fit.from, &fit.to).unwrap();
        for (got, expected) in [(got.a, fit.a), (got.b, fit.b), (got.tx, fit.tx), (got.ty, fit.ty)]
        {
            assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
}

#[test]
fn aligned_pixels_agree_with_scikit_image() {
    let golden = golden();
    // At the picture's resolution both interpolate bilinearly. For the small crop
    // scikit-image averages over each pixel's area, and `align` downscales bicubically.
    for (name, mean_limit, max_limit) in [("align_crop", 0.4, 6), ("align_crop_small", 4.0, 40)] {
        let expected = decode(&format!("tests/data/{name}.png"));
        let crop = align(&astronaut(), &golden.landmarks, &template(), expected.width());
        let (mean, max) = difference(&crop, expected.rgb());
        assert!(mean < mean_limit && max <= max_limit, "{name}: mean {mean}, max {max}");
    }
}

/// The picture and its landmarks scaled, rotated by `angle` (radians) and then
/// translated, on a canvas of `side` x `side` pixels.
fn transformed(
    picture: &Picture,
    landmarks: &[[f32; 2]; 5],
    scale: f64,
    angle: f64,
    shift: [f64; 2],
    side: usize,
) -> (Picture, [[f32; 2]; 5]) {
    let map =
        Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx: shift[0], ty: shift[1] };
    let square = scale * scale;
    let mut rgb = Vec::with_capacity(3 * side * side);
    for y in 0..side {
        for x in 0..side {
            // The inverse of `map`.
            let (dx, dy) = (x as f64 + 0.5 - map.tx, y as f64 + 0.5 - map.ty);
            let sx = (map.a * dx + map.b * dy) / square - 0.5;
            let sy = (map.a * dy - map.b * dx) / square - 0.5;
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
        let [x, y] = map.apply([x.into(), y.into()]);
        [x as f32, y as f32]
    });
    (Picture::new(side, side, rgb).unwrap(), landmarks)
}

#[test]
fn crops_do_not_depend_on_position_scale_and_rotation() {
    let (golden, picture) = (golden(), astronaut());
    for size in [32, 64, 160] {
        let crop = align(&picture, &golden.landmarks, &template(), size);
        // A translation by whole pixels is exact; the others blur in `transformed`.
        for (scale, angle, shift, limit) in [
            (1.0, 0.0, [41.0, 63.0], 0.5),
            (1.0, 0.4, [220.0, 30.0], 4.0),
            (1.0, -1.2, [60.0, 480.0], 4.0),
            (2.0, 0.0, [0.0, 0.0], 3.0),
            (1.5, 2.8, [780.0, 520.0], 4.0),
            (4.0, 0.3, [100.0, -300.0], 3.0),
        ] {
            let (other, landmarks) =
                transformed(&picture, &golden.landmarks, scale, angle, shift, 1100);
            let (mean, _) = difference(&align(&other, &landmarks, &template(), size), crop.rgb());
            assert!(mean < limit, "size {size}, {scale} x, {angle} rad: mean difference {mean}");
        }
    }
}

#[test]
fn large_pictures_do_not_alias() {
    // One-pixel stripes, 16 picture pixels per crop pixel: the result must be gray.
    let stripes = |x: usize| if x.is_multiple_of(2) { 40 } else { 200 };
    let rgb = (0..1024 * 1024).flat_map(|i| [stripes(i % 1024); 3]).collect();
    let picture = Picture::new(1024, 1024, rgb).unwrap();
    let landmarks = template().points.map(|[x, y]| [1024.0 * x as f32, 1024.0 * y as f32]);
    let crop = align(&picture, &landmarks, &template(), 64);
    assert!(crop.rgb().iter().all(|v| v.abs_diff(120) <= 3), "{:?}", &crop.rgb()[..30]);
}

#[test]
fn border_pixels_are_repeated_outside_the_picture() {
    let picture = Picture::new(40, 30, [200, 120, 80].repeat(40 * 30)).unwrap();
    // A face that is larger than the picture, one in its corner, one outside.
    for (scale, x, y) in [(60.0, -10.0, -15.0), (25.0, 30.0, 20.0), (200.0, 100.0, 300.0)] {
        let landmarks =
            template().points.map(|p| [scale * p[0] as f32 + x, scale * p[1] as f32 + y]);
        let crop = align(&picture, &landmarks, &template(), 48);
        assert_eq!(crop.rgb(), [200, 120, 80].repeat(48 * 48), "{scale} {x} {y}");
    }
}

#[test]
fn degenerate_landmarks_give_the_whole_picture() {
    let picture = astronaut();
    let whole = whole_picture(&picture, 64);
    for landmarks in [[[50.0, 60.0]; 5], [[f32::NAN; 2]; 5], [[f32::INFINITY; 2]; 5]] {
        assert_eq!(align(&picture, &landmarks, &template(), 64), whole);
    }
}

#[test]
fn whole_picture_is_the_central_square() {
    // Three squares side by side: the result must be the middle one.
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
