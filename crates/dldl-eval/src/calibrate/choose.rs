//! Corrections that are chosen before intervals are calibrated, on other people.

use dldl::Head;
use dldl_label::Recalibration;
use dldl_net::Calibration;

use super::RecalibrationErrors;
use super::held::{FOLDS, Held, View, answers, mean_nll};

/// The range of the search for a temperature.
const TEMPERATURES: [f64; 2] = [0.1, 10.0];

/// The temperature of the highest likelihood with flip fusion, by golden-section search
/// over its logarithm, rounded to a thousandth.
pub(super) fn best_temperature(head: &Head, held: &[Held]) -> f64 {
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let loss = |log: f64| {
        let calibration = Some(Calibration::temperature(log.exp()));
        mean_nll(&answers(&Head { calibration, ..head.clone() }, held, View::Fused), held)
    };
    let [mut low, mut high] = TEMPERATURES.map(f64::ln);
    let inner = |low: f64, high: f64| [high - ratio * (high - low), low + ratio * (high - low)];
    let [mut a, mut b] = inner(low, high);
    let (mut loss_a, mut loss_b) = (loss(a), loss(b));
    while high - low > 1e-3 {
        if loss_a < loss_b {
            high = b;
            (b, loss_b) = (a, loss_a);
            a = inner(low, high)[0];
            loss_a = loss(a);
        } else {
            low = a;
            (a, loss_a) = (b, loss_b);
            b = inner(low, high)[1];
            loss_b = loss(b);
        }
    }
    // Further digits are below the precision of the search.
    ((0.5 * (low + high)).exp() * 1e3).round() / 1e3
}

/// Whether a person belongs to the first half, on which corrections are chosen; the
/// second half calibrates the intervals. It follows from the name alone.
pub(super) fn in_first_half(person: &str) -> bool {
    // The hash of similar names differs in its low bits; the product spreads them.
    dldl_data::fnv1a(person.as_bytes()).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0
}

/// The monotone map of estimates with the least absolute error, with flip fusion, and its
/// errors on the pictures that it was fitted on. `head` is without one.
pub(super) fn recalibration(head: &Head, held: &[Held]) -> (Recalibration, RecalibrationErrors) {
    let estimates: Vec<f64> =
        answers(head, held, View::Fused).iter().map(|answer| answer.value).collect();
    let truths: Vec<f64> = held.iter().map(Held::middle).collect();
    let fit = |which: &dyn Fn(usize) -> bool| {
        let of = |values: &[f64]| -> Vec<f64> {
            (0..values.len()).filter(|&i| which(i)).map(|i| values[i]).collect()
        };
        Recalibration::fit(&head.labels, &of(&estimates), &of(&truths)).ok()
    };
    let error = |map: &dyn Fn(usize) -> f64| {
        let errors = truths.iter().enumerate().map(|(i, truth)| (map(i) - truth).abs());
        errors.sum::<f64>() / truths.len() as f64
    };
    let found = fit(&|_| true).expect("there are pictures, and estimates and labels are finite");
    // Without others, all: there is nothing else to measure.
    let of_others = |part: usize| fit(&|i| held[i].fold() != part).unwrap_or(found.clone());
    let parts: Vec<Recalibration> = (0..FOLDS).map(of_others).collect();
    let errors = RecalibrationErrors {
        before: error(&|i| estimates[i]),
        after: error(&|i| found.value(estimates[i])),
        cross_validated: error(&|i| parts[held[i].fold()].value(estimates[i])),
    };
    (found, errors)
}
