//! From picture bytes to aligned face crops: decoding, detection, landmarks, alignment.
