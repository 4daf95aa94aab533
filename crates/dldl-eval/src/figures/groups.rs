//! Metrics of groups: by band of the true value, sex, race, and pairs of these.

use std::collections::BTreeMap;

use dldl::LabelSet;
use dldl_data::Sex;
use serde::{Deserialize, Serialize};

use super::probabilistic::{Coverage, coverage};
use super::{Measured, People, means};
use crate::{Prediction, Scale};

/// Groups of fewer pictures are marked, and not considered as the worst or the best of
/// a breakdown.
pub const MIN_GROUP: usize = 30;

/// Samples grouped by an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breakdown {
    /// The attribute: `age`, `sex`, `race`, or two of them, such as `age x sex`.
    pub by: String,
    /// The groups, in order.
    pub groups: Vec<Group>,
    /// The group with the largest MAE among those that are large enough.
    pub worst: Option<String>,
    /// The group with the smallest.
    pub best: Option<String>,
    /// The difference between their MAEs, in units of the label.
    pub gap: Option<f64>,
}

impl Breakdown {
    /// The unweighted mean of the groups' MAEs, in units of the label, over the groups
    /// that are large enough. None if there is none.
    pub fn mean_mae(&self) -> Option<f64> {
        let errors = || self.groups.iter().filter(|g| !g.few).map(|g| g.mae.value);
        let count = errors().count();
        (count > 0).then(|| errors().sum::<f64>() / count as f64)
    }
}

/// A group of samples; the metrics are those of flip fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// Number of pictures.
    pub n: usize,
    /// Whether there are fewer than [`MIN_GROUP`].
    pub few: bool,
    /// Mean absolute error, in units of the label.
    pub mae: Measured,
    /// The mean of estimate minus truth.
    pub bias: Measured,
    /// Coverage and width of the intervals.
    pub coverage: Vec<Coverage>,
}

/// The group of a sample: for each attribute its position in the order and its name.
/// None if the attribute is not known.
pub(super) type Key<'a> = &'a dyn Fn(&Prediction) -> Option<Vec<(usize, String)>>;

/// All breakdowns of predictions for `task`: by band, sex and race, and pairs of
/// these. Breakdowns with fewer than two groups are left out.
pub fn breakdowns(
    predictions: &[Prediction],
    task: &str,
    labels: &LabelSet,
    scale: &Scale,
) -> Vec<Breakdown> {
    let band = |p: &Prediction| {
        let band = scale.band(p.truth);
        Some(vec![(band, scale.band_name(band))])
    };
    let both = |a: Key, b: Key, p: &Prediction| Some([a(p)?, b(p)?].concat());
    let keys: [(String, Key); 6] = [
        (task.to_owned(), &band),
        ("sex".into(), &sex),
        ("race".into(), &race),
        (format!("{task} x sex"), &|p| both(&band, &sex, p)),
        (format!("{task} x race"), &|p| both(&band, &race, p)),
        ("race x sex".into(), &|p| both(&race, &sex, p)),
    ];
    let made = keys.into_iter().map(|(by, key)| breakdown(by, key, predictions, labels));
    made.filter(|breakdown| breakdown.groups.len() > 1).collect()
}

fn breakdown(by: String, key: Key, predictions: &[Prediction], labels: &LabelSet) -> Breakdown {
    let groups = grouped(predictions, key).into_iter().filter_map(|(name, members)| {
        let people = People::of(members.iter().copied());
        let error = |p: &&Prediction| p.fused - p.truth;
        let [mae, bias] = means(&people, members.iter().map(|p| [error(p).abs(), error(p)]))?;
        let coverage = coverage(&people, members.iter().copied(), labels, &|p| p.intervals);
        let n = members.len();
        Some(Group { name, n, few: n < MIN_GROUP, mae, bias, coverage })
    });
    let groups: Vec<Group> = groups.collect();
    let enough = || groups.iter().filter(|g| !g.few);
    let worst = enough().max_by(|a, b| a.mae.value.total_cmp(&b.mae.value));
    let best = enough().min_by(|a, b| a.mae.value.total_cmp(&b.mae.value));
    // A single group has no gap.
    let pair = worst.zip(best).filter(|(worst, best)| worst.name != best.name);
    Breakdown {
        by,
        worst: pair.map(|(worst, _)| worst.name.clone()),
        best: pair.map(|(_, best)| best.name.clone()),
        gap: pair.map(|(worst, best)| worst.mae.value - best.mae.value),
        groups,
    }
}

/// The predictions of each group, in the order of the keys; those without a key are
/// left out.
pub(super) fn grouped<'a>(
    predictions: impl IntoIterator<Item = &'a Prediction>,
    key: Key,
) -> Vec<(String, Vec<&'a Prediction>)> {
    let mut groups: BTreeMap<Vec<(usize, String)>, Vec<&Prediction>> = BTreeMap::new();
    for prediction in predictions {
        if let Some(key) = key(prediction) {
            groups.entry(key).or_default().push(prediction);
        }
    }
    let named = groups.into_iter().map(|(key, members)| {
        let names: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
        (names.join(", "), members)
    });
    named.collect()
}

/// The key for sex.
pub(super) fn sex(prediction: &Prediction) -> Option<Vec<(usize, String)>> {
    Some(vec![match prediction.sex? {
        Sex::Male => (0, "male".into()),
        Sex::Female => (1, "female".into()),
    }])
}

/// The key for race, in alphabetical order.
pub(super) fn race(prediction: &Prediction) -> Option<Vec<(usize, String)>> {
    Some(vec![(0, prediction.race.clone()?)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::testing::{many, prediction, years};

    fn by<'a>(all: &'a [Breakdown], name: &str) -> &'a Breakdown {
        all.iter().find(|b| b.by == name).expect(name)
    }

    #[test]
    fn samples_are_in_exactly_one_group() {
        let mut predictions = many(400, 400);
        for (i, p) in predictions.iter_mut().enumerate() {
            p.sex = Some(if i % 2 == 0 { Sex::Male } else { Sex::Female });
            p.race = (i % 10 != 0).then(|| ["a", "b", "c"][i % 3].to_owned());
            // Twice the error for one of them.
            if p.race.as_deref() == Some("b") {
                p.fused = p.truth + 2.0 * (p.fused - p.truth);
            }
        }
        let all = breakdowns(&predictions, "age", &LabelSet::age(), &years());
        let names: Vec<&str> = all.iter().map(|b| b.by.as_str()).collect();
        assert_eq!(names, ["age", "sex", "race", "age x sex", "age x race", "race x sex"]);
        let counts = |b: &Breakdown| b.groups.iter().map(|g| g.n).sum::<usize>();
        assert_eq!((counts(by(&all, "age")), counts(by(&all, "age x sex"))), (400, 400));
        assert_eq!((counts(by(&all, "race")), counts(by(&all, "race x sex"))), (360, 360));
        let ages = by(&all, "age");
        assert_eq!(ages.groups[0].name, "0-2");
        assert!(ages.groups[0].few && !ages.groups[1].few, "{:?}", ages.groups);
        assert!(ages.groups.iter().all(|g| g.coverage.len() == 4));
        let large: Vec<f64> = ages.groups.iter().filter(|g| !g.few).map(|g| g.mae.value).collect();
        let mean = large.iter().sum::<f64>() / large.len() as f64;
        assert_eq!(ages.mean_mae(), Some(mean));
        assert_eq!(by(&all, "age x sex").groups[1].name, "0-2, female");
        let race = by(&all, "race");
        assert_eq!(race.worst.as_deref(), Some("b"));
        let mae = |name: &str| race.groups.iter().find(|g| g.name == name).unwrap().mae.value;
        let best = mae("a").min(mae("c"));
        assert!((race.gap.unwrap() - (mae("b") - best)).abs() < 1e-12);
        let (n, sum) = (race.groups[0].n as f64, |pick: fn(f64) -> f64| {
            let of_a = predictions.iter().filter(|p| p.race.as_deref() == Some("a"));
            of_a.map(|p| pick(p.fused - p.truth)).sum::<f64>()
        });
        assert!((race.groups[0].mae.value - sum(f64::abs) / n).abs() < 1e-12);
        assert!((race.groups[0].bias.value - sum(|e| e) / n).abs() < 1e-12);
    }

    #[test]
    fn small_groups_are_never_worst_or_best() {
        let mut predictions = many(60, 60);
        predictions.iter_mut().for_each(|p| p.sex = Some(Sex::Male));
        let woman = Prediction { sex: Some(Sex::Female), ..prediction(30.0, 90.0) };
        predictions.push(woman);
        let all = breakdowns(&predictions, "age", &LabelSet::age(), &years());
        let sex = by(&all, "sex");
        assert_eq!((sex.groups[1].n, sex.groups[1].few), (1, true));
        assert_eq!(sex.groups[1].mae.interval, None);
        assert_eq!((&sex.worst, sex.gap), (&None, None));
        // Nothing is known of race.
        assert!(all.iter().all(|b| !b.by.contains("race")));
    }
}
