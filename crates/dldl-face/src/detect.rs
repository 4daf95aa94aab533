//! From a picture to boxes and landmarks: by MTCNN alone, or with YuNet for the search.
//!
//! The steps and constants of MTCNN are those of facenet-pytorch 2.6.0, and so of the
//! authors' Matlab release: the P-Net proposes candidates on a pyramid of
//! downscaled pictures, the R-Net refines them, and the O-Net makes the decision.
//! Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment using Multitask
//! Cascaded Convolutional Networks", 2016.

use crate::geometry::{Overlap, ScoredBox, nms};
use crate::nets::{WindowNet, face_probability, onet};
use crate::surroundings::Surroundings;
use crate::turned::{with_turns, without_overlaps};
use crate::windows::{logits_in_turns, run_on_windows};
use crate::yunet::{self, YuNet};
use crate::{DetectorStage, Picture};
#[cfg(feature = "mtcnn")]
use crate::{cascade::Cascade, surroundings::square_around};
use dldl_kernels::LANES;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Where the landmarks are in the square around MTCNN's boxes, in units of its side: means over
/// 300 pictures of UTKFace.
const IN_WINDOW: [[f32; 2]; 5] =
    [[0.3355, 0.389], [0.6909, 0.3857], [0.5113, 0.5961], [0.3564, 0.7533], [0.6687, 0.7538]];
/// The smallest face to look for near an expected one, in units of the box's longer side: YuNet
/// sees the expected one four times as large as the smallest that it finds.
const SMALLEST_NEAR: f32 = 0.25;

/// The overlap from which a face of MTCNN's is the same as one of YuNet's.
const SAME_FACE: f32 = 0.6;

/// A detected face, in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// Left, top, width, height. May reach beyond the picture.
    pub bbox: [f32; 4],
    /// The O-Net's probability that this is a face, 0..=1; with YuNet, its own one where it
    /// is higher.
    pub score: f32,
    /// x and y of the left eye, right eye, nose tip, left and right corner of the
    /// mouth; left and right as seen when the face is upright ([`crate::rotation`]).
    pub landmarks: [[f32; 2]; 5],
}

impl Face {
    /// The overlap of the two boxes, divided by the smaller box: 0..=1.
    fn overlap(&self, other: &Face) -> f32 {
        let (a, b) = (self.bbox, other.bbox);
        let side = |axis: usize| {
            let end = (a[axis] + a[axis + 2]).min(b[axis] + b[axis + 2]);
            (end - a[axis].max(b[axis])).max(0.0)
        };
        side(0) * side(1) / (a[2] * a[3]).min(b[2] * b[3])
    }

    pub(crate) fn scored_box(&self) -> ScoredBox {
        let [x, y, w, h] = self.bbox;
        ScoredBox { corners: [x, y, x + w, y + h], score: self.score }
    }

    /// Moves it by `dx` and `dy`.
    pub(crate) fn shift(&mut self, [dx, dy]: [f32; 2]) {
        self.bbox[0] += dx;
        self.bbox[1] += dy;
        for point in &mut self.landmarks {
            *point = [point[0] + dx, point[1] + dy];
        }
    }

    /// Multiplies the coordinates by those of `zoom`, across and down.
    pub(crate) fn scale(&mut self, zoom: [f32; 2]) {
        for (i, v) in self.bbox.iter_mut().enumerate() {
            *v *= zoom[i % 2];
        }
        for point in &mut self.landmarks {
            *point = [point[0] * zoom[0], point[1] * zoom[1]];
        }
    }
}

/// What finds the places of faces in a picture. Landmarks are those of MTCNN's O-Net,
/// wherever it sees the face too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SearchNet {
    /// The P-Net and R-Net of MTCNN, on downscaled copies of the picture.
    #[cfg(feature = "mtcnn")]
    Mtcnn,
    /// YuNet, first on the picture at half its size.
    YuNet,
}

/// Parameters of the detection. By default, YuNet searches pictures whose shorter side has at
/// most 1500 pixels; `DetectorParams::mtcnn` is the paper's detector.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorParams {
    /// The network for the search.
    #[cfg_attr(feature = "mtcnn", serde(default = "mtcnn"))]
    pub search: SearchNet,
    /// The score from which YuNet accepts a face, 0..=1.
    #[serde(default = "min_score")]
    pub min_score: f32,
    /// The smallest face to find, in pixels after downscaling to
    /// `max_short_side`; at least 1. Half of it takes about four times as long.
    pub min_face: f32,
    /// The scale factor between levels of the pyramid, between 0 and 1 (exclusive).
    pub factor: f32,
    /// The face probabilities above which the three networks accept a candidate.
    pub thresholds: [f32; 3],
    /// In pixels: a picture with a longer shorter side is first downscaled to this.
    pub max_short_side: usize,
    /// How many of the P-Net's candidates the R-Net is run on, best first. Bounds
    /// the time and memory that one picture can take.
    pub max_candidates: usize,
}

/// What caches were prepared with that do not say.
#[cfg(feature = "mtcnn")]
fn mtcnn() -> SearchNet {
    SearchNet::Mtcnn
}

impl DetectorParams {
    /// MTCNN with its usual thresholds, as in the paper.
    #[cfg(feature = "mtcnn")]
    pub fn mtcnn() -> Self {
        Self { search: SearchNet::Mtcnn, ..Self::default() }
    }
}

/// OpenCV's threshold gives few wrong detections on WIDER FACE; higher ones miss small faces.
fn min_score() -> f32 {
    0.6
}

impl Default for DetectorParams {
    fn default() -> Self {
        Self {
            search: SearchNet::YuNet,
            min_score: min_score(),
            min_face: 20.0,
            factor: 0.709,
            thresholds: [0.6, 0.7, 0.7],
            max_short_side: 1500,
            max_candidates: 5000,
        }
    }
}

/// A face detector with built-in weights.
#[derive(Clone, Debug)]
pub struct Detector {
    params: DetectorParams,
    search: Search,
    onet: WindowNet,
}

/// The networks of the search.
#[derive(Clone, Debug)]
enum Search {
    #[cfg(feature = "mtcnn")]
    Mtcnn(Cascade),
    YuNet(YuNet),
}

impl Detector {
    /// A detector with the built-in weights.
    ///
    /// # Panics
    /// If `min_face` is below 1, `factor` is not between 0 and 1, or
    /// `max_short_side` is 0.
    pub fn new(params: DetectorParams) -> Self {
        assert!(params.min_face >= 1.0, "min_face must be 1 or more");
        assert!(params.factor > 0.0 && params.factor < 1.0, "factor must be between 0 and 1");
        assert!(params.max_short_side > 0, "max_short_side must be 1 or more");
        let search = match params.search {
            #[cfg(feature = "mtcnn")]
            SearchNet::Mtcnn => Search::Mtcnn(Cascade::load()),
            SearchNet::YuNet => Search::YuNet(YuNet::load()),
        };
        Self { params, search, onet: onet() }
    }

    /// The parameters of the detection.
    pub fn params(&self) -> &DetectorParams {
        &self.params
    }

    /// The faces in the picture, largest box first, also those that are turned by 90, 180
    /// or 270 degrees. Runs on the current rayon pool;
    /// the result does not depend on the number of threads.
    pub fn detect(&self, picture: &Picture) -> Vec<Face> {
        self.profile(picture, &|_| ())
    }

    /// [`Detector::detect`] that calls `on_stage` whenever a thread begins a stage,
    /// on that thread. The stages alternate many times. In a pool of one thread,
    /// the time until the next call belongs to the stage.
    pub fn profile(
        &self,
        picture: &Picture,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        on_stage(DetectorStage::Downscale);
        let (searched, min_face) = match &self.search {
            #[cfg(feature = "mtcnn")]
            Search::Mtcnn(_) => (self.downscaled(picture), self.params.min_face),
            // Reduces the picture itself.
            Search::YuNet(_) => {
                let short = picture.width().min(picture.height()) as f32;
                let factor = (short / self.params.max_short_side as f32).max(1.0);
                (Cow::Borrowed(picture), factor * self.params.min_face)
            }
        };
        let faces = self.search(&searched, min_face, on_stage);
        let mut faces = with_turns(self, &searched, faces, on_stage);
        let zoom = zoom(&searched, picture);
        faces.iter_mut().for_each(|face| face.scale(zoom));
        largest_first(faces)
    }

    /// The faces near expected boxes `[left, top, width, height]`, such as those of the
    /// previous frame of a video, without a search of the whole picture: at a small part
    /// of its time. Largest box first; a place without a face gives none. Finds upright
    /// faces only, and none that no box covers for the most part.
    pub fn detect_near(&self, picture: &Picture, boxes: &[[f32; 4]]) -> Vec<Face> {
        let faces = match &self.search {
            #[cfg(feature = "mtcnn")]
            Search::Mtcnn(cascade) => {
                let window = |bbox: &[f32; 4]| square_around(bbox, 1.0);
                let windows: Vec<ScoredBox> = boxes.iter().map(window).collect();
                let windows = cascade.refine(&self.params, picture, &windows, &|_| ());
                self.decide(picture, &windows, &|_| ())
            }
            Search::YuNet(_) => {
                let near = |bbox: &[f32; 4]| self.nearest(picture, bbox);
                without_overlaps(boxes.par_iter().filter_map(near).collect())
            }
        };
        largest_first(faces)
    }

    /// The face that overlaps an expected box most, by a search of its surroundings.
    fn nearest(&self, picture: &Picture, bbox: &[f32; 4]) -> Option<Face> {
        let near = Surroundings::of(picture, bbox)?;
        let faces = self.search(&near.picture, SMALLEST_NEAR * near.side, &|_| ());
        let expected = Face { bbox: *bbox, score: 1.0, landmarks: [[0.0; 2]; 5] };
        let faces = faces.into_iter().map(|face| near.placed(face));
        let overlaps = faces.map(|face| (face.overlap(&expected), face));
        let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 >= 0.5).then_some(best.1)
    }

    /// The picture, with at most `max_short_side` pixels on its shorter side.
    pub(crate) fn downscaled<'a>(&self, picture: &'a Picture) -> Cow<'a, Picture> {
        let short = picture.width().min(picture.height());
        let limit = self.params.max_short_side;
        if short <= limit {
            return Cow::Borrowed(picture);
        }
        let side = |n: usize| ((n as f64 * limit as f64 / short as f64).round() as usize).max(1);
        Cow::Owned(picture.resized(side(picture.width()), side(picture.height())))
    }

    /// The upright faces of at least `min_face` pixels, in pixels of `picture`.
    pub(crate) fn search(
        &self,
        picture: &Picture,
        min_face: f32,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        match &self.search {
            #[cfg(feature = "mtcnn")]
            Search::Mtcnn(cascade) => {
                let candidates = cascade.propose(&self.params, picture, min_face, on_stage);
                let candidates = cascade.refine(&self.params, picture, &candidates, on_stage);
                self.decide(picture, &candidates, on_stage)
            }
            Search::YuNet(yunet) => {
                on_stage(DetectorStage::YuNet);
                let mut faces = yunet::search(yunet, picture, min_face, self.params.min_score);
                // Sizes are inexact.
                faces.retain(|face| face.bbox[2].max(face.bbox[3]) >= 0.8 * min_face);
                self.with_landmarks(picture, faces, on_stage)
            }
        }
    }

    /// YuNet's highest score in a picture of a face.
    pub(crate) fn best_score(&self, picture: &Picture) -> f32 {
        match &self.search {
            #[cfg(feature = "mtcnn")]
            Search::Mtcnn(_) => 0.0,
            Search::YuNet(yunet) => yunet.best_score(picture),
        }
    }

    /// The O-Net's logits of "face" for a window and its three turns, see
    /// [`logits_in_turns`].
    pub(crate) fn logits_in_turns(
        &self,
        picture: &Picture,
        window: &ScoredBox,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Option<[f32; 4]> {
        on_stage(DetectorStage::ONet);
        logits_in_turns(&self.onet, picture, window)
    }

    /// Replaces YuNet's landmarks by those of MTCNN's O-Net, by which crops are
    /// aligned everywhere, in the window where YuNet's expect them. Where the O-Net sees no
    /// face, YuNet's are kept.
    fn with_landmarks(
        &self,
        picture: &Picture,
        faces: Vec<Face>,
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        let located = |mut face: Face| {
            let near = self.decide(picture, &[window_of(&face.landmarks)], on_stage);
            if let Some(near) = near.first().filter(|near| face.overlap(near) >= SAME_FACE) {
                face.landmarks = near.landmarks;
                face.score = face.score.max(near.score);
            }
            face
        };
        faces.into_par_iter().map(located).collect()
    }

    /// The O-Net on the remaining candidates: the faces, in pixels of `picture`.
    fn decide(
        &self,
        picture: &Picture,
        candidates: &[ScoredBox],
        on_stage: &(impl Fn(DetectorStage) + Sync),
    ) -> Vec<Face> {
        let mut boxes = Vec::new();
        let mut landmarks: Vec<[[f32; 2]; 5]> = Vec::new();
        for (window, out) in
            run_on_windows(&self.onet, DetectorStage::ONet, picture, candidates, on_stage)
        {
            let score = face_probability(out[0], out[1]);
            if score > self.params.thresholds[2] {
                landmarks.push(landmarks_in(&window, &out));
                boxes.push(ScoredBox { score, ..window }.refined(&out[2..6], 1.0));
            }
        }
        nms(&boxes, 0.7, Overlap::Smaller)
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

/// The O-Net's window for a face with these landmarks: the square in which they are nearest to
/// where they are on average in the windows that MTCNN finds.
fn window_of(landmarks: &[[f32; 2]; 5]) -> ScoredBox {
    let mean = |points: &[[f32; 2]; 5]| {
        [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f32>() / 5.0)
    };
    let spread = |points: &[[f32; 2]; 5]| {
        let [x, y] = mean(points);
        let squares = points.iter().map(|point| (point[0] - x).powi(2) + (point[1] - y).powi(2));
        squares.sum::<f32>()
    };
    let side = (spread(landmarks) / spread(&IN_WINDOW)).sqrt();
    let ([x, y], [mean_x, mean_y]) = (mean(landmarks), mean(&IN_WINDOW));
    let (x, y) = (x - mean_x * side, y - mean_y * side);
    ScoredBox { corners: [x, y, x + side, y + side], score: 1.0 }
}

/// The landmarks in the O-Net's outputs for a window.
fn landmarks_in(window: &ScoredBox, out: &[f32; LANES]) -> [[f32; 2]; 5] {
    let (w, h) = (window.width() + 1.0, window.height() + 1.0);
    // MTCNN counts pixels from 1 here; -1 puts the outer edge of the first one at 0.
    let point = |k: usize| {
        [w * out[6 + k] + window.corners[0] - 1.0, h * out[11 + k] + window.corners[1] - 1.0]
    };
    std::array::from_fn(point)
}

/// What a picture's coordinates are multiplied by to be those of `whole`, across and down.
pub(crate) fn zoom(picture: &Picture, whole: &Picture) -> [f32; 2] {
    [whole.width() as f32 / picture.width() as f32, whole.height() as f32 / picture.height() as f32]
}

fn largest_first(mut faces: Vec<Face>) -> Vec<Face> {
    let size = |f: &Face| f.bbox[2] * f.bbox[3];
    faces.sort_by(|a, b| size(b).total_cmp(&size(a)));
    faces
}
