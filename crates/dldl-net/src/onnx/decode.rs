//! The nodes that compute distribution and estimate from a head's logits, as
//! [`dldl_label::Method::decode`] and [`dldl_label::Method::estimate`] do.

use dldl_label::{Layout, Readout};

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
    match head.method.layout() {
        Layout::Labels => {
            chain.node("Softmax", &name(PROBABILITIES), &[], vec![Attribute::int("axis", 1)]);
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
            chain.node("Relu", &name(PROBABILITIES), &[], vec![]);
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
            constant_node(chain, "Add", &name(PROBABILITIES), &[count], &first);
        }
    }
    match head.method.readout() {
        Readout::Expectation => {
            let values: Vec<f32> = labels.values().iter().map(|&l| l as f32).collect();
            chain.constant(&name("labels"), &[count], &values);
            chain.node("MatMul", &name(EXPECTATION), &[&name("labels")], vec![]);
        }
        Readout::Median => {
            // The sum of the bins' widths, each times the share of it below the median.
            chain.last = name(PROBABILITIES);
            constant_node(chain, "Add", &name("positive"), &[], &[f32::MIN_POSITIVE]);
            chain.last = name(PROBABILITIES);
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
            constant_node(chain, "Add", &name(EXPECTATION), &[], &[labels.min() as f32]);
        }
        Readout::Count => {
            chain.last = name("ranks");
            constant_node(chain, "GreaterOrEqual", &name("more"), &[], &[HALF]);
            let float = Attribute::int("to", super::proto::DataType::Float as i64);
            chain.node("Cast", &name("counted"), &[], vec![float]);
            let step = vec![labels.step() as f32; ranks];
            constant_node(chain, "MatMul", &name("above"), &[ranks], &step);
            constant_node(chain, "Add", &name(EXPECTATION), &[], &[labels.min() as f32]);
        }
    }
}

/// Appends a node with one constant, named after the node.
fn constant_node(chain: &mut Chain, op: &str, name: &str, dims: &[usize], values: &[f32]) {
    let constant = format!("{name}.by");
    chain.constant(&constant, dims, values);
    chain.node(op, name, &[&constant], vec![]);
}
