//! Another description for a weights file, without touching a number in it. What
//! a description says is in `info.rs`.

use std::path::Path;

use safetensors::tensor::SafeTensors;

use crate::weights::{INFO_KEY, write_whole};
use crate::{ModelInfo, NetError, Weights};

/// The content of a weights file, in floating point or quantized, that says
/// something else of itself. All tensors keep their types and bytes.
///
/// # Errors
/// If `bytes` are no weights file, or the new description contradicts itself or
/// is of another network.
pub fn described(bytes: &[u8], change: impl FnOnce(&mut ModelInfo)) -> Result<Vec<u8>, NetError> {
    let before = Weights::read_info(bytes)?;
    let mut info = before.clone();
    change(&mut info);
    info.check()?;
    if info.net != before.net || info.quantization.is_some() != before.quantization.is_some() {
        return Err(NetError::Spec("a description of another network".into()));
    }
    let unreadable = |e| NetError::Format(format!("not a safetensors file ({e})"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    let text = serde_json::to_string(&info).expect("a description is plain data");
    metadata.insert(INFO_KEY.to_owned(), text);
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    safetensors::serialize(file.iter(), Some(metadata)).map_err(|e| NetError::Format(e.to_string()))
}

/// Writes [`described`] to a file, whole or not at all; one that stands there is
/// replaced in one step.
///
/// # Errors
/// As [`described`], and [`NetError::File`] if the file cannot be written.
pub fn save_described(
    bytes: &[u8],
    path: impl AsRef<Path>,
    change: impl FnOnce(&mut ModelInfo),
) -> Result<(), NetError> {
    let path = path.as_ref();
    write_whole(path, &described(bytes, change)?)
        .map_err(|e| NetError::file(path, &format_args!("cannot be written: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calibration, Crop, NetSpec, Precision, QuantizedWeights, quantize};

    #[test]
    fn the_numbers_stay_and_the_words_change() {
        let weights = Weights::random("before", NetSpec::vgg16(1, 16, 101)).unwrap();
        let size = weights.info.input_size;
        let pixels = (0..3 * size * size).map(|i| (i % 251) as u8).collect();
        let crop = Crop::new(size, pixels).unwrap();
        let quantized = quantize(&weights, &[crop], "a crop").unwrap();
        let files = [
            weights.to_bytes(Precision::F32).unwrap(),
            weights.to_bytes(Precision::F16).unwrap(),
            quantized.to_bytes().unwrap(),
        ];
        for file in files {
            let calibration = Some(Calibration::temperature(1.25));
            let after = described(&file, |info| info.calibration = calibration.clone()).unwrap();
            assert_eq!(Weights::read_info(&after).unwrap().calibration, calibration);
            let (a, b) = (SafeTensors::deserialize(&file), SafeTensors::deserialize(&after));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a.len(), b.len());
            for (name, tensor) in a.iter() {
                let same = b.tensor(name).unwrap();
                assert_eq!((tensor.dtype(), tensor.shape()), (same.dtype(), same.shape()));
                assert!(tensor.data() == same.data(), "{name}");
            }
            // And back again, byte by byte.
            assert!(described(&after, |info| info.calibration = None).unwrap() == file);
        }
        assert!(QuantizedWeights::from_bytes(&quantized.to_bytes().unwrap()).is_ok());
    }

    #[test]
    fn another_network_is_refused() {
        let weights = Weights::random("before", NetSpec::vgg16(1, 16, 101)).unwrap();
        let file = weights.to_bytes(Precision::F16).unwrap();
        let wider = described(&file, |info| info.net = NetSpec::vgg16(1, 8, 101));
        assert!(wider.unwrap_err().to_string().contains("another network"));
        let cold = |info: &mut ModelInfo| info.calibration = Some(Calibration::temperature(0.0));
        assert!(described(&file, cold).is_err());
        assert!(described(b"no weights", |_| ()).is_err());
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("no").join("file");
        assert!(save_described(&file, &there, |_| ()).unwrap_err().to_string().contains("written"));
    }
}
