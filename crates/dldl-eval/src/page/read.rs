//! Reads the parts of a report from files and folders.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Epoch, Parts, Run};

/// A file or folder that cannot be part of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file is not JSON, or a field is missing or invalid.
    #[error("{} is not {what}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The expected content, such as `a valid evaluation`.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
    },
    /// A JSON file of another kind.
    #[error(
        "{} is neither an evaluation of `dldl eval --format json` nor an output of `dldl explain \
         --format json`",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A line of a training log is invalid.
    #[error("invalid line {line} in {}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// The number of the line, starting at 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// The weights file of a run cannot be read.
    #[error(transparent)]
    Model(#[from] dldl::Error),
}

/// A line of a training log; only epochs are used.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Line {
    Step {},
    Epoch(Epoch),
}

impl Parts {
    /// Reads what `dldl eval --format json`, `dldl explain --format json` and
    /// `dldl train` have written: JSON files, and run folders with their `log.jsonl`.
    ///
    /// # Errors
    /// [`PageError`] for a file that cannot be read or is none of these.
    pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Self, PageError> {
        let mut parts = Self::default();
        for path in paths.iter().map(AsRef::as_ref) {
            parts.sources.push(path.display().to_string());
            match path.is_dir() {
                true => parts.runs.push(run(path)?),
                false => parts.file(path)?,
            }
        }
        Ok(parts)
    }

    fn file(&mut self, path: &Path) -> Result<(), PageError> {
        let json: Value = serde_json::from_str(&text(path)?).map_err(|source| PageError::Json {
            path: path.to_owned(),
            what: "JSON",
            source,
        })?;
        let has = |key: &str| json.get(key).is_some();
        if has("predictions") {
            self.evaluations.push(parse(path, "a valid evaluation", json)?);
        } else if has("kind") && has("groups") {
            self.maps.push(parse(path, "a valid file of maps", json)?);
        } else if has("models") && has("groups") {
            self.rank_curves.push(parse(path, "a valid file of rank curves", json)?);
        } else {
            return Err(PageError::Unknown { path: path.to_owned() });
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    json: Value,
) -> Result<T, PageError> {
    serde_json::from_value(json).map_err(|source| PageError::Json {
        path: path.to_owned(),
        what,
        source,
    })
}

fn run(folder: &Path) -> Result<Run, PageError> {
    let log = folder.join("log.jsonl");
    let mut epochs = Vec::new();
    for (i, line) in text(&log)?.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(Line::Epoch(epoch)) => epochs.push(epoch),
            Ok(Line::Step {}) => {}
            Err(source) => return Err(PageError::Log { path: log, line: i + 1, source }),
        }
    }
    let recipe = folder.join("config.toml");
    let recipe = if recipe.exists() { Some(text(&recipe)?) } else { None };
    let weights = folder.join("model.safetensors");
    let model = match weights.exists() {
        true => Some(dldl::models::info(&weights)?),
        false => None,
    };
    // Paths such as `.` have no file name until they are resolved.
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
    Ok(Run { name, epochs, seed: recipe.as_deref().and_then(seed), recipe, model })
}

/// The value of `seed =` in the recipe's top-level table.
fn seed(recipe: &str) -> Option<u64> {
    let first = recipe.lines().take_while(|line| !line.trim_start().starts_with('['));
    let mut fields = first.filter_map(|line| line.split_once('='));
    fields.find(|(key, _)| key.trim() == "seed")?.1.trim().parse().ok()
}

fn text(path: &Path) -> Result<String, PageError> {
    std::fs::read_to_string(path)
        .map_err(|source| PageError::Read { path: path.to_owned(), source })
}
