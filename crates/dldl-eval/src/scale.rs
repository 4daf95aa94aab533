//! The scale of a task for reports: its unit, the thresholds of cumulative scores, the
//! bands of true values and the number of decimals. Ages are in years; for scores, all
//! follow from the range of the labels.

use dldl::LabelSet;
use dldl_label::Task;
use serde::{Deserialize, Serialize};

/// The scale of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The name of the unit: `years` or `points`.
    pub name: String,
    /// The step of the thresholds of cumulative scores: CS@3 is the share of errors up to
    /// 3 steps. One year; for scores, the power of ten that fits 10 to 100 times into the
    /// range of the labels: 0.1 for 1 to 5.
    pub unit: f64,
    /// The edges of the bands of true values, ascending: band `i` goes from `bands[i]`,
    /// inclusive, to `bands[i + 1]`, exclusive. The first and the last band also take
    /// values beyond the edges.
    pub bands: Vec<f64>,
    /// Decimals in tables of errors.
    pub digits: usize,
}

impl Scale {
    /// The scale of a task with these labels.
    pub fn new(task: Task, labels: &LabelSet) -> Self {
        if task == Task::Age {
            let bands = [0.0, 3.0, 10.0, 18.0, 30.0, 40.0, 50.0, 60.0, 70.0, 100.0];
            return Self { name: "years".into(), unit: 1.0, bands: bands.into(), digits: 3 };
        }
        let range = labels.max() - labels.min();
        let exponent = range.log10().floor() as i32 - 1;
        let unit = power_of_ten(exponent);
        let few = |width: &f64| range / width <= 10.0 + 1e-9;
        let steps = [2.0, 5.0, 10.0].map(|steps| steps * unit);
        let width = steps.into_iter().find(few).unwrap_or(10.0 * unit);
        let count = (range / width - 1e-9).ceil() as usize;
        let mut bands: Vec<f64> = (0..count).map(|i| labels.min() + i as f64 * width).collect();
        bands.push(labels.max());
        let digits = (3 - exponent.min(0)) as usize;
        Self { name: "points".into(), unit, bands, digits }
    }

    /// The index of the band of a true value.
    pub fn band(&self, truth: f64) -> usize {
        let inner = &self.bands[1..self.bands.len() - 1];
        inner.iter().filter(|&&edge| truth >= edge).count()
    }

    /// The number of bands.
    pub fn band_count(&self) -> usize {
        self.bands.len() - 1
    }

    /// The name of a band: `18-29` for ages, with `70+` as the last one; `2.5-3.0` for
    /// scores.
    pub fn band_name(&self, band: usize) -> String {
        let last = band + 1 == self.band_count();
        self.range_name(self.bands[band], self.bands[band + 1], last)
    }

    /// The lower ends of bands of estimates, from which calibration makes its own:
    /// decades of ages, and the bands of scores.
    pub fn estimate_edges(&self, labels: &LabelSet) -> Vec<f64> {
        if self.name != "years" {
            return self.bands[..self.band_count()].to_vec();
        }
        let first = (labels.min() / DECADE).floor() as i64 + 1;
        let inner = (first..).map(|k| k as f64 * DECADE).take_while(|edge| *edge < labels.max());
        std::iter::once(labels.min()).chain(inner).collect()
    }

    /// The name of a band of estimates, given the lower ends of all: `20-29` for
    /// estimates from 20 to below 30, with `70+` as the last one.
    ///
    /// # Panics
    /// If there is no such band.
    pub fn estimate_band_name(&self, edges: &[f64], band: usize) -> String {
        let end = self.bands[self.band_count()];
        let high = edges.get(band + 1).copied().unwrap_or(end);
        self.range_name(edges[band], high, band + 1 == edges.len())
    }

    fn range_name(&self, low: f64, high: f64, last: bool) -> String {
        match self.name == "years" {
            true if last => format!("{low}+"),
            true => format!("{low}-{}", high - 1.0),
            false => {
                let digits = self.unit_digits();
                format!("{low:.digits$}-{high:.digits$}")
            }
        }
    }

    /// A threshold of cumulative scores, as in `CS@3` or `CS@0.3`.
    pub fn threshold(&self, units: usize) -> String {
        let digits = self.unit_digits();
        format!("{:.digits$}", units as f64 * self.unit)
    }

    /// Decimals of the unit.
    fn unit_digits(&self) -> usize {
        (-self.unit.log10()).ceil().max(0.0) as usize
    }
}

/// The width of bands of estimated ages, in years.
const DECADE: f64 = 10.0;

/// The nearest float: `0.1`, where `10f64.powi(-1)` may be off by a bit.
fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scale: &Scale) -> Vec<String> {
        (0..scale.band_count()).map(|b| scale.band_name(b)).collect()
    }

    #[test]
    fn ages_are_in_years() {
        let scale = Scale::new(Task::Age, &LabelSet::age());
        assert_eq!((scale.unit, scale.threshold(8).as_str()), (1.0, "8"));
        let expected = ["0-2", "3-9", "10-17", "18-29", "30-39", "40-49", "50-59", "60-69", "70+"];
        assert_eq!(names(&scale), expected);
        let bands = [-1.0, 2.9, 3.0, 17.999, 18.0, 70.0, 116.0].map(|y| scale.band(y));
        assert_eq!(bands, [0, 0, 1, 2, 3, 8, 8]);
        // The step of the labels does not matter.
        let weeks = LabelSet::new(0.0, 100.0, 0.5).unwrap();
        assert_eq!(Scale::new(Task::Age, &weeks), scale);
    }

    #[test]
    fn estimates_are_in_decades_or_in_the_bands_of_scores() {
        let ages = LabelSet::age();
        let scale = Scale::new(Task::Age, &ages);
        let edges = scale.estimate_edges(&ages);
        assert_eq!(edges, (0..10).map(|k| 10.0 * f64::from(k)).collect::<Vec<_>>());
        let names: Vec<String> =
            [0, 2].map(|k| scale.estimate_band_name(&[0.0, 20.0, 70.0], k)).into();
        assert_eq!(names, ["0-19", "70+"]);
        let adults = LabelSet::new(16.0, 77.0, 1.0).unwrap();
        assert_eq!(scale.estimate_edges(&adults), [16.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0]);
        let labels = LabelSet::attractiveness_5();
        let five = Scale::new(Task::Attractiveness, &labels);
        let edges = five.estimate_edges(&labels);
        assert_eq!((edges.len(), edges[0], edges[7]), (8, 1.0, 4.5));
        assert_eq!(five.estimate_band_name(&edges, 7), "4.5-5.0");
    }

    #[test]
    fn scores_follow_their_range() {
        let five = Scale::new(Task::Attractiveness, &LabelSet::attractiveness_5());
        assert_eq!((five.unit, five.threshold(3).as_str(), five.digits), (0.1, "0.3", 4));
        assert_eq!(names(&five)[..2], ["1.0-1.5", "1.5-2.0"]);
        assert_eq!((five.band_count(), five.band(5.0), five.band(1.0)), (8, 7, 0));
        let seven = Scale::new(Task::Attractiveness, &LabelSet::attractiveness_7());
        assert_eq!((seven.unit, seven.band_count()), (0.1, 6));
        let ten = Scale::new(Task::Attractiveness, &LabelSet::new(1.0, 10.0, 0.1).unwrap());
        assert_eq!((ten.band_count(), ten.band_name(8).as_str()), (9, "9.0-10.0"));
        let wide = Scale::new(Task::Attractiveness, &LabelSet::new(1.0, 230.0, 1.0).unwrap());
        assert_eq!((wide.unit, wide.band_count(), wide.digits), (10.0, 5, 3));
        assert_eq!(names(&wide)[4], "201-230");
    }
}
