//! The adapter for UTKFace (Zhang, Song, Qi, CVPR 2017): the labels are in the
//! published file names.

use std::path::Path;

use dldl_label::Task;

use crate::adapters::csv::for_each_row;
use crate::annotation::Annotation;
use crate::files::pictures;
use crate::format::{ONE_AGE, age};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split};

/// Pictures named `age_gender_race_time.*`, the splits in `labels.csv`.
pub const FORMAT: Format = Format {
    name: "utkface",
    about: "pictures named age_gender_race_time.*, splits in labels.csv (file,group,split) if there",
    tasks: &[age(ONE_AGE)],
    splits: "labels.csv; without one a hash of the photograph's time stamp: 80/10/10",
    folds: &[],
    citation: "Zhang, Song, Qi: Age progression/regression by conditional adversarial autoencoder, CVPR 2017",
    terms: "non-commercial research",
    load,
};

/// The names' fourth field, in the publishers' words.
const RACES: [&str; 5] = ["White", "Black", "Asian", "Indian", "Others"];

/// What the file names call older than this is taken for a slip of the pen.
const OLDEST: u32 = 125;

/// Reads UTKFace. Age, sex and race are parsed from the file names, whatever
/// the picture's format; a name that does not parse is reported in
/// [`Dataset::problems`]. The pictures are in `images/` or else in `root`
/// itself.
///
/// With a table of labels (`labels`, or `labels.csv` in `root`), its column
/// `file` says which pictures are in the set, and its columns `group` and
/// `split` are taken where they are filled. Without one, all pictures in the
/// folder and the folders below it are in the set, in the order of their
/// paths. The names' time stamp stands for a missing group, because the same
/// photograph was published under more than one name, and [`Split::of_key`] of
/// the group for a missing split.
///
/// # Errors
/// The folder or the table cannot be read, or the table has no column `file`.
pub fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let inner = if root.join("images").is_dir() { "images/" } else { "" };
    let default = root.join("labels.csv");
    let table = labels.or_else(|| default.is_file().then_some(default.as_path()));
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let samples = &mut set.samples;
    if let Some(table) = table {
        for_each_row(table, &["file"], &mut set.problems, |row| {
            let file = row.needed("file")?;
            let mut sample = parse(file).map_err(|e| format!("{file}: {e}"))?;
            sample.file = format!("{inner}{file}");
            if let Some(group) = row.cell("group") {
                sample.group = Some(group.to_owned());
                sample.split = Split::of_key(group);
            }
            if let Some(split) = row.cell("split") {
                sample.split = split.parse()?;
            }
            samples.push(sample);
            Ok(())
        })?;
    } else {
        let mut files = Vec::new();
        pictures(root, inner.trim_end_matches('/'), &mut files)?;
        files.sort();
        for file in files {
            match parse(&file) {
                Ok(sample) => samples.push(sample),
                Err(reason) => set.problems.push(Problem { file, reason }),
            }
        }
    }
    Ok(set)
}

/// Reads the labels in one file name `age_gender_race_time.*`. The published
/// set has three names without a race (`39_1_20170116174525125.jpg`): their
/// age and sex are good, so they are kept.
fn parse(file: &str) -> Result<Sample, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let fields: Vec<&str> = name.split('_').collect();
    let (age, gender, race, time) = match fields[..] {
        [age, gender, race, time] => (age, gender, Some(race), time),
        [age, gender, time] => (age, gender, None, time),
        _ => return Err("the name is not of the form age_gender_race_time".to_owned()),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let years: u32 = age
        .parse()
        .ok()
        .filter(|years| *years <= OLDEST && digits(age))
        .ok_or_else(|| format!("`{age}` is no age in years"))?;
    let sex = match gender {
        "0" => Sex::Male,
        "1" => Sex::Female,
        _ => return Err(format!("`{gender}` is no gender: 0 is male, 1 is female")),
    };
    let race = match race {
        None => None,
        Some(race) => match race.parse::<usize>().ok().and_then(|i| RACES.get(i)) {
            Some(name) => Some((*name).to_owned()),
            None => return Err(format!("`{race}` is no race: the names use 0..4")),
        },
    };
    // A few published names lack the dot after the time, or have a blank there.
    let time = &time[..time.bytes().take_while(u8::is_ascii_digit).count()];
    if time.len() < 8 {
        return Err("the name has no time stamp".to_owned());
    }
    Ok(Sample {
        sex: Some(sex),
        race,
        group: Some(time.to_owned()),
        ..Sample::new(file, Split::of_key(time))
            .with(Task::Age, Annotation::value(f64::from(years)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_whatever_the_picture_format() {
        for ending in [".jpg", ".jpg.chip.jpg", ".jpg.chip.webp", ".png", " .jpg", "jpg.chip.jpg"] {
            let s = parse(&format!("part1/26_1_3_20170116200018422{ending}")).unwrap();
            assert_eq!(
                (s.annotation(Task::Age), s.sex),
                (Some(&Annotation::value(26.0)), Some(Sex::Female))
            );
            assert_eq!(s.race.as_deref(), Some("Indian"));
            assert_eq!(s.group.as_deref(), Some("20170116200018422"));
        }
        let without_race = parse("61_0_20170109142408075.jpg.chip.jpg").unwrap();
        assert_eq!(without_race.annotation(Task::Age), Some(&Annotation::value(61.0)));
        assert_eq!(without_race.sex, Some(Sex::Male));
        assert_eq!(without_race.race, None);
    }

    #[test]
    fn malformed_names_say_what_is_wrong() {
        for (name, part) in [
            ("portrait.jpg", "age_gender_race_time"),
            ("x_1_3_20170116200018422.jpg", "`x` is no age"),
            ("-4_1_3_20170116200018422.jpg", "`-4` is no age"),
            ("+4_1_3_20170116200018422.jpg", "`+4` is no age"),
            ("999_1_3_20170116200018422.jpg", "`999` is no age"),
            ("26_2_3_20170116200018422.jpg", "`2` is no gender"),
            ("26_1_7_20170116200018422.jpg", "`7` is no race"),
            ("26_1_3_.jpg", "no time stamp"),
            ("26_1_3_1_20170116200018422.jpg", "age_gender_race_time"),
        ] {
            let reason = parse(name).unwrap_err();
            assert!(reason.contains(part), "{name}: {reason}");
        }
    }

    #[test]
    fn folder_without_labels_is_walked_in_order_and_keeps_photographs_together() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("part2")).unwrap();
        for name in [
            "part2/26_1_3_20170116200018422.png",
            "26_1_3_20170116200018422.jpg.chip.jpg",
            "5_0_0_20170116200018500.jpg",
            "bad_name.jpg",
            "readme.txt",
        ] {
            std::fs::write(dir.path().join(name), b"").unwrap();
        }
        let set = load(dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "26_1_3_20170116200018422.jpg.chip.jpg",
                "5_0_0_20170116200018500.jpg",
                "part2/26_1_3_20170116200018422.png"
            ]
        );
        assert_eq!(set.samples[0].split, set.samples[2].split);
        assert_eq!(set.problems.len(), 1);
        assert_eq!(set.problems[0].file, "bad_name.jpg");
    }

    #[test]
    fn table_gives_split_and_group() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        let table = "file,age,gender,race,group,split\n\
            5_0_0_20170116200018500.jpg,5,0,0,11,test\n\
            6_0_0_20170116200018501.jpg,6,0,0,11,\n\
            seven.jpg,7,0,0,12,test\n\
            8_0_0_20170116200018503.jpg,8,0,0,,val\n";
        std::fs::write(dir.path().join("labels.csv"), table).unwrap();
        let set = load(dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 3);
        assert_eq!(set.samples[0].file, "images/5_0_0_20170116200018500.jpg");
        assert_eq!(set.samples[0].split, Split::Test);
        assert_eq!(set.samples[1].split, Split::of_key("11"));
        assert_eq!(set.samples[1].group.as_deref(), Some("11"));
        assert_eq!(set.samples[2].group.as_deref(), Some("20170116200018503"));
        assert_eq!(set.problems.len(), 1);
        assert!(set.problems[0].file.ends_with("line 4"), "{:?}", set.problems);
        assert!(set.problems[0].reason.contains("seven.jpg"));
    }

    #[test]
    fn the_real_set() {
        let Some(data) = crate::shared_data("utkface") else { return };
        let set = load(&data, None).unwrap();
        assert_eq!(set.problems, []);
        assert_eq!(set.samples.len(), 20_800);
        assert_eq!(Split::ALL.map(|s| set.count(s)), [16_199, 2_263, 2_338]);
        assert_eq!(set.samples.iter().filter(|s| s.race.is_none()).count(), 3);
        let mut split_of = std::collections::HashMap::new();
        for s in &set.samples {
            assert!((1.0..=116.0).contains(&s.annotation(Task::Age).unwrap().mean()), "{s:?}");
            let group = s.group.clone().unwrap();
            assert_eq!(*split_of.entry(group).or_insert(s.split), s.split, "{s:?}");
            assert!(data.join(&s.file).is_file(), "{s:?}");
        }
    }
}
