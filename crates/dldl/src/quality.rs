//! The quality of a face: how much a poor picture adds to the error of its age.

use dldl_face::Measures;

/// The spread of a clear picture: pairs of estimate and standard deviation in years, the
/// 10th percentile of the shipped model's (`tiny`, with flip fusion).
const CLEAR: [(f64, f64); 7] = [
    (0.0, 0.35),
    (5.0, 1.77),
    (15.0, 3.36),
    (25.0, 3.85),
    (40.0, 5.43),
    (60.0, 5.62),
    (80.0, 7.67),
];
/// Faces at least this sharp lose nothing ([`Measures::sharpness`]).
const SHARP: f64 = 0.06;
/// Faces at least this large lose nothing, in pixels ([`Measures::size`]).
const LARGE: f64 = 100.0;

/// The exponents, fitted by `tools/fit_quality.py`.
const BY_SPREAD: f64 = 1.14;
const BY_SHARPNESS: f64 = 0.037;
const BY_SIZE: f64 = 0.194;

/// The quality of a face for estimating its age, 0..=1: the error to be expected of a clear
/// picture, divided by that to be expected of this one, at the same age. At 0.5, errors are
/// about twice as large as those of a clear picture.
///
/// It is a product of powers of ratios, each at most 1: the spread of a clear picture to
/// `std`, sharpness to 0.06, and size to 100 pixels. So it falls with a wider distribution and
/// with a blurred or small face. The exponents were fitted to the errors of the shipped model on pictures that it was not
/// trained on, with the age held constant, so that old people, whose errors are larger, do
/// not get a lower quality for it. The pose adds little to that: alignment makes up for
/// most of it, and the spread shows the rest.
///
/// `age` is the estimate and the standard deviation of its distribution in years; without
/// an age, only the picture counts. Because of the spread, a value belongs to a model: one
/// whose distributions are wider in general gives lower ones.
pub fn quality(measures: &Measures, age: Option<[f64; 2]>) -> f64 {
    // NaN, as of a box without a size, counts as the worst.
    let part = |ratio: f64, power: f64| ratio.clamp(1e-6, 1.0).max(1e-6).powf(power);
    let spread = age.map_or(1.0, |[estimate, std]| part(clear(estimate) / std, BY_SPREAD));
    spread * part(measures.sharpness / SHARP, BY_SHARPNESS) * part(measures.size / LARGE, BY_SIZE)
}

/// [`CLEAR`] at an estimate, linear between its points.
fn clear(estimate: f64) -> f64 {
    let (first, last) = (CLEAR[0], CLEAR[CLEAR.len() - 1]);
    let between = CLEAR.array_windows().find(|[_, (to, _)]| estimate < *to);
    match between {
        _ if estimate <= first.0 => first.1,
        Some([(from, low), (to, high)]) => low + (high - low) * (estimate - from) / (to - from),
        None => last.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(sharpness: f64, size: f64) -> Measures {
        Measures { sharpness, size, score: Some(0.9), pose: None }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn values_match_hand_computed_ones() {
        let good = measures(0.1, 200.0);
        assert_eq!(quality(&good, None), 1.0);
        assert_eq!(quality(&good, Some([25.0, 3.0])), 1.0);
        close(quality(&good, Some([25.0, 7.7])), 0.5f64.powf(1.14));
        // Between 40 and 60: 5.43 + 0.25 * 0.19.
        close(quality(&good, Some([45.0, 10.955])), 0.5f64.powf(1.14));
        close(quality(&good, Some([95.0, 15.34])), 0.5f64.powf(1.14));
        close(quality(&good, Some([-1.0, 0.7])), 0.5f64.powf(1.14));
        close(quality(&measures(0.006, 200.0), None), 0.1f64.powf(0.037));
        close(quality(&measures(0.1, 25.0), None), 0.25f64.powf(0.194));
    }

    #[test]
    fn each_fault_lowers_it_and_nothing_leaves_the_range() {
        let grid = [0.0, 1e-3, 0.02, 0.05, 0.5, 0.9, 0.9999, 1.0];
        for a in grid {
            for b in grid {
                let at = |x: f64| {
                    [
                        quality(&measures(0.2 * x, 300.0 * b), Some([30.0, 5.0])),
                        quality(&measures(a, 300.0 * x), Some([30.0, 5.0])),
                        quality(&measures(a, b), Some([100.0 * b, 40.0 * (1.0 - x)])),
                    ]
                };
                let all = grid.map(at);
                assert!(all.as_flattened().iter().all(|q| (0.0..=1.0).contains(q)), "{all:?}");
                for way in 0..3 {
                    assert!(all.is_sorted_by(|x, y| x[way] <= y[way]), "{way}: {all:?}");
                }
            }
        }
        let broken = measures(f64::NAN, f64::NAN);
        assert!((0.0..0.2).contains(&quality(&broken, None)), "{}", quality(&broken, None));
    }
}
