//! The adapter for SCUT-FBP5500 (Liang et al., ICPR 2018): lists of file names
//! with the mean score, 1 to 5, of 60 raters. What the lists give is the mean
//! alone: a spread is an assumption of whoever trains.

use std::path::{Path, PathBuf};

use crate::rating::{ATTRACTIVENESS, Rating};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split};

const LISTS: &str = "train_test_files";

/// The publishers' split of 60 % and 40 %.
pub const FORMAT: Format = Format {
    name: "scut-fbp5500",
    about: "SCUT-FBP5500 as published, its 60/40 split; validation is a tenth of the train part",
    load: |root, labels| {
        load(root, labels, "scut-fbp5500", "split_of_60%training and 40%testing", "")
    },
};

/// The publishers' five folds.
pub const FOLDS: [Format; 5] = [fold::<1>(), fold::<2>(), fold::<3>(), fold::<4>(), fold::<5>()];

const fn fold<const N: usize>() -> Format {
    const NAMES: [&str; 5] =
        ["scut-fbp5500-1", "scut-fbp5500-2", "scut-fbp5500-3", "scut-fbp5500-4", "scut-fbp5500-5"];
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
        load: |root, labels| {
            let folder = format!("5_folders_cross_validations_files/cross_validation_{N}");
            load(root, labels, NAMES[N - 1], &folder, &format!("_{N}"))
        },
    }
}

/// Reads `train{suffix}.txt` and `test{suffix}.txt` in `labels`, by default the
/// folder `lists` of the publishers' `train_test_files`. Sex and race are in the
/// file names: `AF` to `CM`. The publishers have no validation part: it is that
/// tenth of the train list whose names [`Split::of_key`] calls `val`.
///
/// # Errors
/// A list cannot be read.
fn load(
    root: &Path,
    labels: Option<&Path>,
    name: &str,
    lists: &str,
    suffix: &str,
) -> Result<Dataset, DataError> {
    let folder = labels.map_or_else(|| root.join(LISTS).join(lists), PathBuf::from);
    let (mut samples, mut problems) = (Vec::new(), Vec::new());
    for split in [Split::Train, Split::Test] {
        let path = folder.join(format!("{split}{suffix}.txt"));
        let text = std::fs::read_to_string(&path).map_err(DataError::io(&path))?;
        for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match parse(root, line, split) {
                Ok(sample) => samples.push(sample),
                Err(reason) => {
                    let file = format!("{} line {}", path.display(), i + 1);
                    problems.push(Problem { file, reason });
                }
            }
        }
    }
    Ok(Dataset { name: name.to_owned(), root: root.to_owned(), samples, problems })
}

/// One line: a file's name and its score.
fn parse(root: &Path, line: &str, split: Split) -> Result<Sample, String> {
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
    let split = match split {
        Split::Train if Split::of_key(file) == Split::Val => Split::Val,
        other => other,
    };
    let sample = Sample::new(stored(root, file), split);
    Ok(Sample { sex, race: race.map(str::to_owned), ..sample }
        .with(ATTRACTIVENESS, Rating::value(mean)))
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
        let sample = parse(Path::new("/nowhere"), "CM643.jpg 2.883333", Split::Test).unwrap();
        assert_eq!((sample.file.as_str(), sample.split), ("Images/CM643.jpg", Split::Test));
        assert_eq!((sample.sex, sample.race.as_deref()), (Some(Sex::Male), Some("Caucasian")));
        assert_eq!(sample.rating(ATTRACTIVENESS), Some(&Rating::value(2.883333)));
        for (line, part) in [("a.jpg", "not a name"), ("a.jpg x", "no score"), ("a.jpg 7", "1..=5")]
        {
            let reason = parse(Path::new("/nowhere"), line, Split::Test).unwrap_err();
            assert!(reason.contains(part), "{line}: {reason}");
        }
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
