//! The search of MTCNN: the P-Net proposes candidates on a pyramid of downscaled pictures, and
//! the R-Net refines them.

mod tile;

use crate::detect::DetectorParams;
use crate::geometry::{Overlap, ScoredBox, nms};
use crate::nets::{Layer, NormalizedPixel, Reader, WindowNet, face_probability};
use crate::windows::run_on_windows;
use crate::{DetectorStage, Picture};
use dldl_kernels::{DirectConv, Lanes};
use rayon::prelude::*;
use std::cell::RefCell;
use tile::Tile;

/// facenet-pytorch's P-Net and R-Net (MIT, see `weights/NOTICE.md`), converted by
/// `tools/convert_mtcnn.py`.
static WEIGHTS: &[u8] = include_bytes!("../weights/mtcnn-search.safetensors");

// Working memory of each thread, kept between pictures: one or two megabytes.
thread_local! {
    static SEARCH: RefCell<tile::Scratch> = RefCell::default();
}

/// The first two networks of MTCNN.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    p: PNet,
    /// 24x24 pixels; 6 outputs, as the P-Net's.
    r: WindowNet,
}

/// The proposal network, for inputs of any size from 12x12: two logits (no face,
/// face) and four box offsets for the 12x12 window at every second pixel. The
/// layers are run row by row in [`tile`].
#[derive(Clone, Debug)]
struct PNet {
    /// 3x3, followed by 2x2 max pooling.
    conv1: DirectConv<NormalizedPixel>,
    /// 3x3
    conv2: DirectConv<Lanes>,
    /// 3x3
    conv3: DirectConv<Lanes>,
    /// 1x1
    head: DirectConv<Lanes>,
}

/// A window with the corner offsets that a network predicts for it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    window: ScoredBox,
    offsets: [f32; 4],
}

impl Cascade {
    /// The networks with the built-in weights.
    pub(crate) fn load() -> Self {
        let read = Reader::new(WEIGHTS);
        Self {
            p: PNet {
                conv1: read.conv("pnet", 1),
                conv2: read.conv("pnet", 2),
                conv3: read.conv("pnet", 3),
                head: read.dense("pnet.head", None, 1),
            },
            r: WindowNet {
                size: 24,
                first: read.conv("rnet", 1),
                layers: vec![
                    Layer::Pool { kernel: 3 },
                    Layer::Conv(read.conv("rnet", 2)),
                    Layer::Pool { kernel: 3 },
                    Layer::Conv(read.conv("rnet", 3)),
                ],
                dense: vec![
                    read.dense("rnet.dense4", Some("rnet.prelu4"), 3),
                    read.dense("rnet.head", None, 1),
                ],
            },
        }
    }

    /// The P-Net on all levels of the pyramid.
    pub(crate) fn propose(
        &self,
        params: &DetectorParams,
        picture: &Picture,
        min_face: f32,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<ScoredBox> {
        let DetectorParams { factor, thresholds, max_candidates, .. } = *params;
        let tiles: Vec<Tile> =
            scales(picture.width(), picture.height(), min_face.into(), factor.into())
                .into_iter()
                .flat_map(|scale| Tile::split(picture, scale))
                .collect();
        let search = |tile: &Tile| {
            SEARCH.with_borrow_mut(|scratch| {
                tile.search(picture, &self.p, thresholds[0], scratch, on_stage)
            })
        };
        let found: Vec<Vec<Candidate>> = tiles.par_iter().map(search).collect();

        on_stage(DetectorStage::Nms);
        // First within each scale, then across scales.
        let mut all: Vec<Candidate> = Vec::new();
        let mut level: Vec<Candidate> = Vec::new();
        for (i, mut found) in found.into_iter().enumerate() {
            level.append(&mut found);
            if tiles.get(i + 1).is_none_or(|next| next.scale != tiles[i].scale) {
                // A face gives many neighboring candidates, hence the factor of 8.
                let level = std::mem::take(&mut level);
                let level = best_candidates(level, 8 * max_candidates);
                all.extend(nms_candidates(&level, 0.5));
            }
        }
        let mut all = nms_candidates(&all, 0.7);
        all.truncate(max_candidates);
        all.iter().map(|c| c.window.refined(&c.offsets, 0.0).squared()).collect()
    }

    /// The R-Net on every candidate.
    pub(crate) fn refine(
        &self,
        params: &DetectorParams,
        picture: &Picture,
        candidates: &[ScoredBox],
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<ScoredBox> {
        let mut found = Vec::new();
        for (window, out) in
            run_on_windows(&self.r, DetectorStage::RNet, picture, candidates, on_stage)
        {
            let score = face_probability(out[0], out[1]);
            if score > params.thresholds[1] {
                let offsets = [out[2], out[3], out[4], out[5]];
                found.push(Candidate { window: ScoredBox { score, ..window }, offsets });
            }
        }
        on_stage(DetectorStage::Nms);
        let found = nms_candidates(&found, 0.7);
        found.iter().map(|c| c.window.refined(&c.offsets, 1.0).squared()).collect()
    }
}

/// The scales of the pyramid. The first makes faces of `min_face` pixels 12 pixels
/// large, the P-Net's window; each further one is `factor` times the previous, as
/// long as the picture's shorter side is at least 12 pixels.
fn scales(width: usize, height: usize, min_face: f64, factor: f64) -> Vec<f64> {
    const WINDOW: f64 = 12.0;
    let mut scale = WINDOW / min_face;
    let mut side = width.min(height) as f64 * scale;
    let mut scales = Vec::new();
    while side >= WINDOW {
        scales.push(scale);
        scale *= factor;
        side *= factor;
    }
    scales
}

/// The `n` candidates with the best scores; if there are no more than `n`, all of
/// them in their given order.
fn best_candidates(mut candidates: Vec<Candidate>, n: usize) -> Vec<Candidate> {
    if candidates.len() > n {
        candidates.sort_by(|a, b| b.window.score.total_cmp(&a.window.score));
        candidates.truncate(n);
    }
    candidates
}

/// Non-maximum suppression of candidates by IoU; best first.
fn nms_candidates(candidates: &[Candidate], limit: f32) -> Vec<Candidate> {
    let windows: Vec<ScoredBox> = candidates.iter().map(|c| c.window).collect();
    nms(&windows, limit, Overlap::Union).into_iter().map(|i| candidates[i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_of_a_small_picture() {
        // 100 * 0.6 = 60, 42.5, 30.2, 21.4, 15.2, then 10.7 < 12.
        assert_eq!(scales(300, 100, 20.0, 0.709).len(), 5);
        assert!(scales(19, 400, 20.0, 0.709).is_empty());
    }
}
