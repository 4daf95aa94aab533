//! The orientation of a picture in its metadata: EXIF, or else XMP.

/// The EXIF orientation, 1 to 8, of a block that starts with a TIFF header, or with
/// `Exif` and two bytes before it.
pub(super) fn orientation(block: &[u8]) -> Option<u8> {
    let tiff = match block {
        [b'E', b'x', b'i', b'f', 0, _, rest @ ..] => rest,
        all => all,
    };
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = u32_at(4)? as usize;
    let entries = u16_at(directory)? as usize;
    for i in 0..entries {
        let entry = directory.checked_add(2 + 12 * i)?;
        if u16_at(entry)? != 0x112 {
            continue;
        }
        // The standard says SHORT; BYTE and LONG are found too.
        let value = match u16_at(entry + 2)? {
            1 => u32::from(*tiff.get(entry + 8)?),
            3 => u32::from(u16_at(entry + 8)?),
            4 => u32_at(entry + 8)?,
            _ => return None,
        };
        return u8::try_from(value).ok().filter(|v| (1..=8).contains(v));
    }
    None
}

/// The value of `tiff:Orientation` in an XMP packet, an attribute or an element.
pub(super) fn orientation_of_xmp(packet: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet.windows(NAME.len()).position(|window| window == NAME)?;
    let mut rest = packet[at + NAME.len()..].iter().copied().filter(|b| !b.is_ascii_whitespace());
    let value = match (rest.next()?, rest.next()?) {
        (b'=', b'"' | b'\'') => rest.next()?,
        (b'>', value) => value,
        _ => return None,
    };
    let digit = value.checked_sub(b'0').filter(|v| (1..=8).contains(v))?;
    rest.next().is_some_and(|b| !b.is_ascii_digit()).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(little: bool, kind: u16, value: u32) -> Vec<u8> {
        let u16s = |v: u16| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let u32s = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
        let mut bytes = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        bytes.extend(u32s(8));
        bytes.extend(u16s(2));
        for (tag, kind, value) in [(0x10F, 3, 7), (0x112, kind, value)] {
            bytes.extend(u16s(tag));
            bytes.extend(u16s(kind));
            bytes.extend(u32s(1));
            match kind {
                1 => bytes.extend([value as u8, 0, 0, 0]),
                3 => bytes.extend([u16s(value as u16), [0, 0]].concat()),
                _ => bytes.extend(u32s(value)),
            }
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn every_type_order_and_prefix_is_read() {
        for little in [true, false] {
            for kind in [1, 3, 4] {
                let bytes = block(little, kind, 6);
                assert_eq!(orientation(&bytes), Some(6));
                for prefix in [b"Exif\0\0", b"Exif\0\xFF"] {
                    assert_eq!(orientation(&[&prefix[..], &bytes].concat()), Some(6));
                }
                for length in 0..bytes.len() {
                    // Never a panic; the entry may be complete before the end.
                    let _ = orientation(&bytes[..length]);
                }
            }
            assert_eq!(orientation(&block(little, 3, 9)), None);
            assert_eq!(orientation(&block(little, 2, 6)), None);
        }
    }

    #[test]
    fn xmp_has_attributes_and_elements() {
        let value = |text: &str| orientation_of_xmp(text.as_bytes());
        assert_eq!(value(r#"<x tiff:Orientation="6"/>"#), Some(6));
        assert_eq!(value("<x tiff:Orientation = '3' />"), Some(3));
        assert_eq!(value("<tiff:Orientation> 8 </tiff:Orientation>"), Some(8));
        assert_eq!(value(r#"tiff:Orientation="61""#), None);
        assert_eq!(value("tiff:Orientation"), None);
        assert_eq!(value(""), None);
    }
}
