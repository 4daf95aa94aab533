//! MORPH Album 2 (Ricanek and Tesafaye, FG 2006), with file names like
//! `009055_1M54.JPG`: person, number of the picture, sex and age.

use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::{Index, pictures, stem};
use crate::format::{LabelInfo, age};
use crate::sheet;
use crate::values::is_digits;
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split, values};

const AGES: LabelInfo = age("single value, sigma of 2 years as in the paper");

/// The published table, or the pictures alone.
pub const FORMAT: Format = Format {
    name: "morph",
    about: "MORPH Album 2: a table morph*.csv (photo,age,gender,race,id_num) and pictures named \
            like 009055_1M54.JPG, or the pictures alone",
    tasks: &[AGES],
    splits: "none published; 80/10/10 by a hash of the person. The paper divides by picture: \
             random:SEED. subjects:5:FOLD keeps people apart",
    folds: &[],
    citation: "Ricanek, Tesafaye: MORPH: A longitudinal image database of normal adult \
               age-progression, FG 2006",
    terms: "a license of the University of North Carolina Wilmington",
    load,
};

/// Reads `labels`, or the only table in `root` whose name begins with `morph` and that has
/// the columns `photo` and `age` (others hold coordinates of eyes), or else the file names of the pictures below `root`. Age and sex are in the file names too: a row
/// that contradicts the name of its picture is a problem.
///
/// # Errors
/// The folder or the table cannot be read, or the table has no columns `photo` and `age`.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let table = match labels {
        Some(table) => Some(table.to_owned()),
        None => table(root)?,
    };
    let Some(table) = table else {
        file_names::add(&mut set, pictures(root, "")?, parse);
        return Ok(set);
    };
    let index = Index::new(root)?;
    let columns = ["photo", "age", "gender", "race", "id_num"];
    let sheets = sheet::read(&table)?;
    let lines = sheets.iter().find_map(|sheet| sheet.select(&columns, 2));
    let lines =
        lines.ok_or_else(|| DataError::table(&table, "there are no columns `photo` and `age`"))?;
    for line in lines {
        match row(root, &index, &line) {
            Ok(sample) => set.samples.push(sample),
            Err(reason) => set.problems.push(Problem { file: line.place, reason }),
        }
    }
    Ok(set)
}

fn table(root: &Path) -> Result<Option<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(DataError::io(root))? {
        let path = entry.map_err(DataError::io(root))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        if name.starts_with("morph") && (name.ends_with(".csv") || name.ends_with(".xlsx")) {
            found.push(path);
        }
    }
    if found.len() > 1 {
        let labels = |path: &PathBuf| {
            let sheets = sheet::read(path).unwrap_or_default();
            sheets.iter().any(|sheet| sheet.select(&["photo", "age"], 2).is_some())
        };
        found.retain(labels);
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        n => {
            let reason = format!("there are {n} tables `morph*`: choose one with --labels");
            Err(DataError::table(root, reason))
        }
    }
}

fn row(root: &Path, index: &Index, line: &sheet::Line) -> Result<Sample, String> {
    let photo = line.cells[0].ok_or("missing `photo`")?.replace('\\', "/");
    let years = line.age(1)?.ok_or("missing `age`")?;
    let sex = match line.cells[2] {
        Some("M") => Some(Sex::Male),
        Some("F") => Some(Sex::Female),
        Some(other) => return Err(format!("invalid gender `{other}`: expected M or F")),
        None => None,
    };
    let race = match line.cells[3] {
        Some("W") => Some("White"),
        Some("B") => Some("Black"),
        Some("A") => Some("Asian"),
        Some("H") => Some("Hispanic"),
        Some("O") => Some("Other"),
        other => other,
    };
    let there = root.join(&photo).is_file().then_some(photo.as_str());
    let file = there.or_else(|| index.find(&photo, "album2")).unwrap_or(&photo).to_owned();
    let rating = Annotation::value(years);
    let (group, sex) = match parse(&photo) {
        Ok(named) => {
            if named.annotation(Task::Age) != Some(&rating) {
                return Err(format!("the age of {years} contradicts the file name {photo}"));
            }
            if sex.is_some() && sex != named.sex {
                return Err(format!("the sex contradicts the file name {photo}"));
            }
            (named.group, named.sex)
        }
        Err(reason) => (Some(line.cells[4].ok_or(reason)?.to_owned()), sex),
    };
    let split = Split::of_key(group.as_deref().unwrap_or(&photo));
    let race = race.map(str::to_owned);
    Ok(Sample { sex, race, group, ..Sample::new(file, split).with(Task::Age, rating) })
}

/// Parses a file name.
fn parse(file: &str) -> Result<Sample, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let wrong = || format!("invalid name `{name}`: expected one like 009055_1M54.JPG");
    let (person, rest) = stem(name).split_once('_').ok_or_else(wrong)?;
    let at = rest.find(['M', 'F']).ok_or_else(wrong)?;
    let (number, years) = (&rest[..at], &rest[at + 1..]);
    if !is_digits(person) || !is_digits(number) || !is_digits(years) {
        return Err(wrong());
    }
    let years = values::whole_age(years)?;
    let sex = if rest.as_bytes()[at] == b'M' { Sex::Male } else { Sex::Female };
    let sample = Sample::new(file, Split::of_key(person));
    Ok(Sample { sex: Some(sex), group: Some(person.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(years)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "id_num,picture_num,dob,doa,race,gender,facial_hair,age,age_diff,glasses,photo\n\
        009055,1,04/02/1949,2003,B,M,,54,0,,Album2/009055_1M54.JPG\n\
        009055,2,04/02/1949,2004,B,M,,55,1,,Album2/009055_2M55.JPG\n\
        012345,0,,,W,F,,30,0,,Album2/012345_0F31.JPG\n\
        012346,0,,,W,F,,33,0,,Album2/012346_0M33.JPG\n\
        012347,0,,,W,F,,,0,,Album2/012347_0F33.JPG\n\
        55,0,,,H,F,,40,0,,Album2/renamed.JPG\n";

    #[test]
    fn rows_that_contradict_file_names_are_problems() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("MORPH_2008_nonCommercial.csv"), TABLE).unwrap();
        let eyes = "id,lefteye_x,lefteye_y,righteye_x,righteye_y\n009055_1M54,1,2,3,4\n";
        std::fs::write(dir.path().join("MORPH_Album2_EYECOORDS.csv"), eyes).unwrap();
        std::fs::create_dir(dir.path().join("aligned")).unwrap();
        std::fs::write(dir.path().join("aligned/009055_2M55.png"), b"").unwrap();
        let set = crate::load("morph", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        let expected = ["Album2/009055_1M54.JPG", "aligned/009055_2M55.png", "Album2/renamed.JPG"];
        assert_eq!(files, expected);
        let first = &set.samples[0];
        assert_eq!(first.annotation(Task::Age), Some(&Annotation::value(54.0)));
        assert_eq!((first.sex, first.race.as_deref()), (Some(Sex::Male), Some("Black")));
        assert_eq!(first.group, set.samples[1].group);
        assert_eq!((first.group.as_deref(), first.split), (Some("009055"), set.samples[1].split));
        assert_eq!(set.samples[2].group.as_deref(), Some("55"));
        let reasons: Vec<&str> = set.problems.iter().map(|p| p.reason.as_str()).collect();
        assert!(reasons[0].contains("age of 30") && reasons[1].contains("sex"), "{reasons:?}");
        assert!(reasons[2].contains("missing `age`"), "{reasons:?}");
    }

    #[test]
    fn without_a_table_file_names_are_parsed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("Album2")).unwrap();
        for file in ["Album2/100000_0F45.JPG", "Album2/x_0F45.JPG", "Album2/100001_01M16.jpg"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        let set = crate::load("morph", dir.path(), None).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (2, 1));
        assert_eq!(set.samples[1].annotation(Task::Age), Some(&Annotation::value(16.0)));
        assert_eq!(set.samples[1].group.as_deref(), Some("100001"));
    }

    /// The paper divides by picture, later benchmarks by person.
    #[test]
    fn protocols_divide_by_picture_or_by_person() {
        let dir = tempfile::tempdir().unwrap();
        for person in 0..40 {
            for picture in 0..4 {
                let name = format!("{person:06}_{picture}M{}.JPG", 20 + picture);
                std::fs::write(dir.path().join(name), b"").unwrap();
            }
        }
        let spread = |protocol: &str| {
            let protocol = protocol.parse().unwrap();
            let set = crate::load_with("morph", dir.path(), None, &protocol).unwrap();
            assert_eq!(set.count(Split::Test), 32, "{protocol}");
            let mut of: std::collections::HashMap<String, Vec<Split>> = Default::default();
            for s in set.samples {
                of.entry(s.group.unwrap()).or_default().push(s.split);
            }
            of.values().filter(|splits| splits.iter().any(|s| *s != splits[0])).count()
        };
        assert_eq!(spread("subjects:5:3"), 0);
        assert!(spread("random:1") > 10);
    }
}
