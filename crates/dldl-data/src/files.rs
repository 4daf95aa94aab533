//! Finding the picture files in a folder, and looking one up by name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use dldl_face::has_picture_extension;
use walkdir::WalkDir;

use crate::DataError;

/// The picture files in `root/inner` and the folders below it, sorted, as paths
/// relative to `root` with `/` between folders. Symbolic links are followed.
///
/// # Errors
/// A folder cannot be read, or a symbolic link leads back to a folder that contains it.
pub(crate) fn pictures(root: &Path, inner: &str) -> Result<Vec<String>, DataError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root.join(inner)).follow_links(true) {
        let path = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => entry.into_path(),
            Err(e) => unresolved(e)?,
        };
        if has_picture_extension(&path) {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            files.push(parts.join("/"));
        }
    }
    files.sort();
    Ok(files)
}

/// A link to a file that does not exist is an entry like any other: whoever opens
/// the picture reports it.
fn unresolved(error: walkdir::Error) -> Result<PathBuf, DataError> {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    if let Some(ancestor) = error.loop_ancestor() {
        return Err(DataError::SymlinkLoop { path, ancestor: ancestor.to_owned() });
    }
    let dangling = error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    if dangling && path.is_symlink() {
        return Ok(path);
    }
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("unknown error"));
    Err(DataError::Io { path, source })
}

/// The picture files of a folder by file name, without folders and extension, in
/// lower case: a copy of a dataset may use another picture format than its tables
/// say, and publishers rearrange folders between releases.
pub(crate) struct Index {
    by_name: HashMap<String, Vec<String>>,
}

impl Index {
    /// Indexes the picture files below `root`.
    pub(crate) fn new(root: &Path) -> Result<Index, DataError> {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for file in pictures(root, "")? {
            by_name.entry(key(&file)).or_default().push(file);
        }
        Ok(Index { by_name })
    }

    /// All pictures with this name, sorted by path.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.by_name.get(&key(name)).map_or(&[], Vec::as_slice)
    }

    /// The picture with this name. Of several, the first one below a folder whose
    /// name begins with `folder` (in lower case), else the first.
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
    stem(name).to_ascii_lowercase()
}

/// The name of a file without folders and extension.
pub(crate) fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
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
        let index = Index::new(dir.path()).unwrap();
        assert_eq!(index.find("1.jpg", "train"), Some("Train/1.JPG"));
        assert_eq!(index.find("1.jpg", "valid"), Some("Valid/1.jpg"));
        assert_eq!(index.find("1.jpg", "test"), Some("Train/1.JPG"));
        assert_eq!(index.find("Album2\\2.JPG", ""), Some("Valid/deep/2.webp"));
        assert_eq!(index.find("notes.txt", ""), None);
        assert_eq!(pictures(dir.path(), "Valid").unwrap(), ["Valid/1.jpg", "Valid/deep/2.webp"]);
        assert!(Index::new(&dir.path().join("no")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_loops_are_errors() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("set/a")).unwrap();
        std::fs::create_dir(at("elsewhere")).unwrap();
        std::fs::write(at("elsewhere/1.jpg"), b"").unwrap();
        symlink(at("elsewhere"), at("set/linked")).unwrap();
        symlink(at("gone.jpg"), at("set/a/dangling.jpg")).unwrap();
        let found = pictures(&at("set"), "").unwrap();
        assert_eq!(found, ["a/dangling.jpg", "linked/1.jpg"]);
        symlink(at("set"), at("set/a/loop")).unwrap();
        let error = pictures(&at("set"), "").unwrap_err();
        let DataError::SymlinkLoop { path, ancestor } = error else { panic!("{error}") };
        assert_eq!((path, ancestor), (at("set/a/loop"), at("set")));
    }
}
