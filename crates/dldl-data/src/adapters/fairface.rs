//! FairFace (Karkkainen and Joo, WACV 2021), with ages as ranges.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::age;
use crate::table::{Row, for_each_row};
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

/// The published tables, or that of the validation part next to `images/`.
pub const FORMAT: Format = Format {
    name: "fairface",
    about: "fairface_label_{train,val}.csv next to train/ and val/ as published, or labels_val.csv \
            next to images/; ages are ranges",
    tasks: &[age("the range: 0-2, 3-9, 10-19, ..., 70 and more")],
    splits: "the published val is test, unless a column `split` divides it; a tenth of the published train is val",
    folds: &[],
    citation: "Karkkainen, Joo: FairFace: Face attribute dataset for balanced race, gender, and \
               age, WACV 2021",
    terms: "CC BY 4.0",
    load,
};

/// Reads `labels`, or else `fairface_label_train.csv` and `fairface_label_val.csv` in
/// `root`, or else `labels_val.csv`. The pictures are in `images/` if it exists, else in
/// `root`.
///
/// # Errors
/// A table cannot be read, or there is none.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let published = ["fairface_label_train.csv", "fairface_label_val.csv"].map(|t| root.join(t));
    let mut tables: Vec<&Path> = Vec::new();
    let default = root.join("labels_val.csv");
    match labels {
        Some(table) => tables.push(table),
        None => tables.extend(published.iter().filter(|t| t.is_file()).map(|t| t.as_path())),
    }
    if tables.is_empty() {
        tables.push(&default);
    }
    let inner = if root.join("images").is_dir() { "images/" } else { "" };
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    for table in tables {
        let samples = &mut set.samples;
        for_each_row(table, &["file", "age"], &mut set.problems, |row| {
            let mut sample = sample(row)?;
            sample.file = format!("{inner}{}", sample.file);
            samples.push(sample);
            Ok(())
        })?;
    }
    Ok(set)
}

/// The published validation part is the test split.
fn sample(row: &Row) -> Result<Sample, String> {
    let (file, cell) = (row.required("file")?, row.required("age")?);
    let years = |text: &str| values::whole_age(text).ok();
    let ends = match cell.to_ascii_lowercase().strip_prefix("more than ") {
        Some(low) => years(low).map(|low| [low, f64::INFINITY]),
        None => cell.split_once('-').and_then(|(a, b)| Some([years(a)?, years(b)?])),
    };
    let interval = ends
        .filter(|[a, b]| a <= b)
        .ok_or_else(|| format!("invalid age range `{cell}`: expected one like 20-29"))?;
    let sex = match row.cell("gender") {
        Some("Male") => Some(Sex::Male),
        Some("Female") => Some(Sex::Female),
        _ => None,
    };
    let split = if file.starts_with("train/") { Split::of_train_key(file) } else { Split::Test };
    let split = row.split()?.unwrap_or(split);
    let race = row.cell("race").map(str::to_owned);
    Ok(Sample {
        sex,
        race,
        ..Sample::new(file, split).with(Task::Age, Annotation::Interval { interval })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::LabelSet;

    #[test]
    fn age_ranges_become_intervals() {
        let dir = tempfile::tempdir().unwrap();
        let table = "file,age,gender,race\nval/1.webp,3-9,Male,East Asian\n\
            val/2.webp,more than 70,,\nval/3.webp,young,,\ntrain/4.webp,0-2,Female,White\n";
        std::fs::write(dir.path().join("labels_val.csv"), table).unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        let set = crate::load("fairface", dir.path(), None).unwrap();
        let ages: Vec<&Annotation> =
            set.samples.iter().filter_map(|s| s.annotation(Task::Age)).collect();
        let range = |low, high| Annotation::Interval { interval: [low, high] };
        assert_eq!(ages, [&range(3.0, 9.0), &range(70.0, f64::INFINITY), &range(0.0, 2.0)]);
        assert_eq!((set.samples[0].split, set.samples[0].sex), (Split::Test, Some(Sex::Male)));
        assert_eq!(set.samples[0].file, "images/val/1.webp");
        assert!(set.problems[0].reason.contains("`young`"), "{:?}", set.problems);
    }

    #[test]
    fn the_published_tables_are_read_and_only_val_is_tested_on() {
        let dir = tempfile::tempdir().unwrap();
        let head = "file,age,gender,race,service_test\n";
        let train: String =
            (0..200).map(|i| format!("train/{i}.jpg,20-29,Male,Indian,False\n")).collect();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), format!("{head}{text}")).unwrap();
        };
        write("fairface_label_train.csv", &train);
        write("fairface_label_val.csv", "val/1.jpg,60-69,Female,Black,True\n");
        let set = crate::load("fairface", dir.path(), None).unwrap();
        assert_eq!(set.samples[200].file, "val/1.jpg");
        assert_eq!((set.count(Split::Test), set.samples.len()), (1, 201));
        assert!((8..40).contains(&set.count(Split::Val)), "{}", set.count(Split::Val));
    }

    #[test]
    fn real_ranges_become_uniform_distributions() {
        let Some(data) = crate::shared_data("fairface") else { return };
        let set = crate::load("fairface", &data, None).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (4998, 0));
        assert_eq!(Split::ALL.map(|s| set.count(s)), [0, 2515, 2483]);
        let labels = LabelSet::age();
        for s in set.samples.iter().step_by(97) {
            assert!(data.join(&s.file).is_file() && s.labels.len() == 1, "{s:?}");
            let made = s.annotation(Task::Age).unwrap();
            let [low, high] = made.closed_range().unwrap();
            let made = made.distribution(&labels, crate::Spread::Given, 2.0, 0.0).unwrap();
            for (year, p) in labels.values().into_iter().zip(made.probabilities()) {
                let expected =
                    if (low..=high).contains(&year) { 1.0 / (high - low + 1.0) } else { 0.0 };
                assert!((p - expected).abs() < 1e-12, "{year} of {low}-{high}: {p}");
            }
        }
    }
}
