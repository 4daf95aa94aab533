//! Advisory locks on files, so that two processes do not run the same experiment.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::ExperimentError;

/// Opens a file for reading and writing, creating it and its folder if they do not
/// exist, and locks it until the returned handle is dropped.
///
/// File systems without locks are used without one.
///
/// # Errors
/// [`ExperimentError::Locked`] if another process holds the lock, or
/// [`ExperimentError::Io`].
pub fn open_locked(path: &Path) -> Result<File, ExperimentError> {
    let open = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::options().create(true).truncate(false).read(true).write(true).open(path)
    };
    let file = open().map_err(ExperimentError::io(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ExperimentError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(ExperimentError::io(path)(e)),
    }
}
