//! FG-NET (Lanitis, Cootes, 2002): 82 people at several ages, with file names like
//! `001A02.JPG` (person 1, 2 years). A letter distinguishes pictures of the same age
//! (`010A07b.JPG`).

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::stem;
use crate::format::{SINGLE_AGE, age};
use crate::values::is_digits;
use crate::{Format, Sample, Split, values};

/// The pictures, in any folder.
pub const FORMAT: Format = Format {
    name: "fg-net",
    about: "FG-NET: pictures named like 001A02.JPG (person 001, 2 years) in ROOT/images or anywhere \
            below ROOT",
    tasks: &[age(SINGLE_AGE)],
    splits: "none published; 80/10/10 by a hash of the person. Customary: leave-out:PERSON for each \
             of 82 people",
    folds: &[],
    citation: "Lanitis, Taylor, Cootes: Toward automatic simulation of aging effects on face \
               images, PAMI 24(4), 2002",
    terms: "research",
    load: |root, labels| file_names::load("fg-net", root, labels, parse),
};

fn parse(file: &str) -> Result<Sample, String> {
    let wrong = || "expected a name like 001A02.JPG".to_owned();
    let (person, rest) = stem(file).split_once(['A', 'a']).ok_or_else(wrong)?;
    let years = rest.strip_suffix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest);
    if !is_digits(person) || !is_digits(years) {
        return Err(wrong());
    }
    let years = values::whole_age(years)?;
    let sample = Sample::new(file, Split::of_key(person));
    Ok(Sample { group: Some(person.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(years)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn file_names_are_parsed_and_one_person_is_left_out() {
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
        assert!(table.unwrap_err().to_string().contains("not from a table"));
    }
}
