//! Changing the description in a weights file without touching its tensors. The
//! description itself is in `info.rs`.

use std::path::Path;

use safetensors::tensor::SafeTensors;

use crate::weights::{INFO_KEY, write};
use crate::{ModelInfo, NetError, Weights};

/// The content of a weights file, quantized or not, with a changed description.
/// All tensors keep their types and bytes.
///
/// # Errors
/// If `bytes` are not a weights file, or the new description contradicts itself or
/// is of another network.
pub fn with_info(bytes: &[u8], change: impl FnOnce(&mut ModelInfo)) -> Result<Vec<u8>, NetError> {
    let before = Weights::read_info(bytes)?;
    let mut info = before.clone();
    change(&mut info);
    info.check()?;
    if info.net != before.net || info.quantization.is_some() != before.quantization.is_some() {
        return Err(NetError::Spec("the new description is of another network".into()));
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(NetError::Safetensors)?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    let text = serde_json::to_string(&info).expect("a description can be written as JSON");
    metadata.insert(INFO_KEY.to_owned(), text);
    let file = SafeTensors::deserialize(bytes).map_err(NetError::Safetensors)?;
    safetensors::serialize(file.iter(), Some(metadata)).map_err(NetError::Safetensors)
}

/// Writes [`with_info`] to a file by [`dldl_io::write_atomic`].
///
/// # Errors
/// As [`with_info`], and [`NetError::File`] if the file cannot be written.
pub fn save_with_info(
    bytes: &[u8],
    path: impl AsRef<Path>,
    change: impl FnOnce(&mut ModelInfo),
) -> Result<(), NetError> {
    let path = path.as_ref();
    write(path, &with_info(bytes, change)?).map_err(NetError::in_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Calibration, Crop, NetSpec, Precision, QuantizedWeights, quantize};

    #[test]
    fn tensors_stay_and_the_description_changes() {
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
            let after =
                with_info(&file, |info| info.heads[0].calibration = calibration.clone()).unwrap();
            assert_eq!(Weights::read_info(&after).unwrap().heads[0].calibration, calibration);
            let (a, b) = (SafeTensors::deserialize(&file), SafeTensors::deserialize(&after));
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a.len(), b.len());
            for (name, tensor) in a.iter() {
                let same = b.tensor(name).unwrap();
                assert_eq!((tensor.dtype(), tensor.shape()), (same.dtype(), same.shape()));
                assert!(tensor.data() == same.data(), "{name}");
            }
            // And back again, to the byte.
            assert!(with_info(&after, |info| info.heads[0].calibration = None).unwrap() == file);
        }
        assert!(QuantizedWeights::from_bytes(&quantized.to_bytes().unwrap()).is_ok());
    }

    #[test]
    fn descriptions_of_other_networks_are_rejected() {
        let weights = Weights::random("before", NetSpec::vgg16(1, 16, 101)).unwrap();
        let file = weights.to_bytes(Precision::F16).unwrap();
        let wider = with_info(&file, |info| info.net = NetSpec::vgg16(1, 8, 101));
        assert!(wider.unwrap_err().to_string().contains("another network"));
        let cold =
            |info: &mut ModelInfo| info.heads[0].calibration = Some(Calibration::temperature(0.0));
        assert!(with_info(&file, cold).is_err());
        assert!(with_info(b"no weights", |_| ()).is_err());
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("no").join("file");
        let error = save_with_info(&file, &there, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), there.display().to_string());
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "cannot be written");
    }
}
