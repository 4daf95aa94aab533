//! Datasets as their publishers lay them out, one file each: a function from a root
//! folder to a [`Dataset`](crate::Dataset), and a [`Format`](crate::Format) that says
//! what the labels and splits are and whose work it is.

pub(crate) mod agedb;
pub(crate) mod all_age_faces;
pub(crate) mod cfd;
pub(crate) mod chalearn;
pub(crate) mod csv;
pub(crate) mod fairface;
pub(crate) mod fgnet;
pub(crate) mod london;
pub(crate) mod mebeauty;
pub(crate) mod morph;
pub(crate) mod people;
pub(crate) mod scut;
pub(crate) mod scut500;
pub(crate) mod utkface;
