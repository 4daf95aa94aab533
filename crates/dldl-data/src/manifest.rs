//! The manifest `cache.json`: the contents of a cache and the parameters it was made
//! with, which a later run must match.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{DataError, Parameters, Part, Protocol, Split};

/// The file name of the manifest.
pub(crate) const MANIFEST: &str = "cache.json";
/// Incremented whenever the same parameters would give other crops or other files.
pub(crate) const VERSION: u32 = 1;

/// The contents of a cache and how it was made, stored as `cache.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the cache format.
    pub version: u32,
    /// [`crate::Dataset::name`].
    pub dataset: String,
    /// How the dataset is divided into splits; omitted from the file for the published
    /// splits.
    #[serde(default, skip_serializing_if = "Protocol::is_published")]
    pub protocol: Protocol,
    /// The number of samples in the dataset.
    pub samples: usize,
    /// A hash of the files and labels of all samples, in hexadecimal.
    pub samples_hash: String,
    /// How the crops were made.
    pub parameters: Parameters,
    /// Which part of the shards is here; omitted from the file for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Present once all shards are complete.
    pub finished: Option<Finished>,
}

/// The contents of a complete cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The outcome of all samples.
    pub counts: Counts,
    /// The shards, in the order of their samples.
    pub shards: Vec<Shard>,
}

/// How many samples were aligned, taken whole, or failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Crops aligned by the landmarks of a face.
    pub aligned: usize,
    /// Whole pictures without a detected face.
    pub whole_picture: usize,
    /// Pictures that could not be read and are not in the cache.
    pub failed: usize,
}

/// One complete shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The file name.
    pub file: String,
    /// The split of all its samples.
    pub split: Split,
    /// The number of samples.
    pub samples: usize,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// Compares the manifest in `out`, if any, with the expected one. Returns whether the
/// cache is complete. It is an error if they differ, or if there are shards without a
/// manifest.
pub(crate) fn compare(out: &Path, wanted: &Manifest) -> Result<bool, DataError> {
    let path = out.join(MANIFEST);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            for entry in std::fs::read_dir(out).map_err(DataError::io(out))? {
                let found = entry.map_err(DataError::io(out))?.path();
                if found.extension().is_some_and(|e| e == "tar" || e == "partial") {
                    let reason = format!("missing, although there is {}", found.display());
                    return Err(DataError::corrupt(&path, reason));
                }
            }
            return Ok(false);
        }
        Err(e) => return Err(DataError::io(&path)(e)),
    };
    let mut found: serde_json::Value =
        serde_json::from_slice(&text).map_err(DataError::malformed(&path, "a cache manifest"))?;
    let finished = found["finished"].take();
    // Through text, like the manifest on disk: a value made directly would hold single
    // precision numbers with all their double precision digits.
    let wanted = serde_json::to_string(wanted).expect("a manifest is plain data");
    let wanted = serde_json::from_str(&wanted).expect("it was just written as JSON");
    let mut what = Vec::new();
    differences("", &found, &wanted, &mut what);
    if what.is_empty() {
        return Ok(!finished.is_null());
    }
    Err(DataError::OtherCache { path, what: what.join(", ") })
}

/// Lists the fields in which two JSON values differ.
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
        out.push(format!("{name}: {found} in the cache, {wanted} requested"));
    }
}

/// Writes a JSON file atomically.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DataError> {
    let mut text = serde_json::to_vec_pretty(value).expect("plain data");
    text.push(b'\n');
    dldl_io::write_atomic(path, &text).map_err(DataError::io(path))
}
