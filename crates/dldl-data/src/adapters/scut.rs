//! SCUT-FBP5500 (Liang et al., ICPR 2018): lists of file names with the mean score, 1 to
//! 5, of 60 raters. The lists have no standard deviations, so sigma is assumed unless the
//! published workbook of individual ratings is present. The older set SCUT-FBP is in
//! [`super::scut500`].

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::Index;
use crate::format::{LabelInfo, attractiveness};
use crate::sheet;
use crate::table::for_each_line;
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

const LISTS: &str = "train_test_files";

const SCORES: LabelInfo = attractiveness(
    5.0,
    "60 individual ratings with All_Ratings.xlsx, else mean only, sigma assumed",
    0.5,
);
const TASKS: &[LabelInfo] = &[SCORES];
const CITATION: &str = "Liang, Lin, Jin, Xie, Li: SCUT-FBP5500: a diverse benchmark dataset for \
                        multi-paradigm facial beauty prediction, ICPR 2018";
const TERMS: &str = "non-commercial research";

/// The published split of 60 % and 40 %.
pub const FORMAT: Format = Format {
    name: "scut-fbp5500",
    about: "SCUT-FBP5500 as published, with the 60/40 split",
    tasks: TASKS,
    splits: "published 60/40 split, and five folds as published:1 to published:5; a tenth of train \
             is val",
    folds: &NAMES,
    citation: CITATION,
    terms: TERMS,
    load: |root, labels| {
        load(root, labels, "scut-fbp5500", "split_of_60%training and 40%testing", "")
    },
};

const NAMES: [&str; 5] =
    ["scut-fbp5500-1", "scut-fbp5500-2", "scut-fbp5500-3", "scut-fbp5500-4", "scut-fbp5500-5"];

/// The five published folds.
pub const FOLDS: [Format; 5] = [fold::<1>(), fold::<2>(), fold::<3>(), fold::<4>(), fold::<5>()];

const fn fold<const N: usize>() -> Format {
    const ABOUT: [&str; 5] = [
        "the same, the first of the five published folds",
        "the second fold",
        "the third fold",
        "the fourth fold",
        "the fifth fold",
    ];
    Format {
        name: NAMES[N - 1],
        about: ABOUT[N - 1],
        tasks: TASKS,
        splits: "published fold of 4400/1100; a tenth of train is val",
        folds: &[],
        citation: CITATION,
        terms: TERMS,
        load: |root, labels| {
            let folder = format!("5_folders_cross_validations_files/cross_validation_{N}");
            load(root, labels, NAMES[N - 1], &folder, &format!("_{N}"))
        },
    }
}

/// Reads `train{suffix}.txt` and `test{suffix}.txt` in `labels`, by default the folder
/// `lists` in `train_test_files`. Sex and race are in the file names (`AF` to `CM`). No
/// validation part is published; the train list is split by [`Split::of_train_key`].
/// Individual ratings come from `All_Ratings.xlsx` or `All_Ratings.csv` in `root`, if
/// present; the mean is that of the lists.
///
/// # Errors
/// A list cannot be read, or the workbook of ratings is invalid.
fn load(
    root: &Path,
    labels: Option<&Path>,
    name: &str,
    lists: &str,
    suffix: &str,
) -> Result<Dataset, DataError> {
    let folder = labels.map_or_else(|| root.join(LISTS).join(lists), PathBuf::from);
    let ratings = ratings(root)?;
    let index = Index::new(root)?;
    let mut set = Dataset::new(name, root, Vec::new());
    for split in [Split::Train, Split::Test] {
        let path = folder.join(format!("{split}{suffix}.txt"));
        for_each_line(&path, &mut set.problems, |line| {
            set.samples.push(parse(&index, &ratings, line, split)?);
            Ok(())
        })?;
    }
    Ok(set)
}

/// How often each score was given, by file name.
type Ratings = HashMap<String, BTreeMap<u8, u32>>;

/// The published workbook: one row per rating in the sheet `ALL`; the other sheets are
/// parts of it.
fn ratings(root: &Path) -> Result<Ratings, DataError> {
    let mut ratings = Ratings::new();
    let paths = ["All_Ratings.xlsx", "All_Ratings.csv"].map(|name| root.join(name));
    let Some(path) = paths.iter().find(|path| path.is_file()) else { return Ok(ratings) };
    let mut sheets = sheet::read(path)?;
    if sheets.iter().any(|sheet| sheet.name == "ALL") {
        sheets.retain(|sheet| sheet.name == "ALL");
    }
    for sheet in &sheets {
        let lines = sheet.select(&["Filename", "Rating"], 2);
        for line in lines
            .ok_or_else(|| DataError::table(path, "there are no columns `Filename` and `Rating`"))?
        {
            let score = line.cells[1].and_then(|cell| cell.parse().ok());
            let (Some(file), Some(score @ 1..=5)) = (line.cells[0], score) else {
                return Err(DataError::table(
                    path,
                    format!("{}: expected a rating from 1 to 5", line.place),
                ));
            };
            *ratings.entry(file.to_owned()).or_default().entry(score).or_default() += 1;
        }
    }
    Ok(ratings)
}

/// One line of a list: file name and score.
fn parse(index: &Index, ratings: &Ratings, line: &str, split: Split) -> Result<Sample, String> {
    let (file, score) =
        line.rsplit_once(char::is_whitespace).ok_or("expected a file name and a score")?;
    let mean = values::score_of(&SCORES, score)?;
    let file = file.trim();
    let race = match file.chars().next() {
        Some('A') => Some("Asian"),
        Some('C') => Some("Caucasian"),
        _ => None,
    };
    let sex = match file.chars().nth(1) {
        Some('F') => Some(Sex::Female),
        Some('M') => Some(Sex::Male),
        _ => None,
    };
    let split = if split == Split::Train { Split::of_train_key(file) } else { split };
    let rating = match ratings.get(file) {
        Some(counts) => {
            let histogram =
                counts.iter().map(|(&score, &n)| [f64::from(score), f64::from(n)]).collect();
            Annotation::Histogram { mean, histogram }
        }
        None => Annotation::value(mean),
    };
    let path = index.find(file, "images").map_or_else(|| format!("Images/{file}"), str::to_owned);
    let sample = Sample::new(path, split);
    Ok(Sample { sex, race: race.map(str::to_owned), ..sample }.with(Task::Attractiveness, rating))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed() {
        let empty = tempfile::tempdir().unwrap();
        let index = Index::new(empty.path()).unwrap();
        let parse = |line: &str| parse(&index, &Ratings::new(), line, Split::Test);
        let sample = parse("CM643.jpg 2.883333").unwrap();
        assert_eq!((sample.file.as_str(), sample.split), ("Images/CM643.jpg", Split::Test));
        assert_eq!((sample.sex, sample.race.as_deref()), (Some(Sex::Male), Some("Caucasian")));
        assert_eq!(sample.annotation(Task::Attractiveness), Some(&Annotation::value(2.883333)));
        for (line, part) in
            [("a.jpg", "a file name"), ("a.jpg x", "invalid score `x`"), ("a.jpg 7", "1 to 5")]
        {
            let reason = parse(line).unwrap_err();
            assert!(reason.contains(part), "{line}: {reason}");
        }
    }

    #[test]
    fn individual_ratings_are_read_if_present() {
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join(LISTS).join("split_of_60%training and 40%testing");
        std::fs::create_dir_all(&lists).unwrap();
        std::fs::write(lists.join("train.txt"), "CF437.jpg 2.75\n").unwrap();
        std::fs::write(lists.join("test.txt"), "AM1384.jpg 2.5\n").unwrap();
        let table = dir.path().join("All_Ratings.csv");
        let rows = "1,CF437.jpg,3,\n2,CF437.jpg,2,3\n3,CF437.jpg,3,\n4,CF437.jpg,3,\n";
        std::fs::write(&table, format!("Rater,Filename,Rating,original Rating\n{rows}")).unwrap();
        let set = crate::load("scut-fbp5500", dir.path(), None).unwrap();
        let ratings = Annotation::Histogram { mean: 2.75, histogram: vec![[2.0, 1.0], [3.0, 3.0]] };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&ratings));
        assert_eq!(set.samples[1].annotation(Task::Attractiveness), Some(&Annotation::value(2.5)));
        std::fs::write(&table, "Filename,Rating\nCF437.jpg,6\n").unwrap();
        let message = crate::load("scut-fbp5500", dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("line 2: expected a rating from 1 to 5"), "{message}");
    }

    #[test]
    fn a_fold_is_the_same_by_either_name() {
        let Some(data) = crate::shared_data("scut-fbp5500") else { return };
        let by_protocol =
            crate::load_with("scut-fbp5500", &data, None, &"published:3".parse().unwrap()).unwrap();
        assert_eq!(by_protocol, crate::load("scut-fbp5500-3", &data, None).unwrap());
    }

    #[test]
    fn the_real_set_is_read() {
        let Some(data) = crate::shared_data("scut-fbp5500") else { return };
        let set = crate::load("scut-fbp5500", &data, None).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (5500, 0));
        assert_eq!(set.count(Split::Test), 2200);
        assert!(set.samples.iter().all(|s| data.join(&s.file).is_file()));
        // Every picture is in the test part of one fold.
        let mut tested = Vec::new();
        for fold in FOLDS {
            let set = crate::load(fold.name, &data, None).unwrap();
            assert_eq!((set.samples.len(), set.count(Split::Test)), (5500, 1100));
            assert!((350..530).contains(&set.count(Split::Val)), "{}", set.count(Split::Val));
            let test = set.samples.into_iter().filter(|s| s.split == Split::Test);
            tested.extend(test.map(|s| s.file));
        }
        tested.sort();
        tested.dedup();
        assert_eq!(tested.len(), 5500);
    }
}
