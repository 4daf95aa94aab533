//! Faces that are not upright: the picture lies on its side or upside down. The networks
//! were trained on upright faces, yet often accept a turned one, with landmarks in the
//! wrong places. So a face that is not sure is compared in all four turns: by YuNet in its
//! surroundings, or by the O-Net after MTCNN's search. Where another turn than upright is
//! better, the face is detected again in its turned surroundings. Where nothing convincing
//! was found, the turned picture is searched.

use crate::detect::{Detector, Face, zoom};
use crate::geometry::{Overlap, ScoredBox, nms};
use crate::surroundings::{Surroundings, square_around};
use crate::{DetectorStage, Picture, SearchNet};
use rayon::prelude::*;

/// Where no face has at least this score, the turned picture is searched.
const CONVINCING: f32 = 0.95;
/// How much larger the O-Net's logit of "face" must be in another turn.
const MARGIN: f32 = 1.0;
/// The size of a face, in pixels, at which YuNet compares turns.
const COMPARED: f32 = 40.0;
/// The smallest face to look for in the surroundings of a turned one, in units of its box's
/// longer side.
const SMALLEST: f32 = 0.5;

/// The scores that decide. MTCNN's are those of the best of many windows, YuNet's those of one.
struct Scores {
    /// Faces with at least this score are upright.
    upright: f32,
    /// The least score of a face that is said to be turned.
    turned: f32,
}

impl Scores {
    fn of(search: SearchNet) -> Self {
        match search {
            // Turned faces hardly get 0.99. Those in profile and blurred ones get up to 0.998
            // upside down.
            #[cfg(feature = "mtcnn")]
            SearchNet::Mtcnn => Self { upright: 0.998, turned: 0.999 },
            SearchNet::YuNet => Self { upright: 0.995, turned: 0.97 },
        }
    }
}

/// Checks all faces of a picture for turns, and searches for turned ones if there is no
/// convincing one.
pub(crate) fn with_turns(
    detector: &Detector,
    picture: &Picture,
    faces: Vec<Face>,
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> Vec<Face> {
    let scores = Scores::of(detector.params().search);
    let turned = |face: Face| turned(detector, picture, &face, on_stage).unwrap_or(face);
    let mut faces: Vec<Face> = faces.into_par_iter().map(turned).collect();
    if faces.iter().all(|face| face.score < CONVINCING) {
        let upright_ones = faces.len();
        let small = detector.downscaled(picture);
        let zoom = zoom(&small, picture);
        for turns in 1..4 {
            let upright = turned_back(&small, turns);
            let found = detector.search(&upright, 2.0 * detector.params().min_face, on_stage);
            let is_face = |face: &Face| {
                face.score >= scores.turned && self::turns(detector, &upright, face, on_stage) == 0
            };
            let size = [upright.width(), upright.height()].map(|n| n as f32);
            faces.extend(found.into_iter().filter(is_face).map(|face| {
                let mut face = placed(&face, turns, size);
                face.scale(zoom);
                face
            }));
        }
        if faces.len() > upright_ones {
            faces = without_overlaps(faces);
        }
    }
    faces
}

/// The face as it is detected in another turn, if it is turned.
fn turned(
    detector: &Detector,
    picture: &Picture,
    face: &Face,
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> Option<Face> {
    let search = detector.params().search;
    match search {
        #[cfg(feature = "mtcnn")]
        SearchNet::Mtcnn => match turns(detector, picture, face, on_stage) {
            0 => None,
            turns => {
                let near = Surroundings::of(picture, &face.bbox)?;
                detect_again(detector, &near, turns, on_stage)
            }
        },
        // Its boxes of turned faces are too inexact for the O-Net to compare turns in them.
        SearchNet::YuNet if face.score < Scores::of(search).upright => {
            let near = Surroundings::of(picture, &face.bbox)?;
            let turns = turns_by_yunet(detector, &near, on_stage)?;
            let logit = |score: f32| (score / (1.0 - score).max(1e-7)).ln();
            detect_again(detector, &near, turns, on_stage)
                .filter(|found| logit(found.score) > logit(face.score) + MARGIN)
        }
        SearchNet::YuNet => None,
    }
}

/// By how many quarters a face is turned clockwise, according to YuNet; none if it is upright.
fn turns_by_yunet(
    detector: &Detector,
    near: &Surroundings,
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> Option<usize> {
    on_stage(DetectorStage::YuNet);
    let small = near.picture.averaged((near.side / COMPARED) as usize);
    let scores = [0, 1, 2, 3].map(|turns| detector.best_score(&turned_back(&small, turns)));
    let best = (1..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("there are three");
    (scores[best] > scores[0]).then_some(best)
}

/// By how many quarters a face is turned clockwise, according to the O-Net.
fn turns(
    detector: &Detector,
    picture: &Picture,
    face: &Face,
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> usize {
    if face.score >= Scores::of(detector.params().search).upright {
        return 0;
    }
    let Some(logits) = detector.logits_in_turns(picture, &square_around(&face.bbox, 1.0), on_stage)
    else {
        return 0;
    };
    let best = (1..4).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("there are three");
    if logits[best] > logits[0] + MARGIN { best } else { 0 }
}

/// The face in its surroundings, which are turned so that it is upright.
fn detect_again(
    detector: &Detector,
    near: &Surroundings,
    turns: usize,
    on_stage: &(impl Fn(DetectorStage) + Sync),
) -> Option<Face> {
    let upright = turned_back(&near.picture, turns);
    let size = [upright.width(), upright.height()].map(|n| n as f32);
    let found = detector.search(&upright, (SMALLEST * near.side).max(1.0), on_stage);
    let best = found.into_iter().max_by(|a, b| a.score.total_cmp(&b.score))?;
    let is_sure = best.score >= Scores::of(detector.params().search).turned;
    is_sure.then(|| near.placed(placed(&best, turns, size)))
}

/// A face that was found in a picture of this size, in the coordinates of that picture
/// turned clockwise by quarters.
fn placed(face: &Face, turns: usize, [width, height]: [f32; 2]) -> Face {
    let point = |[x, y]: [f32; 2]| match turns % 4 {
        0 => [x, y],
        1 => [height - y, x],
        2 => [width - x, height - y],
        _ => [y, width - x],
    };
    let [x, y, w, h] = face.bbox;
    let (a, b) = (point([x, y]), point([x + w, y + h]));
    let (left, top) = (a[0].min(b[0]), a[1].min(b[1]));
    let bbox = [left, top, (a[0] - b[0]).abs(), (a[1] - b[1]).abs()];
    Face { bbox, score: face.score, landmarks: face.landmarks.map(point) }
}

/// The faces that do not overlap better ones by more than half of the smaller box.
pub(crate) fn without_overlaps(faces: Vec<Face>) -> Vec<Face> {
    let boxes: Vec<ScoredBox> = faces.iter().map(Face::scored_box).collect();
    nms(&boxes, 0.5, Overlap::Smaller).into_iter().map(|i| faces[i]).collect()
}

/// The picture turned counterclockwise by quarters, so that a face that is turned clockwise
/// by them becomes upright.
fn turned_back(picture: &Picture, turns: usize) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let pixels = turned_pixels(picture.rgb().as_chunks::<3>().0, [width, height], turns);
    let (width, height) = if turns.is_multiple_of(2) { (width, height) } else { (height, width) };
    Picture::new(width, height, pixels.into_flattened()).expect("the pixels are the same")
}

/// The pixels of a picture of this size turned counterclockwise by quarters.
pub(crate) fn turned_pixels<P: Copy>(
    pixels: &[P],
    [width, height]: [usize; 2],
    turns: usize,
) -> Vec<P> {
    let (columns, rows) = if turns.is_multiple_of(2) { (width, height) } else { (height, width) };
    let from = |x: usize, y: usize| match turns % 4 {
        0 => y * width + x,
        1 => x * width + width - 1 - y,
        2 => (height - 1 - y) * width + width - 1 - x,
        _ => (height - 1 - x) * width + y,
    };
    (0..rows).flat_map(|y| (0..columns).map(move |x| pixels[from(x, y)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_pixels_and_points_return_to_their_places() {
        let rgb = (0..3 * 5 * 4).map(|i| i as u8).collect();
        let picture = Picture::new(5, 4, rgb).unwrap();
        for turns in 0..4 {
            let upright = turned_back(&picture, turns);
            assert_eq!(turned_back(&upright, 4 - turns), picture, "{turns}");
            // The pixel whose left edge is at (1, 2) in the upright picture.
            let size = [upright.width(), upright.height()].map(|n| n as f32);
            let pixel = Face { bbox: [1.0, 2.0, 1.0, 1.0], score: 1.0, landmarks: [[1.0; 2]; 5] };
            let [x, y, w, h] = placed(&pixel, turns, size).bbox;
            assert_eq!([w, h], [1.0; 2]);
            assert_eq!(picture.pixel(x as usize, y as usize), upright.pixel(1, 2), "{turns}");
        }
        // Counterclockwise: the right column becomes the first row.
        assert_eq!(turned_pixels(&[1, 2, 3, 4], [2, 2], 1), [2, 4, 1, 3]);
    }

    #[test]
    fn worse_faces_on_the_same_place_are_dropped() {
        let face = |x: f32, score: f32| Face {
            bbox: [x, 0.0, 10.0, 10.0],
            score,
            landmarks: [[0.0; 2]; 5],
        };
        let kept = without_overlaps(vec![face(0.0, 0.8), face(2.0, 0.99), face(30.0, 0.9)]);
        assert_eq!(kept.iter().map(|f| f.bbox[0]).collect::<Vec<_>>(), [2.0, 30.0]);
    }
}
