//! Chicago Face Database (Ma, Correll, Wittenbrink, 2015): 597 people in a studio,
//! whose neutral pictures are rated from 1 to 7.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::{pictures, stem};
use crate::format::{LabelInfo, age, attractiveness};
use crate::sheet::{self, Line};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split, values};

const SCORES: LabelInfo = attractiveness(7.0, "mean rating only, sigma assumed", 0.75);

/// The published workbook next to the pictures.
pub const FORMAT: Format = Format {
    name: "cfd",
    about: "CFD 2 or 3: `CFD ... Norming Data ....xlsx` (or .csv) and pictures like \
            CFD-AF-200-228-N.jpg below ROOT",
    tasks: &[SCORES, age("mean of the raters' guesses only, sigma assumed")],
    splits: "none published; 80/10/10 by a hash of the person",
    folds: &[],
    citation: "Ma, Correll, Wittenbrink: The Chicago Face Database: A free stimulus set of faces \
               and norming data, Behavior Research Methods 47, 2015",
    terms: "non-commercial research",
    load,
};

const COLUMNS: [&str; 5] =
    ["Model|Target", "Attractive", "AgeRated|Age", "GenderSelf|Gender", "EthnicitySelf|Race"];

/// Reads `labels`, or the table in `root` whose name contains `Norming Data`. In a
/// workbook, it uses the first sheet with the columns, which is that of the main set.
/// The extensions (multiracial and Indian people) have later sheets; the raters of the
/// Indian set answered another question, so their scores are not comparable. Only the
/// neutral pictures are rated: other expressions are left out.
///
/// # Errors
/// The table cannot be read, or no sheet has the columns.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let table = match labels {
        Some(table) => table.to_owned(),
        None => table(root)?,
    };
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let mut neutral: HashMap<String, String> = HashMap::new();
    for file in pictures(root, "")? {
        match model(&file) {
            Some((model, "N")) => {
                neutral.insert(model, file);
            }
            Some(_) => {
                let reason = "only neutral pictures are rated".to_owned();
                set.left_out.push(Problem { file, reason });
            }
            None => {
                let reason = "expected a name like CFD-AF-200-228-N.jpg".to_owned();
                set.problems.push(Problem { file, reason });
            }
        }
    }
    let sheets = sheet::read(&table)?;
    let lines = sheets.iter().find_map(|sheet| sheet.select(&COLUMNS, 2));
    let lines = lines.ok_or_else(|| {
        DataError::table(&table, "no sheet has the columns `Model` and `Attractive`")
    })?;
    // The line below the header has no model.
    for line in lines.into_iter().filter(|line| line.cells[0].is_some()) {
        match rated(&mut neutral, &line) {
            Ok(sample) => set.samples.push(sample),
            Err(reason) => set.problems.push(Problem { file: line.place, reason }),
        }
    }
    let mut rest: Vec<String> = neutral.into_values().collect();
    rest.sort();
    let unrated = |file| Problem { file, reason: "no rating in the table".to_owned() };
    set.left_out.extend(rest.into_iter().map(unrated));
    Ok(set)
}

/// The published table of the main set. A workbook takes precedence over an export.
fn table(root: &Path) -> Result<PathBuf, DataError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(DataError::io(root))? {
        let path = entry.map_err(DataError::io(root))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        // Exports of the extensions are named CFD-MR ... and CFD-I ....
        let main = name.starts_with("CFD ") && name.contains("Norming Data");
        if main && ["xlsx", "csv"].contains(&ending.as_str()) {
            found.push((ending == "csv", path));
        }
    }
    found.sort();
    let reason = "no table with a name like `CFD ... Norming Data ....xlsx`";
    let first = found.into_iter().next().map(|(_, table)| table);
    first.ok_or_else(|| DataError::table(root, reason))
}

/// The model and the expression in a file name: `AF-200` and `N` in
/// `CFD-AF-200-228-N.jpg`.
fn model(file: &str) -> Option<(String, &str)> {
    let parts: Vec<&str> = stem(file).split('-').collect();
    let (kind, number) = (*parts.get(1)?, *parts.get(2)?);
    let expression = *parts.last()?;
    let known = parts[0] == "CFD" && kind.len() == 2 && number.parse::<u32>().is_ok();
    (known && parts.len() >= 5).then(|| (format!("{kind}-{number}"), expression))
}

fn rated(neutral: &mut HashMap<String, String>, line: &Line) -> Result<Sample, String> {
    let model = line.cells[0].ok_or("missing `Model`")?;
    let score = values::score_of(&SCORES, line.cells[1].ok_or("missing `Attractive`")?)?;
    let years = line.age(2)?;
    let sex = match line.cells[3] {
        Some("F") => Some(Sex::Female),
        Some("M") => Some(Sex::Male),
        _ => None,
    };
    let race = match line.cells[4] {
        Some("A") => Some("Asian"),
        Some("B") => Some("Black"),
        Some("L") => Some("Latino"),
        Some("W") => Some("White"),
        other => other,
    };
    let file =
        neutral.remove(model).ok_or_else(|| format!("there is no neutral picture of {model}"))?;
    let sample = Sample::new(file, Split::of_key(model));
    let group = Some(model.to_owned());
    let mut sample = Sample { sex, race: race.map(str::to_owned), group, ..sample }
        .with(Task::Attractiveness, Annotation::value(score));
    if let Some(years) = years {
        sample = sample.with(Task::Age, Annotation::value(years));
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "Images/CFD/AF-200/CFD-AF-200-228-N.jpg",
            "Images/CFD/BM-001/CFD-BM-001-014-N.jpg",
            "Images/CFD/BM-001/CFD-BM-001-015-HO.jpg",
            "Images/CFD-INDIA/CFD-IF-601-519-N.jpg",
            "Images/cover.jpg",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        dir
    }

    /// The workbook is written by openpyxl (tools/fixtures_tables.py). The header is in
    /// line 8 of the second sheet, followed by an empty line, AF-200, BM-001, WF-003 without a
    /// picture and LM-204 without a score.
    #[test]
    fn the_main_set_is_read_from_the_published_workbook() {
        let dir = root();
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cfd.xlsx");
        let name = "CFD 3.0 Norming Data and Codebook.xlsx";
        std::fs::copy(book, dir.path().join(name)).unwrap();
        std::fs::write(dir.path().join("CFD-MR U.S. Norming Data.csv"), "nothing").unwrap();
        let set = crate::load("cfd", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 2);
        let first = &set.samples[0];
        assert_eq!(first.file, "Images/CFD/AF-200/CFD-AF-200-228-N.jpg");
        assert_eq!(first.annotation(Task::Attractiveness), Some(&Annotation::value(4.111111)));
        assert_eq!(first.annotation(Task::Age), Some(&Annotation::value(32.571429)));
        assert_eq!((first.sex, first.race.as_deref()), (Some(Sex::Female), Some("Asian")));
        let reasons: Vec<&str> = set.problems.iter().map(|p| p.reason.as_str()).collect();
        assert!(reasons[0].contains("expected a name like"), "{reasons:?}");
        assert!(reasons[1].contains("no neutral picture of WF-003"), "{reasons:?}");
        assert!(reasons[2].contains("missing `Attractive`"), "{reasons:?}");
        let left: Vec<&str> = set.left_out.iter().map(|p| p.file.as_str()).collect();
        let expected =
            ["Images/CFD/BM-001/CFD-BM-001-015-HO.jpg", "Images/CFD-INDIA/CFD-IF-601-519-N.jpg"];
        assert_eq!(left, expected);
    }

    #[test]
    fn older_column_names_and_csv_exports_are_read() {
        let dir = root();
        let table = "Target,Race,Gender,Age,NumberofRaters,Attractive\n\
            AF-200,A,F,32.5,28,4.25\nBM-001,B,M,27,30,9\n";
        std::fs::write(dir.path().join("CFD 2.0.3 Norming Data.csv"), table).unwrap();
        let set = crate::load("cfd", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 1);
        assert_eq!(set.samples[0].annotation(Task::Age), Some(&Annotation::value(32.5)));
        assert!(
            set.problems[1].reason.contains("score `9`: expected a number from 1 to 7"),
            "{:?}",
            set.problems
        );
        std::fs::remove_file(dir.path().join("CFD 2.0.3 Norming Data.csv")).unwrap();
        let message = crate::load("cfd", dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("Norming Data"), "{message}");
    }
}
