//! From picture bytes to aligned face crops: decoding, detection, landmarks,
//! alignment. Nothing here knows of age or attractiveness.
//!
//! ```no_run
//! use dldl_face::{Detector, DetectorParams, align, decode_file, whole_picture};
//! use dldl_net::Template;
//!
//! let picture = decode_file("portrait.jpg".as_ref())?;
//! let detector = Detector::new(DetectorParams::default());
//! let template = Template::default_face();
//! let crop = match detector.detect(&picture).first() {
//!     Some(face) => align(&picture, &face.landmarks, &template, 224),
//!     None => whole_picture(&picture, 224),
//! };
//! # Ok::<(), dldl_face::FaceError>(())
//! ```
//!
//! **Coordinates** are continuous pixels everywhere: x to the right, y down,
//! (0, 0) the outer corner of the top left pixel, whose center is (0.5, 0.5).

mod align;
mod decode;
mod detect;
mod error;
mod geometry;
mod nets;
mod picture;
mod pyramid;
mod search;

pub use align::{align, whole_picture};
pub use decode::{MAX_FILE_BYTES, MAX_PIXELS, decode, decode_file, probe};
pub use detect::{Detector, DetectorParams, DetectorStage, Face};
pub use error::FaceError;
pub use geometry::Similarity;
pub use picture::Picture;
