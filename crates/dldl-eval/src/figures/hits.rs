//! Accuracy on labels that are ranges, such as FairFace's ages.

use dldl::LabelSet;
use serde::{Deserialize, Serialize};

use super::groups::{MIN_GROUP, grouped, race};
use super::{Measured, People, means};
use crate::Prediction;

/// How many estimates fall into their range, over labels that are ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    /// The number of labels that are ranges.
    pub n: usize,
    /// The share whose estimate, rounded to a label, lies in the range, 0..=1.
    pub share: Measured,
    /// The same by race, where known.
    pub by_race: Vec<GroupHits>,
    /// The race with the smallest share among the groups that are large enough.
    pub worst: Option<String>,
    /// The one with the largest.
    pub best: Option<String>,
}

/// The share of a group's estimates that fall into their ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupHits {
    /// The group's name.
    pub name: String,
    /// Number of pictures.
    pub n: usize,
    /// Whether there are fewer than [`MIN_GROUP`].
    pub few: bool,
    /// The share, 0..=1.
    pub share: Measured,
}

/// The share of estimates that fall into their ranges; none if no label is a range.
/// Estimates are rounded to the nearest label: 9.4 years becomes 9, which is in the
/// range from 3 to 9.
pub fn hits(predictions: &[Prediction], labels: &LabelSet) -> Option<Hits> {
    let ranges: Vec<&Prediction> = predictions.iter().filter(|p| p.range.is_some()).collect();
    let by_race = grouped(ranges.iter().copied(), &race);
    let by_race = by_race.into_iter().filter_map(|(name, members)| {
        let n = members.len();
        Some(GroupHits { name, n, few: n < MIN_GROUP, share: share(&members, labels)? })
    });
    let by_race: Vec<GroupHits> = by_race.collect();
    let enough = || by_race.iter().filter(|g| !g.few);
    let worst = enough().min_by(|a, b| a.share.value.total_cmp(&b.share.value));
    let best = enough().max_by(|a, b| a.share.value.total_cmp(&b.share.value));
    let pair = worst.zip(best).filter(|(worst, best)| worst.name != best.name);
    Some(Hits {
        n: ranges.len(),
        share: share(&ranges, labels)?,
        worst: pair.map(|(worst, _)| worst.name.clone()),
        best: pair.map(|(_, best)| best.name.clone()),
        by_race,
    })
}

fn share(members: &[&Prediction], labels: &LabelSet) -> Option<Measured> {
    let hit = |p: &&Prediction| {
        let label = labels.value(labels.nearest(p.fused));
        let slack = 1e-6 * labels.step();
        let inside = |[low, high]: [f64; 2]| low - slack <= label && label <= high + slack;
        [f64::from(u8::from(p.range.is_some_and(inside)))]
    };
    means(&People::of(members.iter().copied()), members.iter().map(hit)).map(|[share]| share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::testing::prediction;

    #[test]
    fn estimates_are_rounded_and_races_compared() {
        let ages = LabelSet::age();
        assert_eq!(hits(&[prediction(5.0, 5.0)], &ages), None);
        // 40 of each: all hits for one race, half for the other.
        let of = |i: usize| {
            let (race, estimate) = match i {
                0..40 => ("a", 9.4),
                40..60 => ("b", 2.6),
                _ => ("b", 9.6),
            };
            let race = Some(race.to_owned());
            Prediction { race, range: Some([3.0, 9.0]), ..prediction(6.0, estimate) }
        };
        let found = hits(&(0..80).map(of).collect::<Vec<_>>(), &ages).unwrap();
        assert_eq!((found.n, found.share.value), (80, 0.75));
        let shares: Vec<f64> = found.by_race.iter().map(|g| g.share.value).collect();
        assert_eq!(shares, [1.0, 0.5]);
        assert_eq!((found.worst.as_deref(), found.best.as_deref()), (Some("b"), Some("a")));
    }
}
