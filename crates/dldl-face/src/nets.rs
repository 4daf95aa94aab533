//! MTCNN's networks for single windows, and the O-Net with its built-in weights.

use dldl_kernels::{DirectConv, LANES, Lanes, max_pool_rows};
use half::f16;
use safetensors::{Dtype, SafeTensors};

/// facenet-pytorch's O-Net (MIT, see `weights/NOTICE.md`), converted by
/// `tools/convert_mtcnn.py`.
static WEIGHTS: &[u8] = include_bytes!("../weights/onet.safetensors");

/// A pixel of a network's input: red, green and blue as `(v - 127.5) / 128`. The
/// fourth value is unused.
pub(crate) type NormalizedPixel = [f32; 4];

/// A network for square windows of one size.
#[derive(Clone, Debug)]
pub(crate) struct WindowNet {
    /// Side of the windows in pixels.
    pub size: usize,
    pub first: DirectConv<NormalizedPixel>,
    pub layers: Vec<Layer>,
    /// Dense layers, on the last layer's output in memory order.
    pub dense: Vec<DirectConv<Lanes>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Layer {
    Conv(DirectConv<Lanes>),
    /// Max pooling over `kernel` x `kernel` with stride 2, including windows that
    /// reach over the edge.
    Pool {
        kernel: usize,
    },
}

/// A network's working memory.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    input: Vec<Lanes>,
    output: Vec<Lanes>,
    features: Vec<Lanes>,
}

/// The network that decides and finds landmarks: 48x48 pixels; the logits of "no face" and
/// "face", four box offsets, five x and five y of the landmarks.
pub(crate) fn onet() -> WindowNet {
    let read = Reader::new(WEIGHTS);
    let conv = |i| Layer::Conv(read.conv("onet", i));
    let pool = |kernel| Layer::Pool { kernel };
    WindowNet {
        size: 48,
        first: read.conv("onet", 1),
        layers: vec![pool(3), conv(2), pool(3), conv(3), pool(2), conv(4)],
        dense: vec![
            read.dense("onet.dense5", Some("onet.prelu5"), 3),
            read.dense("onet.head", None, 1),
        ],
    }
}

impl WindowNet {
    /// The outputs for `windows`, `[count][size][size]` pixels; one value of each
    /// window's lanes per output of the network. The dense layers run on all windows
    /// at once, so that their weights are read once.
    pub(crate) fn run<'a>(
        &self,
        windows: &[NormalizedPixel],
        scratch: &'a mut Scratch,
    ) -> &'a [Lanes] {
        let Scratch { input, output, features } = scratch;
        let count = windows.len() / (self.size * self.size);
        for (i, window) in windows.chunks_exact(self.size * self.size).enumerate() {
            self.first.forward(window, self.size, self.size, input);
            let mut side = self.size + 1 - self.first.kernel();
            let mut blocks = self.first.output_blocks();
            for layer in &self.layers {
                match layer {
                    Layer::Conv(conv) => {
                        conv.forward(input, side, side, output);
                        (side, blocks) = (side + 1 - conv.kernel(), conv.output_blocks());
                    }
                    Layer::Pool { kernel } => side = pool(input, blocks, side, *kernel, output),
                }
                std::mem::swap(input, output);
            }
            features.resize(input.len() * count, Lanes::default());
            for (row, &lanes) in features.chunks_exact_mut(count).zip(input.iter()) {
                row[i] = lanes;
            }
        }
        for dense in &self.dense {
            dense.forward(features, 1, count, output);
            std::mem::swap(features, output);
        }
        features
    }
}

/// [`Layer::Pool`] on `side` x `side` pixels; returns the new side.
fn pool(input: &[Lanes], blocks: usize, side: usize, kernel: usize, out: &mut Vec<Lanes>) -> usize {
    let small = (side - kernel).div_ceil(2) + 1;
    out.resize(small * blocks * small, Lanes::default());
    let rows: Vec<&[Lanes]> = input.chunks_exact(blocks * side).collect();
    for (y, out) in out.chunks_exact_mut(blocks * small).enumerate() {
        max_pool_rows(&rows[2 * y..side.min(2 * y + kernel)], side, kernel, out);
    }
    small
}

/// Reads layers from built-in weights.
pub(crate) struct Reader {
    file: SafeTensors<'static>,
}

impl Reader {
    pub(crate) fn new(weights: &'static [u8]) -> Self {
        let file = SafeTensors::deserialize(weights).expect("the built-in weights are valid");
        Self { file }
    }

    fn tensor(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let view = self.file.tensor(name).unwrap_or_else(|e| panic!("built-in weights: {e}"));
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Dtype::F16 => {
                data.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).into()).collect()
            }
            other => panic!("built-in weights: {name} is {other:?}"),
        };
        (values, view.shape().to_vec())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensor(name).0
    }

    /// The convolution `conv{i}` with its activation.
    pub(crate) fn conv<T: dldl_kernels::Pixel>(&self, net: &str, i: usize) -> DirectConv<T> {
        let (weight, shape) = self.tensor(&format!("{net}.conv{i}.weight"));
        let bias = self.values(&format!("{net}.conv{i}.bias"));
        let slopes = self.values(&format!("{net}.prelu{i}.weight"));
        DirectConv::new(&weight, &bias, Some(&slopes), shape[1], shape[2])
    }

    /// A dense layer on `side` x `side` pixels, as a 1x1 convolution on one pixel.
    /// Its inputs are reordered to the memory order of the previous layer's output:
    /// row, block, column, lane.
    pub(crate) fn dense(
        &self,
        name: &str,
        activation: Option<&str>,
        side: usize,
    ) -> DirectConv<Lanes> {
        let (weight, shape) = self.tensor(&format!("{name}.weight"));
        let bias = self.values(&format!("{name}.bias"));
        let slopes = activation.map(|name| self.values(&format!("{name}.weight")));
        let inputs = shape[1];
        let channels = inputs / (side * side);
        assert!(side == 1 || channels.is_multiple_of(LANES), "{name}: partial blocks");
        let from = |i: usize| {
            let (lane, x) = (i % LANES, i / LANES % side);
            let (block, y) = (i / LANES / side % (channels / LANES), i / side / channels);
            ((block * LANES + lane) * side + y) * side + x
        };
        let ordered: Vec<f32> = match side {
            1 => weight,
            _ => weight
                .chunks_exact(inputs)
                .flat_map(|row| (0..inputs).map(|i| row[from(i)]))
                .collect(),
        };
        DirectConv::new(&ordered, &bias, slopes.as_deref(), inputs, 1)
    }
}

/// The softmax probability of "face", from the logits of "no face" and "face".
pub(crate) fn face_probability(no_face: f32, face: f32) -> f32 {
    1.0 / (1.0 + (no_face - face).exp())
}
