//! Export of a model to ONNX, for other runtimes: one graph from a crop's pixels to the
//! age, with batch norm folded in. ONNX files are not read. The messages of the format
//! are in `onnx/proto.rs`.

mod decode;
mod proto;

use std::path::Path;

use decode::decode;
use prost::Message;
use proto::{Attribute, Dim, Graph, Model, Node, OperatorSet, Property, Tensor, Value};

use crate::{INFO_KEY, NetError, Weights, weights::write};

/// Name of the graph's input: float32 `[N, 3, S, S]`, RGB from 0 to 255.
pub const INPUT: &str = "crops";
/// Name of the output with the head's logits: float32 `[N, outputs]`.
pub const LOGITS: &str = "logits";
/// Name of the output with the label distribution, calibrated if the model has a
/// calibration: float32 `[N, labels]`.
pub const PROBABILITIES: &str = "probabilities";
/// Name of the output with the method's estimate, in units of the label (years): the
/// mean of the distribution, except for Ranking methods; float32 `[N]`.
pub const EXPECTATION: &str = "expectation";

/// ONNX 1.8 (2020): supported by every runtime, and the first version with per-channel
/// quantization, which other tools can apply.
const OPERATORS: i64 = 13;
const IR_VERSION: i64 = 7;

/// Protobuf's limit for a message is 2^31 - 1 bytes.
const MAX_BYTES: usize = i32::MAX as usize;

/// Options of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Side of the input crops in pixels, a multiple of the network's
    /// [`size_step`](crate::NetSpec::size_step); `None` leaves it dynamic.
    pub size: Option<usize>,
}

/// Exports a model to the bytes of an ONNX file.
///
/// The graph takes [`INPUT`] and computes [`LOGITS`], [`PROBABILITIES`] and
/// [`EXPECTATION`] as [`Engine`](crate::Engine) does without flip fusion; N, the number
/// of crops, is dynamic. The outputs of all heads but the first are prefixed with the
/// task, as in `attractiveness.expectation`. The model's description is in the file's
/// metadata, as JSON under [`INFO_KEY`].
///
/// # Errors
/// [`NetError::Crop`] if the network does not support crops of that size;
/// [`NetError::Tensor`] if a weight overflows an f32 when batch norm is folded in;
/// [`NetError::Format`] if the file would exceed 2 GB, the format's limit; or as
/// [`Weights::check`].
///
/// ```
/// use dldl_label::LabelSet;
/// use dldl_net::{ModelInfo, NetSpec, Weights, onnx};
///
/// // Normally: Weights::load("model.safetensors")?. Here: a network of zeros.
/// let info = ModelInfo::new("zeros", NetSpec::tiny_age(101), LabelSet::age(), "dldl-v2".parse()?);
/// let tensors = info.net.tensors().into_iter();
/// let zeros = tensors.map(|(name, shape)| (name, vec![0.0; shape.iter().product()])).collect();
/// let bytes = onnx::export(&Weights::new(info, zeros)?, onnx::Options::default())?;
/// assert!(bytes.len() > 4 * 930_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn export(weights: &Weights, options: Options) -> Result<Vec<u8>, NetError> {
    weights.check()?;
    let step = weights.info.net.size_step();
    if let Some(size) = options.size
        && (size == 0 || !size.is_multiple_of(step))
    {
        return Err(NetError::Crop(format!(
            "unsupported crop size {size}x{size} pixels: expected a multiple of {step}"
        )));
    }
    let info = &weights.info;
    let description = serde_json::to_string(info).expect("a description can be written as JSON");
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "dldl".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph(weights, options.size)?),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPERATORS }],
        metadata_props: vec![Property { key: INFO_KEY.into(), value: description }],
    };
    match model.encoded_len() {
        ..=MAX_BYTES => Ok(model.encode_to_vec()),
        bytes => Err(NetError::Format(format!(
            "the ONNX file would have {bytes} bytes: the limit is {MAX_BYTES}"
        ))),
    }
}

/// Writes [`export`] to a file with [`dldl_io::write_atomic`].
///
/// # Errors
/// [`NetError::File`] if it cannot be written, or as [`export`].
pub fn save(weights: &Weights, path: impl AsRef<Path>, options: Options) -> Result<(), NetError> {
    let path = path.as_ref();
    write(path, &export(weights, options)?).map_err(NetError::in_file(path))
}

/// Builds a graph whose nodes form a chain: the input of each is the output of the
/// previous one.
#[derive(Default)]
struct Chain {
    graph: Graph,
    last: String,
}

impl Chain {
    /// Appends a node with the last output and `constants` as inputs. Its output has the
    /// node's name.
    fn node(&mut self, op: &str, name: &str, constants: &[&str], attributes: Vec<Attribute>) {
        let input = std::mem::replace(&mut self.last, name.to_owned());
        let constants = constants.iter().map(|&c| c.to_owned());
        self.graph.node.push(Node {
            input: [input].into_iter().chain(constants).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: attributes,
        });
    }

    /// Appends a node with two outputs. The first is the input of the next node.
    fn node_with_two_outputs(&mut self, op: &str, names: [&str; 2], constants: &[&str]) {
        self.node(op, names[0], constants, vec![]);
        let node = self.graph.node.last_mut().expect("a node was just added");
        node.output.push(names[1].to_owned());
    }

    /// Adds a constant, which nodes refer to by name.
    fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        self.graph.initializer.push(Tensor::new(name, dims, values));
    }
}

fn graph(weights: &Weights, size: Option<usize>) -> Result<Graph, NetError> {
    let info = &weights.info;
    let mut chain = Chain { last: INPUT.to_owned(), ..Chain::default() };

    // (value / 255 - mean) / std, in the units of the input.
    let full_scale = |v: [f32; 3]| v.map(|v| (255.0 * f64::from(v)) as f32);
    chain.constant("mean", &[1, 3, 1, 1], &full_scale(info.normalization.mean));
    chain.constant("std", &[1, 3, 1, 1], &full_scale(info.normalization.std));
    chain.node("Sub", "centered", &["mean"], vec![]);
    chain.node("Div", "normalized", &["std"], vec![]);

    let mut inputs = 3;
    for (i, (outputs, pool)) in info.net.layers().into_iter().enumerate() {
        let (weight, bias) = weights.folded(i)?;
        let [weight_name, bias_name] = [format!("conv{i}.weight"), format!("conv{i}.bias")];
        chain.constant(&weight_name, &[outputs, inputs, 3, 3], &weight);
        chain.constant(&bias_name, &[outputs], &bias);
        let padding = Attribute::ints("pads", &[1, 1, 1, 1]);
        let kernel = Attribute::ints("kernel_shape", &[3, 3]);
        chain.node("Conv", &format!("conv{i}"), &[&weight_name, &bias_name], vec![kernel, padding]);
        chain.node("Relu", &format!("relu{i}"), &[], vec![]);
        if pool {
            let (kernel, strides) = ("kernel_shape", "strides");
            let window = [kernel, strides].map(|name| Attribute::ints(name, &[2, 2]));
            chain.node("MaxPool", &format!("pool{i}"), &[], window.to_vec());
        }
        inputs = outputs;
    }
    chain.node("GlobalAveragePool", "average", &[], vec![]);
    chain.node("Flatten", "features", &[], vec![Attribute::int("axis", 1)]);

    let count = || Dim::Name("N".into());
    let (weight, bias) = (weights.tensor("fc.weight"), weights.tensor("fc.bias"));
    let mut outputs = Vec::new();
    for (i, (head, range)) in info.heads.iter().zip(info.output_ranges()).enumerate() {
        let name = |what: &str| match i {
            0 => what.to_owned(),
            _ => format!("{}.{what}", head.task),
        };
        let [weight_name, bias_name] = ["fc.weight", "fc.bias"].map(&name);
        let rows = &weight[range.start * inputs..range.end * inputs];
        chain.constant(&weight_name, &[range.len(), inputs], rows);
        chain.constant(&bias_name, &[range.len()], &bias[range.clone()]);
        chain.last = "features".into();
        let transposed = Attribute::int("transB", 1);
        chain.node("Gemm", &name(LOGITS), &[&weight_name, &bias_name], vec![transposed]);
        decode(&mut chain, head, &name);
        let estimate = format!("the estimate of the task {}", head.task);
        let [logits, labels] =
            [range.len(), head.labels.len()].map(|n| vec![count(), Dim::size(n)]);
        outputs.extend([
            Value::floats(&name(LOGITS), logits, "the head's outputs"),
            Value::floats(&name(PROBABILITIES), labels, "the label distribution"),
            Value::floats(&name(EXPECTATION), vec![count()], &estimate),
        ]);
    }

    let side = || size.map_or_else(|| Dim::Name("S".into()), Dim::size);
    let crops = vec![count(), Dim::size(3), side(), side()];
    let mut graph = chain.graph;
    graph.name.clone_from(&info.name);
    graph.input = vec![Value::floats(INPUT, crops, "aligned faces, RGB from 0 to 255")];
    graph.output = outputs;
    Ok(graph)
}

#[cfg(test)]
mod tests;
