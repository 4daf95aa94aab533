//! Tests of the augmentation.

use super::*;
use crate::resize;
use crate::warp::Affine;
use proptest::prelude::*;

fn pattern(n: usize) -> Crop {
    let rgb = (0..3 * n * n).map(|i| ((i * i + 13 * i) % 251) as u8).collect();
    Crop::new(n, rgb).unwrap()
}

fn geometry() -> Augment {
    Augment { shift: 0.1, zoom: 0.2, ..colorless() }
}

fn colorless() -> Augment {
    Augment { gray: 0.0, brightness: 0.0, contrast: 0.0, saturation: 0.0, ..Augment::paper() }
}

#[test]
fn none_only_resizes() {
    let crop = pattern(40);
    let mut rng = sample_rng(1, 2, 3);
    assert_eq!(Augment::none().apply(&crop, 40, &mut rng), crop);
    assert_eq!(Augment::none().apply(&crop, 24, &mut rng), resize(&crop, 24));
}

#[test]
fn flip_mirrors() {
    let crop = pattern(31);
    let always = Augment { flip: 1.0, ..Augment::none() };
    assert_eq!(always.apply(&crop, 31, &mut sample_rng(0, 0, 0)), crop.flipped());
    let half = Augment { flip: 0.5, ..Augment::none() };
    let flips =
        (0..1000).filter(|&i| half.apply(&crop, 31, &mut sample_rng(0, 0, i)) != crop).count();
    assert!((440..560).contains(&flips), "{flips} of 1000");
}

#[test]
fn crops_depend_on_seed_epoch_and_sample() {
    let crop = pattern(64);
    let run = |seed, epoch, i| Augment::paper().apply(&crop, 48, &mut sample_rng(seed, epoch, i));
    assert_eq!(run(1, 2, 3), run(1, 2, 3));
    assert_ne!(run(1, 2, 3), run(2, 2, 3));
    assert_ne!(run(1, 2, 3), run(1, 3, 3));
    assert_ne!(run(1, 2, 3), run(1, 2, 4));
}

#[test]
fn rotation_by_90_degrees_and_shifts_are_exact() {
    let crop = pattern(12);
    let map = |angle: f64, shift| Affine { angle, zoom: 1.0, shift, flip: false };
    let source: Vec<f32> = crop.rgb().iter().map(|&v| f32::from(v)).collect();
    let turned = map(90f64.to_radians(), [0.0; 2]).warp(&source, 12, 12);
    let shifted = map(0.0, [0.25, -0.5]).warp(&source, 12, 12);
    for y in 0..12 {
        for x in 0..12 {
            let at = |x: usize, y: usize| 3 * (12 * y + x);
            let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-3, "{a} {b} at {x} {y}");
            close(turned[at(x, y)], source[at(y, 11 - x)]);
            // Three pixels to the right, six up; the border is repeated.
            close(shifted[at(x, y)], source[at(x.saturating_sub(3), (y + 6).min(11))]);
        }
    }
}

#[test]
fn zoom_magnifies_about_the_center() {
    // A disc of radius 8 becomes a disc of radius 12.
    let disc = |r: f32| {
        let inside = move |i: usize| {
            let (x, y) = ((i % 64) as f32 - 31.5, (i / 64) as f32 - 31.5);
            x * x + y * y < r * r
        };
        (0..64 * 64).flat_map(move |i| [if inside(i) { 255.0f32 } else { 0.0 }; 3])
    };
    let map = Affine { angle: 0.3, zoom: 1.5, shift: [0.0; 2], flip: true };
    let out = map.warp(&disc(8.0).collect::<Vec<f32>>(), 64, 64);
    let wrong = out.iter().zip(disc(12.0)).filter(|(a, b)| (*a - b).abs() > 128.0).count();
    assert!(wrong < 3 * 60, "{wrong} of {} values", out.len());
}

#[test]
fn low_resolution_removes_detail() {
    // Stripes one pixel wide survive at full size and not at half of it.
    let rgb = (0..64 * 64).flat_map(|i| [if i % 2 == 0 { 0u8 } else { 250 }; 3]).collect();
    let stripes = Crop::new(64, rgb).unwrap();
    let contrast = |crop: &Crop| {
        let sum: u32 = crop.rgb().iter().map(|v| u32::from(v.abs_diff(125))).sum();
        sum as f64 / crop.rgb().len() as f64
    };
    let low = Augment { min_scale: 0.5, ..Augment::none() };
    let mut rng = sample_rng(5, 0, 0);
    let seen: Vec<f64> = (0..300).map(|_| contrast(&low.apply(&stripes, 64, &mut rng))).collect();
    assert!(seen.contains(&125.0), "the full size is in the range: {seen:?}");
    assert!(seen.iter().any(|&c| c < 5.0), "half the size is in the range: {seen:?}");
}

#[test]
fn gray_has_equal_channels() {
    let gray = Augment { gray: 1.0, ..Augment::paper() };
    let out = gray.apply(&pattern(32), 32, &mut sample_rng(0, 0, 9));
    assert!(
        out.rgb().chunks_exact(3).all(|p| p[0].abs_diff(p[1]) <= 1 && p[1].abs_diff(p[2]) <= 1)
    );
}

#[test]
fn strengths_are_parsed_and_checked() {
    let paper = serde_json::to_string(&Augment::paper()).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&paper).unwrap(), Augment::paper());
    let some: Augment = serde_json::from_str(r#"{"flip": 0.5, "rotation": 10}"#).unwrap();
    assert_eq!(some, Augment { flip: 0.5, rotation: 10.0, ..Augment::none() });
    assert!(serde_json::from_str::<Augment>(r#"{"rotate": 10}"#).is_err());
    assert_eq!(Augment::paper().check(), Ok(()));
    assert_eq!(Augment::none().check(), Ok(()));
    let wrong = Augment { min_scale: 0.0, ..Augment::paper() }.check().unwrap_err();
    assert_eq!(wrong.name, "min_scale");
    assert!(Augment { flip: f64::NAN, ..Augment::paper() }.check().is_err());
}

proptest! {
    #[test]
    fn the_border_is_never_black(seed: u64, color in [1u8.., 1u8.., 1u8..], size in 8usize..70) {
        let crop = Crop::new(50, color.repeat(2500)).unwrap();
        let out = geometry().apply(&crop, size, &mut sample_rng(seed, 0, 0));
        prop_assert_eq!(out.rgb(), color.repeat(size * size));
    }
}

/// The mean difference of two crops, 0 to 255.
fn difference(a: &Crop, b: &Crop) -> f64 {
    let sum: u32 = a.rgb().iter().zip(b.rgb()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / a.rgb().len() as f64
}

#[test]
fn another_size_gets_the_same_augmentation() {
    // Smooth, so that the sizes are comparable.
    let rgb = (0..96 * 96).flat_map(|i| [(i % 96 + 60) as u8, (i / 96 + 90) as u8, 70]);
    let crop = Crop::new(96, rgb.collect()).unwrap();
    let all = Augment {
        shift: 0.1,
        zoom: 0.2,
        low_resolution: 0.5,
        blur: 0.05,
        tint: 0.2,
        fade: 0.3,
        cover: 0.3,
        ..Augment::paper()
    };
    let at = |size, i| all.apply(&crop, size, &mut sample_rng(7, 0, i));
    let mut others = 0.0;
    for i in 0..50 {
        let large = resize(&at(96, i), 48);
        let off = difference(&at(48, i), &large);
        assert!(off < 3.0, "{i}: {off}");
        others += difference(&at(48, i + 1), &large) / 50.0;
    }
    assert!(others > 15.0, "{others}");
}

#[test]
fn damage_does_what_its_fields_say() {
    let crop = pattern(64);
    let only = |augment: Augment, i| augment.apply(&crop, 64, &mut sample_rng(3, 0, i));
    let none = || Augment::none();
    let share = |augment: &Augment| {
        (0..400).filter(|&i| only(augment.clone(), i) != crop).count() as f64 / 400.0
    };
    for half in [
        Augment { fade: 0.5, ..none() },
        Augment { cover: 0.5, ..none() },
        Augment { jpeg: 0.5, ..none() },
        Augment { low_resolution: 0.5, min_scale: 0.1, ..none() },
    ] {
        let share = share(&half);
        assert!((0.4..0.6).contains(&share), "{half:?}: {share}");
    }
    let at = |crop: &Crop, x: usize, y: usize| {
        let i = 3 * (64 * y + x);
        [crop.rgb()[i], crop.rgb()[i + 1], crop.rgb()[i + 2]]
    };
    // A mask and glasses leave the cheeks; one color covers mouth or eyes.
    let covered: Vec<Crop> = (0..40).map(|i| only(Augment { cover: 1.0, ..none() }, i)).collect();
    for c in &covered {
        assert_eq!(at(c, 32, 25), at(&crop, 32, 25));
        let is_flat = |y: usize| (20..44).all(|x| at(c, x, y) == at(c, 32, y));
        assert!(is_flat(44) != is_flat(13));
    }
    // Blur and noise change the detail by what they should.
    let rough = |crop: &Crop| {
        let pairs = crop.rgb().iter().zip(&crop.rgb()[3..]);
        pairs.map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>()
    };
    let flat = Crop::new(64, vec![128; 3 * 64 * 64]).unwrap();
    let blurred = only(Augment { blur: 0.2, ..none() }, 0);
    assert!(rough(&blurred) < 0.5 * rough(&crop));
    let blur = Augment { blur: 0.2, ..none() };
    assert_eq!(blur.apply(&flat, 64, &mut sample_rng(0, 0, 0)), flat);
    let noisy = Augment { noise: 0.1, ..none() };
    let mean_of = |f: &dyn Fn(f64) -> f64| {
        let all = (0..30).flat_map(|i| {
            let out = noisy.apply(&flat, 64, &mut sample_rng(i, 0, 0));
            out.rgb().iter().map(|&v| f64::from(v) - 128.0).collect::<Vec<_>>()
        });
        let all: Vec<f64> = all.map(f).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    // The variance is that of a standard deviation uniform in 0..=25.5: a third of it.
    let variance = mean_of(&|v| v * v);
    assert!(mean_of(&|v| v).abs() < 0.3 && (110.0..330.0).contains(&variance), "{variance}");
    // Old prints have no black and no white, and red above blue.
    let faded = only(Augment { fade: 1.0, ..none() }, 5);
    let mean = |crop: &Crop, c: usize| {
        crop.rgb().iter().skip(c).step_by(3).map(|&v| f64::from(v)).sum::<f64>() / 4096.0
    };
    assert!(faded.rgb().iter().min() > crop.rgb().iter().min());
    assert!(mean(&faded, 0) - mean(&faded, 2) > mean(&crop, 0) - mean(&crop, 2));
}
