//! Class activation maps for the expectation (specification 5.7 a).

use dldl::{Crop, Distribution, Engine, Head, NetError};

use super::{Map, Measure, head_of};

/// A step in a logit: small against what bends the expectation, large against the
/// seven digits of an f32.
const STEP: f32 = 0.01;

/// How the expectation of a head's distribution moves with each of its outputs, in
/// units of the label. For a softmax it is `p_k (l_k - y^) / temperature`
/// (specification 1.6); it is taken by differences, so that it holds for every
/// method, also for those whose own answer is a count and has no slope.
///
/// # Errors
/// As [`Head::decode`].
pub fn slope(head: &Head, logits: &[f32]) -> Result<Vec<f64>, NetError> {
    let mut moved = logits.to_vec();
    let mut at = |k: usize, value: f32| -> Result<f64, NetError> {
        let own = std::mem::replace(&mut moved[k], value);
        let expectation = head.decode(&moved).map(|d| d.expectation());
        moved[k] = own;
        expectation
    };
    let one = |(k, &x): (usize, &f32)| {
        let (above, below) = (x + STEP, x - STEP);
        Ok((at(k, above)? - at(k, below)?) / f64::from(above - below))
    };
    logits.iter().enumerate().map(one).collect()
}

/// The class activation map of a crop, and the estimate. At each place of the last
/// feature map `F` it is `sum_c a_c F_c` with `a_c = sum_k s_k W_kc`, where `W` is the
/// last layer and `s` the [`slope`]: what the place adds to the estimate to first
/// order, so that the mean over the places is `d y / d f . f` for the features `f`.
/// As the estimate is that of the mean of crop and mirror image, the map is the mean
/// of both ones', the second mirrored back.
///
/// # Errors
/// [`NetError`] for a quantized model, or as [`Engine::run`].
///
/// # Panics
/// If the model has no head number `head`.
pub fn cam(engine: &Engine, head: usize, crop: &Crop) -> Result<(Map, f64), NetError> {
    let (head, range) = head_of(engine, head);
    let features = engine.info().net.features();
    let weight = &engine.head_weight()?[range.start * features..range.end * features];
    let mut views = Vec::new();
    let mut mean: Option<Map> = None;
    for mirrored in [false, true] {
        let seen = engine.feature_map(crop, mirrored)?;
        let logits = &seen.logits[range.clone()];
        let slope = slope(&head, logits)?;
        let mut pull = vec![0.0; features];
        for (row, s) in weight.chunks(features).zip(&slope) {
            for (sum, w) in pull.iter_mut().zip(row) {
                *sum += s * f64::from(*w);
            }
        }
        let (rows, columns) = (seen.height, seen.width);
        let map = mean.get_or_insert_with(|| Map {
            name: "features".into(),
            measure: Measure::Contribution,
            rows,
            columns,
            values: vec![0.0; rows * columns],
        });
        for (plane, a) in seen.values.chunks(rows * columns).zip(&pull) {
            for (i, f) in plane.iter().enumerate() {
                let (y, x) = (i / columns, i % columns);
                let x = if mirrored { columns - 1 - x } else { x };
                map.values[y * columns + x] += 0.5 * a * f64::from(*f);
            }
        }
        views.push(head.decode(logits)?);
    }
    let estimate = head.method.estimate(&Distribution::average(&views)?);
    Ok((mean.expect("there are two views"), estimate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl::{Weights, models};
    use dldl_net::NetSpec;

    fn crop(side: usize) -> Crop {
        let rgb = (0..3 * side * side).map(|i| (i * i % 251) as u8).collect();
        Crop::new(side, rgb).unwrap()
    }

    #[test]
    fn the_slope_of_a_softmax_is_the_formulas() {
        let mut info = models::info(models::DEFAULT_MODEL).unwrap();
        let mut head = info.heads.remove(0);
        head.calibration = None;
        let logits: Vec<f32> = (0..101).map(|k| 3.0 * (k as f32 * 0.13).sin()).collect();
        let p = head.decode(&logits).unwrap();
        let y = p.expectation();
        let slope = slope(&head, &logits).unwrap();
        let largest = slope.iter().fold(0.0, |m: f64, s| m.max(s.abs()));
        for (k, s) in slope.iter().enumerate() {
            let expected = p.probabilities()[k] * (k as f64 - y);
            assert!((s - expected).abs() < 1e-3 * largest, "label {k}: {s}, {expected}");
        }
    }

    /// Ranking answers with a count, which has no slope; the sum of its sigmoids has.
    #[test]
    fn the_slope_of_ranks_is_that_of_their_sigmoids() {
        let labels = dldl::LabelSet::age();
        let method = "ranking-bce".parse().unwrap();
        let head = Head::new(dldl::Task::Age, labels, method);
        let logits: Vec<f32> = (0..100).map(|k| 4.0 - 0.1 * k as f32).collect();
        for (x, s) in logits.iter().zip(slope(&head, &logits).unwrap()) {
            let p = 1.0 / (1.0 + (-f64::from(*x)).exp());
            assert!((s - p * (1.0 - p)).abs() < 1e-4, "{x}: {s}");
        }
    }

    /// The mean over the places says how the estimate moves when all features grow
    /// together: here by differences through the last layer.
    #[test]
    fn the_mean_of_the_map_is_the_pull_of_the_features() {
        let weights = Weights::random("random", NetSpec::tiny_age(101)).unwrap();
        let engine = Engine::from_weights(&weights).unwrap();
        let crop = crop(96);
        let (map, estimate) = cam(&engine, 0, &crop).unwrap();
        assert_eq!((map.rows, map.columns, map.values.len()), (3, 3, 9));
        let head = &engine.info().heads[0];
        let bias = weights.tensor("fc.bias");
        let views = [crop.clone(), crop.flipped()].map(|view| {
            let logits = engine.logits(&[view]).unwrap().remove(0);
            let grown = |by: f32| -> f64 {
                let moved = logits.iter().zip(bias).map(|(x, b)| (1.0 + by) * (x - b) + b);
                head.decode(&moved.collect::<Vec<f32>>()).unwrap().expectation()
            };
            ((grown(1e-3) - grown(-1e-3)) / 2e-3, grown(0.0))
        });
        let mean = map.values.iter().sum::<f64>() / 9.0;
        let expected = (views[0].0 + views[1].0) / 2.0;
        assert!((mean - expected).abs() < 2e-3 * expected.abs().max(0.1), "{mean} {expected}");
        assert!((estimate - (views[0].1 + views[1].1) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_map_of_the_mirror_image_is_the_mirrored_map() {
        let engine = models::engine(models::DEFAULT_MODEL).unwrap();
        let crop = crop(128);
        let (map, _) = cam(&engine, 0, &crop).unwrap();
        let (mirrored, _) = cam(&engine, 0, &crop.flipped()).unwrap();
        let (low, high) = map.range();
        for (row, other) in map.values.chunks(4).zip(mirrored.values.chunks(4)) {
            for (a, b) in row.iter().zip(other.iter().rev()) {
                assert!((a - b).abs() < 1e-6 * (high - low));
            }
        }
    }
}
