//! The manifest `cache.json`: what a cache holds and how it was made, written
//! in one step, and compared with what is asked for.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{DataError, Parameters, Protocol, Split};

/// The manifest's file name.
pub(crate) const MANIFEST: &str = "cache.json";
/// Raised whenever equal parameters would give other crops or other files.
pub(crate) const VERSION: u32 = 1;

/// What a cache holds and how it was made, the content of `cache.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's version.
    pub version: u32,
    /// [`crate::Dataset::name`].
    pub dataset: String,
    /// How the dataset is divided into splits; left out of the file where that is
    /// the dataset's own way.
    #[serde(default, skip_serializing_if = "Protocol::is_published")]
    pub protocol: Protocol,
    /// How many samples the dataset has.
    pub samples: usize,
    /// A hash of the samples' files and labels, in hexadecimal.
    pub samples_hash: String,
    /// How the crops were made.
    pub parameters: Parameters,
    /// Present once all shards are finished.
    pub finished: Option<Finished>,
}

/// What is known when a cache is finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// What became of the dataset's samples.
    pub counts: Counts,
    /// The shards, in the order of their samples.
    pub shards: Vec<Shard>,
}

/// What became of a dataset's samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Crops aligned by a face's landmarks.
    pub aligned: usize,
    /// Whole pictures, because no face was found.
    pub whole_picture: usize,
    /// Pictures that could not be read, and are not in the cache.
    pub failed: usize,
}

/// One finished shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The file's name.
    pub file: String,
    /// The split all its samples are from.
    pub split: Split,
    /// How many samples it holds.
    pub samples: usize,
    /// The file's length.
    pub bytes: u64,
}

/// Looks for a manifest in `out`: whether there is one of a finished cache.
/// Refuses one that was made otherwise than `wanted`, and shards without any.
pub(crate) fn compare(out: &Path, wanted: &Manifest) -> Result<bool, DataError> {
    let path = out.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            for entry in std::fs::read_dir(out).map_err(DataError::io(out))? {
                let found = entry.map_err(DataError::io(out))?.path();
                if found.extension().is_some_and(|e| e == "tar" || e == "partial") {
                    let reason = format!("missing, though there is {}", found.display());
                    return Err(DataError::corrupt(&path, reason));
                }
            }
            return Ok(false);
        }
        Err(e) => return Err(DataError::io(&path)(e)),
    };
    let mut found: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|e| DataError::corrupt(&path, format!("not a cache's manifest: {e}")))?;
    let finished = found["finished"].take();
    // By way of text, as the one found: a value made directly holds single
    // precision numbers with all their double precision digits.
    let wanted = serde_json::to_string(wanted).expect("a manifest is plain data");
    let wanted = serde_json::from_str(&wanted).expect("JSON that was just written");
    let mut what = Vec::new();
    differences("", &found, &wanted, &mut what);
    if what.is_empty() {
        return Ok(!finished.is_null());
    }
    Err(DataError::OtherCache { path, what: what.join(", ") })
}

/// Names the fields in which two JSON values differ.
fn differences(
    name: &str,
    found: &serde_json::Value,
    wanted: &serde_json::Value,
    out: &mut Vec<String>,
) {
    use serde_json::Value::Object;
    if let (Object(a), Object(b)) = (found, wanted) {
        let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
        for key in keys {
            let inner = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            differences(&inner, &found[key], &wanted[key], out);
        }
    } else if found != wanted {
        out.push(format!("{name}: {found} there, {wanted} asked for"));
    }
}

/// Writes a file so that it is either there whole or as it was before.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data");
    text.push(b'\n');
    let temporary = path.with_extension("json.new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(DataError::io(path))
}
