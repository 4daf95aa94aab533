//! The built-in models, and loading a model by name or path. The format of weights
//! files is in `dldl-net`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use dldl_net::Isa;

use crate::{Engine, Error, ModelInfo, NetError, Weights};

/// A model that is embedded in this crate.
#[derive(Clone, Copy)]
pub struct NamedModel {
    /// Its name.
    pub name: &'static str,
    /// The content of its weights file.
    pub bytes: &'static [u8],
}

/// The built-in models: `tiny`, and `thin` with the cargo feature of that name; with the
/// feature `int8`, `NAME-int8` is the same model in 8-bit integers. To add one, add a file to this crate's folder
/// `models` and a line here.
pub static MODELS: &[NamedModel] = &[
    NamedModel { name: "tiny", bytes: include_bytes!("../models/tiny.safetensors") },
    #[cfg(any(feature = "int8", test))]
    NamedModel { name: "tiny-int8", bytes: include_bytes!("../models/tiny-int8.safetensors") },
    // In tests too, so that the optional model is tested without another compilation.
    #[cfg(any(feature = "thin", test))]
    NamedModel { name: "thin", bytes: include_bytes!("../models/thin.safetensors") },
    #[cfg(any(all(feature = "thin", feature = "int8"), test))]
    NamedModel { name: "thin-int8", bytes: include_bytes!("../models/thin-int8.safetensors") },
];

/// The name of the default model.
pub const DEFAULT_MODEL: &str = "tiny";

/// The names of the built-in models.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|m| m.name).collect()
}

/// The weights file of a built-in model, if there is one of this name.
pub fn built_in(name: &str) -> Option<&'static [u8]> {
    MODELS.iter().find(|model| model.name == name).map(|model| model.bytes)
}

/// The arithmetic of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Floating point: ages are the same on all processors, up to 0.0001 years.
    F32,
    /// 8-bit integers.
    Int8,
    /// 8-bit integers where they are faster: on processors that multiply bytes (x86 with
    /// VNNI or AMX), if the model has that form.
    Auto,
}

/// The name or path of a model in a precision: `tiny-int8` for `tiny` in
/// [`Precision::Int8`].
///
/// # Errors
/// [`Error::Precision`] if the model does not exist in it: of a weights file, there is only
/// what it contains. As [`info`] otherwise.
pub fn in_precision(model: impl AsRef<Path>, precision: Precision) -> Result<PathBuf, Error> {
    let path = model.as_ref();
    let quantized = info(path)?.quantization.is_some();
    let int8 = || {
        let of = |known: &&NamedModel| {
            known.name.strip_suffix("-int8").is_some_and(|name| path.as_os_str() == name)
        };
        MODELS.iter().find(of).map(|known| PathBuf::from(known.name))
    };
    let unchanged = || path.to_owned();
    let missing = || Error::Precision { model: path.display().to_string(), precision };
    match precision {
        Precision::F32 if quantized => Err(missing()),
        Precision::Int8 if !quantized => int8().ok_or_else(missing),
        Precision::Auto if !quantized && Isa::detect().multiplies_bytes() => {
            Ok(int8().unwrap_or_else(unchanged))
        }
        _ => Ok(unchanged()),
    }
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
            // Half precision or bytes, and little overhead: mostly levels by band.
            let each = if engine.info().quantization.is_some() { 1 } else { 2 };
            let most = each * engine.info().net.parameter_count() + 200_000;
            assert!(model.bytes.len() < most, "{}: {} bytes", model.name, model.bytes.len());
        }
    }

    #[test]
    fn quantized_models_run_and_have_no_f32_weights() {
        assert!(info("tiny-int8").unwrap().quantization.is_some());
        assert!(info("tiny").unwrap().quantization.is_none());
        let error = chain(&weights("tiny-int8").unwrap_err());
        assert!(error.contains("tiny-int8") && error.contains("quantized"), "{error}");
    }

    #[test]
    fn a_precision_selects_a_form_of_a_model() {
        let named = |model: &str, precision| {
            in_precision(model, precision).map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(named("thin", Precision::F32).unwrap(), "thin");
        assert_eq!(named("thin", Precision::Int8).unwrap(), "thin-int8");
        assert_eq!(named("tiny-int8", Precision::Int8).unwrap(), "tiny-int8");
        let faster = Isa::detect().multiplies_bytes();
        let expected = if faster { "tiny-int8" } else { "tiny" };
        assert_eq!(named("tiny", Precision::Auto).unwrap(), expected);

        // A file is what it is.
        let file = |name| format!("{}/models/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let (float, int8) = (file("tiny"), file("tiny-int8"));
        for same in [&float, &int8] {
            assert_eq!(&named(same, Precision::Auto).unwrap(), same);
        }
        assert_eq!(named(&int8, Precision::Int8).unwrap(), int8);
        let error = named(&float, Precision::Int8).unwrap_err().to_string();
        assert!(error.contains("tiny.safetensors") && error.contains("dldl quantize"), "{error}");
        for model in [int8.as_str(), "tiny-int8"] {
            let error = named(model, Precision::F32).unwrap_err().to_string();
            assert!(error.contains("tiny-int8") && error.contains("8-bit"), "{error}");
        }
        assert!(named("huge", Precision::Auto).is_err());
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
