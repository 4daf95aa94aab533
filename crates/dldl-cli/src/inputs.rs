//! Expands path arguments to a list of pictures, without opening the files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use dldl::{FaceError, Picture};
use dldl_face::{DecodeOptions, PICTURE_EXTENSIONS, has_picture_extension};
use walkdir::{DirEntry, WalkDir};

use crate::archive::{self, Archive};

/// A picture, or a path that has none.
pub struct Input {
    /// The path, for a member of an archive below that of the archive.
    pub path: PathBuf,
    content: Content,
}

enum Content {
    /// A regular file.
    File,
    /// A pipe or device that was named on the command line: it is read to its end.
    Stream,
    Member(Arc<Archive>, archive::Place),
    /// Why the path cannot be used, if that is known already.
    Problem(String),
}

impl Input {
    fn failed(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), content: Content::Problem(problem.into()) }
    }

    /// The name in the output. Bytes that are not UTF-8 become U+FFFD.
    pub fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// Why the path cannot be used, if that is known already.
    pub fn problem(&self) -> Option<&str> {
        match &self.content {
            Content::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The picture.
    ///
    /// # Errors
    /// It cannot be read or decoded.
    ///
    /// # Panics
    /// If there is a [`Input::problem`].
    pub fn decode(&self, options: &DecodeOptions) -> Result<Picture, FaceError> {
        let bytes = match &self.content {
            Content::File => return dldl_face::decode_file_with(&self.path, options),
            Content::Stream => {
                let mut file = std::fs::File::open(&self.path).map_err(FaceError::Read)?;
                dldl_face::read_stream(&mut file)?
            }
            Content::Member(archive, place) => archive.read(*place)?,
            Content::Problem(problem) => panic!("no picture: {problem}"),
        };
        dldl_face::decode_with(&bytes, options)
    }
}

/// The pictures to read, in order.
#[derive(Default)]
pub struct Inputs {
    pub pictures: Vec<Input>,
    /// How many files of folders and archives were left out, by lower-case extension.
    left_out: BTreeMap<String, usize>,
    /// How many annotated copies of other pictures in their folder were left out.
    copies: usize,
}

impl Inputs {
    /// What was left out, a line for each reason.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let files = |n: usize| if n == 1 { "1 file".into() } else { format!("{n} files") };
        if !self.left_out.is_empty() {
            let mut kinds: Vec<(&String, &usize)> = self.left_out.iter().collect();
            kinds.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
            let kind = |(extension, n): (&String, &usize)| match extension.as_str() {
                "" => format!("{n} without extension"),
                extension => format!("{n} .{extension}"),
            };
            notes.push(format!(
                "left out {} without a picture's extension: {}",
                files(self.left_out.values().sum()),
                kinds.into_iter().map(kind).collect::<Vec<_>>().join(", ")
            ));
        }
        if self.copies > 0 {
            notes.push(format!("left out {}: annotated copies of others here", files(self.copies)));
        }
        notes
    }

    fn leave_out(&mut self, path: &Path) {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        *self.left_out.entry(extension).or_default() += 1;
    }
}

/// Expands the arguments to pictures, in order: a folder to the pictures in it and its
/// subfolders (sorted by name, without hidden ones and without the folder `copies`), a ZIP
/// or tar archive to those in it, `-` to the paths listed on stdin. Where a folder is
/// itself `copies`, the copies `NAME-ages.jpg` of other pictures in it are left out.
///
/// # Errors
/// If stdin cannot be read.
pub fn expand(arguments: &[PathBuf], copies: Option<&Path>) -> Result<Inputs> {
    let copies = copies.and_then(|dir| dir.canonicalize().ok());
    let mut inputs = Inputs::default();
    for argument in arguments {
        if argument.as_os_str() == "-" {
            let mut list = Vec::new();
            std::io::stdin().read_to_end(&mut list).context("cannot read the list on stdin")?;
            for path in paths(&list) {
                add(&path, copies.as_deref(), false, &mut inputs);
            }
        } else {
            add(argument, copies.as_deref(), true, &mut inputs);
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

/// `named`: on the command line, and not by a list that some program made.
fn add(path: &Path, copies: Option<&Path>, named: bool, inputs: &mut Inputs) {
    if path.is_dir() {
        return add_folder(path, copies, inputs);
    }
    if named && archive::is_archive(path) {
        return add_archive(path, inputs);
    }
    let content = match path.metadata() {
        Ok(metadata) if !metadata.is_file() && named => Content::Stream,
        // A file that is absent fails when it is read.
        _ => Content::File,
    };
    inputs.pictures.push(Input { path: path.to_owned(), content });
}

fn add_archive(path: &Path, inputs: &mut Inputs) {
    let (archive, members) = match archive::open(path) {
        Ok(opened) => opened,
        Err(e) => {
            let problem = format!("the archive cannot be read: {e}");
            return inputs.pictures.push(Input::failed(path, problem));
        }
    };
    let archive = Arc::new(archive);
    let before = inputs.pictures.len();
    for (name, place) in members {
        let hidden = |part: &str| part.starts_with('.') || part == "__MACOSX";
        if name.split(['/', '\\']).any(hidden) {
            continue;
        }
        let member = path.join(name.trim_start_matches('/'));
        if has_picture_extension(&member) {
            let content = Content::Member(Arc::clone(&archive), place);
            inputs.pictures.push(Input { path: member, content });
        } else {
            inputs.leave_out(&member);
        }
    }
    if inputs.pictures.len() == before {
        inputs.pictures.push(Input::failed(path, no_pictures("archive")));
    }
}

fn add_folder(path: &Path, copies: Option<&Path>, inputs: &mut Inputs) {
    let before = inputs.pictures.len();
    let wanted = |entry: &DirEntry| {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let holds_copies =
            || entry.path().canonicalize().is_ok_and(|p| Some(p.as_path()) == copies);
        entry.depth() == 0 || !(hidden || entry.file_type().is_dir() && holds_copies())
    };
    let own_copies = path.canonicalize().is_ok_and(|p| Some(p.as_path()) == copies);
    // Links are followed; walkdir reports one that leads back up as an error.
    let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if !has_picture_extension(entry.path()) => inputs.leave_out(entry.path()),
            Ok(entry) if !entry.file_type().is_file() => {
                inputs.pictures.push(Input::failed(entry.path(), "not a regular file"));
            }
            Ok(entry) if own_copies && entry.depth() == 1 && is_copy(entry.path()) => {
                inputs.copies += 1;
            }
            Ok(entry) => {
                inputs.pictures.push(Input { path: entry.into_path(), content: Content::File });
            }
            Err(e) if e.loop_ancestor().is_some() => {}
            Err(e) => {
                let at = e.path().unwrap_or(path).to_owned();
                let reason = e.io_error().map_or_else(|| e.to_string(), ToString::to_string);
                // A broken link is reported only if it has a picture's extension.
                if has_picture_extension(&at)
                    || at.symlink_metadata().is_ok_and(|m| !m.is_symlink())
                {
                    inputs.pictures.push(Input::failed(&at, format!("cannot be read: {reason}")));
                }
            }
        }
    }
    if inputs.pictures.len() == before {
        inputs.pictures.push(Input::failed(path, no_pictures("folder")));
    }
}

fn no_pictures(place: &str) -> String {
    format!("no pictures in this {place} ({})", PICTURE_EXTENSIONS.join(", "))
}

/// Whether the file is named as an annotated copy, `NAME-ages.jpg` or `NAME-ages-2.jpg`,
/// of another picture in its folder.
fn is_copy(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let unnumbered = match stem.rsplit_once('-') {
        Some((rest, number)) if number.parse::<u32>().is_ok() => rest,
        _ => &stem,
    };
    let Some(original) = unnumbered.strip_suffix("-ages") else { return false };
    let named = |extension: &&str| path.with_file_name(format!("{original}.{extension}")).exists();
    let upper = PICTURE_EXTENSIONS.map(str::to_uppercase);
    path.extension().is_some_and(|e| e == "jpg")
        && (PICTURE_EXTENSIONS.iter().any(named) || upper.iter().any(|e| named(&e.as_str())))
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
            found.pictures.iter().map(|i| i.path.strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(names, ["a.jpg", "b/z.webp", "c.PNG"].map(Path::new));
        assert!(found.pictures.iter().all(|i| i.problem().is_none()));
        assert_eq!(found.notes(), ["left out 1 file without a picture's extension: 1 .txt"]);

        let empty = expand(&[dir.path().join("empty.jpg")], None).unwrap();
        assert!(empty.pictures[0].problem().unwrap().contains("no pictures"));
    }

    #[test]
    fn copies_in_the_folder_of_their_originals_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.HEIC", "a-ages.jpg", "a-ages-2.jpg", "b-ages.jpg", "c", "d.mov", "e.MOV"] {
            std::fs::write(dir.path().join(file), b"").unwrap();
        }
        let found = expand(&[dir.path().to_owned()], Some(dir.path())).unwrap();
        let names: Vec<_> = found.pictures.iter().map(|i| i.path.file_name().unwrap()).collect();
        assert_eq!(names, ["a.HEIC", "b-ages.jpg"]);
        assert_eq!(
            found.notes(),
            [
                "left out 3 files without a picture's extension: 2 .mov, 1 without extension",
                "left out 2 files: annotated copies of others here"
            ]
        );
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
        let [a, broken] = &found.pictures[..] else { panic!("{} pictures", found.pictures.len()) };
        assert!(a.path.ends_with("a.jpg") && a.problem().is_none());
        assert!(broken.path.ends_with("broken.jpg") && broken.problem().is_some());
    }
}
