//! The picture files below a folder: listing them, and finding one by the name
//! that a table of labels gives it.

use std::collections::HashMap;
use std::path::Path;

use dldl_face::has_picture_extension;

use crate::DataError;

/// Adds the picture files below `root/inner`, as paths relative to `root`.
pub(crate) fn pictures(root: &Path, inner: &str, found: &mut Vec<String>) -> Result<(), DataError> {
    let folder = root.join(inner);
    for entry in std::fs::read_dir(&folder).map_err(DataError::io(&folder))? {
        let entry = entry.map_err(DataError::io(&folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
        if entry.path().is_dir() {
            pictures(root, &path, found)?;
        } else if has_picture_extension(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// The picture files below `root` in the order of their paths.
pub(crate) fn sorted_pictures(root: &Path) -> Result<Vec<String>, DataError> {
    let mut files = Vec::new();
    pictures(root, "", &mut files)?;
    files.sort();
    Ok(files)
}

/// The pictures below a folder by their names without folders and endings, in
/// lower case: tables say `.jpg` where a copy of the set holds another format,
/// and publishers change their folders from one archive to the next.
pub(crate) struct Index {
    by_name: HashMap<String, Vec<String>>,
}

impl Index {
    /// Lists the pictures below `root`.
    pub(crate) fn below(root: &Path) -> Result<Index, DataError> {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for file in sorted_pictures(root)? {
            by_name.entry(key(&file)).or_default().push(file);
        }
        Ok(Index { by_name })
    }

    /// All pictures of this name, in the order of their paths.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.by_name.get(&key(name)).map_or(&[], Vec::as_slice)
    }

    /// The picture of this name; of several, the first one below a folder whose
    /// name begins with `folder` (in lower case), or else the first.
    pub(crate) fn find(&self, name: &str, folder: &str) -> Option<&str> {
        let found = self.all(name);
        let inside = |file: &&String| {
            file.split('/').rev().skip(1).any(|f| f.to_ascii_lowercase().starts_with(folder))
        };
        found.iter().find(inside).or(found.first()).map(String::as_str)
    }
}

fn key(file: &str) -> String {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_in_any_folder_and_format() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["Train/1.JPG", "Valid/1.jpg", "Valid/deep/2.webp", "Valid/notes.txt"] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        let index = Index::below(dir.path()).unwrap();
        assert_eq!(index.find("1.jpg", "train"), Some("Train/1.JPG"));
        assert_eq!(index.find("1.jpg", "valid"), Some("Valid/1.jpg"));
        assert_eq!(index.find("1.jpg", "test"), Some("Train/1.JPG"));
        assert_eq!(index.find("Album2\\2.JPG", ""), Some("Valid/deep/2.webp"));
        assert_eq!(index.find("notes.txt", ""), None);
        assert!(Index::below(&dir.path().join("no")).is_err());
    }
}
