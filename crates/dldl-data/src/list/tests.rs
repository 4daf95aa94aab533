//! Lists in the formats of the two repositories, on generated folders.

use dldl_label::Task;

use super::*;
use crate::{Annotation, Protocol, Sample};

fn set(files: &[&str]) -> Dataset {
    let sample =
        |file: &&str| Sample::new(*file, Split::Train).with(Task::Age, Annotation::value(30.0));
    Dataset::new("made-up", "/nowhere".as_ref(), files.iter().map(sample).collect())
}

/// Divides a set by a list with this name and content; the protocol's part is `:2` or empty.
fn divided(set: Dataset, name: &str, list: &str, part: &str) -> Result<Dataset, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, list).unwrap();
    by(set, &format!("list:{}{part}", path.display()))
}

fn by(mut set: Dataset, protocol: &str) -> Result<Dataset, String> {
    let protocol: Protocol = protocol.parse().unwrap();
    set.divide(&protocol).map_err(|e| e.to_string())?;
    assert_eq!(set.protocol, protocol);
    Ok(set)
}

fn splits(set: &Dataset) -> Vec<(&str, Split)> {
    set.samples.iter().map(|s| (s.file.as_str(), s.split)).collect()
}

/// Entries as in AgeDB.json: 20 pictures in the folders 0 to 9, and one that is not used.
fn benchmark(folders: &[i64]) -> String {
    let entry = |(i, folder): (usize, &i64)| {
        format!(
            r#"{{"img_path": "AgeDB/AgeDB/{i}_Name_30_f.jpg", "age": 30, "database": "AgeDB", "folder": {folder}}}"#
        )
    };
    let entries: Vec<String> = folders.iter().enumerate().map(entry).collect();
    format!("[{}]", entries.join(","))
}

#[test]
fn the_five_splits_of_the_benchmark() {
    let folders: Vec<i64> = (0..20).map(|i| i % 10).chain([-1]).collect();
    let files: Vec<String> = (0..21).map(|i| format!("{i}_Name_30_f.png")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    // From the repository's README.
    for (part, val, test) in [
        (0, [6, 7], [8, 9]),
        (1, [8, 9], [0, 1]),
        (2, [0, 1], [2, 3]),
        (3, [1, 2], [3, 4]),
        (4, [2, 3], [4, 5]),
    ] {
        let part = format!(":{part}");
        let set = divided(set(&files), "AgeDB.json", &benchmark(&folders), &part).unwrap();
        assert_eq!(set.samples.len(), 20);
        for (i, (file, split)) in splits(&set).into_iter().enumerate() {
            let folder = i as i64 % 10;
            let expected = match () {
                () if val.contains(&folder) => Split::Val,
                () if test.contains(&folder) => Split::Test,
                () => Split::Train,
            };
            assert_eq!(split, expected, "{part}: {file}");
        }
        let unused = &set.left_out[0];
        assert_eq!(unused.file, "20_Name_30_f.png");
        assert!(unused.reason.starts_with("in no part of the list"), "{unused:?}");
    }
    for part in ["", ":5", ":x"] {
        let error = divided(set(&files), "AgeDB.json", &benchmark(&folders), part).unwrap_err();
        assert!(error.contains("has the splits 0 to 4"), "{error}");
    }
    // CLAP2016 and CACD2000 have three folders.
    let set = divided(set(&files[..3]), "CLAP2016.json", &benchmark(&[2, 0, 1]), "").unwrap();
    assert_eq!(splits(&set).map_splits(), [Split::Test, Split::Train, Split::Val]);
}

trait MapSplits {
    fn map_splits(self) -> Vec<Split>;
}

impl MapSplits for Vec<(&str, Split)> {
    fn map_splits(self) -> Vec<Split> {
        self.into_iter().map(|(_, split)| split).collect()
    }
}

const HEADER: &str =
    "id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo";

#[test]
fn tables_of_morph_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let row = |i: usize| format!("{i},0,06/13/1949,09/08/2003,W,M,,54,,,Album2/{i:06}_0M54.JPG\n");
    let rows = |numbers: std::ops::Range<usize>| -> String { numbers.map(row).collect() };
    write("s1_train.csv", &format!("{HEADER}\n{}", rows(0..40)));
    write("s1_test.csv", &format!("{HEADER}\n{}", rows(39..60)));
    // The same as text, which tables precede.
    write("S1.txt", "Album2/000000_0M54.JPG 54 0 0\r\n");
    write("S1_Test.txt", "Album2/000059_0M54.JPG 54 0 0\r\n");
    let files: Vec<String> = (0..59).map(|i| format!("pictures/{i:06}_0M54.webp")).collect();
    let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
    files.push("pictures/999999_0M54.webp");
    let protocol = format!("list:{}", dir.path().display());
    let divided = by(set(&files), &protocol).unwrap();
    assert_eq!(Split::ALL.map(|split| divided.count(split)), [35, 4, 20]);
    assert!(splits(&divided)[39..].iter().all(|(_, split)| *split == Split::Test));
    let reasons: Vec<&str> = divided.problems.iter().map(|p| p.reason.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert_eq!(reasons[0], "Album2/000059_0M54.JPG is not in made-up");
    assert!(divided.problems[0].file.ends_with("s1_test.csv, line 22"), "{:?}", divided.problems);
    assert!(reasons[1].starts_with("1 picture is in two parts, such as Album2/000039_0M54.JPG"));
    assert_eq!(divided.left_out[0].file, "pictures/999999_0M54.webp");
    let error = by(set(&files), &format!("{protocol}:1")).unwrap_err();
    assert!(error.contains("a folder of lists has no part `1`"), "{error}");
    for name in ["s1_train.csv", "s1_test.csv"] {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    let text = by(set(&["000059_0M54.jpg"]), &protocol).unwrap();
    assert_eq!(splits(&text), [("000059_0M54.jpg", Split::Test)]);
    write("other_test.txt", "a.jpg\n");
    let error = by(set(&files), &protocol).unwrap_err();
    assert!(error.contains("S1_Test.txt and") && error.contains("other_test.txt"), "{error}");
}

#[test]
fn tables_with_folds_or_splits_in_columns() {
    let table = "file;fold;split_a\n1.jpg;1;train\n2.jpg;1;test\n3.jpg;2;val\n4.jpg;3;holdout\n";
    let files = ["1.png", "2.png", "3.png", "4.png"];
    let fold = divided(set(&files), "l.csv", table, ":1").unwrap();
    assert_eq!(splits(&fold)[..2].to_vec().map_splits(), [Split::Test; 2]);
    assert!(splits(&fold)[2..].iter().all(|(_, split)| *split != Split::Test));
    let column = divided(set(&files), "l.csv", table, ":split_a").unwrap();
    assert_eq!(
        splits(&column),
        [("1.png", Split::Train), ("2.png", Split::Test), ("3.png", Split::Val)]
    );
    assert!(column.problems[0].file.ends_with("line 5"), "{:?}", column.problems);
    assert!(column.problems[0].reason.contains("unknown split `holdout`"));
    for (part, expected) in [("", "one of 1, 2, 3"), (":9", "one of 1, 2, 3")] {
        let error = divided(set(&files), "l.csv", table, part).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let splits_only = "file,split\n1.jpg,train\n";
    let error = divided(set(&files), "l.csv", splits_only, ":1").unwrap_err();
    assert!(error.contains("`split` has splits, not folds"), "{error}");
}

#[test]
fn unusable_lists_are_refused_with_the_reason() {
    let files = ["1.png"];
    for (name, text, part) in [
        ("l.csv", "file,age\n1.jpg,3\n", "no column `split` or `fold` or `folder`"),
        ("l.csv", "file,split\nother.jpg,test\n", "none of its pictures, such as other.jpg"),
        ("l.json", "{}", "not a JSON array of objects"),
        ("l.json", "[]", "the list is empty"),
        ("l.json", r#"[{"a": 1}]"#, "lacks a picture"),
        ("l.json", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ] {
        let error = divided(set(&files), name, text, "").unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    let error = by(set(&files), "list:/nowhere/l.csv").unwrap_err();
    assert!(error.contains("/nowhere/l.csv"), "{error}");
}
