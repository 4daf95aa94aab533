//! What is fuzzed: for each kind of input that somebody else may have made, a function from
//! bytes. It must not panic, hang or take memory without bound, whatever the bytes are.
//!
//! `fuzz/` runs them with libFuzzer; the tests of this crate run them on its seeds and on what
//! the fuzzer found.

mod files;
mod http;
mod models;
mod pictures;
mod video;

/// A kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, that of the folder of its seeds.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
}

/// All kinds of input.
pub const TARGETS: &[Target] = &[
    Target { name: "jpeg", run: pictures::jpeg },
    Target { name: "png", run: pictures::png },
    Target { name: "webp", run: pictures::webp },
    Target { name: "heic", run: pictures::heic },
    Target { name: "jxl", run: pictures::jxl },
    Target { name: "tiff", run: pictures::tiff },
    Target { name: "bmp-gif", run: pictures::bmp_and_gif },
    Target { name: "weights", run: models::weights },
    Target { name: "onnx", run: models::onnx },
    Target { name: "checkpoint", run: models::checkpoint },
    Target { name: "npy", run: models::npy },
    Target { name: "recipe", run: models::recipe },
    Target { name: "cache", run: files::cache },
    Target { name: "table", run: files::table },
    Target { name: "xlsx", run: files::xlsx },
    Target { name: "http", run: http::request },
    Target { name: "video", run: video::pipe },
];

/// Runs the target with this name.
///
/// # Panics
/// If there is none; and whatever the target finds.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(bytes);
}
