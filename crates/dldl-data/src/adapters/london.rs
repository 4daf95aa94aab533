//! Face Research Lab London Set (DeBruine and Jones, 2017): 102 people, neutral and
//! smiling. 2,513 people rated the neutral pictures from 1 to 7.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::{Index, pictures};
use crate::format::{LabelInfo, SINGLE_AGE, age, attractiveness};
use crate::sheet;
use crate::table::{Row, for_each_row};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split, values};

const SCORES: LabelInfo = attractiveness(7.0, "individual ratings of the neutral pictures", 1.0);

/// One table of people and ratings, or the two published tables.
pub const FORMAT: Format = Format {
    name: "london",
    about: "labels.csv of file,identity,age,sex,ethnicity,mean,n1..n7 next to images/, or \
            london_faces_info.csv and london_faces_ratings.csv next to neutral_front/ and \
            smiling_front/ as published",
    tasks: &[SCORES, age(SINGLE_AGE)],
    splits: "none published; 80/10/10 by a hash of the person",
    folds: &[],
    citation: "DeBruine, Jones: Face Research Lab London Set, figshare, 2017, doi \
               10.6084/m9.figshare.5047666",
    terms: "CC BY 4.0",
    load,
};

const INFO: &str = "london_faces_info.csv";
const RATINGS: &str = "london_faces_ratings.csv";

/// Reads `labels` or `labels.csv` in `root`, or else the published tables. Pictures
/// without age and ratings are left out, and so are pictures in no table: the composites
/// of several faces.
///
/// # Errors
/// A table cannot be read.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let default = root.join("labels.csv");
    if labels.is_some() || default.is_file() || !root.join(INFO).is_file() {
        let Dataset { samples, problems, left_out, .. } = &mut set;
        let required = ["file", "identity"];
        for_each_row(labels.unwrap_or(&default), &required, problems, |row| {
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
    let mut others = pictures(root, "")?;
    others.retain(|file| !known.contains(file.as_str()));
    set.left_out.extend(others.into_iter().map(|file| {
        let reason = match file.split('/').any(|folder| folder == "composite") {
            true => "a composite of several faces",
            false => "not in any table of labels",
        };
        Problem { file, reason: reason.to_owned() }
    }));
    Ok(set)
}

fn add(sample: Sample, samples: &mut Vec<Sample>, left_out: &mut Vec<Problem>) {
    if sample.labels.is_empty() {
        let reason = "no age and no ratings".to_owned();
        left_out.push(Problem { file: sample.file, reason });
    } else {
        samples.push(sample);
    }
}

/// A picture of a person, with the facts about the person.
fn portrait(
    file: String,
    person: &str,
    [years, sex, ethnicity]: [Option<&str>; 3],
) -> Result<Sample, String> {
    let sex = match sex {
        Some("female") => Some(Sex::Female),
        Some("male") => Some(Sex::Male),
        Some(other) => return Err(format!("invalid sex `{other}`: expected female or male")),
        None => None,
    };
    let group = Some(person.to_owned());
    let race = ethnicity.map(str::to_owned);
    let sample = Sample { sex, race, group, ..Sample::new(file, Split::of_key(person)) };
    Ok(match years {
        Some(years) => sample.with(Task::Age, Annotation::value(values::age(years)?)),
        None => sample,
    })
}

fn sample(row: &Row) -> Result<Sample, String> {
    let (file, person) = (row.required("file")?, row.required("identity")?);
    let known = ["age", "sex", "ethnicity"].map(|column| row.cell(column));
    let mut sample = portrait(format!("images/{file}"), person, known)?;
    if let Some(mean) = row.cell("mean") {
        let mut histogram = Vec::new();
        for score in 1..=7u8 {
            let count = row.number(&format!("n{score}"))?;
            if count > 0.0 {
                histogram.push([f64::from(score), count]);
            }
        }
        let mean = values::score_of(&SCORES, mean)?;
        if histogram.is_empty() {
            return Err("a mean without ratings".to_owned());
        }
        sample = sample.with(Task::Attractiveness, Annotation::Histogram { mean, histogram });
    }
    if let Some(split) = row.split()? {
        sample.split = split;
    }
    Ok(sample)
}

/// The published tables: one line per person, and one line per rater with a column per
/// person. The pictures of person X001 are `001_03` (neutral) and `001_08` (smiling).
fn published(root: &Path, set: &mut Dataset) -> Result<(), DataError> {
    let index = Index::new(root)?;
    let ratings = ratings(&root.join(RATINGS))?;
    let Dataset { samples, problems, left_out, .. } = set;
    for_each_row(&root.join(INFO), &["face_id", "face_age"], problems, |row| {
        let id = row.required("face_id")?;
        let person = id.trim_start_matches('X');
        let known = ["face_age", "face_sex", "face_eth"].map(|column| row.cell(column));
        let mut of = |folder: &str, number: &str, neutral: bool| -> Result<(), String> {
            let name = format!("{person}_{number}.jpg");
            let file =
                index.find(&name, folder).map_or_else(|| format!("{folder}/{name}"), str::to_owned);
            let mut sample = portrait(file, person, known)?;
            if let Some(counts) = ratings.get(id).filter(|_| neutral) {
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

/// How often each score was given, by column. Cells other than 1 to 7 are missing
/// ratings.
fn ratings(path: &Path) -> Result<HashMap<String, BTreeMap<u8, u32>>, DataError> {
    let mut ratings: HashMap<String, BTreeMap<u8, u32>> = HashMap::new();
    for sheet in sheet::read(path)? {
        let Some((header, raters)) = sheet.rows.split_first() else { continue };
        for rater in raters {
            for (column, cell) in header.iter().zip(rater) {
                let person = column.starts_with('X');
                if let Ok(score @ 1..=7) = cell.parse::<u8>()
                    && person
                {
                    *ratings.entry(column.clone()).or_default().entry(score).or_default() += 1;
                }
            }
        }
    }
    Ok(ratings)
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
        let ratings = Annotation::Histogram { mean, histogram: vec![[3.0, 2.0], [5.0, 1.0]] };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&ratings));
        assert_eq!(set.samples[1].labels.len(), 1);
        assert_eq!(set.samples[1].annotation(Task::Age), Some(&Annotation::value(24.0)));
        assert_eq!(set.samples[0].split, set.samples[1].split);
        assert_eq!(
            (set.samples[2].sex, set.samples[2].annotation(Task::Age)),
            (Some(Sex::Male), None)
        );
        let left: Vec<&str> = set.left_out.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(left.len(), 2);
        assert!(left[0].contains("no age") && left[1].contains("composite"), "{left:?}");
    }

    #[test]
    fn real_ratings_have_the_published_mean_and_standard_deviation() {
        let Some(data) = crate::shared_data("london") else { return };
        let set = crate::load("london", &data, None).unwrap();
        assert_eq!(set.problems, []);
        // Two of the 102 people have no age, so their smiling pictures have no label.
        assert_eq!((set.samples.len(), set.left_out.len()), (202, 12));
        let composites = set.left_out.iter().filter(|p| p.reason.contains("composite"));
        assert_eq!(composites.count(), 10);
        assert!(set.samples.iter().all(|s| data.join(&s.file).is_file()));
        let people: std::collections::HashSet<&str> =
            set.samples.iter().filter_map(|s| s.group.as_deref()).collect();
        assert_eq!(people.len(), 102);
        // Mean and standard deviation in the table, of 2,513 ratings each.
        let mut published = HashMap::new();
        for_each_row(&data.join("labels.csv"), &["mean", "std"], &mut Vec::new(), |row| {
            if row.cell("mean").is_some() {
                let file = format!("images/{}", row.required("file")?);
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
