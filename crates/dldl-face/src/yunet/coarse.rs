//! The search from coarse to fine. Most pictures show a few large faces, which YuNet finds at
//! half the resolution in a quarter of the time. The resolution that the smallest faces need is
//! looked at only where the reduced picture gives a hint of one.

use super::{SAME, YuNet};
use crate::Picture;
use crate::detect::Face;
use crate::geometry::{Overlap, ScoredBox, nms};
use std::borrow::Cow;

/// The smallest faces that YuNet finds reliably, in pixels.
const SMALLEST: f32 = 20.0;
/// Faces of this size are found in the reduced picture as well as in the whole one, in pixels of
/// the reduced one.
const SURE: f32 = 40.0;
/// The scores that make a place worth a closer look: for small faces, and for large ones, of
/// which the whole picture hardly shows more.
const HINT: f32 = 0.1;
const UNSURE: f32 = 0.4;
/// The side of the place that is looked at, in units of the expected face and in pixels.
const AROUND: f32 = 2.5;
const LEAST: f32 = 96.0;
/// Pictures with fewer pixels, and those of which a larger part is worth a closer look, are
/// searched at once.
const SMALL: f32 = 160.0 * 160.0;
const MOST: f32 = 0.6;

/// A rectangle: left, top, right, bottom.
type Rect = [f32; 4];

/// The upright faces of at least about `min_face` pixels with at least this score, best first.
pub(crate) fn search(net: &YuNet, picture: &Picture, min_face: f32, min_score: f32) -> Vec<Face> {
    let [width, height] = [picture.width(), picture.height()].map(|side| side as f32);
    // Makes the smallest faces as large as YuNet needs.
    let fine = (SMALLEST / min_face).min(1.0);
    let whole = [0.0, 0.0, width, height];
    if fine * fine * width * height < SMALL {
        return search_part(net, picture, &whole, fine, min_score);
    }
    let factor = (2.0 / fine).round() as usize;
    let coarse = picture.averaged(factor);
    let mut found = net.search(&coarse, HINT);
    found.iter_mut().for_each(|face| face.scale([factor as f32; 2]));
    let (large, small): (Vec<Face>, Vec<Face>) =
        found.into_iter().partition(|face| longer_side(face) >= SURE * factor as f32);
    let (mut faces, unsure): (Vec<Face>, Vec<Face>) =
        large.into_iter().partition(|face| face.score >= min_score);
    let hints = small.iter().chain(unsure.iter().filter(|face| face.score >= UNSURE));
    let place = |face: &Face| place(face, fine, [width, height]);
    let places = merged(hints.map(place).collect());
    let area: f32 = places.iter().map(|[x1, y1, x2, y2]| (x2 - x1) * (y2 - y1)).sum();
    if area > MOST * width * height {
        return search_part(net, picture, &whole, fine, min_score);
    }
    for place in &places {
        let found = search_part(net, picture, place, fine, min_score);
        faces.extend(found.into_iter().filter(|face| is_inside(face, place, [width, height])));
    }
    let boxes: Vec<ScoredBox> = faces.iter().map(Face::scored_box).collect();
    nms(&boxes, SAME, Overlap::Union).into_iter().map(|i| faces[i]).collect()
}

/// The faces in a part of the picture, which is reduced to the scale `fine`.
fn search_part(
    net: &YuNet,
    picture: &Picture,
    part: &Rect,
    fine: f32,
    min_score: f32,
) -> Vec<Face> {
    let [x, y] = [part[0], part[1]].map(|v| v as usize);
    let [width, height] = [part[2], part[3]].map(|v| v as usize);
    let (width, height) = (width - x, height - y);
    let is_whole = (width, height) == (picture.width(), picture.height());
    let searched = if fine < 1.0 {
        let [w, h] = [width, height].map(|side| ((side as f32 * fine).round() as usize).max(1));
        let region = [x, y, width, height].map(|v| v as f64);
        Cow::Owned(picture.region_resized(region, w, h))
    } else if is_whole {
        Cow::Borrowed(picture)
    } else {
        Cow::Owned(picture.cut([x, y, width, height]))
    };
    let zoom = [width as f32 / searched.width() as f32, height as f32 / searched.height() as f32];
    let mut faces = net.search(&searched, min_score);
    for face in &mut faces {
        face.scale(zoom);
        face.shift([x as f32, y as f32]);
    }
    faces
}

/// The surroundings of a hint, in whole pixels inside the picture.
fn place(hint: &Face, fine: f32, size: [f32; 2]) -> Rect {
    let [x, y, w, h] = hint.bbox;
    let half = 0.5 * (AROUND * longer_side(hint)).max(LEAST / fine);
    let center = [x + 0.5 * w, y + 0.5 * h];
    let from = |axis: usize| (center[axis] - half).floor().clamp(0.0, size[axis] - 1.0);
    let to = |axis: usize| (center[axis] + half).ceil().clamp(from(axis) + 1.0, size[axis]);
    [from(0), from(1), to(0), to(1)]
}

/// Rectangles that overlap become the one around them.
fn merged(rects: Vec<Rect>) -> Vec<Rect> {
    let overlap = |a: &Rect, b: &Rect| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    let mut apart: Vec<Rect> = Vec::new();
    for mut rect in rects {
        while let Some(i) = apart.iter().position(|other| overlap(&rect, other)) {
            let other = apart.swap_remove(i);
            rect = [
                rect[0].min(other[0]),
                rect[1].min(other[1]),
                rect[2].max(other[2]),
                rect[3].max(other[3]),
            ];
        }
        apart.push(rect);
    }
    apart
}

/// Whether a face is seen whole: not cut by an edge of the part that is none of the picture.
fn is_inside(face: &Face, part: &Rect, [width, height]: [f32; 2]) -> bool {
    let [x, y, w, h] = face.bbox;
    (part[0] == 0.0 || x >= part[0])
        && (part[1] == 0.0 || y >= part[1])
        && (part[2] == width || x + w <= part[2])
        && (part[3] == height || y + h <= part[3])
}

fn longer_side(face: &Face) -> f32 {
    face.bbox[2].max(face.bbox[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portrait() -> Picture {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
        crate::decode_file(path.as_ref()).unwrap()
    }

    /// Gray, with the pictures at these places.
    fn collage(width: usize, height: usize, parts: &[(&Picture, [usize; 2])]) -> Picture {
        let mut rgb = vec![120; 3 * width * height];
        for (part, [x, y]) in parts {
            for (i, row) in part.rgb().chunks_exact(3 * part.width()).enumerate() {
                rgb[3 * ((y + i) * width + x)..][..row.len()].copy_from_slice(row);
            }
        }
        Picture::new(width, height, rgb).unwrap()
    }

    fn near(face: &Face, other: &Face) -> bool {
        face.bbox.iter().zip(other.bbox).all(|(a, b)| (a - b).abs() < 0.15 * other.bbox[3])
    }

    #[test]
    fn large_and_small_faces_are_those_of_the_whole_picture() {
        let large = portrait();
        let small = large.resized(128, 128);
        let picture = collage(1000, 700, &[(&large, [0, 0]), (&small, [800, 400])]);
        let net = YuNet::load();
        let whole = net.search(&picture, 0.6);
        assert_eq!(whole.len(), 2);
        let found = search(&net, &picture, SMALLEST, 0.6);
        assert_eq!(found.len(), 2, "{found:?}");
        for face in &whole {
            assert!(found.iter().any(|other| near(other, face)), "{face:?} {found:?}");
        }
        // Where only large ones are wanted, the small one is too small.
        let found = search(&net, &picture, 60.0, 0.6);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn faces_in_large_pictures_are_in_their_pixels() {
        let picture = portrait();
        let [whole] = net_faces(&picture, SMALLEST)[..] else { panic!("one face") };
        let large = picture.resized(2048, 2048);
        let [mut found] = net_faces(&large, 4.0 * SMALLEST)[..] else { panic!("one face") };
        found.scale([0.25; 2]);
        assert!(near(&found, &whole), "{found:?} {whole:?}");
    }

    fn net_faces(picture: &Picture, min_face: f32) -> Vec<Face> {
        search(&YuNet::load(), picture, min_face, 0.6)
    }

    #[test]
    fn overlapping_places_are_merged() {
        let merged = merged(vec![
            [0.0, 0.0, 10.0, 10.0],
            [20.0, 0.0, 30.0, 10.0],
            [50.0, 50.0, 60.0, 60.0],
            // Joins the first two.
            [8.0, 5.0, 22.0, 12.0],
        ]);
        assert_eq!(merged.len(), 2);
        assert!(
            merged.contains(&[0.0, 0.0, 30.0, 12.0]) && merged.contains(&[50.0, 50.0, 60.0, 60.0])
        );
    }

    #[test]
    fn faces_cut_by_an_edge_of_a_part_are_not_whole() {
        let face =
            |x: f32| Face { bbox: [x, 5.0, 10.0, 10.0], score: 1.0, landmarks: [[0.0; 2]; 5] };
        let part = [0.0, 0.0, 50.0, 50.0];
        // The left edge is that of the picture.
        let size = [100.0, 100.0];
        assert!(is_inside(&face(-3.0), &part, size) && is_inside(&face(20.0), &part, size));
        assert!(!is_inside(&face(45.0), &part, size));
    }
}
