//! From picture files to aligned face crops: decoding, detection, landmarks,
//! alignment. This crate does not depend on what is estimated of a face.
//!
//! ```no_run
//! use dldl_face::{Detector, DetectorParams, crop_main_face_in_file};
//! use dldl_net::Template;
//!
//! let detector = Detector::new(DetectorParams::default());
//! let template = Template::default_face();
//! let main =
//!     crop_main_face_in_file("portrait.jpg".as_ref(), Some(&detector), &template, 224)?;
//! match main.face {
//!     Some(face) => println!("{} faces, the main one at {:?}", main.face_count, face.bbox),
//!     None => println!("no face: the crop shows the whole picture"),
//! }
//! # Ok::<(), dldl_face::FaceError>(())
//! ```
//!
//! **Coordinates** are continuous pixels everywhere: x to the right, y down,
//! (0, 0) is the outer corner of the top left pixel, whose center is (0.5, 0.5).
//!
//! **Panics** of picture decoders are returned as [`FaceError::Panicked`], and so
//! are those of the detector by the `crop_*` functions: a malformed file does not
//! end a run over many.

mod align;
#[cfg(feature = "mtcnn")]
mod cascade;
mod crop;
mod decode;
mod detect;
mod encode;
mod error;
mod geometry;
mod guard;
mod limits;
mod measures;
mod nets;
mod picture;
mod pyramid;
mod stage;
mod surroundings;
mod turned;
mod windows;
mod yunet;

pub use align::{align, whole_picture};
pub use crop::{
    MainCrop, crop_face, crop_faces, crop_main_face, crop_main_face_in_file, main_face,
};
pub use decode::{
    DecodeOptions, decode, decode_file, decode_file_with, decode_with, probe, read_file,
    read_stream,
};
pub use detect::{Detector, DetectorParams, Face, SearchNet};
pub use encode::{Chroma, encode_jpeg};
pub use error::FaceError;
pub use geometry::Similarity;
pub use limits::{
    MAX_DECODE_BYTES, MAX_FILE_BYTES, MAX_PIXELS, PICTURE_EXTENSIONS, has_picture_extension,
};
pub use measures::{Measures, Pose, rotation};
pub use picture::Picture;
pub use stage::DetectorStage;
