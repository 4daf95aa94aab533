//! MTCNN's three networks, with the weights that are part of the binary. What
//! is done with their output is [`crate::detect`]'s business.

use dldl_kernels::{Conv2d, linear, max_pool, prelu};
use safetensors::SafeTensors;

/// facenet-pytorch's weights (MIT, see `weights/NOTICE.md`), converted by
/// `tools/convert_mtcnn.py`.
static WEIGHTS: &[u8] = include_bytes!("../weights/mtcnn.safetensors");

/// A network: its layers, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Net(Vec<Layer>);

#[derive(Clone, Debug)]
enum Layer {
    /// Without padding.
    Conv(Conv2d),
    /// One slope per channel.
    Prelu(Vec<f32>),
    /// Maximum over `kernel` x `kernel` at every second pixel; windows that
    /// hang over the edge count.
    Pool { kernel: usize },
    /// `weight` is `[outputs, channels * h * w]`.
    Dense { weight: Vec<f32>, bias: Vec<f32> },
}

/// The cascade. Inputs are `[3, h, w]` with RGB values `(v - 127.5) / 128`.
#[derive(Clone, Debug)]
pub(crate) struct Nets {
    /// Any size from 12x12: `[6, ho, wo]`, two logits (none, face) and four
    /// box offsets for the 12x12 window at every second pixel.
    pub p: Net,
    /// 24x24: 6 values, meaning the same.
    pub r: Net,
    /// 48x48: 16 values, the same and five x, five y of the landmarks.
    pub o: Net,
}

impl Nets {
    /// The networks with the built-in weights.
    pub(crate) fn load() -> Self {
        let file = SafeTensors::deserialize(WEIGHTS).expect("the built-in weights are sound");
        let read = Reader { file };
        let p = [
            read.conv("pnet", 1),
            vec![Layer::Pool { kernel: 2 }],
            read.conv("pnet", 2),
            read.conv("pnet", 3),
            vec![read.pointwise("pnet.head")],
        ];
        let r = [
            read.conv("rnet", 1),
            vec![Layer::Pool { kernel: 3 }],
            read.conv("rnet", 2),
            vec![Layer::Pool { kernel: 3 }],
            read.conv("rnet", 3),
            read.dense("rnet", 4),
            vec![read.head("rnet.head")],
        ];
        let o = [
            read.conv("onet", 1),
            vec![Layer::Pool { kernel: 3 }],
            read.conv("onet", 2),
            vec![Layer::Pool { kernel: 3 }],
            read.conv("onet", 3),
            vec![Layer::Pool { kernel: 2 }],
            read.conv("onet", 4),
            read.dense("onet", 5),
            vec![read.head("onet.head")],
        ];
        Self { p: Net(p.concat()), r: Net(r.concat()), o: Net(o.concat()) }
    }
}

impl Net {
    /// Runs the network on one input of `h` x `w` pixels; returns the output
    /// with its height and width (1 and 1 behind a dense layer).
    pub(crate) fn forward(
        &self,
        input: Vec<f32>,
        mut h: usize,
        mut w: usize,
    ) -> (Vec<f32>, usize, usize) {
        let mut x = input;
        for layer in &self.0 {
            match layer {
                Layer::Conv(conv) => {
                    x = conv.forward(&x, h, w);
                    (h, w) = conv.output_size(h, w);
                }
                Layer::Prelu(slopes) => prelu(&mut x, slopes.len(), slopes),
                Layer::Pool { kernel } => {
                    let channels = x.len() / (h * w);
                    (x, h, w) = max_pool(&x, channels, h, w, *kernel, 2, true);
                }
                Layer::Dense { weight, bias } => {
                    x = linear(&x, weight, bias);
                    (h, w) = (1, 1);
                }
            }
        }
        (x, h, w)
    }
}

struct Reader {
    file: SafeTensors<'static>,
}

impl Reader {
    fn tensor(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let view = self.file.tensor(name).unwrap_or_else(|e| panic!("built-in weights: {e}"));
        let (values, rest) = view.data().as_chunks::<4>();
        assert!(rest.is_empty() && view.dtype() == safetensors::Dtype::F32, "{name} is not f32");
        (values.iter().map(|&b| f32::from_le_bytes(b)).collect(), view.shape().to_vec())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensor(name).0
    }

    /// `conv{i}` and its activation.
    fn conv(&self, net: &str, i: usize) -> Vec<Layer> {
        let (weight, shape) = self.tensor(&format!("{net}.conv{i}.weight"));
        let bias = self.values(&format!("{net}.conv{i}.bias"));
        let conv = Conv2d::new(&weight, &bias, shape[0], shape[1], shape[2], 0);
        vec![Layer::Conv(conv), Layer::Prelu(self.values(&format!("{net}.prelu{i}.weight")))]
    }

    /// `dense{i}` and its activation.
    fn dense(&self, net: &str, i: usize) -> Vec<Layer> {
        let dense = self.head(&format!("{net}.dense{i}"));
        vec![dense, Layer::Prelu(self.values(&format!("{net}.prelu{i}.weight")))]
    }

    /// A dense layer without activation.
    fn head(&self, name: &str) -> Layer {
        Layer::Dense {
            weight: self.values(&format!("{name}.weight")),
            bias: self.values(&format!("{name}.bias")),
        }
    }

    /// A dense layer that is applied to every pixel.
    fn pointwise(&self, name: &str) -> Layer {
        let (weight, shape) = self.tensor(&format!("{name}.weight"));
        let bias = self.values(&format!("{name}.bias"));
        Layer::Conv(Conv2d::new(&weight, &bias, shape[0], shape[1], 1, 0))
    }
}
