//! UTKFace (Zhang, Song, Qi, CVPR 2017), with the labels in the file names.

use std::path::Path;

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::pictures;
use crate::format::{SINGLE_AGE, age};
use crate::table::for_each_row;
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

/// Pictures named `age_gender_race_time.*`, with splits in `labels.csv`.
pub const FORMAT: Format = Format {
    name: "utkface",
    about: "pictures named age_gender_race_time.*; splits in labels.csv (file,group,split), optional",
    tasks: &[age(SINGLE_AGE)],
    splits: "labels.csv; otherwise a hash of the time stamp: 80/10/10",
    folds: &[],
    citation: "Zhang, Song, Qi: Age progression/regression by conditional adversarial \
               autoencoder, CVPR 2017",
    terms: "non-commercial research",
    load,
};

/// The meaning of the third field of a name.
const RACES: [&str; 5] = ["White", "Black", "Asian", "Indian", "Others"];

/// Reads UTKFace. Age, sex and race are parsed from the file names, with any picture
/// extension; names that do not parse are reported in [`Dataset::problems`]. The pictures
/// are in `images/` if it exists, else in `root`.
///
/// With a table (`labels`, or `labels.csv` in `root`), the column `file` lists the
/// pictures of the set, and `group` and `split` are used unless empty. Without a table,
/// all pictures in the folder and below belong to the set, sorted by path. The default
/// group is the time stamp in the name, because some photographs were published under
/// several names; the default split is [`Split::of_key`] of the group.
///
/// # Errors
/// The folder or the table cannot be read, or the table has no column `file`.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let inner = if root.join("images").is_dir() { "images/" } else { "" };
    let default = root.join("labels.csv");
    let table = labels.or_else(|| default.is_file().then_some(default.as_path()));
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    if let Some(table) = table {
        let samples = &mut set.samples;
        for_each_row(table, &["file"], &mut set.problems, |row| {
            let file = row.required("file")?;
            let mut sample = parse(file).map_err(|e| format!("{file}: {e}"))?;
            // A table by `dldl data check --write-groups` has the folder in its names.
            sample.file = format!("{inner}{}", file.strip_prefix(inner).unwrap_or(file));
            if let Some(group) = row.cell("group") {
                sample.group = Some(group.to_owned());
                sample.split = Split::of_key(group);
            }
            if let Some(split) = row.split()? {
                sample.split = split;
            }
            samples.push(sample);
            Ok(())
        })?;
    } else {
        file_names::add(&mut set, pictures(root, inner.trim_end_matches('/'))?, parse);
    }
    Ok(set)
}

/// Sex and race of the published pictures whose names lack a field or have a sex of 3, by
/// the time in the name: the corrections of Paplham and Franc, "A Call to Reflect on
/// Evaluation Practices for Age Estimation", CVPR 2024.
const CORRECTIONS: [(&str, Sex, &str); 4] = [
    ("20170109142408075", Sex::Female, "Black"),
    ("20170109150557335", Sex::Female, "Indian"),
    ("20170116174525125", Sex::Male, "Black"),
    ("20170116184028385", Sex::Female, "White"),
];

/// Parses a file name `age_gender_race_time.*`. In names with three fields, such as
/// `39_1_20170116174525125.jpg`, nobody can say whether the second is the sex or the race:
/// they are kept for their ages, and the published ones are corrected.
fn parse(file: &str) -> Result<Sample, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let fields: Vec<&str> = name.split('_').collect();
    let (age, gender, race, time) = match fields[..] {
        [age, gender, race, time] => (age, gender, Some(race), time),
        [age, _, time] => (age, "", None, time),
        _ => return Err("expected a name like age_gender_race_time.jpg".to_owned()),
    };
    let years = values::whole_age(age)?;
    // A few published names have a space after the time, or no dot.
    let time = &time[..time.bytes().take_while(u8::is_ascii_digit).count()];
    if time.len() < 8 {
        return Err("missing time stamp in the name".to_owned());
    }
    let sample = Sample {
        group: Some(time.to_owned()),
        ..Sample::new(file, Split::of_key(time)).with(Task::Age, Annotation::value(years))
    };
    if let Some((_, sex, race)) = CORRECTIONS.iter().find(|(published, ..)| *published == time) {
        return Ok(Sample { sex: Some(*sex), race: Some((*race).to_owned()), ..sample });
    }
    let sex = match gender {
        "" => None,
        "0" => Some(Sex::Male),
        "1" => Some(Sex::Female),
        _ => {
            return Err(format!("invalid gender `{gender}`: expected 0 (male) or 1 (female)"));
        }
    };
    let race = match race {
        None => None,
        Some(race) => match race.parse::<usize>().ok().and_then(|i| RACES.get(i)) {
            Some(name) => Some((*name).to_owned()),
            None => return Err(format!("invalid race `{race}`: expected a number from 0 to 4")),
        },
    };
    Ok(Sample { sex, race, ..sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_with_any_extension() {
        for ending in [".jpg", ".jpg.chip.jpg", ".jpg.chip.webp", ".png", " .jpg", "jpg.chip.jpg"] {
            let s = parse(&format!("part1/26_1_3_20170116200018422{ending}")).unwrap();
            assert_eq!(
                (s.annotation(Task::Age), s.sex),
                (Some(&Annotation::value(26.0)), Some(Sex::Female))
            );
            assert_eq!(s.race.as_deref(), Some("Indian"));
            assert_eq!(s.group.as_deref(), Some("20170116200018422"));
        }
        for name in ["61_0_20170109142408000.jpg.chip.jpg", "61__0_20170116184028000.jpg"] {
            let incomplete = parse(name).unwrap();
            assert_eq!(incomplete.annotation(Task::Age), Some(&Annotation::value(61.0)));
            assert_eq!(incomplete.sex, None);
        }
        for name in ["61_3_20170109150557335.jpg", "61_1_20170109150557335.jpg.chip.jpg"] {
            let corrected = parse(name).unwrap();
            assert_eq!(
                (corrected.sex, corrected.race.as_deref()),
                (Some(Sex::Female), Some("Indian"))
            );
        }
        let corrected = parse("53__0_20170116184028385.jpg").unwrap();
        assert_eq!(corrected.annotation(Task::Age), Some(&Annotation::value(53.0)));
        assert_eq!((corrected.sex, corrected.race.as_deref()), (Some(Sex::Female), Some("White")));
    }

    #[test]
    fn malformed_names_are_refused_with_the_reason() {
        for (name, part) in [
            ("portrait.jpg", "age_gender_race_time"),
            ("x_1_3_20170116200018422.jpg", "invalid age `x`"),
            ("-4_1_3_20170116200018422.jpg", "invalid age `-4`"),
            ("+4_1_3_20170116200018422.jpg", "invalid age `+4`"),
            ("999_1_3_20170116200018422.jpg", "invalid age `999`"),
            ("26_2_3_20170116200018422.jpg", "invalid gender `2`"),
            ("26_1_7_20170116200018422.jpg", "invalid race `7`"),
            ("26_1_3_.jpg", "missing time stamp"),
            ("26_1_3_1_20170116200018422.jpg", "age_gender_race_time"),
        ] {
            let reason = parse(name).unwrap_err();
            assert!(reason.contains(part), "{name}: {reason}");
        }
    }

    #[test]
    fn a_folder_without_a_table_is_read_in_order_with_photographs_grouped() {
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
    fn a_table_sets_split_and_group() {
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
        assert!(set.problems[0].file.ends_with(", line 4"), "{:?}", set.problems);
        assert!(set.problems[0].reason.contains("seven.jpg"));
    }

    #[test]
    fn the_real_set_is_read() {
        let Some(data) = crate::shared_data("utkface") else { return };
        let set = load(&data, None).unwrap();
        assert_eq!(set.problems, []);
        assert_eq!(set.samples.len(), 20_761);
        assert_eq!(Split::ALL.map(|s| set.count(s)), [16_162, 2_261, 2_338]);
        assert_eq!(set.samples.iter().filter(|s| s.race.is_none()).count(), 0);
        let mut split_of = std::collections::HashMap::new();
        for s in &set.samples {
            assert!((1.0..=116.0).contains(&s.annotation(Task::Age).unwrap().mean()), "{s:?}");
            let group = s.group.clone().unwrap();
            assert_eq!(*split_of.entry(group).or_insert(s.split), s.split, "{s:?}");
            assert!(data.join(&s.file).is_file(), "{s:?}");
        }
    }
}
