//! Pictures without age labels, for pretraining: a folder per person (identities as
//! classes), and a plain list (embeddings of a teacher network as targets).

use std::path::Path;

use crate::files::pictures;
use crate::table::for_each_line;
use crate::{DataError, Dataset, Format, Sample, Split};

/// One folder per person.
pub const FORMAT: Format = Format {
    name: "people",
    about: "one folder of pictures per person (MS-Celeb, VGGFace2, CASIA), for `dldl pretrain`",
    tasks: &[],
    splits: "a tenth of each person's pictures except the first is val, no test",
    folds: &[],
    citation: "Guo et al.: MS-Celeb-1M, ECCV 2016, or the publisher of the folders",
    terms: "those of the publisher; MS-Celeb-1M was withdrawn by its publisher",
    load: people,
};

/// A list of pictures.
pub const LIST: Format = Format {
    name: "list",
    about: "a list of pictures, one per line (pictures.txt), for `dldl pretrain` with a teacher",
    tasks: &[],
    splits: "a tenth by a hash of the name is val, no test",
    folds: &[],
    citation: "the owner of the pictures",
    terms: "those of the owner",
    load: list,
};

/// Reads the pictures in the folders of `root`; the path of the folder is the identity.
/// The first picture of each person is for training, so that every identity is trained
/// on; the others are split by [`Split::of_train_key`].
///
/// # Errors
/// A folder cannot be read, or a table of labels is given.
fn people(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    if let Some(table) = labels {
        return Err(DataError::table(
            table,
            "people takes identities from folders, not from a table",
        ));
    }
    let mut samples: Vec<Sample> = Vec::new();
    for file in pictures(root, "")? {
        // Pictures directly in `root` have no identity.
        let Some((person, _)) = file.rsplit_once('/') else { continue };
        let known = samples.last().is_some_and(|last| last.identity.as_deref() == Some(person));
        let split = if known { Split::of_train_key(&file) } else { Split::Train };
        let identity = Some(person.to_owned());
        samples.push(Sample { identity, ..Sample::new(file, split) });
    }
    Ok(Dataset::new(FORMAT.name, root, samples))
}

/// Reads a list of paths relative to `root`, by default `pictures.txt` in `root`, split
/// by [`Split::of_train_key`].
///
/// # Errors
/// The list cannot be read.
fn list(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("pictures.txt");
    let path = labels.unwrap_or(&default);
    let mut set = Dataset::new(LIST.name, root, Vec::new());
    for_each_line(path, &mut set.problems, |line| {
        set.samples.push(Sample::new(line, Split::of_train_key(line)));
        Ok(())
    })?;
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_identities_and_each_is_trained_on() {
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
    fn lists_have_one_picture_per_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pictures.txt"), "b/a.jpg\n\n c.png\n").unwrap();
        let set = crate::load("list", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(files, ["b/a.jpg", "c.png"]);
        assert!(crate::load("list", &dir.path().join("no"), None).is_err());
    }
}
