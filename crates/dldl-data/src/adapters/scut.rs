//! The adapter for SCUT-FBP5500 (Liang et al., ICPR 2018): lists of file names
//! with the mean score, 1 to 5, of 60 raters. What the lists give is the mean
//! alone, and a spread is an assumption of whoever trains, unless the publishers'
//! workbook of all ratings is there. SCUT-FBP, the older set, is in
//! [`crate::adapters::scut500`].

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::{LabelInfo, attractiveness};
use crate::sheet;
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split};

const LISTS: &str = "train_test_files";

const TASKS: &[LabelInfo] = &[attractiveness(
    5.0,
    "the 60 answers where All_Ratings.xlsx is there; else the mean alone: sigma is assumed",
    0.5,
)];
const CITATION: &str = "Liang, Lin, Jin, Xie, Li: SCUT-FBP5500: a diverse benchmark dataset for \
                        multi-paradigm facial beauty prediction, ICPR 2018";
const TERMS: &str = "non-commercial research";

/// The publishers' split of 60 % and 40 %.
pub const FORMAT: Format = Format {
    name: "scut-fbp5500",
    about: "SCUT-FBP5500 as published, its 60/40 split; validation is a tenth of the train part",
    tasks: TASKS,
    splits: "the publishers' 60/40 and, as published:1 to published:5, their five folds; a tenth \
             of train for validation",
    folds: &NAMES,
    citation: CITATION,
    terms: TERMS,
    load: |root, labels| {
        load(root, labels, "scut-fbp5500", "split_of_60%training and 40%testing", "")
    },
};

const NAMES: [&str; 5] =
    ["scut-fbp5500-1", "scut-fbp5500-2", "scut-fbp5500-3", "scut-fbp5500-4", "scut-fbp5500-5"];

/// The publishers' five folds.
pub const FOLDS: [Format; 5] = [fold::<1>(), fold::<2>(), fold::<3>(), fold::<4>(), fold::<5>()];

const fn fold<const N: usize>() -> Format {
    const ABOUT: [&str; 5] = [
        "the same, the first of the publishers' five folds",
        "the second fold",
        "the third fold",
        "the fourth fold",
        "the fifth fold",
    ];
    Format {
        name: NAMES[N - 1],
        about: ABOUT[N - 1],
        tasks: TASKS,
        splits: "the publishers' fold of 4400/1100, a tenth of train for validation",
        folds: &[],
        citation: CITATION,
        terms: TERMS,
        load: |root, labels| {
            let folder = format!("5_folders_cross_validations_files/cross_validation_{N}");
            load(root, labels, NAMES[N - 1], &folder, &format!("_{N}"))
        },
    }
}

/// Reads `train{suffix}.txt` and `test{suffix}.txt` in `labels`, by default the
/// folder `lists` of the publishers' `train_test_files`. Sex and race are in the
/// file names: `AF` to `CM`. The publishers have no validation part: it is that
/// tenth of the train list whose names [`Split::of_key`] calls `val`. The answers
/// are those of `All_Ratings.xlsx` or `All_Ratings.csv` in `root`, where it is
/// there; the mean is the lists'.
///
/// # Errors
/// A list cannot be read, or the workbook of ratings is broken.
fn load(
    root: &Path,
    labels: Option<&Path>,
    name: &str,
    lists: &str,
    suffix: &str,
) -> Result<Dataset, DataError> {
    let folder = labels.map_or_else(|| root.join(LISTS).join(lists), PathBuf::from);
    let answers = answers(root)?;
    let mut set = Dataset::new(name, root, Vec::new());
    for split in [Split::Train, Split::Test] {
        let path = folder.join(format!("{split}{suffix}.txt"));
        let text = std::fs::read_to_string(&path).map_err(DataError::io(&path))?;
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match parse(root, &answers, line, split) {
                Ok(sample) => set.samples.push(sample),
                Err(reason) => {
                    let file = format!("{} line {}", path.display(), i + 1);
                    set.problems.push(Problem { file, reason });
                }
            }
        }
    }
    Ok(set)
}

/// How often each score was given to a picture, by the picture's name.
type Answers = HashMap<String, BTreeMap<u8, u32>>;

/// The publishers' workbook: a row for each of the 60 ratings of each picture, in
/// the sheet `ALL` (the others are its parts).
fn answers(root: &Path) -> Result<Answers, DataError> {
    let mut answers = Answers::new();
    let paths = ["All_Ratings.xlsx", "All_Ratings.csv"].map(|name| root.join(name));
    let Some(path) = paths.iter().find(|path| path.is_file()) else { return Ok(answers) };
    let mut sheets = sheet::read(path)?;
    if sheets.iter().any(|sheet| sheet.name == "ALL") {
        sheets.retain(|sheet| sheet.name == "ALL");
    }
    for sheet in &sheets {
        let lines = sheet.select(&["Filename", "Rating"], 2);
        for line in lines.ok_or_else(|| DataError::table(path, "no columns Filename, Rating"))? {
            let score = line.cells[1].and_then(|cell| cell.parse().ok());
            let (Some(file), Some(score @ 1..=5)) = (line.cells[0], score) else {
                return Err(DataError::table(path, format!("{}: no rating 1 to 5", line.place)));
            };
            *answers.entry(file.to_owned()).or_default().entry(score).or_default() += 1;
        }
    }
    Ok(answers)
}

/// One line: a file's name and its score.
fn parse(root: &Path, answers: &Answers, line: &str, split: Split) -> Result<Sample, String> {
    let (file, score) =
        line.trim().rsplit_once(char::is_whitespace).ok_or("not a name and a score")?;
    let mean: f64 = score.parse().map_err(|_| format!("`{score}` is no score"))?;
    if !(1.0..=5.0).contains(&mean) {
        return Err(format!("the score {mean} is not within 1..=5"));
    }
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
    let rating = match answers.get(file) {
        Some(counts) => {
            let histogram =
                counts.iter().map(|(&score, &n)| [f64::from(score), f64::from(n)]).collect();
            Annotation::Histogram { mean, histogram }
        }
        None => Annotation::value(mean),
    };
    let sample = Sample::new(stored(root, file), split);
    Ok(Sample { sex, race: race.map(str::to_owned), ..sample }.with(Task::Attractiveness, rating))
}

/// Where the picture is: the lists say `.jpg`, a copy of the set may hold other
/// formats.
fn stored(root: &Path, file: &str) -> String {
    let listed = format!("Images/{file}");
    let (stem, _) = listed.rsplit_once('.').unwrap_or((&listed, ""));
    let others = ["webp", "png", "jpeg"].map(|ending| format!("{stem}.{ending}"));
    let there = |path: &&String| root.join(path).is_file();
    [&listed].into_iter().chain(&others).find(there).unwrap_or(&listed).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_name_and_score() {
        let parse = |line: &str| parse(Path::new("/nowhere"), &Answers::new(), line, Split::Test);
        let sample = parse("CM643.jpg 2.883333").unwrap();
        assert_eq!((sample.file.as_str(), sample.split), ("Images/CM643.jpg", Split::Test));
        assert_eq!((sample.sex, sample.race.as_deref()), (Some(Sex::Male), Some("Caucasian")));
        assert_eq!(sample.annotation(Task::Attractiveness), Some(&Annotation::value(2.883333)));
        for (line, part) in [("a.jpg", "not a name"), ("a.jpg x", "no score"), ("a.jpg 7", "1..=5")]
        {
            let reason = parse(line).unwrap_err();
            assert!(reason.contains(part), "{line}: {reason}");
        }
    }

    #[test]
    fn all_answers_are_read_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join(LISTS).join("split_of_60%training and 40%testing");
        std::fs::create_dir_all(&lists).unwrap();
        std::fs::write(lists.join("train.txt"), "CF437.jpg 2.75\n").unwrap();
        std::fs::write(lists.join("test.txt"), "AM1384.jpg 2.5\n").unwrap();
        let table = dir.path().join("All_Ratings.csv");
        let rows = "1,CF437.jpg,3,\n2,CF437.jpg,2,3\n3,CF437.jpg,3,\n4,CF437.jpg,3,\n";
        std::fs::write(&table, format!("Rater,Filename,Rating,original Rating\n{rows}")).unwrap();
        let set = crate::load("scut-fbp5500", dir.path(), None).unwrap();
        let answers = Annotation::Histogram { mean: 2.75, histogram: vec![[2.0, 1.0], [3.0, 3.0]] };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&answers));
        assert_eq!(set.samples[1].annotation(Task::Attractiveness), Some(&Annotation::value(2.5)));
        std::fs::write(&table, "Filename,Rating\nCF437.jpg,6\n").unwrap();
        let message = crate::load("scut-fbp5500", dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("line 2: no rating 1 to 5"), "{message}");
    }

    #[test]
    fn a_fold_has_one_cache_by_either_name() {
        let Some(data) = crate::shared_data("scut-fbp5500") else { return };
        let by_protocol =
            crate::load_with("scut-fbp5500", &data, None, &"published:3".parse().unwrap()).unwrap();
        assert_eq!(by_protocol, crate::load("scut-fbp5500-3", &data, None).unwrap());
    }

    #[test]
    fn the_real_set() {
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
