//! The weights file: round trips, and errors for broken files.

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::model;
use dldl_net::{Figure, INFO_KEY, NetSpec, Precision, Weights};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

fn tiny() -> Weights {
    let mut weights = model(NetSpec::tiny_age(101), 1);
    weights.info.license = "non-commercial research".into();
    let (name, of) = ("test MAE".into(), "the formula".into());
    weights.info.figures = vec![Figure { name, value: 5.5, of }];
    weights
}

#[test]
fn files_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let weights = tiny();
    weights.save(&path, Precision::F32).unwrap();
    assert_eq!(Weights::load(&path).unwrap(), weights);
    // Replacing works, and nothing is left beside the file.
    weights.save(&path, Precision::F16).unwrap();
    let halves = Weights::load(&path).unwrap();
    assert_eq!(halves.info, weights.info);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(std::fs::metadata(&path).unwrap().len() < 1_900_000);
    for (name, shape) in weights.info.net.tensors() {
        for (a, b) in weights.tensor(&name).iter().zip(halves.tensor(&name)) {
            let limit = if shape.len() < 2 { 0.0 } else { a.abs() / 2048.0 + 6e-8 };
            assert!((a - b).abs() <= limit, "{name}: {a} became {b}");
        }
    }
}

#[cfg(unix)]
#[test]
fn files_have_the_usual_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    tiny().save(dir.path().join("model"), Precision::F16).unwrap();
    std::fs::write(dir.path().join("other"), "").unwrap();
    let mode = |name| std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("model"), mode("other"));
}

/// A file like `tiny`'s with something changed: one tensor, or the metadata.
fn tampered(
    change: impl Fn(&str) -> Option<(Dtype, Vec<usize>, Vec<u8>)>,
    metadata: impl Fn(String) -> Option<HashMap<String, String>>,
) -> Vec<u8> {
    let bytes = tiny().to_bytes(Precision::F32).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = file
        .iter()
        .map(|(name, view)| {
            let same = || (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), change(name).unwrap_or_else(same))
        })
        .filter(|(_, (_, shape, _))| !shape.is_empty())
        .collect();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let info = header.metadata().as_ref().unwrap()[INFO_KEY].clone();
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, metadata(info)).unwrap()
}

fn with_tensor(name: &'static str, dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Vec<u8> {
    let change = |n: &str| (n == name).then(|| (dtype, shape.to_vec(), data.clone()));
    tampered(change, |info| Some(HashMap::from([(INFO_KEY.to_owned(), info)])))
}

fn with_info(change: impl Fn(String) -> String) -> Vec<u8> {
    tampered(|_| None, |info| Some(HashMap::from([(INFO_KEY.to_owned(), change(info))])))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An error with all its causes, as the command line prints it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A 0.5 MB file must not make the engine allocate gigabytes.
#[test]
fn input_sizes_are_bounded() {
    for size in [1_u64 << 40, 2048] {
        let bytes =
            with_info(|i| i.replace("\"input_size\":224", &format!("\"input_size\":{size}")));
        let error = chain(&Weights::from_bytes(&bytes).unwrap_err());
        assert!(error.contains("input size"), "{error}");
    }
    let mut wide = tiny().info;
    wide.net.stages = vec![vec![4096]];
    wide.input_size = 1024;
    let error = wide.check().unwrap_err().to_string();
    assert!(error.contains("too wide"), "{error}");
}

#[test]
fn broken_files_are_reported_with_their_names() {
    let good = tiny().to_bytes(Precision::F32).unwrap();
    let mut bias = vec![0.0; 101];
    bias[5] = f32::NAN;
    let mut variance = vec![1.0; 16];
    variance[3] = -1.0;
    let missing = || with_tensor("fc.bias", Dtype::F32, &[], floats(&[0.0]));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty", vec![], &["not a safetensors file"]),
        ("text", b"these are words, not weights".to_vec(), &["not a safetensors file"]),
        ("truncated", good[..good.len() / 2].to_vec(), &["not a safetensors file"]),
        ("foreign", tampered(|_| None, |_| None), &["description", "\"dldl\"", "not a dldl model"]),
        ("no json", with_info(|_| "{".into()), &["description is not valid", "EOF"]),
        ("shapeless", with_info(|i| i.replace("\"net\"", "\"nut\"")), &["missing field `net`"]),
        ("head", with_info(|i| i.replace("\"outputs\":101", "\"outputs\":100")), &["100", "101"]),
        ("size", with_info(|i| i.replace(":224", ":225")), &["input size 225", "multiple of 32"]),
        ("missing", missing(), &["tensor \"fc.bias\" is missing"]),
        (
            "other net",
            with_info(|i| i.replace("[128,128,128],[128,128,128]", "[128,128,128],[128,128]")),
            &["is not part of this network"],
        ),
        (
            "shape",
            with_tensor("fc.bias", Dtype::F32, &[100], floats(&[0.0; 100])),
            &["tensor \"fc.bias\"", "[100]", "[101]"],
        ),
        (
            "type",
            with_tensor("fc.bias", Dtype::I32, &[101], vec![0; 404]),
            &["tensor \"fc.bias\"", "I32", "F32 or F16"],
        ),
        (
            "nan",
            with_tensor("fc.bias", Dtype::F32, &[101], floats(&bias)),
            &["tensor \"fc.bias\"", "NaN at position 5"],
        ),
        (
            "variance",
            with_tensor("bn0.running_var", Dtype::F32, &[16], floats(&variance)),
            &["tensor \"bn0.running_var\"", "negative variance"],
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, words) in cases {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = Weights::load(&path).expect_err(name);
        assert_eq!(error.to_string(), path.to_string_lossy(), "{name}");
        let message = chain(&error);
        for word in words {
            assert!(message.contains(word), "{name}: {message}");
        }
    }
}

#[test]
fn unreadable_and_unwritable_files_are_named() {
    let missing = Path::new("no/such/folder/model.safetensors");
    let read = chain(&Weights::load(missing).unwrap_err());
    let written = chain(&tiny().save(missing, Precision::F16).unwrap_err());
    for (message, word) in [(read, "cannot be read"), (written, "cannot be written")] {
        assert!(message.starts_with("no/such/folder/model.safetensors: "), "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn weights_too_large_for_half_precision_are_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let good = tiny();
    let names = good.info.net.tensors().into_iter().map(|(name, _)| name);
    let mut tensors: std::collections::BTreeMap<_, _> =
        names.map(|name| (name.clone(), good.tensor(&name).to_vec())).collect();
    tensors.get_mut("fc.weight").unwrap()[0] = 1e5;
    let weights = Weights::new(good.info, tensors).unwrap();
    let message = chain(&weights.save(&path, Precision::F16).unwrap_err());
    assert!(message.contains("\"fc.weight\" is too large for half precision"), "{message}");
    assert!(!path.exists());
    weights.save(&path, Precision::F32).unwrap();
}
