//! Ages of the faces in a picture: the library user's entry.
