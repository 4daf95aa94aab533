//! Checks of synthetic folders with every kind of problem, and of real datasets.

use super::*;

fn jpeg(seed: u8) -> Vec<u8> {
    let rgb: Vec<u8> = (0..16 * 16 * 3).map(|i| (i as u8).wrapping_mul(seed)).collect();
    dldl_face::encode_jpeg(&rgb, 16, 16, 90, dldl_face::Chroma::Full).unwrap()
}

/// Checks a csv dataset with these rows `file,age,group,split` and pictures.
fn report_of(rows: &str, pictures: &[(&str, Vec<u8>)]) -> DatasetReport {
    let dir = tempfile::tempdir().unwrap();
    for (file, bytes) in pictures {
        std::fs::write(dir.path().join(file), bytes).unwrap();
    }
    std::fs::write(dir.path().join("labels.csv"), format!("file,age,group,split\n{rows}")).unwrap();
    let set = crate::load("csv", dir.path(), None).unwrap();
    check(&set, 2, &|_| {}).unwrap()
}

#[test]
fn a_valid_dataset_has_no_problems() {
    let found = report_of(
        "a.jpg,3,1,train\nb.jpg,4.9,1,train\nc.jpg,17,2,val\nd.jpg,20,,test\n",
        &[("a.jpg", jpeg(1)), ("b.jpg", jpeg(2)), ("c.jpg", jpeg(3)), ("d.jpg", jpeg(4))],
    );
    assert_eq!(found.problem_count(), 0, "{found:?}");
    assert_eq!(found.samples, PerSplit { train: 2, val: 1, test: 1 });
    assert_eq!((found.groups, found.identities), (2, 0));
    assert_eq!(found.sexes["unknown"], 4);
    let ages = &found.tasks[0];
    assert_eq!((ages.task, ages.single, ages.outside), (Task::Age, 4, 0));
    assert_eq!((ages.min, ages.max), (3.0, 20.0));
    assert!((ages.mean - 11.225).abs() < 1e-12);
    let bins: Vec<(f64, f64, usize)> =
        ages.bins.iter().map(|b| (b.from, b.to, b.samples.total())).collect();
    let expected =
        [(0.0, 5.0, 2), (5.0, 10.0, 0), (10.0, 15.0, 0), (15.0, 20.0, 1), (20.0, 25.0, 1)];
    assert_eq!(bins, expected);
}

#[test]
fn every_problem_is_found_and_counted_once() {
    let whole = jpeg(1);
    let found = report_of(
        "gone.jpg,30,,train\ncut.jpg,30,,train\nword.jpg,30,,train\nempty.jpg,30,,train\n\
         p.jpg,20,9,train\nq.jpg,21,9,test\nr.jpg,old,,train\ns.jpg,120,,train\n",
        &[
            ("cut.jpg", whole[..whole.len() - 20].to_vec()),
            ("word.jpg", b"no picture at all".to_vec()),
            ("empty.jpg", Vec::new()),
            ("p.jpg", jpeg(5)),
            ("q.jpg", jpeg(6)),
            ("s.jpg", jpeg(7)),
        ],
    );
    assert_eq!(found.missing, ["gone.jpg"]);
    let unreadable: Vec<&str> = found.unreadable.iter().map(|p| p.file.as_str()).collect();
    assert_eq!(unreadable, ["cut.jpg", "word.jpg", "empty.jpg"]);
    assert!(found.unreadable[0].reason.contains("truncated"), "{:?}", found.unreadable);
    let divided =
        DividedGroup { group: "9".into(), splits: PerSplit { train: 1, val: 0, test: 1 } };
    assert_eq!(found.divided, [divided]);
    assert_eq!((found.problems.len(), found.problem_count()), (1, 6));
    // An age outside of the label set is reported, but not a problem.
    assert_eq!(found.tasks[0].outside, 1);
}

#[test]
fn duplicates_are_judged_by_their_labels_and_splits() {
    let found = report_of(
        "a.jpg,30,,train\nb.jpg,30,,train\n\
         c.jpg,30,,train\nd.jpg,31,,train\n\
         e.jpg,30,,train\nf.jpg,30,,test\n\
         g.jpg,30,,train\ng.jpg,33,,train\nx.jpg,1,,train\n",
        &[
            ("a.jpg", jpeg(1)),
            ("b.jpg", jpeg(1)),
            ("c.jpg", jpeg(2)),
            ("d.jpg", jpeg(2)),
            ("e.jpg", jpeg(3)),
            ("f.jpg", jpeg(3)),
            ("g.jpg", jpeg(4)),
            ("x.jpg", jpeg(5)),
        ],
    );
    let seen: Vec<(Vec<&str>, bool, bool)> = found
        .duplicates
        .iter()
        .map(|d| (d.files.iter().map(String::as_str).collect(), d.contradicting, d.harmful()))
        .collect();
    let expected = [
        (vec!["a.jpg", "b.jpg"], false, false),
        (vec!["c.jpg", "d.jpg"], true, true),
        (vec!["e.jpg", "f.jpg"], false, true),
        (vec!["g.jpg", "g.jpg"], true, true),
    ];
    assert_eq!(seen, expected);
    assert_eq!(found.problem_count(), 3);
}

/// Numbers of labels are those of the published tables. The pictures are not read.
#[test]
fn the_real_labels_are_counted() {
    for (name, task, counts, kinds) in [
        ("fairface", Task::Age, 4998, [0, 0, 0, 4998]),
        ("all-age-faces", Task::Age, 11_538, [11_538, 0, 0, 0]),
        ("appa-real", Task::Age, 7591, [0, 7591, 0, 0]),
        ("london", Task::Attractiveness, 102, [0, 0, 102, 0]),
        ("scut-fbp5500", Task::Attractiveness, 5500, [5500, 0, 0, 0]),
    ] {
        let Some(data) = crate::shared_data(name) else { continue };
        let set = crate::load(name, &data, None).unwrap();
        let format = crate::format(name).unwrap();
        let tasks = labels::of(&set.samples, format.tasks);
        let found = tasks.iter().find(|t| t.task == task).unwrap();
        assert_eq!(found.samples.total(), counts, "{name}");
        let seen = [found.single, found.with_sigma, found.ratings, found.ranges];
        assert_eq!((seen, found.outside), (kinds, 0), "{name}");
        let binned: usize = found.bins.iter().map(|b| b.samples.total()).sum();
        assert_eq!(binned, counts, "{name}");
        // FairFace has nine ranges.
        assert!(name != "fairface" || found.bins.len() == 9, "{:?}", found.bins);
    }
}

#[test]
fn the_real_portraits_have_no_problems() {
    let Some(data) = crate::shared_data("london") else { return };
    let set = crate::load("london", &data, None).unwrap();
    let found = check(&set, 0, &|_| {}).unwrap();
    assert_eq!((found.problem_count(), found.groups), (0, 102), "{found:?}");
    assert_eq!((found.duplicates.len(), found.left_out.len()), (0, 12));
    assert_eq!((found.sexes["female"] + found.sexes["male"], found.races.len()), (202, 5));
}

/// The numbers in docs/datasets.md, confirmed by another program.
#[test]
fn the_real_duplicates_are_found() {
    for (name, pairs, with_test) in [("mebeauty", 38, 13), ("fairface", 0, 0)] {
        let Some(data) = crate::shared_data(name) else { continue };
        let set = crate::load(name, &data, None).unwrap();
        let found = check(&set, 0, &|_| {}).unwrap();
        assert_eq!((found.duplicates.len(), found.problem_count()), (pairs, pairs), "{name}");
        assert!(found.duplicates.iter().all(|d| d.contradicting && d.files.len() == 2));
        let across = found.duplicates.iter().filter(|d| d.splits.test > 0 && d.splits.divided());
        assert_eq!(across.count(), with_test, "{name}");
    }
}
