//! A face's surroundings: the square around its box, and searches in it.

use crate::Picture;
use crate::detect::Face;
use crate::geometry::ScoredBox;

/// The side of the surroundings that are searched, in units of the box's longer side. Boxes of
/// turned faces are inexact, and expected ones may be off.
const SURROUNDINGS: f32 = 2.0;
/// The size to which larger faces are reduced, in pixels.
const SIDE: f32 = 96.0;

/// The square around a box `[left, top, width, height]`, in the detector's convention. Its side
/// is the longer one of the box, times `zoom`.
pub(crate) fn square_around(&[x, y, w, h]: &[f32; 4], zoom: f32) -> ScoredBox {
    let (cx, cy, half) = (x + 0.5 * w, y + 0.5 * h, 0.5 * zoom * w.max(h));
    ScoredBox { corners: [cx - half, cy - half, cx + half, cy + half], score: 1.0 }
}

/// A part of a picture, reduced.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub picture: Picture,
    /// The longer side of the box in the part.
    pub side: f32,
    /// The place of the part in the picture, and the pixels of the picture for one of the part,
    /// across and down.
    corner: [f32; 2],
    zoom: [f32; 2],
}

impl Surroundings {
    /// The surroundings of a box. None for one outside the picture.
    pub(crate) fn of(picture: &Picture, bbox: &[f32; 4]) -> Option<Self> {
        let [x1, y1, x2, y2] = square_around(bbox, SURROUNDINGS).corners;
        let from = |v: f32| v.floor().max(0.0) as usize;
        let to = |v: f32, side: usize| (v.ceil().max(0.0) as usize).min(side);
        let (x, y) = (from(x1), from(y1));
        let (x2, y2) = (to(x2, picture.width()), to(y2, picture.height()));
        if x2 <= x || y2 <= y {
            return None;
        }
        let (width, height, side) = (x2 - x, y2 - y, bbox[2].max(bbox[3]));
        let scale = (SIDE / side).min(1.0);
        let part = if scale < 1.0 {
            let [w, h] = [width, height].map(|n| ((n as f32 * scale).round() as usize).max(1));
            picture.region_resized([x, y, width, height].map(|v| v as f64), w, h)
        } else {
            picture.cut([x, y, width, height])
        };
        let zoom = [width as f32 / part.width() as f32, height as f32 / part.height() as f32];
        Some(Self { picture: part, side: side * scale, corner: [x as f32, y as f32], zoom })
    }

    /// A face of the part in pixels of the picture.
    pub(crate) fn placed(&self, mut face: Face) -> Face {
        face.scale(self.zoom);
        face.shift(self.corner);
        face
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surroundings_have_twice_the_longer_side_as_far_as_they_are_inside() {
        let picture = Picture::new(40, 30, vec![0; 3600]).unwrap();
        let around = |bbox: [f32; 4]| Surroundings::of(&picture, &bbox);
        let inside = around([20.0, 10.0, 6.0, 8.0]).unwrap();
        assert_eq!((inside.picture.width(), inside.picture.height()), (16, 16));
        assert_eq!(inside.side, 8.0);
        let face = Face { bbox: [1.0, 2.0, 3.0, 4.0], score: 0.5, landmarks: [[5.0, 6.0]; 5] };
        let placed = inside.placed(face);
        assert_eq!((placed.bbox, placed.landmarks[0]), ([16.0, 8.0, 3.0, 4.0], [20.0, 12.0]));
        let edge = around([36.0, 26.0, 8.0, 8.0]).unwrap();
        assert_eq!((edge.picture.width(), edge.picture.height()), (8, 8));
        assert!(around([60.0, 10.0, 8.0, 8.0]).is_none());
    }

    #[test]
    fn large_faces_are_reduced() {
        let picture = Picture::new(400, 600, vec![0; 720_000]).unwrap();
        let near = Surroundings::of(&picture, &[120.0, 200.0, 150.0, 2.0 * SIDE]).unwrap();
        assert_eq!((near.picture.width(), near.side), (192, SIDE));
        let corner = Face { bbox: [0.0, 0.0, 92.0, 50.0], score: 1.0, landmarks: [[0.0; 2]; 5] };
        assert_eq!(near.placed(corner).bbox, [3.0, 104.0, 184.0, 100.0]);
    }
}
