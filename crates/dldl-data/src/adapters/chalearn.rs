//! Apparent ages from ChaLearn: the challenges of 2015 and 2016 (Escalera et al.) and
//! APPA-REAL (Agustsson et al., FG 2017), the pictures of 2016 with real ages. Each label
//! is the mean and the standard deviation of about 38 guesses (spec 1.3).

use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::Index;
use crate::format::{LabelInfo, SINGLE_AGE, age};
use crate::sheet;
use crate::table::for_each_row;
use crate::{DataError, Dataset, Format, Problem, Sample, Split, values};

const GUESSES: LabelInfo = age("standard deviation of the guesses, per picture");

/// The challenge of 2015.
pub const CHALEARN15: Format = Format {
    name: "chalearn15",
    about: "ChaLearn LAP 2015: tables Train.csv and Validation.csv of name, mean and standard \
            deviation (comma or semicolon, with or without header) next to the pictures' folders",
    tasks: &[GUESSES],
    splits: "those of the paper: the challenge's validation part is test, a tenth of its training \
             part is val; its test part is not used",
    folds: &[],
    citation: "Escalera et al.: ChaLearn Looking at People 2015: Apparent age and cultural event \
               recognition datasets and results, ICCVW 2015",
    terms: "research",
    load: |root, labels| {
        let parts = [("train", Split::Train), ("valid", Split::Test)];
        challenge("chalearn15", root, labels, &parts)
    },
};

/// The challenge of 2016.
pub const CHALEARN16: Format = Format {
    name: "chalearn16",
    about: "ChaLearn LAP 2016: tables train_gt.csv, valid_gt.csv and test_gt.csv of image,mean,stdv \
            next to the pictures' folders",
    tasks: &[GUESSES],
    splits: "those of the paper: train and validation without a tenth are train, that tenth is val",
    folds: &[],
    citation: "Escalera et al.: ChaLearn Looking at People and Faces of the World: Face analysis \
               workshop and challenge, CVPRW 2016",
    terms: "research",
    load: |root, labels| {
        let parts = [("train", Split::Train), ("valid", Split::Train), ("test", Split::Test)];
        challenge("chalearn16", root, labels, &parts)
    },
};

/// The pictures of 2016 with real ages and the published splits.
pub const APPA_REAL: Format = Format {
    name: "appa-real",
    about: "appa-real-release: gt_avg_{train,valid,test}.csv next to the folders train, valid and \
            test; the face crops X.jpg_face.jpg are preferred to the pictures X.jpg",
    tasks: &[GUESSES, LabelInfo { task: Task::RealAge, ..age(SINGLE_AGE) }],
    splits: "published train, valid and test",
    folds: &[],
    citation: "Agustsson, Timofte, Escalera, Baro, Guyon, Rothe: Apparent and real age estimation \
               in still images with deep residual regressors on APPA-REAL database, FG 2017",
    terms: "research",
    load: appa_real,
};

/// Reads the tables in `labels` (a folder, by default `root`) whose names begin with the
/// name of a part, ignoring case. Columns: file name, mean and standard deviation of the
/// guesses. Pictures are looked up in a folder of their part first, then anywhere below
/// `root`.
fn challenge(
    name: &str,
    root: &Path,
    labels: Option<&Path>,
    parts: &[(&str, Split)],
) -> Result<Dataset, DataError> {
    let folder = labels.unwrap_or(root);
    let index = Index::new(root)?;
    let mut set = Dataset::new(name, root, Vec::new());
    for &(part, split) in parts {
        let path = table(folder, part)?;
        for sheet in sheet::read(&path)? {
            for row in 0..sheet.rows.len() {
                let cells = [0, 1, 2].map(|column| sheet.cell(row, column));
                let header = row == 0 && cells[1].is_some_and(|c| c.parse::<f64>().is_err());
                if header || cells.iter().all(Option::is_none) {
                    continue;
                }
                match guessed(&index, part, split, cells) {
                    Ok(sample) => set.samples.push(sample),
                    Err(reason) => {
                        set.problems.push(Problem { file: sheet.place(row), reason });
                    }
                }
            }
        }
    }
    Ok(set)
}

/// The only table in `folder` whose name begins with `part`.
fn table(folder: &Path, part: &str) -> Result<PathBuf, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let path = entry.map_err(DataError::io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let is_table = [".csv", ".txt", ".xlsx"].iter().any(|ending| name.ends_with(ending));
        if name.starts_with(part) && is_table {
            found.push(path);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(DataError::table(folder, format!("there is no table `{part}*`"))),
        n => Err(DataError::table(folder, format!("there are {n} tables `{part}*`: keep one"))),
    }
}

fn guessed(
    index: &Index,
    part: &str,
    split: Split,
    cells: [Option<&str>; 3],
) -> Result<Sample, String> {
    let name = cells[0].ok_or("missing file name")?;
    let mean = values::age(cells[1].ok_or("missing mean")?)?;
    let sigma = cells[2].map(|cell| values::number(cell, "standard deviation")).transpose()?;
    let file = index.find(name, part).map_or_else(|| format!("{part}/{name}"), str::to_owned);
    let split = if split == Split::Train { Split::of_train_key(name) } else { split };
    Ok(Sample::new(file, split).with(Task::Age, Annotation::Value { mean, sigma }))
}

/// Reads the three tables of means in `labels` (a folder, by default `root`).
fn appa_real(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let folder = labels.unwrap_or(root);
    let mut set = Dataset::new(APPA_REAL.name, root, Vec::new());
    for (part, split) in [("train", Split::Train), ("valid", Split::Val), ("test", Split::Test)] {
        let table = folder.join(format!("gt_avg_{part}.csv"));
        let required = ["file_name", "apparent_age_avg", "apparent_age_std"];
        let samples = &mut set.samples;
        for_each_row(&table, &required, &mut set.problems, |row| {
            let name = row.required("file_name")?;
            let whole = format!("{part}/{name}");
            let face = format!("{whole}_face.jpg");
            // A whole picture may show several faces.
            let whole_only = root.join(&whole).is_file() && !root.join(&face).is_file();
            let mean = values::age(row.required("apparent_age_avg")?)?;
            let sigma = Some(row.number("apparent_age_std")?);
            let mut sample = Sample::new(if whole_only { whole } else { face }, split)
                .with(Task::Age, Annotation::Value { mean, sigma });
            if let Some(cell) = row.cell("real_age") {
                sample = sample.with(Task::RealAge, Annotation::value(values::age(cell)?));
            }
            samples.push(sample);
            Ok(())
        })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_challenge_of_2015_uses_semicolons_and_tests_on_its_validation_part() {
        let train: String =
            (0..300).map(|i| format!("image_{i}.jpg;{}.5;4.25\n", i % 90)).collect();
        let dir = folder(&[
            ("Train.csv", &train),
            ("Validation.csv", "image_900.jpg;20;0\nimage_901.jpg;;3\n;;\nimage_902.jpg;41;wide\n"),
            ("Train/image_7.jpg", ""),
            ("Validation/image_900.webp", ""),
        ]);
        let set = crate::load("chalearn15", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 301);
        assert_eq!(set.samples[7].file, "Train/image_7.jpg");
        let age = Annotation::Value { mean: 7.5, sigma: Some(4.25) };
        assert_eq!(set.samples[7].annotation(Task::Age), Some(&age));
        let last = &set.samples[300];
        assert_eq!((last.file.as_str(), last.split), ("Validation/image_900.webp", Split::Test));
        assert_eq!(set.count(Split::Test), 1);
        assert!((15..60).contains(&set.count(Split::Val)), "{}", set.count(Split::Val));
        let places: Vec<&str> =
            set.problems.iter().map(|p| p.file.rsplit(' ').next().unwrap()).collect();
        assert_eq!(places, ["2", "4"]);
    }

    #[test]
    fn the_challenge_of_2016_trains_on_train_and_validation() {
        let head = "image,mean,stdv\n";
        let rows = |from: usize, n: usize| -> String {
            (from..from + n).map(|i| format!("{i:06}.jpg,{}.0,3.0\n", 10 + i % 50)).collect()
        };
        let dir = folder(&[
            ("train_gt.csv", &format!("{head}{}", rows(0, 120))),
            ("valid_gt.csv", &format!("{head}{}", rows(120, 80))),
            ("test_gt.csv", &format!("{head}{}", rows(200, 50))),
        ]);
        let set = crate::load("chalearn16", dir.path(), None).unwrap();
        let [train, val, test] = Split::ALL.map(|s| set.count(s));
        assert_eq!((train + val, test), (200, 50));
        assert!((8..40).contains(&val), "{val}");
        assert!(set.problems.is_empty());
        // Tables may be in a folder of their own, one per part.
        let apart = folder(&[("train.csv", ""), ("Train_old.csv", ""), ("valid.txt", "")]);
        let refused = |part: &Path| {
            crate::load("chalearn16", dir.path(), Some(part)).unwrap_err().to_string()
        };
        assert!(refused(apart.path()).contains("2 tables"), "{}", refused(apart.path()));
        std::fs::remove_file(apart.path().join("train.csv")).unwrap();
        assert!(refused(apart.path()).contains("no table `test*`"));
    }

    #[test]
    fn face_crops_are_preferred_to_whole_pictures() {
        let head = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age\n";
        let dir = folder(&[
            ("gt_avg_train.csv", &format!("{head}000000.jpg,36,5,1.5,4\n000001.jpg,9,old,1,2\n")),
            ("gt_avg_valid.csv", &format!("{head}000002.jpg,30,26.25,4,\n")),
            ("gt_avg_test.csv", &format!("{head}000003.jpg,30,26.25,0,30\n")),
            ("train/000000.jpg", ""),
            ("train/000000.jpg_face.jpg", ""),
            ("valid/000002.jpg", ""),
        ]);
        let set = crate::load("appa-real", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(
            files,
            ["train/000000.jpg_face.jpg", "valid/000002.jpg", "test/000003.jpg_face.jpg"]
        );
        let age = Annotation::Value { mean: 5.0, sigma: Some(1.5) };
        assert_eq!(set.samples[0].annotation(Task::Age), Some(&age));
        assert_eq!(set.samples[0].annotation(Task::RealAge), Some(&Annotation::value(4.0)));
        assert_eq!(set.samples[1].annotation(Task::RealAge), None);
        assert_eq!(set.problems.len(), 1);
    }

    #[test]
    fn the_real_tables_are_read() {
        let Some(data) = crate::shared_data("appa-real") else { return };
        let set = crate::load("appa-real", &data, None).unwrap();
        assert_eq!(set.problems, []);
        // As published: 4113, 1500 and 1978 (spec 3.1).
        assert_eq!(Split::ALL.map(|s| set.count(s)), [4113, 1500, 1978]);
        for s in &set.samples {
            let (guess, real) =
                (s.annotation(Task::Age).unwrap(), s.annotation(Task::RealAge).unwrap());
            assert!((0.0..=100.0).contains(&guess.mean()), "{s:?}");
            assert!((0.0..=101.0).contains(&real.mean()), "{s:?}");
            assert!(guess.sigma().is_some_and(|sigma| sigma < 30.0), "{s:?}");
        }
    }
}
