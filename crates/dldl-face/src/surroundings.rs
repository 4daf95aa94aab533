//! A face's surroundings: the square around its box, and searches in it.

use crate::Picture;
use crate::detect::Face;
use crate::geometry::ScoredBox;

/// The side of the surroundings that are searched, in units of the box's longer side. Boxes of
/// turned faces are inexact, and expected ones may be off.
const SURROUNDINGS: f32 = 2.0;

/// The square around a box `[left, top, width, height]`, in the detector's convention. Its side
/// is the longer one of the box, times `zoom`.
pub(crate) fn square_around(&[x, y, w, h]: &[f32; 4], zoom: f32) -> ScoredBox {
    let (cx, cy, half) = (x + 0.5 * w, y + 0.5 * h, 0.5 * zoom * w.max(h));
    ScoredBox { corners: [cx - half, cy - half, cx + half, cy + half], score: 1.0 }
}

/// The faces that `search` finds in the surroundings of a box, in pixels of the picture. It is
/// given the box's longer side as well.
pub(crate) fn search_around(
    picture: &Picture,
    bbox: &[f32; 4],
    search: impl Fn(&Picture, f32) -> Vec<Face>,
) -> Vec<Face> {
    let [x1, y1, x2, y2] = square_around(bbox, SURROUNDINGS).corners;
    let from = |v: f32| v.floor().max(0.0) as usize;
    let to = |v: f32, side: usize| (v.ceil().max(0.0) as usize).min(side);
    let (x, y) = (from(x1), from(y1));
    let (x2, y2) = (to(x2, picture.width()), to(y2, picture.height()));
    if x2 <= x || y2 <= y {
        return Vec::new();
    }
    let near = cut(picture, [x, y, x2 - x, y2 - y]);
    let found = search(&near, bbox[2].max(bbox[3]));
    found.iter().map(|face| moved(face, [x as f32, y as f32])).collect()
}

fn moved(face: &Face, [dx, dy]: [f32; 2]) -> Face {
    let [x, y, w, h] = face.bbox;
    let landmarks = face.landmarks.map(|[x, y]| [x + dx, y + dy]);
    Face { bbox: [x + dx, y + dy, w, h], score: face.score, landmarks }
}

/// A rectangle `[x, y, width, height]` of the picture.
fn cut(picture: &Picture, [x, y, width, height]: [usize; 4]) -> Picture {
    let row = |y: usize| &picture.rgb()[3 * (y * picture.width() + x)..][..3 * width];
    let rgb = (y..y + height).flat_map(row).copied().collect();
    Picture::new(width, height, rgb).expect("the rectangle has its pixels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_have_the_pixels_of_the_rectangle() {
        let picture = Picture::new(4, 3, (0..36).collect()).unwrap();
        let part = cut(&picture, [1, 2, 2, 1]);
        assert_eq!(
            (part.width(), part.height(), part.rgb()),
            (2, 1, &[27, 28, 29, 30, 31, 32][..])
        );
    }

    #[test]
    fn faces_around_a_box_are_in_pixels_of_the_picture() {
        let picture = Picture::new(40, 30, vec![0; 3600]).unwrap();
        let found = Face { bbox: [1.0, 2.0, 3.0, 4.0], score: 0.5, landmarks: [[5.0, 6.0]; 5] };
        let around = |bbox: [f32; 4], size: [usize; 2]| {
            search_around(&picture, &bbox, |near, side| {
                assert_eq!(([near.width(), near.height()], side), (size, 8.0));
                vec![found]
            })
        };
        // Twice the longer side, as far as it is inside.
        let faces = around([20.0, 10.0, 6.0, 8.0], [16, 16]);
        assert_eq!((faces[0].bbox, faces[0].landmarks[0]), ([16.0, 8.0, 3.0, 4.0], [20.0, 12.0]));
        around([36.0, 26.0, 8.0, 8.0], [8, 8]);
        assert_eq!(around([60.0, 10.0, 8.0, 8.0], [0, 0]), []);
    }
}
