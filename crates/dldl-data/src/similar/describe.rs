//! The descriptors by which similar pictures are looked up.

use super::register::Fit;
use super::thumb::{SIDE, Thumb};

/// The frequencies of a descriptor, across and down: 0 to 7 half waves.
const FREQUENCIES: usize = 8;
/// The side of the grid whose frequencies are taken.
const GRID: usize = 16;
/// The length of each of the two parts of a descriptor: 4 even or odd frequencies across,
/// by all 8 down. The first even one, the mean gray, is always 0.
pub(super) const PART: usize = FREQUENCIES * FREQUENCIES / 2;
/// How many pictures the assumed statistics of the frequencies count as.
const PRIOR: f64 = 100.0;
/// The frequency, in half waves, at which the weight is a half: higher ones differ between
/// crops of the same photograph.
const HALF_WEIGHT: f64 = 4.0;

/// How many windows of a picture are described.
pub(super) const COUNT: usize = 5;

/// A square of a picture: its side, and how far its center is below that of the picture, both
/// as fractions of the picture's side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Window {
    side: f32,
    down: f32,
}

/// The described windows. Crops of the same photograph are shifted, mostly up or down, and
/// scaled; one of these windows in one crop shows about the same as another one in the other.
const WINDOWS: [Window; COUNT] = [
    Window { side: 0.8, down: 0.0 },
    Window { side: 0.9, down: 0.0 },
    Window { side: 1.0, down: 0.0 },
    Window { side: 0.8, down: -0.1 },
    Window { side: 0.8, down: 0.1 },
];

/// Which windows of two pictures are compared: shifts by 0.1 and 0.2, and scales of 1.13 and
/// 1.25. Between these lies what a descriptor tolerates.
pub(super) const COMPARISONS: [[usize; 2]; 11] =
    [[0, 0], [0, 1], [1, 0], [0, 2], [2, 0], [0, 3], [3, 0], [0, 4], [4, 0], [3, 4], [4, 3]];

/// The transform from the first to the second picture if these windows show the same.
pub(super) fn relation([first, second]: [usize; 2]) -> Fit {
    let [first, second] = [first, second].map(|w| WINDOWS[w]);
    let scale = second.side / first.side;
    Fit { a: scale - 1.0, b: 0.0, u: 0.0, v: second.down - first.down * scale }
}

/// A descriptor: `[even, odd]`, by frequencies across.
///
/// They are the amplitudes of the low frequencies (discrete cosine transform) of a window
/// with zero mean and unit variance. A frequency that is even across stays the same when the
/// picture is mirrored; an odd one changes its sign.
pub(super) type Parts = [[f32; PART]; 2];

/// The descriptors of the windows of a picture, not yet standardized.
pub(super) fn frequencies(thumb: &Thumb) -> [Parts; COUNT] {
    let sums = thumb.sums();
    WINDOWS.map(|Window { side, down }| {
        let (start, step) = ((1.0 - side) / 2.0, side / GRID as f32);
        let cell = |i: usize, start: f32| {
            [i, i + 1].map(|i| ((start + i as f32 * step) * SIDE as f32).clamp(0.0, SIDE as f32))
        };
        let gray: Vec<f32> = (0..GRID * GRID)
            .map(|i| sums.mean(cell(i % GRID, start), cell(i / GRID, start + down)))
            .collect();
        transform(&gray)
    })
}

fn transform(gray: &[f32]) -> Parts {
    let n = gray.len() as f32;
    let mean = gray.iter().sum::<f32>() / n;
    let power = gray.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n;
    // A picture of one color has no frequencies.
    let gain = if power > 1e-2 { power.sqrt().recip() } else { 0.0 };
    let waves: Vec<[f32; GRID]> = (0..FREQUENCIES)
        .map(|k| {
            let phase = std::f32::consts::PI * k as f32 / GRID as f32;
            std::array::from_fn(|i| (phase * (i as f32 + 0.5)).cos())
        })
        .collect();
    let mut parts = [[0.0; PART]; 2];
    for (kx, across) in waves.iter().enumerate() {
        let columns: Vec<f32> = gray
            .chunks_exact(GRID)
            .map(|row| row.iter().zip(across).map(|(v, w)| (v - mean) * gain * w).sum())
            .collect();
        for (ky, down) in waves.iter().enumerate() {
            let sum: f32 = columns.iter().zip(down).map(|(v, w)| v * w).sum();
            parts[kx % 2][kx / 2 * FREQUENCIES + ky] = sum / n;
        }
    }
    parts
}

/// Standardizes descriptors: less the mean and divided by the standard deviation over all
/// pictures, with lower weights for higher frequencies and unit norm over both parts. All
/// faces are alike; what is left tells them apart. The scalar product of two descriptors is 1
/// for the same picture and mostly near 0 for unrelated ones. The means of the odd frequencies
/// are taken as 0, so that mirroring a picture changes the sign of the odd part only.
pub(super) fn standardize(pictures: &mut [[Parts; COUNT]]) {
    let n = (pictures.len() * COUNT) as f64;
    for part in 0..2 {
        for i in 0..PART {
            let (kx, ky) = (2 * (i / FREQUENCIES) + part, i % FREQUENCIES);
            let square = (kx * kx + ky * ky) as f64;
            let values = || pictures.iter().flatten().map(|p| f64::from(p[part][i]));
            let sum: f64 = if part == 0 { values().sum() } else { 0.0 };
            let mean = sum / (n + PRIOR);
            let power: f64 = values().map(|v| (v - mean).powi(2)).sum();
            // The power of natural pictures falls with the square of the frequency.
            let prior = 0.04 / square.max(1.0);
            let deviation = ((power + PRIOR * prior) / (n + PRIOR)).sqrt();
            let weight = if square == 0.0 {
                0.0
            } else {
                1.0 / (1.0 + square / (HALF_WEIGHT * HALF_WEIGHT)) / deviation
            };
            for value in pictures.iter_mut().flatten().map(|p| &mut p[part][i]) {
                *value = ((f64::from(*value) - mean) * weight) as f32;
            }
        }
    }
    for parts in pictures.iter_mut().flatten() {
        let norm: f32 = parts.iter().flatten().map(|v| v * v).sum();
        let gain = if norm > 0.0 { norm.sqrt().recip() } else { 0.0 };
        parts.iter_mut().flatten().for_each(|v| *v *= gain);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::scene;
    use super::*;

    fn product(a: &Parts, b: &Parts) -> [f32; 2] {
        [0, 1].map(|part| a[part].iter().zip(&b[part]).map(|(a, b)| a * b).sum())
    }

    #[test]
    fn mirroring_changes_the_sign_of_the_odd_part() {
        let thumb = scene(1, 0.0, 0.0, 1.0);
        let mut both = [frequencies(&thumb), frequencies(&thumb.mirrored())];
        for (a, b) in both[0].iter().zip(&both[1]) {
            assert!(a[0].iter().zip(&b[0]).all(|(a, b)| (a - b).abs() < 1e-4));
            assert!(a[1].iter().zip(&b[1]).all(|(a, b)| (a + b).abs() < 1e-4));
        }
        standardize(&mut both);
        let [even, odd] = product(&both[0][0], &both[1][0]);
        assert!((even - odd - 1.0).abs() < 1e-4, "{even} {odd}");
    }

    #[test]
    fn a_shift_or_zoom_is_the_relation_of_two_windows() {
        for (wanted, down, zoom) in [([0, 3], -0.1, 1.0), ([0, 2], 0.0, 1.25)] {
            // The second picture shows the window of the first enlarged, or further down.
            let fit = relation(wanted);
            assert!((fit.v - down).abs() < 1e-6 && (1.0 + fit.a - zoom).abs() < 1e-6, "{fit:?}");
            let mut both =
                [scene(2, 0.0, 0.0, 1.0), scene(2, 0.0, down, zoom)].map(|t| frequencies(&t));
            standardize(&mut both);
            let sum = |[a, b]: [usize; 2]| product(&both[0][a], &both[1][b]).iter().sum::<f32>();
            let best = COMPARISONS.into_iter().max_by(|a, b| sum(*a).total_cmp(&sum(*b)));
            assert!(sum(wanted) > 0.97, "{wanted:?}: {}", sum(wanted));
            // Moving the window of one picture up is moving that of the other down.
            let found = relation(best.unwrap());
            assert!((found.v - down).abs() + (found.a - fit.a).abs() < 1e-6, "{best:?}");
        }
    }
}
