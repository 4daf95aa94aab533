//! Axes: range and ticks.

/// A horizontal or vertical axis of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Values and their texts.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Whether the ticks are categories instead of numbers.
    pub(crate) named: bool,
}

impl Axis {
    /// From `low` to `high`, extended to whole ticks; about six of them.
    pub fn linear(label: &str, low: f64, high: f64) -> Self {
        let step = nice_step((high - low) / 6.0);
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        Self::stepped(label, low, high.max(low + step), step)
    }

    /// Exactly from `low` to `high`, with a tick at every multiple of `step`.
    pub fn stepped(label: &str, low: f64, high: f64, step: f64) -> Self {
        let digits = (-step.log10() - 1e-9).ceil().max(0.0) as usize;
        let number = |i: i64| {
            // Adding 0 turns a negative zero into zero.
            let value = i as f64 * step + 0.0;
            (value, format!("{value:.digits$}"))
        };
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(number).collect();
        Self { label: label.into(), low, high, ticks, named: false }
    }

    /// Categories at 0, 1, 2 and so on. On a vertical axis the first is at the top.
    pub fn names<S: AsRef<str>>(label: &str, names: &[S]) -> Self {
        let place = |(i, name): (usize, &S)| (i as f64, name.as_ref().to_owned());
        let ticks = names.iter().enumerate().map(place).collect();
        let high = names.len().max(1) as f64 - 0.5;
        Self { label: label.into(), low: -0.5, high, ticks, named: true }
    }

    /// From `low` to `high` without ticks and label.
    pub fn bare(low: f64, high: f64) -> Self {
        Self { label: String::new(), low, high, ticks: Vec::new(), named: false }
    }

    /// The end of the range.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// The position of a value in the range, 0 at `low` and 1 at `high`.
    pub(crate) fn place(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// 1, 2 or 5 times a power of ten, at least `rough`.
fn nice_step(rough: f64) -> f64 {
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * power);
    steps.into_iter().find(|s| *s >= rough * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_span_the_range() {
        let axis = Axis::linear("x", 0.3, 17.2);
        assert_eq!((axis.low, axis.high), (0.0, 20.0));
        let names: Vec<&str> = axis.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!(names, ["0", "5", "10", "15", "20"]);
        let small = Axis::linear("x", -0.04, 0.11);
        assert_eq!(small.ticks.iter().map(|t| t.1.as_str()).next(), Some("-0.05"));
        assert!(small.low <= -0.04 && small.high >= 0.11);
        // An empty range is extended.
        let flat = Axis::linear("x", 3.0, 3.0);
        assert!(flat.low <= 3.0 && flat.high > flat.low);
        assert!(Axis::linear("x", f64::NAN, 1.0).ticks.len() < 20);
    }

    #[test]
    fn ticks_are_at_multiples_of_the_step() {
        let axis = Axis::stepped("x", 18.0, 45.0, 10.0);
        let ticks: Vec<&str> = axis.ticks.iter().map(|t| t.1.as_str()).collect();
        assert_eq!((axis.low, axis.high, ticks), (18.0, 45.0, vec!["20", "30", "40"]));
        assert!((axis.place(31.5) - 0.5).abs() < 1e-12);
        let names = Axis::names("by", &["a", "b"]);
        assert_eq!((names.place(0.0), names.place(1.0)), (0.25, 0.75));
    }
}
