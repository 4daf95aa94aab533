//! MTCNN: from a picture to boxes and landmarks. The networks themselves are
//! in [`crate::nets`], the crops made of what is found in [`crate::align`].
//!
//! The steps and their numbers are those of facenet-pytorch 2.6.0, and so of
//! the authors' Matlab release: a pyramid of reduced pictures is searched by
//! the P-Net, whose candidates the R-Net refines and the O-Net decides upon.
//! Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multitask
//! Cascaded Convolutional Networks", 2016.

use crate::Picture;
use crate::geometry::{Overlap, Scored, suppress};
use crate::nets::{self, Color, Net, Nets};
use crate::pyramid::{Part, Reduction, scales};
use crate::search::{self, Candidate, Tile, face_probability};
use dldl_kernels::LANES;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;

/// How many windows a task gives to a network.
const BATCH: usize = 8;

/// What [`look_at`] works in.
#[derive(Debug, Default)]
struct Look {
    reduction: Reduction,
    colors: Vec<Color>,
    net: nets::Scratch,
}

// Each thread's memory, the same from picture to picture: a megabyte or two.
thread_local! {
    static SEARCH: RefCell<search::Scratch> = RefCell::default();
    static LOOK: RefCell<Look> = RefCell::default();
}

/// A detected face, in pixels of the picture that was searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Left, top, width, height. May reach beyond the picture.
    pub bbox: [f32; 4],
    /// The last network's probability that this is a face, 0..=1.
    pub score: f32,
    /// x and y of the left eye, right eye, nose tip, left and right corner of
    /// the mouth, left and right as seen in the picture.
    pub landmarks: [[f32; 2]; 5],
}

/// What the detector does, as told to the observer of
/// [`Detector::detect_observed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorStage {
    /// Reducing a picture that is larger than the search needs.
    Reduction,
    /// Reducing it further to the levels of the pyramid.
    Pyramid,
    /// The network that looks at every place at every scale.
    PNet,
    /// Leaving out candidates beside better ones.
    Suppression,
    /// Cutting out the candidates' windows.
    Windows,
    /// The network that refines candidates.
    RNet,
    /// The network that decides and finds landmarks; and the end.
    ONet,
}

/// How faces are searched. The default is the paper's (MTCNN with its usual
/// thresholds on a picture of at most 1500 pixels in height or width).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorParams {
    /// The smallest face that is searched for, in pixels of the picture after
    /// the reduction by `max_short_side`; at least 1. Half of it takes about
    /// four times as long.
    pub min_face: f32,
    /// From one level of the pyramid to the next, between 0 and 1 (both excluded).
    pub factor: f32,
    /// The probabilities above which the three networks believe in a face.
    pub thresholds: [f32; 3],
    /// A picture whose shorter side is longer than this is reduced to it before
    /// the search, in pixels.
    pub max_short_side: usize,
    /// How many of the P-Net's candidates the R-Net looks at, best first: an
    /// upper limit for the time and memory that one picture can take.
    pub max_candidates: usize,
}

impl Default for DetectorParams {
    fn default() -> Self {
        Self {
            min_face: 20.0,
            factor: 0.709,
            thresholds: [0.6, 0.7, 0.7],
            max_short_side: 1500,
            max_candidates: 5000,
        }
    }
}

/// A face detector: parameters and the built-in weights.
#[derive(Clone, Debug)]
pub struct Detector {
    params: DetectorParams,
    nets: Nets,
}

impl Detector {
    /// A detector with the built-in weights.
    ///
    /// # Panics
    /// If `min_face` is below 1, `factor` is not between 0 and 1, or
    /// `max_short_side` is 0.
    pub fn new(params: DetectorParams) -> Self {
        assert!(params.min_face >= 1.0, "min_face must be 1 or more");
        assert!(params.factor > 0.0 && params.factor < 1.0, "factor must lie between 0 and 1");
        assert!(params.max_short_side > 0, "max_short_side must be 1 or more");
        Self { params, nets: Nets::load() }
    }

    /// The parameters it was made with.
    pub fn params(&self) -> &DetectorParams {
        &self.params
    }

    /// The faces in the picture, largest box first. Runs on rayon's current
    /// threads; the result does not depend on their number.
    pub fn detect(&self, picture: &Picture) -> Vec<Face> {
        self.detect_observed(picture, &|_| ())
    }

    /// [`Detector::detect`], for profiles: `begin` is told what the calling
    /// thread begins to do, many times over as the stages alternate. On one
    /// thread the time up to the next call is that stage's.
    pub fn detect_observed(
        &self,
        picture: &Picture,
        begin: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        begin(DetectorStage::Reduction);
        let searched = self.reduced(picture);
        let candidates = self.propose(&searched, begin);
        let candidates = self.refine(&searched, &candidates, begin);
        let mut faces = self.decide(&searched, &candidates, begin);
        let zoom = [
            picture.width() as f32 / searched.width() as f32,
            picture.height() as f32 / searched.height() as f32,
        ];
        for face in &mut faces {
            for (i, v) in face.bbox.iter_mut().enumerate() {
                *v *= zoom[i % 2];
            }
            for point in &mut face.landmarks {
                *point = [point[0] * zoom[0], point[1] * zoom[1]];
            }
        }
        let size = |f: &Face| f.bbox[2] * f.bbox[3];
        faces.sort_by(|a, b| size(b).total_cmp(&size(a)));
        faces
    }

    fn reduced<'a>(&self, picture: &'a Picture) -> Cow<'a, Picture> {
        let short = picture.width().min(picture.height());
        let limit = self.params.max_short_side;
        if short <= limit {
            return Cow::Borrowed(picture);
        }
        let side = |n: usize| ((n as f64 * limit as f64 / short as f64).round() as usize).max(1);
        Cow::Owned(picture.resized(side(picture.width()), side(picture.height())))
    }

    /// P-Net over the pyramid.
    fn propose(&self, picture: &Picture, begin: &(impl Fn(DetectorStage) + Sync)) -> Vec<Scored> {
        let DetectorParams { min_face, factor, thresholds, .. } = self.params;
        let tiles: Vec<Tile> =
            scales(picture.width(), picture.height(), min_face.into(), factor.into())
                .into_iter()
                .flat_map(|scale| Tile::split(picture, scale))
                .collect();
        let search = |tile: &Tile| {
            SEARCH.with_borrow_mut(|scratch| {
                tile.search(picture, &self.nets.p, thresholds[0], scratch, begin)
            })
        };
        let found: Vec<Vec<Candidate>> = tiles.par_iter().map(search).collect();

        begin(DetectorStage::Suppression);
        // Within each scale first, then among all that is left.
        let mut all: Vec<Candidate> = Vec::new();
        let mut level: Vec<Candidate> = Vec::new();
        for (i, mut found) in found.into_iter().enumerate() {
            level.append(&mut found);
            if tiles.get(i + 1).is_none_or(|next| next.scale != tiles[i].scale) {
                // A face sets off many neighboring windows, hence the room.
                let level = std::mem::take(&mut level);
                let level = best(level, 8 * self.params.max_candidates);
                all.extend(pick(&level, 0.5));
            }
        }
        let mut all = pick(&all, 0.7);
        all.truncate(self.params.max_candidates);
        all.iter().map(|c| c.window.shifted(&c.offsets, 0.0).squared()).collect()
    }

    /// R-Net on every candidate.
    fn refine(
        &self,
        picture: &Picture,
        candidates: &[Scored],
        begin: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Scored> {
        let mut found = Vec::new();
        for (window, out) in look_at(&self.nets.r, DetectorStage::RNet, picture, candidates, begin)
        {
            let score = face_probability(out[0], out[1]);
            if score > self.params.thresholds[1] {
                let offsets = [out[2], out[3], out[4], out[5]];
                found.push(Candidate { window: Scored { score, ..window }, offsets });
            }
        }
        begin(DetectorStage::Suppression);
        let found = pick(&found, 0.7);
        found.iter().map(|c| c.window.shifted(&c.offsets, 1.0).squared()).collect()
    }

    /// O-Net on what is left: the faces, in pixels of the searched picture.
    fn decide(
        &self,
        picture: &Picture,
        candidates: &[Scored],
        begin: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        let mut boxes = Vec::new();
        let mut landmarks: Vec<[[f32; 2]; 5]> = Vec::new();
        for (window, out) in look_at(&self.nets.o, DetectorStage::ONet, picture, candidates, begin)
        {
            let score = face_probability(out[0], out[1]);
            if score > self.params.thresholds[2] {
                let (w, h) = (window.width() + 1.0, window.height() + 1.0);
                // MTCNN counts pixels from 1 here: -1 makes the first one's
                // outer edge 0.
                let point = |k: usize| {
                    [
                        w * out[6 + k] + window.corners[0] - 1.0,
                        h * out[11 + k] + window.corners[1] - 1.0,
                    ]
                };
                landmarks.push(std::array::from_fn(point));
                boxes.push(Scored { score, ..window }.shifted(&out[2..6], 1.0));
            }
        }
        suppress(&boxes, 0.7, Overlap::Smaller)
            .into_iter()
            .map(|i| Face {
                bbox: [
                    boxes[i].corners[0],
                    boxes[i].corners[1],
                    boxes[i].width(),
                    boxes[i].height(),
                ],
                score: boxes[i].score,
                landmarks: landmarks[i],
            })
            .collect()
    }
}

/// The `n` best-scored candidates, in their order of old if all stay.
fn best(mut candidates: Vec<Candidate>, n: usize) -> Vec<Candidate> {
    if candidates.len() > n {
        candidates.sort_by(|a, b| b.window.score.total_cmp(&a.window.score));
        candidates.truncate(n);
    }
    candidates
}

/// Candidates that survive non-maximum suppression, best first.
fn pick(candidates: &[Candidate], limit: f32) -> Vec<Candidate> {
    let windows: Vec<Scored> = candidates.iter().map(|c| c.window).collect();
    suppress(&windows, limit, Overlap::Union).into_iter().map(|i| candidates[i]).collect()
}

/// Runs `net` on every window, cut out at the network's size; windows that lie
/// outside the picture are left out.
fn look_at(
    net: &Net,
    stage: DetectorStage,
    picture: &Picture,
    windows: &[Scored],
    begin: &(impl Fn(DetectorStage) + Sync),
) -> Vec<(Scored, [f32; LANES])> {
    let look = |windows: &[Scored]| {
        LOOK.with_borrow_mut(|Look { reduction, colors, net: scratch }| {
            begin(DetectorStage::Windows);
            colors.clear();
            let mut seen = Vec::with_capacity(windows.len());
            for window in windows {
                if let Some(part) = inside(window, picture) {
                    reduction.append(picture, part, net.size, colors);
                    seen.push(*window);
                }
            }
            begin(stage);
            let outputs = net.run(colors, scratch);
            seen.into_iter().zip(outputs).map(|(w, out)| (w, out.0)).collect::<Vec<_>>()
        })
    };
    windows.par_chunks(BATCH).flat_map_iter(look).collect()
}

/// The pixels of the picture within a window, whose corners are cut to whole
/// pixels that count from 1, the last one included.
fn inside(window: &Scored, picture: &Picture) -> Option<Part> {
    let [x1, y1, x2, y2] = window.corners.map(|v| v as i64);
    let (x1, y1) = (x1.max(1) - 1, y1.max(1) - 1);
    let (x2, y2) = (x2.min(picture.width() as i64), y2.min(picture.height() as i64));
    (x2 > x1 && y2 > y1).then(|| Part {
        x: x1 as usize,
        y: y1 as usize,
        width: (x2 - x1) as usize,
        height: (y2 - y1) as usize,
    })
}
