//! Expands path arguments to a list of picture files, without opening the files.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dldl_face::{PICTURE_EXTENSIONS, has_picture_extension};
use walkdir::{DirEntry, WalkDir};

/// A picture file, or a path that has none.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub path: PathBuf,
    /// Why the path cannot be used, if that is known already.
    pub problem: Option<String>,
}

impl Input {
    fn failed(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: Some(problem.into()) }
    }

    /// The name in the output. Bytes that are not UTF-8 become U+FFFD.
    pub fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// Expands the arguments to files, in order: a folder to the pictures in it and its
/// subfolders (sorted by name, without hidden ones and without the folder `skip`), `-`
/// to the paths listed on stdin.
///
/// # Errors
/// If stdin cannot be read.
pub fn expand(arguments: &[PathBuf], skip: Option<&Path>) -> Result<Vec<Input>> {
    let skip = skip.and_then(|dir| dir.canonicalize().ok());
    let mut inputs = Vec::new();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            let mut list = Vec::new();
            std::io::stdin().read_to_end(&mut list).context("cannot read the list on stdin")?;
            for path in paths(&list) {
                add(&path, skip.as_deref(), &mut inputs);
            }
        } else {
            add(argument, skip.as_deref(), &mut inputs);
        }
    }
    Ok(inputs)
}

/// The paths in a list: one per line, or separated by NUL if the list contains one (as
/// `find -print0` writes them). Empty ones are skipped.
fn paths(list: &[u8]) -> Vec<PathBuf> {
    let end = if list.contains(&0) { 0 } else { b'\n' };
    let line = |line: &[u8]| {
        let line = if end == b'\n' { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        (!line.is_empty()).then(|| path(line))
    };
    list.split(|&b| b == end).filter_map(line).collect()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn add(path: &Path, skip: Option<&Path>, inputs: &mut Vec<Input>) {
    if !path.is_dir() {
        inputs.push(Input { path: path.to_owned(), problem: None });
        return;
    }
    let before = inputs.len();
    let wanted = |entry: &DirEntry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let skipped = || entry.path().canonicalize().is_ok_and(|p| Some(p.as_path()) == skip);
        entry.depth() == 0 || !(hidden || entry.file_type().is_dir() && skipped())
    };
    // Links are followed; walkdir reports one that leads back up as an error.
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() || !has_picture_extension(entry.path()) => {}
            Ok(entry) => inputs.push(Input { path: entry.into_path(), problem: None }),
            Err(e) if e.loop_ancestor().is_some() => {}
            Err(e) => {
                let at = e.path().unwrap_or(path).to_owned();
                let reason = e.io_error().map_or_else(|| e.to_string(), ToString::to_string);
                // A broken link is reported only if it has a picture's extension.
                if has_picture_extension(&at)
                    || at.symlink_metadata().is_ok_and(|m| !m.is_symlink())
                {
                    inputs.push(Input::failed(&at, format!("cannot be read: {reason}")));
                }
            }
        }
    }
    if inputs.len() == before {
        let what = format!("no pictures in this folder ({})", PICTURE_EXTENSIONS.join(", "));
        inputs.push(Input::failed(path, what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_at_newlines_or_nul() {
        let names = |list: &[u8]| {
            let paths = paths(list);
            paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(b"a.jpg\r\nb c.jpg\n\n"), ["a.jpg", "b c.jpg"]);
        assert_eq!(names(b"a\nb.jpg\0c.jpg\0"), ["a\nb.jpg", "c.jpg"]);
        assert_eq!(names(b""), [""; 0]);
    }

    #[test]
    fn folders_are_walked_in_order_without_hidden_and_skipped_ones() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["b", "out", ".cache", "empty.jpg"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        for file in ["c.PNG", "a.jpg", "b/z.webp", "out/a.jpg", ".cache/x.jpg", ".y.jpg", "n.txt"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        let out = dir.path().join("out");
        let found = expand(&[dir.path().to_owned()], Some(&out)).unwrap();
        let names: Vec<&Path> =
            found.iter().map(|i| i.path.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(names, ["a.jpg", "b/z.webp", "c.PNG"].map(Path::new));
        assert!(found.iter().all(|i| i.problem.is_none()));

        let empty = expand(&[dir.path().join("empty.jpg")], None).unwrap();
        assert!(empty[0].problem.as_deref().unwrap().contains("no pictures"), "{empty:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_broken_ones_reported() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("up")).unwrap();
        symlink("nowhere", dir.path().join("broken.jpg")).unwrap();
        symlink("nowhere", dir.path().join("broken.txt")).unwrap();
        std::fs::write(dir.path().join("a.jpg"), b"").unwrap();
        let found = expand(&[dir.path().to_owned()], None).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].path.ends_with("a.jpg"), &found[0].problem), (true, &None));
        assert!(found[1].path.ends_with("broken.jpg") && found[1].problem.is_some());
    }
}
