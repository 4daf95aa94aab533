//! Adience (Eidinger, Enbar, Hassner, 2014): photographs of Flickr's users with ranges of
//! ages, in five folds that keep users apart.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::{LabelInfo, age};
use crate::table::{Row, for_each_row};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split, values};

const TASKS: &[LabelInfo] =
    &[age("a range: 0-2, 4-6, 8-12, 15-20, 25-32, 38-43, 48-53, 60-100; some single values")];
const CITATION: &str = "Eidinger, Enbar, Hassner: Age and gender estimation of unfiltered faces, \
                        IEEE Transactions on Information Forensics and Security 9(12), 2014";
const TERMS: &str = "non-commercial research";

/// All five folds; the first is tested on.
pub const FORMAT: Format = Format {
    name: "adience",
    about: "fold_{0..4}_data.txt next to faces/USER/coarse_tilt_aligned_face.ID.NAME or \
            aligned/USER/landmark_aligned_face.ID.NAME; the first fold is the test part",
    tasks: TASKS,
    splits: "five published folds that keep users apart; a tenth of the users of the others is val",
    folds: &NAMES,
    citation: CITATION,
    terms: TERMS,
    load: |root, labels| load(root, labels, FORMAT.name, 0),
};

const NAMES: [&str; 5] = ["adience-1", "adience-2", "adience-3", "adience-4", "adience-5"];

/// The five published folds.
pub const FOLDS: [Format; 5] = [fold::<0>(), fold::<1>(), fold::<2>(), fold::<3>(), fold::<4>()];

const fn fold<const N: usize>() -> Format {
    const ABOUT: [&str; 5] = [
        "the same, tested on the first of the five published folds",
        "tested on the second fold",
        "tested on the third fold",
        "tested on the fourth fold",
        "tested on the fifth fold",
    ];
    Format {
        name: NAMES[N],
        about: ABOUT[N],
        tasks: TASKS,
        splits: "a published fold; a tenth of the users of the others is val",
        folds: &[],
        citation: CITATION,
        terms: TERMS,
        load: |root, labels| load(root, labels, NAMES[N], N),
    }
}

/// Reads the five tables in `labels`, by default in `root`. Pictures without an age are
/// left out.
///
/// # Errors
/// A table cannot be read, or lacks a column.
fn load(root: &Path, labels: Option<&Path>, name: &str, test: usize) -> Result<Dataset, DataError> {
    let tables = labels.unwrap_or(root);
    let mut set = Dataset::new(name, root, Vec::new());
    let required = ["user_id", "original_image", "face_id", "age"];
    for fold in 0..5 {
        let table = tables.join(format!("fold_{fold}_data.txt"));
        let Dataset { samples, problems, left_out, .. } = &mut set;
        for_each_row(&table, &required, problems, |row| {
            let (file, user) = (file(root, row)?, row.required("user_id")?);
            let Some(annotation) = annotation(row.required("age")?)? else {
                left_out.push(Problem { file, reason: "no age".to_owned() });
                return Ok(());
            };
            let split = if fold == test { Split::Test } else { Split::of_train_key(user) };
            let sex = match row.cell("gender") {
                Some("m") => Some(Sex::Male),
                Some("f") => Some(Sex::Female),
                _ => None,
            };
            let group = Some(user.to_owned());
            let sample = Sample::new(file, split).with(Task::Age, annotation);
            samples.push(Sample { sex, group, ..sample });
            Ok(())
        })?;
    }
    Ok(set)
}

/// The aligned picture, if it is there, else the one aligned by its tilt alone.
fn file(root: &Path, row: &Row) -> Result<String, String> {
    let (user, name) = (row.required("user_id")?, row.required("original_image")?);
    let id = row.required("face_id")?;
    let aligned = format!("aligned/{user}/landmark_aligned_face.{id}.{name}");
    if root.join(&aligned).is_file() {
        return Ok(aligned);
    }
    Ok(format!("faces/{user}/coarse_tilt_aligned_face.{id}.{name}"))
}

/// `(25, 32)`, a single age, or `None`.
fn annotation(cell: &str) -> Result<Option<Annotation>, String> {
    if cell == "None" {
        return Ok(None);
    }
    let Some(range) = cell.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return values::age(cell).map(Annotation::value).map(Some);
    };
    let invalid = || format!("invalid age `{cell}`: expected a number or a range like (25, 32)");
    let (low, high) = range.split_once(',').ok_or_else(invalid)?;
    let (low, high) = (values::age(low.trim())?, values::age(high.trim())?);
    match low <= high {
        // The last group, (60, 100), is that of 60 years and more.
        true if high == 100.0 => Ok(Some(Annotation::Interval { interval: [low, f64::INFINITY] })),
        true => Ok(Some(Annotation::Interval { interval: [low, high] })),
        false => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_folds_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let head = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\n";
        for fold in 0..5 {
            let rows = format!(
                "u{fold}@N06\ta_o.jpg\t{fold}\t(25, 32)\tf\t1\t2\n\
                 u{fold}@N06\tb_o.jpg\t9\tNone\t\t1\t2\nu{fold}@N06\tc_o.jpg\t9\t35\tu\t1\t2\n"
            );
            let path = dir.path().join(format!("fold_{fold}_data.txt"));
            std::fs::write(path, format!("{head}{rows}")).unwrap();
        }
        let aligned = dir.path().join("aligned/u2@N06");
        std::fs::create_dir_all(&aligned).unwrap();
        std::fs::write(aligned.join("landmark_aligned_face.2.a_o.jpg"), b"").unwrap();
        let set = crate::load("adience-3", dir.path(), None).unwrap();
        assert_eq!((set.samples.len(), set.left_out.len(), set.problems.len()), (10, 5, 0));
        let first = &set.samples[0];
        assert_eq!(first.file, "faces/u0@N06/coarse_tilt_aligned_face.0.a_o.jpg");
        let range = Annotation::Interval { interval: [25.0, 32.0] };
        assert_eq!((first.annotation(Task::Age), first.sex), (Some(&range), Some(Sex::Female)));
        assert_eq!(set.samples[1].annotation(Task::Age), Some(&Annotation::value(35.0)));
        let test: Vec<&str> = (set.samples.iter().filter(|s| s.split == Split::Test))
            .map(|s| s.file.as_str())
            .collect();
        assert_eq!(
            test,
            [
                "aligned/u2@N06/landmark_aligned_face.2.a_o.jpg",
                "faces/u2@N06/coarse_tilt_aligned_face.9.c_o.jpg"
            ]
        );
        let same = crate::load_with("adience", dir.path(), None, &"published:3".parse().unwrap());
        assert_eq!(same.unwrap().samples, set.samples);
        assert!(annotation("(9, 3)").is_err() && annotation("young").is_err());
    }
}
