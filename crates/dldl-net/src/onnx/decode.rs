//! The nodes that compute distribution and estimate from a head's logits, as
//! [`dldl_label::Method::decode`] and [`dldl_label::Method::estimate`] do, and those of
//! a recalibration.

use dldl_label::{LabelSet, Layout, Readout, Recalibration};

use super::proto::{Attribute, Tensor};
use super::{Chain, EXPECTATION, LOGITS, PROBABILITIES};
use crate::Head;

/// The probability from which on a face counts as above a label.
const HALF: f32 = 0.5;

/// Appends the nodes of a head after its logits. `name` maps a name of the first head to
/// this head's.
pub(super) fn decode(chain: &mut Chain, head: &Head, name: &dyn Fn(&str) -> String) {
    chain.last = name(LOGITS);
    let temperature = head.calibration.as_ref().map(|c| c.temperature as f32);
    if let Some(temperature) = temperature.filter(|t| *t != 1.0) {
        chain.constant(&name("temperature"), &[], &[temperature]);
        chain.node("Div", &name("calibrated"), &[&name("temperature")], vec![]);
    }
    let labels = &head.labels;
    let (count, ranks) = (labels.len(), labels.len() - 1);
    // What a recalibration starts from; without one, the outputs.
    let map = head.recalibration();
    let raw = |output: &str| name(&map.map_or(output.to_owned(), |_| format!("raw_{output}")));
    let (probabilities, estimate) = (raw(PROBABILITIES), raw(EXPECTATION));
    match head.method.layout() {
        Layout::Labels => {
            chain.node("Softmax", &probabilities, &[], vec![Attribute::int("axis", 1)]);
        }
        Layout::Value => {
            // The position among the labels, and a triangle of one step around it.
            let half = 0.5 * ranks as f32;
            chain.node("Tanh", &name("value"), &[], vec![]);
            constant_node(chain, "Mul", &name("scaled"), &[], &[half]);
            constant_node(chain, "Add", &name("place"), &[], &[half]);
            let places: Vec<f32> = (0..count).map(|k| k as f32).collect();
            constant_node(chain, "Sub", &name("distance"), &[count], &places);
            chain.node("Abs", &name("apart"), &[], vec![]);
            chain.node("Neg", &name("near"), &[], vec![]);
            constant_node(chain, "Add", &name("nearer"), &[], &[1.0]);
            chain.node("Relu", &probabilities, &[], vec![]);
        }
        Layout::Ranks | Layout::RankPairs => {
            if head.method.layout() == Layout::RankPairs {
                let mut pairs = vec![0.0; 2 * ranks * ranks];
                for k in 0..ranks {
                    pairs[2 * k * ranks + k] = -1.0;
                    pairs[(2 * k + 1) * ranks + k] = 1.0;
                }
                constant_node(chain, "MatMul", &name("differences"), &[2 * ranks, ranks], &pairs);
            }
            chain.node("Sigmoid", &name("ranks"), &[], vec![]);
            // Sorted in descending order; the differences are the probabilities.
            chain.graph.initializer.push(Tensor::integers(&name("all"), &[ranks as i64]));
            chain.node_with_two_outputs(
                "TopK",
                [&name("ordered"), &name("order")],
                &[&name("all")],
            );
            let mut steps = vec![0.0; ranks * count];
            for k in 0..ranks {
                steps[k * count + k] = -1.0;
                steps[k * count + k + 1] = 1.0;
            }
            let mut first = vec![0.0; count];
            first[0] = 1.0;
            constant_node(chain, "MatMul", &name("steps"), &[ranks, count], &steps);
            constant_node(chain, "Add", &probabilities, &[count], &first);
        }
    }
    match head.method.readout() {
        Readout::Expectation => {
            let values: Vec<f32> = labels.values().iter().map(|&l| l as f32).collect();
            chain.constant(&name("labels"), &[count], &values);
            chain.node("MatMul", &estimate, &[&name("labels")], vec![]);
        }
        Readout::Median => {
            // The sum of the bins' widths, each times the share of it below the median.
            chain.last.clone_from(&probabilities);
            constant_node(chain, "Add", &name("positive"), &[], &[f32::MIN_POSITIVE]);
            chain.last.clone_from(&probabilities);
            let below: Vec<f32> =
                (0..count * count).map(|i| f32::from(i / count < i % count)).collect();
            constant_node(chain, "MatMul", &name("below"), &[count, count], &below);
            chain.node("Neg", &name("negative"), &[], vec![]);
            constant_node(chain, "Add", &name("left"), &[], &[HALF]);
            chain.node("Div", &name("share"), &[&name("positive")], vec![]);
            chain.constant(&name("least"), &[], &[0.0]);
            chain.constant(&name("most"), &[], &[1.0]);
            chain.node("Clip", &name("shares"), &[&name("least"), &name("most")], vec![]);
            let mut widths = vec![labels.step() as f32; count];
            // The outer bins end at the outer labels.
            widths[0] *= 0.5;
            widths[count - 1] *= 0.5;
            constant_node(chain, "MatMul", &name("widths"), &[count], &widths);
            constant_node(chain, "Add", &estimate, &[], &[labels.min() as f32]);
        }
        Readout::Count => {
            chain.last = name("ranks");
            constant_node(chain, "GreaterOrEqual", &name("more"), &[], &[HALF]);
            let float = Attribute::int("to", super::proto::DataType::Float as i64);
            chain.node("Cast", &name("counted"), &[], vec![float]);
            let step = vec![labels.step() as f32; ranks];
            constant_node(chain, "MatMul", &name("above"), &[ranks], &step);
            constant_node(chain, "Add", &estimate, &[], &[labels.min() as f32]);
        }
    }
    if let Some(map) = map {
        recalibrate(chain, map, labels, [&probabilities, &estimate], name);
    }
}

/// Appends the nodes that correct estimate and distribution as
/// [`dldl_label::Recalibration`] does.
fn recalibrate(
    chain: &mut Chain,
    map: &Recalibration,
    labels: &LabelSet,
    [probabilities, estimate]: [&str; 2],
    name: &dyn Fn(&str) -> String,
) {
    let count = labels.len();
    let mut moved = vec![0.0; count * count];
    for k in 0..count {
        for (to, share) in map.shares(labels, k) {
            moved[k * count + to] += share as f32;
        }
    }
    chain.last = probabilities.to_owned();
    constant_node(chain, "MatMul", &name(PROBABILITIES), &[count, count], &moved);

    // The first node's value, and for each piece its slope minus that of the previous
    // one, times how far the estimate is beyond the piece's start.
    let nodes = map.nodes();
    let slope = |[from, to]: [[f64; 2]; 2]| (to[1] - from[1]) / (to[0] - from[0]);
    let slopes: Vec<f64> = nodes.windows(2).map(|pair| slope([pair[0], pair[1]])).collect();
    let before = std::iter::once(0.0).chain(slopes.iter().copied());
    let bends: Vec<f32> = slopes.iter().zip(before).map(|(s, b)| (s - b) as f32).collect();
    let starts: Vec<f32> = nodes[..bends.len()].iter().map(|node| node[0] as f32).collect();
    chain.last = estimate.to_owned();
    chain.graph.initializer.push(Tensor::integers(&name("column.shape"), &[-1, 1]));
    chain.node("Reshape", &name("column"), &[&name("column.shape")], vec![]);
    constant_node(chain, "Sub", &name("past"), &[starts.len()], &starts);
    chain.node("Relu", &name("beyond"), &[], vec![]);
    constant_node(chain, "MatMul", &name("bent"), &[bends.len()], &bends);
    constant_node(chain, "Add", &name(EXPECTATION), &[], &[nodes[0][1] as f32]);
}

/// Appends a node with one constant, named after the node.
fn constant_node(chain: &mut Chain, op: &str, name: &str, dims: &[usize], values: &[f32]) {
    let constant = format!("{name}.by");
    chain.constant(&constant, dims, values);
    chain.node(op, name, &[&constant], vec![]);
}
