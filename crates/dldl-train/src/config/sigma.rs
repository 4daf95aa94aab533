//! The width of label distributions for samples without a spread of their own.

use serde::{Deserialize, Serialize};

/// The standard deviation of a label distribution, in units of the label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, or points such as [[1, 0.6], [80, 6.4]]")]
pub enum Sigma {
    /// The same for all labels: `2.0`.
    One(f64),
    /// By label: `[[1, 0.6], [25, 4.0], [80, 6.4]]`, pairs of label and sigma in the order
    /// of the labels, interpolated linearly and constant beyond the ends.
    ByLabel(Vec<[f64; 2]>),
}

impl Sigma {
    /// The standard deviation at a label.
    ///
    /// # Panics
    /// If there are no points; such a recipe is refused.
    pub fn at(&self, label: f64) -> f64 {
        let points = match self {
            Self::One(sigma) => return *sigma,
            Self::ByLabel(points) => points,
        };
        let above = points.partition_point(|point| point[0] < label);
        match (above.checked_sub(1).map(|below| points[below]), points.get(above)) {
            (Some([l0, s0]), Some(&[l1, s1])) => s0 + (s1 - s0) * (label - l0) / (l1 - l0),
            (Some([_, sigma]), None) | (None, Some(&[_, sigma])) => sigma,
            (None, None) => panic!("a sigma by label has points"),
        }
    }

    /// Whether all values are finite, at least 0 and in order.
    pub(super) fn is_valid(&self) -> bool {
        let good = |sigma: f64| sigma >= 0.0 && sigma.is_finite();
        match self {
            Self::One(sigma) => good(*sigma),
            Self::ByLabel(points) => {
                let rising = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
                let good = points.iter().all(|[label, sigma]| label.is_finite() && good(*sigma));
                !points.is_empty() && rising && good
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_is_linear_between_points_and_constant_beyond() {
        let sigma = Sigma::ByLabel(vec![[1.0, 0.5], [25.0, 4.5], [80.0, 6.5]]);
        for (label, expected) in [
            (0.0, 0.5),
            (1.0, 0.5),
            (13.0, 2.5),
            (25.0, 4.5),
            (52.5, 5.5),
            (80.0, 6.5),
            (99.0, 6.5),
        ] {
            assert_eq!(sigma.at(label), expected, "at {label}");
        }
        assert_eq!(Sigma::ByLabel(vec![[30.0, 3.0]]).at(5.0), 3.0);
        assert_eq!(Sigma::One(2.0).at(7.0), 2.0);
    }

    #[test]
    fn invalid_points_are_detected() {
        let points = |points: &[[f64; 2]]| Sigma::ByLabel(points.to_vec()).is_valid();
        assert!(points(&[[1.0, 0.0]]) && Sigma::One(0.0).is_valid());
        assert!(!Sigma::One(-1.0).is_valid() && !Sigma::One(f64::NAN).is_valid());
        assert!(!points(&[]) && !points(&[[5.0, 1.0], [5.0, 2.0]]));
        assert!(!points(&[[5.0, 1.0], [1.0, 2.0]]) && !points(&[[5.0, -1.0]]));
    }
}
