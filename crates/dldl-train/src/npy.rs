//! Reading of NumPy's `.npy` files.
//!
//! By hand, since the file is one line of text before plain numbers: of the crates
//! for it, `npyz` multiplies the dimensions unchecked, and `ndarray-npy` brings an
//! array library and a parser generator into every build.

/// A two-dimensional array of little-endian floats in C order (NEP 1, versions 1 to
/// 3): its shape and its values. `f64` is rounded to `f32`.
///
/// # Errors
/// What is wrong with the file, if it is anything else, truncated or longer than its
/// shape says.
pub fn parse(bytes: &[u8]) -> Result<([usize; 2], Vec<f32>), String> {
    let truncated = || "the file is truncated".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("not a NumPy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(truncated)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(truncated)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!("version {other} of the format is not supported")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(truncated)?;
    let header = String::from_utf8_lossy(header).replace(' ', "");
    let field = |name: &str| {
        let start = header.find(&format!("'{name}':")).map(|i| i + name.len() + 3);
        start.map(|start| &header[start..]).ok_or_else(|| format!("the header has no `{name}`"))
    };
    if !field("fortran_order")?.starts_with("False") {
        return Err("the array is in Fortran order, expected C order".into());
    }
    let shape = field("shape")?.trim_start_matches('(');
    let shape = shape.split(')').next().unwrap_or_default();
    let dims: Result<Vec<usize>, _> =
        shape.split(',').filter(|n| !n.is_empty()).map(str::parse).collect();
    let Ok([rows, columns]) = dims.as_deref() else {
        return Err(format!("the array has shape ({shape}), expected two dimensions"));
    };
    let (rows, columns) = (*rows, *columns);
    let dtype = field("descr")?;
    let width = match dtype {
        d if d.starts_with("'<f4'") => 4,
        d if d.starts_with("'<f8'") => 8,
        _ => return Err("the array is neither of type <f4 nor <f8".into()),
    };
    let expected = rows.checked_mul(columns).and_then(|count| count.checked_mul(width));
    if expected != Some(data.len()) {
        return Err(format!("{rows} x {columns} values do not fit in {} bytes", data.len()));
    }
    let values = match width {
        4 => data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        _ => data.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
    };
    Ok(([rows, columns], values))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A file as `numpy.save` writes it.
    pub(crate) fn file(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn singles_and_doubles_are_read() {
        let single: Vec<u8> = (1..=6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let double: Vec<u8> = (1..=6).flat_map(|v| f64::from(v).to_le_bytes()).collect();
        for bytes in [file("<f4", "(2, 3)", &single), file("<f8", "(2, 3)", &double)] {
            assert_eq!(parse(&bytes), Ok(([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])));
        }
    }

    #[test]
    fn damaged_files_are_refused_with_the_reason() {
        let data = [0; 24];
        let huge = format!("({}, {})", usize::MAX / 2, 8);
        for (bytes, part) in [
            (file("<f4", "(2, 3)", &data[..20]), "2 x 3 values do not fit in 20 bytes"),
            (file("<f4", "(2, 3)", &[0; 25]), "do not fit in 25 bytes"),
            (file("<i8", "(2, 3)", &data), "neither"),
            (file("<f4", "(6,)", &data), "two dimensions"),
            (file("<f4", "(2, 99999999999999999999999)", &data), "two dimensions"),
            (file("<f4", &huge, &data), "do not fit"),
            (b"PK".to_vec(), "not a NumPy file"),
            (b"\x93NUMPY\x01".to_vec(), "truncated"),
            // Eight bytes: the length of the header is missing.
            (b"\x93NUMPY\x01\x00".to_vec(), "truncated"),
            (b"\x93NUMPY\x02\x00".to_vec(), "truncated"),
            (b"\x93NUMPY\x01\x00v".to_vec(), "truncated"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "truncated"),
            (b"\x93NUMPY\x09\x00v\x00".to_vec(), "version 9"),
        ] {
            let reason = parse(&bytes).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
        let whole = file("<f4", "(2, 3)", &data);
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
    }
}
