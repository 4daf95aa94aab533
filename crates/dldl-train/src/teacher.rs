//! A teacher's embeddings or distributions: a NumPy file and the list of its pictures.

use std::collections::HashMap;
use std::path::Path;

use crate::error::TrainError;
use crate::npy;

/// Rows of numbers by the pictures' names.
#[derive(Debug)]
pub(crate) struct Teacher {
    length: usize,
    values: Vec<f32>,
    /// The row of each picture.
    places: HashMap<String, usize>,
}

impl Teacher {
    /// Reads rows `[N, D]` and the list of their N pictures.
    ///
    /// # Errors
    /// If a file cannot be read, or they do not match.
    pub(crate) fn load(path: &Path, list: &Path) -> Result<Self, TrainError> {
        let bytes = std::fs::read(path).map_err(|e| TrainError::io(path, e))?;
        let fail = |reason: String| TrainError::Embeddings { path: path.into(), reason };
        let ([count, length], values) = npy::parse(&bytes).map_err(fail)?;
        if length == 0 {
            return Err(fail("the rows are empty".into()));
        }
        let text = std::fs::read_to_string(list).map_err(|e| TrainError::io(list, e))?;
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.len() != count {
            let list = list.display();
            return Err(fail(format!("{count} rows, but {list} lists {} pictures", names.len())));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(fail(format!("row {} contains {}", i / length, values[i])));
        }
        let places = names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        Ok(Self { length, values, places })
    }

    /// Values in a row.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// All rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.length)
    }

    /// The row of a picture, if the list has it.
    pub(crate) fn of(&self, file: &str) -> Option<&[f32]> {
        let row = *self.places.get(file)?;
        Some(&self.values[row * self.length..][..self.length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::tests::file;

    #[test]
    fn embeddings_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (npy, list) = (dir.path().join("e.npy"), dir.path().join("l.txt"));
        std::fs::write(&list, "a.jpg\nb/c.jpg\n").unwrap();
        let data: Vec<u8> = (1..=6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        std::fs::write(&npy, file("<f4", "(2, 3)", &data)).unwrap();
        let teacher = Teacher::load(&npy, &list).unwrap();
        assert_eq!(teacher.of("b/c.jpg"), Some(&[4.0, 5.0, 6.0][..]));
        assert_eq!((teacher.length(), teacher.of("c.jpg")), (3, None));

        let refused = || Teacher::load(&npy, &list).unwrap_err().to_string();
        std::fs::write(&list, "a.jpg\n").unwrap();
        let message = refused();
        assert!(message.contains("2 rows") && message.contains("e.npy"), "{message}");
        std::fs::write(&npy, b"\x93NUMPY\x01\x00").unwrap();
        let message = refused();
        assert!(message.contains("truncated") && message.contains("e.npy"), "{message}");
    }
}
