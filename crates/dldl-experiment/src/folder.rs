//! The run folder of a trial: whether it belongs to the trial's recipe, how it is
//! moved out of the way if it does not, and which of its files are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dldl_train::{RunFolder, TrainConfig};

use crate::grid::{Trial, normalized_config};
use crate::spec::Keep;

/// What is in the place of a trial's run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// Nothing, or an empty folder.
    Nothing,
    /// A training with the trial's recipe.
    SameRecipe,
    /// Anything else: a training with another recipe, a `config.toml` that cannot
    /// be read, files without a `config.toml`.
    Other,
}

/// Looks into the run folder of a trial.
pub fn contents(trial: &Trial) -> Contents {
    let folder = &trial.config.run;
    let empty = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    let missing = |e: io::Error| e.kind() == io::ErrorKind::NotFound;
    if folder.symlink_metadata().is_err_and(missing) || empty() {
        return Contents::Nothing;
    }
    match TrainConfig::load(&RunFolder::new(folder).config(), &[]) {
        Ok(found) if normalized_config(&found) == normalized_config(&trial.config) => {
            Contents::SameRecipe
        }
        _ => Contents::Other,
    }
}

/// Renames a run folder to `NAME.old-1`, or to the first such name that is free,
/// and returns the new path. Nothing in it is changed.
///
/// # Errors
/// If it cannot be renamed.
pub fn set_aside(folder: &Path) -> io::Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 1;
    let free = loop {
        let candidate = folder.with_file_name(format!("{name}.old-{number}"));
        match candidate.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => break candidate,
            Err(e) => return Err(e),
            Ok(_) => number += 1,
        }
    };
    fs::rename(folder, &free)?;
    Ok(free)
}

/// Removes the files of a finished training that are not to be kept. Files that
/// the trainer did not write are never touched, and neither is the folder if it
/// contains any.
///
/// # Errors
/// If a file cannot be removed.
pub fn clean(folder: &Path, keep: Keep) -> io::Result<()> {
    let files = RunFolder::new(folder);
    let checkpoints = vec![files.last(), files.best()];
    let others = vec![
        files.config(),
        files.log(),
        files.events(),
        files.chart(),
        files.chart_png(),
        files.examples(),
        files.weights(),
        files.weights_f32(),
    ];
    let unwanted = match keep {
        Keep::All => Vec::new(),
        Keep::Weights => checkpoints,
        Keep::Nothing => [checkpoints, others].concat(),
    };
    let ignore = |kind: io::ErrorKind, result: io::Result<()>| match result {
        Err(e) if e.kind() == kind => Ok(()),
        result => result,
    };
    for path in unwanted {
        ignore(io::ErrorKind::NotFound, fs::remove_file(path))?;
    }
    if keep == Keep::Nothing {
        ignore(io::ErrorKind::DirectoryNotEmpty, fs::remove_dir(folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::tests::trials_of;

    /// The only trial of an experiment whose run folders are in `dir`.
    fn trial_in(dir: &Path) -> Trial {
        let text = format!("name = 'x'\nruns = '{}'\n[recipe]\ncache = 'c'\n", dir.display());
        trials_of(&text).remove(0)
    }

    #[test]
    fn folders_of_other_recipes_are_recognized() {
        let dir = tempfile::tempdir().unwrap();
        let trial = trial_in(dir.path());
        let config = RunFolder::new(&trial.config.run).config();
        assert_eq!(contents(&trial), Contents::Nothing);
        fs::create_dir(&trial.config.run).unwrap();
        assert_eq!(contents(&trial), Contents::Nothing);
        // Threads, names and folders do not change the result.
        let same = TrainConfig { loader_threads: 9, run: "y".into(), ..trial.config.clone() };
        fs::write(&config, same.to_toml()).unwrap();
        assert_eq!(contents(&trial), Contents::SameRecipe);
        let other = TrainConfig { seed: 9, ..trial.config.clone() };
        fs::write(&config, other.to_toml()).unwrap();
        assert_eq!(contents(&trial), Contents::Other);
        fs::write(&config, "of a newer version").unwrap();
        assert_eq!(contents(&trial), Contents::Other);
        // Weights without a recipe could come from any training.
        fs::rename(&config, config.with_file_name("model.safetensors")).unwrap();
        assert_eq!(contents(&trial), Contents::Other);
    }

    #[test]
    fn set_aside_keeps_everything_under_the_first_free_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("kl_1");
        for n in 1..=3 {
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("notes.txt"), n.to_string()).unwrap();
            let moved = set_aside(&folder).unwrap();
            assert_eq!(moved, dir.path().join(format!("kl_1.old-{n}")));
            assert_eq!(fs::read_to_string(moved.join("notes.txt")).unwrap(), n.to_string());
            assert!(!folder.exists());
        }
    }

    #[test]
    fn clean_removes_only_files_of_the_trainer() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("kl_1");
        let names = || -> Vec<String> {
            let entries = fs::read_dir(&folder).unwrap();
            let mut names: Vec<String> =
                entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        fs::create_dir(&folder).unwrap();
        for name in ["config.toml", "last.ckpt", "model.safetensors", "notes.txt"] {
            fs::write(folder.join(name), "").unwrap();
        }
        clean(&folder, Keep::All).unwrap();
        assert_eq!(names().len(), 4);
        clean(&folder, Keep::Weights).unwrap();
        assert_eq!(names(), ["config.toml", "model.safetensors", "notes.txt"]);
        clean(&folder, Keep::Nothing).unwrap();
        assert_eq!(names(), ["notes.txt"]);
        fs::remove_file(folder.join("notes.txt")).unwrap();
        clean(&folder, Keep::Nothing).unwrap();
        assert!(!folder.exists());
    }
}
