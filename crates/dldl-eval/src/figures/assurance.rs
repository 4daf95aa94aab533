//! Age assurance, measured as by NIST (Hanaoka, Ngan, Yang, Quinn, Hom, Grother, *Face
//! Analysis Technology Evaluation: Age Estimation and Verification*, NIST IR 8525,
//! 2024): how many people under 18 pass, and how many adults are challenged, if
//! everybody passes whose estimate is at least a challenge age.

use std::collections::BTreeMap;

use dldl_data::Sex;
use serde::{Deserialize, Serialize};

use super::groups::{Key, grouped, race, sex};
use super::{Measured, People, means};
use crate::Prediction;

/// Age assurance following NIST's evaluation (FATE, NIST IR 8525): everybody whose
/// estimate is at least the challenge age passes, everybody else has to prove being 18
/// or older. Shares are in 0..=1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assurance {
    /// Everybody.
    pub all: AssuranceGroup,
    /// By sex, where known.
    pub by_sex: Vec<AssuranceGroup>,
    /// By race, where known.
    pub by_race: Vec<AssuranceGroup>,
}

/// Age assurance for one group of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssuranceGroup {
    /// The group's name.
    pub name: String,
    /// The number of people under 18.
    pub minors: usize,
    /// The number of these from 14 to 17.
    pub teens: usize,
    /// The number of people from 18 to 30.
    pub adults: usize,
    /// Mean absolute error of those from 18 to 30, in years.
    pub adults_mae: Option<Measured>,
    /// The same as reported by NIST: the mean over the errors of each combination of
    /// sex and year of age, so that ages with many pictures do not dominate.
    pub adults_mae_by_cell: Option<f64>,
    /// The number of combinations of sex and year with pictures; at most 26.
    pub adults_cells: usize,
    /// One row for each challenge age from 20 to 30.
    pub rows: Vec<ChallengeAge>,
}

/// Error rates at a challenge age; none without people of the respective age.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChallengeAge {
    /// The challenge age, in years.
    pub age: f64,
    /// False positive rate: the share of people under 18 who pass.
    pub minors_passed: Option<Measured>,
    /// The same for people from 14 to 17.
    pub teens_passed: Option<Measured>,
    /// The share of people from 18 to 30 who are challenged.
    pub adults_challenged: Option<Measured>,
}

/// The age to be proved.
const OF_AGE: f64 = 18.0;
/// The challenge ages.
const CHALLENGES: std::ops::RangeInclusive<u8> = 20..=30;

/// Age assurance over all predictions; none if nobody is under 18. A label that is a
/// range counts if it lies entirely within an age group.
pub fn assurance(predictions: &[Prediction]) -> Option<Assurance> {
    let all = group("all".into(), predictions.iter());
    let part = |key: Key| {
        let groups = grouped(predictions, key).into_iter();
        groups.map(|(name, members)| group(name, members.into_iter())).collect()
    };
    (all.minors > 0).then(|| Assurance { all, by_sex: part(&sex), by_race: part(&race) })
}

fn group<'a>(
    name: String,
    members: impl Iterator<Item = &'a Prediction> + Clone,
) -> AssuranceGroup {
    // A person of 30 years and some months is 30.
    let part = |from: f64, below: f64| {
        let all = members.clone().filter(|p| {
            let [low, high] = p.range.unwrap_or([p.truth; 2]);
            from <= low && high < below
        });
        all.collect::<Vec<&Prediction>>()
    };
    let (minors, teens) = (part(f64::NEG_INFINITY, OF_AGE), part(14.0, OF_AGE));
    let adults = part(OF_AGE, 31.0);
    let row = |age: u8| {
        let age = f64::from(age);
        ChallengeAge {
            age,
            minors_passed: mean(&minors, |p| f64::from(u8::from(p.fused >= age))),
            teens_passed: mean(&teens, |p| f64::from(u8::from(p.fused >= age))),
            adults_challenged: mean(&adults, |p| f64::from(u8::from(p.fused < age))),
        }
    };
    let cells = cells(&adults);
    AssuranceGroup {
        name,
        minors: minors.len(),
        teens: teens.len(),
        adults: adults.len(),
        adults_mae: mean(&adults, |p| (p.fused - p.truth).abs()),
        adults_mae_by_cell: (!cells.is_empty())
            .then(|| cells.iter().sum::<f64>() / cells.len() as f64),
        adults_cells: cells.len(),
        rows: CHALLENGES.map(row).collect(),
    }
}

/// The mean absolute error of each existing combination of sex and year of age; ranges
/// have no year.
fn cells(members: &[&Prediction]) -> Vec<f64> {
    let mut sums: BTreeMap<(Option<bool>, i64), (f64, f64)> = BTreeMap::new();
    for p in members.iter().filter(|p| p.range.is_none()) {
        let sex = p.sex.map(|sex| sex == Sex::Female);
        let (sum, n) = sums.entry((sex, p.truth.floor() as i64)).or_default();
        *sum += (p.fused - p.truth).abs();
        *n += 1.0;
    }
    sums.into_values().map(|(sum, n)| sum / n).collect()
}

fn mean(members: &[&Prediction], value: impl Fn(&Prediction) -> f64) -> Option<Measured> {
    let people = People::of(members.iter().copied());
    means(&people, members.iter().map(|p| [value(p)])).map(|[mean]| mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::testing::prediction;

    #[test]
    fn rates_match_hand_computed_ones() {
        let female = |p: Prediction| Prediction { sex: Some(Sex::Female), ..p };
        let mut predictions = vec![
            prediction(10.0, 12.0),
            female(prediction(14.0, 20.0)),
            prediction(17.0, 25.5),
            prediction(17.0, 17.0),
            female(prediction(18.0, 22.0)),
            prediction(30.0, 27.0),
            prediction(31.0, 10.0),
        ];
        predictions.push(Prediction { range: Some([10.0, 19.0]), ..prediction(14.5, 40.0) });
        predictions.push(Prediction { range: Some([20.0, 29.0]), ..prediction(24.5, 24.5) });
        let found = assurance(&predictions).unwrap();
        let all = &found.all;
        assert_eq!((all.minors, all.teens, all.adults), (4, 3, 3));
        // Errors 4, 3 and 0.
        assert!((all.adults_mae.unwrap().value - 7.0 / 3.0).abs() < 1e-12);
        // The range has no year: errors of 4 and 3.
        assert_eq!((all.adults_mae_by_cell, all.adults_cells), (Some(3.5), 2));
        let ages: Vec<f64> = all.rows.iter().map(|r| r.age).collect();
        assert_eq!((ages.len(), ages[0], ages[10]), (11, 20.0, 30.0));
        let shares = |row: &ChallengeAge| {
            [row.minors_passed, row.teens_passed, row.adults_challenged].map(|m| m.unwrap().value)
        };
        assert_eq!(shares(&all.rows[0]), [0.5, 2.0 / 3.0, 0.0]);
        assert_eq!(shares(&all.rows[5]), [0.25, 1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(shares(&all.rows[10]), [0.0, 0.0, 1.0]);
        assert_eq!(found.by_sex.len(), 1);
        assert_eq!((found.by_sex[0].minors, found.by_sex[0].adults), (1, 1));
        assert!(found.by_race.is_empty());
        assert_eq!(assurance(&[prediction(20.0, 20.0)]), None);
    }
}
