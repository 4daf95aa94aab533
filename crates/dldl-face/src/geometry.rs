//! Plane geometry: the similarity transform between two sets of points, and the
//! detector's box arithmetic.

/// A similarity transform of the plane without reflection: rotation, uniform scale
/// and translation, `x' = a x - b y + tx`, `y' = b x + a y + ty`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// Scale times cosine of the rotation.
    pub a: f64,
    /// Scale times sine of the rotation (clockwise on screen, since y points down).
    pub b: f64,
    /// Translation along x.
    pub tx: f64,
    /// Translation along y.
    pub ty: f64,
}

impl Similarity {
    /// The similarity that maps `from` to `to` with the least sum of squared
    /// distances, in closed form: with centered points p, q,
    /// `a = sum(p . q) / sum(p . p)` and `b = sum(p x q) / sum(p . p)`
    /// (Umeyama 1991 in two dimensions; Matlab's `cp2tform(..., 'nonreflective
    /// similarity')` solves the same equations).
    ///
    /// Points correspond by index; surplus points of the longer slice are ignored.
    /// `None` if there are no pairs, the points of one slice coincide, or a
    /// coordinate is not finite.
    pub fn fit(from: &[[f64; 2]], to: &[[f64; 2]]) -> Option<Self> {
        let n = from.len().min(to.len());
        let (from, to) = (&from[..n], &to[..n]);
        let mean = |points: &[[f64; 2]], c: usize| {
            points.iter().map(|p| p[c]).sum::<f64>() / points.len() as f64
        };
        let (px, py, qx, qy) = (mean(from, 0), mean(from, 1), mean(to, 0), mean(to, 1));
        let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (p, q) = ([p[0] - px, p[1] - py], [q[0] - qx, q[1] - qy]);
            dot += p[0] * q[0] + p[1] * q[1];
            cross += p[0] * q[1] - p[1] * q[0];
            norm += p[0] * p[0] + p[1] * p[1];
        }
        let (a, b) = (dot / norm, cross / norm);
        let fit = Self { a, b, tx: qx - a * px + b * py, ty: qy - b * px - a * py };
        (fit.scale() * norm > 0.0 && fit.tx.is_finite() && fit.ty.is_finite()).then_some(fit)
    }

    /// The image of a point.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [self.a * x - self.b * y + self.tx, self.b * x + self.a * y + self.ty]
    }

    /// The factor by which distances grow.
    pub fn scale(&self) -> f64 {
        self.a.hypot(self.b)
    }
}

/// A box with a score. The corners are (x1, y1) top left and (x2, y2) bottom
/// right, in MTCNN's pixel convention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoredBox {
    pub corners: [f32; 4],
    pub score: f32,
}

impl ScoredBox {
    pub(crate) fn width(&self) -> f32 {
        self.corners[2] - self.corners[0]
    }

    pub(crate) fn height(&self) -> f32 {
        self.corners[3] - self.corners[1]
    }

    /// Moves each corner coordinate by its offset, in units of the side plus
    /// `extra` pixels (MTCNN's later stages add one).
    pub(crate) fn refined(&self, offsets: &[f32], extra: f32) -> Self {
        let (w, h) = (self.width() + extra, self.height() + extra);
        let mut corners = self.corners;
        for (i, corner) in corners.iter_mut().enumerate() {
            *corner += offsets[i] * if i % 2 == 0 { w } else { h };
        }
        Self { corners, ..*self }
    }

    /// The square with the same center and the longer side.
    #[cfg(feature = "mtcnn")]
    pub(crate) fn squared(&self) -> Self {
        let (w, h) = (self.width(), self.height());
        let side = w.max(h);
        let x = self.corners[0] + w * 0.5 - side * 0.5;
        let y = self.corners[1] + h * 0.5 - side * 0.5;
        Self { corners: [x, y, x + side, y + side], ..*self }
    }
}

/// What the intersection of two boxes is divided by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Overlap {
    /// Their union (IoU). A box of n pixels has a side of n - 1.
    Union,
    /// The smaller box. A box of n pixels has a side of n.
    Smaller,
}

/// Non-maximum suppression: the indices of the boxes that do not overlap a
/// better-scored kept one by more than `limit`, best first. Ties are common,
/// because good scores saturate at 1: the first box wins, but the last one with
/// [`Overlap::Smaller`], as in facenet-pytorch.
pub(crate) fn nms(boxes: &[ScoredBox], limit: f32, overlap: Overlap) -> Vec<usize> {
    let extra = match overlap {
        Overlap::Union => 0.0,
        Overlap::Smaller => 1.0,
    };
    let area = |b: &ScoredBox| (b.width() + extra) * (b.height() + extra);
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    if let Overlap::Smaller = overlap {
        order.reverse();
    }
    order.sort_by(|&i, &j| boxes[j].score.total_cmp(&boxes[i].score));
    let mut keep: Vec<usize> = Vec::new();
    for i in order {
        let a = &boxes[i];
        let suppressed = keep.iter().any(|&k| {
            let b = &boxes[k];
            let side = |low: usize| {
                a.corners[low + 2].min(b.corners[low + 2]) - a.corners[low].max(b.corners[low])
                    + extra
            };
            let shared = side(0).max(0.0) * side(1).max(0.0);
            let whole = match overlap {
                Overlap::Union => area(a) + area(b) - shared,
                Overlap::Smaller => area(a).min(area(b)),
            };
            shared > limit * whole
        });
        if !suppressed {
            keep.push(i);
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn coinciding_points_have_no_fit() {
        let square = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]];
        assert_eq!(Similarity::fit(&[], &[]), None);
        assert_eq!(Similarity::fit(&[[2.0, 3.0]; 3], &square), None);
        assert_eq!(Similarity::fit(&square, &[[2.0, 3.0]; 3]), None);
        assert_eq!(Similarity::fit(&square, &[[f64::NAN, 0.0]; 3]), None);
    }

    #[test]
    fn nms_by_union_and_by_the_smaller_box() {
        let scored = |corners, score| ScoredBox { corners, score };
        let boxes = [
            scored([0.0, 0.0, 100.0, 100.0], 0.8),
            scored([2.0, 2.0, 102.0, 102.0], 0.9),
            scored([40.0, 40.0, 60.0, 60.0], 0.7),
            scored([200.0, 0.0, 300.0, 100.0], 0.95),
        ];
        assert_eq!(nms(&boxes, 0.7, Overlap::Union), [3, 1, 2]);
        assert_eq!(nms(&boxes, 0.7, Overlap::Smaller), [3, 1]);
    }

    proptest! {
        /// The fit of points to their images is the similarity that made them.
        #[test]
        fn fit_recovers_a_similarity(
            scale in 0.05f64..20.0, angle in -3.1f64..3.1,
            tx in -500f64..500.0, ty in -500f64..500.0,
            points in prop::array::uniform5(prop::array::uniform2(-100f64..100.0)),
        ) {
            let spread = points.iter().map(|p| (p[0] - points[0][0]).hypot(p[1] - points[0][1]));
            prop_assume!(spread.fold(0.0, f64::max) > 1.0);
            let truth = Similarity { a: scale * angle.cos(), b: scale * angle.sin(), tx, ty };
            let fit = Similarity::fit(&points, &points.map(|p| truth.apply(p))).unwrap();
            for (got, expected) in [(fit.a, truth.a), (fit.b, truth.b)] {
                prop_assert!((got - expected).abs() < 1e-9 * scale.max(1.0));
            }
            for (got, expected) in [(fit.tx, tx), (fit.ty, ty)] {
                prop_assert!((got - expected).abs() < 1e-6 * scale.max(1.0));
            }
        }

        /// Changing the parameters does not lower the sum of squares.
        #[test]
        fn fit_has_the_least_sum_of_squares(
            from in prop::array::uniform5(prop::array::uniform2(-1f64..1.0)),
            to in prop::array::uniform5(prop::array::uniform2(-1f64..1.0)),
            step in prop::array::uniform4(-0.1f64..0.1),
        ) {
            let Some(fit) = Similarity::fit(&from, &to) else { return Ok(()) };
            let cost = |s: &Similarity| -> f64 {
                let residual = |(p, q): (&[f64; 2], &[f64; 2])| {
                    let r = s.apply(*p);
                    (r[0] - q[0]).powi(2) + (r[1] - q[1]).powi(2)
                };
                from.iter().zip(&to).map(residual).sum()
            };
            let other = Similarity {
                a: fit.a + step[0], b: fit.b + step[1],
                tx: fit.tx + step[2], ty: fit.ty + step[3],
            };
            prop_assert!(cost(&fit) <= cost(&other) + 1e-12);
        }
    }
}
