//! A teacher's embeddings: a NumPy file beside the list of its pictures.

use std::collections::HashMap;
use std::path::Path;

use crate::error::TrainError;

/// Embeddings by the pictures' names.
#[derive(Debug)]
pub(crate) struct Teacher {
    length: usize,
    values: Vec<f32>,
    rows: HashMap<String, usize>,
}

impl Teacher {
    /// Reads embeddings `[N, D]` and the list of their N pictures.
    ///
    /// # Errors
    /// If a file cannot be read, or they do not fit each other.
    pub(crate) fn load(npy: &Path, list: &Path) -> Result<Self, TrainError> {
        let bytes = std::fs::read(npy).map_err(|e| TrainError::io(npy, e))?;
        let fail = |what: String| TrainError::Data(format!("{}: {what}", npy.display()));
        let ([count, length], values) = parse(&bytes).map_err(fail)?;
        if length == 0 {
            return Err(fail("has rows of no numbers".into()));
        }
        let text = std::fs::read_to_string(list).map_err(|e| TrainError::io(list, e))?;
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.len() != count {
            let what = format!("has {count} rows, {} names {}", list.display(), names.len());
            return Err(fail(what));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(fail(format!("row {} holds {}", i / length, values[i])));
        }
        let rows = names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        Ok(Self { length, values, rows })
    }

    /// Numbers in an embedding.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The embedding of a picture.
    pub(crate) fn of(&self, file: &str) -> Option<&[f32]> {
        let row = *self.rows.get(file)?;
        Some(&self.values[row * self.length..][..self.length])
    }
}

/// Reads a two-dimensional array of little-endian floats in C order (NEP 1,
/// versions 1 to 3).
fn parse(bytes: &[u8]) -> Result<([usize; 2], Vec<f32>), String> {
    let short = || "ends early".to_owned();
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("is no NumPy file".into());
    }
    let at = |range| bytes.get(range).ok_or_else(short);
    let (length, from) = match at(6..8)?[0] {
        1 => (usize::from(u16::from_le_bytes([bytes[8], at(8..10)?[1]])), 10),
        _ => {
            let b = at(8..12)?;
            (u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize, 12)
        }
    };
    let header = String::from_utf8_lossy(at(from..from + length)?).replace(' ', "");
    let field = |name: &str| {
        let start = header.find(&format!("'{name}':")).map(|i| i + name.len() + 3);
        start.map(|start| &header[start..]).ok_or_else(|| format!("its header has no {name}"))
    };
    if !field("fortran_order")?.starts_with("False") {
        return Err("is in Fortran's order, C's is needed".into());
    }
    let shape = field("shape")?.trim_start_matches('(');
    let shape = shape.split(')').next().unwrap_or_default();
    let dims: Vec<usize> = shape.split(',').filter_map(|n| n.parse().ok()).collect();
    let [rows, columns] = dims[..] else {
        return Err(format!("has shape ({shape}), two dimensions are needed"));
    };
    let count = rows.checked_mul(columns).ok_or_else(short)?;
    let data = &bytes[from + length..];
    let values: Vec<f32> = match field("descr")? {
        d if d.starts_with("'<f4'") => {
            data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
        }
        d if d.starts_with("'<f8'") => {
            data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect()
        }
        _ => return Err("is neither of type <f4 nor <f8".into()),
    };
    if values.len() != count {
        return Err(format!("has {} numbers instead of {count}", values.len()));
    }
    Ok(([rows, columns], values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.save` of `[[1, 2, 3], [4, 5, 6]]`, as f32 or f64.
    fn file(descr: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2, 3), }}");
        let header = format!("{header:117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn numbers() -> [f64; 6] {
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    }

    #[test]
    fn embeddings_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (npy, list) = (dir.path().join("e.npy"), dir.path().join("l.txt"));
        std::fs::write(&list, "a.jpg\nb/c.jpg\n").unwrap();
        let single: Vec<u8> = numbers().iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        let double: Vec<u8> = numbers().iter().flat_map(|v| v.to_le_bytes()).collect();
        for bytes in [file("<f4", &single), file("<f8", &double)] {
            std::fs::write(&npy, bytes).unwrap();
            let teacher = Teacher::load(&npy, &list).unwrap();
            assert_eq!(teacher.of("b/c.jpg"), Some(&[4.0, 5.0, 6.0][..]));
            assert_eq!((teacher.length(), teacher.of("c.jpg")), (3, None));
        }
        for (bytes, part) in [
            (file("<f4", &single[..20]), "5 numbers instead of 6"),
            (file("<i8", &double), "neither"),
            (b"PK".to_vec(), "no NumPy file"),
            (b"\x93NUMPY\x01".to_vec(), "ends early"),
        ] {
            std::fs::write(&npy, bytes).unwrap();
            let message = Teacher::load(&npy, &list).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("e.npy"), "{message}");
        }
        std::fs::write(&npy, file("<f4", &single)).unwrap();
        std::fs::write(&list, "a.jpg\n").unwrap();
        assert!(Teacher::load(&npy, &list).unwrap_err().to_string().contains("2 rows"));
    }
}
