//! The extension module `dldl._dldl` of the Python package, whose sources are in `python/`:
//! estimates, video, evaluation, training and losses; no computation lives here.
//!
//! The interpreter's lock is released around all work; pixels are copied before. Errors are
//! those of `python/dldl/_dldl.pyi`, which has the documentation of what is here.

mod array;
mod data;
mod errors;
mod estimator;
mod faces;
mod losses;
mod picture;
mod pool;
mod training;
mod video;
mod worker;

/// The extension module.
#[pyo3::pymodule]
mod _dldl {
    use std::ffi::OsString;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        data::{Dataset, Evaluation, dataset_names, evaluate, load_dataset},
        errors::{DldlError, PictureError},
        estimator::{Estimator, model_names},
        faces::{Estimate, Face, Faces, Interval},
        losses::{decode, head_size, label_distribution, loss, method_names, targets},
        training::train,
        video::{Person, Video, video},
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("DEFAULT_MODEL", dldl::DEFAULT_MODEL)
    }

    /// Runs the command `dldl` with these arguments, without the program's name.
    #[pyfunction]
    fn command(py: Python<'_>, args: Vec<OsString>) -> u8 {
        let args = std::iter::once("dldl".into()).chain(args);
        py.detach(|| dldl_cli::run(args))
    }
}
