//! Properties of every protocol, on synthetic datasets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::Annotation;

/// Pictures `0.jpg`, `1.jpg`, ... of people who have one to seven each.
fn people(count: usize) -> Dataset {
    let mut samples = Vec::new();
    for person in 0..count {
        for _ in 0..1 + (person * 5) % 7 {
            let file = format!("{}.jpg", samples.len());
            let sample =
                Sample { group: Some(format!("p{person}")), ..Sample::new(file, Split::Test) };
            samples.push(sample.with(dldl_label::Task::Age, Annotation::value(30.0)));
        }
    }
    Dataset::new("made-up", "/nowhere".as_ref(), samples)
}

fn divided(protocol: &str, mut set: Dataset) -> Dataset {
    set.divide(&protocol.parse().unwrap()).unwrap();
    set
}

fn splits(set: &Dataset) -> BTreeMap<&str, Split> {
    set.samples.iter().map(|s| (picture(s), s.split)).collect()
}

#[test]
fn random_takes_a_fifth_for_testing_and_depends_on_the_seed() {
    let one = divided("random:1", people(250));
    let n = one.samples.len();
    assert_eq!(one.count(Split::Test), n.div_ceil(5));
    assert_eq!(one.count(Split::Val), (n - n.div_ceil(5)).div_ceil(10));
    assert_eq!(one.protocol, Protocol::Random80 { seed: 1 });
    let two = divided("random:2", people(250));
    let same = splits(&one).iter().filter(|(k, v)| splits(&two)[*k] == **v).count();
    assert!((n / 2..n * 4 / 5).contains(&same), "{same} of {n}");
}

#[test]
fn folds_are_a_partition_into_equal_parts() {
    for kind in ["kfold", "subjects"] {
        let sets: Vec<Dataset> =
            (1..=5).map(|fold| divided(&format!("{kind}:5:{fold}"), people(250))).collect();
        let n = sets[0].samples.len();
        for i in 0..n {
            let tested = sets.iter().filter(|set| set.samples[i].split == Split::Test).count();
            assert_eq!(tested, 1, "{kind}: sample {i}");
        }
        for set in &sets {
            let [train, val, test] = Split::ALL.map(|s| set.count(s));
            assert!(test.abs_diff(n / 5) <= 7, "{kind}: {test} of {n}");
            assert!(
                val.abs_diff((n - test) / 10) <= 7 && train > 7 * val,
                "{kind}: {train}, {val}"
            );
        }
    }
}

#[test]
fn subject_exclusive_protocols_keep_each_person_in_one_split() {
    for protocol in ["subjects:5:2", "leave-out:p6"] {
        let set = divided(protocol, people(90));
        let mut where_is: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
        for s in &set.samples {
            where_is.entry(s.group.as_deref().unwrap()).or_default().insert(s.split);
        }
        assert!(where_is.values().all(|splits| splits.len() == 1), "{protocol}");
        assert!(set.count(Split::Val) > 0 && set.count(Split::Train) > 0);
    }
    // A division by picture does not.
    let set = divided("kfold:5:2", people(90));
    let of = |person: &str| -> BTreeSet<Split> {
        let theirs = set.samples.iter().filter(|s| s.group.as_deref() == Some(person));
        theirs.map(|s| s.split).collect()
    };
    assert!((0..90).any(|i| of(&format!("p{i}")).len() > 1));
}

#[test]
fn leave_out_tests_on_exactly_one_person() {
    let set = divided("leave-out:p6", people(20));
    for s in &set.samples {
        assert_eq!(s.split == Split::Test, s.group.as_deref() == Some("p6"), "{s:?}");
    }
    // With two people, nobody is left for validation.
    assert_eq!(divided("leave-out:p0", people(2)).count(Split::Val), 0);
}

#[test]
fn impossible_divisions_are_refused() {
    let refused = |protocol: &str, set: &mut Dataset| {
        set.divide(&protocol.parse().unwrap()).unwrap_err().to_string()
    };
    let message = refused("leave-out:p99", &mut people(5));
    assert!(message.contains("p99") && message.contains("p0, p1, p2"), "{message}");
    assert!(refused("published:2", &mut people(5)).contains("when a dataset is loaded"));
    assert!(refused("subjects:5:1", &mut people(4)).contains("cannot divide 4"));
    let mut nobody = people(9);
    nobody.samples.iter_mut().for_each(|s| s.group = None);
    assert!(refused("subjects:5:1", &mut nobody).contains("does not identify people"));
    assert!(refused("leave-out:p1", &mut nobody).contains("does not identify people"));
    let out_of_range = Protocol::KFold { k: 3, fold: 4, subject_exclusive: false };
    assert!(matches!(people(9).divide(&out_of_range), Err(DataError::Protocol(_))));
}

/// Neither memory nor time may depend on a number of folds that is not checked
/// against the dataset.
#[test]
fn absurd_numbers_of_folds_are_refused_before_anything_is_allocated() {
    for protocol in ["kfold:99999999999:1", "subjects:18446744073709551615:1", "kfold:26:1"] {
        let error = people(6).divide(&protocol.parse().unwrap()).unwrap_err();
        assert!(matches!(error, DataError::TooFewForFolds { .. }), "{protocol}: {error}");
    }
    let samples = (0..50_000).map(|i| Sample::new(format!("{i}.jpg"), Split::Train)).collect();
    let mut set = Dataset::new("made-up", "/nowhere".as_ref(), samples);
    set.divide(&"kfold:50000:7".parse().unwrap()).unwrap();
    assert_eq!(set.count(Split::Test), 1);
}

proptest! {
    #[test]
    fn the_division_depends_neither_on_order_nor_on_picture_format(seed in any::<u64>(), turn in 0usize..40) {
        let random = format!("random:{seed}");
        for protocol in [random.as_str(), "kfold:4:2", "subjects:3:3", "leave-out:p4"] {
            let set = divided(protocol, people(12));
            let mut other = people(12);
            let n = other.samples.len();
            other.samples.rotate_left(turn % n);
            other.samples.reverse();
            for s in &mut other.samples {
                s.file = s.file.replace(".jpg", ".webp");
                s.split = Split::Val;
            }
            let other = divided(protocol, other);
            prop_assert_eq!(splits(&set), splits(&other));
        }
    }
}
