//! What is promised of every protocol, on made-up datasets.

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
    protocol.parse::<Protocol>().unwrap().apply(&mut set).unwrap();
    set
}

fn splits(set: &Dataset) -> BTreeMap<&str, Split> {
    set.samples.iter().map(|s| (picture(s), s.split)).collect()
}

#[test]
fn text_comes_back() {
    for text in [
        "published",
        "published:3",
        "random:18446744073709551615",
        "kfold:10:10",
        "subjects:5:1",
        "leave-out:001",
        "leave-out:a:b",
    ] {
        let protocol: Protocol = text.parse().unwrap();
        assert_eq!(protocol.to_string(), text);
        let json = serde_json::to_string(&protocol).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Protocol>(&json).unwrap(), protocol);
    }
    for (text, part) in [
        ("", "no protocol"),
        ("official", "no protocol"),
        ("random", "no protocol"),
        ("random:x", "no protocol"),
        ("kfold:5", "no protocol"),
        ("published:", "no protocol"),
        ("leave-out:", "no protocol"),
        ("published:0", "count from 1"),
        ("kfold:1:1", "2 folds or more"),
        ("subjects:5:0", "1 to 5"),
        ("subjects:5:6", "1 to 5"),
    ] {
        let reason = text.parse::<Protocol>().unwrap_err();
        assert!(reason.contains(part), "{text}: {reason}");
    }
}

#[test]
fn four_fifths_exactly_and_another_seed_is_another_division() {
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
fn folds_are_a_partition_of_even_size() {
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
fn nobody_is_on_both_sides_of_a_subject_exclusive_division() {
    for protocol in ["subjects:5:2", "leave-out:p6"] {
        let set = divided(protocol, people(90));
        let mut where_is: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
        for s in &set.samples {
            where_is.entry(s.group.as_deref().unwrap()).or_default().insert(s.split);
        }
        assert!(where_is.values().all(|splits| splits.len() == 1), "{protocol}");
        assert!(set.count(Split::Val) > 0 && set.count(Split::Train) > 0);
    }
    // By picture they are: that is what the protocol means.
    let set = divided("kfold:5:2", people(90));
    let of = |person: &str| -> BTreeSet<Split> {
        let theirs = set.samples.iter().filter(|s| s.group.as_deref() == Some(person));
        theirs.map(|s| s.split).collect()
    };
    assert!((0..90).any(|i| of(&format!("p{i}")).len() > 1));
}

#[test]
fn one_person_is_left_out() {
    let set = divided("leave-out:p6", people(20));
    for s in &set.samples {
        assert_eq!(s.split == Split::Test, s.group.as_deref() == Some("p6"), "{s:?}");
    }
    // Of two people there is nobody left to choose by.
    assert_eq!(divided("leave-out:p0", people(2)).count(Split::Val), 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |protocol: &str, set: &mut Dataset| {
        protocol.parse::<Protocol>().unwrap().apply(set).unwrap_err().to_string()
    };
    let message = refused("leave-out:p99", &mut people(5));
    assert!(message.contains("p99") && message.contains("but p0, p1, p2"), "{message}");
    assert!(refused("published:2", &mut people(5)).contains("when it is read"));
    assert!(refused("subjects:5:1", &mut people(4)).contains("4 cannot be divided into 5"));
    let mut nobody = people(9);
    nobody.samples.iter_mut().for_each(|s| s.group = None);
    assert!(refused("subjects:5:1", &mut nobody).contains("does not say who"));
    assert!(refused("leave-out:p1", &mut nobody).contains("does not say who"));
    let out_of_range = Protocol::KFold { k: 3, fold: 4, subject_exclusive: false };
    assert!(out_of_range.apply(&mut people(9)).unwrap_err().to_string().contains("1 to 3"));
}

proptest! {
    #[test]
    fn neither_order_nor_picture_format_matters(seed in any::<u64>(), turn in 0usize..40) {
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
