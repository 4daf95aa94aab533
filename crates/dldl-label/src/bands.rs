//! Conformal levels by band of the estimate (Mondrian conformal prediction: Vovk,
//! Lindsay, Nouretdinov, Gammerman, "Mondrian confidence machine", 2003).
//!
//! The scores of held-out samples are divided by the band that their *estimate* lies
//! in, and each band gets its own [`Conformal`] levels. The promise of these levels
//! then holds within every band: among new samples from the same population whose
//! estimate lies in the band, not only on average over all. It is no promise by band
//! of the true value, which is not known when an interval is made.

use serde::{Deserialize, Serialize};

use crate::{Conformal, LabelError};

/// A band of estimates and its levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The smallest estimate of the band, in units of the label. The next band's is the
    /// end, which is not part of the band. The first and the last band are open.
    pub from: f64,
    /// Number of samples that the levels were fitted on.
    pub n: usize,
    /// The levels.
    pub levels: Conformal,
}

/// [`Conformal`] levels for each of several bands of estimates.
///
/// ```
/// use dldl_label::Bands;
///
/// // The scores of low estimates are small, those of high estimates are large.
/// let estimates: Vec<f64> = (0..400).map(|i| f64::from(i) / 4.0).collect();
/// let scores: Vec<f64> = estimates.iter().map(|e| if *e < 50.0 { 0.3 } else { 0.8 }).collect();
/// let edges = [0.0, 25.0, 50.0, 75.0];
/// let bands = Bands::fit(&edges, &estimates, &scores, 100)?;
/// assert_eq!([10.0, 49.9, 50.0].map(|e| bands.levels(e).level(0.9)), [0.3, 0.3, 0.8]);
/// # Ok::<(), dldl_label::LabelError>(())
/// ```
///
/// Serialized as the list of bands. Deserialization checks that there is one and that
/// they are in ascending order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Band>", into = "Vec<Band>")]
pub struct Bands(Vec<Band>);

impl TryFrom<Vec<Band>> for Bands {
    type Error = LabelError;

    fn try_from(bands: Vec<Band>) -> Result<Self, LabelError> {
        check(&bands.iter().map(|band| band.from).collect::<Vec<f64>>())?;
        Ok(Self(bands))
    }
}

impl From<Bands> for Vec<Band> {
    fn from(bands: Bands) -> Self {
        bands.0
    }
}

/// Checks that there are edges, all finite, in ascending order.
fn check(edges: &[f64]) -> Result<(), LabelError> {
    const WHAT: &str = "edges of bands";
    if edges.is_empty() {
        return Err(LabelError::Empty { what: WHAT });
    }
    let wrong = |k: usize| !edges[k].is_finite() || k > 0 && edges[k] <= edges[k - 1];
    match (0..edges.len()).find(|&k| wrong(k)) {
        Some(index) => Err(LabelError::Value {
            what: WHAT,
            index,
            value: edges[index],
            expected: "finite numbers in ascending order",
        }),
        None => Ok(()),
    }
}

/// The number of the band of an estimate, given the lower edges of all.
fn place(edges: impl Iterator<Item = f64>, estimate: f64) -> usize {
    edges.skip(1).take_while(|&edge| estimate >= edge).count()
}

impl Bands {
    /// Fits the levels of each band on the scores of the held-out samples whose
    /// estimates lie in it. `edges` are the bands' lower ends; those with fewer than
    /// `least` samples are merged: the smallest one with its smaller neighbor (the
    /// lower one of equals), until each band has enough or a single one is left.
    ///
    /// # Errors
    /// If there are no edges, or they are not finite and in ascending order; if the
    /// numbers of estimates and scores differ, an estimate is not finite, or for
    /// scores as [`Conformal::fit`].
    pub fn fit(
        edges: &[f64],
        estimates: &[f64],
        scores: &[f64],
        least: usize,
    ) -> Result<Self, LabelError> {
        check(edges)?;
        crate::distribution::check_length("estimates", scores.len(), estimates.len())?;
        if let Some(index) = estimates.iter().position(|e| !e.is_finite()) {
            let (value, expected) = (estimates[index], "a finite number");
            return Err(LabelError::Value { what: "estimates", index, value, expected });
        }
        let mut bands: Vec<(f64, Vec<f64>)> = edges.iter().map(|&from| (from, vec![])).collect();
        for (&estimate, &score) in estimates.iter().zip(scores) {
            bands[place(edges.iter().copied(), estimate)].1.push(score);
        }
        let count = |bands: &[(f64, Vec<f64>)], k: usize| bands[k].1.len();
        while bands.len() > 1 {
            let smallest = (0..bands.len()).min_by_key(|&k| count(&bands, k));
            let smallest = smallest.expect("there are bands");
            if count(&bands, smallest) >= least.max(1) {
                break;
            }
            let neighbors = [smallest.checked_sub(1), Some(smallest + 1)].into_iter().flatten();
            let neighbors = neighbors.filter(|&k| k < bands.len());
            let other = neighbors.min_by_key(|&k| count(&bands, k)).expect("there are others");
            let (_, upper) = bands.remove(smallest.max(other));
            bands[smallest.min(other)].1.extend(upper);
        }
        let levels = |(from, scores): (f64, Vec<f64>)| {
            Ok(Band { from, n: scores.len(), levels: Conformal::fit(&scores)? })
        };
        Ok(Self(bands.into_iter().map(levels).collect::<Result<_, LabelError>>()?))
    }

    /// The bands, in ascending order.
    pub fn bands(&self) -> &[Band] {
        &self.0
    }

    /// The lower ends of all bands.
    pub fn edges(&self) -> Vec<f64> {
        self.0.iter().map(|band| band.from).collect()
    }

    /// The number of the band that an estimate lies in: the last one that starts at or
    /// below it, or the first.
    pub fn band(&self, estimate: f64) -> usize {
        place(self.0.iter().map(|band| band.from), estimate)
    }

    /// The levels for an estimate: those of its band.
    pub fn levels(&self, estimate: f64) -> &Conformal {
        &self.0[self.band(estimate)].levels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `n` samples with this estimate and scores spread over 0 to `most`.
    fn add(to: &mut (Vec<f64>, Vec<f64>), n: usize, estimate: f64, most: f64) {
        for i in 1..=n {
            to.0.push(estimate);
            to.1.push(most * i as f64 / n as f64);
        }
    }

    #[test]
    fn each_band_has_the_order_statistic_of_its_own_scores() {
        let mut all = (Vec::new(), Vec::new());
        add(&mut all, 99, 10.0, 0.25);
        add(&mut all, 199, 60.0, 1.0);
        let bands = Bands::fit(&[0.0, 50.0], &all.0, &all.1, 99).unwrap();
        assert_eq!(bands.bands().iter().map(|b| b.n).collect::<Vec<_>>(), [99, 199]);
        // ceil(100 * 0.9) = 90 of 99, ceil(200 * 0.9) = 180 of 199.
        assert_eq!(bands.levels(49.999).level(0.9), 0.25 * 90.0 / 99.0);
        assert_eq!(bands.levels(50.0).level(0.9), 180.0 / 199.0);
        // Beyond the outer edges, and the order of samples does not matter.
        assert_eq!([-5.0, 0.0, 120.0].map(|e| bands.band(e)), [0, 0, 1]);
        all.0.reverse();
        all.1.reverse();
        assert_eq!(Bands::fit(&[0.0, 50.0], &all.0, &all.1, 99).unwrap(), bands);
    }

    #[test]
    fn small_bands_are_merged_with_their_smaller_neighbor() {
        let mut all = (Vec::new(), Vec::new());
        for (n, estimate) in [(120, 5.0), (30, 15.0), (200, 25.0), (60, 35.0), (50, 45.0)] {
            add(&mut all, n, estimate, 0.5);
        }
        let edges = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0];
        let fitted = |least| {
            let bands = Bands::fit(&edges, &all.0, &all.1, least).unwrap();
            bands.bands().iter().map(|b| (b.from, b.n)).collect::<Vec<_>>()
        };
        // Nobody is above 50; then 30 joins 120, and 50 joins 60.
        assert_eq!(fitted(100), [(0.0, 150), (20.0, 200), (30.0, 110)]);
        assert_eq!(fitted(40).len(), 4);
        // Empty bands are never kept.
        assert_eq!(fitted(0).len(), 5);
        assert_eq!(fitted(1000), [(0.0, 460)]);
        // A single band has the levels of all scores.
        let whole = Bands::fit(&edges, &all.0, &all.1, 1000).unwrap();
        assert_eq!(whole.bands()[0].levels, Conformal::fit(&all.1).unwrap());
    }

    #[test]
    fn invalid_bands_are_rejected() {
        assert!(Bands::fit(&[], &[1.0], &[0.5], 1).is_err());
        assert!(Bands::fit(&[1.0, 1.0], &[1.0], &[0.5], 1).is_err());
        assert!(Bands::fit(&[0.0], &[1.0], &[], 1).is_err());
        assert!(Bands::fit(&[0.0], &[], &[], 1).is_err());
        assert!(Bands::fit(&[0.0], &[f64::NAN], &[0.5], 1).is_err());
        assert!(Bands::fit(&[0.0], &[1.0], &[1.5], 1).is_err());
        let good = Bands::fit(&[0.0, 2.0], &[1.0, 3.0], &[0.5, 0.25], 1).unwrap();
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Bands>(&text).unwrap(), good);
        let mut list: Vec<Band> = good.into();
        list.reverse();
        assert!(Bands::try_from(list).unwrap_err().to_string().contains("ascending"));
        assert!(serde_json::from_str::<Bands>("[]").is_err());
    }
}
