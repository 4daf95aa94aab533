//! Pictures from Python: paths, the bytes of files, pictures of Pillow, and arrays.

use std::path::PathBuf;

use dldl::{Crop, Picture};
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::PictureError;

/// A picture that is not decoded yet.
pub struct Input {
    /// What results and errors call it.
    pub name: String,
    source: Source,
}

enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
    Pixels { width: usize, height: usize, rgb: Vec<u8> },
}

impl Input {
    /// Copies what is needed out of a Python object. `name` is for one that is not a path.
    ///
    /// # Errors
    /// `TypeError` or `ValueError` that says what was expected.
    pub fn new(image: &Bound<'_, PyAny>, bgr: bool, name: &str) -> PyResult<Self> {
        let named = |source| Ok(Self { name: name.to_owned(), source });
        if let Ok(bytes) = image.cast::<PyBytes>() {
            return named(Source::Bytes(bytes.as_bytes().to_vec()));
        }
        if let Ok(path) = image.extract::<PathBuf>() {
            return Ok(Self { name: path.display().to_string(), source: Source::File(path) });
        }
        if image.hasattr("getexif")? && image.hasattr("convert")? {
            return named(pillow(image)?);
        }
        let Ok(buffer) = PyBuffer::<u8>::get(image) else {
            return Err(PyTypeError::new_err(format!("{name}: {}", unusable(image))));
        };
        let shape = buffer.shape().to_vec();
        if shape.len() == 1 {
            return named(Source::Bytes(buffer.to_vec(image.py())?));
        }
        let (&[height, width] | &[height, width, 1 | 3 | 4]) = &shape[..] else {
            return Err(PyValueError::new_err(format!(
                "{name}: array of shape {shape:?}: expected [height, width, 3]"
            )));
        };
        let mut pixels = buffer.to_vec(image.py())?;
        let channels = shape.get(2).copied().unwrap_or(1);
        if bgr && channels >= 3 {
            pixels.chunks_exact_mut(channels).for_each(|pixel| pixel.swap(0, 2));
        }
        let rgb = rgb(pixels, channels);
        named(Source::Pixels { width, height, rgb })
    }

    /// The picture.
    ///
    /// # Errors
    /// Why there is none.
    pub fn decode(&self) -> Result<Picture, String> {
        let picture = match &self.source {
            Source::File(path) => dldl::decode_file(path),
            Source::Bytes(bytes) => dldl::decode(bytes),
            Source::Pixels { width, height, rgb } => Picture::new(*width, *height, rgb.clone()),
        };
        picture.map_err(|error| error.reason())
    }

    /// How many bytes it keeps in memory.
    pub fn bytes(&self) -> usize {
        match &self.source {
            Source::File(_) => 0,
            Source::Bytes(bytes) | Source::Pixels { rgb: bytes, .. } => bytes.len(),
        }
    }
}

/// The exception of a picture that cannot be used.
pub fn error(py: Python<'_>, name: &str, reason: &str) -> PyErr {
    let error = PictureError::new_err(format!("{name}: {reason}"));
    let value = error.value(py);
    match value.setattr("image", name).and_then(|()| value.setattr("reason", reason)) {
        Ok(()) => error,
        Err(failed) => failed,
    }
}

/// Aligned crops from an array of shape [N, S, S, 3], of N >= 0 and the side that the model
/// expects.
///
/// # Errors
/// `TypeError` or `ValueError` that says what was expected.
pub fn crops(images: &Bound<'_, PyAny>, bgr: bool, side: usize) -> PyResult<Vec<Crop>> {
    let Ok(buffer) = PyBuffer::<u8>::get(images) else {
        return Err(PyTypeError::new_err(format!("crops: {}", unusable(images))));
    };
    let shape = buffer.shape().to_vec();
    if shape.len() != 4 || shape[1..] != [side, side, 3] {
        return Err(PyValueError::new_err(format!(
            "crops: array of shape {shape:?}: expected [N, {side}, {side}, 3]"
        )));
    }
    let mut pixels = buffer.to_vec(images.py())?;
    if bgr {
        pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    }
    let crop = |rgb: &[u8]| Crop::new(side, rgb.to_vec()).expect("the shape is checked");
    Ok(pixels.chunks_exact(3 * side * side).map(crop).collect())
}

/// The pixels of a Pillow picture, upright, transparent ones on white.
fn pillow(image: &Bound<'_, PyAny>) -> PyResult<Source> {
    let operations = image.py().import("PIL.ImageOps")?;
    let upright = operations.call_method1("exif_transpose", (image,))?;
    let transparent = upright.getattr("has_transparency_data")?.is_truthy()?;
    let (mode, channels) = if transparent { ("RGBA", 4) } else { ("RGB", 3) };
    let upright = upright.call_method1("convert", (mode,))?;
    let (width, height) = upright.getattr("size")?.extract()?;
    let pixels: Vec<u8> = upright.call_method0("tobytes")?.extract()?;
    Ok(Source::Pixels { width, height, rgb: rgb(pixels, channels) })
}

/// Three channels from one, three or four; transparent pixels on white.
fn rgb(pixels: Vec<u8>, channels: usize) -> Vec<u8> {
    match channels {
        3 => pixels,
        1 => pixels.into_iter().flat_map(|gray| [gray; 3]).collect(),
        _ => pixels.chunks_exact(4).flat_map(|p| on_white([p[0], p[1], p[2]], p[3])).collect(),
    }
}

fn on_white(color: [u8; 3], alpha: u8) -> [u8; 3] {
    let alpha = u32::from(alpha);
    color.map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// What an object is that cannot be used as pixels, and what was expected.
fn unusable(image: &Bound<'_, PyAny>) -> String {
    let kind = image.get_type().name().map_or("object".into(), |name| name.to_string());
    let kind = match image.getattr("dtype") {
        Ok(dtype) => format!("{kind} of {dtype}"),
        Err(_) => kind,
    };
    format!(
        "cannot use {kind} as a picture: expected a path, the bytes of a file, a Pillow image, \
         or an array of uint8, 0 to 255"
    )
}
