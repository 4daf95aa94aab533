//! Registration of two small pictures: the shift, scale and rotation by which the second fits
//! the first best, and how similar they are then.

use super::thumb::{SIDE, Thumb};

/// The least part of the first picture that the second must cover.
const MIN_OVERLAP: f32 = 0.5;
/// The largest change of scale, rotation (both as components of the linear map) and shift (in
/// sides) between crops of the same photograph.
const MAX_FIT: Fit = Fit { a: 0.6, b: 0.3, u: 0.35, v: 0.35 };

/// A similarity transform about the center of pictures of side 1: what is at `(x, y)` from the
/// center of the first is at `(x + a x - b y + u, y + b x + a y + v)` from that of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Fit {
    pub(super) a: f32,
    pub(super) b: f32,
    pub(super) u: f32,
    pub(super) v: f32,
}

/// A square gray picture.
pub(super) struct Gray {
    side: usize,
    pixels: Vec<f32>,
}

impl Gray {
    /// A small version, a little smoothed, so that its slopes are reliable.
    pub(super) fn of(thumb: &Thumb, side: usize) -> Self {
        Self { side, pixels: smooth(&thumb.reduced(side), side) }
    }

    /// The picture less one of lower resolution: what is left are edges and texture, in
    /// which different faces in the same light and pose differ.
    pub(super) fn detail(&self, coarse: &Gray) -> Self {
        let scale = coarse.side as f32 / self.side as f32;
        let last = (coarse.side - 1) as f32;
        let at = |i: usize| ((i as f32 + 0.5) * scale - 0.5).clamp(0.0, last);
        let low = |i: usize| {
            let [value, ..] = coarse.sample(at(i % self.side), at(i / self.side));
            value
        };
        let pixels = self.pixels.iter().enumerate().map(|(i, v)| v - low(i)).collect();
        Self { side: self.side, pixels }
    }

    /// The mirror image.
    pub(super) fn mirrored(&self) -> Self {
        let mut pixels = self.pixels.clone();
        pixels.chunks_exact_mut(self.side).for_each(<[f32]>::reverse);
        Self { side: self.side, pixels }
    }

    /// Bilinear interpolation at a place inside the picture, in pixels: the value and its
    /// slopes across and down.
    fn sample(&self, x: f32, y: f32) -> [f32; 3] {
        let side = self.side;
        let (i, j) = ((x as usize).min(side - 2), (y as usize).min(side - 2));
        let (fx, fy) = (x - i as f32, y - j as f32);
        let at = j * side + i;
        let [p, q] = [self.pixels[at], self.pixels[at + 1]];
        let [r, s] = [self.pixels[at + side], self.pixels[at + side + 1]];
        let (top, bottom) = (p + fx * (q - p), r + fx * (s - r));
        let across = (q - p) + fy * ((s - r) - (q - p));
        [top + fy * (bottom - top), across, bottom - top]
    }
}

/// A binomial filter, 1 2 1 across and down; the border is repeated.
fn smooth(pixels: &[f32], side: usize) -> Vec<f32> {
    let mut across = pixels.to_vec();
    for (out, row) in across.chunks_exact_mut(side).zip(pixels.chunks_exact(side)) {
        for (x, out) in out.iter_mut().enumerate() {
            let (left, right) = (row[x.saturating_sub(1)], row[(x + 1).min(side - 1)]);
            *out = 0.25 * (left + right) + 0.5 * row[x];
        }
    }
    let mut both = across.clone();
    for (y, out) in both.chunks_exact_mut(side).enumerate() {
        let above = &across[y.saturating_sub(1) * side..][..side];
        let below = &across[(y + 1).min(side - 1) * side..][..side];
        for (x, out) in out.iter_mut().enumerate() {
            *out = 0.25 * (above[x] + below[x]) + 0.5 * *out;
        }
    }
    both
}

/// Calls `each` with the first picture's pixel, the second's value and slopes where it covers
/// it, and the pixel's place from the center. Returns whether they overlap enough.
fn overlap(
    first: &Gray,
    second: &Gray,
    fit: &Fit,
    mut each: impl FnMut(f32, [f32; 3], [f32; 2]),
) -> bool {
    let (side, last) = (first.side, (first.side - 1) as f32);
    let (center, scale) = (last / 2.0, side as f32);
    let mut covered = 0;
    for (j, row) in first.pixels.chunks_exact(side).enumerate() {
        let y = j as f32 - center;
        for (i, &gray) in row.iter().enumerate() {
            let x = i as f32 - center;
            let to_x = x + fit.a * x - fit.b * y + fit.u * scale + center;
            let to_y = y + fit.b * x + fit.a * y + fit.v * scale + center;
            if to_x >= 0.0 && to_y >= 0.0 && to_x <= last && to_y <= last {
                each(gray, second.sample(to_x, to_y), [x, y]);
                covered += 1;
            }
        }
    }
    covered as f32 >= MIN_OVERLAP * first.pixels.len() as f32
}

/// The correlation of two pictures where they overlap, -1 to 1; -1 if that is too little.
pub(super) fn correlation(first: &Gray, second: &Gray, fit: &Fit) -> f32 {
    let mut sums = [0.0f64; 6];
    let enough = overlap(first, second, fit, |a, [b, ..], _| {
        let (a, b) = (f64::from(a), f64::from(b));
        for (sum, value) in sums.iter_mut().zip([1.0, a, b, a * a, b * b, a * b]) {
            *sum += value;
        }
    });
    if enough { of_sums(sums) } else { -1.0 }
}

/// The correlation from n, the sums of a, b, aa, bb and ab. Pictures of one color have none.
fn of_sums([n, a, b, aa, bb, ab]: [f64; 6]) -> f32 {
    let (va, vb) = (aa / n - (a / n).powi(2), bb / n - (b / n).powi(2));
    let covariance = ab / n - a / n * (b / n);
    let power = (va * vb).max(0.0).sqrt();
    if power > 1e-3 { (covariance / power) as f32 } else { 0.0 }
}

/// The unknowns of a step: offset, gain, and the four changes of the transform times the gain.
const UNKNOWNS: usize = 6;

/// Improves a transform by up to `steps` steps of Gauss-Newton on the squared difference of the
/// first picture and the second with the best gain and offset. Returns the best transform and
/// its correlation.
pub(super) fn register(first: &Gray, second: &Gray, start: Fit, steps: usize) -> (Fit, f32) {
    let mut best = (start, -1.0);
    let mut fit = start;
    for step in 0..=steps {
        let mut sums = [[0.0f32; UNKNOWNS + 1]; UNKNOWNS + 1];
        let scale = first.side as f32;
        // Centered, because the sums are of single precision.
        let enough = overlap(first, second, &fit, |a, [b, dx, dy], [x, y]| {
            let (a, b) = (a - 128.0, b - 128.0);
            let row = [1.0, b, dx * x + dy * y, dy * x - dx * y, dx * scale, dy * scale, a];
            for i in 0..row.len() {
                for j in i..row.len() {
                    sums[i][j] += row[i] * row[j];
                }
            }
        });
        if !enough {
            break;
        }
        let s = |i: usize, j: usize| f64::from(sums[i][j]);
        let reached = of_sums([s(0, 0), s(0, 6), s(0, 1), s(6, 6), s(1, 1), s(1, 6)]);
        let gain = reached - best.1;
        if gain <= 0.0 {
            break;
        }
        best = (fit, reached);
        if step == steps || gain < 1e-4 {
            break;
        }
        match next(&sums, &fit) {
            Some(better) => fit = better,
            None => break,
        }
    }
    best
}

/// The transform after a step, from the sums of products of the unknowns' coefficients and of
/// the first picture.
fn next(sums: &[[f32; UNKNOWNS + 1]; UNKNOWNS + 1], fit: &Fit) -> Option<Fit> {
    let mut m = [[0.0f64; UNKNOWNS + 1]; UNKNOWNS];
    for i in 0..UNKNOWNS {
        for j in 0..=UNKNOWNS {
            m[i][j] = f64::from(sums[i.min(j)][i.max(j)]);
        }
        // Where there is no slope in some direction, the pictures stay where they are.
        m[i][i] = m[i][i] * 1.001 + 1e-6;
    }
    let x = solve(m)?;
    let gain = x[1];
    if gain < 0.05 {
        return None;
    }
    let change = |i: usize| (x[i] / gain) as f32;
    let next = Fit {
        a: fit.a + change(2),
        b: fit.b + change(3),
        u: fit.u + change(4),
        v: fit.v + change(5),
    };
    let inside = next.a.abs() < MAX_FIT.a
        && next.b.abs() < MAX_FIT.b
        && next.u.abs() < MAX_FIT.u
        && next.v.abs() < MAX_FIT.v;
    inside.then_some(next)
}

/// Solves linear equations by elimination with pivots.
fn solve(mut m: [[f64; UNKNOWNS + 1]; UNKNOWNS]) -> Option<[f64; UNKNOWNS]> {
    for i in 0..UNKNOWNS {
        let pivot = (i..UNKNOWNS).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, pivot);
        if m[i][i].abs() < 1e-9 {
            return None;
        }
        let row = m[i];
        for other in &mut m[i + 1..] {
            let factor = other[i] / row[i];
            for (v, p) in other.iter_mut().zip(row).skip(i) {
                *v -= factor * p;
            }
        }
    }
    let mut x = [0.0; UNKNOWNS];
    for i in (0..UNKNOWNS).rev() {
        let rest: f64 = (i + 1..UNKNOWNS).map(|c| m[i][c] * x[c]).sum();
        x[i] = (m[i][UNKNOWNS] - rest) / m[i][i];
    }
    Some(x)
}

/// The steps at 32 pixels.
const FINE_STEPS: usize = 6;
/// The least correlation of details at 32 pixels at which those at 64 pixels are compared.
const DETAIL_THRESHOLD: f32 = 0.8;

/// A picture at the resolutions at which candidates are compared.
pub(super) struct Levels {
    half: Gray,
    /// Less that of 8 pixels.
    half_detail: Gray,
    /// At 64 pixels, less that of 16.
    fine_detail: Gray,
}

impl Levels {
    pub(super) fn new(thumb: &Thumb) -> Self {
        let [eighth, quarter, half, full] =
            [SIDE / 8, SIDE / 4, SIDE / 2, SIDE].map(|side| Gray::of(thumb, side));
        Self { half_detail: half.detail(&eighth), fine_detail: full.detail(&quarter), half }
    }
}

/// The similarity of two pictures: the correlation of their fine details after the best
/// transform, which is searched from `start`; 0 if already their coarser details disagree.
pub(super) fn similarity(first: &Levels, second: &Levels, start: Fit) -> f32 {
    let (fit, _) = register(&first.half, &second.half, start, FINE_STEPS);
    if correlation(&first.half_detail, &second.half_detail, &fit) < DETAIL_THRESHOLD {
        return 0.0;
    }
    correlation(&first.fine_detail, &second.fine_detail, &fit)
}

#[cfg(test)]
mod tests {
    use super::super::tests::scene;
    use super::*;

    #[test]
    fn the_transform_between_crops_is_found() {
        for (right, down, zoom) in [(0.0, 0.0, 1.0), (0.03, -0.05, 1.0), (-0.02, 0.04, 1.08)] {
            let [first, second] = [scene(5, 0.0, 0.0, 1.0), scene(5, right, down, zoom)];
            let grays = |side: usize| [&first, &second].map(|thumb| Gray::of(thumb, side));
            let [a, b] = grays(SIDE / 4);
            let (coarse, _) = register(&a, &b, Fit::default(), 8);
            let [a, b] = grays(SIDE / 2);
            let (fit, reached) = register(&a, &b, coarse, 8);
            assert!(reached > 0.995, "{reached}");
            for (found, expected) in
                [(fit.u, right), (fit.v, down), (fit.a, zoom - 1.0), (fit.b, 0.0)]
            {
                assert!((found - expected).abs() < 0.01, "{fit:?} for {right} {down} {zoom}");
            }
            let levels = [first, second].map(|thumb| Levels::new(&thumb));
            let similarity = similarity(&levels[0], &levels[1], coarse);
            assert!(similarity > 0.95, "{similarity}");
        }
    }

    #[test]
    fn different_scenes_and_pictures_of_one_color_are_not_similar() {
        let flat = Thumb::from_fn(|_, _| 100);
        for (a, b) in [(scene(5, 0.0, 0.0, 1.0), scene(6, 0.0, 0.0, 1.0)), (flat.clone(), flat)] {
            let [a, b] = [a, b].map(|thumb| Levels::new(&thumb));
            let found = similarity(&a, &b, Fit::default());
            assert!(found < 0.5, "{found}");
        }
    }
}
