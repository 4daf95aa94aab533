//! Class activation maps for the expectation (specification 5.7 a).

use dldl::{Crop, Engine, Head, NetError};

use super::{Map, Measure, head_of};

/// The difference step in a logit: small compared with the curvature of the
/// expectation, large compared with the rounding of an f32.
const STEP: f32 = 0.01;

/// The derivative of the expectation of a head's distribution with respect to each of
/// its logits, in units of the label. For a softmax it is
/// `p_k (l_k - y^) / temperature` (specification 1.6). It is computed by central
/// differences, which also works for methods whose estimate is a count and has no
/// derivative.
///
/// # Errors
/// As [`Head::decode`].
pub fn slope(head: &Head, logits: &[f32]) -> Result<Vec<f64>, NetError> {
    let mut shifted = logits.to_vec();
    let mut at = |k: usize, value: f32| -> Result<f64, NetError> {
        let own = std::mem::replace(&mut shifted[k], value);
        let expectation = head.decode(&shifted).map(|d| d.expectation());
        shifted[k] = own;
        expectation
    };
    let one = |(k, &x): (usize, &f32)| {
        let (above, below) = (x + STEP, x - STEP);
        Ok((at(k, above)? - at(k, below)?) / f64::from(above - below))
    };
    logits.iter().enumerate().map(one).collect()
}

/// The class activation map of a crop, and the estimate. At each position of the last
/// feature map `F` it is `sum_c a_c F_c` with `a_c = sum_k s_k W_kc`, where `W` is the
/// last layer and `s` the [`slope`]: the contribution of the position to the estimate,
/// to first order. The mean over the positions is `d y / d f . f` for the features `f`.
/// Like the estimate, the map is the mean of those of the crop and its mirror image,
/// the second one mirrored back.
///
/// # Errors
/// [`NetError`] for a quantized model, or as [`Engine::run`].
///
/// # Panics
/// If the model has no head with index `head`.
pub fn cam(engine: &Engine, head: usize, crop: &Crop) -> Result<(Map, f64), NetError> {
    let (head, range) = head_of(engine, head);
    let features = engine.info().net.features();
    let weight = &engine.head_weight()?[range.start * features..range.end * features];
    let mut views = Vec::new();
    let mut mean: Option<Map> = None;
    for mirrored in [false, true] {
        let output = engine.feature_map(crop, mirrored)?;
        let logits = &output.logits[range.clone()];
        let slope = slope(&head, logits)?;
        let mut channel_weights = vec![0.0; features];
        for (row, s) in weight.chunks(features).zip(&slope) {
            for (sum, w) in channel_weights.iter_mut().zip(row) {
                *sum += s * f64::from(*w);
            }
        }
        let (rows, columns) = (output.height, output.width);
        let map = mean.get_or_insert_with(|| Map {
            name: "features".into(),
            measure: Measure::Contribution,
            rows,
            columns,
            values: vec![0.0; rows * columns],
        });
        for (plane, a) in output.values.chunks(rows * columns).zip(&channel_weights) {
            for (i, f) in plane.iter().enumerate() {
                let (y, x) = (i / columns, i % columns);
                let x = if mirrored { columns - 1 - x } else { x };
                map.values[y * columns + x] += 0.5 * a * f64::from(*f);
            }
        }
        views.push(head.decode(logits)?);
    }
    let (estimate, _) = head.answer(&views)?;
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
    fn the_slope_of_a_softmax_matches_the_formula() {
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

    /// The estimate of Ranking is a count, which has no derivative; the sum of the
    /// sigmoids has one.
    #[test]
    fn the_slope_of_ranking_is_that_of_its_sigmoids() {
        let labels = dldl::LabelSet::age();
        let method = "ranking-bce".parse().unwrap();
        let head = Head::new(dldl::Task::Age, labels, method);
        let logits: Vec<f32> = (0..100).map(|k| 4.0 - 0.1 * k as f32).collect();
        for (x, s) in logits.iter().zip(slope(&head, &logits).unwrap()) {
            let p = 1.0 / (1.0 + (-f64::from(*x)).exp());
            assert!((s - p * (1.0 - p)).abs() < 1e-4, "{x}: {s}");
        }
    }

    /// The mean over the positions is the derivative of the estimate when all features
    /// are scaled together, here by differences through the last layer.
    #[test]
    fn the_mean_of_the_map_is_the_derivative_by_the_feature_scale() {
        let weights = Weights::random("random", NetSpec::tiny_age(101)).unwrap();
        let engine = Engine::from_weights(&weights).unwrap();
        let crop = crop(96);
        let (map, estimate) = cam(&engine, 0, &crop).unwrap();
        assert_eq!((map.rows, map.columns, map.values.len()), (3, 3, 9));
        let head = &engine.info().heads[0];
        let bias = weights.tensor("fc.bias");
        let views = [crop.clone(), crop.flipped()].map(|view| {
            let logits = engine.logits(&[view]).unwrap().remove(0);
            let scaled = |by: f32| -> f64 {
                let moved = logits.iter().zip(bias).map(|(x, b)| (1.0 + by) * (x - b) + b);
                head.decode(&moved.collect::<Vec<f32>>()).unwrap().expectation()
            };
            ((scaled(1e-3) - scaled(-1e-3)) / 2e-3, scaled(0.0))
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
