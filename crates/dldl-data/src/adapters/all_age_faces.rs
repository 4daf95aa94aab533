//! All-Age-Faces (Cheng et al., 2019): Asian faces aged 2 to 80, one picture per
//! person, with file names like `00000A02.jpg` (person 0, 2 years).

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::{Index, stem};
use crate::format::{SINGLE_AGE, age};
use crate::table::{Row, for_each_line, for_each_row};
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

/// The published folders, or a table with splits next to `images/`.
pub const FORMAT: Format = Format {
    name: "all-age-faces",
    about: "`image sets/{train,val}.txt` and pictures 00000A02.jpg as published, or a table \
            labels.csv of file,age,gender,group,split (gender 1 is female) next to images/",
    tasks: &[age(SINGLE_AGE)],
    splits: "labels.csv; otherwise the published val is test, and a tenth of train is val",
    folds: &[],
    citation: "Cheng, Li, Wang, Yu, Wang: Exploiting effective facial patches for robust gender \
               recognition, Tsinghua Science and Technology 24(3), 2019",
    terms: "non-commercial research",
    load,
};

/// Pictures with numbers below this one show women.
const WOMEN: u32 = 7381;

/// Reads `labels` or `labels.csv` in `root`. Without either, reads the published lists
/// in `image sets`: age and sex are in the file names (numbers up to 7380 are women).
/// Pictures are looked up in `original images` first, then anywhere.
///
/// # Errors
/// The table or the lists cannot be read.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let default = root.join("labels.csv");
    let lists = root.join("image sets");
    if labels.is_some() || default.is_file() || !lists.is_dir() {
        let samples = &mut set.samples;
        let table = labels.unwrap_or(&default);
        for_each_row(table, &["file", "age"], &mut set.problems, |row| {
            samples.push(sample(row)?);
            Ok(())
        })?;
        return Ok(set);
    }
    let index = Index::new(root)?;
    for (list, split) in [("train.txt", Split::Train), ("val.txt", Split::Test)] {
        for_each_line(&lists.join(list), &mut set.problems, |line| {
            set.samples.push(listed(&index, line, split)?);
            Ok(())
        })?;
    }
    Ok(set)
}

fn sample(row: &Row) -> Result<Sample, String> {
    let file = row.required("file")?;
    let file = file.strip_prefix("images/").unwrap_or(file);
    let age = Annotation::value(values::age(row.required("age")?)?);
    let sex = match row.cell("gender") {
        Some("0") => Some(Sex::Male),
        Some("1") => Some(Sex::Female),
        Some(other) => {
            return Err(format!("invalid gender `{other}`: expected 0 (male) or 1 (female)"));
        }
        None => None,
    };
    let group = row.cell("group").map(str::to_owned);
    let split = row.split()?.unwrap_or_else(|| Split::of_key(group.as_deref().unwrap_or(file)));
    let sample = Sample::new(format!("images/{file}"), split).with(Task::Age, age);
    Ok(Sample { sex, group, ..sample })
}

/// One line of a published list: a file name and a gender, which the name implies.
fn listed(index: &Index, line: &str, split: Split) -> Result<Sample, String> {
    let name = line.split_whitespace().next().unwrap_or_default();
    let wrong = || format!("invalid name `{name}`: expected one like 00000A02.jpg");
    let stem = stem(name);
    let (number, years) = stem.split_once('A').ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let years = values::whole_age(years)?;
    let sex = if number < WOMEN { Sex::Female } else { Sex::Male };
    let file = match index.find(name, "original") {
        Some(file) => file.to_owned(),
        None => format!("original images/{name}"),
    };
    let split = if split == Split::Train { Split::of_train_key(stem) } else { split };
    let age = Annotation::value(years);
    Ok(Sample { sex: Some(sex), ..Sample::new(file, split).with(Task::Age, age) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_folders_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["image sets", "original images", "aligned faces"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let train = "00000A02.jpg 0\n07381A80.jpg 1\nportrait.jpg 0\n";
        std::fs::write(dir.path().join("image sets/train.txt"), train).unwrap();
        std::fs::write(dir.path().join("image sets/val.txt"), "07380A33.jpg 0\n").unwrap();
        for file in ["original images/00000A02.jpg", "aligned faces/00000A02.jpg"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        let set = crate::load("all-age-faces", dir.path(), None).unwrap();
        let seen: Vec<(&str, f64, Option<Sex>)> = set
            .samples
            .iter()
            .map(|s| (s.file.as_str(), s.annotation(Task::Age).unwrap().mean(), s.sex))
            .collect();
        let expected = [
            ("original images/00000A02.jpg", 2.0, Some(Sex::Female)),
            ("original images/07381A80.jpg", 80.0, Some(Sex::Male)),
            ("original images/07380A33.jpg", 33.0, Some(Sex::Female)),
        ];
        assert_eq!(seen, expected);
        assert_eq!(set.samples[2].split, Split::Test);
        assert!(set.samples[..2].iter().all(|s| s.split != Split::Test));
        assert!(set.problems[0].file.ends_with("train.txt, line 3"), "{:?}", set.problems);
    }

    #[test]
    fn the_real_set_is_read() {
        let Some(data) = crate::shared_data("all-age-faces") else { return };
        let set = crate::load("all-age-faces", &data, None).unwrap();
        let index = Index::new(&data).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (11_538, 0));
        assert_eq!(Split::ALL.map(|s| set.count(s)), [10_258, 645, 635]);
        let groups: std::collections::BTreeSet<_> = set.samples.iter().map(|s| &s.group).collect();
        assert_eq!((groups.len(), groups.contains(&None)), (11_448, false));
        for s in set.samples.iter().step_by(97) {
            assert!(data.join(&s.file).is_file() && s.labels.len() == 1, "{s:?}");
            // The table agrees with the published file names.
            let name = s.file.trim_start_matches("images/");
            let named = listed(&index, name, s.split).unwrap();
            assert_eq!((&named.file, &named.labels, named.sex), (&s.file, &s.labels, s.sex));
        }
    }
}
