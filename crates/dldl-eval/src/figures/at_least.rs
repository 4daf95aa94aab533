//! The question whether a value is at least a threshold, such as whether a person is 18 or
//! older: how well the predicted probability separates the two sides (ROC), whether it is
//! true (reliability), and how many people on the wrong side pass a cutoff.

mod sides;

use serde::{Deserialize, Serialize};

use super::Measured;
use super::groups::{Key, grouped, race, sex};
use crate::Prediction;
use sides::Sides;

/// The rates of one kind of error for which the other is reported.
pub const RATES: [f64; 3] = [0.01, 0.05, 0.1];
/// The number of bins of the reliability diagram.
const BINS: usize = 10;
/// The distance of neighboring points of the ROC curve along either axis.
const ROC_STEP: f64 = 0.01;

/// The question whether a value is at least a threshold, answered by the probability of
/// the labels from the threshold up ([`dldl::Distribution::at_least`], with flip fusion).
/// "Below" are the pictures whose true value is below the threshold, "above" the others.
/// Somebody passes a cutoff if the probability is at least the cutoff.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtLeast {
    /// The threshold, in units of the label.
    pub threshold: f64,
    /// Number of pictures whose label is a range with values on both sides; they are left
    /// out.
    pub undecided: usize,
    /// Everybody.
    pub all: AtLeastGroup,
    /// By sex, where known, at the cutoffs of everybody.
    pub by_sex: Vec<AtLeastGroup>,
    /// By race, where known, at the cutoffs of everybody.
    pub by_race: Vec<AtLeastGroup>,
    /// The reliability diagram: bins of the predicted probability that have pictures.
    pub reliability: Vec<Bin>,
    /// The ROC curve, from cutoff 0 to above 1. Neighboring points are about 0.01 apart.
    pub roc: Vec<RocPoint>,
}

/// How well the question is answered for a group of people. Metrics that need both sides
/// are none if there is only one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtLeastGroup {
    /// The group's name.
    pub name: String,
    /// Number of pictures below the threshold.
    pub below: usize,
    /// Number of pictures above.
    pub above: usize,
    /// The area under the ROC curve: the probability that somebody above has a higher
    /// predicted probability than somebody below, 0..=1; ties count as half.
    pub auc: Option<Measured>,
    /// The Brier score: the mean squared difference between the probability and 1 (above)
    /// or 0 (below), 0..=1.
    pub brier: Option<Measured>,
    /// The expected calibration error: the mean over pictures of the absolute difference
    /// between the mean probability of their bin and its share above, 0..=1. Chance alone
    /// makes it larger in small groups.
    pub calibration_error: Option<Measured>,
    /// Cutoffs with a rate from [`RATES`] of people above who do not pass.
    pub at_above_failed: Vec<Cutoff>,
    /// Cutoffs with a rate from [`RATES`] of people below who pass.
    pub at_below_passed: Vec<Cutoff>,
}

/// What a cutoff does. Shares are in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cutoff {
    /// The largest allowed rate of the one error, over all people.
    pub rate: f64,
    /// The cutoff of the probability, chosen on these pictures with the least of the other
    /// error. None if there are fewer than 1 / rate people to measure the rate on.
    pub cutoff: Option<f64>,
    /// The share of people below the threshold who pass. One minus this is their recall:
    /// the share who are found. For everybody, the interval also has the uncertainty of the
    /// cutoff; for groups, the cutoff is fixed.
    pub below_passed: Option<Measured>,
    /// The share of people above who do not pass.
    pub above_failed: Option<Measured>,
}

/// A bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The lower end of the probabilities, inclusive.
    pub low: f64,
    /// The upper end, exclusive unless it is 1.
    pub high: f64,
    /// Number of pictures.
    pub n: usize,
    /// The mean of the predicted probabilities.
    pub predicted: f64,
    /// The share of pictures above the threshold.
    pub observed: Measured,
}

/// A point of the ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// The share of people above who do not pass.
    pub above_failed: f64,
    /// The share of people below who do not pass: their recall.
    pub below_failed: f64,
}

/// Answers for threshold number `place` of the predictions, `threshold`. None without
/// pictures on both sides.
pub fn at_least(predictions: &[Prediction], place: usize, threshold: f64) -> Option<AtLeast> {
    let side = |p: &Prediction| {
        let [low, high] = p.range.unwrap_or([p.truth; 2]);
        (low >= threshold || high < threshold).then_some(low >= threshold)
    };
    let decided: Vec<&Prediction> = predictions.iter().filter(|p| side(p).is_some()).collect();
    let sides = |members: &[&Prediction]| {
        let above = |p: &&Prediction| side(p) == Some(true);
        Sides::new(members, |p| p.at_least.get(place).copied().unwrap_or(f64::NAN), above)
    };
    let everybody = sides(&decided);
    if everybody.below() == 0 || everybody.above() == 0 {
        return None;
    }
    let all = everybody.measured();
    let part = |key: Key| {
        let groups = grouped(decided.iter().copied(), key).into_iter();
        groups.map(|(name, members)| sides(&members).at_cutoffs_of(name, &all)).collect()
    };
    let (by_sex, by_race) = (part(&sex), part(&race));
    Some(AtLeast {
        threshold,
        undecided: predictions.len() - decided.len(),
        by_sex,
        by_race,
        reliability: everybody.reliability(),
        roc: everybody.roc(),
        all,
    })
}

#[cfg(test)]
mod tests {
    use dldl_data::Sex;

    use super::*;
    use crate::figures::testing::{many, prediction};

    /// An age and the probability of being 18 or older.
    fn case(truth: f64, probability: f64) -> Prediction {
        Prediction { at_least: vec![0.5, probability], ..prediction(truth, truth) }
    }

    fn close(a: Option<Measured>, b: f64) {
        assert!((a.unwrap().value - b).abs() < 1e-12, "{a:?} is not {b}");
    }

    #[test]
    fn metrics_match_hand_computed_ones() {
        // Of the 2 * 3 pairs, 4 are in order, and one is a tie.
        let cases = [(10.0, 0.1), (17.0, 0.6), (18.0, 0.6), (30.0, 0.45), (50.0, 1.0)];
        let mut predictions: Vec<Prediction> = cases.map(|(t, p)| case(t, p)).into();
        predictions.push(Prediction { range: Some([10.0, 19.0]), ..case(14.5, 0.3) });
        let found = at_least(&predictions, 1, 18.0).unwrap();
        let all = &found.all;
        assert_eq!((found.undecided, all.below, all.above), (1, 2, 3));
        close(all.auc, 4.5 / 6.0);
        close(all.brier, (0.01 + 0.36 + 0.16 + 0.55 * 0.55) / 5.0);
        // The bin from 0.6 has one of each; the others one picture.
        close(all.calibration_error, (0.1 + 0.2 + 0.55) / 5.0);
        let bins: Vec<(usize, f64)> =
            found.reliability.iter().map(|b| (b.n, b.observed.value)).collect();
        assert_eq!(bins, [(1, 0.0), (1, 1.0), (2, 0.5), (1, 1.0)]);
        assert_eq!((found.reliability[2].low, found.reliability[2].predicted), (0.6, 0.6));
        // Too few people for rates of 10 % and less.
        assert!(
            all.at_above_failed
                .iter()
                .chain(&all.at_below_passed)
                .all(|c| { (c.cutoff, c.below_passed, c.above_failed) == (None, None, None) })
        );
        let roc: Vec<(f64, f64)> =
            found.roc.iter().map(|p| (p.above_failed, p.below_failed)).collect();
        let third = 1.0 / 3.0;
        assert_eq!(roc, [(0.0, 0.0), (0.0, 0.5), (third, 0.5), (2.0 * third, 1.0), (1.0, 1.0)]);
        assert_eq!(at_least(&predictions[2..5], 1, 18.0), None);
    }

    #[test]
    fn ranges_count_on_the_side_that_they_are_entirely_on() {
        let range = |low, high| Prediction { range: Some([low, high]), ..case(20.0, 0.5) };
        let predictions = [range(10.0, 17.0), range(10.0, 18.0), range(18.0, 29.0)];
        let found = at_least(&predictions, 1, 18.0).unwrap();
        assert_eq!((found.undecided, found.all.below, found.all.above), (1, 1, 1));
    }

    /// 100 people below with probabilities 0, 0.01, ..., 0.99, and 100 above with those of
    /// the square root.
    fn two_hundred() -> Vec<Prediction> {
        let one = |i: usize| {
            let p = (i % 100) as f64 / 100.0;
            match i < 100 {
                true => Prediction { sex: Some(Sex::Male), ..case(5.0, p) },
                false => Prediction { sex: Some(Sex::Female), ..case(40.0, p.sqrt()) },
            }
        };
        (0..200).map(one).collect()
    }

    #[test]
    fn cutoffs_have_the_wanted_rate_and_apply_to_all_groups() {
        let found = at_least(&two_hundred(), 1, 18.0).unwrap();
        let five = found.all.at_above_failed[1];
        // The first five of those above, 0 to 0.2, do not pass.
        assert_eq!((five.rate, five.cutoff), (0.05, Some(0.05f64.sqrt())));
        close(five.above_failed, 0.05);
        // From 0.23 to 0.99.
        close(five.below_passed, 0.77);
        let [low, high] = five.below_passed.unwrap().interval.unwrap();
        assert!(0.5 < low && low < 0.77 && 0.77 < high && high < 0.95, "{low} {high}");
        let one = found.all.at_below_passed[0];
        assert_eq!(one.cutoff, Some(0.98f64.next_up()));
        close(one.below_passed, 0.01);
        // 0.96 has the root 0.9798, 0.97 has 0.985.
        close(one.above_failed, 0.97);
        let (men, women) = (&found.by_sex[0], &found.by_sex[1]);
        assert_eq!((men.below, men.above, men.auc), (100, 0, None));
        let of_men = men.at_above_failed[1];
        assert_eq!((of_men.cutoff, of_men.above_failed), (five.cutoff, None));
        close(of_men.below_passed, 0.77);
        close(women.at_above_failed[1].above_failed, 0.05);
    }

    #[test]
    fn a_useless_probability_is_chance_and_a_perfect_one_is_perfect() {
        let mut predictions = many(600, 300);
        for p in &mut predictions {
            p.at_least = vec![0.3, f64::from(u8::from(p.truth >= 18.0))];
        }
        let useless = at_least(&predictions, 0, 18.0).unwrap();
        close(useless.all.auc, 0.5);
        assert_eq!(useless.roc.len(), 2);
        let share = useless.all.above as f64 / 600.0;
        close(useless.all.calibration_error, share - 0.3);
        // Nobody can be told apart: to fail at most 5 % of those above, all must pass.
        close(useless.all.at_above_failed[1].below_passed, 1.0);
        let perfect = at_least(&predictions, 1, 18.0).unwrap();
        close(perfect.all.auc, 1.0);
        close(perfect.all.brier, 0.0);
        close(perfect.all.at_above_failed[0].below_passed, 0.0);
        close(perfect.all.at_below_passed[0].above_failed, 0.0);
    }
}
