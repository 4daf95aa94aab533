//! Atomic writing of result files, for all crates of the workspace. The file formats
//! are defined by the other crates.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Atomically replaces the content of the file at `path` with `bytes`: a reader, even
/// after a crash, finds the old content or the new content, never a part of it.
///
/// The bytes go to a temporary file in the same folder, which is synced and then
/// renamed over `path`; on failure it is removed and the old file is unchanged. A
/// replaced file keeps its permissions. A symbolic link is kept: the file that it
/// points to is replaced. Devices and pipes (`/dev/null`, `>(command)`)
/// cannot be replaced: they are written in place.
///
/// # Errors
/// If the folder does not exist or cannot be written, if the disk is full, or if
/// `path` is a folder. The error does not name `path`.
pub fn write_atomic(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let target = resolve(path.as_ref())?;
    let existing = match fs::metadata(&target) {
        Ok(metadata) => Some(metadata),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    match existing {
        Some(metadata) if metadata.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "is a folder, not a file"))
        }
        Some(metadata) if !metadata.is_file() => {
            let mut file = OpenOptions::new().write(true).open(&target)?;
            file.write_all(bytes)?;
            file.flush()
        }
        existing => replace(&target, bytes, existing.map(|m| m.permissions())),
    }
}

/// Writes the temporary file and renames it.
fn replace(target: &Path, bytes: &[u8], permissions: Option<fs::Permissions>) -> io::Result<()> {
    let folder = parent(target);
    let mut builder = tempfile::Builder::new();
    // Temporary files are private by default; a result is as readable as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.prefix(".dldl-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    if let Some(permissions) = permissions {
        file.as_file().set_permissions(permissions)?;
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    // The new name itself is safe only when the folder is. Not every file system can
    // sync a folder; the file is written either way.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where symbolic links lead, also to a file that is not there yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many links as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            // Links like /proc/self/fd/1 lead to no name when they stand for a pipe.
            Ok(_) if fs::metadata(&path).is_ok_and(|m| !m.is_file() && !m.is_dir()) => {
                return Ok(path);
            }
            Ok(link) => path = parent(&path).join(link),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_created_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[test]
    fn failures_leave_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let missing = write_atomic(dir.path().join("no/a.json"), b"x").unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let error = write_atomic(&folder, b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
        assert_eq!(names(dir.path()), ["folder"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_pipes_are_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, b"old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        write_atomic(&link, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        // A link to a file that is not there yet.
        symlink("later", dir.path().join("dangling")).unwrap();
        write_atomic(dir.path().join("dangling"), b"now").unwrap();
        assert_eq!(fs::read(dir.path().join("later")).unwrap(), b"now");
        // Links in a circle are an error, not a hang.
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert!(write_atomic(dir.path().join("a"), b"x").is_err());

        let fifo = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        write_atomic(&fifo, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(!fifo.metadata().unwrap().is_file());

        write_atomic("/dev/null", b"gone").unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
