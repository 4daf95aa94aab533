//! Exceptions.

use std::error::Error;

use pyo3::exceptions::PyException;
use pyo3::{PyErr, create_exception};

create_exception!(dldl, DldlError, PyException, "A failure that is not a wrong argument.");
create_exception!(dldl, PictureError, DldlError, "A picture that cannot be used.");

/// An exception with the error and its causes in one line.
pub fn failure(error: &(dyn Error + 'static)) -> PyErr {
    DldlError::new_err(text(error))
}

/// The error and its causes in one line.
pub fn text(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
