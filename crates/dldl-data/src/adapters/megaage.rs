//! MegaAge-Asian (Zhang, Liu, Li, Loy, BMVC 2017): 43,945 faces, lists of names and ages.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::age;
use crate::table::place;
use crate::{DataError, Dataset, Format, Problem, Sample, Split, values};

/// The published lists next to `train/` and `test/`.
pub const FORMAT: Format = Format {
    name: "megaage-asian",
    about: "list/{train,test}_name.txt and list/{train,test}_age.txt next to train/ and test/",
    tasks: &[age("single value; the posterior of comparisons with other faces is not published")],
    splits: "the published test; a tenth of the published train is val",
    folds: &[],
    citation: "Zhang, Liu, Li, Loy: Quantifying facial age by posterior of age comparisons, BMVC 2017",
    terms: "non-commercial research",
    load,
};

/// Reads the lists in `labels`, by default the folder `list` in `root`. A name and its age
/// are on the same line of two files.
///
/// # Errors
/// A list cannot be read, or two lists have different lengths.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("list");
    let lists = labels.unwrap_or(&default);
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    for part in ["train", "test"] {
        let (names, ages) =
            (lists.join(format!("{part}_name.txt")), lists.join(format!("{part}_age.txt")));
        let read = |path: &Path| std::fs::read_to_string(path).map_err(DataError::io(path));
        let (name_text, age_text) = (read(&names)?, read(&ages)?);
        let lines = |text: &str| text.lines().map(str::trim).filter(|l| !l.is_empty()).count();
        if lines(&name_text) != lines(&age_text) {
            let reason = format!(
                "{} ages for {} names in {}",
                lines(&age_text),
                lines(&name_text),
                names.display()
            );
            return Err(DataError::table(&ages, reason));
        }
        let filled =
            |text| str::lines(text).map(str::trim).enumerate().filter(|(_, l)| !l.is_empty());
        for ((_, name), (i, years)) in filled(&name_text).zip(filled(&age_text)) {
            let file = format!("{part}/{name}");
            match values::age(years) {
                Ok(years) => {
                    let split =
                        if part == "test" { Split::Test } else { Split::of_train_key(&file) };
                    let sample = Sample::new(file, split);
                    set.samples.push(sample.with(Task::Age, Annotation::value(years)));
                }
                Err(reason) => set.problems.push(Problem { file: place(&ages, i + 1), reason }),
            }
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ages_are_paired() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("list")).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join("list").join(name), text).unwrap();
        };
        write("train_name.txt", "1.jpg\n2.jpg\n");
        write("train_age.txt", "4\nx\n");
        write("test_name.txt", "1.jpg\n");
        write("test_age.txt", "61\n");
        let set = load(dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["train/1.jpg", "test/1.jpg"]);
        assert_eq!(set.samples[1].annotation(Task::Age), Some(&Annotation::value(61.0)));
        assert_eq!((set.samples[1].split, set.problems.len()), (Split::Test, 1));
        assert!(set.problems[0].file.ends_with("train_age.txt, line 2"));
        write("test_age.txt", "61\n3\n");
        let message = load(dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("2 ages for 1 names"), "{message}");
    }
}
