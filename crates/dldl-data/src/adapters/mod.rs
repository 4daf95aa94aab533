//! One file per published dataset layout: a function from a root folder to a
//! [`Dataset`](crate::Dataset), and a [`Format`](crate::Format) that describes labels,
//! splits and origin. [`crate::registry`] lists them.

pub(crate) mod adience;
pub(crate) mod agedb;
pub(crate) mod all_age_faces;
pub(crate) mod cacd;
pub(crate) mod cfd;
pub(crate) mod chalearn;
pub(crate) mod csv;
pub(crate) mod fairface;
pub(crate) mod fgnet;
mod file_names;
pub(crate) mod imdb;
pub(crate) mod lagenda;
pub(crate) mod london;
pub(crate) mod mebeauty;
pub(crate) mod megaage;
pub(crate) mod morph;
pub(crate) mod omi;
pub(crate) mod people;
pub(crate) mod scut;
pub(crate) mod scut500;
pub(crate) mod utkface;
