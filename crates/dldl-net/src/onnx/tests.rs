//! Exports, decoded and run by an interpreter that follows ONNX's definitions of the
//! operators. `tools/check_onnx.py` compares them with onnxruntime.

use std::collections::BTreeMap;

use dldl_label::{LabelSet, Method, Recalibration, Task};

use super::*;
use crate::{Calibration, Crop, Engine, Head, ModelInfo, NetSpec, Pooling};

/// Pseudorandom values in -1..1.
fn noise(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((seed + 1) * 7919 + i) as f32 * 12.9898).sin()).collect()
}

fn model(stages: &[&[usize]], pooling: Pooling, labels: LabelSet) -> Weights {
    let stages = stages.iter().map(|s| s.to_vec()).collect();
    let net = NetSpec { stages, pooling, outputs: labels.len() };
    let mut tensors = BTreeMap::new();
    for (i, (name, shape)) in net.tensors().into_iter().enumerate() {
        let mut values = noise(i, shape.iter().product());
        if name.ends_with("running_var") {
            values.iter_mut().for_each(|v| *v += 1.5);
        }
        tensors.insert(name, values);
    }
    let info = ModelInfo::new("small", net, labels, "dldl-v2".parse().unwrap());
    Weights::new(info, tensors).unwrap()
}

fn small(pooling: Pooling) -> Weights {
    model(&[&[5, 8], &[9]], pooling, LabelSet::new(1.0, 5.0, 0.5).unwrap())
}

fn decoded(weights: &Weights, size: Option<usize>) -> Model {
    Model::decode(&*export(weights, Options { size }).unwrap()).unwrap()
}

/// Shape and values, row-major.
#[derive(Clone)]
struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Runs a graph. Returns all arrays by name.
fn interpret(graph: &Graph, crops: Array) -> BTreeMap<String, Array> {
    let mut arrays = BTreeMap::from([(INPUT.to_owned(), crops)]);
    for tensor in &graph.initializer {
        let shape: Vec<usize> = tensor.dims.iter().map(|&d| d as usize).collect();
        let values: Vec<f32> = match tensor.data_type() {
            proto::DataType::Float => {
                tensor.raw_data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
            }
            proto::DataType::Int64 => tensor
                .raw_data
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b) as f32)
                .collect(),
            other => panic!("{}: {other:?}", tensor.name),
        };
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{}", tensor.name);
        arrays.insert(tensor.name.clone(), Array { shape, values });
    }
    for node in &graph.node {
        let inputs: Vec<&Array> = node.input.iter().map(|name| &arrays[name]).collect();
        let output = operator(node, &inputs);
        assert!(arrays.insert(node.output[0].clone(), output).is_none(), "{}", node.name);
    }
    arrays
}

fn ints<'a>(node: &'a Node, name: &str) -> &'a [i64] {
    let attribute = node.attribute.iter().find(|a| a.name == name).expect("an attribute");
    assert_eq!(attribute.r#type(), proto::AttributeType::Ints);
    &attribute.ints
}

fn int(node: &Node, name: &str) -> i64 {
    let attribute = node.attribute.iter().find(|a| a.name == name).expect("an attribute");
    assert_eq!(attribute.r#type(), proto::AttributeType::Int);
    attribute.i.expect("a value, even if it is 0")
}

fn operator(node: &Node, inputs: &[&Array]) -> Array {
    let Array { shape, values } = inputs[0];
    let map = |f: &dyn Fn(usize, f32) -> f32| Array {
        shape: shape.clone(),
        values: values.iter().enumerate().map(|(i, &v)| f(i, v)).collect(),
    };
    // The second input, broadcast: the same shape, a scalar, a row, or a value per channel.
    let other = |i: usize| match inputs[1].shape[..] {
        _ if inputs[1].shape == *shape => inputs[1].values[i],
        [] => inputs[1].values[0],
        [c] => inputs[1].values[i % c],
        [1, c, 1, 1] => inputs[1].values[i / (shape[2] * shape[3]) % c],
        _ => panic!("{}: shape {:?}", node.name, inputs[1].shape),
    };
    match node.op_type.as_str() {
        // A column minus a row: all pairs.
        "Sub" if shape[..] == [shape[0], 1] => {
            let row = &inputs[1].values;
            let values = values.iter().flat_map(|v| row.iter().map(move |r| v - r)).collect();
            Array { shape: vec![shape[0], row.len()], values }
        }
        "Sub" => map(&|i, v| v - other(i)),
        "Add" => map(&|i, v| v + other(i)),
        "Mul" => map(&|i, v| v * other(i)),
        "Neg" => map(&|_, v| -v),
        "Abs" => map(&|_, v| v.abs()),
        "Tanh" => map(&|_, v| v.tanh()),
        "Sigmoid" => map(&|_, v| 1.0 / (1.0 + (-v).exp())),
        "GreaterOrEqual" => map(&|i, v| f32::from(v >= other(i))),
        "Div" => map(&|i, v| v / other(i)),
        "Clip" => map(&|_, v| v.clamp(inputs[1].values[0], inputs[2].values[0])),
        "Relu" => map(&|_, v| v.max(0.0)),
        "Conv" => {
            assert_eq!(
                (ints(node, "kernel_shape"), ints(node, "pads")),
                (&[3; 2][..], &[1; 4][..])
            );
            convolution(inputs[0], inputs[1], &inputs[2].values)
        }
        "MaxPool" => {
            assert_eq!(
                (ints(node, "kernel_shape"), ints(node, "strides")),
                (&[2; 2][..], &[2; 2][..])
            );
            let [n, c, height, width] = shape[..] else { panic!("{shape:?}") };
            let (h, w) = (height / 2, width / 2);
            let at = |p: usize, y: usize, x: usize| values[(p * height + y) * width + x];
            let largest = |i: usize| {
                let (p, y, x) = (i / (h * w), 2 * (i / w % h), 2 * (i % w));
                at(p, y, x).max(at(p, y, x + 1)).max(at(p, y + 1, x)).max(at(p, y + 1, x + 1))
            };
            Array { shape: vec![n, c, h, w], values: (0..n * c * h * w).map(largest).collect() }
        }
        "GlobalAveragePool" => {
            let area = shape[2] * shape[3];
            let mean = |plane: &[f32]| plane.iter().sum::<f32>() / area as f32;
            let values = values.chunks_exact(area).map(mean).collect();
            Array { shape: vec![shape[0], shape[1], 1, 1], values }
        }
        "Flatten" => {
            assert_eq!(int(node, "axis"), 1);
            Array { shape: vec![shape[0], values.len() / shape[0]], values: values.clone() }
        }
        "Gemm" => {
            assert_eq!(int(node, "transB"), 1);
            let (outputs, features) = (inputs[1].shape[0], inputs[1].shape[1]);
            let mut sums = Vec::new();
            for row in values.chunks_exact(features) {
                for (w, b) in inputs[1].values.chunks_exact(features).zip(&inputs[2].values) {
                    sums.push(b + row.iter().zip(w).map(|(a, b)| a * b).sum::<f32>());
                }
            }
            Array { shape: vec![shape[0], outputs], values: sums }
        }
        "Softmax" => {
            assert_eq!(int(node, "axis"), 1);
            let row = |row: &[f32]| {
                let sum: f32 = row.iter().map(|v| v.exp()).sum();
                row.iter().map(|v| v.exp() / sum).collect::<Vec<_>>()
            };
            Array { shape: shape.clone(), values: values.chunks(shape[1]).flat_map(row).collect() }
        }
        "MatMul" => {
            assert_eq!(inputs[1].shape[0], shape[1]);
            let columns = inputs[1].shape.get(1).copied().unwrap_or(1);
            let column = |c: usize| inputs[1].values.iter().skip(c).step_by(columns);
            let dots = |row: &[f32]| {
                let dot = |c| row.iter().zip(column(c)).map(|(a, b)| a * b).sum::<f32>();
                (0..columns).map(dot).collect::<Vec<f32>>()
            };
            let shape_of_all = [&shape[..1], &inputs[1].shape[1..]].concat();
            Array { shape: shape_of_all, values: values.chunks(shape[1]).flat_map(dots).collect() }
        }
        "TopK" => {
            // Only the values; the indices are not used.
            assert_eq!(inputs[1].values, [shape[1] as f32]);
            let mut values = values.clone();
            values.chunks_mut(shape[1]).for_each(|row| row.sort_by(|a, b| b.total_cmp(a)));
            Array { shape: shape.clone(), values }
        }
        "Reshape" => {
            assert_eq!((shape.len(), &inputs[1].values[..]), (1, &[-1.0, 1.0][..]));
            Array { shape: vec![shape[0], 1], values: values.clone() }
        }
        "Cast" => {
            assert_eq!(int(node, "to"), 1);
            map(&|_, v| v)
        }
        other => panic!("operator {other}"),
    }
}

/// 3x3, padding 1.
fn convolution(x: &Array, weight: &Array, bias: &[f32]) -> Array {
    let [n, inputs, height, width] = x.shape[..] else { panic!("{:?}", x.shape) };
    let outputs = weight.shape[0];
    assert_eq!((&weight.shape[1..], bias.len()), (&[inputs, 3, 3][..], outputs));
    let mut values = Vec::new();
    for i in 0..n * outputs * height * width {
        let (column, row, o) = (i % width, i / width % height, i / (width * height) % outputs);
        let picture = i / (width * height * outputs);
        let mut sum = bias[o];
        for (k, w) in weight.values[o * inputs * 9..][..inputs * 9].iter().enumerate() {
            let (y, x_) = (row + k / 3 % 3, column + k % 3);
            if (1..=height).contains(&y) && (1..=width).contains(&x_) {
                let plane = picture * inputs + k / 9;
                sum += w * x.values[(plane * height + y - 1) * width + x_ - 1];
            }
        }
        values.push(sum);
    }
    Array { shape: vec![n, outputs, height, width], values }
}

/// Crops as input of the graph.
fn planes(crops: &[Crop]) -> Array {
    let plane = |crop: &Crop, c: usize| -> Vec<f32> {
        crop.rgb().iter().skip(c).step_by(3).map(|&v| f32::from(v)).collect()
    };
    let values = crops.iter().flat_map(|crop| (0..3).flat_map(move |c| plane(crop, c))).collect();
    Array { shape: vec![crops.len(), 3, crops[0].size(), crops[0].size()], values }
}

fn crop(size: usize, seed: usize) -> Crop {
    let bytes = noise(seed, 3 * size * size).iter().map(|v| ((v + 1.0) * 127.9) as u8).collect();
    Crop::new(size, bytes).unwrap()
}

fn assert_close(a: &[f32], b: impl IntoIterator<Item = f32>, tolerance: f32, what: &str) {
    let mut count = 0;
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance, "{what}: {a} instead of {b}");
        count += 1;
    }
    assert_eq!(a.len(), count, "{what}");
}

#[test]
fn graphs_compute_the_same_as_the_engine() {
    for pooling in [Pooling::Hybrid, Pooling::Average] {
        for calibration in [None, Some(Calibration::temperature(1.7))] {
            let mut weights = small(pooling);
            weights.info.heads[0].calibration = calibration;
            let model = decoded(&weights, None);
            let engine = Engine::from_weights(&weights).unwrap();
            for size in [4, 8, 20] {
                let crops = [crop(size, 1), crop(size, 2)];
                let arrays = interpret(model.graph.as_ref().unwrap(), planes(&crops));
                let logits = engine.logits(&crops).unwrap();
                assert_eq!(arrays[LOGITS].shape, [2, 9]);
                assert_close(&arrays[LOGITS].values, logits.concat(), 1e-4, LOGITS);
                let ages = engine.run(&crops).unwrap();
                let probabilities = ages
                    .iter()
                    .flat_map(|e| e[0].distribution.probabilities().iter().map(|&p| p as f32));
                assert_close(&arrays[PROBABILITIES].values, probabilities, 1e-5, PROBABILITIES);
                let means = ages.iter().map(|e| e[0].value as f32);
                assert_close(&arrays[EXPECTATION].values, means, 1e-4, EXPECTATION);
            }
        }
    }
}

/// Each method, with and without a recalibration, with a second head on the same trunk.
#[test]
fn graphs_decode_every_method() {
    let labels = LabelSet::new(1.0, 5.0, 0.5).unwrap();
    let crops = [crop(8, 1), crop(8, 2), crop(8, 3)];
    let both = Method::ALL.iter().flat_map(|method| [(method, false), (method, true)]);
    for (method, recalibrated) in both {
        let mut weights = small(Pooling::Hybrid);
        let (mut info, width) = (weights.info.clone(), 9);
        let second_labels = LabelSet::new(0.0, 3.0, 1.0).unwrap();
        info.net.outputs = method.head_size(&labels) + 3;
        info.heads = vec![
            Head::new(Task::Age, labels.clone(), *method),
            Head::new(Task::Attractiveness, second_labels, Method::RankingBce),
        ];
        // Pieces that start and end between labels.
        let nodes = vec![[1.0, 1.0], [2.2, 1.4], [3.1, 3.3], [5.0, 5.0]];
        let map = Some(Recalibration::try_from(nodes).unwrap());
        info.heads[0].calibration =
            Some(Calibration { recalibration: map, ..Calibration::temperature(0.8) });
        let nodes = vec![[0.0, 0.0], [1.5, 2.0], [3.0, 3.0]];
        let map = Some(Recalibration::try_from(nodes).unwrap());
        info.heads[1].calibration =
            Some(Calibration { recalibration: map, ..Calibration::temperature(1.0) });
        if !recalibrated {
            info.heads.iter_mut().for_each(|head| head.calibration = None);
        }
        let outputs = info.net.outputs;
        let tensors = info.net.tensors().into_iter().map(|(name, _)| {
            let values = match name.as_str() {
                "fc.weight" => noise(71, outputs * width),
                "fc.bias" => noise(72, outputs),
                _ => weights.tensor(&name).to_vec(),
            };
            (name, values)
        });
        weights = Weights::new(info, tensors.collect()).unwrap();
        let model = decoded(&weights, None);
        let arrays = interpret(model.graph.as_ref().unwrap(), planes(&crops));
        let estimates = Engine::from_weights(&weights).unwrap().run(&crops).unwrap();
        for h in 0..2 {
            let name = |what: &str| match h {
                0 => what.to_owned(),
                _ => format!("attractiveness.{what}"),
            };
            let own = || estimates.iter().map(|heads| &heads[h]);
            let probabilities =
                own().flat_map(|e| e.distribution.probabilities().iter().map(|&p| p as f32));
            let what = format!("{} {}", method.name(), name(PROBABILITIES));
            assert_close(&arrays[&name(PROBABILITIES)].values, probabilities, 1e-5, &what);
            let estimates = own().map(|e| e.value as f32);
            let what = format!("{} {}", method.name(), name(EXPECTATION));
            assert_close(&arrays[&name(EXPECTATION)].values, estimates, 1e-4, &what);
        }
    }
}

/// The declared shape of an input or output, with names in quotes.
fn shape(value: &Value) -> String {
    let tensor = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()).unwrap();
    assert_eq!(tensor.elem_type(), proto::DataType::Float);
    let dim = |d: &proto::Dimension| match d.value.as_ref().unwrap() {
        Dim::Size(size) => size.to_string(),
        Dim::Name(name) => format!("{name:?}"),
    };
    let dims: Vec<_> = tensor.shape.as_ref().unwrap().dim.iter().map(dim).collect();
    format!("{} {}", value.name, dims.join(" "))
}

#[test]
fn files_declare_inputs_outputs_and_description() {
    let weights = small(Pooling::Average);
    let dynamic = decoded(&weights, None);
    let description = &dynamic.metadata_props[0];
    assert_eq!(description.key, INFO_KEY);
    assert_eq!(serde_json::from_str::<ModelInfo>(&description.value).unwrap(), weights.info);
    assert_eq!((dynamic.ir_version, dynamic.opset_import[0].version), (7, 13));
    let graph = dynamic.graph.unwrap();
    assert_eq!(shape(&graph.input[0]), r#"crops "N" 3 "S" "S""#);
    let outputs: Vec<_> = graph.output.iter().map(shape).collect();
    assert_eq!(outputs, [r#"logits "N" 9"#, r#"probabilities "N" 9"#, r#"expectation "N""#]);
    // Average pooling omits the last max pool: one instead of two.
    let pools = |g: &Graph| g.node.iter().filter(|n| n.op_type == "MaxPool").count();
    assert_eq!(pools(&graph), 1);
    let fixed = decoded(&small(Pooling::Hybrid), Some(224)).graph.unwrap();
    assert_eq!(shape(&fixed.input[0]), r#"crops "N" 3 224 224"#);
    assert_eq!(pools(&fixed), 2);
}

#[test]
fn unsupported_sizes_and_inconsistent_models_are_rejected() {
    let weights = small(Pooling::Hybrid);
    for size in [0, 6, 225] {
        let error = export(&weights, Options { size: Some(size) }).unwrap_err().to_string();
        assert!(error.contains(&format!("{size}x{size}")) && error.ends_with("of 4"), "{error}");
    }
    let mut wrong = weights.clone();
    wrong.info.net.outputs = 10;
    assert!(export(&wrong, Options::default()).is_err());
}

#[test]
fn failed_exports_keep_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let weights = small(Pooling::Hybrid);
    let path = dir.path().join("model.onnx");
    save(&weights, &path, Options::default()).unwrap();
    let written = std::fs::read(&path).unwrap();
    assert_eq!(written, export(&weights, Options::default()).unwrap());
    assert!(save(&weights, &path, Options { size: Some(3) }).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), written);
    let nowhere = dir.path().join("no folder/model.onnx");
    let error = save(&weights, &nowhere, Options::default()).unwrap_err();
    assert!(error.to_string().ends_with("model.onnx"), "{error}");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "cannot be written");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
