//! Datasets and caches, which are read from files.

use std::cell::LazyCell;
use std::fs;
use std::path::Path;

use dldl_data::{Cache, FORMATS, load};
use serde_json::json;
use tempfile::TempDir;

thread_local! {
    static FOLDER: LazyCell<TempDir> =
        LazyCell::new(|| tempfile::tempdir().expect("there is a folder for temporary files"));
}

/// Calls `read` with a file that has these contents.
pub(crate) fn in_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("the folder can be written");
        read(&path);
        fs::remove_file(&path).expect("the folder can be written");
    });
}

/// The first byte: 0 for a whole manifest before a line of dashes, else the number of samples
/// that the manifest says. The rest is a shard.
pub(crate) fn cache(bytes: &[u8]) {
    let Some((&samples, bytes)) = bytes.split_first() else { return };
    let dashes = bytes.windows(5).position(|line| line == b"\n---\n");
    let (manifest, shard) = match (samples, dashes) {
        (0, Some(at)) => (bytes[..at].to_vec(), &bytes[at + 5..]),
        (0, None) => (bytes.to_vec(), &[][..]),
        _ => (manifest(samples.into(), bytes.len()), bytes),
    };
    in_file("cache.json", &manifest, |path| {
        let folder = path.parent().expect("a file is in a folder");
        in_file("shard-00000.tar", shard, |_| {
            let Ok(cache) = Cache::open(folder) else { return };
            for i in 0..cache.len() {
                let _ = cache.decode(i);
            }
        });
    });
}

fn manifest(samples: usize, bytes: usize) -> Vec<u8> {
    let manifest = json!({
        "version": 1, "dataset": "fuzz", "samples": samples, "samples_hash": "0",
        "parameters": dldl_data::Parameters::default(),
        "finished": {
            "counts": { "aligned": samples, "whole_picture": 0, "failed": 0 },
            "shards": [{ "file": "shard-00000.tar", "bytes": bytes, "samples": samples }],
        },
    });
    manifest.to_string().into_bytes()
}

/// The first byte chooses the format, the rest is its table.
pub(crate) fn table(bytes: &[u8]) {
    dataset("labels.csv", bytes);
}

/// As [`table`], for formats whose tables are spreadsheets.
pub(crate) fn xlsx(bytes: &[u8]) {
    dataset("labels.xlsx", bytes);
}

fn dataset(name: &str, bytes: &[u8]) {
    let Some((&format, bytes)) = bytes.split_first() else { return };
    let format = FORMATS[usize::from(format) % FORMATS.len()].name;
    in_file(name, bytes, |path| {
        let folder = path.parent().expect("a file is in a folder");
        let _ = load(format, folder, Some(path));
    });
}
