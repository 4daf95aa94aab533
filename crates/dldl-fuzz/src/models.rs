//! Files of models and trainings: weights, what is exported of them, checkpoints, arrays of
//! teachers, recipes.

use crate::files::in_file;
use dldl_net::{Crop, Engine, Weights, onnx};

pub(crate) fn weights(bytes: &[u8]) {
    let Ok(engine) = Engine::from_bytes(bytes) else { return };
    // What is accepted can be used.
    let size = engine.info().net.size_step();
    if size <= 64 {
        let crop =
            Crop::new(size, vec![127; 3 * size * size]).expect("the size is that of the pixels");
        let _ = engine.run(&[crop]);
    }
    let renamed = dldl_net::with_info(bytes, |info| info.name.push('x'));
    if let Ok(renamed) = renamed {
        assert!(Engine::from_bytes(&renamed).is_ok());
    }
}

pub(crate) fn onnx(bytes: &[u8]) {
    let Some((&size, bytes)) = bytes.split_first() else { return };
    let Ok(weights) = Weights::from_bytes(bytes) else { return };
    let size = (size > 0).then_some(8 * usize::from(size));
    let _ = onnx::export(&weights, onnx::Options { size });
}

pub(crate) fn checkpoint(bytes: &[u8]) {
    in_file("checkpoint.safetensors", bytes, |path| {
        let _ = dldl_train::checkpoint::load(path);
    });
}

pub(crate) fn npy(bytes: &[u8]) {
    if let Ok(([rows, columns], values)) = dldl_train::npy::parse(bytes) {
        assert_eq!(values.len(), rows * columns);
    }
}

/// A recipe, or an experiment, with lines `key=value` of `--set` before a line of dashes.
pub(crate) fn recipe(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (set, text) = text.split_once("\n---\n").unwrap_or(("", text));
    let set: Vec<(String, String)> = set
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let _ = dldl_train::TrainConfig::parse(text, &set);
    let _ = dldl_experiment::Spec::parse(text);
}
