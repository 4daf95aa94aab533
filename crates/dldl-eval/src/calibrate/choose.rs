//! Corrections that are chosen before intervals are calibrated.

use dldl::Head;
use dldl_net::Calibration;

use super::held::{Held, View, answers, mean_nll};

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
