//! The adapters for pictures without labels of ages: a folder per person, to
//! learn who it is, and a plain list, to learn from a teacher's embeddings.

use std::path::Path;

use crate::files::sorted_pictures;
use crate::{DataError, Dataset, Format, Sample, Split};

/// A folder per person.
pub const FORMAT: Format = Format {
    name: "people",
    about: "a folder per person with pictures in it (MS-Celeb, VGGFace2, CASIA), for `dldl pretrain`",
    tasks: &[],
    splits: "a tenth of everyone's pictures but their first for validation, none for testing",
    folds: &[],
    citation: "Guo et al.: MS-Celeb-1M, ECCV 2016, or whoever published the folders",
    terms: "those of the publisher; MS-Celeb-1M was withdrawn by its own",
    load: people,
};

/// A list of pictures.
pub const LIST: Format = Format {
    name: "list",
    about: "a list of pictures, one a line (pictures.txt), for `dldl pretrain` with a teacher",
    tasks: &[],
    splits: "a tenth for validation by a hash of the name, none for testing",
    folds: &[],
    citation: "the owner of the pictures",
    terms: "those of the owner",
    load: list,
};

/// Reads the pictures in the folders of `root`; the folder's path is the
/// person. The first picture of a person is for training, and so are those of
/// the others that [`Split::of_key`] does not call `val`: nobody is in the
/// validation part who is not learned.
///
/// # Errors
/// A folder cannot be read, or there is a table, which has no meaning here.
fn people(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    if let Some(table) = labels {
        return Err(DataError::table(table, "people are told apart by their folders, not a table"));
    }
    let mut samples: Vec<Sample> = Vec::new();
    for file in sorted_pictures(root)? {
        // Pictures beside the folders are nobody's.
        let Some((person, _)) = file.rsplit_once('/') else { continue };
        let known = samples.last().is_some_and(|last| last.identity.as_deref() == Some(person));
        let split = if known { Split::of_train_key(&file) } else { Split::Train };
        let identity = Some(person.to_owned());
        samples.push(Sample { identity, ..Sample::new(file, split) });
    }
    Ok(Dataset::new(FORMAT.name, root, samples))
}

/// Reads a list of paths relative to `root`, by default `pictures.txt` there.
/// One in ten is for validation, by [`Split::of_key`].
///
/// # Errors
/// The list cannot be read.
fn list(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("pictures.txt");
    let path = labels.unwrap_or(&default);
    let text = std::fs::read_to_string(path).map_err(DataError::io(path))?;
    let sample = |line: &str| Sample::new(line, Split::of_train_key(line));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let samples = lines.map(sample).collect();
    Ok(Dataset::new(LIST.name, root, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_people_and_everyone_is_learned() {
        let dir = tempfile::tempdir().unwrap();
        for person in 0..30 {
            let folder = dir.path().join(format!("p{person:02}"));
            std::fs::create_dir(&folder).unwrap();
            for picture in 0..5 {
                std::fs::write(folder.join(format!("{picture}.jpg")), b"").unwrap();
            }
        }
        std::fs::write(dir.path().join("beside.jpg"), b"").unwrap();
        let set = crate::load("people", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 150);
        assert_eq!(set.samples[0].identity.as_deref(), Some("p00"));
        assert!(set.samples.iter().step_by(5).all(|s| s.split == Split::Train));
        assert!((4..30).contains(&set.count(Split::Val)), "{}", set.count(Split::Val));
        assert_eq!(set.count(Split::Test), 0);
        assert!(crate::load("people", dir.path(), Some(Path::new("x.csv"))).is_err());
    }

    #[test]
    fn lists_are_lists() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pictures.txt"), "b/a.jpg\n\n c.png\n").unwrap();
        let set = crate::load("list", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["b/a.jpg", "c.png"]);
        assert!(crate::load("list", &dir.path().join("no"), None).is_err());
    }
}
