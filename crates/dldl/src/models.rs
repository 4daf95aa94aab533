//! The models inside this crate, and finding a model by name or path. What a
//! weights file holds is `dldl-net`'s business.

use std::borrow::Cow;
use std::path::Path;

use crate::{Engine, Error, ModelInfo, NetError, Weights};

/// A model that is part of this crate.
#[derive(Clone, Copy)]
pub struct NamedModel {
    /// What it is asked for by.
    pub name: &'static str,
    /// The content of its weights file.
    pub bytes: &'static [u8],
}

/// The built-in models: `tiny`, and `thin` where this was built with the feature of that
/// name. Another one is a line here and a file in `models/`.
pub static MODELS: &[NamedModel] = &[
    NamedModel {
        name: "tiny",
        bytes: include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/tiny.safetensors"
        )),
    },
    #[cfg(feature = "thin")]
    NamedModel {
        name: "thin",
        bytes: include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../models/thin.safetensors"
        )),
    },
];

/// The model that is used where none is named.
pub const DEFAULT_MODEL: &str = "tiny";

/// The names of the built-in models.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|m| m.name).collect()
}

/// The content of a weights file: that of the built-in model of this name, or
/// else of the file at this path. (A file that is called like a built-in model
/// is reached as `./name`.)
///
/// # Errors
/// [`Error::UnknownModel`], which lists the names, if there is neither;
/// [`Error::Model`] if the file cannot be read.
pub fn bytes(model: impl AsRef<Path>) -> Result<Cow<'static, [u8]>, Error> {
    let path = model.as_ref();
    if let Some(known) = MODELS.iter().find(|m| path.as_os_str() == m.name) {
        return Ok(Cow::Borrowed(known.bytes));
    }
    match std::fs::read(path) {
        Ok(bytes) => Ok(Cow::Owned(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::UnknownModel { model: path.display().to_string() })
        }
        Err(e) => Err(in_file(path, format!("cannot be read: {e}"))),
    }
}

/// The description of a model by name or path, as [`bytes()`].
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is no
/// weights file.
pub fn info(model: impl AsRef<Path>) -> Result<ModelInfo, Error> {
    let path = model.as_ref();
    Weights::read_info(&bytes(path)?).map_err(|e| in_file(path, e.to_string()))
}

/// The weights in floating point of a model by name or path, as [`bytes()`].
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is no
/// sound weights file, or that of a quantized model.
pub fn weights(model: impl AsRef<Path>) -> Result<Weights, Error> {
    let path = model.as_ref();
    Weights::from_bytes(&bytes(path)?).map_err(|e| in_file(path, e.to_string()))
}

/// The engine of a model by name or path, as [`bytes()`]; of a quantized one, too.
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is no
/// sound weights file.
pub fn engine(model: impl AsRef<Path>) -> Result<Engine, Error> {
    let path = model.as_ref();
    Engine::from_bytes(&bytes(path)?).map_err(|e| in_file(path, e.to_string()))
}

fn in_file(path: &Path, what: String) -> Error {
    Error::Model(NetError::File { path: path.to_owned(), what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_model_is_sound_and_small() {
        assert!(names().contains(&DEFAULT_MODEL));
        for model in MODELS {
            let engine = engine(model.name).unwrap();
            assert_eq!(engine.info().name, model.name);
            assert!(!engine.info().figures.is_empty());
            // In half precision, and little beside the tensors.
            let most = 2 * engine.info().net.parameter_count() + 50_000;
            assert!(model.bytes.len() < most, "{}: {} bytes", model.name, model.bytes.len());
        }
    }

    #[test]
    fn a_quantized_model_runs_and_has_no_weights_in_floating_point() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-int8.safetensors");
        assert!(info(path).unwrap().quantization.is_some());
        assert!(info("tiny").unwrap().quantization.is_none());
        assert_eq!(engine(path).unwrap().info().name, "tiny-int8");
        let refused = weights(path).unwrap_err().to_string();
        assert!(refused.contains("tiny-int8") && refused.contains("quantized"), "{refused}");
    }

    #[test]
    fn what_is_wrong_with_a_model_is_said_with_its_name() {
        let unknown = engine("huge-age").unwrap_err().to_string();
        assert!(unknown.contains("huge-age") && unknown.contains("tiny"), "{unknown}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.safetensors");
        std::fs::write(&path, b"no weights").unwrap();
        let broken = engine(&path).unwrap_err().to_string();
        assert!(broken.contains("broken.safetensors"), "{broken}");
        assert!(engine(dir.path()).unwrap_err().to_string().contains("cannot be read"));
    }
}
