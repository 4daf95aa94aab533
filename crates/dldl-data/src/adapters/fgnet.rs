//! The adapter for FG-NET (Lanitis, Cootes, 2002): 82 people over the years,
//! pictures named `001A02.JPG` for person 1 at 2 years, `010A07b.JPG` where there
//! are several.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::sorted_pictures;
use crate::format::{ONE_AGE, age};
use crate::{DataError, Dataset, Format, Problem, Sample, Split};

/// The pictures, in whatever folder.
pub const FORMAT: Format = Format {
    name: "fg-net",
    about: "FG-NET: pictures named 001A02.JPG (person 001 at 2 years) in ROOT/images or anywhere \
            below ROOT",
    tasks: &[age(ONE_AGE)],
    splits: "none published; 80/10/10 by a hash of the person. Usual is leave-out:PERSON, once for \
             each of 82",
    folds: &[],
    citation: "Lanitis, Taylor, Cootes: Toward automatic simulation of aging effects on face \
               images, PAMI 24(4), 2002",
    terms: "research",
    load,
};

fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    from_names(FORMAT.name, root, labels, named)
}

/// Reads the pictures below `root`, whose labels are in their paths.
///
/// # Errors
/// A folder cannot be read, or there is a table, which has no meaning here.
pub(crate) fn from_names(
    name: &str,
    root: &Path,
    labels: Option<&Path>,
    parse: fn(&str) -> Result<Sample, String>,
) -> Result<Dataset, DataError> {
    if let Some(table) = labels {
        let reason =
            format!("the labels of {name} are in the names of its pictures, not in a table");
        return Err(DataError::table(table, reason));
    }
    let mut set = Dataset::new(name, root, Vec::new());
    for file in sorted_pictures(root)? {
        match parse(&file) {
            Ok(sample) => set.samples.push(sample),
            Err(reason) => set.problems.push(Problem { file, reason }),
        }
    }
    Ok(set)
}

fn named(file: &str) -> Result<Sample, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let wrong = || "the name is not of the form 001A02.JPG".to_owned();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (person, rest) = stem.split_once(['A', 'a']).ok_or_else(wrong)?;
    // A letter tells pictures of one age apart.
    let years = rest.strip_suffix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(person) || !digits(years) {
        return Err(wrong());
    }
    let years: u8 = years.parse().map_err(|_| wrong())?;
    let sample = Sample::new(file, Split::of_key(person));
    Ok(Sample { group: Some(person.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(f64::from(years))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_over_the_years_and_one_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        for name in
            ["001A02.JPG", "001a05.jpg", "010A07a.JPG", "010A07b.JPG", "notes.jpg", "2A.JPG"]
        {
            std::fs::write(dir.path().join("images").join(name), b"").unwrap();
        }
        std::fs::write(dir.path().join("images/001a02.pts"), b"").unwrap();
        let protocol = "leave-out:010".parse().unwrap();
        let set = crate::load_with("fg-net", dir.path(), None, &protocol).unwrap();
        let seen: Vec<(&str, f64, Split)> = set
            .samples
            .iter()
            .map(|s| {
                (s.group.as_deref().unwrap(), s.annotation(Task::Age).unwrap().mean(), s.split)
            })
            .collect();
        let expected = [
            ("001", 2.0, Split::Train),
            ("001", 5.0, Split::Train),
            ("010", 7.0, Split::Test),
            ("010", 7.0, Split::Test),
        ];
        assert_eq!(seen, expected);
        assert_eq!(set.problems.len(), 2);
        let table = crate::load("fg-net", dir.path(), Some(Path::new("x.csv")));
        assert!(table.unwrap_err().to_string().contains("not in a table"));
    }
}
