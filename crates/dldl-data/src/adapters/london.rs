//! The adapter for the Face Research Lab London Set (DeBruine and Jones, 2017):
//! 102 people, neutral and smiling, whose neutral pictures 2,513 people rated 1
//! to 7.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use dldl_label::Task;

use crate::adapters::csv::{Row, for_each_row};
use crate::annotation::Annotation;
use crate::files::{Index, sorted_pictures};
use crate::format::{ONE_AGE, age, attractiveness};
use crate::sheet;
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split};

/// One table of people and their ratings, or the publishers' two.
pub const FORMAT: Format = Format {
    name: "london",
    about: "labels.csv of file,identity,age,sex,ethnicity,mean,n1..n7 beside images/, or \
            london_faces_info.csv and london_faces_ratings.csv beside neutral_front/ and \
            smiling_front/ as published",
    tasks: &[
        attractiveness(7.0, "the raters' answers, of the neutral pictures", 1.0),
        age(ONE_AGE),
    ],
    splits: "none published; 80/10/10 by a hash of the person",
    folds: &[],
    citation: "DeBruine, Jones: Face Research Lab London Set, figshare, 2017, doi \
               10.6084/m9.figshare.5047666",
    terms: "CC BY 4.0",
    load,
};

const INFO: &str = "london_faces_info.csv";
const RATINGS: &str = "london_faces_ratings.csv";

/// Reads `labels` or `labels.csv` in `root`, or, where there is none, the
/// publishers' tables. A picture of which neither an age nor ratings are known is
/// left out, and so is what is in no table: the composites, which are faces of
/// nobody.
///
/// # Errors
/// A table cannot be read.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let default = root.join("labels.csv");
    if labels.is_some() || default.is_file() || !root.join(INFO).is_file() {
        let Dataset { samples, problems, left_out, .. } = &mut set;
        let needed = ["file", "identity"];
        for_each_row(labels.unwrap_or(&default), &needed, problems, |row| {
            add(sample(row)?, samples, left_out);
            Ok(())
        })?;
    } else {
        published(root, &mut set)?;
    }
    let known: std::collections::HashSet<&str> = set
        .samples
        .iter()
        .map(|s| s.file.as_str())
        .chain(set.left_out.iter().map(|p| p.file.as_str()))
        .collect();
    let mut others = sorted_pictures(root)?;
    others.retain(|file| !known.contains(file.as_str()));
    set.left_out.extend(others.into_iter().map(|file| {
        let reason = match file.split('/').any(|folder| folder == "composite") {
            true => "a composite of many faces is nobody's",
            false => "in no table of labels",
        };
        Problem { file, reason: reason.to_owned() }
    }));
    Ok(set)
}

fn add(sample: Sample, samples: &mut Vec<Sample>, left_out: &mut Vec<Problem>) {
    if sample.labels.is_empty() {
        let reason = "neither an age nor ratings are known".to_owned();
        left_out.push(Problem { file: sample.file, reason });
    } else {
        samples.push(sample);
    }
}

/// A picture of a person, with what is known of the person.
fn portrait(
    file: String,
    person: &str,
    [years, sex, ethnicity]: [Option<&str>; 3],
) -> Result<Sample, String> {
    let sex = match sex {
        Some("female") => Some(Sex::Female),
        Some("male") => Some(Sex::Male),
        Some(other) => return Err(format!("`{other}` is no sex: female or male")),
        None => None,
    };
    let group = Some(person.to_owned());
    let race = ethnicity.map(str::to_owned);
    let sample = Sample { sex, race, group, ..Sample::new(file, Split::of_key(person)) };
    Ok(match years {
        Some(years) => sample.with(Task::Age, Annotation::value(sheet::number(years, "age")?)),
        None => sample,
    })
}

fn sample(row: &Row) -> Result<Sample, String> {
    let (file, person) = (row.needed("file")?, row.needed("identity")?);
    let known = ["age", "sex", "ethnicity"].map(|column| row.cell(column));
    let mut sample = portrait(format!("images/{file}"), person, known)?;
    if row.cell("mean").is_some() {
        let mut histogram = Vec::new();
        for score in 1..=7u8 {
            let count = row.number(&format!("n{score}"))?;
            if count > 0.0 {
                histogram.push([f64::from(score), count]);
            }
        }
        let mean = row.number("mean")?;
        if histogram.is_empty() {
            return Err("a mean of no ratings".to_owned());
        }
        sample = sample.with(Task::Attractiveness, Annotation::Histogram { mean, histogram });
    }
    if let Some(split) = row.cell("split") {
        sample.split = split.parse()?;
    }
    Ok(sample)
}

/// The publishers' tables: a line per person, and a line per rater with a column
/// per person. Pictures of person X001 are `001_03` (neutral) and `001_08`.
fn published(root: &Path, set: &mut Dataset) -> Result<(), DataError> {
    let index = Index::below(root)?;
    let answers = answers(&root.join(RATINGS))?;
    let Dataset { samples, problems, left_out, .. } = set;
    for_each_row(&root.join(INFO), &["face_id", "face_age"], problems, |row| {
        let id = row.needed("face_id")?;
        let person = id.trim_start_matches('X');
        let known = ["face_age", "face_sex", "face_eth"].map(|column| row.cell(column));
        let mut of = |folder: &str, number: &str, neutral: bool| -> Result<(), String> {
            let name = format!("{person}_{number}.jpg");
            let file =
                index.find(&name, folder).map_or_else(|| format!("{folder}/{name}"), str::to_owned);
            let mut sample = portrait(file, person, known)?;
            if let Some(counts) = answers.get(id).filter(|_| neutral) {
                let histogram: Vec<[f64; 2]> =
                    counts.iter().map(|(&score, &n)| [f64::from(score), f64::from(n)]).collect();
                let count: f64 = histogram.iter().map(|[_, n]| n).sum();
                let mean = histogram.iter().map(|[v, n]| v * n).sum::<f64>() / count;
                sample =
                    sample.with(Task::Attractiveness, Annotation::Histogram { mean, histogram });
            }
            add(sample, samples, left_out);
            Ok(())
        };
        of("neutral_front", "03", true)?;
        of("smiling_front", "08", false)
    })
}

/// How often each score was given, by the person's column. What is no score 1 to
/// 7 is no answer.
fn answers(path: &Path) -> Result<HashMap<String, BTreeMap<u8, u32>>, DataError> {
    let mut answers: HashMap<String, BTreeMap<u8, u32>> = HashMap::new();
    for sheet in sheet::read(path)? {
        let Some((header, raters)) = sheet.rows.split_first() else { continue };
        for rater in raters {
            for (column, cell) in header.iter().zip(rater) {
                let person = column.starts_with('X');
                if let Ok(score @ 1..=7) = cell.parse::<u8>()
                    && person
                {
                    *answers.entry(column.clone()).or_default().entry(score).or_default() += 1;
                }
            }
        }
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spread;
    use dldl_label::LabelSet;

    #[test]
    fn the_published_tables_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(INFO, "face_id,face_age,face_sex,face_eth\nX001,24,female,white\nX031,,male,black\n");
        write(
            RATINGS,
            "rater_sex,rater_sexpref,rater_age,X001,X031\nmale,women,22,3,1\nfemale,men,40,5,2\n\
             male,men,31,3,NA\n",
        );
        for file in
            ["neutral_front/001_03.jpg", "smiling_front/001_08.jpg", "composite/f_multi.jpg"]
        {
            write(file, "");
        }
        let set = crate::load("london", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        let expected =
            ["neutral_front/001_03.jpg", "smiling_front/001_08.jpg", "neutral_front/031_03.jpg"];
        assert_eq!(files, expected);
        let mean = 11.0 / 3.0;
        let answers = Annotation::Histogram { mean, histogram: vec![[3.0, 2.0], [5.0, 1.0]] };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&answers));
        assert_eq!(set.samples[1].labels.len(), 1);
        assert_eq!(set.samples[1].annotation(Task::Age), Some(&Annotation::value(24.0)));
        assert_eq!(set.samples[0].split, set.samples[1].split);
        assert_eq!(
            (set.samples[2].sex, set.samples[2].annotation(Task::Age)),
            (Some(Sex::Male), None)
        );
        let left: Vec<&str> = set.left_out.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(left.len(), 2);
        assert!(left[0].contains("neither") && left[1].contains("nobody"), "{left:?}");
    }

    #[test]
    fn the_real_answers_are_distributions_with_the_published_mean_and_spread() {
        let Some(data) = crate::shared_data("london") else { return };
        let set = crate::load("london", &data, None).unwrap();
        assert_eq!(set.problems, []);
        // Two of the 102 people have no age: their smiling pictures have no label.
        assert_eq!((set.samples.len(), set.left_out.len()), (202, 12));
        let composites = set.left_out.iter().filter(|p| p.reason.contains("composite"));
        assert_eq!(composites.count(), 10);
        assert!(set.samples.iter().all(|s| data.join(&s.file).is_file()));
        let people: std::collections::HashSet<&str> =
            set.samples.iter().filter_map(|s| s.group.as_deref()).collect();
        assert_eq!(people.len(), 102);
        // The table's own mean and standard deviation, of 2,513 ratings each.
        let mut published = HashMap::new();
        for_each_row(&data.join("labels.csv"), &["mean", "std"], &mut Vec::new(), |row| {
            if row.cell("mean").is_some() {
                let file = format!("images/{}", row.needed("file")?);
                published.insert(file, (row.number("mean")?, row.number("std")?));
            }
            Ok(())
        })
        .unwrap();
        let labels = LabelSet::attractiveness_7();
        let mut rated = 0;
        for s in &set.samples {
            let Some(rating) = s.annotation(Task::Attractiveness) else { continue };
            let (mean, std) = published[&s.file];
            let made = rating.distribution(&labels, Spread::Given, 1.0, 0.0).unwrap();
            assert!((made.expectation() - mean).abs() < 1e-4, "{s:?}");
            assert!((made.std() - std).abs() < 1e-3, "{s:?}");
            rated += 1;
        }
        assert_eq!(rated, 102);
    }
}
