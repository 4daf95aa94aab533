//! The CPU's fast path: one whole block (convolution, batch norm, ReLU, pool)
//! as a single operation on `dldl-kernels`, plugged into Burn as a backend
//! extension with its own backward pass. Activations are NHWC here.
//!
//! On other devices the model composes the same block from Burn's operations;
//! the choice stands in `model.rs`.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};
use dldl_kernels::train::{self, BlockShape, LANES};

/// What one block gives.
pub struct BlockOutput {
    /// `[n, h (/2), w (/2), out]`.
    pub output: Tensor<4>,
    /// Mean of the batch, `[out]`, outside of the gradient.
    pub mean: Tensor<1>,
    /// Biased variance of the batch, `[out]`, outside of the gradient.
    pub variance: Tensor<1>,
}

/// Whether the fast path can take a block with these channels and this input.
///
/// The input of the first layer is a picture: nobody asks for its gradient, so
/// its three channels are welcome.
pub fn takes(inputs: usize, outputs: usize) -> bool {
    outputs.is_multiple_of(LANES) && (inputs.is_multiple_of(LANES) || inputs == 3)
}

/// The block in training on a CPU tensor: `x` `[n, h, w, in]`, `weight`
/// `[out, in, 3, 3]`, `gamma` and `beta` `[out]`.
pub fn conv_block(
    x: Tensor<4>,
    weight: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    pool: bool,
) -> BlockOutput {
    let (output, mean, variance, _) = Dispatch::conv_block(
        x.into_dispatch(),
        weight.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        pool,
    );
    BlockOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

/// The block in use, without gradients: running statistics instead of the batch's.
/// Shapes as for [`conv_block`].
pub fn conv_block_fixed(
    x: Tensor<4>,
    weight: Tensor<4>,
    affine: [Tensor<1>; 2],
    statistics: [Tensor<1>; 2],
    pool: bool,
) -> Tensor<4> {
    let [gamma, beta] = affine.map(Tensor::into_dispatch);
    let [mean, variance] = statistics.map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::conv_block_fixed(
        x.into_dispatch(),
        weight.into_dispatch(),
        gamma,
        beta,
        mean,
        variance,
        pool,
    ))
}

/// The block for a Burn backend.
#[backend_extension(Flex, Autodiff)]
pub trait BlockBackend: Backend {
    /// Output, batch mean, batch variance, and the convolution's output.
    fn conv_block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        pool: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Output with the given mean and variance.
    fn conv_block_fixed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        pool: bool,
    ) -> FloatTensor<Self>;

    /// Gradients to `x` (empty unless `input_gradient`), `weight`, `gamma`, `beta`.
    #[allow(clippy::too_many_arguments)] // the operands of one formula
    fn conv_block_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        conv: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        pool: bool,
        input_gradient: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

type Cpu = FloatTensor<Flex>;

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Cpu {
    Cpu::from_data(TensorData::new(values, shape))
}

fn shape_of(x: &Cpu, weight: &Cpu, pool: bool) -> BlockShape {
    let (x, w) = (x.layout().shape(), weight.layout().shape());
    BlockShape { batch: x[0], height: x[1], width: x[2], cin: x[3], cout: w[0], pool }
}

impl BlockBackend for Flex {
    fn conv_block(x: Cpu, weight: Cpu, gamma: Cpu, beta: Cpu, pool: bool) -> (Cpu, Cpu, Cpu, Cpu) {
        let shape = shape_of(&x, &weight, pool);
        let [x, weight, gamma, beta] = [x, weight, gamma, beta].map(|t| t.to_contiguous());
        let f =
            train::forward(&shape, x.storage(), weight.storage(), gamma.storage(), beta.storage());
        let BlockShape { batch, height, width, cout, .. } = shape;
        (
            tensor(f.output, shape.output()),
            tensor(f.mean, [cout]),
            tensor(f.variance, [cout]),
            tensor(f.conv, [batch, height, width, cout]),
        )
    }

    fn conv_block_fixed(
        x: Cpu,
        weight: Cpu,
        gamma: Cpu,
        beta: Cpu,
        mean: Cpu,
        variance: Cpu,
        pool: bool,
    ) -> Cpu {
        let shape = shape_of(&x, &weight, pool);
        let [x, weight, gamma, beta, mean, variance] =
            [x, weight, gamma, beta, mean, variance].map(|t| t.to_contiguous());
        let output = train::apply(
            &shape,
            x.storage(),
            weight.storage(),
            gamma.storage(),
            beta.storage(),
            mean.storage(),
            variance.storage(),
        );
        tensor(output, shape.output())
    }

    fn conv_block_backward(
        x: Cpu,
        weight: Cpu,
        gamma: Cpu,
        beta: Cpu,
        conv: Cpu,
        mean: Cpu,
        variance: Cpu,
        gradient: Cpu,
        pool: bool,
        input_gradient: bool,
    ) -> (Cpu, Cpu, Cpu, Cpu) {
        let shape = shape_of(&x, &weight, pool);
        let [x, weight, gamma, beta, conv, mean, variance, gradient] =
            [x, weight, gamma, beta, conv, mean, variance, gradient].map(|t| t.to_contiguous());
        let g = train::backward(
            &shape,
            x.storage(),
            weight.storage(),
            gamma.storage(),
            beta.storage(),
            (conv.storage(), mean.storage(), variance.storage()),
            gradient.storage(),
            input_gradient,
        );
        let BlockShape { batch, height, width, cin, cout, .. } = shape;
        let dx = match g.input {
            Some(dx) => tensor(dx, [batch, height, width, cin]),
            None => tensor(Vec::new(), [0]),
        };
        let dw = tensor(g.weights, [cout, cin, 3, 3]);
        (dx, dw, tensor(g.gamma, [cout]), tensor(g.beta, [cout]))
    }
}

#[derive(Debug)]
struct ConvBlock;

/// The parents' nodes, then what the forward pass computed.
type Kept<B> = ([NodeId; 4], [FloatTensor<B>; 3], bool);

impl<B: BlockBackend> Backward<B, 4> for ConvBlock {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let (nodes, [conv, mean, variance], pool) = ops.state;
        let [x, weight, gamma, beta] =
            nodes.map(|id| checkpointer.retrieve_node_output::<FloatTensor<B>>(id));
        let [node_x, node_w, node_gamma, node_beta] = ops.parents;
        let (dx, dw, dgamma, dbeta) = B::conv_block_backward(
            x,
            weight,
            gamma,
            beta,
            conv,
            mean,
            variance,
            gradient,
            pool,
            node_x.is_some(),
        );
        for (node, gradient) in
            [(node_x, dx), (node_w, dw), (node_gamma, dgamma), (node_beta, dbeta)]
        {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: BlockBackend, C: CheckpointStrategy> BlockBackend for Autodiff<B, C> {
    fn conv_block(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        pool: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), weight.node(), gamma.node(), beta.node()];
        let (output, mean, variance, conv) =
            match ConvBlock.prepare::<C>(nodes).compute_bound().stateful() {
                OpsKind::Tracked(mut prep) => {
                    let ids = [&x, &weight, &gamma, &beta].map(|t| prep.checkpoint(t));
                    let (output, mean, variance, conv) = B::conv_block(
                        x.into_primitive(),
                        weight.into_primitive(),
                        gamma.into_primitive(),
                        beta.into_primitive(),
                        pool,
                    );
                    let state = (ids, [conv.clone(), mean.clone(), variance.clone()], pool);
                    (prep.finish(state, output), mean, variance, conv)
                }
                OpsKind::UnTracked(prep) => {
                    let (output, mean, variance, conv) = B::conv_block(
                        x.into_primitive(),
                        weight.into_primitive(),
                        gamma.into_primitive(),
                        beta.into_primitive(),
                        pool,
                    );
                    (prep.finish(output), mean, variance, conv)
                }
            };
        (output, Self::from_inner(mean), Self::from_inner(variance), Self::from_inner(conv))
    }

    /// Outside of the gradient: the trainer never differentiates a network in use.
    fn conv_block_fixed(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        pool: bool,
    ) -> FloatTensor<Self> {
        let [x, weight, gamma, beta, mean, variance] =
            [x, weight, gamma, beta, mean, variance].map(|t| t.into_primitive());
        Self::from_inner(B::conv_block_fixed(x, weight, gamma, beta, mean, variance, pool))
    }

    fn conv_block_backward(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _beta: FloatTensor<Self>,
        _conv: FloatTensor<Self>,
        _mean: FloatTensor<Self>,
        _variance: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _pool: bool,
        _input_gradient: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        panic!("gradients of first order only, as everywhere in Burn")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use dldl_net::NetSpec;

    use crate::model::{AgeNet, read};

    /// Logits and running statistics after one pass in training, logits in use,
    /// and the gradients of a loss that pulls at every logit differently.
    fn outcome(net: &AgeNet, device: &Device) -> Vec<(String, Vec<f32>)> {
        let numbers = |n: usize| (0..n).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
        let input = |n: usize| TensorData::new(numbers(n * 3 * 64 * 64), [n, 3, 64, 64]);
        let logits = net.forward(Tensor::from_data(input(5), device), true);
        let pull = TensorData::new(numbers(5 * 7), [5, 7]);
        let gradients = (logits.clone() * Tensor::from_data(pull, device)).sum().backward();
        let mut out = vec![("logits".to_owned(), read(logits).1)];
        for (i, layer) in net.layers.iter().enumerate() {
            let gradient = layer.weight.val().grad(&gradients).expect("a tracked weight");
            out.push((format!("conv{i}.weight"), read(gradient).1));
            let gradient = layer.gamma.val().grad(&gradients).expect("a tracked scale");
            out.push((format!("bn{i}.weight"), read(gradient).1));
            let gradient = layer.beta.val().grad(&gradients).expect("a tracked shift");
            out.push((format!("bn{i}.bias"), read(gradient).1));
        }
        for (name, (_, values)) in net.to_tensors() {
            if name.contains("running") {
                out.push((name, values));
            }
        }
        let x = Tensor::from_data(input(2), &device.clone().inner());
        out.push(("logits in use".into(), read(net.frozen().forward(x, false)).1));
        out
    }

    /// The CPU's kernels against Burn's own operations, through the whole network.
    #[test]
    fn the_fast_path_is_burns_path() {
        let device = Device::flex().autodiff();
        let spec = NetSpec::vgg16(1, 4, 7);
        let fast = outcome(&AgeNet::new(&spec, 3, &device), &device);
        let plain = outcome(&AgeNet::new(&spec, 3, &device).on_burns_operations(), &device);
        for ((name, fast), (_, plain)) in fast.iter().zip(&plain) {
            let scale = plain.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
            for (i, (f, p)) in fast.iter().zip(plain).enumerate() {
                assert!((f - p).abs() < 2e-3 * scale, "{name} at {i}: {f} against {p}");
            }
        }
    }

    /// Widths that the kernels cannot take go to Burn's operations.
    #[test]
    fn narrow_networks_train_too() {
        assert!(!super::takes(3, 8) && !super::takes(8, 16) && super::takes(3, 16));
        let device = Device::flex().autodiff();
        let net = AgeNet::new(&NetSpec::vgg16(1, 8, 7), 3, &device);
        assert!(outcome(&net, &device)[0].1.iter().all(|v| v.is_finite()));
    }
}
