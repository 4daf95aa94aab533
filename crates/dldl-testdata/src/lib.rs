//! Where tests find what is not part of the repository: the real datasets in the folder
//! `$DLDL_DATA`, or in `shared/data` next to the checkout; the program ffmpeg at
//! `$DLDL_FFMPEG`, or in `PATH`.
//!
//! Tests skip what is missing, except if `DLDL_REQUIRE_DATA=1` or `DLDL_REQUIRE_FFMPEG=1` is
//! set: then it is a failure, so that a run that should have covered them cannot pass
//! without.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the datasets, whether or not it exists.
pub fn root() -> PathBuf {
    env::var_os("DLDL_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    )
}

/// The file or folder `name` of the datasets; none, with a note on standard error, if it
/// does not exist.
///
/// # Panics
/// It does not exist, and `DLDL_REQUIRE_DATA` is set to anything but `0` or nothing.
pub fn dataset(name: &str) -> Option<PathBuf> {
    find(&root(), name, is_set("DLDL_REQUIRE_DATA"))
}

/// The program ffmpeg; none, with a note on standard error, if it cannot be run.
///
/// # Panics
/// It cannot be run, and `DLDL_REQUIRE_FFMPEG` is set to anything but `0` or nothing.
pub fn ffmpeg() -> Option<PathBuf> {
    let path = env::var_os("DLDL_FFMPEG").map_or_else(|| "ffmpeg".into(), PathBuf::from);
    if Command::new(&path).arg("-version").output().is_ok_and(|run| run.status.success()) {
        return Some(path);
    }
    let required = is_set("DLDL_REQUIRE_FFMPEG");
    assert!(!required, "DLDL_REQUIRE_FFMPEG is set, but {} cannot be run", path.display());
    eprintln!("skipped: {} cannot be run", path.display());
    None
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some_and(|v| !v.is_empty() && v != "0")
}

fn find(root: &Path, name: &str, required: bool) -> Option<PathBuf> {
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(!required, "DLDL_REQUIRE_DATA is set, but there is no {}", path.display());
    eprintln!("skipped: there is no {}", path.display());
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_data_is_found_and_missing_data_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("faces")).unwrap();
        assert_eq!(find(dir.path(), "faces", true), Some(dir.path().join("faces")));
        assert_eq!(find(dir.path(), "others", false), None);
    }

    #[test]
    #[should_panic(expected = "DLDL_REQUIRE_DATA is set")]
    fn missing_data_fails_a_test_that_requires_it() {
        find(Path::new("/nowhere"), "faces", true);
    }
}
