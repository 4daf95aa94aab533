//! YuNet: one network that finds faces of all sizes in a picture at once.
//!
//! Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023. The network and its
//! weights are `yunet_n` of libfacedetection.train. Three levels, with a pixel for every 8,
//! 16 and 32 of the picture, each of which may stand for one face: its score, box and
//! landmarks.

mod chain;
mod coarse;

pub(crate) use coarse::search;

use crate::Picture;
use crate::detect::Face;
use crate::geometry::{Overlap, ScoredBox, nms};
use chain::{Chain, Layer, Map, Unit};
use dldl_kernels::{DepthwiseConv, DirectConv, Lanes};
use safetensors::SafeTensors;

/// `yunet_n` (Apache-2.0, see `weights/NOTICE.md`), converted by `tools/convert_yunet.py`.
static WEIGHTS: &[u8] = include_bytes!("../../weights/yunet.safetensors");

/// Sides are extended by black to a multiple of this.
const STEP: usize = 32;
/// Pixels of the picture for a pixel of each level.
const STRIDES: [usize; 3] = [8, 16, 32];
/// Faces that overlap a better one by more (IoU) are the same.
const SAME: f32 = 0.45;

/// The network.
#[derive(Clone, Debug)]
pub(crate) struct YuNet {
    /// 3x3 with stride 2, as 2x2 on blocks of 2x2 pixels.
    stem: DirectConv<Lanes>,
    /// The units of the backbone, one after the other.
    backbone: Vec<Unit>,
    /// By level: after the sum with the next coarser level, before the head, the head.
    lateral: Vec<Unit>,
    shared: Vec<Unit>,
    head: Vec<Unit>,
}

impl YuNet {
    /// The network with the built-in weights.
    pub(crate) fn load() -> Self {
        let file = SafeTensors::deserialize(WEIGHTS).expect("the built-in weights are valid");
        let values = |name: &str| -> Vec<f32> {
            let view = file.tensor(name).unwrap_or_else(|e| panic!("built-in weights: {e}"));
            view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
        };
        let unit = |name: &str, relu: bool| {
            let part = |part: &str| values(&format!("{name}.{part}"));
            let (weight, bias) = (part("point.weight"), part("point.bias"));
            let inputs = weight.len() / bias.len();
            Unit {
                point: DirectConv::new(&weight, &bias, None, inputs, 1),
                depth: DepthwiseConv::new(&part("depth.weight"), &part("depth.bias"), relu),
            }
        };
        let names = ["model0.conv2"]
            .map(str::to_owned)
            .into_iter()
            .chain((1..6).flat_map(|model| [1, 2].map(|conv| format!("model{model}.conv{conv}"))));
        let levels =
            |name: &str, relu| (0..3).map(|level| unit(&format!("{name}.{level}"), relu)).collect();
        let weight = of_blocks(&values("stem.weight"));
        let stem = DirectConv::new(&weight, &values("stem.bias"), Some(&[0.0; 16]), 12, 2);
        Self {
            stem,
            backbone: names.map(|name| unit(&name, true)).collect(),
            lateral: levels("lateral", true),
            shared: levels("shared", true),
            head: levels("head", false),
        }
    }

    /// The upright faces with at least this score, best first, in pixels of the picture.
    fn search(&self, picture: &Picture, threshold: f32) -> Vec<Face> {
        let faces = self.candidates(picture, threshold);
        let boxes: Vec<ScoredBox> = faces.iter().map(Face::scored_box).collect();
        nms(&boxes, SAME, Overlap::Union).into_iter().map(|i| faces[i]).collect()
    }

    /// The highest score in the picture.
    pub(crate) fn best_score(&self, picture: &Picture) -> f32 {
        let heads = self.heads(picture);
        let scores = heads.iter().flat_map(|map| &map.lanes).map(score);
        scores.fold(0.0, f32::max)
    }

    fn candidates(&self, picture: &Picture, threshold: f32) -> Vec<Face> {
        let heads = self.heads(picture);
        let mut faces = Vec::new();
        for (map, stride) in heads.iter().zip(STRIDES) {
            for (y, row) in map.rows().enumerate() {
                for (x, lanes) in row.iter().enumerate() {
                    let score = score(lanes);
                    if score >= threshold {
                        faces.push(face(lanes, score, [x, y].map(|v| v as f32), stride as f32));
                    }
                }
            }
        }
        faces
    }

    /// The outputs of the three levels, finest first: one block of lanes per pixel, the
    /// logits of "face" and "object", four of the box and ten of the landmarks.
    fn heads(&self, picture: &Picture) -> [Map; 3] {
        let [width, height] =
            [picture.width(), picture.height()].map(|side| side.next_multiple_of(STEP));
        let mut layers = Vec::new();
        for (i, unit) in self.backbone.iter().enumerate() {
            layers.push(Layer::Unit(unit));
            match i {
                // After model0 and model2.
                0 | 4 => layers.push(Layer::Pool),
                // After model3 and model4: the finer two levels.
                6 | 8 => layers.extend([Layer::Keep, Layer::Pool]),
                10 => layers.push(Layer::Keep),
                _ => {}
            }
        }
        let mut chain = Chain::new(layers, width / 2);
        self.push_stem(picture, [width, height], &mut chain);
        let [mut fine, mut middle, coarse] =
            <[Map; 3]>::try_from(chain.finish()).expect("three maps are kept");
        let (coarse, coarse_head) = self.level(2, &coarse);
        middle.add_doubled(&coarse);
        let (middle, middle_head) = self.level(1, &middle);
        fine.add_doubled(&middle);
        let (_, fine_head) = self.level(0, &fine);
        [fine_head, middle_head, coarse_head]
    }

    /// The feature map of a level for the next finer one, and the outputs of its head.
    fn level(&self, level: usize, map: &Map) -> (Map, Map) {
        let [lateral, shared, head] =
            [&self.lateral, &self.shared, &self.head].map(|units| Layer::Unit(&units[level]));
        let mut chain =
            Chain::new(vec![lateral, Layer::Keep, shared, head, Layer::Keep], map.width);
        map.rows().for_each(|row| chain.push(row));
        let [features, outputs] = <[Map; 2]>::try_from(chain.finish()).expect("two maps are kept");
        (features, outputs)
    }

    /// The first convolution, row by row. `size` are width and height with the extension.
    fn push_stem(&self, picture: &Picture, [width, height]: [usize; 2], chain: &mut Chain) {
        let columns = width / 2;
        // One column of zeros at the left.
        let mut rows = [vec![Lanes::default(); columns + 1], vec![Lanes::default(); columns + 1]];
        let mut out = vec![Lanes::default(); columns];
        for y in 0..height / 2 {
            let (above, below) = rows.split_at_mut(1);
            let (above, row) = match y % 2 {
                0 => (&below[0], &mut above[0]),
                _ => (&above[0], &mut below[0]),
            };
            blocks_of_pixels(picture, y, &mut row[1..]);
            self.stem.row(&[above, row], columns + 1, &mut out);
            chain.push(&out);
        }
    }
}

/// The weights of a 3x3 convolution with stride 2 and padding 1 (`[16, 3, 3, 3]`) as those of
/// a 2x2 convolution on blocks of 2x2 pixels (`[16, 12, 2, 2]`): the first block holds the
/// pixel of the padding.
fn of_blocks(weight: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; 16 * 12 * 4];
    for o in 0..16 {
        for c in 0..3 {
            for r in 0..3 {
                for s in 0..3 {
                    // Tap (r, s) is at row r + 1 and column s + 1 of two by two blocks.
                    let (y, x) = (r + 1, s + 1);
                    let channel = (y % 2 * 2 + x % 2) * 3 + c;
                    let to = ((o * 12 + channel) * 2 + y / 2) * 2 + x / 2;
                    out[to] = weight[((o * 3 + c) * 3 + r) * 3 + s];
                }
            }
        }
    }
    out
}

/// Row `y` of blocks of 2x2 pixels: for each, blue, green and red of four pixels. The network
/// was trained on values from 0 to 255 in that order.
fn blocks_of_pixels(picture: &Picture, y: usize, out: &mut [Lanes]) {
    let (pixels, _) = picture.rgb().as_chunks::<3>();
    for dy in 0..2 {
        let row = pixels.chunks_exact(picture.width()).nth(2 * y + dy).unwrap_or_default();
        for (x, lanes) in out.iter_mut().enumerate() {
            for dx in 0..2 {
                let at = (2 * dy + dx) * 3;
                let [r, g, b] = row.get(2 * x + dx).copied().unwrap_or_default();
                lanes.0[at..at + 3].copy_from_slice(&[b, g, r].map(f32::from));
            }
        }
    }
}

/// The geometric mean of the probabilities of "face" and "object", as in OpenCV.
fn score(lanes: &Lanes) -> f32 {
    let probability = |logit: f32| 1.0 / (1.0 + (-logit).exp());
    (probability(lanes.0[0]) * probability(lanes.0[1])).sqrt()
}

/// The face of a pixel of a level.
fn face(lanes: &Lanes, score: f32, [x, y]: [f32; 2], stride: f32) -> Face {
    let out = &lanes.0;
    let (w, h) = (out[4].exp() * stride, out[5].exp() * stride);
    let (cx, cy) = ((x + out[2]) * stride, (y + out[3]) * stride);
    let point = |k: usize| [(x + out[6 + 2 * k]) * stride, (y + out[7 + 2 * k]) * stride];
    Face { bbox: [cx - 0.5 * w, cy - 0.5 * h, w, h], score, landmarks: std::array::from_fn(point) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What onnxruntime finds (`tools/convert_yunet.py --golden assets/astronaut.jpg`).
    #[test]
    fn the_face_of_the_portrait_is_that_of_onnxruntime() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        let picture = crate::decode_file(path.as_ref()).unwrap();
        let found = YuNet::load().search(&picture, 0.6);
        assert_eq!(found.len(), 1);
        let face = found[0];
        assert!((face.score - 0.9352).abs() < 0.002, "{face:?}");
        let landmarks = [
            [203.44, 103.82],
            [247.82, 104.36],
            [224.70, 127.86],
            [204.40, 143.33],
            [243.49, 143.65],
        ];
        for (got, expected) in face.bbox.iter().zip([177.85, 65.21, 91.95, 111.59]) {
            assert!((got - expected).abs() < 0.2, "{face:?}");
        }
        for (got, expected) in face.landmarks.as_flattened().iter().zip(landmarks.as_flattened()) {
            assert!((got - expected).abs() < 0.2, "{face:?}");
        }
    }

    /// Sides that are no multiples of 32 are extended: the faces stay where they are.
    #[test]
    fn pictures_may_have_any_size() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        let picture = crate::decode_file(path.as_ref()).unwrap();
        let net = YuNet::load();
        let whole = net.search(&picture, 0.6)[0];
        let rows = picture.rgb()[..3 * 512 * 301].to_vec();
        let upper = net.search(&Picture::new(512, 301, rows).unwrap(), 0.6);
        assert!((upper[0].bbox[0] - whole.bbox[0]).abs() < 2.0, "{upper:?}");
        for (width, height) in [(1, 1), (33, 2), (2, 70)] {
            let gray = Picture::new(width, height, vec![128; 3 * width * height]).unwrap();
            assert_eq!(net.search(&gray, 0.6), []);
        }
    }
}
