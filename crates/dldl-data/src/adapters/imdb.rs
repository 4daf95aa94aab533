//! IMDB-WIKI (Rothe, Timofte, Van Gool, IJCV 2018), with dates in the file names, and
//! IMDB-Clean (Lin, Shen, Wang, Pantic, 2021), its cleaned part with published splits.

use std::path::Path;

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::stem;
use crate::format::age;
use crate::table::for_each_row;
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

/// The pictures of both parts, in any folder.
pub const IMDB_WIKI: Format = Format {
    name: "imdb-wiki",
    about: "imdb_crop/ and wiki_crop/ as published: names end in _BIRTH_YEAR, such as \
            10000217_1981-05-05_2009.jpg; imdb.mat and wiki.mat (scores of faces) are not read",
    tasks: &[age("middle of the photograph's year minus date of birth; noisy")],
    splits: "none published; 80/10/10 by a hash of the person",
    folds: &[],
    citation: "Rothe, Timofte, Van Gool: Deep expectation of real and apparent age from a single \
               image without facial landmarks, IJCV 126, 2018",
    terms: "non-commercial research",
    load: |root, labels| file_names::load("imdb-wiki", root, labels, parse),
};

/// The three published tables.
pub const IMDB_CLEAN: Format = Format {
    name: "imdb-clean",
    about: "imdb_{train,valid,test}_new_1024.csv (filename,age,gender) next to imdb-clean-1024/, or \
            imdb_{train,valid,test}_new.csv next to imdb/",
    tasks: &[age("single value, cleaned")],
    splits: "published train, valid and test, people apart",
    folds: &[],
    citation: "Lin, Shen, Wang, Pantic: FP-Age: Leveraging face parsing attention for facial age \
               estimation in the wild, IEEE Transactions on Image Processing, 2022",
    terms: "non-commercial research",
    load: clean,
};

/// Parses `nm0000001_rm124825600_1899-5-10_1968.jpg` or `10000217_1981-05-05_2009.jpg`. The
/// photograph is taken to be of the middle of its year, as by the authors.
fn parse(file: &str) -> Result<Sample, String> {
    let wrong = || "expected a name that ends like _1981-05-05_2009.jpg".to_owned();
    let fields: Vec<&str> = stem(file).split('_').collect();
    let [person, .., born, taken] = fields[..] else { return Err(wrong()) };
    let mut date = born.split('-').map(str::parse::<i32>);
    let (Some(Ok(year)), Some(Ok(month)), Ok(taken)) =
        (date.next(), date.next(), taken.parse::<i32>())
    else {
        return Err(wrong());
    };
    let years = taken.saturating_sub(year).saturating_sub(i32::from(month >= 7));
    let annotation = Annotation::value(values::age(&years.to_string())?);
    let sample = Sample::new(file, Split::of_key(person)).with(Task::Age, annotation);
    let person = Some(person.to_owned());
    Ok(Sample { group: person.clone(), identity: person, ..sample })
}

/// Reads the three tables in `labels`, by default in `root`.
///
/// # Errors
/// A table cannot be read, or lacks a column.
fn clean(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let tables = labels.unwrap_or(root);
    let cropped = tables.join("imdb_train_new_1024.csv").is_file();
    let (ending, folder) = if cropped { ("_1024", "imdb-clean-1024") } else { ("", "imdb") };
    let mut set = Dataset::new(IMDB_CLEAN.name, root, Vec::new());
    for (part, split) in [("train", Split::Train), ("valid", Split::Val), ("test", Split::Test)] {
        let samples = &mut set.samples;
        let table = tables.join(format!("imdb_{part}_new{ending}.csv"));
        for_each_row(&table, &["filename", "age"], &mut set.problems, |row| {
            let name = row.required("filename")?;
            let years = values::age(row.required("age")?)?;
            let sex = match row.cell("gender") {
                Some("M") => Some(Sex::Male),
                Some("F") => Some(Sex::Female),
                _ => None,
            };
            let group = stem(name).split('_').next().map(str::to_owned);
            let sample = Sample::new(format!("{folder}/{name}"), split);
            let sample = sample.with(Task::Age, Annotation::value(years));
            samples.push(Sample { sex, identity: group.clone(), group, ..sample });
            Ok(())
        })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_names_become_ages() {
        let age = |name: &str| parse(name).map(|s| s.annotation(Task::Age).unwrap().mean());
        assert_eq!(age("imdb_crop/01/nm0000001_rm124825600_1899-5-10_1968.jpg"), Ok(69.0));
        assert_eq!(age("wiki_crop/17/10000217_1981-05-05_2009.jpg"), Ok(28.0));
        assert_eq!(age("wiki_crop/17/10000217_1981-11-05_2009.jpg"), Ok(27.0));
        assert_eq!(parse("a/nm1_rm2_1899-5-10_1968.jpg").unwrap().group.as_deref(), Some("nm1"));
        for bad in ["x_1981-05-05_1979.jpg", "x_1600-01-01_2009.jpg", "x_1981_2009.jpg", "x.jpg"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_cleaned_tables_are_read() {
        let dir = tempfile::tempdir().unwrap();
        for (part, years) in [("train", 30), ("valid", 40), ("test", 50)] {
            let table =
                format!("filename,age,gender,x_min\n00/nm9_rm1_1950-1-1_{years}.jpg,{years},F,1\n");
            std::fs::write(dir.path().join(format!("imdb_{part}_new_1024.csv")), table).unwrap();
        }
        let set = crate::load("imdb-clean", dir.path(), None).unwrap();
        assert_eq!(Split::ALL.map(|s| set.count(s)), [1, 1, 1]);
        let first = &set.samples[0];
        assert_eq!(first.file, "imdb-clean-1024/00/nm9_rm1_1950-1-1_30.jpg");
        assert_eq!((first.group.as_deref(), first.sex), (Some("nm9"), Some(Sex::Female)));
    }
}
