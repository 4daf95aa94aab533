//! Metrics (spec 4): of point estimates over slices with one entry per sample, of
//! whole distributions ([`nll`], [`crps`]), and bootstrap confidence intervals.
//!
//! Metrics of point estimates return `None` if they are undefined: without samples
//! or, for the correlation, without variation. A NaN prediction makes the result NaN;
//! [`cs`] counts it as a miss. All panic if the lengths of the slices differ.

mod bootstrap;
mod probabilistic;

pub use bootstrap::{RESAMPLES, bootstrap};
pub use probabilistic::{crps, labels_within, nll};

/// Lower limit of sigma in [`epsilon_error`], as in the authors' code.
const MIN_SIGMA: f64 = 1e-10;

/// Mean absolute error, in units of the label. `None` for no samples.
pub fn mae(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    mean(errors(predictions, truths).map(f64::abs))
}

/// Root mean squared error, in units of the label. `None` for no samples.
pub fn rmse(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    mean(errors(predictions, truths).map(|e| e * e)).map(f64::sqrt)
}

/// Pearson's correlation coefficient, in `[-1, 1]`. `None` for fewer than two
/// samples or when either side is constant.
pub fn pearson(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    check_lengths(predictions.len(), truths.len());
    let constant = |values: &[f64]| values.iter().all(|&v| v == values[0]);
    if predictions.len() < 2 || constant(predictions) || constant(truths) {
        return None;
    }
    let mean_p = mean(predictions.iter().copied())?;
    let mean_t = mean(truths.iter().copied())?;
    let (mut pp, mut tt, mut pt) = (0.0, 0.0, 0.0);
    for (p, t) in predictions.iter().zip(truths) {
        let (p, t) = (p - mean_p, t - mean_t);
        pp += p * p;
        tt += t * t;
        pt += p * t;
    }
    // Rounding must not push it above 1; NaN remains NaN.
    Some((pt / (pp.sqrt() * tt.sqrt())).clamp(-1.0, 1.0))
}

/// Cumulative score CS(n): the percentage, 0 to 100, of samples whose absolute
/// error is at most `n`. `None` for no samples.
pub fn cs(predictions: &[f64], truths: &[f64], n: f64) -> Option<f64> {
    mean(errors(predictions, truths).map(|e| if e.abs() <= n { 100.0 } else { 0.0 }))
}

/// The epsilon-error of the ChaLearn challenges, in `[0, 1]`: the mean of
/// `1 - exp(-(prediction - truth)^2 / (2 sigma^2))` with the annotators' standard
/// deviation of each sample. A sigma below 1e-10 counts as 1e-10: the error is 0 for
/// an exact prediction and 1 for any other. `None` for no samples.
///
/// # Panics
/// If a sigma is negative or NaN, or the lengths differ.
pub fn epsilon_error(predictions: &[f64], truths: &[f64], sigmas: &[f64]) -> Option<f64> {
    check_lengths(predictions.len(), sigmas.len());
    mean(errors(predictions, truths).zip(sigmas).map(|(error, &sigma)| {
        assert!(sigma >= 0.0, "sigma {sigma} is negative or not a number");
        let z = error / sigma.max(MIN_SIGMA);
        -(-0.5 * z * z).exp_m1()
    }))
}

/// Mean of prediction minus true value, in units of the label: positive if
/// predictions are too large on average. `None` for no samples.
pub fn bias(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    mean(errors(predictions, truths))
}

/// Median absolute error, in units of the label; the mean of the middle two for an
/// even number of samples. `None` for no samples.
pub fn median_error(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    let mut sizes: Vec<f64> = errors(predictions, truths).map(f64::abs).collect();
    sizes.sort_by(f64::total_cmp);
    let middle = sizes.len() / 2;
    match sizes.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some(0.5 * (sizes[middle - 1] + sizes[middle])),
        _ => Some(sizes[middle]),
    }
}

/// Mean absolute error after the least-squares linear map of the predictions to the
/// true values, in units of the true values. For predictions on another scale, such
/// as 1 to 5 for true values from 1 to 7, and for the error that remains after
/// correcting slope and offset. The map is fitted to the same samples. `None` if
/// [`pearson`] is.
pub fn mae_rescaled(predictions: &[f64], truths: &[f64]) -> Option<f64> {
    pearson(predictions, truths)?;
    let (mean_p, mean_t) = (mean(predictions.iter().copied())?, mean(truths.iter().copied())?);
    let (mut pp, mut pt) = (0.0, 0.0);
    for (p, t) in predictions.iter().zip(truths) {
        pp += (p - mean_p) * (p - mean_p);
        pt += (p - mean_p) * (t - mean_t);
    }
    let slope = pt / pp;
    let mapped: Vec<f64> = predictions.iter().map(|p| mean_t + slope * (p - mean_p)).collect();
    mae(&mapped, truths)
}

/// Prediction minus true value, sample by sample.
fn errors<'a>(predictions: &'a [f64], truths: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    check_lengths(predictions.len(), truths.len());
    predictions.iter().zip(truths).map(|(p, t)| p - t)
}

fn check_lengths(predictions: usize, others: usize) {
    assert_eq!(predictions, others, "expected one prediction per sample");
}

/// The arithmetic mean; `None` for no values.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u64), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_match_hand_computed_values() {
        let (p, t) = ([1.0, 5.0, 10.0, 20.0], [1.0, 8.0, 5.0, 28.0]);
        assert_eq!(mae(&p, &t), Some(4.0));
        assert_eq!(rmse(&p, &t), Some((98.0_f64 / 4.0).sqrt()));
        // Errors 0, -3, 5, -8.
        assert_eq!((bias(&p, &t), median_error(&p, &t)), (Some(-1.5), Some(4.0)));
        assert_eq!(median_error(&p[..3], &t[..3]), Some(3.0));
        // The bound is inclusive.
        assert_eq!(cs(&p, &t, 3.0), Some(50.0));
        assert_eq!(cs(&p, &t, 5.0), Some(75.0));
        assert_eq!(cs(&p, &t, 8.0), Some(100.0));
        let e = epsilon_error(&p, &t, &[1.0, 3.0, 5.0, 8.0]).unwrap();
        assert!((e - 0.75 * (1.0 - (-0.5_f64).exp())).abs() < 1e-15);
        assert!((pearson(&[1.0, 2.0, 3.0], &[5.0, 7.0, 9.0]).unwrap() - 1.0).abs() < 1e-15);
        assert!((pearson(&[1.0, 2.0, 3.0], &[9.0, 7.0, 5.0]).unwrap() + 1.0).abs() < 1e-15);
    }

    #[test]
    fn rescaling_removes_a_linear_map() {
        let truths = [1.0, 2.5, 4.0, 7.0];
        let halved = truths.map(|t| 0.5 * t - 3.0);
        assert!(mae_rescaled(&halved, &truths).unwrap() < 1e-12);
        // np.polyfit([0, 1, 2, 3], [0, 2, 1, 3], 1) is 0.8 x + 0.3: residuals
        // -0.3, 0.9, -0.9, 0.3.
        let found = mae_rescaled(&[0.0, 1.0, 2.0, 3.0], &[0.0, 2.0, 1.0, 3.0]);
        assert!((found.unwrap() - 0.6).abs() < 1e-12);
        assert_eq!(mae_rescaled(&[1.0, 1.0], &[1.0, 2.0]), None);
    }

    #[test]
    fn metrics_are_undefined_without_samples_or_variation() {
        assert_eq!(mae(&[], &[]), None);
        assert_eq!(rmse(&[], &[]), None);
        assert_eq!((bias(&[], &[]), median_error(&[], &[])), (None, None));
        assert_eq!(pearson(&[], &[]), None);
        assert_eq!(cs(&[], &[], 3.0), None);
        assert_eq!(epsilon_error(&[], &[], &[]), None);
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(pearson(&[0.1, 0.1, 0.1], &[1.0, 2.0, 3.0]), None);
        assert_eq!(pearson(&[1.0, 2.0, 3.0], &[0.1, 0.1, 0.1]), None);
    }

    #[test]
    fn sigma_zero_requires_the_exact_value() {
        assert_eq!(epsilon_error(&[5.0, 5.0], &[5.0, 5.1], &[0.0, 0.0]), Some(0.5));
    }

    #[test]
    fn nan_predictions_propagate() {
        let (p, t) = ([f64::NAN, 1.0], [0.0, 2.0]);
        assert!(mae(&p, &t).unwrap().is_nan());
        assert!(rmse(&p, &t).unwrap().is_nan());
        assert!(pearson(&p, &t).unwrap().is_nan());
        assert!(epsilon_error(&p, &t, &[1.0, 1.0]).unwrap().is_nan());
        assert_eq!(cs(&p, &t, 5.0), Some(50.0));
    }

    #[test]
    #[should_panic(expected = "expected one prediction per sample")]
    fn different_lengths_panic() {
        mae(&[1.0], &[1.0, 2.0]);
    }

    #[test]
    #[should_panic(expected = "sigma -1 is negative")]
    fn negative_sigma_panics() {
        epsilon_error(&[1.0], &[1.0], &[-1.0]);
    }
}
