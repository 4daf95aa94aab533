//! LAGENDA (Kuprashevich, Tolstykh, 2023): photographs of Open Images with ages by many
//! people's votes, a test set.

use std::collections::BTreeMap;
use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::age;
use crate::table::for_each_row;
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split, values};

/// The published table.
pub const FORMAT: Format = Format {
    name: "lagenda",
    about: "lagenda_annotation.csv (img_name,age,gender,face_x0,...) next to the pictures; of \
            pictures with several faces none is used",
    tasks: &[age("the guesses of at least ten people, combined")],
    splits: "all are test",
    folds: &[],
    citation: "Kuprashevich, Tolstykh: MiVOLO: Multi-input transformer for age and gender \
               estimation, 2023",
    terms: "CC BY-SA 4.0",
    load,
};

/// Reads `labels` or `lagenda_annotation.csv` in `root`. A row is a person. Pictures with
/// several faces are left out, because the largest face need not be the one with the age.
///
/// # Errors
/// The table cannot be read, or lacks a column.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("lagenda_annotation.csv");
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    // By picture: how many faces, and the one with an age.
    let mut pictures: BTreeMap<String, (usize, Option<Sample>)> = BTreeMap::new();
    let required = ["img_name", "age", "face_x0"];
    for_each_row(labels.unwrap_or(&default), &required, &mut set.problems, |row| {
        let file = row.required("img_name")?;
        // -1: a person whose face is not seen, or whose age nobody was asked for.
        if row.cell("face_x0").is_none_or(|x| x == "-1") {
            return Ok(());
        }
        let (faces, sample) = pictures.entry(file.to_owned()).or_default();
        *faces += 1;
        if let Some(years) = row.cell("age").filter(|age| !["-1", "-1.0"].contains(age)) {
            let sex = match row.cell("gender") {
                Some("M") => Some(Sex::Male),
                Some("F") => Some(Sex::Female),
                _ => None,
            };
            let annotation = Annotation::value(values::age(years)?);
            let found = Sample::new(file, Split::Test).with(Task::Age, annotation);
            *sample = Some(Sample { sex, ..found });
        }
        Ok(())
    })?;
    for (file, (faces, sample)) in pictures {
        let reason = match (faces, sample) {
            (1, Some(sample)) => {
                set.samples.push(sample);
                continue;
            }
            (1, None) => "no age",
            _ => "several faces",
        };
        set.left_out.push(Problem { file, reason: reason.to_owned() });
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_with_one_face_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let table = "img_name,age,gender,face_x0,face_y0,face_x1,face_y1,person_x0\n\
            test/a.jpg,31,F,1,2,3,4,0\ntest/b.jpg,20,M,1,2,3,4,0\ntest/b.jpg,-1,,5,6,7,8,0\n\
            test/c.jpg,-1,,1,2,3,4,0\ntest/a.jpg,-1,,-1,-1,-1,-1,9\ntest/d.jpg,x,,1,2,3,4,0\n";
        std::fs::write(dir.path().join("lagenda_annotation.csv"), table).unwrap();
        let set = crate::load("lagenda", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 1);
        let a = &set.samples[0];
        assert_eq!(
            (a.file.as_str(), a.sex, a.split),
            ("test/a.jpg", Some(Sex::Female), Split::Test)
        );
        assert_eq!(a.annotation(Task::Age), Some(&Annotation::value(31.0)));
        let reasons: Vec<&str> = set.left_out.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(reasons, ["several faces", "no age", "no age"]);
        assert_eq!(set.problems.len(), 1);
    }
}
