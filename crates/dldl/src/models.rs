//! The built-in models, and loading a model by name or path. The format of weights
//! files is in `dldl-net`.

use std::borrow::Cow;
use std::path::Path;

use crate::{Engine, Error, ModelInfo, NetError, Weights};

/// A model that is embedded in this crate.
#[derive(Clone, Copy)]
pub struct NamedModel {
    /// Its name.
    pub name: &'static str,
    /// The content of its weights file.
    pub bytes: &'static [u8],
}

/// The built-in models: `tiny`, and `thin` with the cargo feature of that name. To
/// add one, add a file to this crate's folder `models` and a line here.
pub static MODELS: &[NamedModel] = &[
    NamedModel { name: "tiny", bytes: include_bytes!("../models/tiny.safetensors") },
    // In tests too, so that the optional model is tested without another compilation.
    #[cfg(any(feature = "thin", test))]
    NamedModel { name: "thin", bytes: include_bytes!("../models/thin.safetensors") },
];

/// The name of the default model.
pub const DEFAULT_MODEL: &str = "tiny";

/// The names of the built-in models.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|m| m.name).collect()
}

/// The content of a weights file: of the built-in model with this name, otherwise of the
/// file at this path. (For a file with the name of a built-in model, write `./name`.)
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
        Err(e) => Err(in_file(path)(NetError::Read(e))),
    }
}

/// The description of a model by name or path, as [`bytes()`].
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is not a
/// weights file.
pub fn info(model: impl AsRef<Path>) -> Result<ModelInfo, Error> {
    let path = model.as_ref();
    Weights::read_info(&bytes(path)?).map_err(in_file(path))
}

/// The f32 weights of a model by name or path, as [`bytes()`].
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is not a valid
/// weights file, or the model is quantized.
pub fn weights(model: impl AsRef<Path>) -> Result<Weights, Error> {
    let path = model.as_ref();
    Weights::from_bytes(&bytes(path)?).map_err(in_file(path))
}

/// The engine of a model, quantized or not, by name or path, as [`bytes()`].
///
/// # Errors
/// As [`bytes()`], and [`Error::Model`], which names the file, if it is not a valid
/// weights file.
pub fn engine(model: impl AsRef<Path>) -> Result<Engine, Error> {
    let path = model.as_ref();
    Engine::from_bytes(&bytes(path)?).map_err(in_file(path))
}

fn in_file(path: &Path) -> impl FnOnce(NetError) -> Error + '_ {
    |e| Error::Model(NetError::in_file(path)(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error with all its causes, as the command line prints it.
    fn chain(error: &dyn std::error::Error) -> String {
        let all = std::iter::successors(Some(error), |e| e.source());
        all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn built_in_models_are_valid_and_small() {
        assert!(names().contains(&DEFAULT_MODEL));
        for model in MODELS {
            let engine = engine(model.name).unwrap();
            assert_eq!(engine.info().name, model.name);
            assert!(!engine.info().figures.is_empty());
            // Half precision, and little overhead.
            let most = 2 * engine.info().net.parameter_count() + 50_000;
            assert!(model.bytes.len() < most, "{}: {} bytes", model.name, model.bytes.len());
        }
    }

    #[test]
    fn quantized_models_run_and_have_no_f32_weights() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-int8.safetensors");
        assert!(info(path).unwrap().quantization.is_some());
        assert!(info("tiny").unwrap().quantization.is_none());
        assert_eq!(engine(path).unwrap().info().name, "tiny-int8");
        let error = chain(&weights(path).unwrap_err());
        assert!(error.contains("tiny-int8") && error.contains("quantized"), "{error}");
    }

    #[test]
    fn errors_name_the_model() {
        let unknown = engine("huge-age").unwrap_err().to_string();
        assert!(unknown.contains("huge-age") && unknown.contains("tiny"), "{unknown}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.safetensors");
        std::fs::write(&path, b"no weights").unwrap();
        let broken = chain(&engine(&path).unwrap_err());
        assert!(broken.contains("broken.safetensors: not a safetensors file"), "{broken}");
        assert!(chain(&engine(dir.path()).unwrap_err()).contains("cannot be read"));
    }
}
