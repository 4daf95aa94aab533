//! The adapters for datasets that come as a table of labels and a folder
//! `images`: All-Age-Faces, FairFace and MEBeauty.

use std::path::Path;

use crate::csv::{Row, for_each_row};
use crate::rating::{AGE, ATTRACTIVENESS, Rating};
use crate::{DataError, Dataset, Format, Sample, Sex, Split};

/// All-Age-Faces (Cheng et al., 2019): Asian faces aged 2 to 80.
pub const ALL_AGE_FACES: Format = Format {
    name: "all-age-faces",
    about: "a table labels.csv of file,age,gender,split (gender 1 is female) beside images/",
    load: |root, labels| {
        table(root, labels, "all-age-faces", "labels.csv", &["file", "age"], all_age_faces)
    },
};

/// FairFace (Karkkainen and Joo, WACV 2021): ages are ranges.
pub const FAIRFACE: Format = Format {
    name: "fairface",
    about: "a table labels_val.csv of file,age,gender,race with ages as ranges beside images/",
    load: |root, labels| {
        table(root, labels, "fairface", "labels_val.csv", &["file", "age"], fairface)
    },
};

/// MEBeauty (Lebedeva, Guo, Ying, 2021): scores 1 to 10 with all their answers.
pub const MEBEAUTY: Format = Format {
    name: "mebeauty",
    about: "a table labels.csv of file,split,official_mean,n1..n10 beside images/SEX/RACE/",
    load: |root, labels| {
        let needed = ["file", "official_mean", "n1", "n10"];
        table(root, labels, "mebeauty", "labels.csv", &needed, mebeauty)
    },
};

/// Reads the table `labels` (by default `default` in `root`); `parse` makes a
/// sample of a row, with the file's name as the table has it.
fn table(
    root: &Path,
    labels: Option<&Path>,
    name: &str,
    default: &str,
    needed: &[&str],
    parse: fn(&Row) -> Result<Sample, String>,
) -> Result<Dataset, DataError> {
    let default = root.join(default);
    let (mut samples, mut problems) = (Vec::new(), Vec::new());
    for_each_row(labels.unwrap_or(&default), needed, &mut problems, |row| {
        let mut sample = parse(row)?;
        if let Some(split) = row.cell("split") {
            sample.split = split.parse()?;
        }
        sample.file = format!("images/{}", sample.file);
        samples.push(sample);
        Ok(())
    })?;
    Ok(Dataset { name: name.to_owned(), root: root.to_owned(), samples, problems })
}

fn number(row: &Row, column: &str) -> Result<f64, String> {
    let cell = row.needed(column)?;
    let value = cell.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| format!("`{cell}` is no {column}"))
}

fn all_age_faces(row: &Row) -> Result<Sample, String> {
    let file = row.needed("file")?;
    let age = Rating::value(number(row, "age")?);
    let sex = match row.cell("gender") {
        Some("0") => Some(Sex::Male),
        Some("1") => Some(Sex::Female),
        Some(other) => return Err(format!("`{other}` is no gender: 0 is male, 1 is female")),
        None => None,
    };
    Ok(Sample { sex, ..Sample::new(file, Split::of_key(file)).with(AGE, age) })
}

/// The publishers' validation part is nobody's to learn from: it is the test
/// split. Their open range is closed at 89 years.
fn fairface(row: &Row) -> Result<Sample, String> {
    let (file, cell) = (row.needed("file")?, row.needed("age")?);
    let years = |text: &str| text.parse::<u8>().ok().map(f64::from);
    let ends = match cell.to_ascii_lowercase().strip_prefix("more than ") {
        Some(low) => years(low).map(|low| [low, low.max(89.0)]),
        None => cell.split_once('-').and_then(|(a, b)| Some([years(a)?, years(b)?])),
    };
    let interval = ends.filter(|[a, b]| a <= b).ok_or_else(|| format!("`{cell}` is no range"))?;
    let sex = match row.cell("gender") {
        Some("Male") => Some(Sex::Male),
        Some("Female") => Some(Sex::Female),
        _ => None,
    };
    let split = if file.starts_with("train/") { Split::of_key(file) } else { Split::Test };
    let race = row.cell("race").map(str::to_owned);
    Ok(Sample { sex, race, ..Sample::new(file, split).with(AGE, Rating::Interval { interval }) })
}

fn mebeauty(row: &Row) -> Result<Sample, String> {
    let file = row.needed("file")?;
    let mean = number(row, "official_mean")?;
    let mut histogram = Vec::new();
    for score in 1..=10u8 {
        let count = number(row, &format!("n{score}"))?;
        if count > 0.0 {
            histogram.push([f64::from(score), count]);
        }
    }
    let rating = match histogram.is_empty() {
        true => Rating::value(mean),
        false => Rating::Histogram { mean, histogram },
    };
    let mut folders = file.split('/');
    let sex = match folders.next() {
        Some("female") => Some(Sex::Female),
        Some("male") => Some(Sex::Male),
        _ => None,
    };
    let race = sex.and(folders.next()).map(str::to_owned);
    Ok(Sample { sex, race, ..Sample::new(file, Split::of_key(file)).with(ATTRACTIVENESS, rating) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, table: &str, text: &str) -> Dataset {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(table), text).unwrap();
        crate::load(format, dir.path(), None).unwrap()
    }

    #[test]
    fn ranges_of_age_are_ranges() {
        let set = read(
            "fairface",
            "labels_val.csv",
            "file,age,gender,race\nval/1.webp,3-9,Male,East Asian\nval/2.webp,more than 70,,\n\
             val/3.webp,young,,\ntrain/4.webp,0-2,Female,White\n",
        );
        let ratings: Vec<&Rating> = set.samples.iter().filter_map(|s| s.rating(AGE)).collect();
        let range = |low, high| Rating::Interval { interval: [low, high] };
        assert_eq!(ratings, [&range(3.0, 9.0), &range(70.0, 89.0), &range(0.0, 2.0)]);
        assert_eq!((set.samples[0].split, set.samples[0].sex), (Split::Test, Some(Sex::Male)));
        assert_eq!(set.samples[0].file, "images/val/1.webp");
        assert!(set.problems[0].reason.contains("`young`"), "{:?}", set.problems);
    }

    #[test]
    fn answers_are_kept_with_the_published_mean() {
        let head = "file,split,official_mean,n_ratings,mean,std,n1,n2,n3,n4,n5,n6,n7,n8,n9,n10\n";
        let rows = "female/black/a.webp,train,3.79,3,4,1,1,0,2,0,0,0,0,0,0,0\n\
                    x.webp,test,5,0,,,0,0,0,0,0,0,0,0,0,0\n";
        let set = read("mebeauty", "labels.csv", &format!("{head}{rows}"));
        let answers = Rating::Histogram { mean: 3.79, histogram: vec![[1.0, 1.0], [3.0, 2.0]] };
        assert_eq!(set.samples[0].rating(ATTRACTIVENESS), Some(&answers));
        assert_eq!(set.samples[0].race.as_deref(), Some("black"));
        assert_eq!(set.samples[1].rating(ATTRACTIVENESS), Some(&Rating::value(5.0)));
        assert_eq!((set.samples[1].sex, set.samples[1].split), (None, Split::Test));
    }

    #[test]
    fn the_real_sets() {
        for (name, count, splits) in [
            ("all-age-faces", 11_720, None),
            ("fairface", 5000, Some([0, 0, 5000])),
            ("mebeauty", 2372, None),
        ] {
            let Some(data) = crate::shared_data(name) else { continue };
            let set = crate::load(name, &data, None).unwrap();
            assert_eq!((set.samples.len(), set.problems.len()), (count, 0), "{name}");
            let counts = Split::ALL.map(|s| set.count(s));
            assert!(splits.unwrap_or(counts) == counts && counts[2] > 0, "{name}: {counts:?}");
            for s in set.samples.iter().step_by(97) {
                assert!(data.join(&s.file).is_file() && s.labels.len() == 1, "{s:?}");
            }
        }
    }
}
